"""Common mistakes on the command line: each says what to write instead, and costs nothing."""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from photio_prep.api.client import InstantClient
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.cli import mistakes, payment
from photio_prep.cli.console import Console
from photio_prep.errors import Interrupted, UsageError
from photio_prep.orders.options import PayOptions
from photio_prep.sandbox import Sandbox
from tests.support.commands import KEY, Command, Said
from tests.support.photos import SCENE, cutout, photo, saved
from tests.support.sampling import sampled

SECRET = "pt-5c0ffee5ecre7"


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        (["--prompt", SCENE], 'The scene goes after -d: -d "'),
        (["--scene", SCENE], 'The scene goes after -d: -d "'),
        (["--api-key", SECRET], "Put it into PHOTIO_API_KEY"),
        ([f"--api-key={SECRET}"], "Put it into PHOTIO_API_KEY"),
        (["--key", SECRET], "Put it into PHOTIO_API_KEY"),
        (["--dry-run"], "`photio-prep prepare` is the dry run"),
        (["--output", "out"], "The output folder goes after -o"),
        (["-o", "-"], "pictures are not written to standard output"),
        (["--preset", "amazon"], "Did you mean amazon-main or amazon-secondary?"),
        (["--format", "tiff"], "'tiff' is not one of"),
        (["--mask", "no.png"], "--mask no.png: no such file"),
        (["--model", "nope"], "there is no model 'nope'"),
        (["--point", "1,2", "--model", "u2netp"], "--point and --box are for SAM only"),
    ],
)
def test_run_says_what_to_write_instead_before_any_price(keyed: Command, flags: list[str], advice: str) -> None:
    saved(Path("shoe.png"))
    said = keyed("run", "shoe.png", "-d", SCENE, *flags)
    assert (said.code, said.out) == (2, "")
    assert advice in said.err
    assert SECRET not in said.err
    assert "call" not in said.err.replace("calls", "")  # no quote before the mistake
    assert not list(Path("photio-out").rglob("*.json"))


@pytest.mark.parametrize("verb", ["generate", "finish"])
def test_a_photo_is_not_an_order(keyed: Command, verb: str) -> None:
    saved(Path("shoe.png"))
    said = keyed(verb, "shoe.png")
    assert said.code == 2
    assert "a file, not the folder of an order. An order comes first: photio-prep prepare shoe.png" in said.err


def test_the_file_of_an_order_is_not_its_folder() -> None:
    with pytest.raises(UsageError, match="Name its folder: photio-out/orders/ab"):
        mistakes.check_orders([Path("photio-out/orders/ab/order.json")])


def test_a_name_with_a_blank_has_to_be_quoted(keyed: Command) -> None:
    saved(Path("my red shoe.png"))
    said = keyed("run", "my", "red", "shoe.png", "-d", SCENE)
    assert said.code == 2
    assert 'my: no such file or folder. Quote a name with blanks: "my red shoe.png"' in said.err


def test_a_model_that_rembg_has_is_named_as_rembg_s(command: Command) -> None:
    said = command("models", "pull", "u2net")
    assert (said.code, "rembg:u2net" in said.err) == (2, True)


@sampled("name", ["jpeg", "JPG", ".jpg"], 1)
def test_a_format_has_several_names(command: Command, name: str) -> None:
    said = command("run", saved(Path("a.png")), "-d", SCENE, "--sandbox", "--format", name)
    assert (said.code, said.paths) == (0, [Path("photio-out/a-photio.jpg")])


class Terminal(io.StringIO):
    """Standard input of a person."""

    def isatty(self) -> bool:
        return True


def test_no_to_the_price_sends_nothing(identity: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = SpendingGuard(InstantClient(KEY, api_url=identity.url))
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    with pytest.raises(Interrupted, match="nothing was sent: the answer was no") as no:
        payment.quote(26, 0, PayOptions(), Console(), guard)
    assert no.value.exit_code == 130
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    payment.quote(26, 0, PayOptions(), Console(), guard)


# -o FILE


def run_to(command: Command, *arguments: object) -> Said:
    return command("run", *arguments, "-d", SCENE, "--sandbox")


def test_one_photo_may_name_its_final(command: Command) -> None:
    source = saved(Path("in/a.png"))
    said = run_to(command, source, "-o", "pictures/shoe.jpg")
    assert (said.code, said.paths) == (0, [Path("pictures/shoe.jpg")])
    with Image.open("pictures/shoe.jpg") as final:
        assert (final.format, final.size) == ("JPEG", (90, 70))
    assert Path("pictures/shoe.jpg").read_bytes() == Path("photio-out/a-photio.jpg").read_bytes()
    assert run_to(command, source, "-o", "pictures/shoe.jpg").paths == said.paths  # again: the same file
    order = next(Path("photio-out/orders").glob("*/order.json")).parent
    finished = command("finish", order, "-o", "shoe.webp")
    assert (finished.code, finished.paths) == (0, [Path("shoe.webp")])
    assert (Path("photio-out/a-photio.webp").exists(), Path("shoe.webp").exists()) == (True, True)


@pytest.mark.parametrize(
    ("arrange", "arguments", "found"),
    [
        (
            lambda: saved(Path("in/b.png"), cutout(shade=3)),
            ["in", "-o", "x.jpg"],
            "names one final, and 2 would be written",
        ),
        (lambda: None, ["in", "--seeds", "2", "-o", "x.jpg"], "names one final"),
        (lambda: None, ["in/a.png", "-o", "in/a.png", "--overwrite"], "the photo itself"),
        (lambda: None, ["in/a.png", "-o", "x.jpg", "--format", "png"], "--format png is not that of the file"),
        (lambda: Path("x.txt").write_text("mine"), ["in/a.png", "-o", "x.txt"], "a file, not a folder"),
    ],
)
def test_an_output_that_cannot_be_one_final_is_refused(
    command: Command, arrange: Callable[[], object], arguments: list[str], found: str
) -> None:
    source = saved(Path("in/a.png"))
    before = source.read_bytes()
    arrange()
    said = run_to(command, *arguments)
    assert (said.code, said.out) == (2, "")
    assert found in said.err
    assert source.read_bytes() == before
    assert not Path("photio-out").exists()


def test_a_file_in_the_way_of_the_named_final_is_kept_and_nothing_is_paid(keyed: Command, identity: Sandbox) -> None:
    source = saved(Path("a.png"))
    Path("shoe.png").write_bytes(b"dear to somebody")
    words = ["run", source, "-d", SCENE, "--api-url", identity.url, "-o", "shoe.png"]
    said = keyed(*words)
    assert (said.code, identity.calls) == (3, 0)
    assert "shoe.png: the file exists. Give --overwrite" in said.err
    assert Path("shoe.png").read_bytes() == b"dear to somebody"
    assert keyed(*words, "--overwrite").paths == [Path("shoe.png")]


@sampled("words", [["prepare", "a.png"], ["keep", "a", "1"], ["check"]], 1)
def test_other_verbs_write_into_folders_only(command: Command, words: list[str]) -> None:
    saved(Path("a.png"))
    said = command(*words, "-o", "shoe.jpg")
    assert (said.code, "the name of a picture, not of a folder" in said.err) == (2, True)


# Help, and what is said on stderr.


def test_help_of_run_is_in_groups(command: Command) -> None:
    text = command("run", "--help").out
    assert re.findall(r"^([A-Z]\w+):$", text, re.MULTILINE) == ["Photo", "Cutout", "Scene", "Money", "Output", "Other"]
    money = text.partition("Money:")[2].partition("Output:")[0]
    assert re.findall(r"^  (--[\w-]+)", money, re.MULTILINE)[:3] == ["--gate", "--gate-at", "--sandbox"]


@pytest.mark.soak  # eight orders at full size
def test_a_message_is_printed_once_a_photo_and_the_rest_is_counted(command: Command) -> None:
    for number in range(4):
        saved(Path(f"in/{number}.png"), cutout(shade=40 * number))
    said = command("run", "in", "-d", "a red shoe", "--sandbox", "--gate", "off", "--seeds", "2")
    warnings = [line for line in said.err.splitlines() if "reads like a product name" in line]
    photos = [line.split(": ")[1] for line in warnings[:3]]
    assert (len(set(photos)), len(warnings)) == (3, 4)
    more = re.match("warning: 1 more photo, from (.+?) on: ", warnings[3])
    assert more is not None
    assert more[1] not in photos
    assert len(re.findall("^contact sheet: ", said.err, re.MULTILINE)) == 3
    assert "1 more contact sheet below photio-out" in said.err


def test_what_is_answered_already_is_not_quoted_as_a_call(command: Command) -> None:
    saved(Path("a.png"), photo(cut_out=True))
    words = ["a.png", "-d", SCENE, "--sandbox", "--gate", "off"]
    assert "1 free sandbox call" in command("run", *words).err
    again = command("run", *words).err
    assert "nothing to pay: 1 answered already" in again
    assert "sandbox call" not in again
    assert "nothing to pay: 1 answered already" in command("generate", "photio-out/orders", "--sandbox").err
    assert "1 free sandbox call" in command("run", *words, "--seed", "7").err  # another order of the same photo
