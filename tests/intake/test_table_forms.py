"""Job tables and lists as spreadsheets, shells and shops write them: each means the same two rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep.errors import TableErrors
from photio_prep.intake import job_table
from photio_prep.intake.inputs import expand_inputs
from photio_prep.intake.table_reader import is_table
from photio_prep.marketplaces import presets
from tests.support.photos import SCENE, saved
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from tests.support.commands import Command

ROWS = [("a.png", "on oak, in daylight"), ("x/b.png", 'a "bright" room')]
COMMA = 'source,description\r\na.png,"on oak, in daylight"\r\nx/b.png,"a ""bright"" room"\r\n'
TABS = 'source\tdescription\r\na.png\ton oak, in daylight\r\nx/b.png\t"a ""bright"" room"\r\n'
SEMICOLONS = TABS.replace("\t", ";")
OBJECTS = [{"source": source, "description": description} for source, description in ROWS]
LINES = "".join(f"{json.dumps(row)}\n" for row in OBJECTS)
FORMS = {
    "plain.csv": COMMA.encode(),
    "excel.csv": SEMICOLONS.encode("utf-8-sig"),
    "sep.csv": f"sep=;\r\n{SEMICOLONS}".encode(),
    "sep-quoted.csv": f'"sep=;"\n{SEMICOLONS}'.encode("utf-8-sig"),
    "sep-tab.csv": f"sep=\t\r\n{TABS}".encode("utf-16"),
    "trailing.csv": b"source,description,,,\r\n"
    + COMMA.partition("\r\n")[2].replace("\r\n", ",,,\r\n").encode()
    + b",,,,\r\n",
    "ragged.csv": COMMA.replace('room"\r\n', 'room",,,,,\r\n').encode(),
    "middle.csv": TABS.replace("\t", "\t\t").encode(),
    "utf16.csv": COMMA.encode("utf-16"),
    "utf16be.csv": b"\xfe\xff" + COMMA.encode("utf-16-be"),
    "no-mark.csv": COMMA.encode("utf-16-le"),
    "mac.csv": COMMA.replace("\r\n", "\r").encode(),
    "tabs.tsv": TABS.encode(),
    "TABS.TSV": TABS.encode("utf-16"),
    "excel.txt": TABS.encode("utf-16"),
    "lines.jsonl": LINES.encode(),
    "lines.ndjson": LINES.encode("utf-8-sig"),
    "array.json": json.dumps(OBJECTS, indent=1).encode(),
    "array.jsonl": json.dumps(OBJECTS).encode(),
    "lines.json": LINES.encode(),
    "powershell.json": json.dumps(OBJECTS).encode("utf-16"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "a.png")
    saved(tmp_path / "x/b.png")
    return tmp_path


def read(path: Path) -> list[job_table.TableJob]:
    return job_table.load_jobs([path], check_preset=presets.find_preset)[path]


def mistakes(path: Path) -> list[str]:
    with pytest.raises(TableErrors) as caught:
        read(path)
    return [str(error) for error in caught.value.each]


@pytest.mark.parametrize("name", FORMS)
def test_every_form_means_the_same_rows(folder: Path, name: str):
    path = folder / name
    path.write_bytes(FORMS[name])
    assert is_table(str(path))
    jobs = read(path)
    assert [(job.source, job.options.description) for job in jobs] == [(folder / name, text) for name, text in ROWS]
    assert [item.output for item in expand_inputs((str(path),), folder / "out")] == ["a", "x/b"]


@pytest.mark.parametrize(
    ("column", "meaning"),
    [
        *((name, "source") for name in ("Source", "file", "Image", "path", "photo", "File Name", "image-url", "URL")),
        *((name, "description") for name in ("scene", "Prompt", "Product Description", "scene-description")),
        *((name, "preset") for name in ("marketplace", "Marketplaces")),
        *((name, "negative_prompt") for name in ("Negative Prompt", "negative-prompt")),
    ],
)
def test_columns_have_the_names_of_other_tools_too(folder: Path, column: str, meaning: str):
    cells = {"source": "a.png", "description": "on oak", "preset": "ebay", "negative_prompt": "people"}
    header = [column if name == meaning else name for name in cells]
    path = folder / "in.csv"
    path.write_text(f"{','.join(header)}\n{','.join(cells.values())}\n")
    lines = folder / "in.ndjson"
    lines.write_text(json.dumps(dict(zip(header, cells.values(), strict=True))))
    for (job,) in (read(path), read(lines)):
        assert (job.source, job.options.description) == (folder / "a.png", "on oak")
        assert (job.presets, job.options.negative_prompt) == (("ebay",), "people")


def test_two_names_of_one_column_are_a_mistake(folder: Path):
    path = folder / "in.csv"
    path.write_text("source,scene,prompt\na.png,x,y\n")
    assert mistakes(path) == [f"{path}, line 1: the column 'description' occurs twice. Remove one"]
    lines = folder / "in.jsonl"
    lines.write_text('{"file": "a.png", "image": "x/b.png"}')
    assert mistakes(lines) == [f"{lines}, line 1: two names of the same column. Remove one"]


@pytest.mark.parametrize("name", ["jobs.xlsx", "jobs.xls", "jobs.ods", "jobs.numbers", "jobs.csv"])
def test_a_workbook_says_to_save_it_as_csv(command: Command, folder: Path, name: str):
    magic = b"\xd0\xcf\x11\xe0" if name.endswith("xls") else b"PK\x03\x04"
    (folder / name).write_bytes(magic + bytes(100))
    said = command("run", folder / name, "-d", SCENE, "--sandbox")
    assert said.code == 2
    assert f"{name}: a workbook, not a table of text. In Excel: Save As > `CSV UTF-8`, and give that file" in said.err


@pytest.mark.parametrize(
    ("name", "data", "line", "problem"),
    [
        ("sep.csv", b"sep=;\r\nsource;seed\r\na.png;x\r\n", 3, "seed 'x' is not a seed"),
        ("sep.csv", b"sep=;\r\nsource;sead\r\na.png;1\r\n", 2, "unknown column 'sead'. Did you mean 'seed'?"),
        ("short.csv", b"source,seed,size\r\na.png\r\n", 2, "1 cell instead of 3. Write its empty cells, too"),
        ("nameless.csv", b"source,,seed\r\na.png,hello,1\r\n", 2, "the column of 'hello' has no name"),
        ("more.csv", b"source,,\r\na.png,,hello\r\n", 2, "3 cells instead of 1"),
        ("utf.csv", b"\xff\xfes\0o", 1, "not UTF-8"),
        ("utf.csv", b"\xff\xfe" + "source\n\n".encode("utf-16-le") + b"\0\xd8", 3, "not UTF-8"),
        ("a.json", b'[{"source": "a.png"},\n {"source": "x/b.png", "seed": "x"}]', 2, "seed 'x'"),
        ("a.json", b'[{"source": "a.png"},\n {"source": }]', 2, "not a JSON object"),
        ("a.json", b'[{"source": "a.png"}\n', 2, "not a JSON object"),
        ("a.json", b'[{"source": "a.png"}] x', 1, "text after the array"),
        ("a.json", b'["a.png"]', 1, "not a JSON object but str"),
        ("a.json", b"[" * 100_000, 1, "not a JSON object"),
        ("a.json", b'[{"source": "a.png", "source": "a.png"}]', 1, "a name occurs twice"),
        ("a.json", b'[{"source": "a.png", "seed": NaN}]', 1, "NaN is not JSON"),
    ],
)
def test_mistakes_have_the_lines_of_the_file(folder: Path, name: str, data: bytes, line: int, problem: str):
    path = folder / name
    path.write_bytes(data)
    (text,) = mistakes(path)
    assert text.startswith(f"{path}, line {line}: ")
    assert problem in text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_list_is_read_in_every_encoding(folder: Path, encoding: str):
    saved(folder / "café.png")
    (folder / "list.txt").write_bytes('# photos\r\na.png\r\n"x\\b.png"\r\ncafe\u0301.png\r\n'.encode(encoding))
    assert [item.output for item in expand_inputs((str(folder / "list.txt"),), folder / "out")] == ["a", "x/b", "café"]


@sampled("name", ["sep.csv", "middle.csv", "tabs.tsv", "array.json", "excel.txt"], 1)
def test_results_are_copied_for_every_form(command: Command, folder: Path, name: str):
    (folder / name).write_bytes(FORMS[name])
    assert command("run", folder / name, "--sandbox", "--gate", "off").code == 0
    (copy,) = Path("photio-out").glob("*-results*")
    assert "this is a copy with results" in mistakes(copy)[0]
    again = command("run", folder / name, "--sandbox", "--gate", "off")
    assert again.code == 0, again.err
