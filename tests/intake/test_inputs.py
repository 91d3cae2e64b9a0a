"""What stands on the command line: files, folders with their tree, standard input; and what is no input."""

import io
import os
import random
import sys
from pathlib import Path

import pytest

from photio_prep.errors import PhotioError, PhotoRefused, UsageError
from photio_prep.intake.inputs import expand_inputs
from photio_prep.intake.item import Item
from tests.support.photos import saved


def found(*inputs: object, out: Path | None = None, format_: str | None = None) -> list[Item]:
    return list(expand_inputs(tuple(map(str, inputs)), out or Path("photio-out"), format_))


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_file_is_one_item_whatever_its_name(tmp_path: Path):
    touched(tmp_path / "shoe.xyz")
    assert found(tmp_path / "shoe.xyz") == [Item(tmp_path / "shoe.xyz", str(tmp_path / "shoe.xyz"), "shoe")]


def test_standard_input_is_a_dash(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a photo")))
    assert found("-") == [Item(b"a photo", "-", "stdin")]


def test_a_file_named_dash_is_reached_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    touched(Path("-"))
    assert found("./-") == [Item(Path("-"), "./-", "-")]


def test_a_folder_s_tree_is_kept_in_sorted_order(tmp_path: Path):
    touched(*(tmp_path / each for each in ("b/2.png", "a/x/1.JPG", "z.webp", "b/10.tiff")))
    assert [each.output for each in found(tmp_path)] == ["z", "a/x/1", "b/10", "b/2"]
    assert all(each.name == str(each.source) for each in found(tmp_path))


def test_only_pictures_are_taken_from_a_folder(tmp_path: Path):
    names = ["a.png", "a.txt", "b.jpg.bak", ".hidden.png", ".git/c.png", "noext", "d.svg", "e.psd", "table.csv"]
    touched(*(tmp_path / each for each in names))
    assert [each.output for each in found(tmp_path)] == ["a"]


def test_our_own_output_is_never_input_again(tmp_path: Path):
    out = tmp_path / "photio-out"
    touched(tmp_path / "a.png", out / "a-photio.png", out / "orders" / "x" / "canvas.png", tmp_path / "old-photio.png")
    assert [each.output for each in found(tmp_path, out=out)] == ["a"]


def test_the_orders_of_another_run_below_the_input_are_no_photos(tmp_path: Path):
    order = tmp_path / "earlier-out" / "orders" / "x"
    touched(tmp_path / "a.png", order / "order.json", order / "canvas.png", order / "cutout.png")
    assert [each.output for each in found(tmp_path, out=tmp_path / "other")] == ["a"]


def test_our_own_output_through_a_link_is_never_input_again(tmp_path: Path):
    out = tmp_path / "in" / "photio-out"
    touched(tmp_path / "in" / "a.png", out / "b.png")
    (tmp_path / "link").symlink_to(out)
    assert [each.output for each in found(tmp_path / "in", out=tmp_path / "link")] == ["a"]


def test_a_linked_folder_inside_a_folder_is_not_entered(tmp_path: Path):
    touched(tmp_path / "in" / "a.png", tmp_path / "elsewhere" / "b.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "away").symlink_to(tmp_path / "elsewhere")
    assert [each.output for each in found(tmp_path / "in")] == ["a"]


def test_output_into_the_input_folder_itself_still_finds_the_photos(tmp_path: Path):
    """-o IN: finals lie beside the photos, and the orders' canvases are no photos."""
    order = tmp_path / "orders" / "x"
    touched(tmp_path / "a.png", tmp_path / "a-photio.png", order / "order.json", order / "canvas.png")
    touched(order / "attempt-1" / "old.png")
    assert [each.output for each in found(tmp_path, out=tmp_path)] == ["a"]


def test_names_that_would_meet_are_kept_apart(tmp_path: Path):
    touched(*(tmp_path / each for each in ("x/a.jpg", "x/a.jpeg", "x/a.JPG", "y/a.jpg")))
    outputs = [each.output for each in found(tmp_path)]
    assert len({each.casefold() for each in outputs}) == 4
    assert {each.partition("~")[0] for each in outputs} == {"x/a", "y/a"}
    assert outputs == [each.output for each in found(tmp_path)]  # the same names tomorrow


def test_names_that_differ_in_case_or_accents_only_are_kept_apart(tmp_path: Path):
    touched(*(tmp_path / each for each in ("A.png", "a.png", "caf\u00e9.png", "cafe\u0301.png")))
    import unicodedata

    folded = {unicodedata.normalize("NFC", each.output).casefold() for each in found(tmp_path)}
    assert len(folded) == 4


def test_names_that_only_meet_in_another_format_are_kept_apart_there(tmp_path: Path):
    touched(tmp_path / "a.png", tmp_path / "a.jpg")
    assert [each.output for each in found(tmp_path)] == ["a", "a"]  # a-photio.png and a-photio.jpg
    outputs = [each.output for each in found(tmp_path, format_="png")]
    assert len(set(outputs)) == 2


def test_files_of_the_same_name_from_several_folders_are_kept_apart(tmp_path: Path):
    touched(tmp_path / "x" / "a.png", tmp_path / "y" / "a.png")
    outputs = [each.output for each in found(tmp_path / "x" / "a.png", tmp_path / "y" / "a.png")]
    assert len(set(outputs)) == 2


@pytest.mark.parametrize(
    "name", ["..png", "a b .png", "\u202egnp.png", "a\nb.png", "=cmd.png", "-d.png", "CON.png", "x" * 240 + ".png"]
)
def test_odd_names_are_files_like_others(tmp_path: Path, name: str):
    touched(tmp_path / name)
    (item,) = found(tmp_path / name)
    assert item.source == tmp_path / name
    assert "/" not in item.output


def test_a_name_that_is_no_utf_8_is_a_file_like_others(tmp_path: Path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    touched(path)
    assert [each.source for each in found(tmp_path)] == [path]


def test_a_url_is_an_item_named_after_its_path():
    url = "https://photos.invalid/shop/../%2e%2e/shoe.png?token=s3cret#x"
    (item,) = found(url)
    assert (item.source, item.output) == (url, "shoe")
    assert "s3cret" not in item.name


def test_urls_that_differ_in_their_query_are_kept_apart():
    items = found("https://photos.invalid/get?id=1", "https://photos.invalid/get?id=2")
    assert len({item.output for item in items}) == 2


@pytest.mark.parametrize("what", ["nothing.png", ""])
def test_what_is_no_input_is_refused_with_its_name(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        found(what)
    assert caught.value.subject == what


def test_an_empty_folder_is_told(tmp_path: Path):
    told: list[tuple[PhotoRefused, bool]] = []
    assert not list(expand_inputs((str(tmp_path),), tmp_path / "out", passed_over=lambda *why: told.append(why)))
    assert [("no photos in this folder" in str(why), by_choice) for why, by_choice in told] == [(True, False)]


def test_a_dangling_link_reaches_the_reader_who_names_it(tmp_path: Path):
    (tmp_path / "a.png").symlink_to(tmp_path / "nothing")
    (item,) = found(tmp_path / "a.png")
    from photio_prep.intake.load import load

    with pytest.raises(PhotioError, match="no such file"):
        load(str(item.source))


def test_a_folder_that_is_given_twice_is_told_apart(tmp_path: Path):
    saved(tmp_path / "a.png")
    outputs = [each.output for each in found(tmp_path, tmp_path / "a.png")]
    assert len(set(outputs)) == 2


def listed(tmp_path: Path, *lines: str) -> dict[str, str]:
    """The place of each photo's final that a list of these lines gives, by the photo's path from the list."""
    (tmp_path / "lists").mkdir(exist_ok=True)
    (tmp_path / "lists" / "photos.txt").write_text("\n".join(lines))
    found = expand_inputs((str(tmp_path / "lists" / "photos.txt"),), tmp_path / "out")
    return {
        os.path.relpath(each.source, tmp_path / "lists")
        if isinstance(each.source, Path)
        else str(each.source): each.output
        for each in found
    }


def test_a_list_keeps_the_tree_below_its_folder(tmp_path: Path):
    names = ("red/front.jpg", "blue/front.jpg", "blue/side/left.png", "top.jpg")
    touched(*(tmp_path / "lists" / each for each in names))
    assert listed(tmp_path, "red/front.jpg", "./blue/front.jpg", "top.jpg") == {
        "red/front.jpg": "red/front",
        "blue/front.jpg": "blue/front",
        "top.jpg": "top",
    }
    # A folder and a pattern stand where they stand in the list's tree, too.
    tree = {"blue/front.jpg": "blue/front", "blue/side/left.png": "blue/side/left"}
    assert listed(tmp_path, "blue") == tree
    assert listed(tmp_path, "b*/**/*") == tree


def test_no_name_depends_on_the_order_of_a_list(tmp_path: Path):
    touched(*(tmp_path / each for each in ("lists/top.jpg", "x/top.jpg", "x/one.jpg", "y/one.jpeg", "y/one.png")))
    lines = ["top.jpg", str(tmp_path / "x/top.jpg"), "../x/one.jpg", str(tmp_path / "y/one.jpeg"), "../y/one.png"]
    lines += ["https://b.example/one.jpg", "https://a.example/one.jpg", "https://a.example/one.jpg?v=2"]
    found = listed(tmp_path, *lines)
    assert found["top.jpg"] == "top"
    assert found["../x/top.jpg"].startswith("top~")
    assert (found["../x/one.jpg"], found["../y/one.png"]) == ("one", "one")  # finals of another suffix
    assert len({*found.values()}) == len(lines) - 1
    for _ in range(5):
        random.shuffle(lines)
        assert listed(tmp_path, *lines) == found
