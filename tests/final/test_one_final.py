"""A photo has one final and one name, whatever its company, its spelling, its variants and its later orders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photio_prep.orders import store
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.state import State
from photio_prep.sandbox import Sandbox
from tests.support import photos
from tests.support.photos import SCENE, cutout, photo, saved
from tests.support.sampling import sampled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.commands import Command, Said

    Pay = Callable[..., Said]

OTHER = "on wet sand at the sea, evening light, far waves"


@pytest.fixture
def api() -> Iterator[Sandbox]:
    """The stand-in as if it were the real API: what it is asked is paid for, and counted."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def run(keyed: Command, api: Sandbox) -> Pay:
    def paid(*arguments: object, scene: str = SCENE) -> Said:
        return keyed("run", *arguments, "-d", scene, "--api-url", api.url, "--yes")

    return paid


def jpeg(path: str, shade: int = 220) -> Path:
    """A JPEG and its mask, so that no model is needed."""
    saved(Path("mask.png"), photos.mask())
    return saved(Path(path), photo(shade=shade))


def final(name: str) -> bytes:
    return Path(f"photio-out/{name}").read_bytes()


MASK = ("--mask", "mask.png")


# Item 18: redo.


@pytest.mark.soak
def test_a_redo_becomes_the_final_and_the_one_before_is_kept(keyed: Command, run: Pay, api: Sandbox):
    saved(Path("a.png"))
    assert run("a.png").code == 0
    before = final("a-photio.png")
    (first,) = find_orders(Path("photio-out"))
    assert keyed("generate", first, "--seed", "77", "--api-url", api.url).code == 0
    said = keyed("finish", "photio-out")
    assert said.code == 0, said.err
    kept = next(first.glob("final-*.png"))
    assert f"kept as {kept}" in said.err
    assert kept.read_bytes() == before != final("a-photio.png")
    after = final("a-photio.png")
    again = keyed("finish", "photio-out")
    assert (again.code, "kept as" in again.err, final("a-photio.png")) == (0, False, after)
    assert "answered" not in keyed("status", "photio-out").err
    assert keyed("finish", first).code == 0  # the older one, by its name: the newer one stays
    assert final("a-photio.png") == after
    assert api.calls == 2


@pytest.mark.soak
def test_another_scene_is_the_photo_s_newest_final(run: Pay, api: Sandbox):
    saved(Path("a.png"))
    assert run("a.png").code == 0
    before = final("a-photio.png")
    said = run("a.png", scene=OTHER)
    assert said.code == 0, said.err
    assert final("a-photio.png") != before
    assert before in [path.read_bytes() for path in Path("photio-out/orders").glob("*/final-*.png")]
    newest = final("a-photio.png")
    back = run("a.png")
    assert (back.code, back.lines, api.calls) == (0, ["photio-out/a-photio.png"], 2)
    assert "its final stays as it is" in back.err
    assert final("a-photio.png") == newest
    # By the user's word it is the first one's again, and stays so.
    assert run("a.png", "--overwrite").code == 0
    assert final("a-photio.png") == before
    for scene in (OTHER, SCENE):
        assert run("a.png", scene=scene).code == 0
        assert final("a-photio.png") == before
    assert api.calls == 2


# Item 19: names.


@pytest.mark.soak
def test_a_newcomer_never_takes_the_name_of_a_photo_that_is_done(run: Pay, api: Sandbox):
    jpeg("in/shoe.jpg")
    assert run("in", *MASK).lines == ["photio-out/shoe-photio.jpg"]
    done = final("shoe-photio.jpg")
    jpeg("in/shoe.jpeg", shade=120)  # before shoe.jpg in the alphabet
    saved(Path("in/shoe.JPG"), photo(shade=90))
    said = run("in", *MASK)
    assert said.code == 0, said.err
    assert final("shoe-photio.jpg") == done
    assert len(said.lines) == len(set(said.lines)) == 3
    assert api.calls == 3
    again = run("in", *MASK)
    assert (again.code, sorted(again.lines), api.calls) == (0, sorted(said.lines), 3)
    assert final("shoe-photio.jpg") == done


@pytest.mark.soak
@sampled("order", [("x", "y"), ("y", "x")], 1)
def test_the_order_of_the_inputs_changes_no_name(run: Pay, api: Sandbox, order: tuple[str, str]):
    saved(Path("x/a.png"))
    saved(Path("y/a.png"), cutout(shade=120))
    first = run(*order)
    assert first.code == 0, first.err
    names = {path: path.read_bytes() for path in first.paths}
    for inputs in (reversed(order), order, order[1:]):
        said = run(*inputs)
        assert said.code == 0, said.err
        assert set(said.paths) <= set(names)
    assert {path: path.read_bytes() for path in names} == names
    assert api.calls == 2


@pytest.mark.soak
def test_the_sandbox_swaps_no_finals(command: Command):
    saved(Path("x/a.png"))
    saved(Path("y/a.png"), cutout(shade=120))
    first = command("run", "x", "-d", SCENE, "--sandbox")
    before = final("a-photio.png")
    assert command("run", "y", "x", "-d", SCENE, "--sandbox").code == 0
    assert first.lines == ["photio-out/a-photio.png"]
    assert final("a-photio.png") == before


@pytest.mark.soak
def test_one_format_for_all_keeps_photos_of_one_stem_apart(run: Pay):
    jpeg("in/a.jpg")
    saved(Path("in/a.png"), cutout(shade=120))
    assert sorted(run("in", *MASK).lines) == ["photio-out/a-photio.jpg", "photio-out/a-photio.png"]
    before = final("a-photio.png")
    said = run("in", *MASK, "--format", "png")
    assert said.code == 0, said.err
    assert len(set(said.lines)) == 2
    assert final("a-photio.png") == before


@pytest.mark.soak
def test_a_list_that_grows_changes_no_name(run: Pay):
    saved(Path("z/a.png"))
    Path("list.txt").write_text("z/../z/a.png\n")
    (first,) = run("list.txt").paths
    before = first.read_bytes()
    saved(Path("a.png"), cutout(shade=120))  # in the list's folder: it would come first
    Path("list.txt").write_text("a.png\nz/../z/a.png\n")
    said = run("list.txt")
    assert said.code == 0, said.err
    assert first in said.paths
    assert first.read_bytes() == before


def test_photos_that_come_into_a_watched_folder_keep_their_names_apart(tmp_path: Path):
    from photio_prep.intake.inputs import expand_inputs
    from photio_prep.orders.output_names import RecordedNames

    names = RecordedNames(tmp_path / "out")
    saved(tmp_path / "in/shoe.jpg", photo())
    (first,) = expand_inputs((str(tmp_path / "in"),), tmp_path / "out", names=names)
    saved(tmp_path / "in/shoe.jpeg", photo(shade=90))
    later = {item.name: item.output for item in expand_inputs((str(tmp_path / "in"),), tmp_path / "out", names=names)}
    assert later[first.name] == first.output == "shoe"
    assert len(set(later.values())) == 2


# Item 20: another spelling of the same photo.


@pytest.mark.soak
def test_a_finished_photo_is_finished_under_every_spelling_of_its_path(
    run: Pay, api: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    saved(Path("in/a.png"))
    assert run("in/a.png").code == 0
    before = final("a-photio.png")
    Path("elsewhere").mkdir()
    Path("link").symlink_to("in")
    for spelling in (Path("in/a.png").resolve(), "./in/a.png", "in/../in/a.png", "link/a.png"):
        said = run(spelling)
        assert (said.code, said.lines) == (0, ["photio-out/a-photio.png"]), said.err
    monkeypatch.chdir("elsewhere")
    said = run("../in/a.png", "-o", "../photio-out")
    assert (said.code, said.lines) == (0, ["../photio-out/a-photio.png"]), said.err
    monkeypatch.chdir(tmp_path)
    os.rename("in", "moved")  # noqa: PTH104
    said = run("moved/a.png")
    assert (said.code, said.lines, api.calls) == (0, ["photio-out/a-photio.png"], 1), said.err
    assert final("a-photio.png") == before
    (folder,) = find_orders(Path("photio-out"))
    assert len(list(folder.glob("photo-*.json"))) == 1


# Item 21: what was kept stays kept.


@pytest.mark.soak
def test_what_was_kept_stays_kept(keyed: Command, run: Pay, api: Sandbox):
    saved(Path("a.png"), cutout((900, 700)))
    assert run("a.png", "--seeds", "3", "--preset", "ebay").code == 0
    assert not Path("photio-out/a-photio-ebay.jpg").exists()  # of candidates none
    kept = keyed("keep", "a.png", "3")
    assert kept.lines == ["photio-out/a-photio.png", "photio-out/a-photio-ebay.jpg"], kept.err
    chosen = final("a-photio.png"), final("a-photio-ebay.jpg")
    for arguments in ((), ("--preset", "ebay"), ("--seeds", "3", "--preset", "ebay"), ("--overwrite",)):
        said = run("a.png", *arguments)
        assert said.code == 0, said.err
        assert (final("a-photio.png"), final("a-photio-ebay.jpg")) == chosen
    assert keyed("finish", "photio-out", "--preset", "ebay").code == 0
    assert (final("a-photio.png"), final("a-photio-ebay.jpg")) == chosen
    assert chosen[0] == final("a-seeds/3-photio.png")
    other = keyed("keep", "a.png", "1")
    assert other.code == 0, other.err
    assert final("a-photio.png") == final("a-seeds/1-photio.png")
    assert final("a-photio-ebay.jpg") != chosen[1]
    assert api.calls == 3
    # A new paid answer is newer than the choice.
    assert run("a.png", scene=OTHER).code == 0
    assert final("a-photio.png") != final("a-seeds/1-photio.png")


@pytest.mark.soak
def test_what_was_kept_in_the_sandbox_stays_kept_there(command: Command):
    saved(Path("a.png"))
    run = ("run", "a.png", "-d", SCENE, "--sandbox")
    assert command(*run, "--seeds", "3").code == 0
    assert command("keep", "a.png", "3").code == 0
    chosen = final("a-photio.png")
    said = command(*run)
    assert (said.code, final("a-photio.png")) == (0, chosen), said.err
    assert "its final stays as it is" in said.err


# Items 4 and 17: variants are facts, not names of folders.


def older_version(out: Path) -> None:
    """Let each order look as if an older version had made it: the canvas has other bytes, so keys and seeds differ.

    `canvas.png` gets another compression of the same pixels; variants are noted as the older version did: not at all.
    """
    from dataclasses import replace

    from PIL import Image

    from photio_prep.orders import index
    from photio_prep.orders.records import encode_record
    from photio_prep.system import seeds
    from photio_prep.types import Canvas

    for folder in find_orders(out):
        (origin,) = OrderFolder(folder).photos()
        order = store.load_order(folder, origin=origin)
        data = photos.encoded(order.canvas.image, "PNG", compress_level=1)
        canvas = Canvas(data, order.placement)
        request = replace(
            order.request, canvas=canvas, seed=seeds.derive_seed(seeds.seed_from_canvas(canvas.digest), origin.number)
        )
        drawn = origin.number == 1
        old = replace(order, request=replace(request, seed_drawn=drawn), folder=None, cutout=Image.new("RGBA", (1, 1)))
        new = store.write_order(replace(old, origin=replace(origin, record="")), out / "orders")
        assert new.folder is not None
        for path in new.folder.glob("photo-*.json"):
            record = {
                name: value for name, value in json.loads(path.read_bytes()).items() if name not in ("variant", "path")
            }
            path.write_bytes(encode_record(record))
        for name in ("claim.json", "answer.raw"):
            (folder / name).rename(new.folder / name)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    index._INDEXES.clear()  # a new process knows nothing


@pytest.mark.soak
def test_variants_of_an_older_version_are_not_paid_for_again(run: Pay, api: Sandbox):
    saved(Path("a.png"))
    assert run("a.png", "--seeds", "2").code == 0
    older_version(Path("photio-out"))
    for path in Path("photio-out").rglob("*-photio.png"):
        path.unlink()
    said = run("a.png", "--seeds", "2")
    assert (said.code, api.calls) == (3, 2), said.err
    assert said.err.count("already paid for") == 2
    assert [OrderFolder(folder).state for folder in find_orders(Path("photio-out"))].count(State.PLANNED) == 2


@pytest.mark.soak
def test_variants_of_an_older_version_are_found_and_kept(keyed: Command, run: Pay, api: Sandbox):
    saved(Path("a.png"))
    assert run("a.png", "--seeds", "2").code == 0
    older_version(Path("photio-out"))
    assert keyed("finish", "photio-out", "--overwrite").code == 0
    said = keyed("keep", "a.png", "2")
    assert said.code == 0, said.err
    assert final("a-photio.png") == final("a-seeds/2-photio.png")
    assert api.calls == 2


@pytest.mark.soak
def test_a_folder_may_be_called_seeds_and_its_photos_2_packs_or_2(keyed: Command, run: Pay, api: Sandbox):
    saved(Path("in/tomato-seeds/2 packs.png"))
    saved(Path("in/tomato-seeds/2.png"), cutout(shade=120))
    saved(Path("in/tomato.png"), cutout(shade=160))
    said = run("in")
    assert said.code == 0, said.err
    names = ["tomato-photio.png", "tomato-seeds/2 packs-photio.png", "tomato-seeds/2-photio.png"]
    assert sorted(said.lines) == sorted(f"photio-out/{name}" for name in names)
    assert "contact sheet" not in said.err
    assert keyed("keep", "tomato", "2").code == 2
    assert run("in").code == 0
    assert keyed("finish", "photio-out").code == 0
    assert api.calls == 3


@pytest.mark.soak
def test_the_variants_of_a_photo_take_no_names_from_a_folder_of_photos(run: Pay):
    saved(Path("in/tomato-seeds/2.png"))
    assert run("in").lines == ["photio-out/tomato-seeds/2-photio.png"]
    before = final("tomato-seeds/2-photio.png")
    saved(Path("tomato.png"), cutout(shade=160))
    said = run("tomato.png", "--seeds", "2")
    assert said.code == 0, said.err
    assert final("tomato-seeds/2-photio.png") == before
    assert all("tomato~" in line for line in said.lines)


# What a second attack found.


@pytest.mark.soak
def test_finish_makes_the_finals_of_photos_that_share_a_stem(keyed: Command, api: Sandbox):
    jpeg("in/a.jpg")
    saved(Path("in/a.png"), cutout(shade=120))
    asked = ("--api-url", api.url)
    assert keyed("prepare", "in", "-d", SCENE, *MASK, *asked).code == 0
    assert keyed("generate", "photio-out", *asked).code == 0
    said = keyed("finish", "photio-out")
    assert sorted(said.lines) == ["photio-out/a-photio.jpg", "photio-out/a-photio.png"], said.err
    assert "answered" not in keyed("status", "photio-out").err


@pytest.mark.soak
def test_keep_takes_the_variant_of_the_photo_that_is_named(keyed: Command, run: Pay):
    saved(Path("in/a.png"))
    saved(Path("in/a.webp"), cutout(shade=120), lossless=True)
    said = run("in", "--seeds", "2")
    assert said.code == 0, said.err
    assert len({path.parent for path in said.paths}) == 2  # no two photos share a folder of variants
    for name in ("in/a.png", "in/a.webp"):
        (kept,) = keyed("keep", name, "2").paths
        folder = kept.with_name(kept.name.replace(f"-photio{kept.suffix}", "-seeds"))
        assert kept.read_bytes() == (folder / f"2-photio{kept.suffix}").read_bytes()
        assert kept.suffix == Path(name).suffix


@pytest.mark.soak
def test_a_copied_order_folder_is_named_and_the_others_go_on(keyed: Command, run: Pay, api: Sandbox):
    import shutil

    saved(Path("a.png"))
    assert run("a.png").code == 0
    (folder,) = find_orders(Path("photio-out"))
    shutil.copytree(folder, folder.with_name(f"{folder.name}-copy"))
    (folder.with_name(f"{folder.name}-copy") / "answer.raw").unlink()
    assert run("a.png").code == 0
    said = keyed("status", "photio-out")
    assert said.code == 7
    assert "order.json or canvas.png was changed" in said.err
    assert api.calls == 1


@pytest.mark.soak
def test_naming_an_order_of_older_bytes_does_not_bring_them_back(keyed: Command, run: Pay):
    saved(Path("a.png"))
    assert run("a.png").code == 0
    (old,) = find_orders(Path("photio-out"))
    saved(Path("a.png"), cutout(shade=120))
    assert run("a.png").code == 0
    newest = final("a-photio.png")
    saved(Path("a.png"))
    assert run("a.png").code == 0  # it was that photo again
    saved(Path("a.png"), cutout(shade=120))
    assert run("a.png").code == 0
    assert final("a-photio.png") == newest
    assert keyed("finish", old).code == 0
    assert keyed("finish", "photio-out").code == 0
    assert final("a-photio.png") == newest


@pytest.mark.soak
def test_a_paid_answer_that_came_late_is_counted_once(tmp_path: Path, keyed: Command, run: Pay):
    saved(Path("a.png"))
    assert run("a.png").code == 0
    (folder,) = find_orders(Path("photio-out"))
    (folder / "attempt-1").mkdir()
    for name in ("answer.raw", "claim.json"):
        (folder / name).rename(folder / "attempt-1" / name)
    for path in folder.glob("finished-*"):
        path.unlink()
    assert "Paid calls: 1, perhaps billed: 0" in keyed("status", "photio-out").err
    assert run("a.png").code == 0
    assert "Paid calls: 1, perhaps billed: 0" in keyed("status", "photio-out").err


@pytest.mark.soak
def test_finals_in_several_formats_are_all_the_photo_s_own(keyed: Command, run: Pay, api: Sandbox):
    saved(Path("a.png"))
    assert run("a.png").code == 0
    for format_ in ("webp", "png", "webp", "jpg"):
        assert keyed("finish", "photio-out", "--format", format_).code == 0
        assert run("a.png", "--format", "webp").code == 0
        assert run("a.png").code == 0
    assert run("a.png", "--format", "webp", scene=OTHER).code == 0
    assert api.calls == 2


@pytest.mark.soak
def test_one_format_leaves_each_photo_the_name_that_is_its_own(run: Pay):
    saved(Path("in/a.png"))
    saved(Path("in/a.webp"), cutout(shade=120), lossless=True)
    assert run("in").code == 0
    before = final("a-photio.webp")
    said = run("in", "--format", "webp")
    assert said.code == 0, said.err
    assert "photio-out/a-photio.webp" in said.lines
    assert final("a-photio.webp") == before


@pytest.mark.soak
def test_a_photo_with_digits_in_its_name_keeps_it_when_it_is_moved(run: Pay, api: Sandbox):
    saved(Path("x/a.png"))
    saved(Path("y/a.png"), cutout(shade=120))
    first = run("x", "y")
    assert first.code == 0
    Path("y").rename("z")
    said = run("z")
    assert said.code == 0
    assert set(said.lines) < set(first.lines)
    assert api.calls == 2


@pytest.mark.soak
def test_a_program_and_the_command_line_share_one_final(keyed: Command, run: Pay, api: Sandbox):
    from photio_prep import InstantClient, run_many

    saved(Path("a.png"))
    client = InstantClient("pt-canary-5c1e77b0a9d4", api_url=api.url)
    (outcome,) = run_many(["a.png"], SCENE, client=client, orders="photio-out/orders")
    assert outcome.error is None
    assert run("a.png", "--seeds", "2").code == 0
    assert keyed("keep", "a.png", "2").code == 0
    chosen = final("a-photio.png")
    assert keyed("finish", "photio-out").code == 0
    assert final("a-photio.png") == chosen
    assert api.calls == 2
