"""The review page without a browser: what is read, what is made, what decisions mean, what the commands say."""

from __future__ import annotations

import base64
import html
import json
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from photio_prep import pipeline
from photio_prep.api.client import InstantClient
from photio_prep.cli import review as cli_review
from photio_prep.errors import UsageError
from photio_prep.orders import previews, store
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import State
from photio_prep.quality import Judgement, Reason, Verdict
from photio_prep.review import contact_sheet, write_contact_sheets, write_review
from photio_prep.review import html as review_html
from photio_prep.review.entries import ReviewEntry, load_entries
from photio_prep.review.thumbnails import FILES, Thumbnails, collect_pictures
from tests.support.batches import TINY
from tests.support.commands import KEY
from tests.support.finals import write_final
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.hostile_faults import close_after_reading
from tests.support.pages import keys
from tests.support.photos import SCENE, cutout, photo, revise, saved
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from photio_prep.orders.store import Order
    from photio_prep.sandbox import Sandbox
    from tests.support.commands import Command


def planned(out: Path, name: str = "a.png", **given: Any) -> Order:
    """An order on disk for a photo beside the output folder."""
    size = (90 + len(list(out.glob("orders/*"))), 70)
    source = saved(out.parent / name, cutout(size))
    return pipeline.prepare(
        source, **{"description": SCENE, "orders": out / "orders", "output": Path(name).stem, **given}
    )


def told(place: Path) -> dict[str, Any]:
    """The data in a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', place.read_text("utf-8"), re.DOTALL)
    assert found
    facts: dict[str, Any] = json.loads(found[1])
    names, own, shared = (facts.pop(each) for each in ("names", "own", "shared"))
    rows = [
        {name: value if mine else shared[value] for name, mine, value in zip(names, own, row, strict=True)}
        for row in facts["rows"]
    ]
    return {**facts, "rows": rows}


# --- what is read ----------------------------------------------------------------------------------------------------


def test_a_row_says_everything_about_an_order(tmp_path: Path) -> None:
    order = planned(tmp_path / "out", seed=7, negative_prompt="blurry")
    (row,) = load_entries(tmp_path / "out")
    assert (row.key, row.state, row.source) == (order.key, State.PLANNED, str(tmp_path / "a.png"))
    sent = row.order.request
    assert (sent.seed, sent.seed_drawn, sent.description, sent.negative_prompt) == (7, False, SCENE, "blurry")
    assert (row.order.placement, row.order.model, row.order.origin.format) == (order.placement, "alpha", "PNG")
    assert row.gate == order.origin.gate
    assert row.gate
    assert "small" in row.flags
    assert (row.billed, row.perhaps) == (0, 0)


def test_an_order_that_went_on_is_shown_as_what_it_went_on_as(tmp_path: Path) -> None:
    order = planned(tmp_path / "out", description="")
    first = revise(order, description="on oak")
    second = revise(order, description="on marble")
    assert {row.key for row in load_entries(tmp_path / "out")} == {first.key, second.key}
    assert order.folder
    (alone,) = load_entries(order.folder)  # named by itself it is shown all the same
    assert alone.key == order.key


def test_two_photos_of_one_order_are_two_rows_and_one_call(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        pipeline.prepare(cutout(), description=SCENE, seed=1, orders=tmp_path / "orders", name=name, output=name)
    found = load_entries(tmp_path)
    assert [row.source for row in found] == ["a.png", "b.png"]
    assert len({row.folder for row in found}) == 1
    assert told(write_review(tmp_path))["totals"] == "2 photos · 1 planned · paid calls: 0"


def test_a_folder_without_orders_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no orders found"):
        write_review(tmp_path)


def spoil(change: dict[str, Any], name: str) -> Any:
    def do(folder: Path) -> None:
        (path,) = folder.glob(name)
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    return do


SPOILED = {
    "no plan": lambda folder: (folder / "order.json").write_text("{}"),
    "no JSON": lambda folder: (folder / "order.json").write_text("{"),
    "a list": lambda folder: (folder / "order.json").write_text("[]"),
    "no photo": lambda folder: next(folder.glob("photo-*")).unlink() if (folder / "photo.jpg").unlink() is None else 0,
    "another key": spoil({"key": "0" * 64}, "order.json"),
    "a key that is a path": spoil({"key": "../../x"}, "order.json"),
    "a box that is a word": spoil({"placement": {"source": [9, 9], "canvas": [9, 9], "box": "x"}}, "photo-*.json"),
    "a box outside": spoil({"placement": {"source": [9, 9], "canvas": [9, 9], "box": [0, 0, 99, 9]}}, "photo-*.json"),
    "no size": spoil({"placement": {"source": [0, 9], "canvas": [9, 9], "box": [0, 0, 9, 9]}}, "photo-*.json"),
    "a seed that is none": spoil({"seed": "<b>"}, "order.json"),
    "a claim of nobody": lambda folder: (folder / "claim.json").mkdir(),
    "a wrong outcome": lambda folder: (folder / "outcome.json").write_text('{"state": "<script>"}'),
    "a wrong gate": lambda folder: next(folder.glob("gate-*")).write_text('{"reasons": [1], "figures": {}}'),
}


@sampled("how", SPOILED, 3)
def test_a_damaged_order_is_a_row_that_says_so_and_the_others_are_shown(tmp_path: Path, how: str) -> None:
    order, _ = planned(tmp_path, seed=1), planned(tmp_path, seed=2)
    assert order.folder
    SPOILED[how](order.folder)
    first, second = load_entries(tmp_path)
    assert (first.state, second.state) == (None, State.PLANNED)
    assert first.flags == ("damaged",)
    assert first.why
    data = told(write_review(tmp_path))["rows"]
    assert [each["state"] for each in data] == ["damaged", "planned"]
    assert (data[0]["key"], data[0]["pictures"]) == ("", {})


def test_odd_facts_stay_texts(tmp_path: Path) -> None:
    order = planned(tmp_path)
    assert order.folder
    spoil({"description": ["<script>"], "model": {"a": 1}, "created": None}, "order.json")(order.folder)
    (path,) = order.folder.glob("photo-*.json")
    (order.folder / path.name.replace("photo", "drift")).write_text(
        '{"share": 0.123456, "sentence": "</script>", "x": []}'
    )
    (row,) = load_entries(tmp_path)
    assert (row.order.request.description, row.order.model) == ("['<script>']", "{'a': 1}")
    assert row.measured == (("share", "0.1235"), ("drift", "</script>"))
    assert not row.altered


@sampled(("score", "altered"), [(0.4, False), (1.7, True), ("2", False)], 1)
def test_what_drift_and_proof_say_is_shown_and_flagged(tmp_path: Path, score: object, altered: bool) -> None:
    order = planned(tmp_path)
    assert order.folder
    drift = {"score": score, "sentence": "the generator moved it", "parts": {"shift": 2.0}}
    (order.folder / "drift.json").write_text(json.dumps(drift))
    name = next(order.folder.glob("photo-*.json")).name
    (order.folder / name.replace("photo", "proof")).write_text(json.dumps({"product": "original", "equal": 1.0}))
    (order.folder / "drift.png").write_bytes((order.folder / "cutout.png").read_bytes())
    (row,) = load_entries(tmp_path)
    assert ("drift" in row.flags) is altered
    assert row.measured == (
        ("score", str(score)),
        ("drift", "the generator moved it"),
        ("product", "original"),
        ("equal", "1"),
    )
    (seen,) = collect_pictures([row])
    assert seen.drift == order.folder / "drift.png"


def of_photo(row: ReviewEntry, **changes: Any) -> ReviewEntry:
    """An entry whose photo differs."""
    return replace(row, order=replace(row.order, origin=replace(row.order.origin, **changes)))


def test_the_worst_comes_first() -> None:
    judged = {each: Judgement((Reason("cut", each, "x"),)) for each in (Verdict.WARN, Verdict.STOP)}
    plain = ReviewEntry(Path("x"), State.PLANNED, "a")
    worst_first = [
        replace(plain, state=None),
        replace(plain, state=State.UNKNOWN),
        replace(plain, state=State.PAID_UNUSABLE),
        replace(plain, state=State.REJECTED),
        of_photo(plain, gate=judged[Verdict.STOP]),
        replace(plain, altered=True),
        of_photo(plain, gate=judged[Verdict.WARN]),
        of_photo(plain, warnings=("odd",)),
        plain,
    ]
    scores = [row.severity for row in worst_first]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def test_the_most_doubtful_comes_first(tmp_path: Path, command: Command) -> None:
    for name, risk in (("a.png", 0.1), ("b.png", 0.34), ("c.png", None)):
        folder = planned(tmp_path, name).folder
        assert folder is not None
        record = {"verdict": "ok", "reasons": [], "figures": {} if risk is None else {"risk": risk}}
        next(folder.glob("gate-*.json")).write_text(json.dumps(record))
    entries = load_entries(tmp_path)
    assert [Path(entry.source).name for entry in entries] == ["b.png", "a.png", "c.png"]
    assert [row["risk"] for row in told(write_review(tmp_path))["rows"]] == ["34%", "10%", ""]
    listed = command("status", tmp_path)
    assert [line.split()[2] for line in listed.lines] == ["34%", "10%", "-"]
    assert [fact["risk"] for fact in command("status", tmp_path, "--json").facts] == [0.34, 0.1, None]
    next((tmp_path / "orders").glob("*/gate-*.json")).write_text('{"figures": {"risk": [1]}, "reasons": 3}')
    assert command("status", tmp_path).code == 7


# --- what is made ----------------------------------------------------------------------------------------------------


def test_pictures_are_made_once_and_anew_when_an_answer_comes(tmp_path: Path, identity: Sandbox) -> None:
    order = planned(tmp_path, endpoint=identity.url, size=TINY)
    (row,) = load_entries(tmp_path)
    (first,) = collect_pictures([row])
    assert (first.thumb and first.thumb.parent, first.answer) == (tmp_path / FILES, None)
    made = {each: each.stat().st_mtime_ns for each in (tmp_path / FILES).iterdir()}
    assert list(made) == [first.thumb]
    list(collect_pictures([row]))
    assert {each: each.stat().st_mtime_ns for each in (tmp_path / FILES).iterdir()} == made
    pipeline.generate(order, client=InstantClient(KEY, api_url=identity.url), gate="off")
    (row,) = load_entries(tmp_path)
    (second,) = collect_pictures([row])
    assert second.answer
    assert {second.thumb, second.answer} == set((tmp_path / FILES).iterdir())
    with Image.open(second.answer) as answer:
        assert (answer.format, answer.size) == ("JPEG", tuple(order.request.size))


def test_the_products_box_is_that_of_the_canvas(tmp_path: Path) -> None:
    order = planned(tmp_path)
    (seen,) = collect_pictures(load_entries(tmp_path))
    assert seen.product
    alpha = np.asarray(order.canvas.image)[..., 3] >= 8
    down, across = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    assert seen.product == (across[0], down[0], across[-1] + 1, down[-1] + 1)


def test_an_order_keeps_its_photo_to_look_at_without_its_metadata(tmp_path: Path) -> None:
    order = pipeline.prepare(photo(), mask=cutout().getchannel("A"), orders=tmp_path)
    assert order.folder
    assert order.cutout
    with Image.open(order.folder / previews.PHOTO) as shown:
        assert (shown.format, shown.size, shown.mode) == ("JPEG", order.cutout.size, "RGB")
        assert not shown.getexif()
        near = np.abs(np.asarray(shown, int) - np.asarray(photo().resize(shown.size, 1), int))
    assert near.mean() < 4


@sampled("gone", ["photo", "changed", "link"], 1)
def test_a_photo_that_is_not_the_one_any_more_is_not_shown(tmp_path: Path, gone: str) -> None:
    planned(tmp_path / "out")
    path = tmp_path / "a.png"
    if gone == "photo":
        path.unlink()
    elif gone == "changed":
        saved(path, cutout(shade=90))
    (seen,) = collect_pictures(load_entries(tmp_path / "out"))
    assert seen.photo == (path if gone == "link" else None)
    assert seen.shown


def test_a_link_in_an_orders_folder_is_not_followed(tmp_path: Path) -> None:
    order = planned(tmp_path)
    assert order.folder
    (order.folder / "canvas.png").unlink()
    (order.folder / "canvas.png").symlink_to(tmp_path / "a.png")
    (seen,) = collect_pictures(load_entries(tmp_path))
    assert seen.canvas is None


def test_a_final_is_found_where_it_was_put_and_where_it_was_moved(tmp_path: Path, identity: Sandbox) -> None:
    order = planned(tmp_path / "out", endpoint=identity.url, size=TINY)
    pipeline.generate(order, client=InstantClient(KEY, api_url=identity.url), gate="off")
    away = write_final(order, tmp_path / "elsewhere")
    (seen,) = collect_pictures(load_entries(tmp_path / "out"))
    assert seen.final == away
    here = write_final(order, tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    (seen,) = collect_pictures(load_entries(tmp_path / "moved"))
    assert seen.final == tmp_path / "moved" / here.name


def test_an_order_that_somebody_made_up_shows_no_picture_that_it_names(tmp_path: Path, identity: Sandbox) -> None:
    order = planned(tmp_path / "out", endpoint=identity.url, size=TINY)
    pipeline.generate(order, client=InstantClient(KEY, api_url=identity.url), gate="off")
    write_final(order, tmp_path / "out").unlink()
    private = saved(tmp_path / "private.png", cutout(shade=90))
    assert order.folder
    spoil({"path": str(private)}, "finished-*.json")(order.folder)
    spoil({"source": str(private), "output": "../private"}, "photo-*.json")(order.folder)
    private.rename(tmp_path / "private-photio.png")
    saved(private, cutout(shade=90))
    (seen,) = collect_pictures(load_entries(tmp_path / "out"))
    assert (seen.final, seen.photo) == (None, None)


def test_a_page_is_whole_text_with_a_policy_that_names_its_parts(tmp_path: Path) -> None:
    planned(tmp_path)
    text = write_review(tmp_path).read_text("utf-8")
    policy = html.unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0])
    style, script = (
        re.findall(r"<style>(.*?)</style>", text, re.DOTALL),
        re.findall(r"<script>(.*?)</script>", text, re.DOTALL),
    )
    digests = [base64.b64encode(sha256(each.encode()).digest()).decode() for each in (*style, *script)]
    assert policy == (
        f"default-src 'none'; img-src 'self' file:; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}';"
        " base-uri 'none'; form-action 'none'"
    )
    mine = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r"\son\w+=|\sstyle=|https?://", mine)
    assert "innerHTML" not in text
    assert "outerHTML" not in text
    assert "insertAdjacent" not in text
    assert "{{" not in text.replace("${{", "")


def test_urls_are_spelled_out(tmp_path: Path) -> None:
    name = "a b#c?d%e&\"'<é>;javascript:.png"
    planned(tmp_path / "out", name, output="x")
    (row,) = told(write_review(tmp_path / "out"))["rows"]
    assert row["pictures"]["photo"] == "./../a%20b%23c%3Fd%25e%26%22%27%3C%C3%A9%3E%3Bjavascript%3A.png"


@pytest.mark.soak
def test_thousand_rows_are_a_page_below_three_megabytes_and_too_many_are_not_embedded(tmp_path: Path) -> None:
    order = planned(tmp_path, description=SCENE * 5)
    (row,) = load_entries(tmp_path)
    (seen,) = collect_pictures([row])
    assert row.gate
    worse = Judgement(row.gate.reasons * 4, row.gate.figures)
    many = [of_photo(replace(row, key=f"{n:064x}", source=f"in/shop/{n:05}.jpg"), gate=worse) for n in range(1000)]
    made = review_html.render_page(many, [seen] * 1000, tmp_path / "review.html")
    assert len(made) < 3 * 10**6
    with pytest.raises(UsageError, match="too many for one file"):
        review_html.render_page([*many, row], [seen] * 1001, tmp_path / "review.html", embed=True)
    assert order.folder


def test_costs_are_told_and_never_counted_twice(tmp_path: Path) -> None:
    plain = ReviewEntry(Path("x"), State.ANSWERED, "a", billed=1)
    assert review_html.describe_cost(plain, 0.04) == "one paid call (0.04)"
    assert review_html.describe_cost(replace(plain, billed=0, perhaps=2)) == "2 calls perhaps billed"
    assert review_html.describe_cost(replace(plain, order=replace(plain.order, endpoint="sandbox"))) == "free (sandbox)"
    assert review_html.describe_cost(replace(plain, billed=0)) == "nothing yet"
    both = [plain, replace(plain, source="b")]
    assert review_html.summarize_costs(both, 0.04) == "2 photos · 1 answered · paid calls: 1 (0.04)"


def test_the_library_reviews_folders_and_orders(tmp_path: Path) -> None:
    first, second = planned(tmp_path / "out", seed=1), planned(tmp_path / "out", seed=2)
    assert write_review(str(tmp_path / "out")) == tmp_path / "out" / "review.html"
    assert write_review(tmp_path / "out" / "orders") == tmp_path / "out" / "review.html"
    one = write_review([second], tmp_path / "one.html")
    assert [each["key"] for each in told(one)["rows"]] == [second.key]
    assert len(told(write_review([first, second]))["rows"]) == 2
    assert pipeline.prepare(cutout()).folder is None
    with pytest.raises(UsageError, match="no order"):
        write_review([pipeline.prepare(cutout())])


def test_contact_sheets_show_every_photo_by_its_number(tmp_path: Path) -> None:
    for seed in range(1, 4):
        planned(tmp_path, f"{'long name ' * 8}{seed}.png", seed=seed, size=TINY, output=str(seed))
    (sheet,) = write_contact_sheets(tmp_path, tmp_path / "sheet.png")
    with Image.open(sheet) as shown:
        assert (shown.format, shown.mode) == ("PNG", "RGB")
        assert shown.width > 3 * 300
        colours = shown.getcolors(1 << 24)
        assert colours
        assert len(colours) > 100  # pictures, not only paper
    found = load_entries(tmp_path)
    many = contact_sheet.write_sheets(found * 15, [Thumbnails()] * 45, tmp_path / "many.png")
    assert [each.name for each in many] == ["many.png", "many-2.png"]


# --- the commands ----------------------------------------------------------------------------------------------------


def test_review_prints_paths(command: Command) -> None:
    command("prepare", saved(Path("a.png")), "-d", SCENE, "-q")
    said = command("review", "photio-out")
    assert (said.code, said.paths) == (0, [Path("photio-out/review.html")])
    said = command("review", "photio-out", "-o", "p/x.html", "--sheet", "s.png", "--embed", "--json")
    assert said.facts == [{"page": "p/x.html"}, {"sheet": "s.png"}]
    assert Path("s.png").is_file()


@sampled(
    "given",
    [
        ["missing"],
        ["."],
        ["photio-out", "--sheet", "x.jpg"],
        ["photio-out", "-o", "in"],
    ],
    2,
    ids=["nothing there", "no orders", "no PNG", "a folder"],
)
def test_review_refuses_what_cannot_be_meant(command: Command, given: list[str]) -> None:
    command("prepare", saved(Path("in/a.png")), "-d", SCENE, "-q")
    said = command("review", *given)
    assert (said.code, said.out) == (2, "")


def test_open_opens_the_browser(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command("prepare", saved(Path("a.png")), "-d", SCENE, "-q")
    script = saved_script(Path("browser.sh"))
    monkeypatch.setenv("BROWSER", f"{script.resolve()} %s")
    assert command("review", "photio-out", "--open").code == 0
    assert Path("opened").read_text().strip() == Path("photio-out/review.html").resolve().as_uri()


def saved_script(path: Path) -> Path:
    """A browser that only notes what it is asked to open."""
    path.write_text('#!/bin/sh\necho "$1" > opened\n')
    path.chmod(0o755)
    return path


@sampled("verb", [["prepare"], ["run", "--sandbox"]], 1)
def test_prepare_and_run_say_where_the_page_is(command: Command, verb: list[str]) -> None:
    saved(Path("a.png"))
    quiet = command(*verb, "a.png", "-d", SCENE, "-q")
    assert (quiet.code, quiet.err) == (0, "")
    assert not Path("photio-out/review.html").exists()
    said = command(*verb, "a.png", "-d", SCENE)
    assert said.err.endswith("look at it: photio-out/review.html\n")
    assert [each["name"] for each in told(Path("photio-out/review.html"))["rows"]] == ["a.png"]


def test_a_big_batch_is_told_how_to_make_its_page(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_review, "MOST", 0)
    said = command("prepare", saved(Path("a.png")), "-d", SCENE)
    assert said.err.endswith("look at it: photio-prep review photio-out\n")
    assert not Path("photio-out/review.html").exists()


@pytest.mark.soak
def test_a_page_that_cannot_be_made_fails_nothing(command: Command) -> None:
    Path("photio-out/review.html").mkdir(parents=True)
    said = command("run", saved(Path("a.png")), "-d", SCENE, "--sandbox")
    assert (said.code, said.paths) == (0, [Path("photio-out/a-photio.png")])
    assert "note: the review page could not be made" in said.err


@pytest.mark.soak
def test_what_the_page_needs_is_never_input(command: Command) -> None:
    saved(Path("in/a.png"))
    for _ in range(2):
        said = command("run", "in", "-d", SCENE, "--sandbox", "-o", "in")
        assert said.paths == [Path("in/a-photio.png")]
    assert command("prepare", "in", "-d", SCENE, "-o", "other", "--json").facts[0]["source"] == "in/a.png"


# --- decisions -------------------------------------------------------------------------------------------------------


def decide(approved: list[str], rejected: list[str] | None = None) -> Path:
    path = Path("decisions.json")
    path.write_text(json.dumps({"schema": 1, "approved": approved, "rejected": rejected or []}))
    return path


def batch(keyed: Command, url: str, count: int = 3, *words: str) -> dict[str, str]:
    """The keys of `count` planned orders by the names of their photos."""
    for number in range(count):
        saved(Path(f"in/{number}.png"), cutout((100 + number, 80)))
    assert keyed("prepare", "in", "--api-url", url, "-q", *(words or ("-d", SCENE))).code == 0
    return keys(Path("photio-out"))


WRONG = {
    "no JSON": "{",
    "a list": "[]",
    "a name missing": '{"schema": 1, "approved": []}',
    "a name too many": '{"schema": 1, "approved": [], "rejected": [], "pay": true}',
    "a name twice": '{"schema": 1, "approved": [], "approved": [], "rejected": []}',
    "another schema": '{"schema": 2, "approved": [], "rejected": []}',
    "true for 1": '{"schema": true, "approved": [], "rejected": []}',
    "no list": '{"schema": 1, "approved": {}, "rejected": []}',
    "a path": '{"schema": 1, "approved": ["photio-out/orders/x"], "rejected": []}',
    "a number": '{"schema": 1, "approved": [7], "rejected": []}',
    "capitals": f'{{"schema": 1, "approved": ["{"A" * 64}"], "rejected": []}}',
    "a key twice": f'{{"schema": 1, "approved": ["{"a" * 64}", "{"a" * 64}"], "rejected": []}}',
    "both": f'{{"schema": 1, "approved": ["{"a" * 64}"], "rejected": ["{"a" * 64}"]}}',
    "NaN": '{"schema": NaN, "approved": [], "rejected": []}',
    "not there": f'{{"schema": 1, "approved": ["{"a" * 64}"], "rejected": []}}',
    "deep": "[" * 100_000,
}


@sampled("how", WRONG, 3)
def test_decisions_that_are_none_are_exit_2_and_nothing_is_sent(keyed: Command, identity: Sandbox, how: str) -> None:
    batch(keyed, identity.url, 1)
    Path("decisions.json").write_text(WRONG[how])
    said = keyed("generate", "photio-out", "--api-url", identity.url, "--approved", "decisions.json")
    assert (said.code, said.out, identity.calls) == (2, "", 0)
    assert "decisions.json: " in said.err


def test_a_file_of_decisions_that_is_not_there_is_exit_2(keyed: Command, identity: Sandbox) -> None:
    batch(keyed, identity.url, 1)
    assert keyed("generate", "photio-out", "--api-url", identity.url, "--approved", "missing.json").code == 2
    assert identity.calls == 0


def test_approved_orders_that_are_not_there_are_named(keyed: Command, identity: Sandbox) -> None:
    found = batch(keyed, identity.url)
    missing = [f"{number:064x}" for number in range(7)]
    said = keyed("generate", "photio-out", "--api-url", identity.url, "--approved", decide([*missing, found["0.png"]]))
    assert (said.code, identity.calls) == (2, 0)
    assert all(each[:32] in said.err for each in missing[:5])
    assert "and 2 more" in said.err
    gone = keyed("generate", "photio-out", "--api-url", identity.url, "--approved", decide([], missing[:1]))
    assert (gone.code, identity.calls) == (0, 0)
    assert f"rejects order {missing[0][:32]}, which does not exist" in gone.err


def test_json_lines_tell_what_was_not_approved(keyed: Command, identity: Sandbox) -> None:
    found = batch(keyed, identity.url)
    file = decide([found["1.png"]], [found["2.png"]])
    said = keyed("generate", "photio-out", "--api-url", identity.url, "--approved", file, "--json")
    assert said.code == 0
    assert {each["source"]: (each["state"], each.get("decision")) for each in said.facts} == {
        "in/0.png": ("planned", "undecided"),
        "in/1.png": ("answered", None),
        "in/2.png": ("planned", "rejected"),
    }
    assert "1 paid call" in said.err  # what is asked for a yes is what is approved


def test_words_given_with_generate_are_for_the_approved_only(keyed: Command, identity: Sandbox) -> None:
    found = batch(keyed, identity.url, 3, "--seed", "5")
    file = decide([found["0.png"]], [found["1.png"]])
    before = set(find_orders(Path("photio-out")))
    said = keyed("generate", "photio-out", "-d", SCENE, "--api-url", identity.url, "--approved", file)
    assert (said.code, identity.calls) == (0, 1)
    (new,) = set(find_orders(Path("photio-out"))) - before
    assert said.paths == [new]
    assert store.load_order(new).origin.source == "in/0.png"


@pytest.mark.parametrize("other", [("-d", "on other words"), ("--seed", "9")])
def test_an_approval_of_words_is_none_of_other_words(keyed: Command, identity: Sandbox, other: tuple[str, str]) -> None:
    file = decide([batch(keyed, identity.url, 1)["0.png"]])
    said = keyed("generate", "photio-out", *other, "--api-url", identity.url, "--approved", file)
    assert (said.code, said.out, identity.calls) == (0, "", 0)
    assert "not approved (undecided), so not sent: in/0.png" in said.err


@pytest.mark.soak
def test_who_approves_a_rehearsal_approves_the_order_that_asks_photio_for_it(keyed: Command, identity: Sandbox) -> None:
    batch(keyed, identity.url, 3, "--seed", "5")
    rehearsed = keyed("generate", "photio-out", "-d", SCENE, "--sandbox", "--json", "-q").facts
    by_source = {each["source"]: each["key"] for each in rehearsed}
    file = decide([by_source["in/0.png"]], [by_source["in/1.png"]])
    said = keyed("generate", "photio-out", "-d", SCENE, "--api-url", identity.url, "--approved", file)
    assert (said.code, identity.calls) == (0, 1)
    assert [store.load_order(each).origin.source for each in said.paths] == ["in/0.png"]
    other = keyed("generate", "photio-out", "-d", "on other words", "--api-url", identity.url, "--approved", file)
    assert (other.code, identity.calls) == (0, 1)  # nobody looked at those


def test_the_whole_way_holds_after_moving(keyed: Command, identity: Sandbox) -> None:
    found = batch(keyed, identity.url)
    Path("photio-out").rename("moved")
    said = keyed("generate", "moved", "--api-url", identity.url, "--approved", decide([found["2.png"]]))
    assert (said.code, identity.calls) == (0, 1)
    one = next(each for each in find_orders(Path("moved")) if store.load_order(each).key == found["0.png"])
    named = keyed("generate", one, "--api-url", identity.url, "--approved", decide([found["2.png"]]))
    assert (named.code, identity.calls) == (0, 1)  # naming an order is no approval


def test_a_person_who_saw_the_reasons_knows_better_than_the_gate(
    keyed: Command, identity: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = batch(keyed, identity.url)
    monkeypatch.setenv("PHOTIO_GATE", "warn")
    file = decide(list(found.values()))
    assert keyed("generate", "photio-out", "--api-url", identity.url).code == 3
    strict = keyed("generate", "photio-out", "--api-url", identity.url, "--approved", file, "--gate", "strict")
    assert (strict.code, identity.calls) == (3, 0)
    assert keyed("generate", "photio-out", "--api-url", identity.url, "--approved", file).code == 0
    assert identity.calls == 3


def test_what_is_answered_already_costs_nothing_and_is_not_held_back(keyed: Command, identity: Sandbox) -> None:
    found = batch(keyed, identity.url, 1)
    keyed("generate", "photio-out", "--api-url", identity.url)
    said = keyed("generate", "photio-out", "--api-url", identity.url, "--approved", decide([], [found["0.png"]]))
    assert (said.code, len(said.paths), identity.calls) == (0, 1, 1)


def test_a_folder_of_rehearsals_says_why_nothing_is_sent(keyed: Command, identity: Sandbox) -> None:
    keyed("run", saved(Path("s.png"), cutout()), "-d", SCENE, "--sandbox", "-q")
    said = keyed("generate", "photio-out", "--api-url", identity.url)
    assert (said.code, said.out, identity.calls) == (0, "", 0)
    assert "orders of the sandbox are paid for by name, or by `run` without --sandbox" in said.err


def test_status_names_d_where_an_order_has_no_words(keyed: Command) -> None:
    batch(keyed, "https://photio.invalid", 1)
    assert "photio-prep generate photio-out\n" in keyed("status").err
    batch(keyed, "https://photio.invalid", 1, "--seed", "5")
    assert "photio-prep generate photio-out -d TEXT\n" in keyed("status").err


def test_a_rehearsal_that_was_killed_is_called_free(keyed: Command) -> None:
    photo = saved(Path("s.png"), cutout())
    keyed("run", photo, "-d", SCENE, "--sandbox", "-q")
    (order,) = find_orders(Path("photio-out"))
    (order / "answer.raw").unlink()
    (order / "outcome.json").write_text('{"state": "unknown", "why": "killed"}')
    again, status = keyed("run", photo, "-d", SCENE, "--sandbox"), keyed("status")
    assert again.code == 4
    for said in (again, status):
        assert f"photio-prep resolve {order} --as retry" in said.err
        assert "free" in said.err
        assert "bill" not in said.err.replace("perhaps billed: 0", "")


def test_print_curl_prints_the_approved_only(keyed: Command, identity: Sandbox) -> None:
    found = batch(keyed, identity.url)
    file = decide([found["1.png"]])
    said = keyed("generate", "photio-out", "--api-url", identity.url, "--approved", file, "--print-curl")
    assert (said.code, said.out.count("curl "), identity.calls) == (0, 1, 0)


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_sums_up_and_says_what_to_do(keyed: Command) -> None:
    with HostileServer([close_after_reading(), ok(), ok()]) as server:
        found = batch(keyed, server.url)
        keyed("generate", "photio-out", "--api-url", server.url, "--max-calls", "2", "--jobs", "1")
        keyed("run", saved(Path("s.png")), "-d", SCENE, "--sandbox", "-q")
        said = keyed("status", "--price", "0.5")
    assert said.code == 0
    assert len(said.lines) == 4 + 1  # one reason below the unknown one
    table = {line.split()[0]: line.split()[1:] for line in said.err.splitlines() if line and line.split()[1:]}
    assert table["state"] == ["gate", "risk", "order", "photo"]
    assert table["unknown"] == ["1", "-", "1"]
    assert table["answered"] == ["1", "1", "-"]
    assert table["total"] == ["4", "1", "1"]
    assert "Paid calls: 1, perhaps billed: 1" in said.err
    assert "spend: 0.50 at 0.5 a call, and perhaps 0.50 more" in said.err
    assert "1 of them in the sandbox: free" in said.err
    (lost,) = (each for each in find_orders(Path("photio-out")) if OrderFolder(each).state is State.UNKNOWN)
    assert f"\n    photio-prep resolve {lost} --as retry " in said.err
    assert f"\n    photio-prep resolve {lost} --as lost " in said.err
    assert "1 answered: paid and kept, without a final yet: photio-prep finish photio-out" in said.err
    assert "1 planned (1 stopped by the gate): look first, then pay: photio-prep review photio-out" in said.err
    assert len(found) == 3


def test_status_names_an_order_without_a_photo_and_goes_on(keyed: Command, identity: Sandbox) -> None:
    batch(keyed, identity.url, 2)
    folder = find_orders(Path("photio-out"))[0]
    for record in folder.glob("photo-*.json"):
        record.unlink()
    said = keyed("status")
    assert (said.code, len(said.lines)) == (7, 1)
    assert f"{folder}: a damaged order (it has no photo)" in said.err


def test_status_does_not_count_an_order_that_went_on_as_planned(keyed: Command, identity: Sandbox) -> None:
    batch(keyed, identity.url, 1, "--seed", "5")
    keyed("generate", "photio-out", "-d", SCENE, "--api-url", identity.url)
    said = keyed("status")
    assert "1 superseded" in said.err
    assert "look first" not in said.err
    assert sorted(each["state"] for each in keyed("status", "--json").facts) == ["answered", "planned"]


def test_the_page_lies_in_the_output_folder(tmp_path: Path) -> None:
    order = planned(tmp_path / "out")
    assert order.folder
    for named in (tmp_path / "out", tmp_path / "out" / "orders"):
        assert write_review(named) == tmp_path / "out" / "review.html"
    assert write_review(order.folder) == tmp_path / "out" / f"review-{order.key[:8]}.html"
    bare = pipeline.prepare(cutout(), description=SCENE, orders=tmp_path / "bare")
    assert bare.folder
    assert write_review([bare]) == write_review(tmp_path / "bare") == tmp_path / "bare" / "review.html"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.png", "bare", "out"]
    assert [each.name for each in (tmp_path / "out" / "orders").iterdir() if each.name[0] != "."] == [order.folder.name]
