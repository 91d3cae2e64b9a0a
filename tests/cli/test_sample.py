"""sample: the photo that comes with the package."""

import io
from pathlib import Path

import pytest
from PIL import Image

from photio_prep.cli.trial import CHECKOUT, read_sample
from tests.support.commands import Command

MOST_BYTES = 150_000  # in the wheel


def test_it_writes_the_photo_and_prints_its_path(command: Command) -> None:
    written = command("sample")
    assert (written.code, written.lines) == (0, ["sample.jpg"])
    assert Path("sample.jpg").read_bytes() == read_sample()


def test_it_writes_to_a_name_of_the_users(command: Command) -> None:
    written = command("sample", "new/shoe.jpg", "--json")
    assert (written.code, written.facts) == (0, [{"photo": "new/shoe.jpg"}])
    assert Path("new/shoe.jpg").is_file()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_it_replaces_nothing(kind: str, command: Command) -> None:
    file = Path("sample.jpg")
    if kind == "file":
        file.write_bytes(b"mine")
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("nowhere.jpg")
    refused = command("sample")
    assert (refused.code, refused.out) == (3, "")
    assert "sample.jpg: the file exists" in refused.err
    assert not Path("nowhere.jpg").exists()
    assert kind != "file" or file.read_bytes() == b"mine"


def test_the_photo_is_small_and_ours() -> None:
    assert read_sample() == CHECKOUT.read_bytes()
    assert len(read_sample()) <= MOST_BYTES
    with Image.open(io.BytesIO(read_sample())) as photo:
        assert photo.format == "JPEG"
