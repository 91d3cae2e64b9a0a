"""Values that a user may well type: a broken photio.toml, sizes that are none, output folders that cannot be."""

import os
from pathlib import Path

import pytest

from photio_prep import settings
from photio_prep.sandbox import Sandbox
from tests.support.commands import KEY, Command, forget
from tests.support.photos import SCENE, saved
from tests.support.sampling import sampled

BROKEN = [
    ("api_url = ", "cannot be read"),
    ("price = 1", "unknown setting 'price'"),
    ('gate = "lax"', "'lax' is not a level of the gate"),
    ("[timeouts]\nread = 0", "[timeouts]: read = 0"),
    ("[billing]\nserver_error_is_free = 1", "server_error_is_free = 1"),
    ("[limits]\npixels = 0", "[limits]: pixels = 0"),
]
DASH = "A value that begins with - goes after =, or after --"


def configure(text: str) -> Path:
    path = settings.config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    forget()
    return path


@sampled(("text", "problem"), BROKEN, 2)
def test_a_mistake_in_photio_toml_is_the_same_in_every_verb_that_reads_it(keyed: Command, text: str, problem: str):
    saved(Path("a.png"))
    order = keyed("run", "a.png", "-d", SCENE, "--sandbox", "-q").paths[0].parent / "orders"
    path = configure(text)
    for verb in (
        ["run", "a.png", "-d", SCENE, "--sandbox", "-o", "new"],
        ["run", "a.png", "-d", SCENE, "--sandbox", "--gate", "off", "--api-url", "https://a.example", "-o", "new"],
        ["prepare", "a.png", "-o", "new"],
        ["generate", order, "--sandbox", "--gate", "off"],
        ["generate", order],
        ["finish", "photio-out"],
        ["sizes", "a.png"],
    ):
        said = keyed(*verb)
        assert (said.code, said.out) == (2, ""), verb
        assert str(path) in said.err
        assert problem in said.err
    assert not Path("new").exists()
    said = keyed("check", "--model", "u2netp")
    assert said.code != 0
    assert f"NO  settings  {path}" in said.out
    for verb in (["status"], ["sizes"], ["sizes", "1200x900"], ["models", "list"], ["presets", "list"], ["--help"]):
        assert keyed(*verb).code == 0, verb


def test_an_unknown_level_of_the_gate_names_the_variable(keyed: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTIO_GATE", "lax")
    said = keyed("prepare", saved(Path("a.png")))
    assert (said.code, "PHOTIO_GATE: 'lax' is not a level of the gate" in said.err) == (2, True)


@pytest.mark.parametrize(
    "text", ["0x0", "10", "x10", "10x", "1e3x5", "99999999x2", "١٠x١٠", "10*20", "10x20x30", "1.5x2", "", "mo.pgn"]
)
def test_what_is_no_size_is_said_to_be_none(command: Command, text: str):
    saved(Path("mo.png"))
    said = command("sizes", text)
    assert (said.code, said.out) == (2, "")
    assert "neither a size nor a file. Give WxH in pixels, as 1200x900, or a file." in said.err
    assert ("mo.png" in said.err) == (text == "mo.pgn")


@pytest.mark.parametrize("text", ["10x20", "10×20", "10X20", "1x1", "999999x999999", "10 x 20"])
def test_a_size_may_be_written_so(command: Command, text: str):
    assert command("sizes", text).code == 0


def test_a_value_that_begins_with_a_dash_is_no_option(command: Command):
    assert DASH in command("sizes", "-5x5").err
    assert "neither a size nor a file" in command("sizes", "--", "-5x5").err
    assert DASH not in command("sizes", "--modle", "x").err


def test_a_byte_order_mark_of_an_editor_is_no_mistake(command: Command):
    configure("\ufeffgate = 'strict'\n")
    assert "ok  settings" in command("check", "--model", "u2netp").out


def test_photos_that_are_nowhere_are_named(command: Command):
    saved(Path("a.png"))
    command("run", "a.png", "-d", SCENE, "--sandbox", "-q")
    said = command("finish", "photio-out", "--originals", "nowhere")
    assert (said.code, "nowhere: no such file or folder of photos" in said.err) == (2, True)


def test_a_folder_of_two_lines_is_refused(command: Command):
    assert "a line break in a folder's name" in command("prepare", saved(Path("a.png")), "-o", "a\nb").err


def test_a_file_may_have_the_name_of_a_number(command: Command):
    saved(Path("a.png")).rename("10")
    assert "90x70 has the ratio" in command("sizes", "10").err


ODD_FOLDERS = ["file", "loop", "dangling", "fifo", "device", "root", "long", "sealed", "below a file"]


@sampled("kind", ODD_FOLDERS, 4)
@sampled("verb", ["run", "prepare", "finish", "keep", "check", "status", "review"], 2)
def test_an_output_folder_that_cannot_be_is_refused_before_any_call(
    keyed: Command, identity: Sandbox, kind: str, verb: str
):
    saved(Path("a.png"))
    out = {"device": Path("/dev/null"), "root": Path("/"), "long": Path("x" * 300)}.get(kind, Path("odd"))
    if kind in ("file", "below a file"):
        out.write_text("mine")
        out = out / "deeper" if kind == "below a file" else out
    elif kind in ("loop", "dangling"):
        out.symlink_to(out if kind == "loop" else "nowhere")
    elif kind == "fifo":
        os.mkfifo(out)
    elif kind == "sealed":
        if os.geteuid() == 0:
            pytest.skip("root may write anywhere")
        out.mkdir(0o500)
    url = ("--api-url", identity.url)
    if verb == "finish":
        order = keyed("run", "a.png", "-d", SCENE, *url, "-q").paths[0].parent / "orders"
        calls, said = identity.calls, keyed("finish", order, "-o", out)
    else:
        more = {"run": ["a.png", "-d", SCENE, *url], "prepare": ["a.png"], "keep": ["a.png", "1"]}.get(verb, [])
        words = [*more, out] if verb in ("status", "review") else [*more, "-o", out]
        calls, said = 0, keyed(verb, *words)
    empty = verb == "status" and kind == "root" and said.code == 0  # a folder without orders
    assert empty or said.code in (2, 5, 7, 11), said.err
    assert "Traceback" not in said.err
    assert KEY not in said.err
    assert identity.calls == calls
