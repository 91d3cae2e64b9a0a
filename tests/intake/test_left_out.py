"""No photo is left out without a word: by their first bytes, or passed over in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.intake.inputs import expand_inputs
from photio_prep.intake.load import load
from photio_prep.intake.names import RAW
from tests.support.photos import SCENE, cutout, encoded, photo, saved

if TYPE_CHECKING:
    from photio_prep.intake.item import Item
    from tests.support.commands import Command

JPEG = encoded(photo(), "JPEG")
# The first bytes of a raw file of Canon or Nikon: a TIFF's.
RAW_BYTES = b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(200)


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def expand(*inputs: object, out: Path) -> tuple[list[Item], list[tuple[str, bool]]]:
    """The photos of the inputs, and what was said about the rest: the text, and whether it was by design."""
    words: list[tuple[str, bool]] = []
    items = expand_inputs(
        tuple(map(str, inputs)), out, passed_over=lambda why, by_design: words.append((str(why), by_design))
    )
    return list(items), words


@pytest.mark.parametrize(
    "name", ["a.jfif", "a.jpe", "a.JIF", "a", "a.jpg_large", "IMG 1.photo", "team-photio.jpg", "x-photio", "a.mpo"]
)
def test_a_picture_is_known_by_its_first_bytes(tmp_path: Path, name: str):
    put(tmp_path / "in" / name, JPEG)
    items, words = expand(tmp_path / "in", out=tmp_path / "out")
    assert ([item.source for item in items], words) == ([tmp_path / "in" / name], [])


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_every_format_is_known_without_a_suffix(tmp_path: Path, format_: str):
    put(tmp_path / "in" / "scan0001", encoded(photo(), format_))
    assert len(expand(tmp_path / "in", out=tmp_path / "out")[0]) == 1


@pytest.mark.parametrize(
    "text", [b"BMW prices, 2026", b"II* a list", b"GIFT list", b"RIFF of the WEBP song", b"", b"\xff\xd8"]
)
def test_what_only_begins_like_a_picture_is_not_one(tmp_path: Path, text: bytes):
    put(tmp_path / "in" / "a.png", encoded(cutout()))
    put(tmp_path / "in" / "notes", text)
    items, words = expand(tmp_path / "in", out=tmp_path / "out")
    assert [item.output for item in items] == ["a"]
    assert len(words) == 1
    assert "1 other file passed over: no suffix" in words[0][0]


def test_what_is_passed_over_is_one_line_with_suffixes_and_a_reason(tmp_path: Path):
    folder = tmp_path / "in"
    put(folder / "a.jpg", JPEG)
    put(folder / "b.CR2", RAW_BYTES)
    put(folder / "x" / "c.psd", b"8BPS")
    put(folder / "d.jxl", b"\xff\x0a")
    for name in (".DS_Store", "Thumbs.db", ".hidden/e.psd"):
        put(folder / name, b"x")
    items, words = expand(folder, out=tmp_path / "out")
    assert [item.output for item in items] == ["a"]
    assert words == [
        (
            f"{folder}: 3 other files passed over: .cr2, .jxl, .psd. Develop raw files to JPEG or TIFF first:"
            " in your camera's software, darktable or RawTherapee",
            True,
        )
    ]


def test_many_of_a_kind_are_counted(tmp_path: Path):
    for number in range(30):
        put(tmp_path / "in" / f"{number}.x{number // 2}", b"x")
        put(tmp_path / "in" / f"{number}.xmp", b"x")
    ((text, by_design),) = expand(tmp_path / "in", out=tmp_path / "out")[1]
    assert "no photos in this folder; 60 other files passed over: " in text
    assert "2 .x0, 2 .x1" in text
    assert "8 more kinds" in text
    assert len(text) < 300
    assert not by_design


@pytest.mark.parametrize("suffix", sorted(RAW))
def test_a_raw_file_says_how_to_develop_it(tmp_path: Path, suffix: str):
    path = put(tmp_path / f"a{suffix}", RAW_BYTES)
    with pytest.raises(PhotoRefused, match=r"a raw file of a camera .*Develop raw files"):
        load(path)
    ((text, by_design),) = expand(tmp_path, out=tmp_path / "out")[1]
    assert "no photos in this folder; 1 other file passed over" in text
    assert "Develop raw files" in text
    assert not by_design


def test_a_picture_that_is_only_named_raw_is_read(tmp_path: Path):
    assert load(put(tmp_path / "a.raw", JPEG)).format == "JPEG"


def test_backups_and_half_downloads_are_not_paid_for_again(tmp_path: Path):
    for name in ("a.jpg", "a.jpg.bak", "a.jpg.part", "b.jpg.crdownload", "a.thm", "a.jpg_original"):
        put(tmp_path / "in" / name, JPEG)
    items, words = expand(tmp_path / "in", out=tmp_path / "out")
    assert [item.output for item in items] == ["a"]
    assert "5 other files passed over: .bak, .crdownload, .jpg_original, .part, .thm" in words[0][0]


def test_links_are_said_once(tmp_path: Path):
    put(tmp_path / "a.jpg", JPEG)
    for number in range(12):
        (tmp_path / f"link{number}.jpg").symlink_to(tmp_path / "a.jpg")
    items, words = expand(tmp_path, out=tmp_path / "out")
    assert len(items) == 1
    names = (
        "link0.jpg, link1.jpg, link10.jpg, link11.jpg, link2.jpg, link3.jpg, link4.jpg, link5.jpg, link6.jpg, link7.jpg"
    )
    expected = f"{tmp_path}: 12 links not followed ({names}, 2 more). Name a link to use it"
    assert [text for text, _ in words] == [expected]


# --- what photio-prep wrote, and what only looks like it


@pytest.mark.parametrize("content", ['{"order_id": 1001}', "[]", "{}", '"shop"', "7"])
def test_a_foreign_order_json_hides_no_photo(tmp_path: Path, content: str):
    put(tmp_path / "orders" / "1001" / "order.json", content.encode())
    put(tmp_path / "orders" / "1001" / "front.jpg", JPEG)
    assert [item.output for item in expand(tmp_path, out=tmp_path / "out")[0]] == ["orders/1001/front"]


@pytest.mark.soak
def test_our_own_orders_and_finals_are_no_photos_wherever_they_lie(command: Command):
    saved(Path("in/a.png"))
    saved(Path("in/x/b.webp"))
    for _ in range(2):
        assert (
            command("run", "in", "-o", "in", "-d", SCENE, "--sandbox", "--preset", "amazon-main", "--seeds", "2").code
            == 0
        )
    mine = put(Path("in/team-photio.jpg"), JPEG)
    items, _ = expand("in", out=Path("other"))
    assert sorted(str(item.source) for item in items) == ["in/a.png", str(mine), "in/x/b.webp"]
    # Copies elsewhere say by themselves what they are.
    Path("copies").mkdir()
    for path in (*Path("in").glob("*-seeds/*-photio*"), *Path("in").glob("*-amazon-main.jpg")):
        shutil.copy(path, Path("copies", f"{path.parent.name}-{path.name}"))
    assert len([*Path("copies").iterdir()]) > 2
    items, words = expand("copies", out=Path("other"))
    assert (items, len(words)) == ([], 1)
    assert "-photio" in words[0][0]


def test_a_damaged_order_of_ours_is_no_folder_of_photos(command: Command):
    saved(Path("in/a.png"))
    assert command("prepare", "in", "-o", "in").code == 0
    (order,) = Path("in/orders").glob("*/order.json")
    order.write_bytes(b"")
    assert [str(item.source) for item in expand("in", out=Path("other"))[0]] == ["in/a.png"]


def test_a_final_beside_its_photo_is_passed_over_with_a_word(tmp_path: Path):
    put(tmp_path / "a.JPG", JPEG)
    put(tmp_path / "a-photio.jpg", JPEG)
    items, words = expand(tmp_path, out=tmp_path / "out")
    assert [item.output for item in items] == ["a"]
    assert "1 other file passed over: -photio.jpg" in words[0][0]


# --- inputs that come to nothing


def test_inputs_that_come_to_nothing_end_with_3_and_a_word(command: Command):
    Path("empty").mkdir()
    put(Path("list.txt"), b"# nothing yet\n\n")
    put(Path("jobs.csv"), b"source,description\r\n")
    put(Path("jobs.jsonl"), b"\n")
    put(Path("jobs.json"), b"[]")
    for name, word in {
        "empty": "no photos in this folder",
        "*.png": "no photo fits this pattern",
        "list.txt": "the list is empty",
        "jobs.csv": "the table has no rows",
        "jobs.jsonl": "the table has no rows",
        "jobs.json": "the table has no rows",
    }.items():
        for verb in (["prepare", name], ["run", name, "-d", SCENE, "--sandbox"]):
            said = command(*verb)
            assert (said.code, said.paths) == (3, []), verb
            assert f"{name}: {word}" in said.err


def test_watching_nothing_is_refused_and_an_empty_folder_is_told(command: Command, tmp_path: Path):
    Path("photos").mkdir()
    options = ["-d", SCENE, "--sandbox", "--watch"]
    said = command("run", "photoz", *options)
    assert (said.code, "photoz: no such folder. Did you mean 'photos'?" in said.err) == (2, True)
    assert command("run", "photoz/*.jpg", *options).code == 2
    assert command("run", "photos/[0-9", *options, "--limit", "1").code == 2


# --- names with signs of patterns


def test_what_exists_is_taken_as_it_is_before_it_is_a_pattern(tmp_path: Path):
    folder = tmp_path / "shoes [new] *"
    for name in ("a[1].jpg", "b.jpg", "sub [2]/c?.jpg"):
        put(folder / name, JPEG)
    put(tmp_path / "shoes n" / "z.jpg", JPEG)
    out = tmp_path / "out"
    assert [item.output for item in expand(folder, out=out)[0]] == ["a[1]", "b", "sub [2]/c?"]
    assert [item.output for item in expand(folder / "a[1].jpg", out=out)[0]] == ["a[1]"]
    assert [item.output for item in expand(f"{folder}/*.jpg", out=out)[0]] == ["a[1]", "b"]
    assert [item.output for item in expand(f"{folder}/sub [2]/*", out=out)[0]] == ["c?"]
    assert [item.output for item in expand(f"{folder}/*/c?.jpg", out=out)[0]] == ["sub [2]/c?"]
    assert [item.output for item in expand(f"{tmp_path}/s* n/?.jpg", out=out)[0]] == ["shoes n/z"]


def test_a_list_and_a_table_in_a_folder_with_brackets(tmp_path: Path):
    folder = tmp_path / "[1] shoes"
    put(folder / "a[b].jpg", JPEG)
    put(folder / "list.txt", b"a[b].jpg\n*.jpg\n")
    put(folder / "jobs.csv", b"source\na[b].jpg\n")
    assert len(expand(folder / "list.txt", out=tmp_path / "out")[0]) == 2
    assert [item.output for item in expand(folder / "jobs.csv", out=tmp_path / "out")[0]] == ["a[b]"]


# --- near names


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("sheo.jpg", "shoe.jpg"), ("shoe.jpeg", "shoe.jpg"), ("“shoe.jpg”", "shoe.jpg"), ("rde/front.jpg", "red")],
)
def test_a_missing_name_is_answered_with_the_near_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, wrong: str, near: str
):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "shoe.jpg", JPEG)
    put(tmp_path / "red" / "front.jpg", JPEG)
    with pytest.raises(UsageError, match=f"no such file or folder. Did you mean '{near}'"):
        expand(wrong, out=tmp_path / "out")
    put(tmp_path / "jobs.jsonl", json.dumps({"source": wrong}).encode())
    put(tmp_path / "list.txt", wrong.encode())
    for name in ("jobs.jsonl", "list.txt"):
        assert f"Did you mean '{near}'?" in command("prepare", name).err
    assert f"Did you mean '{near}'?" in command("prepare", "shoe.jpg", "--mask", wrong).err


@pytest.mark.parametrize(
    "wrong", ["SHOE.JPG", "Red\\Front.jpg", "red\\front.jpg", "./shoe.JPG", "cafe\u0301.jpg", "CAFÉ.jpg"]
)
def test_case_accents_and_backslashes_are_no_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str):
    monkeypatch.chdir(tmp_path)
    names = ("shoe.jpg", "red/front.jpg", "caf\u00e9.jpg")
    for name in names:
        put(tmp_path / name, JPEG)
    put(tmp_path / "list.txt", wrong.encode())
    put(tmp_path / "jobs.jsonl", json.dumps({"source": wrong}).encode())
    for name in (wrong, "list.txt", "jobs.jsonl"):
        (item,) = expand(name, out=tmp_path / "out")[0]
        assert Path(str(item.source)).as_posix() in names


def test_two_names_that_differ_in_case_are_never_guessed(tmp_path: Path):
    put(tmp_path / "a.jpg", JPEG)
    put(tmp_path / "A.jpg", JPEG)
    with pytest.raises(UsageError, match="no such file"):
        expand(tmp_path / "a.JPG", out=tmp_path / "out")


def test_pictures_without_a_suffix_get_finals_of_their_own(tmp_path: Path):
    put(tmp_path / "in" / "a.bin", JPEG)
    put(tmp_path / "in" / "a.jpg", JPEG)
    assert len({item.output for item in expand(tmp_path / "in", out=tmp_path / "out")[0]}) == 2
