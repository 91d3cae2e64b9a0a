"""What finals state of how they were made: IPTC's term in XMP, escaped, in every format, the same bytes each time."""

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from PIL import Image

from photio_prep.final.provenance import TYPES, packet, source_type
from photio_prep.imaging.encode import SANDBOX_MARK, encode_picture
from photio_prep.orders.store import SANDBOX, Order
from tests.final.test_writer import answered
from tests.support import photos
from tests.support.commands import Command
from tests.support.finals import write_final
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from photio_prep.final.options import Provenance

EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def order(description: str = photos.SCENE, *, endpoint: str = "https://api.example/x") -> Order:
    return photos.order(description=description, endpoint=endpoint)


def description_of(data: bytes) -> ElementTree.Element:
    """The one rdf:Description of the one packet in a file."""
    (found,) = re.findall(rb"<x:xmpmeta.*?</x:xmpmeta>", data, re.DOTALL)
    (one,) = ElementTree.fromstring(found).iter(f"{RDF}Description")
    return one


def embedded(data: bytes) -> bytes:
    """What Pillow finds as the file's XMP."""
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        found = opened.info.get("xmp", opened.info.get("XML:com.adobe.xmp", b""))
    return found.encode() if isinstance(found, str) else bytes(found)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("sandbox", [False, True])
def test_the_packet_lies_in_the_file_where_readers_look_for_it(kind: str, sandbox: bool):
    said = packet(order(endpoint=SANDBOX if sandbox else "https://api.example/x"))
    assert said
    data = encode_picture(photos.photo(), kind, sandbox=sandbox, xmp=said)
    assert embedded(data) == said
    assert description_of(data).get(f"{EXT}DigitalSourceType") == TYPES["trained"]
    assert (SANDBOX_MARK in data) == sandbox
    assert data == encode_picture(photos.photo(), kind, sandbox=sandbox, xmp=said)
    assert b"GPS" not in data


def test_the_terms_are_those_of_iptc():
    assert TYPES == {
        "trained": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "composite": "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
    }
    for provenance, last in (
        ("trained", "trainedAlgorithmicMedia"),
        ("composite", "compositeWithTrainedAlgorithmicMedia"),
    ):
        asked: Provenance = "trained" if provenance == "trained" else "composite"
        assert source_type(packet(order(), asked) or b"") == last
    assert packet(order(), "none") is None
    assert source_type(b"nothing") is None


def test_by_default_the_words_are_nobodys_business():
    said = packet(order("a secret campaign")) or b""
    assert b"secret" not in said
    assert str(order().request.seed).encode() + b'"' not in said
    assert set(description_of(said).attrib) == {f"{RDF}about", f"{EXT}DigitalSourceType"}


def test_a_final_is_rewritten_when_it_is_to_state_something_else(tmp_path: Path):
    made = answered(tmp_path / "orders", format_="JPEG")
    plain = write_final(made, tmp_path / "out").read_bytes()
    stated = write_final(made, tmp_path / "out", provenance="trained").read_bytes()
    assert b"xmpmeta" not in plain
    assert source_type(stated) == "trainedAlgorithmicMedia"
    again = write_final(made, tmp_path / "out", provenance="trained")
    assert again.read_bytes() == stated
    before = again.stat().st_mtime_ns
    write_final(made, tmp_path / "out", provenance="trained")
    assert again.stat().st_mtime_ns == before  # what is there already is left alone
    composite = write_final(made, tmp_path / "out", provenance="composite").read_bytes()
    assert source_type(composite) == "compositeWithTrainedAlgorithmicMedia"
    assert write_final(made, tmp_path / "out").read_bytes() == plain
    with Image.open(io.BytesIO(plain)) as one, Image.open(io.BytesIO(composite)) as other:
        assert one.tobytes() == other.tobytes()


@sampled(
    ("options", "stated"),
    [
        ((), "trainedAlgorithmicMedia"),
        (("--provenance", "composite"), "compositeWithTrainedAlgorithmicMedia"),
        (("--provenance", "none"), None),
    ],
    1,
)
def test_on_the_command_line(command: Command, options: tuple[str, ...], stated: str | None):
    photos.saved(Path("a.png"))
    said = command("run", "a.png", "--sandbox", "-d", "on a red cloth", *options)
    assert said.code == 0
    data = said.paths[0].read_bytes()
    assert source_type(data) == stated
    assert b"on a red cloth" not in data
    assert SANDBOX_MARK in data
    assert command("finish", "photio-out", *options).paths[0].read_bytes() == data


def test_other_words_are_the_same_packet():
    one = order()
    other = replace(one, request=replace(one.request, description="in the snow"))
    assert packet(one) == packet(other)
