"""Which orders an output folder is about: rehearsals, other words, other seeds, several photos. Money is at stake."""

from pathlib import Path

import pytest

from photio_prep.imaging.encode import SANDBOX_MARK
from photio_prep.sandbox import Sandbox
from tests.support.commands import Command
from tests.support.photos import SCENE, cutout, saved

OTHER = "in fresh snow, cold blue light"


@pytest.fixture
def two() -> list[Path]:
    return [saved(Path("a.png")), saved(Path("b.png"), cutout(shade=150))]


def test_a_fresh_seed_for_a_folder_is_one_call_a_photo_each_time(keyed: Command, identity: Sandbox, two: list[Path]):
    url = ("--api-url", identity.url)
    keyed("prepare", *two, *url)
    keyed("generate", "photio-out", *url, "-d", SCENE, "--seed", "-1")
    for times in (2, 3, 4):
        assert keyed("generate", "photio-out", *url, "-d", SCENE, "--seed", "-1").code == 0
        assert identity.charges == 2 * times
    keyed("generate", "photio-out", *url, "-d", OTHER, "--seed", "-1")
    assert identity.charges == 10


def test_other_words_for_a_folder_are_one_call_a_photo(keyed: Command, identity: Sandbox, two: list[Path]):
    url = ("--api-url", identity.url)
    keyed("prepare", *two, *url)
    keyed("prepare", *two, *url, "-d", SCENE)  # the same canvases, planned twice
    for _ in range(2):
        assert keyed("generate", "photio-out", *url, "-d", OTHER).code == 0
        assert identity.charges == 2


@pytest.mark.soak
def test_a_rehearsal_of_a_folder_leaves_it_to_be_paid_for(keyed: Command, identity: Sandbox, two: list[Path]):
    url = ("--api-url", identity.url)
    keyed("prepare", *two, *url, "-d", SCENE)
    assert keyed("generate", "photio-out", "--sandbox").code == 0
    assert keyed("finish", "photio-out").code == 0
    assert SANDBOX_MARK in Path("photio-out/a-photio.png").read_bytes()
    paid = keyed("generate", "photio-out", *url)
    assert (paid.code, identity.charges, len(paid.paths)) == (0, 2, 2)
    finished = keyed("finish", "photio-out")
    assert (finished.code, sorted(finished.lines)) == (0, ["photio-out/a-photio.png", "photio-out/b-photio.png"])
    assert SANDBOX_MARK not in Path("photio-out/a-photio.png").read_bytes()
    assert keyed("generate", "photio-out", *url).code == 0
    assert identity.charges == 2


@pytest.mark.soak
def test_ten_rehearsals_are_not_paid_for_by_naming_their_folder(keyed: Command, identity: Sandbox, two: list[Path]):
    keyed("prepare", *two, "--api-url", identity.url)
    for scene in (SCENE, OTHER):
        keyed("generate", "photio-out", "--sandbox", "-d", scene)
    said = keyed("generate", "photio-out", "--api-url", identity.url)
    assert (said.code, identity.charges) == (2, 0)  # the drafts still have no words of their own


@pytest.mark.soak
def test_the_sandbox_never_replaces_a_paid_final(keyed: Command, identity: Sandbox, two: list[Path]):
    keyed("run", two[0], "-d", SCENE, "--api-url", identity.url)
    paid = Path("photio-out/a-photio.png").read_bytes()
    for more in ([], ["--overwrite"]):
        said = keyed("run", two[0], "-d", OTHER, "--sandbox", *more)
        assert (said.code, Path("photio-out/a-photio.png").read_bytes()) == (3, paid)
    keyed("generate", "photio-out", "--sandbox", "-d", OTHER)
    keyed("finish", "photio-out", "--overwrite")
    assert Path("photio-out/a-photio.png").read_bytes() == paid


@pytest.mark.soak
def test_one_try_out_replaces_another(command: Command, two: list[Path]):
    for scene in (SCENE, OTHER):
        assert command("run", two[0], "-d", scene, "--sandbox").code == 0


def test_words_that_cannot_be_meant_are_told_once_and_change_nothing(command: Command, two: list[Path]):
    command("prepare", *two, "-d", SCENE)
    before = sorted(Path("photio-out").rglob("*"))
    for words in (["-d", ""], ["-d", "   "], ["--negative-prompt", "a", "--append-negative", "b"]):
        said = command("generate", "photio-out", "--sandbox", *words)
        assert (said.code, said.err.count("error:")) == (2, 1)
    assert sorted(Path("photio-out").rglob("*")) == before


def test_an_unknown_order_is_unknown_to_finish_too(keyed: Command, two: list[Path]):
    with Sandbox(faults="drop") as server:
        assert keyed("run", two[0], "-d", SCENE, "--api-url", server.url).code == 4
    said = keyed("finish", "photio-out", "--json")
    assert (said.code, said.facts[0]["state"], said.facts[0]["source"]) == (4, "unknown", "a.png")
    assert "resolve" in said.err
    order = said.facts[0]["order"]
    assert keyed("resolve", order, "--as", "lost").code == 0
    told = keyed("status", "photio-out")
    assert "given up" in told.out
    assert "--as retry" not in told.err
    assert "gave it up" in keyed("finish", "photio-out").err


def test_what_is_not_answered_is_told_as_planned(keyed: Command, identity: Sandbox, two: list[Path]):
    keyed("prepare", *two, "-d", SCENE, "--api-url", identity.url)
    keyed("generate", "photio-out", "--api-url", identity.url, "--max-calls", "1")
    said = keyed("finish", "photio-out", "--json")
    assert sorted(line["state"] for line in said.facts) == ["finished", "planned"]
    assert {line["source"] for line in said.facts} == {"a.png", "b.png"}


def test_status_names_every_photo_of_an_order(command: Command):
    command("run", saved(Path("a.png")), saved(Path("same.png")), "-d", SCENE, "--sandbox")
    told = command("status", "photio-out", "--json")
    assert sorted(line["source"] for line in told.facts) == ["a.png", "same.png"]


def test_an_empty_folder_does_not_end_the_batch(command: Command, two: list[Path]):
    Path("empty").mkdir()
    said = command("prepare", "empty", two[0])
    assert (said.code, len(said.paths)) == (3, 1)


@pytest.mark.soak
def test_a_quote_is_a_bound(keyed: Command, identity: Sandbox, two: list[Path]):
    url = ("--api-url", identity.url)
    keyed("run", *two, "-d", SCENE, *url)
    again = keyed("run", *two, "-d", SCENE, *url, "--overwrite")
    assert "nothing to pay: 2 answered already; a photo that changed is a new call" in again.err
    for more in (["--seed", "7"], ["--negative-prompt", "blur"], ["--size", "Square"]):
        said = keyed("run", *two, "-d", SCENE, *url, *more, "--overwrite")
        assert "up to 2 paid calls" in said.err
        assert "nothing to pay" not in said.err


def test_of_a_photo_that_changed_only_the_last_one_prepared_is_paid_for(
    keyed: Command, identity: Sandbox, two: list[Path]
):
    url = ("--api-url", identity.url)
    keyed("prepare", *two, *url, "-d", SCENE)
    saved(two[0], cutout(shade=90))
    changed = keyed("prepare", two[0], *url, "-d", SCENE).paths
    said = keyed("generate", "photio-out", *url)
    assert (said.code, identity.charges, said.err.count("prepared again since")) == (0, 2, 1)
    assert set(changed) <= set(said.paths)
    # The photo is put back: the first order is the last word again, and is paid for now.
    saved(two[0])
    back = keyed("prepare", two[0], *url, "-d", SCENE).paths
    assert keyed("generate", *back, *url).code == 0
    assert identity.charges == 3


def test_other_words_and_seeds_of_one_photo_are_all_paid_for(keyed: Command, identity: Sandbox, two: list[Path]):
    url = ("--api-url", identity.url)
    for words in (["-d", SCENE], ["-d", OTHER], ["-d", SCENE, "--seed", "7"]):
        keyed("prepare", two[0], *url, *words)
    said = keyed("generate", "photio-out", *url)
    assert (said.code, identity.charges, "prepared again" in said.err) == (0, 3, False)


def test_a_photo_cut_out_otherwise_is_reworded_once(keyed: Command, identity: Sandbox, two: list[Path]):
    url = ("--api-url", identity.url)
    for size in ("Square", "Tall"):
        keyed("prepare", two[0], *url, "--size", size)
    said = keyed("generate", "photio-out", *url, "-d", SCENE, "--json")
    assert (said.code, identity.charges, [each["tag"] for each in said.facts]) == (0, 1, ["Tall"])
