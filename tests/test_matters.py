"""Names of models become matters: loaded late, checked before, kept for the process."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from photio_prep import weights
from photio_prep.errors import ModelUnavailable, UsageError
from photio_prep.matters import CatalogueMatter, matter_for
from photio_prep.settings import models_folder
from tests import photos


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty models folder, and nothing remembered of another one before or after."""
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path))
    matter_for.cache_clear()
    yield tmp_path
    matter_for.cache_clear()


def installed(name: str, folder: Path) -> Path:
    """A copy of real weights in `folder`."""
    file = weights.by_name(name).file
    return Path(shutil.copy(models_folder_of_the_user() / file, folder / file))


_USERS = models_folder()


def models_folder_of_the_user() -> Path:
    return _USERS


def test_nothing_is_read_before_the_first_picture(models: Path) -> None:
    matter = matter_for("u2netp")
    with pytest.raises(ModelUnavailable, match="photio-prep models pull u2netp"):
        matter(photos.photo())


def test_auto_with_nothing_installed_says_what_to_run(models: Path) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        matter_for()(photos.photo())
    assert "photio-prep models pull auto" in str(caught.value)
    assert caught.value.exit_code == 11


def test_a_failure_is_not_kept(models: Path) -> None:
    """Pulling mends it within the same process."""
    matter = matter_for("u2netp")
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            assert matter.name


@pytest.mark.parametrize("name", ["", "u2net ", "U2NETP", "../u2netp", "none"])
def test_a_name_that_is_not_in_the_catalogue(name: str) -> None:
    with pytest.raises(UsageError, match="u2netp"):
        matter_for(name)


def test_weights_of_ones_own_need_a_family_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"weights")
    with pytest.raises(UsageError, match="u2net"):
        matter_for(str(path), "resnet")
    with pytest.raises(UsageError, match="cannot be read"):
        matter_for(str(tmp_path / "none.onnx"), "u2net")


def test_weights_of_ones_own_that_changed_since_they_were_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"weights")
    matter = matter_for(str(path), "u2net")
    path.write_bytes(b"others!")
    with pytest.raises(ModelUnavailable, match="damaged"):
        matter(photos.photo())


@pytest.mark.model
def test_one_name_is_one_matter(models: Path) -> None:
    installed("u2netp", models)
    assert matter_for("u2netp") is matter_for("u2netp")
    assert matter_for("u2netp") is not matter_for("auto")
    assert isinstance(matter_for("auto"), CatalogueMatter)


@pytest.mark.model
def test_auto_says_which_it_is(models: Path) -> None:
    installed("u2netp", models)
    assert matter_for("auto").name == "u2netp"


@pytest.mark.isnet
def test_auto_takes_the_better_of_two(models: Path) -> None:
    installed("u2netp", models)
    # The name alone decides; whether the bytes are right is seen when they are used.
    (models / weights.by_name("isnet-imgly").file).write_bytes(b"not yet")
    with pytest.raises(ModelUnavailable, match="isnet-imgly"):
        assert matter_for("auto").name


@pytest.mark.model
def test_one_changed_bit_keeps_weights_from_the_runtime(models: Path) -> None:
    path = installed("u2netp", models)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelUnavailable, match="damaged"):
        matter_for("u2netp")(photos.photo())


@pytest.mark.model
def test_weights_of_ones_own_work_like_those_of_the_catalogue(models: Path, tmp_path: Path) -> None:
    path = installed("u2netp", models).rename(tmp_path / "mine.onnx")
    matter = matter_for(str(path), "u2net")
    assert matter.name == "mine"
    assert matter(photos.photo((160, 120))).size == (160, 120)
