"""What many tests share: hypothesis's profile, a real photo, and the real models where their weights lie."""

import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from photio_prep.api import retry
from photio_prep.cutout.models import catalog, weights
from photio_prep.cutout.models.registry import CatalogModel, get_model
from photio_prep.errors import ModelUnavailable
from photio_prep.intake.load import load
from photio_prep.sandbox import Sandbox
from photio_prep.settings import models_folder
from photio_prep.types import Photo
from tests.support.commands import KEY, Command, bare_surroundings, forget, here

# Two cores that others use too: how long one example takes says nothing.
hypothesis.settings.register_profile("house", deadline=None)
# pytest --hypothesis-profile deep --hypothesis-seed N: for a search that takes its time.
hypothesis.settings.register_profile("deep", deadline=None, max_examples=3_000, derandomize=False, database=None)
hypothesis.settings.load_profile("house")

# The marker of a test -> the model whose weights it needs.
MODELS = {"model": "u2netp", "isnet": "isnet-imgly"}


@cache
def missing(model: str) -> str:
    """Why the weights of `model` cannot be used; empty when they can."""
    try:
        weights.verify_weights(catalog.find_weights(model), models_folder())
    except ModelUnavailable as error:
        return str(error)
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, model in MODELS.items():
        if item.get_closest_marker(marker) and (why := missing(model)):
            if os.environ.get("CI"):
                pytest.fail(why)
            pytest.skip(why)


@pytest.fixture(scope="session")
def u2netp() -> CatalogModel:
    """The real small model, loaded once. For tests that are marked `model`."""
    model = get_model(MODELS["model"])
    assert isinstance(model, CatalogModel)
    return model


@pytest.fixture(scope="session")
def isnet() -> CatalogModel:
    """The real ISNet, loaded once. For tests that are marked `isnet`."""
    model = get_model(MODELS["isnet"])
    assert isinstance(model, CatalogModel)
    return model


@pytest.fixture(scope="session")
def coffee() -> Photo:
    """A real photo: a cup of coffee on a table, 600x400, that scikit-image ships (and rembg brings along)."""
    found = importlib.util.find_spec("skimage")
    assert found is not None
    assert found.submodule_search_locations
    return load(Path(found.submodule_search_locations[0], "data", "coffee.png"))


@pytest.fixture(autouse=True)
def gate_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is stopped: the photos of most tests are far too small to be worth paying for."""
    monkeypatch.setenv("PHOTIO_GATE", "off")


@pytest.fixture
def must_end() -> Callable[[Callable[[], object]], None]:
    """Runs something in a thread and fails if it does not end: a hang must not hang the tests.

    A minute, because a thread of a busy machine may stand still for seconds; a hang has no end at all.
    """

    def run(what: Callable[[], object]) -> None:
        ended: Future[object] = Future()

        def work() -> None:
            try:
                ended.set_result(what())
            except BaseException as error:  # noqa: BLE001  a failed assertion too
                ended.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        ended.result(timeout=60)

    return run


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Command]:
    bare_surroundings(monkeypatch, tmp_path / "home")
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(retry, "_LAST_WAIT", 0.02)
    monkeypatch.chdir(tmp_path)
    yield here(capsys, monkeypatch)
    forget()


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch, command: Command) -> Command:
    """The same command line in a shell that knows a key."""
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    return command


@pytest.fixture
def identity() -> Iterator[Sandbox]:
    with Sandbox(identity=True) as sandbox:
        yield sandbox
