"""Finishing with a choice of product, size and photo: in the library, on the command line, on orders of any age."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.redraw import PlantedChanges
from photio_prep import InstantClient, finish, generate, prepare, run
from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.sandbox import Sandbox
from tests.support.commands import Command
from tests.support.fakes import BrightMatter
from tests.support.photos import SCENE, cutout, encoded, photo, saved
from tests.support.sampling import sampled

KEY = "pt-canary-5c1e77b0a9d4"


@pytest.fixture
def tinted() -> Iterator[Sandbox]:
    """Answers whose product has another colour: whose pixels a final has can be told."""
    with Sandbox(paint=PlantedChanges(tone=(-30, 0, 20)).paint) as sandbox:
        yield sandbox


def shoe(size: tuple[int, int] = (600, 440)) -> Path:
    """A product with some detail on black, as a file; opened by a mask of its own."""
    picture = photo(size)
    pixels = np.array(picture)
    pixels[::7, ::5] //= 2
    saved(Path("mask.png"), cutout(size).getchannel("A"))
    return saved(Path("in/shoe.png"), Image.fromarray(pixels))


def middle(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        found = np.asarray(picture.convert("RGB"), dtype=int)
    height, width = found.shape[:2]
    return found[height // 2 - 40 : height // 2 + 40, width // 2 - 60 : width // 2 + 60]


@pytest.mark.soak
def test_three_products_from_one_answer_each_with_its_proof(keyed: Command, tinted: Sandbox):
    source = shoe()
    said = keyed("run", source, "--mask", "mask.png", "-d", SCENE, "--api-url", tinted.url, "--format", "png", "--json")
    (facts,) = said.facts
    assert (said.code, facts["product"], facts["proof"]["equal"]) == (0, "original", 1.0)
    assert facts["drift"]["score"] > 1
    assert "colour" in facts["drift"]["sentence"]
    assert "drift: in/shoe.png: the generator" in said.err
    folder = Path(facts["order"])
    with Image.open(folder / "drift.png") as picture:
        assert picture.width > 2 * picture.height
    assert json.loads((folder / "drift.json").read_text())["score"] == facts["drift"]["score"]
    made = {}
    for product in ("generated", "detail", "original"):
        again = keyed("finish", folder, "--product", product, "--json", "-o", product)
        assert (again.code, again.facts[0]["product"]) == (0, product)
        (proof,) = folder.glob("proof-*.json")
        assert json.loads(proof.read_text())["product"] == product
        made[product] = middle(Path(again.facts[0]["final"]))
    own = middle(source)
    assert np.array_equal(made["original"], own)
    assert abs((made["generated"] - own)[..., 0].mean() + 30) < 6
    assert abs((made["detail"] - made["generated"]).mean(axis=(0, 1))).max() < 3
    assert tinted.calls == 1


@pytest.mark.soak
def test_the_same_options_give_the_same_bytes_and_other_options_replace_our_own(keyed: Command, tinted: Sandbox):
    order = keyed("run", shoe(), "--mask", "mask.png", "-d", SCENE, "--api-url", tinted.url, "--json").facts[0]
    path = Path(order["final"])
    first = path.read_bytes()
    assert keyed("finish", "photio-out").code == 0
    assert path.read_bytes() == first
    path.unlink()
    assert keyed("finish", "photio-out").code == 0
    assert path.read_bytes() == first
    assert keyed("finish", "photio-out", "--output-size", "long:300").code == 0
    with Image.open(path) as final:
        assert final.size == (300, 220)
    assert keyed("finish", "photio-out").code == 0
    assert path.read_bytes() == first
    path.write_bytes(first + b"retouched")
    assert keyed("finish", "photio-out", "--product", "generated").code == 3
    assert path.read_bytes() == first + b"retouched"


@pytest.mark.soak
def test_a_photo_that_is_gone_is_never_missed_silently(keyed: Command, tinted: Sandbox):
    source = shoe()
    keyed("prepare", source, "--mask", "mask.png", "-d", SCENE, "--api-url", tinted.url)
    assert keyed("generate", "photio-out", "--api-url", tinted.url).code == 0
    Path("elsewhere/deep").mkdir(parents=True)
    moved = source.rename("elsewhere/deep/shoe.png")
    fallen = keyed("finish", "photio-out", "--json")
    assert (fallen.code, fallen.facts[0]["product"]) == (0, "generated")
    assert "cannot be found" in fallen.err
    assert "--originals" in fallen.facts[0]["proof"]["notes"][0]
    found = keyed("finish", "photio-out", "--photos", "elsewhere", "--json")
    assert (found.code, found.facts[0]["product"]) == (0, "original")  # the fallback is not kept for ever
    refused = keyed("finish", "photio-out", "--product", "original", "--overwrite")
    assert refused.code == 3
    assert "--originals" in refused.err
    for place in ("elsewhere", moved):
        said = keyed("finish", "photio-out", "--product", "original", "--photos", place, "--json")
        assert (said.code, said.facts[0]["proof"]["equal"]) == (0, 1.0)
    moved.rename(source)
    saved(source, photo((600, 440), shade=180))  # another photo under the old name
    changed = keyed("finish", "photio-out", "--product", "original", "--overwrite")
    assert changed.code == 3
    assert "has changed since the order was prepared" in changed.err


def test_a_final_made_without_its_photo_is_made_again_whatever_the_proof_says(keyed: Command, tinted: Sandbox):
    """A kill may leave the proof of another final, which was made with the photo."""
    source = shoe()
    keyed("prepare", source, "--mask", "mask.png", "-d", SCENE, "--api-url", tinted.url)
    assert keyed("generate", "photio-out", "--api-url", tinted.url).code == 0
    moved = source.rename("elsewhere.png")
    assert keyed("finish", "photio-out", "--json").facts[0]["product"] == "generated"
    (path,) = Path("photio-out").glob("orders/*/proof-*.json")
    proof = json.loads(path.read_text())
    path.write_text(json.dumps({**proof, "product": "original"}))
    moved.rename(source)
    made = keyed("finish", "photio-out", "--json")
    assert (made.code, made.facts[0]["proof"]["equal"]) == (0, 1.0)


@pytest.mark.soak
def test_a_photo_from_a_pipe_is_kept_as_pixels(keyed: Command, tinted: Sandbox):
    shoe()
    data = encoded(photo((600, 440)), "JPEG", quality=90, comment=b"CANARY", exif=b"Exif\0\0")
    order = keyed("prepare", "-", "--mask", "mask.png", "-d", SCENE, "--api-url", tinted.url, stdin=data).paths[0]
    (kept,) = order.glob("source-*")
    assert b"CANARY" not in kept.read_bytes()
    keyed("generate", order, "--api-url", tinted.url)
    said = keyed("finish", order, "--product", "original", "--json")
    assert (said.code, said.facts[0]["proof"]["equal"]) == (0, 1.0)
    kept.write_bytes(kept.read_bytes() + b"tampered")
    assert keyed("finish", order, "--product", "original", "--overwrite").code == 3


@pytest.mark.parametrize(("size", "is_canvas"), [((1024, 1024), True), ((1000, 1024), False)])
def test_a_cutout_from_memory_is_kept_as_pixels(tmp_path: Path, size: tuple[int, int], is_canvas: bool):
    picture = cutout(size)
    picture.putpixel((0, 0), (9, 9, 9, 0))  # not sent
    for number, photo_ in enumerate((picture, prepare(picture, description=SCENE).cutout or picture)):
        order = prepare(photo_, description=SCENE, orders=tmp_path / str(number))
        (kept,) = order.require_folder().glob("source-*")
        with Image.open(kept) as stored:
            assert stored.tobytes() == photo_.tobytes()
        assert (kept.read_bytes() == order.canvas.png) is (is_canvas and number == 1)


def test_photos_with_a_file_are_not_copied(command: Command):
    order = command("prepare", saved(Path("a.png")), "-d", SCENE).paths[0]
    assert not list(order.glob("source-*"))


def test_too_much_drift_ends_with_3_and_the_final_is_there(keyed: Command, tinted: Sandbox):
    source = shoe()
    common = ("run", source, "--mask", "mask.png", "-d", SCENE, "--api-url", tinted.url)
    strict = keyed(*common, "--max-drift", "1")
    assert strict.code == 3
    assert strict.paths[0].exists()
    assert "drift.png before you show it" in strict.err
    assert keyed(*common, "--max-drift", "1").code == 3  # the second time nothing is made again
    assert keyed(*common, "--max-drift", "50").code == 0
    assert keyed(*common, "-q").err == ""
    assert tinted.calls == 1


@sampled("verb", ["run", "finish"], 1)
def test_a_size_of_another_shape_is_refused_before_anything_is_paid(keyed: Command, tinted: Sandbox, verb: str):
    source = shoe()
    if verb == "run":
        said = keyed("run", source, "--mask", "mask.png", "-d", SCENE, "--api-url", tinted.url, "--output-size", "9x9")
        assert tinted.calls == 0
    else:
        keyed("run", source, "--mask", "mask.png", "-d", SCENE, "--api-url", tinted.url)
        said = keyed("finish", "photio-out", "--output-size", "9x9")
    assert said.code == 2
    assert "9x7 or 12x9 would fit" in said.err
    assert keyed("finish", "photio-out", "--output-size", "huge").code == 2


@pytest.mark.soak
def test_an_order_of_before_this_version_is_finished(keyed: Command, tinted: Sandbox):
    """Its finished mark does not say by which options; its photo is where it was, or not."""
    said = keyed("run", shoe(), "--mask", "mask.png", "-d", SCENE, "--api-url", tinted.url, "--product", "generated")
    (mark,) = Path("photio-out/orders").glob("*/finished-*.json")
    facts = json.loads(mark.read_text())
    del facts["made"]
    mark.write_text(json.dumps(facts))
    again = keyed("finish", "photio-out", "--json")
    assert (again.code, again.facts[0]["product"], again.facts[0]["final"]) == (0, "original", said.lines[0])


# In the library.


@pytest.mark.soak
def test_the_library_has_the_same_choices(tmp_path: Path, tinted: Sandbox):
    client = InstantClient(KEY, api_url=tinted.url)
    original = photo((300, 200))
    order = prepare(original, description=SCENE, model=BrightMatter(), endpoint=client.endpoint, orders=tmp_path)
    result = generate(order, client=client)
    inside = np.s_[60:140, 90:210]
    finals = {each: finish(order, result, product=each) for each in ("generated", "detail", "original")}
    assert np.array_equal(np.asarray(finals["original"].image)[inside], np.asarray(original)[inside])
    assert finals["original"].proof is not None
    assert finals["original"].proof.to_dict()["equal"] == 1.0
    assert finals["generated"].proof is not None
    assert finals["generated"].proof.equal is not None
    assert finals["generated"].proof.equal < 0.5
    assert finish(order, result, output_size="150x100").image.size == (150, 100)
    assert finish(order, result, output_size="canvas").image.size == order.placement.box.size
    with pytest.raises(UsageError, match="another shape"):
        finish(order, result, output_size="150x150")
    with pytest.raises(PhotoRefused, match="another photo"):
        finish(order, result, photo=photo((300, 200), shade=100))
    assert finish(order, result, photo=original).proof == finals["original"].proof
    final = run(original, SCENE, client=client, model=BrightMatter(), product="detail", output_size="long:150")
    assert (final.image.size, final.proof and final.proof.product) == ((150, 100), "detail")
    calls = tinted.calls
    with pytest.raises(UsageError, match="another shape"):
        run(original, SCENE, client=client, model=BrightMatter(), output_size="150x150")
    assert tinted.calls == calls


@sampled("size", [(600, 400), (1024, 1024), (811, 1200)], 1)
def test_with_an_identity_server_the_product_is_the_photo_s(identity: Sandbox, size: tuple[int, int]):
    """Up to the canvas's size: a mean difference of at most one level inside, and no shift at all."""
    original = photo(size)
    client = InstantClient(KEY, api_url=identity.url)
    order = prepare(original, description=SCENE, model=BrightMatter(), endpoint=client.endpoint)
    result = generate(order, client=client)
    width, height = size
    inside = np.s_[height // 4 + 4 : height - height // 4 - 4, width // 4 + 4 : width - width // 4 - 4]
    for product in ("generated", "detail", "original"):
        final = finish(order, result, product=product)
        wrong = np.abs(np.asarray(final.image, dtype=int) - np.asarray(original, dtype=int))[inside]
        assert wrong.mean() <= 1, product
        assert final.drift is not None
        assert final.drift.score <= 1
        assert (round(final.drift.figures.right, 1), round(final.drift.figures.down, 1)) == (0, 0)


def test_a_cutout_that_came_as_one_keeps_its_own_alpha_and_colours(identity: Sandbox):
    own = cutout((900, 700))
    pixels = np.array(own)
    pixels[170:180, 250:650, 3] = 128
    own = Image.fromarray(pixels)
    client = InstantClient(KEY, api_url=identity.url)
    order = prepare(own, description=SCENE, endpoint=client.endpoint)
    final = finish(order, generate(order, client=client), product="original", output_size="1800x1400")
    assert final.proof is not None
    assert (final.proof.equal, final.proof.photo_scale) == (1.0, 2.0)
    assert final.image.size == (1800, 1400)
