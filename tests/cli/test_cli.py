"""The command line as scripts see it: stdout, stderr, exit codes, folders; real HTTP, no model unless marked."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import pytest
from PIL import Image

from photio_prep import cli, pipeline
from photio_prep.cli import preparation
from photio_prep.orders import store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.options import PrepareOptions
from photio_prep.orders.store import SANDBOX
from photio_prep.sandbox import Sandbox
from tests.support.commands import KEY, Command, Said, alone, with_default_signals
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import echo, ok, verbatim
from tests.support.hostile_exchange import Behaviour, Exchange
from tests.support.hostile_faults import busy, close_after_reading, status
from tests.support.hostile_places import closed_port
from tests.support.photos import SCENE, cutout, encoded, mask, photo, saved
from tests.support.sampling import sampled

FIXTURES = Path(__file__).parents[2] / "fixtures" / "photos"


def folder_of_order(out: Path | str = "photio-out") -> Path:
    (folder,) = (each.parent for each in (Path(out) / "orders").glob("*/order.json"))
    return folder


def sent_pictures(server: HostileServer) -> list[bytes]:
    found = []
    for each in server.requests:
        facts = each.json()
        assert isinstance(facts, dict)
        found.append(base64.b64decode(facts["product_image"], validate=True))
    return found


# The way of a photo.


def test_prepare_prints_the_folder_of_the_order_and_nothing_else(command: Command):
    said = command("prepare", saved(Path("shoe.png")), "-d", SCENE)
    assert said.code == 0
    assert said.paths == [folder_of_order()]
    assert {"order.json", "canvas.png", "cutout.png"} < {each.name for each in said.paths[0].iterdir()}
    with Image.open(said.paths[0] / "canvas.png") as canvas, Image.open(said.paths[0] / "cutout.png") as cut:
        assert (canvas.mode, cut.mode) == ("RGBA", "RGBA")
        assert canvas.size == (1152, 896)
        assert max(cut.size[0] / 1152, cut.size[1] / 896) == 1  # unpadded, at the canvas's scale


def test_prepare_generate_finish_and_again(command: Command, monkeypatch: pytest.MonkeyPatch):
    saved(Path("shoe.jpg"), photo())
    saved(Path("mask.png"), mask())
    with HostileServer(echo()) as server:
        monkeypatch.setenv("PHOTIO_API_URL", server.url)
        prepared = command("prepare", "shoe.jpg", "--mask", "mask.png", "-d", SCENE, "-q")
        canvas = (prepared.paths[0] / "canvas.png").read_bytes()
        assert server.connections == 0
        monkeypatch.setenv("PHOTIO_API_KEY", KEY)
        generated = command("generate", prepared.paths[0], "-q")
        assert (generated.code, generated.paths) == (0, prepared.paths)
        assert sent_pictures(server) == [canvas]  # byte for byte
        assert server.requests[0].header("X-Photio-Key") == KEY
        assert command("generate", prepared.paths[0]).code == 0
        assert server.connections == 1
    monkeypatch.delenv("PHOTIO_API_KEY")
    finished = command("finish", prepared.paths[0], "-q")
    assert (finished.code, finished.paths) == (0, [Path("photio-out/shoe-photio.jpg")])
    with Image.open(finished.paths[0]) as final:
        assert (final.format, final.size) == ("JPEG", (90, 70))
    first = finished.paths[0].read_bytes()
    assert command("finish", "photio-out").paths == finished.paths
    assert finished.paths[0].read_bytes() == first
    elsewhere = command("finish", prepared.paths[0], "-o", "other", "--format", "webp")
    assert elsewhere.paths == [Path("other/shoe-photio.webp")]


def test_run_again_costs_nothing(keyed: Command, identity: Sandbox):
    saved(Path("in/a.png"))
    saved(Path("in/sub/b.png"), cutout(shade=200))
    first = keyed("run", "in", "-d", SCENE, "--api-url", identity.url)
    assert (first.code, sorted(first.lines)) == (0, ["photio-out/a-photio.png", "photio-out/sub/b-photio.png"])
    assert identity.calls == 2
    again = keyed("run", "in", "-d", SCENE, "--api-url", identity.url)
    assert (again.code, sorted(again.lines)) == (0, sorted(first.lines))
    for each in first.paths:
        each.unlink()
    assert keyed("run", "in", "-d", SCENE, "--api-url", identity.url).code == 0
    assert all(each.exists() for each in first.paths)
    assert identity.calls == 2


def test_the_sandbox_needs_no_key_and_marks_what_it_makes(command: Command):
    said = command("run", saved(Path("a.png")), "-d", SCENE, "--sandbox", "--json")
    (facts,) = said.facts
    assert (said.code, facts["state"], facts["sandbox"]) == (0, "finished", True)
    plan = json.loads((Path(facts["order"]) / "order.json").read_text())
    assert (plan["sandbox"], plan["endpoint"]) == (True, SANDBOX)
    assert b'"sandbox": true' in (Path(facts["order"]) / "answer.raw").read_bytes()
    assert "Paid calls: 0, perhaps billed: 0" in command("status", "photio-out").err


@pytest.mark.soak
def test_a_dry_run_may_be_rehearsed_in_the_sandbox_and_then_paid_for(keyed: Command, identity: Sandbox):
    order = keyed("prepare", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url).paths[0]
    rehearsed = keyed("generate", order, "--sandbox", "--json")
    assert (rehearsed.code, rehearsed.facts[0]["sandbox"]) == (0, True)
    assert identity.calls == 0
    assert Path(rehearsed.facts[0]["order"]) != order
    paid = keyed("generate", order, "--api-url", identity.url, "--json")
    assert (paid.code, paid.facts[0]["sandbox"], Path(paid.facts[0]["order"])) == (0, False, order)
    assert identity.calls == 1


@pytest.mark.soak
def test_two_names_of_the_same_pixels_are_one_call_and_two_finals(keyed: Command, identity: Sandbox):
    for name in ("a.png", "b.png", "c.png"):
        saved(Path("in") / name)
    said = keyed("run", "in", "-d", SCENE, "--api-url", identity.url, "--jobs", "8")
    assert (said.code, len(said.lines)) == (0, 3)
    assert identity.calls == 1
    assert all(each.exists() for each in said.paths)
    assert len(OrderFolder(folder_of_order()).photos()) == 3


@pytest.mark.soak
def test_the_description_may_come_with_generate(keyed: Command, identity: Sandbox):
    order = keyed("prepare", saved(Path("a.png")), "--api-url", identity.url).paths[0]
    refused = keyed("generate", order, "--api-url", identity.url)
    assert (refused.code, identity.calls) == (2, 0)
    assert "description" in refused.err
    assert keyed("generate", order, "-d", SCENE, "--api-url", identity.url).code == 0
    assert identity.log[0].description == SCENE
    finished = keyed("finish", order)
    assert (finished.code, finished.lines) == (0, ["photio-out/a-photio.png"])


def test_generate_takes_an_output_folder_for_all_of_its_orders(keyed: Command, identity: Sandbox):
    saved(Path("a.png"))
    saved(Path("b.png"), cutout(shade=180))
    prepared = keyed("prepare", "a.png", "b.png", "-d", SCENE, "--api-url", identity.url)
    said = keyed("generate", "photio-out", "--api-url", identity.url)
    assert sorted(said.lines) == sorted(prepared.lines)
    assert identity.calls == 2


# JSON.


def test_json_has_the_fields_of_the_contract(keyed: Command, identity: Sandbox):
    saved(Path("a.png"))
    said = keyed("run", "a.png", "-d", SCENE, "--seed", "5", "--api-url", identity.url, "--json")
    (facts,) = said.facts
    folder = folder_of_order()
    assert set(facts["proof"]) >= {"product", "core", "equal", "seam", "photo_scale", "answer_scale", "notes"}
    assert set(facts["drift"]) == {"score", "sentence", "parts", "figures", "regions", "size"}
    assert facts | {"reasons": [], "proof": None, "drift": None} == {
        "source": "a.png",
        "order": str(folder),
        "key": store.load_order(folder).key,
        "state": "finished",
        "model": "alpha",
        "size": [90, 70],
        "canvas": [1152, 896],
        "tag": "Fullscreen",
        "seed": 5,
        "description": SCENE,
        "final": "photio-out/a-photio.png",
        "sandbox": False,
        "warnings": [],
        "device": "",
        "gate": "stop",
        "risk": None,
        "reasons": [],
        "product": "original",
        "proof": None,
        "drift": None,
    }
    assert {"reason", "verdict", "text", "box"} == set(facts["reasons"][0])
    assert "scaled_up" in [each["reason"] for each in facts["reasons"]]


def test_json_of_every_verb_says_the_state(keyed: Command, identity: Sandbox):
    saved(Path("a.png"))
    states = [
        keyed("prepare", "a.png", "-d", SCENE, "--api-url", identity.url, "--json").facts[0]["state"],
        keyed("generate", "photio-out", "--api-url", identity.url, "--json").facts[0]["state"],
        keyed("prepare", "a.png", "-d", SCENE, "--api-url", identity.url, "--json").facts[0]["state"],
        keyed("finish", "photio-out", "--json").facts[0]["state"],
        keyed("status", "photio-out", "--json").facts[0]["state"],
    ]
    assert states == ["planned", "answered", "answered", "finished", "finished"]


def test_json_tells_refused_photos_too(command: Command):
    Path("bad.png").write_bytes(b"no picture")
    said = command("prepare", "bad.png", saved(Path("a.png")), "--json")
    assert said.code == 3
    bad, good = said.facts
    assert (bad["source"], bad["state"], bad["order"]) == ("bad.png", "refused", None)
    assert (bad["error"]["type"], bad["error"]["exit_code"]) == ("PhotoRefused", 3)
    assert (good["state"], set(good) | {"error"}) == ("planned", set(bad))


def test_talk_is_on_stderr_and_quiet_is_quiet(keyed: Command, identity: Sandbox):
    saved(Path("a.png"))
    said = keyed("run", "a.png", "-d", "shoe", "--api-url", identity.url)
    assert said.lines == ["photio-out/a-photio.png"]
    assert "product name" in said.err
    assert keyed("run", "a.png", "-d", "shoe", "--api-url", identity.url, "-q").err == ""


def test_the_price_is_told_before_the_run(keyed: Command, identity: Sandbox):
    saved(Path("a.png"))
    said = keyed("run", "a.png", "-d", SCENE, "--api-url", identity.url, "--price", "0.5")
    assert "1 paid call, 0.50" in said.err


# Inputs and outputs.


def test_a_photo_at_an_address_of_this_machine_is_refused_and_its_secret_not_shown(keyed: Command, identity: Sandbox):
    address = identity.url.replace("/v1/inference/instant", "/a.png?token=s3cret")
    said = keyed("run", address, "-d", SCENE, "--api-url", identity.url)
    assert command_refuses(said, 3)
    assert "s3cret" not in said.err
    assert identity.calls == 0


def test_offline_means_that_no_photo_is_fetched(keyed: Command, identity: Sandbox):
    said = keyed("prepare", "https://photos.invalid/a.png", "--offline")
    assert command_refuses(said, 3)
    assert "--offline" in said.err


def test_standard_input(keyed: Command, identity: Sandbox):
    said = keyed("run", "-", "-d", SCENE, "--api-url", identity.url, "--json", stdin=encoded(cutout()))
    assert (said.code, said.facts[0]["source"], said.facts[0]["final"]) == (0, "-", "photio-out/stdin-photio.png")
    assert command_refuses(keyed("run", "-", "-d", SCENE, "--api-url", identity.url, stdin=b""), 3)
    assert identity.calls == 1


def test_photos_of_standard_input_are_told_apart_by_their_bytes(keyed: Command, identity: Sandbox):
    def run(number: int) -> tuple[list[Path], bool]:
        piped = encoded(cutout((100 + number, 80)))
        said = keyed("run", "-", "-d", SCENE, "--api-url", identity.url, "--format", "png", stdin=piped)
        assert said.code == 0, said
        return said.paths, "nothing to pay" in said.err

    (first, free), (second, second_free) = run(0), run(1)
    assert (first, free, second_free, first == second) == ([Path("photio-out/stdin-photio.png")], False, False, False)
    assert [run(number) for number in (0, 1, 0)] == [(first, True), (second, True), (first, True)]
    assert identity.calls == 2


def command_refuses(said: Said, code: int) -> bool:
    """It ended with this code, said why in one line without a traceback, and printed no result."""
    assert said.code == code, said
    assert "Traceback" not in said.err
    assert said.out == ""
    return bool(said.err.strip())


@sampled(
    ("name", "options", "final", "format_"),
    [
        ("a.jpg", [], "a-photio.jpg", "JPEG"),
        ("a.webp", [], "a-photio.webp", "WEBP"),
        ("a.png", [], "a-photio.png", "PNG"),
        ("a.tif", [], "a-photio.png", "PNG"),
        ("a.jpg", ["--format", "png"], "a-photio.png", "PNG"),
        ("a.png", ["--format", "jpg"], "a-photio.jpg", "JPEG"),
    ],
    2,
)
def test_the_final_s_format(keyed: Command, identity: Sandbox, name: str, options: list[str], final: str, format_: str):
    saved(Path(name), photo())
    saved(Path("mask.png"), mask())
    said = keyed("run", name, "--mask", "mask.png", "-d", SCENE, "--api-url", identity.url, *options)
    assert (said.code, said.lines) == (0, [f"photio-out/{final}"])
    with Image.open(said.paths[0]) as picture:
        assert (picture.format, picture.size) == (format_, (90, 70))


@pytest.mark.soak
def test_names_that_meet_are_kept_apart(keyed: Command, identity: Sandbox):
    for index, name in enumerate(("x/a.png", "y/a.png", "x/A.png", "x/a.tif")):
        saved(Path("in") / name, cutout(shade=120 + 20 * index))
    said = keyed("run", "in", "-d", SCENE, "--api-url", identity.url, "-o", "out")
    assert (said.code, identity.calls) == (0, 4)
    assert len({line.casefold() for line in said.lines}) == 4
    assert all(each.exists() for each in said.paths)


@pytest.mark.soak
def test_the_output_folder_inside_the_input_folder_is_never_input(keyed: Command, identity: Sandbox):
    saved(Path("in/a.png"))
    for out in ("in", "in/out", "in/other"):
        for _ in range(2):
            assert keyed("run", "in", "-d", SCENE, "--api-url", identity.url, "-o", out).lines == [
                f"{out}/a-photio.png"
            ]
    assert identity.calls == 3  # once for each output folder


def test_a_file_in_the_way_is_found_before_anything_is_paid(keyed: Command, identity: Sandbox):
    saved(Path("a.png"))
    Path("photio-out").mkdir()
    Path("photio-out/a-photio.png").write_bytes(b"dear to somebody")
    said = keyed("run", "a.png", "-d", SCENE, "--api-url", identity.url)
    assert command_refuses(said, 3)
    assert identity.calls == 0
    assert Path("photio-out/a-photio.png").read_bytes() == b"dear to somebody"
    assert keyed("run", "a.png", "-d", SCENE, "--api-url", identity.url, "--overwrite").code == 0
    assert identity.calls == 1


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/photio", "/dev/null", "taken"])
def test_an_output_folder_that_cannot_be_written_is_found_before_anything_is_paid(
    keyed: Command, identity: Sandbox, out: str
):
    saved(Path("a.png"))
    Path("file").write_bytes(b"x")
    Path("taken").mkdir()
    Path("taken/orders").write_bytes(b"a file where the orders belong")
    said = keyed("run", "a.png", "-d", SCENE, "--api-url", identity.url, "-o", out)
    assert said.code in (2, 7)
    assert command_refuses(said, said.code)
    assert identity.calls == 0


def test_finish_from_inside_of_the_orders_folder_writes_beside_it(
    keyed: Command, identity: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    folder = keyed("prepare", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url).paths[0]
    keyed("generate", folder, "--api-url", identity.url)
    top = Path.cwd()
    monkeypatch.chdir(folder.parent)
    assert keyed("finish", folder.name).code == 0
    assert (top / "photio-out" / "a-photio.png").exists()
    assert not (top / "photio-out" / "orders" / "a-photio.png").exists()


# Bad input: issue 2, bullet by bullet. A clear message, its exit code, no call.


@sampled(
    ("name", "data", "told"),
    [
        ("text.png", b"not a picture", "not a picture"),
        ("page.jpg", b"<!doctype html>", "not a picture"),
        ("paper.png", b"%PDF-1.7 ...", "not a picture"),
        ("empty.png", b"", "empty"),
        ("cut.png", encoded(photo())[:120], "damaged"),
        ("tiny.png", encoded(photo((15, 15))), "too small"),
    ],
    2,
)
def test_a_photo_that_is_none_is_refused_and_the_batch_goes_on(
    keyed: Command, identity: Sandbox, name: str, data: bytes, told: str
):
    Path(name).write_bytes(data)
    saved(Path("good.png"))
    said = keyed("run", name, "good.png", "-d", SCENE, "--api-url", identity.url)
    assert (said.code, said.lines) == (3, ["photio-out/good-photio.png"])
    assert name in said.err
    assert told in said.err
    assert identity.calls == 1


def test_a_photo_without_a_product_is_refused(keyed: Command, identity: Sandbox):
    saved(Path("a.png"), photo())
    saved(Path("mask.png"), Image.new("L", (90, 70)))
    said = keyed("run", "a.png", "--mask", "mask.png", "-d", SCENE, "--api-url", identity.url)
    assert command_refuses(said, 3)
    assert "no product" in said.err
    assert identity.calls == 0


def test_without_weights_the_one_command_that_mends_it_is_named(
    keyed: Command, identity: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path / "no models"))
    saved(Path("a.png"), photo())
    said = keyed("run", "a.png", "-d", SCENE, "--api-url", identity.url)
    assert command_refuses(said, 11)
    assert "photio-prep models pull" in said.err
    assert identity.calls == 0
    assert command_refuses(keyed("prepare", "a.png", "--model", "u2netp"), 11)
    assert keyed("prepare", saved(Path("cut.png"))).code == 0  # no model is needed for a cutout


def test_damaged_weights_reach_no_runtime(
    keyed: Command, identity: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "u2netp.onnx").write_bytes(b"<html>" * 762_428)
    saved(Path("a.png"), photo())
    said = keyed("run", "a.png", "-d", SCENE, "--model", "u2netp", "--api-url", identity.url)
    assert command_refuses(said, 11)
    assert identity.calls == 0


@pytest.mark.parametrize("verb", ["run", "generate"])
def test_a_paying_verb_without_a_key_is_refused(command: Command, identity: Sandbox, verb: str):
    order = command("prepare", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url).paths[0]
    what = [order] if verb == "generate" else ["a.png", "-d", SCENE]
    said = command(verb, *what, "--api-url", identity.url)
    assert command_refuses(said, 5)
    assert "PHOTIO_API_KEY" in said.err
    assert "--sandbox" in said.err
    assert identity.calls == 0


@pytest.mark.parametrize("key", ["", " ", "pt-a b", "pt-ü-123456", "pt", "x" * 10_000, "pt-'quoted'-1"])
def test_a_key_that_is_none_is_refused_before_any_connection(
    command: Command, identity: Sandbox, monkeypatch: pytest.MonkeyPatch, key: str
):
    monkeypatch.setenv("PHOTIO_API_KEY", key)
    said = command("run", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url)
    assert command_refuses(said, 5)
    assert identity.calls == 0
    assert not key.strip() or len(key) < 3 or key not in said.err


@pytest.mark.parametrize("seed", ["0", "-2", "4294967297", "1.5", "seven"])
@pytest.mark.parametrize("verb", ["prepare", "run"])
def test_a_seed_that_is_none_is_refused(keyed: Command, identity: Sandbox, verb: str, seed: str):
    said = keyed(verb, saved(Path("a.png")), "-d", SCENE, "--seed", seed, "--api-url", identity.url)
    assert command_refuses(said, 2)
    assert "seed" in said.err
    assert identity.calls == 0
    assert not Path("photio-out/orders").exists()


@pytest.mark.parametrize("words", [[], ["-d", ""], ["-d", "  \n"]])
def test_run_without_a_scene_is_refused(keyed: Command, identity: Sandbox, words: list[str]):
    said = keyed("run", saved(Path("a.png")), *words, "--api-url", identity.url)
    assert command_refuses(said, 2)
    assert "description" in said.err
    assert identity.calls == 0


@pytest.mark.parametrize("size", ["1000x1000", "Huge", "0", "-1", "1e3", "1024"])
def test_an_unknown_size_is_refused_with_the_choice(keyed: Command, identity: Sandbox, size: str):
    said = keyed("run", saved(Path("a.png")), "-d", SCENE, "--size", size, "--api-url", identity.url)
    assert command_refuses(said, 2)
    assert "1024x1024" in said.err
    assert identity.calls == 0


@pytest.mark.parametrize("size", ["896x1152", "640x1536"])
def test_a_size_that_photio_does_not_list_is_an_opt_in(command: Command, size: str):
    said = command("prepare", saved(Path("a.png")), "--size", size, "--json")
    assert said.facts[0]["canvas"] == [int(each) for each in size.split("x")]
    assert any("undocumented" in each for each in said.facts[0]["warnings"])


@sampled(
    ("behaviour", "code", "state"),
    [
        (status(401), 5, "planned"),
        (status(402), 5, "planned"),
        (status(200, b'{"status_code": 401, "body": "Unauthorized"}', charges=False), 5, "planned"),
        (status(500, b'{"status_code": 500}'), 4, "unknown"),
        (verbatim("500", b'{"status_code": 500, "body": "out of memory"}'), 4, "unknown"),
        (close_after_reading(), 4, "unknown"),
        (status(422), 3, "rejected"),
        (status(413), 3, "rejected"),
        (busy(99_999), 9, "planned"),
        (ok(lambda _: encoded(photo((64, 64)))), 10, "paid_unusable"),
        (verbatim("no picture", b'{"status_code": 200, "body": "bm8="}'), 10, "paid_unusable"),
    ],
    4,
    ids=lambda each: getattr(each, "name", str(each)),
)
def test_what_the_api_says_is_the_exit_code_and_the_state(keyed: Command, behaviour: Behaviour, code: int, state: str):
    saved(Path("a.png"))
    with HostileServer(behaviour) as server:
        said = keyed("run", "a.png", "-d", SCENE, "--api-url", server.url)
        assert command_refuses(said, code)
        assert server.connections == 1
        assert keyed("status", "photio-out", "--json").facts[0]["state"] == state
        again = keyed("run", "a.png", "-d", SCENE, "--api-url", server.url)
        assert again.code == code
        assert server.connections == (1 if code in (4, 10) else 2)
        assert server.charges <= 1
    assert KEY not in said.err


def test_a_closed_port_is_exit_9_and_nothing_is_lost(keyed: Command, identity: Sandbox):
    saved(Path("a.png"))
    with closed_port() as port:
        said = keyed("run", "a.png", "-d", SCENE, "--api-url", f"http://127.0.0.1:{port}/v1")
    assert command_refuses(said, 9)
    assert "not sent, nothing billed" in said.err


@pytest.mark.parametrize(
    "url", ["http://api.photio.io/v1", "http://10.0.0.1/", "ftp://127.0.0.1/", "nonsense", "https://"]
)
def test_an_address_that_no_key_is_sent_to_is_refused(keyed: Command, url: str):
    assert command_refuses(keyed("run", saved(Path("a.png")), "-d", SCENE, "--api-url", url), 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["prepare"],
        ["nothing"],
        ["run", "missing.png", "-d", "on marble"],
        ["run", "a.png", "-d", "on marble", "--jobs", "0"],
        ["run", "a.png", "-d", "on marble", "--jobs", "10000"],
        ["run", "a.png", "-d", "on marble", "--max-calls", "-1"],
        ["run", "a.png", "-d", "on marble", "--price", "nan"],
        ["run", "a.png", "-d", "on marble", "--max-drift", "nan"],
        ["prepare", "a.png", "--gate-at", "nan"],
        ["run", "a.png", "-d", "on marble", "--sandbox", "--api-url", "http://127.0.0.1/"],
        ["run", "a.png", "-d", "on marble", "--negative-prompt", "a", "--append-negative", "b"],
        ["run", "a.png", "-d", "on marble", "--format", "gif"],
        ["run", "a.png", "-d", "on marble", "--model", "nonsense"],
        ["generate", "missing"],
        ["finish", "missing"],
        ["status", "missing"],
        ["resolve", "missing", "--as", "retry"],
        ["run", "a.png", "--key", "pt-on-the-command-line"],
    ],
    ids=" ".join,
)
def test_a_mistake_on_the_command_line_is_exit_2(keyed: Command, arguments: list[str]):
    saved(Path("a.png"))
    assert command_refuses(keyed(*arguments), 2)


# Many photos: precedence, budget, a refused key.


def behaving(*plan: Behaviour) -> object:
    """The n-th call meets the n-th behaviour; the last one goes on."""
    return lambda n, exchange: plan[min(n, len(plan)) - 1]


@sampled(
    ("plan", "bad_photo", "code"),
    [
        ([ok(), status(422)], False, 3),
        ([status(422), close_after_reading()], True, 4),
        ([verbatim("no", b'{"status_code": 200, "body": "bm8="}'), status(422)], True, 10),
        ([verbatim("no", b'{"status_code": 200, "body": "bm8="}'), close_after_reading()], True, 4),
        ([close_after_reading(), status(401)], True, 4),
        ([status(422), status(401)], True, 5),
        ([status(422), busy(99_999)], True, 9),
        ([verbatim("no", b'{"status_code": 200, "body": "bm8="}'), status(401)], True, 10),
    ],
    3,
    ids=["3", "4 over 3", "10 over 3", "4 over 10", "4 over 5", "5 over 3", "9 over 3", "10 over 5"],
)
def test_where_several_codes_apply_the_worst_speaks(keyed: Command, plan: list[Behaviour], bad_photo: bool, code: int):
    for index in range(2):
        saved(Path(f"in/{index}.png"), cutout(shade=150 + 20 * index))
    if bad_photo:
        Path("in/bad.png").write_bytes(b"x")
    with HostileServer(behaving(*plan)) as server:  # type: ignore[arg-type]
        said = keyed("run", "in", "-d", SCENE, "--api-url", server.url, "--jobs", "1")
    assert said.code == code, said


def planned(command: Command, count: int, url: str) -> list[Path]:
    """`count` orders on disk, made from one cutout with other seeds: cheap."""
    saved(Path("a.png"))
    (first,) = command("prepare", "a.png", "-d", SCENE, "--api-url", url, "--seed", "1").paths
    made = [first]
    from tests.support.photos import revise

    for seed in range(2, count + 1):
        order = revise(store.load_order(first), seed=seed)
        assert order.folder is not None
        made.append(order.folder)
    return made


@pytest.mark.soak
def test_max_calls_is_exact_with_16_threads(keyed: Command):
    with HostileServer(ok()) as server:
        made = planned(keyed, 24, server.url)
        said = keyed("generate", *made, "--api-url", server.url, "--max-calls", "9", "--jobs", "16")
        assert (server.charges, server.connections) == (9, 9)
        assert (said.code, len(said.lines)) == (6, 9)
        states = [each["state"] for each in keyed("status", "photio-out", "--json").facts]
        assert (states.count("answered"), states.count("planned")) == (9, 15)
        rest = keyed("generate", *made, "--api-url", server.url, "--jobs", "16")
        assert (rest.code, server.charges) == (0, 24)
        assert server.charged_twice() == {}


def test_a_refused_key_stops_the_batch_and_the_rest_stays_planned(keyed: Command):
    with HostileServer(lambda n, _: ok() if n <= 3 else status(401)) as server:
        made = planned(keyed, 20, server.url)
        said = keyed("generate", *made, "--api-url", server.url, "--jobs", "4")
        server.settle()
        assert server.connections <= 3 + 1 + 4
        assert server.charges == 3
    assert said.code == 5
    states = [each["state"] for each in keyed("status", "photio-out", "--json").facts]
    assert (states.count("answered"), states.count("planned")) == (3, 17)


def test_ten_lost_answers_in_a_row_stop_the_batch(keyed: Command):
    with HostileServer(close_after_reading()) as server:
        made = planned(keyed, 20, server.url)
        said = keyed("generate", *made, "--api-url", server.url, "--jobs", "1")
        assert (said.code, server.charges) == (4, 10)
        assert "to protect your money" in said.err


def test_more_than_25_calls_need_a_yes(keyed: Command):
    with HostileServer(ok()) as server:
        made = planned(keyed, 26, server.url)
        said = keyed("generate", *made, "--api-url", server.url)
        assert command_refuses(said, 2)
        assert "--yes" in said.err
        assert server.connections == 0
        assert keyed("generate", *made, "--api-url", server.url, "--yes", "--jobs", "16").code == 0
        assert server.charges == 26


# Unknown, and the user's word.


def test_unknown_is_listed_resolved_and_never_sent_again_by_itself(keyed: Command):
    saved(Path("a.png"))
    with HostileServer([close_after_reading(), close_after_reading(), ok()]) as server:
        lost = keyed("run", "a.png", "-d", SCENE, "--api-url", server.url)
        assert lost.code == 4
        for way in ("look at your bill", "--as retry", "--as lost", str(folder_of_order())):
            assert way in lost.err
        for verb in (["run", "a.png", "-d", SCENE], ["generate", "photio-out"]):
            assert keyed(*verb, "--api-url", server.url).code == 4
        assert server.connections == 1
        listed = keyed("status")
        assert listed.lines[0].startswith("unknown")
        assert "perhaps billed: 1" in listed.err
        assert keyed("finish", "photio-out").code in (2, 4)
        assert keyed("resolve", folder_of_order(), "--as", "retry").code == 0
        assert "perhaps billed: 1" in keyed("status").err  # the lost call stays counted
        assert keyed("run", "a.png", "-d", SCENE, "--api-url", server.url).code == 4
        assert keyed("resolve", folder_of_order(), "--as", "retry").code == 0
        assert keyed("run", "a.png", "-d", SCENE, "--api-url", server.url).code == 0
        assert "Paid calls: 1, perhaps billed: 2" in keyed("status").err
        assert server.connections == 3


def test_lost_is_given_up(keyed: Command):
    saved(Path("a.png"))
    with HostileServer([close_after_reading(), ok()]) as server:
        keyed("run", "a.png", "-d", SCENE, "--api-url", server.url)
        assert keyed("resolve", folder_of_order(), "--as", "lost").code == 0
        assert keyed("run", "a.png", "-d", SCENE, "--api-url", server.url).code != 0
        assert server.connections == 1
    assert "perhaps billed: 1" in keyed("status").err


def test_resolve_of_what_is_not_unknown_is_a_mistake(command: Command):
    order = command("prepare", saved(Path("a.png")), "-d", SCENE).paths[0]
    assert command("resolve", order, "--as", "retry").code == 2
    assert command("resolve", order).code == 2


def test_an_order_that_another_machine_holds_is_exit_8(keyed: Command, identity: Sandbox):
    order = keyed("prepare", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url).paths[0]
    claim = {"host": "studio-mac", "boot": "x", "pid": 1, "started": "1", "time": "2026-01-01T00:00:00+00:00"}
    (order / "claim.json").write_text(json.dumps(claim))
    said = keyed("generate", order, "--api-url", identity.url)
    assert command_refuses(said, 8)
    assert "studio-mac" in said.err
    assert identity.calls == 0


@pytest.mark.parametrize("name", ["order.json", "canvas.png"])
def test_a_damaged_order_is_exit_7_and_nothing_is_sent(keyed: Command, identity: Sandbox, name: str):
    order = keyed("prepare", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url).paths[0]
    (order / name).write_bytes((order / name).read_bytes()[:-9])
    said = keyed("generate", order, "--api-url", identity.url)
    assert command_refuses(said, 7)
    assert identity.calls == 0
    assert str(order) in keyed("status").err


# The key.


def test_the_key_comes_from_a_guarded_file_or_standard_input(command: Command, identity: Sandbox):
    saved(Path("a.png"))
    Path("key").write_text(f"{KEY}\n")
    Path("key").chmod(0o644)
    said = command("run", "a.png", "-d", SCENE, "--api-url", identity.url, "--key-file", "key")
    assert command_refuses(said, 5)
    assert "chmod 600" in said.err
    Path("key").chmod(0o600)
    assert command("run", "a.png", "-d", SCENE, "--api-url", identity.url, "--key-file", "key").code == 0
    fed = f"{KEY}\n".encode()
    assert (
        command("run", "a.png", "-d", SCENE, "-o", "other", "--api-url", identity.url, "--key-stdin", stdin=fed).code
        == 0
    )
    assert identity.calls == 2  # another output folder has its own orders
    assert len({call.key_fingerprint for call in identity.log}) == 1


def test_a_key_and_a_photo_do_not_both_fit_into_standard_input(command: Command, identity: Sandbox):
    fed = f"{KEY}\n".encode() + encoded(cutout())
    said = command("run", "-", "-d", SCENE, "--api-url", identity.url, "--key-stdin", stdin=fed)
    assert command_refuses(said, 2)
    assert identity.calls == 0


def test_an_unusual_key_is_warned_about_and_used(command: Command, identity: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTIO_API_KEY", "sk-1234567890")
    said = command("run", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url)
    assert said.code == 0
    assert "pt-" in said.err
    assert "sk-1234567890" not in said.err


def test_a_key_in_the_environment_changes_nothing_that_is_free(command: Command, monkeypatch: pytest.MonkeyPatch):
    saved(Path("a.png"))
    bare = command("prepare", "a.png", "-d", SCENE, "--json")
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    keyed = command("prepare", "a.png", "-d", SCENE, "--json")
    assert (bare.out, bare.err, bare.code) == (keyed.out, keyed.err, keyed.code)


def test_no_file_below_the_output_folder_holds_the_key(keyed: Command):
    saved(Path("a.png"))
    leak = json.dumps({"status_code": 500, "body": f"no access for {KEY}"})
    with HostileServer([verbatim("leak", leak), ok()]) as server:
        said = keyed("run", "a.png", "-d", SCENE, "--api-url", server.url, "-v")
        keyed("run", "a.png", "-d", SCENE, "--seed", "3", "--api-url", server.url, "-v")
    assert KEY not in said.err + said.out
    files = [each for each in Path("photio-out").rglob("*") if each.is_file()]
    assert len(files) > 8
    assert not [each for each in files if KEY.encode() in each.read_bytes()]


# The verbs beside the way of a photo.


@pytest.mark.soak
def test_sizes(command: Command):
    table = command("sizes")
    assert table.code == 0
    assert len(table.lines) == 9
    assert "1152x896" in table.out
    rows = command("sizes", "1000x1000", "--json").facts
    assert [each["tag"] for each in rows if each["chosen"]] == ["Square"]
    assert [each["documented"] for each in rows].count(False) == 2
    chosen = command("sizes", saved(Path("a.png"), photo((160, 90))))
    assert next(line for line in chosen.lines if line.startswith("->")).split()[1] == "Widescreen"
    assert "ratio 1.778" in chosen.err
    assert "896x1152" in command("sizes", "800x1000").err  # would fit better, but is not on the list
    assert command_refuses(command("sizes", "missing.png"), 3)


def test_models_list_says_what_may_be_used_for_what(command: Command):
    said = command("models", "list")
    assert said.code == 0
    assert {"u2netp", "isnet-general-use", "isnet-imgly"} <= {line.split()[0] for line in said.lines}
    assert "commercial use" in said.out
    facts = {each["model"]: each for each in command("models", "list", "--json").facts}
    assert sum(each["auto"] for each in facts.values()) <= 1
    assert {"licence", "commercial", "installed", "size"} <= set(facts["u2netp"])


def test_models_path_and_offline_pull(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path / "m"))
    assert command("models", "path").lines == [str(tmp_path / "m")]
    assert command("models", "path", "u2netp").lines == [str(tmp_path / "m" / "u2netp.onnx")]
    assert command_refuses(command("models", "path", "nonsense"), 2)
    assert command_refuses(command("models", "pull", "u2netp", "--offline"), 11)
    assert command_refuses(command("models", "verify"), 11)
    assert "models pull auto" in command("models", "list").err


def test_check_without_anything_says_what_to_do(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path / "none"))
    said = command("check")
    assert said.code == 5
    told = {line[:3].strip() + " " + line.split()[1]: line for line in said.lines}
    assert {"ok versions", "ok settings", "NO model", "ok out", "ok endpoint", "NO key"} == set(told)
    assert "models pull" in told["NO model"]
    assert "PHOTIO_API_KEY" in told["NO key"]
    assert not Path("photio-out").exists()
    facts = {each["check"]: each["ok"] for each in command("check", "--json").facts}
    assert facts == {"versions": True, "settings": True, "model": False, "out": True, "endpoint": True, "key": False}


def test_check_leaves_nothing_behind(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path / "none"))
    command("check", "-o", "a/b/c")
    assert not Path("a").exists()


@pytest.mark.model
def test_check_with_everything(keyed: Command):
    said = keyed("check", "--model", "u2netp")
    assert said.code == 0
    assert all(line.startswith("ok") for line in said.lines)
    assert KEY not in said.out + said.err


def test_help_and_version_name_every_verb(command: Command):
    said = command("--help")
    assert said.code == 0
    for verb in ("prepare", "generate", "finish", "run", "status", "resolve", "models", "sizes", "check", "sandbox"):
        assert f"\n  {verb} " in said.out
        assert command(verb, "--help").code == 0
    assert "SCENE" in " ".join(command("run", "--help").out.split())
    assert command("--version").code == 0


# The command in a process of its own.


CUT_OFF = """
import sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(99)
sys.addaudithook(hook)
"""


@pytest.mark.soak
def test_prepare_and_finish_with_the_network_cut_off(tmp_path: Path, keyed: Command, identity: Sandbox):
    saved(Path("a.png"))
    prepared = alone("prepare", "a.png", "-d", SCENE, "--api-url", identity.url, before=CUT_OFF, PHOTIO_API_KEY="")
    assert (prepared.code, len(prepared.lines)) == (0, 1)
    assert keyed("generate", "photio-out", "--api-url", identity.url).code == 0
    finished = alone("finish", "photio-out", before=CUT_OFF, PHOTIO_API_KEY="")
    assert (finished.code, finished.lines) == (0, ["photio-out/a-photio.png"])
    cut = alone(
        "run", "a.png", "-d", SCENE, "-o", "other", "--api-url", identity.url, before=CUT_OFF, PHOTIO_API_KEY=KEY
    )
    assert cut.code == 99  # the hook does bite


@pytest.mark.soak
@pytest.mark.model
def test_the_real_model_with_the_network_cut_off(command: Command):
    said = alone("prepare", FIXTURES / "mug.jpg", "--model", "u2netp", "--json", before=CUT_OFF)
    assert (said.code, said.facts[0]["model"], said.facts[0]["state"]) == (0, "u2netp", "planned")
    sent = Image.open(Path(said.facts[0]["order"]) / "canvas.png")
    share = sum(sent.getchannel("A").histogram()[128:]) / (sent.width * sent.height)
    assert 0.02 < share < 0.9


@pytest.mark.model
def test_a_real_photo_goes_all_the_way_through_the_sandbox(command: Command):
    said = command("run", FIXTURES / "mug.jpg", "-d", SCENE, "--model", "u2netp", "--sandbox")
    assert (said.code, said.lines) == (0, ["photio-out/mug-photio.jpg"])
    with Image.open(FIXTURES / "mug.jpg") as before, Image.open(said.paths[0]) as after:
        assert {after.size} <= {before.size, before.size[::-1]}


def test_the_exit_code_reaches_the_shell(command: Command):
    Path("bad.png").write_bytes(b"x")
    assert alone("prepare", "bad.png").code == 3
    assert alone("prepare", "missing.png").code == 2
    assert alone("run", "bad.png", "-d", SCENE, PHOTIO_API_KEY="").code == 5


@pytest.mark.soak
def test_odd_names_never_steer_the_terminal_and_lead_to_the_final(command: Command):
    name = os.fsdecode(b"a\x1b[31m\ncaf\xe9.png")
    Path(name).write_bytes(encoded(cutout()))
    said = subprocess.run(
        [sys.executable, "-m", "photio_prep", "run", name, "-d", SCENE, "--sandbox"],
        capture_output=True,
        check=False,
    )
    assert said.returncode == 0
    (line,) = said.stdout.splitlines()
    assert Path(os.fsdecode(line)).exists()  # the shell gets the name as it is on the disk
    assert line.startswith(b"photio-out/a")
    assert b"\x1b" not in said.stdout + said.stderr


@pytest.mark.soak
def test_of_many_photos_that_want_one_name_only_one_gets_it_however_many_are_finished_at_once(
    keyed: Command, identity: Sandbox
):
    for number in range(6):
        Path(f"{number}").mkdir()
        source = saved(Path(f"{number}/shoe.png"), cutout(shade=100 + 20 * number))
        # The command line gives each a name of its own; a program may give one to several.
        pipeline.prepare(source, description=SCENE, endpoint=identity.url, orders="photio-out/orders", output="shoe")
    assert keyed("generate", "photio-out", "--api-url", identity.url, "-q").code == 0
    said = keyed("finish", "photio-out", "--json")
    assert said.code == 3
    assert sorted(each["state"] for each in said.facts) == ["answered"] * 5 + ["finished"]
    (winner,) = (each for each in said.facts if each["state"] == "finished")
    final = Path("photio-out/shoe-photio.png")
    assert winner["final"] == str(final)
    order = Path(winner["order"])
    mark = json.loads(next(order.glob("finished-*.json")).read_text())
    assert mark["sha256"] == sha256(final.read_bytes()).hexdigest()
    assert len(list(Path("photio-out/orders").glob("*/finished-*.json"))) == 1


@pytest.mark.soak
def test_two_processes_on_one_folder_pay_once_each(command: Command):
    with HostileServer(ok()) as server:
        made = planned(command, 12, server.url)
        arguments = [sys.executable, "-m", "photio_prep", "generate", *map(str, made)]
        surroundings = {**os.environ, "PHOTIO_API_KEY": KEY}
        racers = [
            subprocess.Popen([*arguments, "--api-url", server.url], env=surroundings, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        for each in racers:
            each.communicate()
        assert (server.charges, server.charged_twice()) == (12, {})
    assert {each.returncode for each in racers} <= {0, 8}


def test_a_killed_run_leaves_unknowns_that_are_never_sent_again(keyed: Command):
    def some(n: int, exchange: Exchange) -> Behaviour:
        return Behaviour("hold", Exchange.hold) if n <= 2 else ok()

    with HostileServer(some) as server:
        made = planned(keyed, 4, server.url)
        running = subprocess.Popen(
            [sys.executable, "-m", "photio_prep", "generate", *made, "--api-url", server.url, "--jobs", "2"],
            env={**os.environ, "PHOTIO_API_KEY": KEY},
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 60
        while server.connections < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.kill()
        running.communicate()
        said = keyed("generate", *made, "--api-url", server.url)
        assert said.code == 4
        assert len(said.lines) == 2
        assert (server.connections, server.charged_twice()) == (4, {})
    states = sorted(each["state"] for each in keyed("status", "--json").facts)
    assert states == ["answered", "answered", "unknown", "unknown"]


def test_the_sandbox_verb_serves_until_it_is_stopped(command: Command):
    with subprocess.Popen(
        with_default_signals([sys.executable, "-m", "photio_prep", "sandbox", "--port", "0", "--fault", "402:1"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as serving:
        try:
            assert serving.stdout is not None
            url = serving.stdout.readline().decode().strip()
            assert url.startswith("http://127.0.0.1:")
            saved(Path("a.png"))
            codes = [alone("run", "a.png", "-d", SCENE, PHOTIO_API_URL=url, PHOTIO_API_KEY=KEY).code for _ in range(2)]
            serving.send_signal(signal.SIGINT)
            _, err = serving.communicate(timeout=60)
        finally:
            serving.kill()
    assert codes == [5, 0]
    assert b"2 calls, 1 charged" in err
    assert KEY.encode() not in err


# --- flags that were renamed


@pytest.mark.parametrize(
    ("verb", "new", "old"),
    [
        ("run", "--limit 2", "--first 2"),
        ("run", "--pay-again", "--again"),
        ("generate", "--pay-again", "--again"),
        ("run", "--background-point 1,2", "--not-point 1,2"),
        ("finish", "--originals in", "--photos in"),
    ],
)
def test_a_renamed_flag_is_still_taken_and_shown_nowhere(verb: str, new: str, old: str, capsys: Any):
    command = cli.group.get_command(click.Context(cli.group), verb)
    assert command is not None
    values = [command.make_context(verb, ["a", *flag.split()]).params for flag in (new, old)]
    assert values[0] == values[1]
    shown = command.get_help(click.Context(command))
    assert new.split()[0] in shown
    assert not re.search(rf"(^|[\s,]){old.split()[0]}\b", shown)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ([], ["--frame", "photo"]),
        (["--page", "2"], ["--frame", "1", "--frame", "2"]),
        (["--reframe", "--margin", "4%"], ["--frame", "product", "--margin", "4%"]),
        (["--reframe", "--page", "0"], ["--frame", "product", "--frame", "0"]),
    ],
)
def test_the_old_flag_for_frames_is_still_taken(new: list[str], old: list[str]):
    @click.command()
    @preparation.of_photo
    def probe(prepare: PrepareOptions) -> PrepareOptions:
        return prepare

    assert probe.main(new, standalone_mode=False) == probe.main(old, standalone_mode=False)
    assert "--frame" not in probe.get_help(click.Context(probe))
