"""A bug that one photo meets, in the command line: no other photo's final is lost, nor the report, nor a paid answer.

Each command is a real process whose own code raises for one photo, against a real server on loopback.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import State
from tests.support.commands import KEY, Command, alone
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.photos import SCENE, cutout, saved
from tests.support.sampling import sampled

# Where it strikes: a function that is given what knows the photo, or its seed, as first argument.
_STRIKES = """
import photio_prep.{module} as module
real = module.{owner}{name}
def odd(*given, **more):
    if {when}:
        raise {error}
    return real(*given, **more)
module.{owner}{name} = odd
"""


def strikes(module: str, name: str, when: str, error: str = 'ZeroDivisionError("odd")', owner: str = "") -> str:
    return _STRIKES.format(module=module, name=name, when=when, error=error, owner=owner)


_B = '"b.png" in given[0].origin.source'
BUGS = {
    "reading": (strikes("intake.item", "read_item", 'given[0].name.endswith("b.png")'), 1, 2),
    "paying": (strikes("orders.payment", "pay", _B), 1, 2),
    "finishing": (strikes("final.writer", "place_final", _B), 1, 3),
    "telling": (strikes("cli.finals", "announce", _B.replace("given[0]", "given[1]"), owner="FinalWriter."), 1, 3),
    "memory": (strikes("final.writer", "place_final", _B, "MemoryError"), 3, 3),
}


@sampled("where", BUGS, 1)
def test_run_finishes_all_others_and_reports(where: str, command: Command) -> None:
    bug, code, charges = BUGS[where]
    for name, shade in (("a", 100), ("b", 150), ("c", 200)):
        saved(Path(f"in/{name}.png"), cutout(shade=shade))
    with HostileServer(ok()) as server:
        words = ["run", "in", "-d", SCENE, "--api-url", server.url, "--yes"]
        said = alone(*words, before=bug, PHOTIO_API_KEY=KEY)
        assert (said.code, server.charges) == (code, charges), said.err
        report = json.loads(Path("photio-out/report.json").read_text())
        assert len(report["photos"]) == 3
        assert report["exit_code"] == code
        assert {Path(each["source"]).name for each in report["photos"] if each["state"] == "finished"} >= {
            "a.png",
            "c.png",
        }
        assert "b.png" in said.err
        if code == 1:
            assert "a bug: ZeroDivisionError: odd. Run it again with -v and report what it says" in said.err
        assert "Traceback" not in said.err
        told = alone(*words, "-v", before=bug, PHOTIO_API_KEY=KEY)
        assert (told.code, server.charges) == (code, charges)
        assert "Traceback" in told.err
        assert ("ZeroDivisionError: odd" in told.err) == (code == 1)
        assert alone(*words, PHOTIO_API_KEY=KEY).code == 0
        assert (server.charges, server.charged_twice()) == (3, {})


@pytest.mark.soak
def test_a_bug_while_it_is_sent_is_unknown_and_the_others_go_on(command: Command) -> None:
    for name, shade in (("a", 100), ("b", 150), ("c", 200)):
        saved(Path(f"in/{name}.png"), cutout(shade=shade))
    bug = strikes("api.client", "_read_answer", "next(turns) == 1", owner="InstantClient.")
    with HostileServer(ok()) as server:
        words = ["run", "in", "-d", SCENE, "--api-url", server.url, "--yes", "--price", "1"]
        said = alone(*words, before=f"import itertools\nturns = itertools.count()\n{bug}", PHOTIO_API_KEY=KEY)
        server.settle()
        assert (said.code, server.charges) == (1, 3), said.err
        totals = json.loads(Path("photio-out/report.json").read_text())["totals"]
        assert (totals["calls"], totals["perhaps"], totals["states"]) == (2, 1, {"finished": 2, "unknown": 1})
        assert alone(*words, PHOTIO_API_KEY=KEY).code == 4
        assert (server.charges, server.charged_twice()) == (3, {})


@pytest.mark.soak
def test_prepare_generate_and_finish_go_on_past_a_bug_too(command: Command) -> None:
    for name, shade in (("a", 100), ("b", 150), ("c", 200)):
        saved(Path(f"in/{name}.png"), cutout(shade=shade))
    out = Path("photio-out")
    with HostileServer(ok()) as server:
        words = ["prepare", "in", "-d", SCENE, "--api-url", server.url]
        said = alone(*words, before=BUGS["reading"][0])
        assert (said.code, len(said.lines)) == (1, 2), said.err
        assert len(json.loads((out / "report.json").read_text())["photos"]) == 3
        assert alone(*words).code == 0
        words = ["generate", "photio-out", "--api-url", server.url, "--yes"]
        said = alone(*words, before=BUGS["paying"][0], PHOTIO_API_KEY=KEY)
        assert (said.code, server.charges, len(said.lines)) == (1, 2, 2), said.err
        assert len(json.loads((out / "report.json").read_text())["photos"]) == 3
        assert alone(*words, PHOTIO_API_KEY=KEY).code == 0
        assert server.charges == 3
    said = alone("finish", out, before=BUGS["finishing"][0])
    assert (said.code, len(said.lines)) == (1, 2), said.err
    assert "in/b.png: a bug: ZeroDivisionError: odd" in said.err
    assert alone("finish", out).code == 0


@pytest.mark.soak
def test_what_ends_the_command_comes_after_the_report_of_what_was_paid(command: Command) -> None:
    """An order cannot be written any more while calls are in flight: the source of orders fails."""
    for name, shade in (("a", 100), ("b", 150), ("c", 200)):
        saved(Path(f"in/{name}.png"), cutout(shade=shade))
    bug = strikes("final.choose", "_create_variant", _B)
    with HostileServer(ok()) as server:
        words = ["run", "in", "-d", SCENE, "--api-url", server.url, "--yes", "--seeds", "2"]
        said = alone(*words, before=bug, PHOTIO_API_KEY=KEY)
        server.settle()
        assert said.code == 1, said.err
        report = json.loads(Path("photio-out/report.json").read_text())
        assert len(report["photos"]) == 6
        finished = [each for each in report["photos"] if each["state"] == "finished"]
        assert report["totals"]["calls"] == server.charges == len(finished) >= 1
        assert alone(*words, PHOTIO_API_KEY=KEY).code == 0
        assert (server.charges, server.charged_twice()) == (6, {})
        assert [OrderFolder(each).state for each in find_orders(Path("photio-out"))] == [State.FINISHED] * 6
