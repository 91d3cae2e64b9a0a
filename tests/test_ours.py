"""What this tool did not write is not replaced: reports, copies with results, pages, contact sheets."""

import json
from pathlib import Path

import pytest

from photio_prep import prepare, write_review
from photio_prep.errors import OutputExists
from photio_prep.review import write_contact_sheets
from tests.support.commands import KEY, Command
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok
from tests.support.photos import SCENE, cutout, encoded, saved
from tests.support.sampling import sampled

MINE = {
    "report.json": b'{"quarter": 3, "schema": 1}\n',
    "report.csv": b"name,price\nshoe,10\n",
    "jobs-results.csv": b"sku,result\n1,good\n",
    "review.html": b"<!doctype html>\n<html lang=en><title>Review of my year</title>\n",
}


@pytest.fixture
def table(keyed: Command) -> Command:
    saved(Path("shoe.png"))
    Path("jobs.csv").write_text("source\nshoe.png\n")
    return keyed


@sampled("name", MINE, 2)
@pytest.mark.parametrize("verb", ["prepare", "run"])
def test_nothing_is_begun_where_a_file_of_the_user_s_would_be_replaced(table: Command, verb: str, name: str):
    Path(name).write_bytes(MINE[name])
    with HostileServer(ok()) as server:
        said = table(verb, "jobs.csv", "-o", ".", "-d", SCENE, "--api-url", server.url)
        assert said.code == 3
        assert f"{name}: photio-prep did not write this file" in said.err
        assert (server.connections, Path("orders").exists()) == (0, False)
        assert Path(name).read_bytes() == MINE[name]
        said = table(verb, "jobs.csv", "-o", ".", "-d", SCENE, "--api-url", server.url, "--overwrite")
        assert said.code == 0
        assert Path(name).read_bytes() != MINE[name]
        assert server.charges == (verb == "run")


@pytest.mark.parametrize("name", ["report.json", "report.csv"])
def test_generate_refuses_before_it_pays(table: Command, name: str):
    with HostileServer(ok()) as server:
        assert table("prepare", "shoe.png", "-o", ".", "-d", SCENE, "--api-url", server.url).code == 0
        Path(name).write_bytes(MINE[name])
        assert table("generate", ".", "--api-url", server.url).code == 3
        assert (server.connections, Path(name).read_bytes()) == (0, MINE[name])
        assert table("generate", ".", "--api-url", server.url, "--overwrite").code == 0
        assert server.charges == 1


def test_a_table_that_is_named_like_a_report_is_not_replaced_by_one(table: Command):
    Path("jobs.csv").rename("report.csv")
    assert table("run", "report.csv", "-o", ".", "-d", SCENE, "--sandbox").code == 3
    assert Path("report.csv").read_text() == "source\nshoe.png\n"


@pytest.mark.soak
@sampled("delimiter", [",", ";", "\t"], 1)
def test_our_own_are_replaced_again_and_again(table: Command, delimiter: str):
    Path("jobs.csv").write_text(f"source{delimiter}description\nshoe.png{delimiter}{SCENE.replace(',', ' ')}\n")
    Path("lines.jsonl").write_text(json.dumps({"source": "shoe.png", "output": "x", "description": SCENE}) + "\n")
    for _ in range(2):
        assert table("run", "jobs.csv", "lines.jsonl", "-o", ".", "--sandbox", "--seeds", "2").code == 0
    assert json.loads(Path("report.json").read_text())["generator"] == "photio-prep"
    assert sorted(each.name for each in Path().glob("*-results.*")) == ["jobs-results.csv", "lines-results.jsonl"]


def test_a_contact_sheet_of_the_user_s_is_not_replaced(table: Command):
    sheet = saved(Path("shoe-seeds/sheet-photio.png"))
    mine = sheet.read_bytes()
    with HostileServer(ok()) as server:
        said = table("run", "shoe.png", "-o", ".", "-d", SCENE, "--seeds", "2", "--api-url", server.url)
        assert (said.code, server.connections, sheet.read_bytes()) == (3, 0, mine)


def test_a_page_and_sheets_go_only_where_nothing_of_the_user_s_lies(command: Command):
    prepare(encoded(cutout()), description=SCENE, orders="photio-out/orders", output="a")
    mine = {Path("letter.html"): b"<p>Dear", Path("photo.png"): encoded(cutout())}
    for path, data in mine.items():
        path.write_bytes(data)
    assert command("review", "-o", "letter.html").code == 3
    assert command("review", "--sheet", "photo.png").code == 3
    with pytest.raises(OutputExists):
        write_review("photio-out", "letter.html")
    with pytest.raises(OutputExists):
        write_contact_sheets("photio-out", "photo.png")
    assert {path: path.read_bytes() for path in mine} == mine
    for _ in range(2):
        assert command("review", "-o", "page.html", "--sheet", "sheet.png").code == 0
    assert command("review", "-o", "letter.html", "--sheet", "photo.png", "--overwrite").code == 0


def test_a_link_is_refused_even_with_overwrite(table: Command):
    Path("elsewhere").write_bytes(b"x")
    Path("report.json").symlink_to("elsewhere")
    said = table("run", "shoe.png", "-o", ".", "-d", SCENE, "--sandbox", "--overwrite")
    assert (said.code, Path("elsewhere").read_bytes()) == (3, b"x")
    assert KEY not in said.err
