"""Names of models become matters: loaded late, checked before, kept for the process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photio_prep import pipeline
from photio_prep.cutout.models import catalog, devices, openvino, registry, weights
from photio_prep.cutout.models.registry import CatalogModel, get_model, second_model
from photio_prep.cutout.models.rembg_sessions import import_session
from photio_prep.errors import ModelUnavailable, PhotoRefused, UsageError
from photio_prep.orders import store
from photio_prep.settings import models_folder
from photio_prep.system.environment import thread_limit
from photio_prep.system.parallel import CORES
from tests.support import photos
from tests.support.sampling import sampled


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty models folder, and nothing remembered of another one before or after."""
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path))
    get_model.cache_clear()
    yield tmp_path
    get_model.cache_clear()


def installed(name: str, folder: Path) -> Path:
    """A copy of real weights in `folder`."""
    file = catalog.find_weights(name).file
    return Path(shutil.copy(models_folder_of_the_user() / file, folder / file))


_USERS = models_folder()


def models_folder_of_the_user() -> Path:
    return _USERS


def test_nothing_is_read_before_the_first_picture(models: Path) -> None:
    matter = get_model("u2netp")
    with pytest.raises(ModelUnavailable, match="photio-prep models pull u2netp"):
        matter(photos.photo())


def test_auto_with_nothing_installed_says_what_to_run(models: Path) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        get_model()(photos.photo())
    assert "photio-prep models pull auto" in str(caught.value)
    assert caught.value.exit_code == 11


def test_a_failure_is_not_kept(models: Path) -> None:
    """Pulling mends it within the same process."""
    matter = get_model("u2netp")
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            matter(photos.photo())


@pytest.mark.parametrize("name", ["", "u2net ", "U2NETP", "../u2netp", "none"])
def test_a_name_that_is_not_in_the_catalogue(name: str) -> None:
    with pytest.raises(UsageError, match="u2netp"):
        get_model(name)


def test_weights_of_ones_own_need_a_family_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"weights")
    with pytest.raises(UsageError, match="u2net"):
        get_model(str(path), "resnet")
    with pytest.raises(UsageError, match="cannot be read"):
        get_model(str(tmp_path / "none.onnx"), "u2net")


def test_weights_of_ones_own_that_changed_since_they_were_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"weights")
    matter = get_model(str(path), "u2net")
    path.write_bytes(b"others!")
    with pytest.raises(ModelUnavailable, match="damaged"):
        matter(photos.photo())


@pytest.mark.model
def test_one_name_is_one_matter(models: Path) -> None:
    installed("u2netp", models)
    assert get_model("u2netp") is get_model("u2netp")
    assert get_model("u2netp") is not get_model("auto")
    assert isinstance(get_model("auto"), CatalogModel)


@pytest.mark.model
def test_auto_says_which_it_is(models: Path) -> None:
    installed("u2netp", models)
    assert get_model("auto").name == "u2netp"


@pytest.mark.isnet
def test_auto_takes_the_better_of_two(models: Path) -> None:
    installed("u2netp", models)
    # The name alone decides; whether the bytes are right is seen when they are used.
    (models / catalog.find_weights("isnet-imgly").file).write_bytes(b"not yet")
    assert get_model("auto").name == "isnet-imgly"
    with pytest.raises(ModelUnavailable, match="isnet-imgly"):
        get_model("auto")(photos.photo())


@pytest.mark.model
def test_one_changed_bit_keeps_weights_from_the_runtime(models: Path) -> None:
    path = installed("u2netp", models)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelUnavailable, match="damaged"):
        get_model("u2netp")(photos.photo())


@pytest.mark.model
@pytest.mark.parametrize("way", ["overwritten", "replaced"])
def test_what_is_loaded_is_what_was_checked(way: str, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is swapped between the check and the loading, for a network that would load and find something."""
    path = installed("u2netp", models)
    other = bytearray(path.read_bytes())
    other[len(other) // 2] ^= 1
    verify = weights.verify_weights

    def swap(row: catalog.Weights, folder: Path) -> Path:
        verified = verify(row, folder)
        if way == "overwritten":
            path.write_bytes(other)
        else:
            path.rename(path.with_suffix(".away"))
            path.write_bytes(other)
            os.utime(path, ns=(path.with_suffix(".away").stat().st_mtime_ns,) * 2)
        return verified

    monkeypatch.setattr(weights, "verify_weights", swap)
    with pytest.raises(ModelUnavailable, match="changed while it was loaded"):
        get_model("u2netp")(photos.photo((160, 120)))


def refusing_weights(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    """bria-rmbg is installed, and its bytes are right."""
    data = b"not for sale"
    bria = replace(catalog.find_weights("bria-rmbg"), sha256=sha256(data).hexdigest(), size=len(data))
    rest = tuple(each for each in catalog.catalog() if each.name != bria.name)
    for module in (catalog, weights):
        monkeypatch.setattr(module, "catalog", lambda: (*rest, bria))
    (models / bria.file).write_bytes(data)


def test_weights_that_must_not_be_sold_with_need_their_name_said(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing_weights(monkeypatch, models)
    for accepted in ((), ("u2netp",)):
        with pytest.raises(UsageError, match="--accept-licence bria-rmbg"):
            get_model("bria-rmbg", accepted=accepted)
    with pytest.raises(ModelUnavailable, match="do not load"):  # accepted, and these bytes are no network
        get_model("bria-rmbg", accepted=("bria-rmbg",))(photos.photo())


def test_the_same_weights_under_a_name_of_ones_own_are_held_to_it_too(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing_weights(monkeypatch, models)
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(b"not for sale")
    with pytest.raises(UsageError, match="--accept-licence bria-rmbg"):
        get_model(str(mine), "u2net")
    assert get_model(str(mine), "u2net", accepted=("bria-rmbg",))


def test_auto_and_a_second_opinion_never_take_them(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing_weights(monkeypatch, models)
    with pytest.raises(ModelUnavailable):
        assert get_model("auto").name
    with pytest.raises(ModelUnavailable, match="second model"):
        second_model("u2netp")


@pytest.mark.model
@pytest.mark.parametrize("device", ["cuda", "openvino", "coreml"])
def test_a_device_that_is_not_there_is_an_error_and_no_fallback(models: Path, device: devices.Device) -> None:
    if device in devices.available_devices():
        pytest.skip("it is there")
    installed("u2netp", models)
    with pytest.raises(ModelUnavailable, match=f"--device {device}") as caught:
        get_model("u2netp", device=device)(photos.photo())
    assert caught.value.exit_code == 11


class FallingBack:
    """An onnxruntime whose provider is listed, and whose libraries do not load: it gives a session on the CPU."""

    def __init__(self, *_: object, **given: Any) -> None:
        assert given["enable_fallback"] == 0
        self.wanted = given["providers"]

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]


@pytest.fixture
def cuda_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: listed)
    monkeypatch.setattr("onnxruntime.InferenceSession", FallingBack)


@pytest.mark.usefixtures("cuda_that_fails")
def test_a_device_that_is_listed_and_not_used_is_an_error_when_named() -> None:
    with pytest.raises(ModelUnavailable, match="would run on CPUExecutionProvider instead"):
        devices.open_session(b"", "cuda")


@pytest.mark.usefixtures("cuda_that_fails")
def test_auto_goes_on_without_it_and_says_so() -> None:
    _, used, why = devices.open_session(b"", "auto")
    assert used == "cpu"
    assert why.startswith("cuda is installed but not used: onnxruntime would run on")


@pytest.mark.usefixtures("cuda_that_fails")
def test_a_session_of_rembg_is_on_the_named_device_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"weights")
    with pytest.raises(ModelUnavailable, match="would run on CPUExecutionProvider instead"):
        get_model(str(path), "u2net", device="cuda")(photos.photo())


@pytest.mark.model
def test_a_session_is_made_by_rembgs_own_constructor_with_our_options(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("u2netp", models)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    model = get_model("u2netp", device="cpu")
    assert isinstance(model, CatalogModel)
    session = model._segmenter.session
    assert isinstance(session, import_session("u2net_custom", "U2netCustomSession"))
    assert session.model_name == "u2netp"
    assert session.inner_session.get_providers() == ["CPUExecutionProvider"]
    assert session.inner_session.get_session_options().intra_op_num_threads == 1


@pytest.mark.model
def test_a_model_is_opened_while_a_photo_is_decoded_and_only_if_it_is_needed(models: Path, tmp_path: Path) -> None:
    installed("u2netp", models)
    model = get_model("u2netp", device="cpu")
    assert isinstance(model, CatalogModel)
    clear, jpeg = (
        photos.saved(tmp_path / "clear.png", photos.cutout()),
        photos.saved(tmp_path / "x.jpg", photos.photo()),
    )
    pipeline.prepare(clear, model=model)
    drawn = photos.saved(tmp_path / "mask.png", photos.mask())
    pipeline.prepare(jpeg, model=model, mask=drawn)
    assert not model.is_open
    with pytest.raises(PhotoRefused):
        pipeline.prepare(jpeg.read_bytes()[:200], model=model)
    assert model.is_open == (1 not in (CORES, thread_limit()))  # one thread decodes first


def test_a_model_that_cannot_be_opened_early_is_the_error_of_its_first_picture(models: Path) -> None:
    registry.open_early(get_model("u2netp", device="cpu"))
    with pytest.raises(ModelUnavailable, match="not installed"):
        get_model("u2netp", device="cpu")(photos.photo())


@pytest.mark.model
def test_an_order_says_where_its_model_ran(models: Path, tmp_path: Path) -> None:
    installed("u2netp", models)
    (tmp_path / "orders").mkdir()
    picture = photos.photo((160, 120))
    for device in ("cpu", "auto"):
        order = pipeline.prepare(picture, model=get_model("u2netp", device=device), orders=tmp_path / "orders" / device)
        assert order.folder is not None
        assert store.load_order(order.folder).device == order.device
        assert order.device in devices.available_devices()


@pytest.mark.model
def test_weights_of_ones_own_work_like_those_of_the_catalogue(models: Path, tmp_path: Path) -> None:
    path = installed("u2netp", models).rename(tmp_path / "mine.onnx")
    matter = get_model(str(path), "u2net")
    assert matter.name == "mine"
    assert matter(photos.photo((160, 120))).size == (160, 120)


OPENVINO = pytest.mark.skipif(not openvino.is_available(), reason="the extra openvino is not installed")


@pytest.mark.soak
@OPENVINO
@pytest.mark.model
def test_openvino_believes_what_onnxruntime_believes(models: Path) -> None:
    data = installed("u2netp", models).read_bytes()
    picture = photos.photo((160, 120))
    made = get_model("u2netp", device="openvino")
    rounded, theirs = (np.asarray(each(picture)) for each in (made, get_model("u2netp", device="cpu")))
    assert made.device == "openvino"
    assert np.abs(rounded.astype(int) - theirs).mean() <= 1
    assert isinstance(made, CatalogModel)
    made._segmenter.session.inner_session = devices.open_session(data, "openvino", rounded=False)[0]
    assert np.abs(np.asarray(made(picture)).astype(int) - theirs).max() <= 1


RACE = """
import sys, threading
import numpy as np
from photio_prep.cutout.models.openvino import CompiledModel
network = CompiledModel(open(sys.argv[1], "rb").read(), rounded=True)
feed = {network.get_inputs()[0].name: np.zeros((1, 3, 320, 320), np.float32)}
together = threading.Barrier(3)
def ask():
    together.wait()
    network.run(None, feed)
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=ask) for _ in range(3)]
for each in threads: each.start()
for each in threads: each.join()
"""


@pytest.mark.soak
@OPENVINO
@pytest.mark.model
def test_threads_that_ask_openvino_first_at_the_same_time_do_not_wait_for_each_other_for_ever(models: Path) -> None:
    path = installed("u2netp", models)
    for _ in range(4):  # half of the processes stood still, deaf to every signal but SIGKILL
        subprocess.run([sys.executable, "-c", RACE, str(path)], check=True, timeout=60)


@OPENVINO
@pytest.mark.model
def test_auto_takes_openvino_only_where_it_may_round(models: Path) -> None:
    data = installed("u2netp", models).read_bytes()
    assert devices.open_session(data, "auto")[1] != "openvino"
    used = devices.open_session(data, "auto", rounded=True)[1]
    assert (used == "openvino") == (openvino.rounds_to_bfloat16() and "cuda" not in devices.available_devices())


@OPENVINO
def test_weights_that_openvino_cannot_read_are_an_error() -> None:
    with pytest.raises(ModelUnavailable, match="--device openvino"):
        devices.open_session(b"no network", "openvino")


@pytest.mark.model
@sampled("device", ["cpu", pytest.param("openvino", marks=OPENVINO)], 1)
def test_a_worker_of_one_core_believes_the_same(
    models: Path, monkeypatch: pytest.MonkeyPatch, device: devices.Device
) -> None:
    data = installed("u2netp", models).read_bytes()
    feed = {"input.1": np.random.default_rng(3).random((1, 3, 320, 320), dtype=np.float32)}
    found = []
    for told in ("", "1"):
        monkeypatch.setenv("OMP_NUM_THREADS", told)
        session, _, _ = devices.open_session(data, device)
        if device == "cpu":
            assert session.get_session_options().intra_op_num_threads == int(told or 0)
        found.append(session.run([session.get_outputs()[0].name], feed)[0])
    assert np.array_equal(*found)
