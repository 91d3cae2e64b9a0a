"""The report: what one command did to each photo, its totals, and results beside the rows of job tables."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from photio_prep import InstantClient, generate, prepare
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch import report
from photio_prep.cli import reporting
from photio_prep.cli.console import Console
from photio_prep.orders import index, payment
from photio_prep.orders.folder import find_orders
from photio_prep.orders.state import State
from photio_prep.sandbox import Sandbox
from photio_prep.system.text import encode_rows, escape_formula
from photio_prep.types import AnswerSink, Request, Result
from tests.support.commands import KEY, alone
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.hostile_faults import close_after_reading
from tests.support.photos import SCENE, encoded, photo, saved
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from tests.support.commands import Command, Said


def told(out: Path = Path("photio-out")) -> dict[str, Any]:
    found = json.loads((out / "report.json").read_text())
    assert isinstance(found, dict)
    return found


def rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline=""), delimiter=delimiter))


@pytest.fixture
def paid(keyed: Command, identity: Sandbox) -> Command:
    """`run` with a scene, a price, and the stand-in as if it were the real API."""

    def run(*arguments: object, **more: Any) -> Said:
        return keyed("run", *arguments, "-d", SCENE, "--api-url", identity.url, "--price", "0.5", "--yes", **more)

    return run


def test_a_report_says_what_became_of_each_photo_and_what_it_cost(paid: Command):
    saved(Path("in/a.png"))
    saved(Path("in/b.png"), photo((300, 200), shade=200, cut_out=True))
    Path("in/c.png").write_bytes(b"no picture")
    said = paid("in")
    assert said.code == 3
    found = told()
    assert (found["command"], found["exit_code"], found["price"]) == ("run", 3, 0.5)
    assert found["totals"] == {
        "photos": 3,
        "states": {"finished": 2, "refused": 1},
        "calls": 2,
        "perhaps": 0,
        "sandbox": 0,
        "changed": 0,
        "cost": 1.0,
        "perhaps_cost": 0.0,
    }
    lines = {each["source"]: each for each in found["photos"]}
    assert set(lines) == {"in/a.png", "in/b.png", "in/c.png"}
    good, bad = lines["in/a.png"], lines["in/c.png"]
    assert (good["state"], good["billed"], good["cost"], good["exit_code"]) == ("finished", "yes", 0.5, 0)
    assert Path(good["final"]).exists()
    assert (Path(good["order"]) / "order.json").exists()
    assert good["gate"] in ("ok", "warn", "stop")
    assert good["seconds"] >= 0
    assert (bad["state"], bad["billed"], bad["exit_code"], bad["order"]) == ("refused", "no", 3, None)
    assert "not a picture" in bad["error"] or "no picture" in bad["error"]
    assert [each["source"] for each in rows(Path("photio-out/report.csv"))] == [
        each["source"] for each in found["photos"]
    ]


def test_the_totals_stand_on_stderr_as_a_table(paid: Command):
    saved(Path("in/a.png"))
    Path("in/c.png").write_bytes(b"no picture")
    lines = [" ".join(each.split()) for each in paid("in").err.splitlines()]
    at = lines.index("state photos calls cost")
    assert set(lines[at + 1 : at + 4]) == {"refused 1 0 free", "finished 1 1 0.50", "total 2 1 0.50"}
    assert lines[-1] == "report: photio-out/report.json"


def test_the_second_run_costs_nothing_and_says_so(paid: Command):
    saved(Path("a.png"))
    assert paid("a.png").code == 0
    assert told()["totals"]["calls"] == 1
    assert paid("a.png").code == 0
    (line,) = told()["photos"]
    assert (line["state"], line["billed"], line["cost"]) == ("finished", "no", 0.0)


def test_one_picture_under_two_names_is_billed_once(paid: Command):
    for name in ("a", "b"):
        saved(Path(f"in/{name}.png"))
    assert paid("in").code == 0
    found = told()
    assert found["totals"]["cost"] == 0.5
    assert sorted(each["billed"] for each in found["photos"]) == ["shared", "yes"]


def test_a_call_without_an_answer_is_perhaps_billed(keyed: Command):
    saved(Path("a.png"))
    with Sandbox(faults="drop:1") as api:
        said = keyed("run", "a.png", "-d", SCENE, "--api-url", api.url, "--price", "0.5")
    assert said.code == 4
    found = told()
    assert (found["totals"]["perhaps"], found["totals"]["perhaps_cost"], found["totals"]["cost"]) == (1, 0.5, 0.0)
    assert (found["photos"][0]["state"], found["photos"][0]["exit_code"]) == ("unknown", 4)


@pytest.mark.soak
def test_what_the_budget_left_is_in_the_report_too(paid: Command):
    for shade in range(100, 220, 30):
        saved(Path(f"in/{shade}.png"), photo(shade=shade, cut_out=True))
    said = paid("in", "--max-calls", "1", "--jobs", "1")
    assert said.code == 6
    found = told()
    assert found["totals"]["calls"] == 1
    assert found["totals"]["states"] == {"finished": 1, "planned": 3}
    assert {each["exit_code"] for each in found["photos"] if each["state"] == "planned"} == {6}
    assert "3 planned, 1 finished\n" in said.err  # as in the table


@pytest.mark.soak
def test_what_the_budget_left_of_sweeps_is_in_the_report_with_every_number(paid: Command):
    for shade in (100, 150):
        saved(Path(f"in/{shade}.png"), photo(shade=shade, cut_out=True))
    said = paid("in", "--seeds", "3", "--max-calls", "1", "--jobs", "1")
    assert said.code == 6
    found = told()
    assert found["totals"]["states"] == {"finished": 1, "planned": 5}
    assert {each["output"] for each in found["photos"]} == {
        f"{shade}-seeds/{number}" for shade in (100, 150) for number in (1, 2, 3)
    }
    assert "5 planned, 1 finished\n" in said.err


def test_a_photo_that_was_done_before_took_no_work(command: Command):
    path = saved(Path("a.png"), photo(cut_out=True))
    first, again = (prepare(path, description=SCENE, orders=Path("photio-out/orders")) for _ in range(2))
    assert [report.RunReport("run").worked(each) for each in (first, again)] == [True, False]
    called = report.RunReport("generate")
    called.count_by({again.key[:32]}.__contains__)
    assert called.worked(again)


# The file server's clock is a day behind: whatever gets its name gets an old time with it.
_LAGGING = """
import os, time
def lagging(name):
    real = getattr(os, name)
    def wrapped(source, target, *more, **options):
        result = real(source, target, *more, **options)
        os.utime(target, (time.time() - 86400,) * 2)
        return result
    setattr(os, name, wrapped)
for each in ("link", "rename", "replace"):
    lagging(each)
"""
# This machine's clock is a day ahead of the files'.
_AHEAD = """
import time
real, real_ns = time.time, time.time_ns
time.time, time.time_ns = (lambda: real() + 86400), (lambda: real_ns() + 86400 * 10**9)
"""


@pytest.mark.soak
@sampled("clock", [_LAGGING, _AHEAD], 1, ids=["files lag", "the machine is ahead"])
def test_what_was_paid_is_known_whatever_the_clock_of_the_files_says(command: Command, clock: str):
    for name, shade in (("a", 220), ("b", 220), ("c", 150), ("d", 120)):
        saved(Path(f"in/{name}.png"), photo(shade=shade, cut_out=True))
    answered = iter([True, True, False])
    with HostileServer(lambda number, exchange: ok() if next(answered) else close_after_reading()) as api:
        words = ["in", "-d", SCENE, "--api-url", api.url, "--price", "0.5", "--jobs", "1"]
        said = alone("run", *words, before=clock, PHOTIO_API_KEY=KEY)
        api.settle()
        assert (said.code, api.charges) == (4, 3), said.err
        found = told()
        assert (found["totals"]["calls"], found["totals"]["perhaps"]) == (2, 1)
        assert (found["totals"]["cost"], found["totals"]["perhaps_cost"]) == (1.0, 0.5)
        assert sorted(each["billed"] for each in found["photos"]) == ["perhaps", "shared", "yes", "yes"]
        assert sorted(each["billed"] for each in rows(Path("photio-out/report.csv"))) == [
            "perhaps",
            "shared",
            "yes",
            "yes",
        ]
        assert "total 4 3 1.50 (1 perhaps)" in [" ".join(each.split()) for each in said.err.splitlines()]
        again = alone("run", *words, before=clock, PHOTIO_API_KEY=KEY)
        assert (again.code, api.charges) == (4, 3), again.err
        assert {each["billed"] for each in told()["photos"]} == {"no"}
        assert told()["totals"]["cost"] == 0.0


@pytest.mark.soak
def test_free_calls_are_known_whatever_the_clock_of_the_files_says(command: Command):
    saved(Path("a.png"), photo(cut_out=True))
    assert alone("run", "a.png", "-d", SCENE, "--sandbox", before=_LAGGING).code == 0
    assert (told()["totals"]["sandbox"], told()["photos"][0]["billed"]) == (1, "sandbox")


def test_the_line_of_progress_knows_what_was_paid_too(command: Command):
    saved(Path("a.png"), photo(cut_out=True))
    console, bar = Console(), _Steps()
    reporting.start_report(console, "run", 0.5)
    console._bar = bar
    made = prepare(Path("a.png"), description=SCENE, orders=Path("photio-out/orders"))
    guard = SpendingGuard(_Answering(made.endpoint))
    console.report.count_by(guard.is_billed)
    payment.pay(made, guard)
    assert made.folder is not None
    os.utime(made.folder / "claim.json", (1, 1))
    console.result(made, State.ANSWERED)
    assert bar.spent == [0.5]


class _Steps:
    """A line of progress that remembers the money it was shown."""

    def __init__(self) -> None:
        self.spent: list[float | None] = []

    def step(self, states: object, spent: float | None, *, worked: bool) -> None:
        self.spent.append(spent)

    def clear(self) -> None:
        pass


class _Answering:
    """A sender of somebody's own that answers at once."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        raw = json.dumps({"status_code": 200, "body": b64encode(encoded(photo(request.size))).decode()}).encode()
        return Result(raw, photo(request.size), request.canvas.placement)


@pytest.mark.soak
def test_a_photo_that_changed_since_it_was_paid_for_is_a_new_order_and_said_to_be(paid: Command):
    saved(Path("a.png"))
    assert paid("a.png").code == 0
    saved(Path("a.png"), photo(shade=150, cut_out=True))
    final = Path("photio-out/a-photio.png")
    untouched = final.read_bytes()
    final.write_bytes(untouched + b"retouched")
    refused = paid("a.png")
    assert (refused.code, told()["totals"]["calls"], told()["totals"]["changed"]) == (3, 0, 1)
    assert "changed since: a.png was paid for as other bytes" in refused.err
    assert "error: a.png: photio-out/a-photio.png: another file lies there already" in refused.err
    final.write_bytes(untouched)
    said = paid("a.png")
    assert said.code == 0, said.err
    assert "changed since: a.png was paid for as other bytes" in said.err
    assert told()["totals"] | {"changed": 1, "calls": 1} == told()["totals"]
    again = paid("a.png")
    assert (again.code, told()["totals"]["calls"], "changed since" in again.err) == (0, 0, False)


@pytest.mark.soak
def test_the_final_of_a_changed_photo_as_it_was_before_is_kept(paid: Command, keyed: Command, identity: Sandbox):
    saved(Path("a.png"))
    assert paid("a.png", "--preset", "ebay").code == 0
    before = [Path(f"photio-out/{each}").read_bytes() for each in ("a-photio.png", "a-photio-ebay.jpg")]
    (old,) = find_orders(Path("photio-out"))
    saved(Path("a.png"), photo(shade=150, cut_out=True))
    said = paid("a.png", "--preset", "ebay")
    assert said.code == 0, said.err
    kept = [*old.glob("final-*.png"), *old.glob("final-*-ebay.jpg")]
    assert [each.read_bytes() for each in kept] == before
    assert all(f"before is kept as {each}" in said.err for each in kept)
    after = Path("photio-out/a-photio.png").read_bytes()
    assert after != before[0]
    # The photo comes back: its order was paid for, and its final is the final again.
    saved(Path("a.png"))
    assert paid("a.png").code == 0
    assert told()["totals"]["calls"] == 0
    assert Path("photio-out/a-photio.png").read_bytes() == before[0]
    assert after in [each.read_bytes() for each in Path("photio-out/orders").glob("*/final-*.png")]
    # Another scene is paid for: the newest paid answer is the photo's final, and the one before is kept.
    other = keyed("run", "a.png", "-d", "another scene", "--api-url", identity.url)
    assert (other.code, told()["totals"]["calls"]) == (0, 1)
    assert f"before is kept as {old}" in other.err
    assert before[0] in [each.read_bytes() for each in old.glob("final-*.png")]
    # The first scene again costs nothing, and changes nothing.
    newest = Path("photio-out/a-photio.png").read_bytes()
    first = paid("a.png")
    assert (first.code, told()["totals"]["calls"], first.lines) == (0, 0, ["photio-out/a-photio.png"])
    assert Path("photio-out/a-photio.png").read_bytes() == newest


@pytest.mark.soak
def test_a_changed_photo_s_final_where_a_preset_s_file_was_edited_is_refused_before_it_is_paid_for(paid: Command):
    saved(Path("a.png"))
    assert paid("a.png", "--preset", "ebay").code == 0
    saved(Path("a.png"), photo(shade=150, cut_out=True))
    shelved = Path("photio-out/a-photio-ebay.jpg")
    shelved.write_bytes(shelved.read_bytes() + b"retouched")
    said = paid("a.png", "--preset", "ebay")
    assert (said.code, told()["totals"]["calls"]) == (3, 0)
    assert shelved.read_bytes().endswith(b"retouched")


@pytest.mark.soak
def test_a_photo_that_changes_while_a_hot_folder_is_watched_is_a_new_order_too(command: Command):
    path = saved(Path("in/a.png"), photo(cut_out=True))
    root = Path("photio-out/orders")
    with Sandbox() as api:
        client = InstantClient("pt-canary-5c1e77b0a9d4", api_url=api.url)
        first = prepare(path, description=SCENE, endpoint=api.url, orders=root)
        assert not index.index_of(root).refresh().is_changed_photo(first)
        generate(first, client=client)
        assert not index.index_of(root).refresh().is_changed_photo(first)
        saved(path, photo(shade=150, cut_out=True))
        second = prepare(path, description=SCENE, endpoint=api.url, orders=root)
        assert index.index_of(root).refresh().is_changed_photo(second)


def test_prepare_and_generate_report_too(command: Command):
    saved(Path("in/a.png"))
    assert command("prepare", "in").code == 0
    found = told()
    assert (found["command"], found["photos"][0]["state"], found["photos"][0]["billed"]) == ("prepare", "planned", "no")
    assert command("generate", "photio-out", "-d", SCENE, "--sandbox").code == 0
    found = told()
    assert (found["command"], found["photos"][0]["state"]) == ("generate", "answered")
    assert (found["photos"][0]["billed"], found["totals"]["sandbox"]) == ("sandbox", 1)


def test_a_photo_that_the_gate_stops_counts_as_refused(command: Command):
    saved(Path("a.png"))
    said = command("prepare", "a.png", "--gate", "strict")
    assert said.code == 3
    (line,) = told()["photos"]
    assert (line["exit_code"], line["state"]) == (3, "planned")
    assert line["reasons"]


@pytest.mark.soak
def test_a_report_that_cannot_be_written_is_an_error_only_where_there_is_no_other(command: Command):
    saved(Path("a.png"))
    Path("photio-out/report.json").mkdir(parents=True)
    said = command("run", "a.png", "-d", SCENE, "--sandbox")
    assert (said.code, len(said.lines)) == (7, 1)
    Path("b.png").write_bytes(b"no picture")
    said = command("run", "a.png", "b.png", "-d", SCENE, "--sandbox")
    assert said.code == 3
    assert "warning: the report cannot be written" in said.err


# --- beside the rows of a table


def test_results_stand_beside_each_row_of_a_copy(paid: Command):
    saved(Path("in/a.png"))
    Path("in/bad.png").write_bytes(b"no picture")
    table = Path("in/jobs.csv")
    lines = ["source;description;output", "a.png;on oak, in daylight;one", 'bad.png;"two\nlines";two', "a.png;;three"]
    table.write_bytes("\r\n".join([*lines, ""]).encode("utf-8-sig"))
    before = table.read_bytes()
    said = paid(table, "--first", "2")
    assert said.code == 3
    found = rows(Path("photio-out/jobs-results.csv"), ";")
    results = ["status", "cost", "flags", "order", "final", "presets"]
    assert list(found[0]) == ["source", "description", "output", *results]
    assert [each["status"] for each in found] == ["finished", "refused", ""]
    assert [each["cost"] for each in found] == ["0.5", "", ""]
    assert found[0]["final"] == "photio-out/one-photio.png"
    assert found[1]["description"] == "two\nlines"
    assert "picture" in found[1]["flags"]
    assert table.read_bytes() == before


@pytest.mark.soak
def test_a_row_s_results_are_those_of_its_whole_sweep(paid: Command, identity: Sandbox):
    saved(Path("in/a.png"))
    Path("in/jobs.csv").write_text("source,output\na.png,x\n")
    said = paid("in/jobs.csv", "--seeds", "3", "--max-calls", "2")
    assert said.code == 6
    (row,) = rows(Path("photio-out/jobs-results.csv"))
    assert (row["status"], row["cost"]) == ("planned", "1.0")
    assert "budget" in row["flags"]
    assert len(row["final"].split("; ")) == 2
    assert paid("in/jobs.csv", "--seeds", "3").code == 0
    (row,) = rows(Path("photio-out/jobs-results.csv"))
    assert (row["status"], row["cost"]) == ("finished", "0.5")
    assert row["final"].split("; ") == [f"photio-out/x-seeds/{each}-photio.png" for each in (1, 2, 3)]


def test_the_money_of_a_command_is_what_it_paid_itself(paid: Command, monkeypatch: pytest.MonkeyPatch):
    from photio_prep.cli import progress

    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    saved(Path("in/a.png"))
    saved(Path("in/b.webp"))
    assert "1 finished, 0.50 spent" in paid("in").err
    assert "1 finished, 0.00 spent" in paid("in").err


def test_results_of_json_lines_are_json_lines(paid: Command):
    saved(Path("in/a.png"))
    Path("in/jobs.jsonl").write_text('{"source": "a.png", "seed": 5}\n')
    assert paid("in/jobs.jsonl").code == 0
    found = json.loads(Path("photio-out/jobs-results.jsonl").read_text())
    assert (found["seed"], found["status"]) == (5, "finished")


@pytest.mark.soak
def test_tables_of_one_name_have_results_of_their_own(command: Command):
    for each in ("x", "y"):
        saved(Path(each) / f"{each}.png")
        (Path(each) / "jobs.csv").write_text(f"source\n{each}.png\n")
    assert command("run", "x/jobs.csv", "y/jobs.csv", "-d", SCENE, "--sandbox").code == 0
    names = sorted(each.name for each in Path("photio-out").glob("*.csv"))
    assert names == ["jobs-results-2.csv", "jobs-results.csv", "report.csv"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_no_cell_is_a_formula_to_a_spreadsheet(start: str):
    assert escape_formula(f"{start}cmd|'/c calc'!A1") == f"'{start}cmd|'/c calc'!A1"
    assert escape_formula(f"a{start}") == f"a{start}"


def split(text: str, delimiter: str, *, quoted: bool) -> list[str]:
    """The cells of a file as a spreadsheet with another separator finds them, whether or not it honours quotation."""
    if quoted:
        return [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) for cell in row]
    return [cell for line in text.splitlines() for cell in line.split(delimiter)]


EVIL = (
    "shoe;=cmd|'/c calc'!A1",
    "a\t=1+1",
    "a\r\n=1+1",
    "a,+1",
    "a|@SUM(1)",
    ' \t"=1"',
    'x;"=1+1"',
    "b;  -1",
    "c\u2028=1",
)


@pytest.mark.parametrize("own", [",", ";", "\t"])
@pytest.mark.parametrize("theirs", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoted", [True, False])
def test_no_separator_makes_a_formula_of_a_part_of_a_cell(own: str, theirs: str, quoted: bool):
    text = encode_rows([["name", "other"], *((each, "b") for each in EVIL)], own, marked=False).decode()
    for cell in split(text, theirs, quoted=quoted):
        assert not re.match(r'[ \t"]*[=+\-@]', cell)


def test_what_is_no_formula_stays_as_it_is():
    for text in ("on a table; soft light, a wall", "10-20 cm", "a=b", "mail@shop.example", "a - b", "x, y | z"):
        assert escape_formula(text) == text


def test_no_cell_of_a_report_or_of_results_is_a_formula(command: Command):
    saved(Path("in/=1+1.png"))
    Path("in/jobs.csv").write_text('source,description,output\n=1+1.png,"=HYPERLINK(""http://x.invalid"")",@SUM\n')
    assert command("run", "in/jobs.csv", "--sandbox").code == 0
    photos = json.loads(Path("photio-out/report.json").read_text())["photos"]
    assert [Path(each["source"]).name for each in photos] == ["=1+1.png"]  # JSON tells names as they are
    for path in (Path("photio-out/report.csv"), Path("photio-out/jobs-results.csv")):
        cells = [cell for row in csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline="")) for cell in row]
        assert not [each for each in cells if each[:1] in tuple("=+-@\t\r")]
        assert any(each.startswith("'") for each in cells)


@pytest.mark.soak
def test_the_files_of_presets_stand_in_the_report_and_beside_the_rows(paid: Command):
    for name in "ab":
        saved(Path(f"{name}.png"), photo((90, 70 + ord(name)), cut_out=True))
    Path("jobs.csv").write_text("source,preset\na.png,ebay etsy\nb.png,\n")
    assert paid("jobs.csv").code == 0
    made = {each["output"]: each["presets"] for each in told()["photos"]}
    assert made == {"a": ["photio-out/a-photio-ebay.jpg", "photio-out/a-photio-etsy.jpg"], "b": []}
    beside = [each["presets"] for each in rows(Path("photio-out/jobs-results.csv"))]
    assert beside == ["photio-out/a-photio-ebay.jpg; photio-out/a-photio-etsy.jpg", ""]
    assert {each["presets"] for each in rows(Path("photio-out/report.csv"))} == {*beside}
