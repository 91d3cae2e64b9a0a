"""The sandbox over real HTTP: its contract, its counts, its faults on the wire."""

import base64
import http.client
import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.redraw import PlantedChanges
from photio_prep.errors import UsageError
from photio_prep.geometry import SIZES
from photio_prep.sandbox import FAULTS, FaultPlan, Sandbox, fingerprint, parse_faults
from photio_prep.sandbox.contract import ContractError, read_request

KEY = "pt-canary-3f9c2a77"
COMPLETE = ("slice", "identity", "sameanswer")


def canvas(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A red product with a soft rim in the middle of nothing."""
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    width, height = size
    picture.paste((200, 40, 30, 128), (width // 4 - 1, height // 4 - 1, 3 * width // 4 + 1, 3 * height // 4 + 1))
    picture.paste((200, 40, 30, 255), (width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    return picture


def png_of(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def fields(png: bytes | None = None, **changes: Any) -> dict[str, Any]:
    image = base64.b64encode(png if png is not None else png_of(canvas())).decode()
    return {"product_description": "on a marble table", "product_image": image, "seed": 7} | changes


def body_of(png: bytes | None = None, **changes: Any) -> bytes:
    return json.dumps(fields(png, **changes)).encode()


@contextmanager
def answer(
    sandbox: Sandbox,
    body: bytes | None = None,
    *,
    method: str = "POST",
    path: str | None = None,
    headers: Mapping[str, str | None] | None = None,
    timeout: float = 20,
) -> Iterator[http.client.HTTPResponse]:
    """The answer to one request; a header of None is left out."""
    address = urlsplit(sandbox.url)
    assert address.hostname is not None
    sent: dict[str, str | None] = {"Content-Type": "application/json", "X-Photio-Key": KEY, **(headers or {})}
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
    with closing(connection):
        connection.request(
            method,
            path or address.path,
            body if body is not None else body_of(),
            {name: value for name, value in sent.items() if value is not None},
        )
        with connection.getresponse() as response:
            yield response


def asked(sandbox: Sandbox, body: bytes | None = None, **options: Any) -> tuple[int, dict[str, Any]]:
    with answer(sandbox, body, **options) as response:
        return response.status, json.loads(response.read())


def picture_in(message: Mapping[str, Any]) -> Image.Image:
    with Image.open(io.BytesIO(base64.b64decode(message["body"], validate=True))) as picture:
        picture.load()
        return picture


@pytest.fixture(scope="module")
def plain() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


# The contract


def test_a_valid_call_is_answered_with_a_picture_of_the_same_size_and_marked(plain: Sandbox) -> None:
    charges = plain.charges
    with answer(plain) as response:
        raw = response.read()
        assert response.version == 11
        assert response.getheader("Connection") == "close"
        assert int(response.getheader("Content-Length") or 0) == len(raw)
        assert response.getheader("Content-Type") == "application/json"
    message = json.loads(raw)
    assert (response.status, message["status_code"], message["sandbox"]) == (200, 200, True)
    picture = picture_in(message)
    assert (picture.format, picture.size, picture.mode) == ("PNG", (64, 48), "RGB")
    assert plain.charges == charges + 1
    call = plain.log[-1]
    assert (call.seed, call.description, call.charged, call.status, call.fault) == (
        7,
        "on a marble table",
        True,
        200,
        None,
    )


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (401, {"headers": {"X-Photio-Key": None}}),
        (401, {"headers": {"X-Photio-Key": ""}}),
        (401, {"headers": {"X-Photio-Key": "   "}}),
        (401, {"headers": {"X-Photio-Key": "pt-refused"}}),
        (401, {"headers": {"X-Photio-Key": None, "Authorization": f"Bearer {KEY}"}}),
        (415, {"headers": {"Content-Type": None}}),
        (415, {"headers": {"Content-Type": "text/plain"}}),
        (404, {"path": "/"}),
        (404, {"path": "/v1/inference/instant/"}),
        (404, {"path": "/nowhere", "method": "GET"}),
        (405, {"method": "GET"}),
        (405, {"method": "PUT"}),
        (405, {"method": "DELETE"}),
        (411, {"headers": {"Transfer-Encoding": "chunked"}, "body": b"0\r\n\r\n"}),
        (400, {"headers": {"Content-Length": "many"}}),
        (413, {"headers": {"Content-Length": "999999999"}}),
    ],
)
@pytest.mark.parametrize("always_200", [False, True])
def test_what_breaks_the_contract_is_refused_in_json_and_not_charged(
    status: int, options: dict[str, Any], always_200: bool
) -> None:
    with Sandbox(http_status_always_200=always_200) as sandbox:
        http_status, message = asked(sandbox, **options)
        assert message["status_code"] == status
        assert http_status == (200 if always_200 else status)
        assert message["sandbox"] is True
        assert isinstance(message["body"], str)
        assert message["body"]
        assert (sandbox.calls, sandbox.charges) == (1, 0)
        assert [each.status for each in sandbox.log] == [status]


def test_a_405_says_what_is_allowed_and_head_has_no_body(plain: Sandbox) -> None:
    with answer(plain, method="HEAD") as response:
        assert response.status == 405
        assert response.getheader("Allow") == "POST"
        assert response.read() == b""


def test_no_length_at_all_is_411(plain: Sandbox) -> None:
    address = urlsplit(plain.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(f"POST {address.path} HTTP/1.1\r\nHost: x\r\nX-Photio-Key: {KEY}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


def test_a_body_of_more_than_64_mib_is_read_away_and_refused_with_413(plain: Sandbox) -> None:
    status, message = asked(plain, b" " * (64 * 1024 * 1024 + 1))
    assert (status, message["status_code"]) == (413, 413)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b"not json", "JSON"),
        (b'\xff{"a": 1}', "JSON"),
        (b"[" * 100_000, "JSON"),
        (b'{"seed": NaN}', "NaN"),
        (b"[]", "object"),
        (b"null", "object"),
        (body_of(product_descriptoin="typo"), "product_descriptoin"),
        (json.dumps({"product_image": "x"}).encode(), "product_description is missing"),
        (json.dumps({"product_description": "x"}).encode(), "product_image is missing"),
        (body_of(product_description=None), "product_description must be a string"),
        (body_of(product_description=["a"]), "product_description must be a string"),
        (body_of(negative_prompt=None), "negative_prompt must be a string"),
        (body_of(product_image=3), "product_image must be a string"),
        (body_of(product_image=""), "not a PNG"),
        (body_of(product_image="!!!!"), "not base64"),
        (body_of(product_image="é"), "not base64"),
        (body_of(product_image=base64.encodebytes(png_of(canvas())).decode()), "not base64"),
        (body_of(product_image=base64.b64encode(png_of(canvas())).decode() + "===="), "not base64"),
        (body_of(product_image="data:image/png;base64,AAAA"), "data: prefix"),
        (body_of(product_image="https://example.com/a.png"), "URL"),
        (body_of(b"\xff\xd8\xff" + b"0" * 100), "not a PNG"),
        (body_of(png_of(canvas())[:-30]), "cannot be read"),
        (body_of(png_of(canvas())[:20]), "not a PNG"),
        (body_of(png_of(Image.new("1", (2001, 2000)))), "4000000 pixels"),
        (body_of(seed=True), "seed must be an integer"),
        (body_of(seed="7"), "seed must be an integer"),
        (body_of(seed=1.0), "seed must be an integer"),
        (body_of(seed=None), "seed must be an integer"),
        (body_of(seed=0), "seed must be -1 or 1 to 4294967296"),
        (body_of(seed=-2), "seed must be"),
        (body_of(seed=4_294_967_297), "seed must be"),
    ],
)
def test_a_wrong_body_is_422_and_says_why(plain: Sandbox, body: bytes, word: str) -> None:
    charges = plain.charges
    status, message = asked(plain, body)
    assert (status, message["status_code"]) == (422, 422)
    assert word in message["body"]
    assert plain.charges == charges


def test_a_png_that_claims_two_milliards_of_pixels_a_side_is_refused_from_its_header() -> None:
    png = bytearray(png_of(canvas()))
    png[16:24] = b"\x7f\xff\xff\xff" * 2
    with pytest.raises(ContractError, match="more than"):
        read_request(body_of(bytes(png)))


def test_an_animated_png_is_refused() -> None:
    frames = [canvas(), canvas().transpose(Image.Transpose.ROTATE_180), Image.new("RGBA", (64, 48), (9, 9, 9, 255))]
    with pytest.raises(ContractError, match="animated"):
        read_request(body_of(png_of(frames[0], save_all=True, append_images=frames[1:])))


@pytest.mark.parametrize("seed", [-1, 1, 4_294_967_295, 4_294_967_296])
def test_every_documented_seed_is_accepted(seed: int) -> None:
    assert read_request(body_of(seed=seed)).seed == seed


def test_without_a_seed_answers_differ() -> None:
    without = {name: value for name, value in fields().items() if name != "seed"}
    with Sandbox() as sandbox:
        answers = {asked(sandbox, json.dumps(without).encode())[1]["body"] for _ in range(2)}
        answers |= {asked(sandbox, body_of(seed=-1))[1]["body"] for _ in range(2)}
        assert len(answers) == 4
        assert [each.seed for each in sandbox.log] == [None, None, -1, -1]


def test_an_image_url_is_answered_from_the_stand_in_and_never_fetched() -> None:
    body = body_of(product_image="https://example.invalid/shoe.png")
    with Sandbox(url_image=png_of(canvas((40, 40))), identity=True) as sandbox:
        status, message = asked(sandbox, body)
        assert status == 200
        assert picture_in(message).size == (40, 40)


@given(st.binary(max_size=200))
def test_any_bytes_as_a_body_are_refused_and_nothing_else_happens(body: bytes) -> None:
    with pytest.raises(ContractError) as caught:
        read_request(body)
    assert caught.value.status == 422


@given(st.data())
def test_a_png_with_any_byte_changed_is_read_or_refused(data: st.DataObject) -> None:
    png = bytearray(png_of(canvas((16, 16))))
    png[data.draw(st.integers(0, len(png) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert read_request(body_of(bytes(png))).picture.mode == "RGBA"
    except ContractError as error:
        status = error.status
    else:
        status = 422
    assert status == 422


# Warnings


def test_a_careful_canvas_gives_no_warning() -> None:
    for each in SIZES:
        if each.documented:
            assert read_request(body_of(png_of(canvas(each.size)))).warnings == ()


def hidden_colour() -> Image.Image:
    picture = canvas((1024, 1024))
    picture.putpixel((0, 0), (9, 0, 0, 0))
    return picture


@pytest.mark.parametrize(
    ("png", "changes", "word"),
    [
        (png_of(canvas((64, 48))), {}, "64x48, which is not a size that Photio recommends"),
        (png_of(canvas((896, 1152))), {}, "896x1152, a size that Photio does not document"),
        (png_of(Image.new("RGB", (1024, 1024))), {}, "no alpha (mode RGB)"),
        (png_of(Image.new("RGBA", (1024, 1024), (1, 2, 3, 255))), {}, "no pixel with alpha 0"),
        (png_of(Image.new("RGBA", (1024, 1024), (0, 0, 0, 0))), {}, "no opaque pixel"),
        (png_of(hidden_colour()), {}, "colour under alpha 0 in 1 pixels"),
        (png_of(canvas((1024, 1024)), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"), {}, "metadata: exif"),
        (png_of(canvas((1024, 1024))), {"product_description": " "}, "product_description is empty"),
    ],
)
def test_what_the_api_would_take_in_silence_is_warned_about(png: bytes, changes: dict[str, Any], word: str) -> None:
    warnings = read_request(body_of(png, **changes)).warnings
    assert any(word in each for each in warnings), warnings


def test_warnings_are_recorded_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "photio_prep.sandbox"), Sandbox() as sandbox:
        asked(sandbox)
        assert len(sandbox.warnings) == 1
        assert sandbox.warnings[0].startswith("call 1: product_image is 64x48")
    assert sandbox.warnings[0] in caplog.text


# Options


@pytest.mark.parametrize("picture_format", ["PNG", "JPEG", "WEBP"])
def test_the_format_of_the_answer_and_its_prefix_are_options(picture_format: Any) -> None:
    with Sandbox(answer_format=picture_format, data_url=True) as sandbox:
        _, message = asked(sandbox)
        prefix, _, text = message["body"].partition(",")
        assert prefix == f"data:image/{picture_format.lower()};base64"
        assert picture_in({"body": text}).format == picture_format


def test_identity_gives_back_the_very_colours() -> None:
    sent = Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 4), dtype=np.uint8))
    with Sandbox(identity=True) as sandbox:
        _, message = asked(sandbox, body_of(png_of(sent)))
        assert picture_in(message).tobytes() == sent.convert("RGB").tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {"port": -1},
        {"port": 65_536},
        {"latency": -1},
        {"latency": float("nan")},
        {"answer_format": "GIF"},
        {"faults": "x"},
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Sandbox(**options)


def test_a_taken_port_is_a_usage_error(plain: Sandbox) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        Sandbox(port=urlsplit(plain.url).port or 0).start()


def test_only_loopback_listens(plain: Sandbox) -> None:
    assert urlsplit(plain.url).hostname == "127.0.0.1"
    assert plain.url.endswith("/v1/inference/instant")
    assert plain._server is not None
    assert plain._server.socket.getsockname()[0] == "127.0.0.1"


def gone(sandbox: Sandbox) -> None:
    """A caller who does not mind that the sandbox stops under him."""
    with suppress(OSError, http.client.HTTPException):
        asked(sandbox)


def test_latency_is_waited_and_cut_short_by_stop() -> None:
    with Sandbox(latency=0.3) as sandbox:
        start = time.monotonic()
        asked(sandbox)
        assert 0.3 <= time.monotonic() - start < 10
    with Sandbox(latency=3_000) as sandbox:
        thread = threading.Thread(target=gone, args=(sandbox,))
        thread.start()
        while not sandbox.charges:
            time.sleep(0.01)
        start = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - start < 10
        thread.join(30)
        assert not thread.is_alive()


def test_stop_may_be_called_twice_and_frees_the_port() -> None:
    with Sandbox() as sandbox:
        port = urlsplit(sandbox.url).port or 0
    sandbox.stop()
    with Sandbox(port=port) as again:
        assert asked(again)[0] == 200


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_the_verb_tells_the_url_serves_and_ends_on_ctrl_c() -> None:
    # A process that was started in the background may have been told to ignore Ctrl-C.
    code = (
        "import signal; from photio_prep.cli import main; signal.signal(signal.SIGINT, signal.default_int_handler);"
        " main(['sandbox', '--port', '0'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        reply = requests.post(url, json=fields(), headers={"X-Photio-Key": KEY}, timeout=60)
        assert reply.json()["status_code"] == 200
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 0, messages
    assert f"PHOTIO_API_URL={url}" in messages
    assert "call 1: 200, charged" in messages
    assert "1 calls, 1 charged" in messages


# What is counted and kept


def test_many_callers_at_once_are_all_counted_once() -> None:
    with Sandbox(identity=True) as sandbox:
        threads = [threading.Thread(target=asked, args=(sandbox, body_of(seed=each + 1))) for each in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (sandbox.calls, sandbox.charges) == (24, 24)
        assert sorted(each.number for each in sandbox.log) == list(range(1, 25))
        assert sorted(each.seed or 0 for each in sandbox.log) == list(range(1, 25))


def test_a_request_that_stops_half_way_is_a_call_but_no_charge() -> None:
    with Sandbox() as sandbox:
        address = urlsplit(sandbox.url)
        head = f"POST {address.path} HTTP/1.1\r\nX-Photio-Key: {KEY}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall(head.encode() + b"Content-Length: 1000\r\n\r\n" + b"{" * 999)
        while not sandbox.log:
            time.sleep(0.01)
        assert (sandbox.calls, sandbox.charges, sandbox.log[0].status) == (1, 0, 0)


def test_the_charge_stands_before_the_answer_is_made() -> None:
    with Sandbox(faults="stall") as sandbox:
        address = urlsplit(sandbox.url)
        body = body_of()
        head = f"POST {address.path} HTTP/1.1\r\nX-Photio-Key: {KEY}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
            time.sleep(0.1)
            assert sandbox.charges == 0
            connection.sendall(body[-1:])
            end = time.monotonic() + 30
            while not sandbox.charges and time.monotonic() < end:
                time.sleep(0.01)
            assert sandbox.charges == 1


@pytest.mark.parametrize("faults", [None, "401", "500", "drop", "echo500"])
def test_the_key_is_never_kept(faults: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Sandbox(faults=faults) as sandbox:
        with pytest.MonkeyPatch.context():
            try:
                asked(sandbox)
            except http.client.HTTPException:
                assert faults == "drop"
        kept = repr([vars(sandbox), sandbox.log, sandbox.warnings, vars(sandbox._call_log)])
        assert sandbox.log[0].key_fingerprint == fingerprint(KEY) != ""
    for text in (kept, caplog.text):
        assert KEY not in text
        assert base64.b64encode(KEY.encode()).decode() not in text


def test_fingerprints_tell_keys_apart() -> None:
    assert fingerprint("") == ""
    assert fingerprint("pt-a") != fingerprint("pt-b")


def test_a_scene_that_cannot_be_painted_is_500() -> None:
    def broken(*_: object) -> Image.Image:
        raise ZeroDivisionError

    with Sandbox(paint=broken) as sandbox:
        status, message = asked(sandbox)
        assert (status, message["status_code"]) == (500, 500)
        assert sandbox.log[-1].status == 500
        assert sandbox.log[-1].charged


# The fault plan


def test_a_plan_is_read_in_a_row() -> None:
    plan = parse_faults("429:3, drop:1,500@9,reset:1@11")
    names = [plan.at(number) for number in range(1, 13)]
    assert names == ["429"] * 3 + ["drop"] + [None] * 4 + ["500"] * 2 + ["reset", "500"]


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_plan_is_no_fault(text: str | None) -> None:
    assert parse_faults(text) == FaultPlan()
    assert parse_faults(text).at(1) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nonsense", "no fault is called 'nonsense'"),
        ("429:0", "has a count of 0"),
        ("429@0", "before the first call"),
        ("429:-1", "is not a fault"),
        ("429:x", "is not a fault"),
        ("429:1:2", "is not a fault"),
        ("429,,drop", "is not a fault"),
        (",", "is not a fault"),
        ("drop,429:2", "never reached"),
    ],
)
def test_a_plan_that_cannot_be_meant_says_so(text: str, word: str) -> None:
    with pytest.raises(UsageError, match="--fault") as caught:
        parse_faults(text)
    assert word in str(caught.value)
    assert caught.value.fix


@given(st.lists(st.tuples(st.sampled_from(sorted(FAULTS)), st.integers(1, 5)), max_size=6))
def test_counts_in_a_row_add_up(entries: list[tuple[str, int]]) -> None:
    plan = parse_faults(",".join(f"{name}:{count}" for name, count in entries))
    expected = [name for name, count in entries for _ in range(count)]
    assert [plan.at(number + 1) for number in range(len(expected) + 2)] == [*expected, None, None]


@given(st.text(max_size=20))
def test_any_text_is_a_plan_or_a_usage_error(text: str) -> None:
    try:
        subject = "--fault" if isinstance(parse_faults(text), FaultPlan) else ""
    except UsageError as error:
        subject = error.subject
    assert subject == "--fault"


# The faults on the wire

WHOLE = [name for name in FAULTS if name[:3].isdigit()]


@pytest.mark.parametrize("name", WHOLE)
def test_a_status_fault_is_answered_and_charged_as_its_class_says(name: str) -> None:
    with Sandbox(faults=f"{name}:1", identity=True, retry_after=3) as sandbox:
        with answer(sandbox) as response:
            assert response.status == int(name[:3]) == FAULTS[name].status
            assert json.loads(response.read())["status_code"] == response.status
            after, place = response.getheader("Retry-After"), response.getheader("Location")
        expected = {"429": "3", "503-retry-after": "3", "429-absurd": "86400"}.get(name)
        assert after == expected or name == "429-date"
        if name == "429-date":
            assert (after or "").endswith("GMT")
        if name.startswith("3"):
            port = urlsplit(sandbox.url).port
            assert place == (f"http://localhost:{port}/elsewhere" if "elsewhere" in name else sandbox.url)
        free = name[:3] in ("400", "401", "402", "403", "404", "413", "415", "422", "429") or name == "503-retry-after"
        assert sandbox.charges == (0 if free else 1)
        assert asked(sandbox)[0] == 200
        assert [each.fault for each in sandbox.log] == [name, None]


@pytest.mark.parametrize(
    ("name", "charges"),
    [
        ("notjson", 1),
        ("html200", 1),
        ("empty", 1),
        ("nobody", 1),
        ("badbase64", 1),
        ("notpicture", 1),
        ("json401", 0),
        ("json500", 1),
    ],
)
def test_a_200_that_is_none(name: str, charges: int) -> None:
    with Sandbox(faults=name) as sandbox:
        with answer(sandbox) as response:
            raw = response.read()
            assert response.status == 200
            kind = response.getheader("Content-Type")
        assert sandbox.charges == charges
    if name in ("notjson", "html200", "empty"):
        assert kind == ("text/html" if name == "html200" else "application/json")
        assert raw or name == "empty"
        with pytest.raises(ValueError):
            json.loads(raw)
        return
    message = json.loads(raw)
    assert message["status_code"] == {"json401": 401, "json500": 500}.get(name, 200)
    if name == "nobody":
        assert "body" not in message
    elif name == "badbase64":
        with pytest.raises(ValueError):
            base64.b64decode(message["body"], validate=True)
    elif name == "notpicture":
        assert b"no picture" in base64.b64decode(message["body"], validate=True)


def test_echo500_repeats_the_key_in_three_shapes() -> None:
    with Sandbox(faults="echo500") as sandbox:
        status, message = asked(sandbox, headers={"X-Photio-Key": "pt-a/b+c"})
    assert status == 500
    for shape in ("pt-a/b+c", "pt-a%2Fb%2Bc", base64.b64encode(b"pt-a/b+c").decode()):
        assert shape in message["body"]


@pytest.mark.parametrize("name", ["drop", "reset", "reset-upload"])
def test_a_connection_that_ends_without_an_answer(name: str) -> None:
    error = {"drop": http.client.RemoteDisconnected}.get(name, ConnectionError)
    with Sandbox(faults=name) as sandbox:
        with pytest.raises(error) as caught:
            asked(sandbox)
        if name != "drop":
            assert not isinstance(caught.value, http.client.RemoteDisconnected)
        assert (sandbox.calls, sandbox.charges) == (1, 0 if name == "reset-upload" else 1)
        assert (sandbox.log[0].status, sandbox.log[0].fault) == (0, name)


def test_reset_upload_meets_the_client_in_the_middle_of_its_request() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1400, 1400, 4), dtype=np.uint8))
    with Sandbox(faults="reset-upload") as sandbox:
        with pytest.raises(ConnectionError):
            asked(sandbox, body_of(png_of(noise, compress_level=0)))
        assert sandbox.charges == 0


@pytest.mark.parametrize("name", ["stall", "stall-upload"])
def test_a_server_that_never_answers(name: str) -> None:
    with Sandbox(faults=name) as sandbox:
        with pytest.raises(TimeoutError):
            asked(sandbox, timeout=0.4)
        end = time.monotonic() + 30
        while not sandbox.log and time.monotonic() < end:
            time.sleep(0.01)
        assert sandbox.charges == (1 if name == "stall" else 0)


def test_trickle_gives_a_byte_a_second() -> None:
    with Sandbox(faults="trickle") as sandbox, answer(sandbox) as response:
        assert int(response.getheader("Content-Length") or 0) > 1000
        start = time.monotonic()
        assert response.read1(100) == b"{"
        assert response.read1(100) == b'"'
        assert 0.8 < time.monotonic() - start < 10


def test_slow_gives_50_kb_a_second() -> None:
    with Sandbox(faults="slow", identity=True) as sandbox:
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 4), dtype=np.uint8))
        start = time.monotonic()
        assert asked(sandbox, body_of(png_of(noise)))[0] == 200
        assert 0.35 < time.monotonic() - start < 10


@pytest.mark.parametrize("name", ["cut", "chunk-cut"])
def test_an_answer_that_ends_too_early(name: str) -> None:
    with Sandbox(faults=name) as sandbox:
        with answer(sandbox) as response:
            with pytest.raises(http.client.IncompleteRead) as caught:
                response.read()
            assert caught.value.partial.startswith(b'{"status_code": 200')
            assert (response.getheader("Transfer-Encoding") == "chunked") is (name == "chunk-cut")
        assert sandbox.charges == 1


@pytest.mark.parametrize("name", ["wrongsize", "truncated"])
def test_a_picture_that_cannot_be_used(name: str) -> None:
    with Sandbox(faults=name) as sandbox:
        _, message = asked(sandbox)
    if name == "wrongsize":
        assert picture_in(message).size == (32, 25)
    else:
        with pytest.raises(OSError, match="truncated"):
            picture_in(message)


def test_gzipbomb_is_small_outside_well_formed_and_large_inside() -> None:
    with Sandbox(faults="gzipbomb") as sandbox, answer(sandbox) as response:
        assert response.getheader("Content-Encoding") == "gzip"
        raw = response.read()
    assert len(raw) < 1_000_000
    unpacker = zlib.decompressobj(31)
    head, size, data = b"", 0, raw
    while data:
        piece = unpacker.decompress(data, 8 * 1024 * 1024)
        head, size, data = head or piece[:30], size + len(piece), unpacker.unconsumed_tail
    assert unpacker.eof
    assert head.startswith(b'{"status_code": 200')
    assert size > 256 * 1024 * 1024


def test_f15_a_sliced_answer_is_whole() -> None:
    with Sandbox() as sandbox, Sandbox(faults="slice") as slicer:
        assert asked(slicer) == asked(sandbox)


def test_identity_and_sameanswer_as_faults() -> None:
    sent = canvas()
    with Sandbox(faults="identity:1,sameanswer") as sandbox:
        first = asked(sandbox, body_of(png_of(sent)))[1]
        assert picture_in(first).tobytes() == sent.convert("RGB").tobytes()
        other = body_of(png_of(canvas((80, 80))), seed=9)
        assert asked(sandbox, other)[1] == first
        assert sandbox.charges == 2


def test_a_fault_on_a_wrong_request_gives_way_to_the_refusal() -> None:
    with Sandbox(faults="drop") as sandbox:
        assert asked(sandbox, headers={"X-Photio-Key": None})[0] == 401
        assert sandbox.charges == 0


def test_a_client_that_follows_a_redirect_pays_again() -> None:
    with Sandbox(faults="307:1", identity=True) as sandbox:
        reply = requests.post(sandbox.url, json=fields(), headers={"X-Photio-Key": KEY}, timeout=30)
        assert reply.status_code == 200
        assert (sandbox.calls, sandbox.charges) == (2, 2)


def test_a_painter_of_the_caller_s_own_paints_the_answers() -> None:
    with Sandbox() as plain, Sandbox(paint=PlantedChanges(tone=(30, 0, 0)).paint) as shifted:
        before, after = (np.asarray(picture_in(asked(each)[1]), dtype=int) for each in (plain, shifted))
        inside = (after - before)[16:32, 20:44]
        assert inside[..., 0].mean() == pytest.approx(30, abs=1)
        assert abs(inside[..., 1:]).max() == 0


def test_every_fault_has_words_and_a_status() -> None:
    for name, fault in FAULTS.items():
        assert fault.about
        assert FAULTS[name].status == 0 or 200 <= FAULTS[name].status < 600
