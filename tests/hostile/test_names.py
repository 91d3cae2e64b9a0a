"""Names and folders that are odd, hostile or alike: rows I37 and I39 to I45. Nothing leaves the output folder."""

import os
import stat
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photio_prep.errors import PhotoRefused
from photio_prep.intake.inputs import expand_inputs
from photio_prep.intake.item import Item
from photio_prep.intake.names import portable_name
from photio_prep.system.files import read_input
from tests.support.commands import Command
from tests.support.photos import SCENE, cutout, encoded

TWISTED = [
    "a\x1b[31mred.png",
    "new\nline.png",
    "\u202egnp.png",
    "tab\t.png",
    "  .png",
    "x" * 251 + ".png",
    "émoji😀.png",
]


def found(*inputs: object, out: Path, told: list[tuple[str, bool]] | None = None) -> list[Item]:
    def passed_over(why: PhotoRefused, by_choice: bool) -> None:
        if told is not None:
            told.append((str(why), by_choice))

    return list(expand_inputs(tuple(map(str, inputs)), out, passed_over=passed_over))


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_i37_links_in_a_folder_are_not_followed_but_named(tmp_path: Path):
    tree = tmp_path / "tree"
    touched(tree / "a.png", tmp_path / "secret.png", tmp_path / "elsewhere" / "b.png")
    (tree / "outside.png").symlink_to(tmp_path / "secret.png")
    (tree / "loop").symlink_to(tree)
    (tree / "dangling.png").symlink_to(tmp_path / "nothing.png")
    (tree / "device.png").symlink_to("/dev/zero")
    told: list[tuple[str, bool]] = []
    assert [item.output for item in found(tree, out=tmp_path / "out", told=told)] == ["a"]
    ((text, by_choice),) = told
    assert "4 links not followed (dangling.png, device.png, loop, outside.png)" in text
    assert by_choice


def test_i37_a_link_that_is_named_is_followed(tmp_path: Path):
    touched(tmp_path / "real.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    (item,) = found(tmp_path / "link.png", out=tmp_path / "out")
    assert item.follow
    assert read_input(tmp_path / "link.png", 10, follow=item.follow) == b"x"


def test_i36_a_file_of_a_folder_that_became_a_link_is_refused(tmp_path: Path):
    touched(tmp_path / "in" / "a.png", tmp_path / "secret")
    (item,) = found(tmp_path / "in", out=tmp_path / "out")
    (tmp_path / "in" / "a.png").unlink()
    (tmp_path / "in" / "a.png").symlink_to(tmp_path / "secret")
    assert isinstance(item.source, Path)
    with pytest.raises(PhotoRefused, match="cannot be read"):
        read_input(item.source, 10, follow=item.follow)


def test_i39_a_pipe_in_a_folder_is_passed_over(tmp_path: Path):
    touched(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    told: list[tuple[str, bool]] = []
    assert len(found(tmp_path, out=tmp_path / "out", told=told)) == 1
    assert "not a regular file" in told[0][0]


def test_i40_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path):
    touched(tmp_path / "in" / "x.png" / "a.png")
    assert [item.output for item in found(tmp_path / "in", out=tmp_path / "out")] == ["x.png/a"]


@pytest.mark.skipif(os.geteuid() == 0 if sys.platform != "win32" else True, reason="root may read everything")
def test_i40_a_folder_that_cannot_be_read_is_a_failure(tmp_path: Path):
    touched(tmp_path / "a.png", tmp_path / "closed" / "b.png")
    (tmp_path / "closed").chmod(0)
    told: list[tuple[str, bool]] = []
    try:
        assert len(found(tmp_path, out=tmp_path / "out", told=told)) == 1
    finally:
        (tmp_path / "closed").chmod(stat.S_IRWXU)
    assert not told[0][1]


@pytest.mark.parametrize("name", ["../../x.png", "..", "/etc/x.png", "a/../../../x.png"])
def test_i41_a_final_never_lies_outside_the_output_folder(name: str):
    item = Item(b"", name, Path(name).stem)
    output = portable_name(item.output)
    assert not Path(output).is_absolute()
    assert ".." not in Path(output).parts


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=300))
def test_i42_a_final_s_name_is_one_that_every_system_can_hold(stem: str):
    output = portable_name(stem)
    assert output
    assert "/" not in output
    assert len(f"{output}~abcdefabcdef-photio-instagram-portrait.jpg".encode()) <= 255
    assert not any(unicodedata.category(letter).startswith("C") for letter in output)
    assert not output.endswith((".", " "))


def test_i42_a_photo_whose_stem_is_a_dot_has_a_final_in_the_output_folder(command: Command):
    Path("in").mkdir()
    for name in ("..png", "in/..png"):  # named one by one: as hidden files they are no photos of a folder
        Path(name).write_bytes(encoded(cutout()))
    said = command("run", "..png", "in/..png", "-d", SCENE, "--sandbox")
    assert said.code == 0, said.err
    assert len(set(said.paths)) == 2
    assert all(final.parent == Path("photio-out") and final.is_file() for final in said.paths)


@pytest.mark.parametrize("name", TWISTED)
def test_i42_twisted_names_are_photos_like_others(tmp_path: Path, name: str):
    touched(tmp_path / "in" / name)
    (item,) = found(tmp_path / "in", out=tmp_path / "out")
    assert item.source == tmp_path / "in" / name
    touched(tmp_path / "out" / f"{item.output}-photio.png")


def test_i43_names_that_some_systems_fold_are_kept_apart(tmp_path: Path):
    names = ["x/a.jpg", "x/a.png", "x/a.jpeg", "y/a.jpg", "y/A.jpg", "y/caf\u00e9.png", "y/cafe\u0301.png"]
    touched(*(tmp_path / "in" / each for each in names))
    items = found(tmp_path / "in", out=tmp_path / "out")
    assert len(items) == len(names)
    finals = {
        unicodedata.normalize("NFC", f"{item.output}{Path(item.name).suffix.replace('jpeg', 'jpg')}").casefold()
        for item in items
    }
    assert len(finals) == len(names)


def test_i45_a_deep_tree_and_a_wide_folder(tmp_path: Path):
    deep = tmp_path / "deep"
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1_000):  # by handles: the whole path would be too long to name only near its end
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("a.png", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    finally:
        os.close(here)
    (tmp_path / "d").rename(deep)
    wide = tmp_path / "wide"
    wide.mkdir()
    for number in range(5_000):
        (wide / f"{number}.png").touch()
    try:
        assert len(found(deep, wide, out=tmp_path / "out")) == 5_001
    finally:
        # Python's own way of removing a tree, and so pytest's, gives up at this depth.
        subprocess.run(["rm", "-rf", str(deep)], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become another user")
def test_a_folder_that_may_not_be_looked_into_is_an_error_of_storage(tmp_path: Path):
    (tmp_path / "closed").mkdir(mode=0o700)
    code = (
        "import os, sys; import photio_prep.cli.run, photio_prep.cli.console, photio_prep.cli as cli;"
        "os.setuid(54321); cli.main(['run', 'a.jpg', '--sandbox', '-d', 'x', '--out', sys.argv[1]])"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "closed" / "out")]
    home = os.environ | {"HOME": "/nowhere", "XDG_CONFIG_HOME": "/nowhere"}
    run = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, env=home)
    assert run.returncode == 7
    problem = "cannot be written (Permission denied). Check the path and its permissions"
    assert f"{tmp_path / 'closed' / 'out' / 'orders'}: {problem}" in run.stderr
    assert "Traceback" not in run.stderr
