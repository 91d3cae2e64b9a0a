"""The final's file: where it lies, in what format, and whose file is never harmed."""

import io
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photio_prep.errors import OutcomeUnknown, OutputExists, StorageFailed, UsageError
from photio_prep.final.options import FinishOptions
from photio_prep.final.writer import final_path, refuse_if_in_the_way
from photio_prep.orders import store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from tests.support import photos
from tests.support.finals import write_final


def answered(root: Path, *, format_: str = "PNG", output: str = "", answer: Image.Image | None = None) -> Order:
    """An order whose answer was kept."""
    made = photos.order(description="on marble")
    made = store.write_order(replace(made, origin=replace(made.origin, format=format_, output=output or "a")), root)
    assert made.folder is not None
    import base64

    picture = base64.b64encode(photos.encoded(answer or photos.photo((48, 32)))).decode()
    (made.folder / "answer.raw").write_bytes(json.dumps({"status_code": 200, "body": picture}).encode())
    (made.folder / "claim.json").write_text("{}")
    return made


@pytest.mark.parametrize(
    ("format_", "wanted", "name"),
    [
        ("JPEG", None, "a-photio.jpg"),
        ("PNG", None, "a-photio.png"),
        ("WEBP", None, "a-photio.webp"),
        ("TIFF", None, "a-photio.png"),
        ("GIF", None, "a-photio.png"),
        ("JPEG", "png", "a-photio.png"),
        ("PNG", "jpg", "a-photio.jpg"),
        ("JPEG", "webp", "a-photio.webp"),
    ],
)
def test_a_final_has_the_photo_s_format_or_the_one_asked_for(
    tmp_path: Path, format_: str, wanted: str | None, name: str
):
    order = answered(tmp_path / "orders", format_=format_)
    path = write_final(order, tmp_path / "out", FinishOptions(format=wanted))
    assert path == tmp_path / "out" / name
    with Image.open(path) as final:
        assert final.format == {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[path.suffix[1:]]
        assert (final.size, final.mode) == ((48, 32), "RGB")
        assert not final.getexif()


def test_a_jpeg_keeps_its_colours_at_full_resolution_and_quality_95(tmp_path: Path):
    path = write_final(answered(tmp_path / "orders", format_="JPEG"), tmp_path / "out")
    with Image.open(path) as final:
        assert isinstance(final.getexif(), Image.Exif)
        from PIL import JpegImagePlugin

        assert JpegImagePlugin.get_sampling(final) == 0  # 4:4:4
        tables = final.quantization  # type: ignore[attr-defined]
    with Image.open(io.BytesIO(photos.encoded(photos.photo(), "JPEG", quality=95))) as like:
        assert tables == like.quantization  # type: ignore[attr-defined]


def test_a_png_is_exact(tmp_path: Path):
    answer = Image.fromarray(np.random.default_rng(2).integers(0, 255, (32, 48, 3), np.uint8))
    path = write_final(answered(tmp_path / "orders", answer=answer), tmp_path / "out")
    with Image.open(path) as final:
        assert final.tobytes() == answer.tobytes()


def test_the_input_s_tree_is_mirrored(tmp_path: Path):
    path = write_final(answered(tmp_path / "orders", output="x/y/a b"), tmp_path / "out")
    assert path == tmp_path / "out" / "x" / "y" / "a b-photio.png"
    assert path.exists()


@pytest.mark.parametrize("output", ["../a", "x/../../a", "/etc/a", "x/../../../../../../tmp/a"])
def test_a_final_never_lies_outside_of_its_folder(tmp_path: Path, output: str):
    order = replace(photos.order(), origin=replace(photos.order().origin, output=output))
    with pytest.raises(UsageError, match="outside"):
        final_path(order, tmp_path / "out")


def test_a_linked_folder_does_not_lead_outside(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "x").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="outside"):
        write_final(answered(tmp_path / "orders", output="x/a"), tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.soak
def test_a_final_is_marked_with_its_digest_and_may_be_made_again(tmp_path: Path):
    order = answered(tmp_path / "orders")
    assert order.folder is not None
    assert OrderFolder(order.folder).state is State.ANSWERED
    path = write_final(order, tmp_path / "out")
    first = path.read_bytes()
    mark = order.marks.final()
    assert mark is not None
    assert (mark["sha256"], mark["bytes"]) == (sha256(first).hexdigest(), len(first))
    assert OrderFolder(order.folder).state is State.FINISHED
    for _ in range(2):
        assert write_final(order, tmp_path / "out") == path
        assert path.read_bytes() == first
    path.unlink()  # the user threw it away
    assert write_final(order, tmp_path / "out").read_bytes() == first


def test_a_picture_of_another_drift_goes(tmp_path: Path):
    order = answered(tmp_path / "orders")
    folder = order.require_folder()
    write_final(order, tmp_path / "out")
    picture, facts = folder / "drift.png", folder / "drift.json"
    for record, stays in ((facts.read_bytes(), True), (b"{}", False)):
        picture.write_bytes(b"drawn")
        facts.write_bytes(record)
        write_final(order, tmp_path / "out", overwrite=True)
        assert picture.exists() == stays


def test_somebody_else_s_file_is_not_replaced_unless_asked(tmp_path: Path):
    order = answered(tmp_path / "orders")
    path = tmp_path / "out" / "a-photio.png"
    path.parent.mkdir()
    path.write_bytes(b"dear to somebody" * 1000)
    with pytest.raises(OutputExists, match="--overwrite"):
        refuse_if_in_the_way(order, path, overwrite=False)
    with pytest.raises(OutputExists):
        write_final(order, tmp_path / "out")
    assert path.read_bytes() == b"dear to somebody" * 1000
    refuse_if_in_the_way(order, path, overwrite=True)
    write_final(order, tmp_path / "out", overwrite=True)
    with Image.open(path) as final:
        assert final.size == (48, 32)
    assert path.stat().st_size == len(path.read_bytes()) < 16_000  # nothing of the longer old file is left


def test_our_own_final_that_the_user_edited_is_somebody_s(tmp_path: Path):
    order = answered(tmp_path / "orders")
    path = write_final(order, tmp_path / "out")
    path.write_bytes(path.read_bytes() + b"retouched")
    with pytest.raises(OutputExists):
        write_final(order, tmp_path / "out")
    assert path.read_bytes().endswith(b"retouched")


def test_a_final_that_was_written_but_not_marked_is_ours(tmp_path: Path):
    """Killed between the final's rename and the finished mark."""
    order = answered(tmp_path / "orders")
    assert order.folder is not None
    path = write_final(order, tmp_path / "out")
    before = path.read_bytes()
    next(order.folder.glob("finished-*.json")).unlink()
    assert write_final(order, tmp_path / "out").read_bytes() == before
    assert OrderFolder(order.folder).state is State.FINISHED


@pytest.mark.soak
def test_two_photos_of_one_order_are_finished_each(tmp_path: Path):
    order = answered(tmp_path / "orders", output="a")
    other = store.write_order(
        replace(order, origin=replace(order.origin, source="b.jpg", format="JPEG", output="b")), tmp_path / "orders"
    )
    assert order.folder is not None
    write_final(order, tmp_path / "out")
    assert OrderFolder(order.folder).state is State.ANSWERED
    assert write_final(other, tmp_path / "out").name == "b-photio.jpg"
    assert OrderFolder(order.folder).state is State.FINISHED


def test_nothing_is_finished_without_an_answer(tmp_path: Path):
    planned = store.write_order(photos.order(), tmp_path / "orders")
    with pytest.raises(UsageError, match="no answer yet"):
        write_final(planned, tmp_path / "out")
    assert planned.folder is not None
    OrderFolder(planned.folder).write_outcome(State.UNKNOWN, "lost")
    (planned.folder / "answer.raw").write_bytes(b"{}")
    with pytest.raises(OutcomeUnknown):
        write_final(planned, tmp_path / "out")
    with pytest.raises(UsageError, match="in memory"):
        write_final(photos.order(), tmp_path / "out")


def test_a_place_that_cannot_be_written_is_told_and_the_answer_stays(tmp_path: Path):
    order = answered(tmp_path / "orders", output="x/a")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageFailed):
        write_final(order, tmp_path / "out")
    assert order.folder is not None
    assert OrderFolder(order.folder).state is State.ANSWERED
    assert write_final(order, tmp_path / "elsewhere").exists()
