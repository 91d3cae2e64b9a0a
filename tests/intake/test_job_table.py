"""Job tables: what a row may say, and that every mistake is named with its line before anything starts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep.errors import TableErrors
from photio_prep.geometry import parse_size
from photio_prep.intake import job_table
from photio_prep.intake.inputs import expand_inputs
from photio_prep.intake.job_table import RowOptions
from photio_prep.marketplaces import presets
from photio_prep.orders.folder import find_orders
from photio_prep.sandbox import Sandbox
from photio_prep.system import seeds
from tests.support.photos import SCENE, cutout, mask, saved
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from photio_prep.intake.item import Item
    from photio_prep.intake.job_table import TableJob
    from tests.support.commands import Command

HEAD = "source,description,negative_prompt,append_negative,seed,sku,size,preset,output,mask"


def table(path: Path, *lines: str, head: str = HEAD, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join([head, *lines, ""]).encode(encoding))
    return path


def read(path: Path, *, described: bool = True) -> list[TableJob]:
    return job_table.load_jobs([path], described=described, check_preset=presets.find_preset)[path]


def mistakes(path: Path, *, described: bool = True) -> list[str]:
    with pytest.raises(TableErrors) as caught:
        read(path, described=described)
    assert caught.value.exit_code == 2
    return [str(each) for each in caught.value.each]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "x/a.png", "b.webp"):
        saved(tmp_path / name)
    saved(tmp_path / "mask.png", mask())
    return tmp_path


# --- what a row says


def test_a_row_says_everything_that_a_photo_may_have_of_its_own(folder: Path):
    (job,) = read(table(folder / "in.csv", f'a.png,"{SCENE}",ugly,,7,,Square,,shoes/red,mask.png'))
    assert (job.source, job.output, job.row.line) == (folder / "a.png", "shoes/red", 2)
    assert job.options == RowOptions(SCENE, "ugly", None, 7, parse_size("Square"), folder / "mask.png")


def test_a_blank_cell_says_nothing(folder: Path):
    (job,) = read(table(folder / "in.csv", "a.png, ,,,,,,,,"))
    assert (job.options, job.output) == (RowOptions(), "a")


def test_paths_go_from_the_table_s_folder_and_the_tree_is_kept(folder: Path):
    found = read(table(folder / "x" / "in.csv", "a.png", "../b.webp", head="source"))
    assert [(each.source, each.output) for each in found] == [
        (folder / "x" / "a.png", "a"),
        (folder / "x" / "../b.webp", "b"),
    ]
    assert [each.output for each in read(table(folder / "in.csv", "x/a.png", "a.png", head="source"))] == ["x/a", "a"]


def test_a_url_is_a_source(folder: Path):
    items = list(
        expand_inputs((str(table(folder / "in.csv", "https://shop.invalid/shoe.png?t=s3cret", head="source")),), folder)
    )
    assert [(each.source, each.output) for each in items] == [("https://shop.invalid/shoe.png?t=s3cret", "shoe")]
    assert "s3cret" not in items[0].name


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig"])
def test_tables_as_spreadsheets_write_them(folder: Path, delimiter: str, mark: str):
    lines = [delimiter.join(["a.png", "auf Eiche, Licht von links" if delimiter != "," else '"auf Eiche, Licht"', "7"])]
    path = table(folder / "in.csv", *lines, head=delimiter.join(["Source ", "DESCRIPTION", "seed"]), encoding=mark)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (job,) = read(path)
    assert (str(job.options.description)[:9], job.options.seed) == ("auf Eiche", 7)


def test_a_quoted_line_break_is_text_and_the_lines_after_it_are_still_right(folder: Path):
    path = table(folder / "in.csv", 'a.png,"on oak,\nin ""daylight"""', "", "nothing.png,x", head="source,description")
    assert mistakes(path) == [f"{path}, line 5: source {str(folder / 'nothing.png')!r}: no such file. "
                              "Paths go from the table's folder"]  # fmt: skip
    path = table(folder / "in.csv", 'a.png,"on oak,\nin ""daylight"""', head="source,description")
    assert [each.options.description for each in read(path)] == ['on oak,\nin "daylight"']


def test_json_lines_say_the_same(folder: Path):
    path = folder / "in.jsonl"
    rows = [{"source": "a.png", "seed": 7, "description": SCENE}, {"source": "b.webp", "seed": "8", "sku": None}]
    path.write_text("\n\n".join(map(json.dumps, rows)), "utf-8-sig")
    assert [(each.row.line, each.options.seed) for each in read(path)] == [(1, 7), (3, 8)]


@pytest.mark.parametrize("cell", ["amazon-main etsy", '"amazon-main, etsy"', "etsy;amazon-main;etsy"])
def test_a_row_names_presets(folder: Path, cell: str):
    (job,) = read(table(folder / "in.csv", f"a.png,{cell}", head="source,preset"))
    assert sorted(job.presets) == ["amazon-main", "etsy"]
    assert job.options == RowOptions()


def test_every_preset_that_there_is_not_is_named(folder: Path):
    told = mistakes(table(folder / "in.csv", "a.png,etsy etsi amazone", head="source,preset"))
    assert [each.partition(": ")[2][:29] for each in told] == [
        "there is no preset 'etsi'. Di",
        "there is no preset 'amazone'.",
    ]


def test_photos_of_one_article_share_a_seed_that_stays(folder: Path):
    path = table(
        folder / "in.csv", "a.png,A-1,", "b.webp,A-1,", "x/a.png,A-2,5", "mask.png,A-2,", head="source,sku,seed"
    )
    rows = [each.options.seed for each in read(path)]
    assert rows[0] == rows[1] == seeds.seed_of_sku("A-1") == 592679628
    assert (rows[2], rows[3]) == (5, seeds.seed_of_sku("A-2"))
    assert all(1 <= seeds.seed_of_sku(str(each)) < seeds.LAST for each in range(1000))


# --- every mistake, with its line

WRONG = [
    ("nothing.png,,,,,,,,,", "no such file"),
    ("x,,,,,,,,,", "is a folder"),
    (",on oak,,,,,,,,", "no source"),
    ("file:///etc/passwd,,,,,,,,,", "not an address of a photo"),
    ("data:image/png;base64 AAAA,,,,,,,,,", "not an address of a photo"),
    ("s3:/bucket/a.png,,,,,,,,,", "no such file"),
    ("a.png,,,,0,,,,,", "seed '0'"),
    ("a.png,,,,4294967297,,,,,", "seed '4294967297'"),
    ("a.png,,,,7.0,,,,,", "seed '7.0'"),
    ("a.png,,,,٧,,,,,", "not a seed"),
    ("a.png,,,,,,640x480,,,", "size '640x480' is not offered"),
    ("a.png,,,,,,,amazon,,", "preset 'amazon'"),
    ("a.png,,ugly,uglier,,,,,,", "both negative_prompt and append_negative"),
    ("a.png,,,,,,,,../up,", "not a name below the output folder"),
    ("a.png,,,,,,,,/tmp/up,", "not a name below the output folder"),
    ("a.png,,,,,,,,C:\\up,", "not a name below the output folder"),
    ("a.png,,,,,,,,orders/1,", "in the folder of the orders"),
    ("a.png,,,,,,,,,nothing.png", "mask"),
    ("a.png,,,,,,,,,,more", "11 cells instead of 10"),
    ("a.png", "1 cell instead of 10"),
    ('"a".png,,,,,,,,,', "the row cannot be read"),
]


@pytest.mark.parametrize(("line", "found"), WRONG)
def test_a_mistake_is_named_with_its_line(folder: Path, line: str, found: str):
    path = table(folder / "in.csv", "b.webp,,,,,,,,,", line)
    (told,) = mistakes(path)
    assert told.startswith(f"{path}, line 3: ")
    assert found in told


def test_all_mistakes_of_one_row_are_named(folder: Path):
    told = mistakes(table(folder / "in.csv", "nothing.png,,,,none,,huge,,..,"))
    assert len(told) == 4


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("source,descripton", "unknown column 'descripton'. Did you mean 'description'?"),
        ("source,price", "unknown column 'price'. Known: source"),
        ("source,seed,Seed", "the column 'seed' occurs twice"),
        ("description,seed", "there is no column `source`"),
        (" , ", "names no columns"),
    ],
)
def test_a_wrong_header_is_named(folder: Path, head: str, found: str):
    path = table(folder / "in.csv", head=head)
    told = mistakes(path)
    assert any(found in each and f"{path}, line 1: " in each for each in told), told


@sampled("suffix", ["csv", "jsonl"], 1)
def test_a_copy_with_results_is_no_table_and_said_to_be_one(command: Command, folder: Path, suffix: str):
    row = "source,description\na.png,on oak in daylight" if suffix == "csv" else json.dumps({"source": "a.png"})
    path = folder / f"jobs.{suffix}"
    path.write_text(f"{row}\n")
    assert command("run", path, "-d", SCENE, "--sandbox").code == 0
    (told,) = mistakes(folder / f"photio-out/jobs-results.{suffix}")
    assert "line 1: this is a copy with results" in told


def test_two_rows_never_make_one_final(folder: Path):
    saved(folder / "a.webp")
    path = table(folder / "in.csv", "a.png,X/One", "b.webp,x/one.jpg", "a.webp,", "a.png,", head="source,output")
    assert [each.partition(": ")[2] for each in mistakes(path)] == [
        "writes to the same file as line 2. Give another name in `output`"
    ]
    again = table(folder / "again.csv", "a.png", "a.png", head="source")
    assert mistakes(again) == [f"{again}, line 3: writes to the same file as line 2. "
                               "Give each its own name in `output`"]  # fmt: skip


@pytest.mark.parametrize(
    "broken", ["none.png,,one", "a.png,huge,one", ",,one", "x,,one", "file:///a,,one", "none.png,huge,ONE.jpg"]
)
@pytest.mark.parametrize("first", [True, False])
def test_a_row_that_is_broken_otherwise_still_takes_its_output(folder: Path, broken: str, first: bool):
    rows = [broken, "b.webp,,one"] if first else ["b.webp,,one", broken]
    told = mistakes(table(folder / "in.csv", *rows, head="source,size,output"))
    assert any("line 3: writes to the same file as line 2" in each for each in told), told
    assert len(told) == 3 if broken.startswith("none.png,huge") else len(told) == 2


def test_rows_are_read_where_only_the_column_of_photos_is_missing(folder: Path):
    told = mistakes(table(folder / "in.csv", "7,one", "none,one", head="seed,output"))
    assert [each.partition("in.csv, ")[2].partition(".")[0] for each in told] == [
        "line 1: there is no column `source`",
        "line 3: seed 'none' is not a seed",
        "line 3: writes to the same file as line 2",
    ]


def test_two_tables_never_make_one_final(folder: Path):
    tables = [table(folder / f"{each}.csv", f"{each},same", head="source,output") for each in ("a.png", "b.webp")]
    with pytest.raises(TableErrors, match=r"writes to the same file as .*a.png.csv, line 2"):
        list(expand_inputs(tuple(map(str, tables)), folder / "out"))


def test_a_row_without_a_scene_is_a_mistake_unless_the_command_has_one(folder: Path):
    path = table(folder / "in.csv", f'a.png,"{SCENE}"', "b.webp,", head="source,description")
    assert mistakes(path, described=False) == [
        f"{path}, line 3: no scene description. Fill in `description`, or give one for all with -d"
    ]
    assert len(read(path)) == 2


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"source\na.png\ncaf\xe9.png\n", 3),
        (b"source\na.png\n\0\n", 3),
        (b'source\n"a.png\n', 2),
        (b'"source\n', 1),
        (b"source\n" + b"x" * 200_000 + b"\n", 2),
    ],
)
def test_what_is_no_table_is_named_with_its_line(folder: Path, data: bytes, line: int):
    path = folder / "in.csv"
    path.write_bytes(data)
    assert [re.search(r", line (\d+): ", each)[1] for each in mistakes(path)] == [str(line)]  # type: ignore[index]


@pytest.mark.parametrize("data", [b"source\n", b"source,description,,\r\n,,,\r\n", b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_table_without_rows_comes_to_nothing_and_is_told(folder: Path, command: Command, data: bytes):
    path = folder / "in.csv"
    path.write_bytes(data)
    said = command("prepare", path)
    assert (said.code, said.paths) == (3, [])
    assert f"{path}: the table has no rows. Give one photo a row" in said.err


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("[1]", "not a JSON object but list"),
        ("{", "not a JSON object"),
        ('{"source": "a.png", "source": "b.webp"}', "occurs twice"),
        ('{"source": "a.png", "price": 1}', "unknown column 'price'"),
        ('{"source": "a.png", "seed": true}', "seed is 'True', which is not a text"),
        ('{"source": ["a.png"]}', "source is \"['a.png']\", which is not a text"),
        ('{"source": "a.png", "description": "\\ud800"}', "invalid character"),
        ('{"seed": 5}', "no source"),
        ("[" * 100_000, "not a JSON object"),
    ],
)
def test_a_mistake_in_json_lines_is_named_with_its_line(folder: Path, line: str, found: str):
    path = folder / "in.jsonl"
    path.write_text(f'{{"source": "b.webp"}}\n\n{line}\n')
    told = mistakes(path)
    assert all(each.startswith(f"{path}, line 3: ") for each in told)
    assert any(found in each for each in told), told


def test_a_table_that_is_no_file_is_refused(folder: Path):
    import os

    os.mkfifo(folder / "in.csv")
    assert ["not a regular file" in each for each in mistakes(folder / "in.csv")] == [True]


# --- on the command line


def test_a_thousand_rows_with_twenty_mistakes_are_all_named_before_the_first_call(keyed: Command, tmp_path: Path):
    saved(tmp_path / "in" / "a.png")
    lines = [f"a.png,{SCENE.replace(',', '')},,,{row},,,,out-{row}," for row in range(1, 1001)]
    planted = {50 * number: WRONG[number][0] for number in range(1, 20)}
    planted[1000] = "a.png,on oak,,,1,,,,OUT-1,"
    for row, line in planted.items():
        told = line.split(",")
        if told[0] == "a.png" and len(told) == 10:  # one mistake, and not the same final twice besides
            told[8] = told[8] or f"bad-{row}"
        lines[row - 1] = ",".join(told)
    path = table(tmp_path / "in" / "jobs.csv", *lines)
    with Sandbox() as api:
        said = keyed("run", path, "-d", SCENE, "--api-url", api.url, "--yes")
        assert api.calls == 0
    assert said.code == 2
    assert {int(each) for each in re.findall(r"jobs\.csv, line (\d+): ", said.err)} == {row + 1 for row in planted}
    assert said.err.count("\n") == 21
    assert "20 mistakes in job tables, so nothing was started" in said.err
    assert not Path("photio-out").exists()


@pytest.mark.soak
def test_rows_are_orders_of_their_own_words(command: Command, folder: Path):
    lines = [f'a.png,"{SCENE}",5,,one', "a.png,on oak in daylight,,Square,two", "b.webp,,,,"]
    path = table(folder / "jobs.csv", *lines, head="source,description,seed,size,output")
    said = command("run", path, "-d", "on slate, studio light", "--sandbox", "--json")
    assert said.code == 0, said.err
    told = {each["final"]: each for each in said.facts}
    assert set(told) == {"photio-out/one-photio.png", "photio-out/two-photio.png", "photio-out/b-photio.webp"}
    assert {name: each["description"] for name, each in told.items()} == {
        "photio-out/one-photio.png": SCENE,
        "photio-out/two-photio.png": "on oak in daylight",
        "photio-out/b-photio.webp": "on slate, studio light",
    }
    assert told["photio-out/one-photio.png"]["seed"] == 5
    assert told["photio-out/two-photio.png"]["tag"] == "Square"
    again = command("run", path, "-d", "on slate, studio light", "--sandbox", "--json")
    assert {each["order"] for each in again.facts} == {each["order"] for each in said.facts}
    assert len(find_orders(Path("photio-out"))) == 3


def test_a_row_s_mask_cuts_out(command: Command, folder: Path):
    saved(folder / "plain.jpg", cutout().convert("RGB"))
    path = table(folder / "jobs.csv", "plain.jpg,mask.png", head="source,mask")
    said = command("prepare", path, "--json")
    assert (said.code, said.facts[0]["model"]) == (0, "mask")


@pytest.mark.soak
def test_run_needs_no_description_where_every_row_has_one(command: Command, folder: Path):
    path = table(folder / "jobs.csv", f'a.png,"{SCENE}"', head="source,description")
    assert command("run", path, "--sandbox").code == 0
    assert command("run", path, "b.webp", "--sandbox").code == 2


@pytest.mark.soak
def test_a_rehearsal_takes_the_first_photos_only_and_checks_the_whole_table(command: Command, folder: Path):
    path = table(folder / "jobs.csv", "a.png", "b.webp", "x/a.png", head="source")
    said = command("run", path, "-d", SCENE, "--sandbox", "--first", "2")
    assert (said.code, len(said.lines)) == (0, 2)
    assert "rehearsal: the first 2 photos only" in said.err
    table(folder / "jobs.csv", "a.png", "b.webp", "x/nothing.png", head="source")
    assert command("run", path, "-d", SCENE, "--sandbox", "--first", "2").code == 2


# --- patterns


def matching(pattern: str, out: Path = Path("photio-out")) -> list[Item]:
    return list(expand_inputs((pattern,), out))


def test_a_pattern_names_photos_and_keeps_their_tree(folder: Path):
    saved(folder / "x" / "y" / "c.png")
    assert [each.output for each in matching("**/a.png")] == ["a", "x/a"]
    assert [each.output for each in matching("*.png")] == ["a", "mask"]
    assert [each.output for each in matching("x/**/*.png")] == ["a", "y/c"]
    assert [each.output for each in matching("x/**")] == ["a", "y/c"]
    assert [each.output for each in matching(f"{folder}/?/[ab].*")] == ["x/a"]


def test_a_pattern_that_nothing_fits_is_told(folder: Path):
    told: list[str] = []
    assert not list(expand_inputs(("*.tif",), folder, passed_over=lambda why, _: told.append(str(why))))
    assert told == ["*.tif: no photo fits this pattern. Check it, and quote it"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path):
    saved(folder / "a[1].png")
    assert [each.output for each in matching("a[1].png")] == ["a[1]"]


def test_a_pattern_enters_no_deeper_than_it_says_and_never_the_output(folder: Path):
    saved(folder / "photio-out" / "z.png")
    (folder / "x" / "deep").mkdir()
    (folder / "x" / "deep").chmod(0)
    told: list[str] = []
    try:
        found = list(expand_inputs(("*/*.png",), Path("photio-out"), passed_over=lambda why, _: told.append(str(why))))
    finally:
        (folder / "x" / "deep").chmod(0o755)
    assert [each.output for each in found] == ["x/a"]
    assert told == []
