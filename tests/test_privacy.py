"""What is sent is pixels and nothing else; what a final carries is what the user chose, never where or with what."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from photio_prep.errors import PhotoRefused
from photio_prep.final.options import FinishOptions, Metadata
from photio_prep.imaging.colour import is_plain
from photio_prep.imaging.encode import encode_picture
from photio_prep.imaging.icc_profiles import SRGB_PROFILE
from photio_prep.intake.load import load
from photio_prep.orders import store
from photio_prep.pipeline import prepare
from photio_prep.types import Credit
from tests.support import icc
from tests.support.finals import write_final
from tests.support.photos import SCENE, cutout, photo
from tests.support.photos import encoded as file_of
from tests.support.rasters import chunk, segment
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from photio_prep.orders.store import Order

SECRETS = ("CANARY-gps", "CANARY-serial", "CANARY-owner", "CANARY-lens", "CANARY-xmp", "CANARY-text", "CANARY-profile")
ARTIST, COPYRIGHT = "Ada Lovelace", "© 2026 Ada Lovelace, Zürich"


def exif(**options: Any) -> Image.Exif:
    """What a camera and its owner leave behind, with a thumbnail of the uncropped photo."""
    found = Image.Exif()
    found[ExifTags.Base.Artist] = ARTIST
    found[ExifTags.Base.Copyright] = COPYRIGHT.encode()
    found[ExifTags.Base.Make] = "CANARY-lens"
    found[ExifTags.Base.HostComputer] = "CANARY-owner"
    found.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.BodySerialNumber: "CANARY-serial", ExifTags.Base.CameraOwnerName: "CANARY-owner"}
    )
    found.get_ifd(ExifTags.IFD.GPSInfo).update(
        {ExifTags.GPS.GPSMapDatum: "CANARY-gps", ExifTags.GPS.GPSLatitude: (47.0, 22.0, 36.0)}
    )
    return found


def tainted(kind: str) -> bytes:
    """A photo that carries every secret in every place that its format has."""
    profile = icc.matrix_profile("CANARY-profile", icc.P3, 2.2)
    xmp = b"<x:xmpmeta>CANARY-xmp</x:xmpmeta>"
    options: dict[str, Any] = {"exif": exif(), "icc_profile": profile}
    image = cutout() if kind in ("PNG", "WEBP", "TIFF") else photo()
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "CANARY-text", zip=True)
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        data = file_of(image, kind, pnginfo=text, dpi=(300, 300), **options)
        return data + b"CANARY-text"
    if kind == "JPEG":
        thumbnail = file_of(photo((32, 24)), "JPEG", comment=b"CANARY-text")
        data = file_of(image, kind, comment=b"CANARY-text", quality=95, **options)
        head = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp) + segment(0xED, b"Photoshop 3.0\0CANARY-text")
        return data[:2] + head + segment(0xE3, thumbnail) + data[2:] + thumbnail
    if kind == "WEBP":
        return file_of(image, kind, xmp=xmp, lossless=True, **options)
    if kind == "TIFF":
        options["exif"][700], options["exif"][270] = xmp, "CANARY-text"
        return file_of(image, kind, **options)
    if kind == "AVIF":
        return file_of(image, kind, xmp=xmp, **options)
    return file_of(image.quantize(32), kind, comment=b"CANARY-text")


KINDS = ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "AVIF"]


def chunks(data: bytes) -> list[bytes]:
    """The kinds of a PNG's chunks; fails where bytes follow the last one."""
    at, kinds = 8, []
    while at < len(data):
        kinds.append(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    assert at == len(data)
    return kinds


def clean(data: bytes) -> None:
    """Fails where a secret stands in `data`, plain or packed."""
    for secret in (b"CANARY", b"GPS", b"Exif\0\0MM\0*\0\0\0\x08\0\x08", b"xmpmeta"):
        assert secret not in data
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        assert not any("CANARY" in str(value) for value in opened.info.values())
        found = opened.getexif()
        assert not set(found) - {ExifTags.Base.Artist, ExifTags.Base.Copyright}
        assert not found.get_ifd(ExifTags.IFD.GPSInfo)
        assert not found.get_ifd(ExifTags.IFD.Exif)


def taken(kind: str, tmp_path: Path) -> Order:
    """The order of a tainted photo, in a folder."""
    data = tainted(kind)
    assert any(secret.encode() in data for secret in SECRETS)
    mask = Image.new("L", (90, 70), 0)
    mask.paste(255, (20, 20, 60, 50))
    return prepare(data, mask=mask, description=SCENE, orders=tmp_path / "orders", name=f"a.{kind.lower()}")


@sampled("kind", KINDS, 3)
def test_i21_i22_what_is_sent_holds_pixels_only(kind: str, tmp_path: Path) -> None:
    order = taken(kind, tmp_path)
    assert set(chunks(order.canvas.png)) == {b"IHDR", b"IDAT", b"IEND"}
    assert chunks(order.canvas.png)[-1] == b"IEND"
    clean(order.canvas.png)
    assert order.folder
    assert (order.folder / "canvas.png").read_bytes() == order.canvas.png
    for path in order.folder.iterdir():
        data = path.read_bytes()
        if path.suffix == ".png":
            assert set(chunks(data)) == {b"IHDR", b"IDAT", b"IEND"}
        assert b"CANARY" not in data


@sampled("kind", KINDS, 2)
def test_i26_colour_is_zero_wherever_alpha_is(kind: str, tmp_path: Path) -> None:
    order = taken(kind, tmp_path)
    pixels = np.asarray(order.canvas.image)
    clear = pixels[..., 3] == 0
    assert clear.any()
    assert not clear.all()
    assert (pixels[clear] == 0).all()
    assert order.cutout
    cut = np.asarray(order.cutout)
    assert (cut[cut[..., 3] == 0] == 0).all()


def test_i26_a_picture_hidden_under_alpha_0_is_not_sent() -> None:
    hidden = np.full((70, 90, 4), 255, np.uint8)
    hidden[..., :3] = np.random.default_rng(5).integers(1, 255, (70, 90, 3))
    hidden[:, :45, 3] = 0
    hidden[:, 45:60, 3] = np.linspace(0, 255, 15)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        data = file_of(Image.fromarray(hidden), kind, **options)
        assert load(data).image.getpixel((3, 3))[:3] != (0, 0, 0)  # type: ignore[index]  # it is there to be found
        sent = np.asarray(prepare(data, description=SCENE).canvas.image)
        assert (sent[sent[..., 3] == 0] == 0).all()
        assert (sent[..., 3] == 0).mean() > 0.4


def final_of(order: Order, out: Path, wanted: str | None = None, metadata: Metadata = "none") -> bytes:
    """The final of an order that is answered here and now."""
    assert order.folder
    picture = base64.b64encode(file_of(Image.new("RGB", order.placement.canvas, "teal"))).decode()
    (order.folder / "answer.raw").write_bytes(json.dumps({"status_code": 200, "body": picture}).encode())
    (order.folder / "claim.json").write_text("{}")
    return write_final(order, out, FinishOptions(format=wanted), metadata=metadata).read_bytes()


@pytest.mark.parametrize("wanted", ["jpg", "png", "webp"])
@sampled("kind", KINDS, 1)
def test_i21_a_final_holds_nothing_of_the_photos_metadata(kind: str, wanted: str, tmp_path: Path) -> None:
    data = final_of(taken(kind, tmp_path), tmp_path, wanted)
    clean(data)
    for said in (ARTIST, "Copyright", "ICC", "sRGB", "XMP"):
        assert said.encode() not in data


@pytest.mark.parametrize("wanted", ["jpg", "png", "webp"])
@sampled("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"], 1)
def test_i21_keep_safe_keeps_copyright_and_artist_and_nothing_else(kind: str, wanted: str, tmp_path: Path) -> None:
    order = taken(kind, tmp_path)
    again = store.load_order(order.folder) if order.folder else order
    assert again.origin.credit == Credit(ARTIST, COPYRIGHT)
    data = final_of(again, tmp_path, wanted, metadata="keep-safe")
    clean(data)
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        assert opened.info["icc_profile"] == SRGB_PROFILE
        block = opened.info["exif"]
    assert ARTIST.encode() in block
    assert COPYRIGHT.encode() in block
    # What we wrote we read.
    assert load(data).credit == Credit(ARTIST, COPYRIGHT)


def test_keep_safe_without_anything_to_keep_is_a_profile() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        data = encode_picture(photo(), kind, credit=Credit())
        assert data == encode_picture(photo(), kind, credit=Credit())
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.info["icc_profile"] == SRGB_PROFILE
            assert not dict(opened.getexif())
    assert is_plain(SRGB_PROFILE)
    shown = load(encode_picture(photo(), "PNG", credit=Credit()))
    assert shown.notes == ()
    assert np.array_equal(np.asarray(shown.image), np.asarray(photo()))


def test_the_profile_of_finals_is_srgb_by_the_formula_too() -> None:
    named_otherwise = SRGB_PROFILE.replace("sRGB".encode("utf-16-be"), "sXYZ".encode("utf-16-be"))
    found = load(file_of(photo(), icc_profile=named_otherwise))
    assert np.abs(np.asarray(found.image).astype(int) - np.asarray(photo())).max() <= 1


@pytest.mark.soak
def test_another_wish_about_metadata_writes_the_final_again(tmp_path: Path) -> None:
    order = taken("JPEG", tmp_path)
    plain = final_of(order, tmp_path)
    kept = final_of(order, tmp_path, metadata="keep-safe")
    assert kept != plain
    assert final_of(order, tmp_path, metadata="keep-safe") == kept
    assert final_of(order, tmp_path) == plain


def test_a_credit_is_one_plain_line_wherever_it_comes_from(tmp_path: Path) -> None:
    nasty = "a\x1b[31m\r\n\u202eb\x00c<script>\x07" + "x" * 5000
    found = Image.Exif()
    found[ExifTags.Base.Artist] = nasty.encode()
    data = file_of(cutout(), "PNG", exif=found)
    order = prepare(data, description=SCENE, orders=tmp_path)
    artist = order.origin.credit.artist
    assert artist.startswith("a[31m b; c<script>xxx")
    assert len(artist) == 200
    assert artist.isprintable()
    assert order.folder
    path = min(order.folder.glob("photo-*.json"))
    facts = json.loads(path.read_bytes())
    facts["credit"] = {"artist": "e\x1b[2J\nvil" * 100, "owner": "x"}
    path.write_text(json.dumps(facts))
    assert store.load_order(order.folder).origin.credit.artist.isprintable()


def test_an_order_of_an_earlier_version_has_no_credit(tmp_path: Path) -> None:
    order = prepare(cutout(), description=SCENE, orders=tmp_path)
    assert order.folder
    assert b"credit" not in min(order.folder.glob("photo-*.json")).read_bytes()
    assert store.load_order(order.folder).origin.credit == Credit()


def test_i22_text_of_a_file_never_reaches_a_note_as_it_is() -> None:
    nasty = b"<script>\r\n\x1b[31m" + b"A" * 2**20
    for before in (chunk(b"tEXt", b"Comment\0" + nasty), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + nasty)):
        data = file_of(cutout())
        order = prepare(data[:33] + before + data[33:], description=SCENE)
        assert b"script" not in order.canvas.png
        assert all(note.isprintable() for note in order.origin.warnings)


def test_a_refusal_is_printable_whatever_stands_in_the_file() -> None:
    makers: list[Callable[[], bytes]] = [
        lambda: b"\x1b[31m\r\nHello",
        lambda: b"\x89PNG\r\n\x1a\n" + chunk(b"\x1b[\n1", b"x") * 2,
        lambda: b"II*\0\x08\0\0\0\x01\0" + b"\x1b" * 100,
    ]
    for make in makers:
        with pytest.raises(PhotoRefused) as caught:
            load(make())
        assert str(caught.value).isprintable()
        assert not re.search(r"[\r\n\x1b]", str(caught.value))
