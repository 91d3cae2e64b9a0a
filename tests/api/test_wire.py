"""The JSON of the API: exactly these bytes go out; every odd answer is judged, and none crashes."""

import base64
import gzip
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from photio_prep.api.wire import encode_request, order_key, parse_answer, request_prefix
from photio_prep.errors import KeyRefused, OutcomeUnknown, PaidUnusable, PhotioError
from photio_prep.geometry import Size, place
from photio_prep.types import Canvas, Request
from tests.support.photos import SCENE, cutout, encoded, photo, request

SIZE = Size(48, 32)
URL = "https://api.photio.io/v1/inference/instant"
SENT = request(SIZE)
PICTURE = photo(SIZE)
CODED = base64.b64encode(encoded(PICTURE)).decode()


def says(body: object = CODED, status: object = 200, **more: object) -> bytes:
    return json.dumps({"status_code": status, "body": body, **more}).encode()


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_the_fields_are_exactly_those_of_the_api() -> None:
    assert json.loads(encode_request(SENT)) == {
        "product_description": SCENE,
        "seed": 7,
        "product_image": base64.b64encode(SENT.canvas.png).decode(),
    }


def test_the_negative_prompt_is_there_only_when_it_was_given() -> None:
    assert json.loads(encode_request(replace(SENT, negative_prompt="people")))["negative_prompt"] == "people"
    assert json.loads(encode_request(replace(SENT, negative_prompt="")))["negative_prompt"] == ""
    assert b"negative" not in encode_request(SENT)


def test_an_address_stands_in_place_of_the_picture() -> None:
    url = 'https://a.example/x.png?a="b"&c=ü'
    assert json.loads(encode_request(replace(SENT, image_url=url)))["product_image"] == url


@given(st.text(), st.none() | st.text(), st.integers(1, 2**32), st.binary(max_size=400))
def test_the_body_is_the_json_of_its_fields_in_plain_ascii(
    description: str, negative: str | None, seed: int, png: bytes
) -> None:
    sent = Request(Canvas(png, SENT.canvas.placement), description, seed, negative)
    sent_body = encode_request(sent)
    assert sent_body.isascii()
    assert sent_body.startswith(request_prefix(sent))
    found = json.loads(sent_body)
    assert base64.b64decode(found.pop("product_image"), validate=True) == png
    expected = {"product_description": description, "seed": seed, "negative_prompt": negative}
    assert found == {name: value for name, value in expected.items() if value is not None}


# --- the key ---------------------------------------------------------------------------------------------------------

OTHERS = {
    "description": replace(SENT, description="on a beach"),
    "seed": replace(SENT, seed=8),
    "negative prompt": replace(SENT, negative_prompt="people"),
    "empty negative prompt": replace(SENT, negative_prompt=""),
    "address": replace(SENT, image_url="https://a.example/x.png"),
    "canvas": replace(SENT, canvas=replace(SENT.canvas, png=SENT.canvas.png + b"\0")),
    "size": replace(SENT, canvas=replace(SENT.canvas, placement=place(Size(32, 48), Size(32, 48)))),
}


def test_the_key_changes_with_every_field_and_with_the_endpoint() -> None:
    keys = [
        order_key(SENT, URL),
        order_key(SENT, f"{URL}/"),
        order_key(SENT, "sandbox"),
        *(order_key(each, URL) for each in OTHERS.values()),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(each) == 64 for each in keys)


def test_the_key_is_that_of_the_request_alone() -> None:
    same = replace(SENT, canvas=Canvas(bytes(SENT.canvas.png), place(Size(96, 64), SIZE)))
    assert order_key(same, URL) == order_key(SENT, URL)


@given(st.text(), st.text(), st.text())
def test_no_two_requests_share_a_key_by_shifting_words(endpoint: str, description: str, negative: str) -> None:
    one = order_key(replace(SENT, description=description, negative_prompt=negative), endpoint)
    other = order_key(replace(SENT, description=description + negative, negative_prompt=None), endpoint)
    assert one != other


def test_the_key_of_a_request_never_changes_between_versions() -> None:
    """A change here makes every paid order on disk a new one: it would be paid for again."""
    sent = Request(Canvas(b"png", place(SIZE, SIZE)), "scene", 1, None, None)
    assert order_key(sent, URL) == "8caf7ebf5bde7e94eaa93f32e707b3e43444fb89c16390dae1f0ce4f3b0bc782"


# --- what comes back: good -------------------------------------------------------------------------------------------


def same(raw: bytes) -> None:
    found = parse_answer(raw, SIZE)
    assert (found.mode, found.size) == ("RGB", SIZE)
    assert np.abs(np.asarray(found).astype(int) - np.asarray(PICTURE)).max() <= 40
    assert np.abs(np.asarray(found).astype(int) - np.asarray(PICTURE)).mean() <= 3


@pytest.mark.parametrize("status", [200, "200"])
def test_a_plain_answer(status: object) -> None:
    assert parse_answer(says(status=status), SIZE).tobytes() == PICTURE.tobytes()


@pytest.mark.parametrize(
    "text",
    [
        f"data:image/png;base64,{CODED}",
        f"DATA:image/png;base64,{CODED}",
        f"  data:image/png;base64,\n{CODED}",
        f"{CODED}\n",
        "\r\n".join(CODED[at : at + 76] for at in range(0, len(CODED), 76)),
        CODED.rstrip("="),
        CODED.replace("+", "-").replace("/", "_"),
    ],
    ids=["prefix", "PREFIX", "spaced prefix", "newline", "wrapped", "no padding", "URL-safe"],
)
def test_the_documented_leniency(text: str) -> None:
    assert parse_answer(says(text), SIZE).tobytes() == PICTURE.tobytes()


@pytest.mark.parametrize("length", [0, 1, 2])
def test_missing_padding_of_every_length(length: int) -> None:
    data = encoded(PICTURE) + b"\0" * length  # what follows a PNG's end is not read
    same(says(base64.b64encode(data).decode().rstrip("=")))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_the_format_is_seen_from_the_bytes(kind: str) -> None:
    same(says(base64.b64encode(encoded(PICTURE, kind)).decode()))


def test_more_fields_white_space_and_a_byte_order_mark_do_no_harm() -> None:
    same(says(cost=1, message=None))
    same(b"\n " + says() + b"\n")
    same(b"\xef\xbb\xbf" + says())


def test_an_answer_that_somebody_compressed_on_the_way() -> None:
    same(gzip.compress(says(), mtime=0))


def test_a_transparent_answer_is_shown_on_white() -> None:
    found = parse_answer(says(base64.b64encode(encoded(cutout(SIZE))).decode()), SIZE)
    assert found.mode == "RGB"
    assert found.getpixel((0, 0)) == (255, 255, 255)


# --- what comes back: unknown ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"200",
        b"<!DOCTYPE html><h1>502 Bad Gateway</h1>",
        says()[:-1],
        says()[: len(says()) // 2],
        b"[" * 100_000,
        b'{"status_code":' * 100_000,
        b'{"status_code": 200, "status_code": 200, "body": "x"}',
        b'{"status_code": NaN}',
        b'{"status_code": 200, "body": Infinity}',
        b'{"status_code": ' + b"9" * 5000 + b"}",
        b"\xff\xfe\x00",
        b"\x80\x81",
        gzip.compress(says(), mtime=0)[:-12],
        b"\x1f\x8b no gzip",
        says() + b"{}",
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_what_is_no_answer_is_unknown(raw: bytes) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        parse_answer(raw, SIZE)
    assert len(str(caught.value)) < 500
    assert "not sent again" in caught.value.fix


@pytest.mark.parametrize(
    "status", [None, "", "OK", " 200", "0200", 200.0, True, False, 201, 204, 0, -1, 400, 403, 429, 500, 503, [200], {}]
)
def test_only_the_number_200_is_success(status: object) -> None:
    with pytest.raises(OutcomeUnknown):
        parse_answer(says(status=status), SIZE)


def test_a_missing_status_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        parse_answer(json.dumps({"body": CODED}).encode(), SIZE)


@pytest.mark.parametrize("depth", [900, 950, 980, 990, 995, 1000])
@pytest.mark.parametrize("what", [b'{"status_code":%s}', b"%s", b'{"status_code":200,"body":%s}'])
def test_nesting_up_to_where_the_parser_gives_up(depth: int, what: bytes) -> None:
    with pytest.raises((OutcomeUnknown, PaidUnusable)):
        parse_answer(what % (b"[" * depth + b"]" * depth), SIZE)


def test_what_the_server_says_is_told_cut_short() -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        parse_answer(says("out of memory " * 1000, 500), SIZE)
    assert "status_code '500'" in caught.value.problem
    assert "out of memory" in caught.value.problem
    assert len(caught.value.problem) < 700


def test_a_refused_key_is_not_billed() -> None:
    with pytest.raises(KeyRefused):
        parse_answer(says("Unauthorized", 401), SIZE)
    for odd in ("401", 401.0):
        with pytest.raises(OutcomeUnknown):
            parse_answer(says("Unauthorized", odd), SIZE)


# --- what comes back: paid, but unusable -----------------------------------------------------------------------------


@pytest.mark.parametrize("found", [None, "", " \n", 0, 1.5, True, [], {}, [CODED], {"image": CODED}])
def test_a_body_that_is_no_text(found: object) -> None:
    with pytest.raises(PaidUnusable):
        parse_answer(says(found), SIZE)


def test_a_missing_body() -> None:
    with pytest.raises(PaidUnusable):
        parse_answer(b'{"status_code": 200}', SIZE)


def frames() -> bytes:
    holder = io.BytesIO()
    PICTURE.save(holder, "GIF", save_all=True, append_images=[Image.new("RGB", SIZE)])
    return holder.getvalue()


def turned() -> bytes:
    """As stored it has the asked size; as seen it has not."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return encoded(PICTURE, "JPEG", exif=exif)


@pytest.mark.parametrize(
    "data",
    [
        b"no picture at all",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        encoded(PICTURE)[:-1],
        encoded(PICTURE)[:100],
        encoded(PICTURE, "JPEG")[:-20],
        encoded(Image.new("1", (30_000, 30_000))),
        encoded(photo((32, 48))),
        encoded(photo((47, 32))),
        encoded(photo((95, 64))),
        encoded(photo((23, 15))),
        encoded(photo((12, 8))),
        encoded(Image.new("RGBA", SIZE)),
        frames(),
        turned(),
    ],
    ids=[
        *(
            "text",
            "SVG",
            "cut PNG",
            "half a PNG",
            "cut JPEG",
            "bomb",
            "turned",
            "narrower",
            "larger",
            "smaller",
            "thumbnail",
        ),
        *("clear", "two frames", "turned by EXIF"),
    ],
)
def test_a_body_that_is_no_picture_of_the_asked_shape(data: bytes) -> None:
    with pytest.raises(PaidUnusable) as caught:
        parse_answer(says(base64.b64encode(data).decode()), SIZE)
    assert "stored" in caught.value.fix


@pytest.mark.parametrize("size", [(48, 32), (96, 64), (97, 65), (480, 320), (72, 48)])
def test_an_answer_may_be_larger_and_of_the_same_shape(size: tuple[int, int]) -> None:
    assert parse_answer(says(base64.b64encode(encoded(photo(size))).decode()), SIZE).size == size


@pytest.mark.parametrize("size", [(24, 16), (47, 31), (47, 32)])
def test_a_smaller_answer_is_never_enlarged(size: tuple[int, int]) -> None:
    with pytest.raises(PaidUnusable, match="instead of 48x32"):
        parse_answer(says(base64.b64encode(encoded(photo(size))).decode()), SIZE)


@pytest.mark.parametrize(
    "text",
    ["not base64!", "data:image/png;base64,", "data:image/png;base64", f"{CODED}ü", f"{CODED}*", f"A{CODED}", "====="],
)
def test_a_body_that_is_no_base64(text: str) -> None:
    with pytest.raises(PaidUnusable):
        parse_answer(says(text), SIZE)


# --- anything --------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["status_code", "body"]) | st.text(), inner),
    max_leaves=8,
)


@given(JSON | st.fixed_dictionaries({"status_code": st.sampled_from([200, "200"]), "body": JSON}))
def test_any_json_is_judged(found: Any) -> None:
    with pytest.raises(PhotioError):
        parse_answer(json.dumps(found).encode(), SIZE)


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(raw: bytes) -> None:
    with pytest.raises(PhotioError):
        parse_answer(raw, SIZE)


@given(st.text(max_size=300))
def test_any_text_in_a_paid_answer_is_kept_as_unusable(text: str) -> None:
    with pytest.raises(PaidUnusable):
        parse_answer(says(text), SIZE)
