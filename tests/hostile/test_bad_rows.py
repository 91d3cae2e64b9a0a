"""Rows of bad input that belong to no one module: I44, I46, I70, I72, I73, I75. Nothing is billed or lost."""

from pathlib import Path

import pytest

from photio_prep.sandbox import Sandbox
from tests.support.commands import Command
from tests.support.photos import SCENE, saved
from tests.support.sampling import sampled


@sampled("out", [".", "in", "in/out", "link"], 1)
def test_i44_outputs_are_never_input_again(command: Command, out: str):
    saved(Path("in/a.png"))
    Path("link").symlink_to("in")
    for _ in range(3):
        said = command("run", "in", "-d", SCENE, "--sandbox", "-o", out)
        assert (said.code, len(said.paths)) == (0, 1)


@pytest.mark.parametrize(
    "key", ["", " ", "pt-with\nnewline", 'pt-"quoted"-key', "pt-schlüssel-1", "pt-" + "x" * 10_000, "pt-1"]
)
def test_i70_a_key_of_no_possible_shape_is_refused_before_any_connection(
    command: Command, identity: Sandbox, monkeypatch: pytest.MonkeyPatch, key: str
):
    monkeypatch.setenv("PHOTIO_API_KEY", key)
    said = command("run", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url)
    assert (said.code, identity.calls) == (5, 0)


@pytest.mark.parametrize("size", ["0x0", "-1x5", "1e3", "1000000000x5", "1000x1000", "Postage"])
def test_i72_a_size_that_is_not_offered_is_refused_before_the_cutout(command: Command, size: str):
    said = command("prepare", saved(Path("a.png")), "--size", size)
    assert said.code == 2
    assert not Path("photio-out").exists()


@pytest.mark.parametrize("out", ["file", "/", "/dev/null", "/proc/nowhere"])
def test_i73_a_place_that_cannot_hold_the_output_is_found_before_the_first_call(
    keyed: Command, identity: Sandbox, out: str
):
    Path("file").write_text("mine")
    said = keyed("run", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url, "-o", out)
    assert (said.code in (2, 7), identity.calls) == (True, 0)
    assert Path("file").read_text() == "mine"


@pytest.mark.parametrize("name", ["order.json", "canvas.png"])
def test_i75_an_order_s_file_that_became_a_link_is_refused(keyed: Command, identity: Sandbox, name: str):
    order = keyed("prepare", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url).paths[0]
    (order / name).rename("elsewhere")
    (order / name).symlink_to(Path("elsewhere").resolve())
    said = keyed("generate", order, "--api-url", identity.url)
    assert (said.code, identity.calls) == (7, 0)


def test_i75_an_answer_is_never_written_through_a_link(keyed: Command, identity: Sandbox):
    order = keyed("prepare", saved(Path("a.png")), "-d", SCENE, "--api-url", identity.url).paths[0]
    Path("precious").write_text("mine")
    (order / "answer.part").symlink_to(Path("precious").resolve())
    said = keyed("generate", order, "--api-url", identity.url)
    assert (said.code, identity.calls) == (7, 0)
    assert Path("precious").read_text() == "mine"
