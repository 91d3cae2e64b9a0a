"""The library as PRODUCT.md shows it: prepare, generate, finish, run; in memory and with an orders folder."""

import io
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import photio_prep
from photio_prep import InstantClient, Order, Size, finish, generate, prepare, run
from photio_prep.api.request import DEFAULT_NEGATIVE, request_from_url
from photio_prep.errors import NoProduct, OutcomeUnknown, PhotioError, PhotoRefused, UsageError
from photio_prep.intake.load import load
from photio_prep.orders import store
from photio_prep.orders.folder import OrderFolder
from photio_prep.orders.state import State
from photio_prep.sandbox import Sandbox
from photio_prep.types import Result
from tests.support.fakes import BrightMatter
from tests.support.hostile import HostileServer
from tests.support.hostile_answers import echo, ok
from tests.support.hostile_faults import close_after_reading
from tests.support.photos import SCENE, cutout, encoded, mask, photo, revise, saved
from tests.support.sampling import sampled

KEY = "pt-canary-5c1e77b0a9d4"


@pytest.fixture
def identity() -> Iterator[Sandbox]:
    with Sandbox(identity=True) as sandbox:
        yield sandbox


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket can be made, and no key is there."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("something wanted the network")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.delenv("PHOTIO_API_KEY", raising=False)


def at(order: Order) -> Path:
    assert order.folder is not None
    return order.folder


def test_the_example_of_the_product(tmp_path: Path, identity: Sandbox):
    shoe = saved(tmp_path / "shoe.jpg", photo())
    order = prepare(str(shoe), description=SCENE, model=BrightMatter())
    assert (order.folder, order.canvas.png[:4]) == (None, b"\x89PNG")
    assert order.request.description == SCENE
    final = run(str(shoe), SCENE, client=InstantClient(KEY, api_url=identity.url), model=BrightMatter())
    assert (final.image.mode, final.image.size, final.source, final.format) == ("RGB", (90, 70), str(shoe), "JPEG")
    assert identity.charges == 1
    assert identity.warnings == ()


def test_finish_takes_the_result_of_its_own_order_only(tmp_path: Path, identity: Sandbox):
    client = InstantClient(KEY, api_url=identity.url)
    mine, other, reworded = (
        prepare(encoded(photo(shade=shade)), description=scene, model=BrightMatter())
        for shade, scene in ((220, SCENE), (180, SCENE), (220, "on oak, in daylight"))
    )
    kept = prepare(encoded(photo()), description=SCENE, model=BrightMatter(), orders=tmp_path, endpoint=client.endpoint)
    right = [generate(mine, client=client), generate(mine.request, client=client), client.send(mine.request)]
    right += [generate(kept, client=client), generate(kept, client=client)]  # the second reads the folder
    wrong = [generate(other, client=client), client.send(other.request), generate(reworded.request, client=client)]
    calls = identity.calls
    for order, result in [*((mine, result) for result in right), (kept, right[0])]:
        assert finish(order, result).image.size == (90, 70)
    for order in (mine, kept):
        for result in wrong:
            with pytest.raises(UsageError, match=r"the result answers another order\. Give the result of this order"):
                finish(order, result)
    assert identity.calls == calls
    assert finish(kept).image.size == (90, 70)


@pytest.mark.parametrize("picture", [("RGB", (700, 900)), ("RGBA", (1152, 896)), ("L", (1152, 896))])
def test_finish_refuses_a_picture_that_is_no_answer(picture: tuple[str, tuple[int, int]]):
    order = prepare(encoded(photo()), description=SCENE, model=BrightMatter())
    with pytest.raises(UsageError, match=r"is no answer to it\. Give one in RGB of 1152x896"):
        finish(order, Result(b"", Image.new(*picture), order.placement))


def test_finish_takes_the_photo_of_its_own_order_only(tmp_path: Path, identity: Sandbox):
    frames = [photo(shade=shade) for shade in (220, 180)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    order = prepare(load(tmp_path / "two.gif", frame=1), description=SCENE, model=BrightMatter())
    assert order.origin.frame == 1
    result = generate(order, client=InstantClient(KEY, api_url=identity.url))
    assert finish(order, result, photo=tmp_path / "two.gif").proof.equal == 1  # type: ignore[union-attr]
    with pytest.raises(PhotoRefused, match="from another photo"):
        finish(order, result, photo=load(tmp_path / "two.gif", frame=0))
    smaller = load(tmp_path / "two.gif", frame=1, at=lambda _: Size(45, 35))
    with pytest.raises(PhotoRefused, match="a smaller copy of the photo"):
        finish(order, result, photo=smaller)
    reduced = prepare(smaller, description=SCENE, model=BrightMatter())
    own = finish(reduced, generate(reduced, client=InstantClient(KEY, api_url=identity.url)))
    assert own.image.size == (90, 70)


@pytest.mark.parametrize("frames", [(None, 0), (0, None)])
def test_the_only_picture_of_a_file_is_its_first(tmp_path: Path, identity: Sandbox, frames: tuple[int | None, ...]):
    path = saved(tmp_path / "a.png", photo())
    order = prepare(path, description=SCENE, model=BrightMatter(), frame=frames[0])
    result = generate(order, client=InstantClient(KEY, api_url=identity.url))
    assert finish(order, result, photo=load(path, frame=frames[1])).image.size == (90, 70)


@sampled("kind", ["path", "text", "bytes", "file", "picture", "photo"], 3)
def test_every_kind_of_source_gives_the_same_order(tmp_path: Path, kind: str):
    path = saved(tmp_path / "a.png", photo())
    sources: dict[str, Any] = {
        "path": path,
        "text": str(path),
        "bytes": path.read_bytes(),
        "file": io.BytesIO(path.read_bytes()),
        "picture": Image.open(path),
        "photo": load(path),
    }
    order = prepare(sources[kind], description=SCENE, model=BrightMatter())
    assert order.key == prepare(path, description=SCENE, model=BrightMatter()).key
    sources["picture"].close()


def test_what_is_sent_is_the_canvas_that_was_prepared(identity: Sandbox):
    order = prepare(photo(), description=SCENE, model=BrightMatter())
    generate(order, client=InstantClient(KEY, api_url=identity.url))
    assert identity.log[0].canvas == order.canvas.digest
    assert (identity.log[0].seed, identity.log[0].description) == (order.request.seed, SCENE)


def test_an_identity_gives_the_product_back_where_it_was(identity: Sandbox):
    original = photo((300, 200))
    final = run(original, SCENE, client=InstantClient(KEY, api_url=identity.url), model=BrightMatter())
    inside = np.s_[60:140, 90:210]  # clear of the edge, which is resampled twice
    ours, theirs = (np.asarray(each, dtype=int)[inside] for each in (final.image, original))
    assert abs(ours - theirs).max() <= 3


def test_prepare_and_finish_need_no_network_and_no_key(tmp_path: Path, request: pytest.FixtureRequest):
    with HostileServer(echo()) as server:
        paid = prepare(photo(), description=SCENE, model=BrightMatter(), endpoint=server.url, orders=tmp_path)
        result = generate(paid, client=InstantClient(KEY, api_url=server.url))
    request.getfixturevalue("cut_off")
    again = prepare(photo(), description=SCENE, model=BrightMatter(), endpoint=paid.endpoint, orders=tmp_path)
    assert again.key == paid.key
    assert finish(again).image.tobytes() == finish(paid, result).image.tobytes()


def test_a_key_in_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch, cut_off: None):
    bare = prepare(photo(), description=SCENE, model=BrightMatter())
    monkeypatch.setenv("PHOTIO_API_KEY", KEY)
    keyed = prepare(photo(), description=SCENE, model=BrightMatter())
    assert (bare.key, bare.canvas.png, bare.endpoint) == (keyed.key, keyed.canvas.png, keyed.endpoint)


# orders=DIR: the same protection as the command line's.


def test_an_orders_folder_is_paid_for_once(tmp_path: Path, identity: Sandbox):
    client = InstantClient(KEY, api_url=identity.url)
    finals = [run(photo(), SCENE, client=client, model=BrightMatter(), orders=tmp_path) for _ in range(3)]
    assert identity.calls == 1
    assert len({each.image.tobytes() for each in finals}) == 1
    (folder,) = tmp_path.iterdir()
    assert OrderFolder(folder).state is State.ANSWERED


@pytest.mark.soak
def test_in_memory_every_run_is_a_call(identity: Sandbox):
    client = InstantClient(KEY, api_url=identity.url)
    for _ in range(2):
        run(photo(), SCENE, client=client, model=BrightMatter())
    assert identity.calls == 2


def test_two_photos_with_the_same_pixels_share_one_call(tmp_path: Path, identity: Sandbox):
    client = InstantClient(KEY, api_url=identity.url)
    first = saved(tmp_path / "a.png", photo())
    second = saved(tmp_path / "b.bmp", photo())
    finals = [
        run(each, SCENE, client=client, model=BrightMatter(), orders=tmp_path / "orders") for each in (first, second)
    ]
    assert identity.calls == 1
    assert [each.source for each in finals] == [str(first), str(second)]
    (folder,) = (tmp_path / "orders").iterdir()
    assert {each.source for each in OrderFolder(folder).photos()} == {str(first), str(second)}


@pytest.mark.soak
def test_one_answer_is_cropped_back_to_each_photo_s_own_size(tmp_path: Path, identity: Sandbox):
    """A blank-edged photo and one twice its size may end in the same canvas; each gets its own frame back."""
    client = InstantClient(KEY, api_url=identity.url)
    flat = Image.new("RGB", (64, 64), "white")
    flat.paste("black", (0, 0, 64, 8))
    sizes = []
    for times in (1, 2):
        picture = flat.resize((64 * times, 64 * times), Image.Resampling.NEAREST)
        order = prepare(
            picture,
            description=SCENE,
            mask=Image.new("L", picture.size, 255),
            endpoint=client.endpoint,
            orders=tmp_path,
            seed=5,
        )
        sizes.append(finish(order, generate(order, client=client)).image.size)
    assert sizes == [(64, 64), (128, 128)]


def test_a_lost_answer_is_an_unknown_in_the_library_too(tmp_path: Path):
    with HostileServer([close_after_reading(), ok()]) as server:
        client = InstantClient(KEY, api_url=server.url)
        for _ in range(2):
            with pytest.raises(OutcomeUnknown, match="resolve"):
                run(photo(), SCENE, client=client, model=BrightMatter(), orders=tmp_path)
        assert server.connections == 1


def test_an_answer_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="no answer yet"):
        finish(prepare(photo(), model=BrightMatter()))
    with pytest.raises(UsageError, match="no answer yet"):
        finish(prepare(photo(), model=BrightMatter(), orders=tmp_path))


# What must not be sent.


@sampled("description", ["", " ", "\n\t"], 1)
def test_without_a_scene_nothing_is_sent(description: str, tmp_path: Path):
    with HostileServer(ok()) as server:
        client = InstantClient(KEY, api_url=server.url)
        order = prepare(photo(), description=description, model=BrightMatter(), endpoint=server.url, orders=tmp_path)
        for send in (
            lambda: generate(order, client=client),
            lambda: generate(order.request, client=client),
            lambda: run(photo(), description, client=client, model=BrightMatter()),
        ):
            with pytest.raises(UsageError, match="description"):
                send()
        assert server.connections == 0
    assert OrderFolder(at(order)).state is State.PLANNED


@sampled("seed", [0, -2, 2**32 + 1, 10**30, True, 1.5, "7"], 2)
def test_a_seed_that_is_none_is_refused(seed: int):
    with pytest.raises(UsageError, match=r"^seed = "):
        prepare(photo(), description=SCENE, model=BrightMatter(), seed=seed)


@pytest.mark.parametrize("seed", [1, 2**32])
def test_the_first_and_the_last_seed_are_sent(seed: int):
    assert prepare(photo(), description=SCENE, model=BrightMatter(), seed=seed).request.seed == seed


@pytest.mark.soak
def test_a_drawn_seed_is_the_same_for_the_same_order_and_minus_one_is_fresh():
    drawn = {prepare(photo(), model=BrightMatter()).request.seed for _ in range(2)}
    assert len(drawn) == 1
    assert 1 <= drawn.pop() <= 2**32 - 1
    fresh = {prepare(photo(), model=BrightMatter(), seed=-1).request.seed for _ in range(4)}
    assert len(fresh) > 1
    assert all(1 <= each <= 2**32 - 1 for each in fresh)


@pytest.mark.parametrize("size", ["1000x1000", "0x0", "-1", "Huge", "", "1e3"])
def test_a_size_that_is_not_offered_is_refused(size: str):
    with pytest.raises(UsageError, match="not offered"):
        prepare(photo(), model=BrightMatter(), size=size)


def test_a_photo_without_a_product_is_refused():
    with pytest.raises(NoProduct, match="no product"):
        prepare(Image.new("RGB", (64, 64)), model=BrightMatter())
    with pytest.raises(NoProduct):
        prepare(photo(), mask=Image.new("L", (90, 70)))
    with pytest.raises(NoProduct):
        prepare(Image.new("RGBA", (64, 64)), alpha="keep")


@pytest.mark.parametrize("data", [b"", b"x", b"<html>", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(data: bytes):
    with pytest.raises(PhotoRefused):
        prepare(data, model=BrightMatter(), name="it")


def test_a_folder_is_no_photo(tmp_path: Path):
    with pytest.raises(PhotoRefused):
        prepare(tmp_path, model=BrightMatter())


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(PhotoRefused, match="another shape"):
        prepare(photo(), mask=mask((70, 90)))


# The product's way in.


def test_an_alpha_is_reused_and_a_mask_goes_before_it():
    assert prepare(cutout()).model == "alpha"
    assert prepare(cutout(), mask=mask()).model == "mask"
    assert prepare(cutout(), alpha="ignore", model=BrightMatter()).model == "bright"
    assert prepare(photo(), model=BrightMatter()).model == "bright"


def test_nothing_outside_the_product_is_ever_sent():
    hidden = np.asarray(cutout()).copy()
    hidden[hidden[..., 3] == 0, :3] = (200, 10, 10)  # a picture that hides under alpha 0
    sent = np.asarray(prepare(Image.fromarray(hidden)).canvas.image)
    assert (sent[sent[..., 3] == 0] == 0).all()
    assert (sent[..., 3] == 255).any()


def test_a_small_photo_is_warned_about():
    for size, said in (((90, 70), True), ((900, 900), False)):
        judged = prepare(photo(size), model=BrightMatter()).origin.gate
        assert judged is not None
        assert ("scaled_up" in [each.name for each in judged.reasons]) is said


@pytest.mark.parametrize(
    ("description", "warning"),
    [
        ("на мраморном столе, мягкий свет", "English"),
        ("red sneaker", "product name"),
        (SCENE, None),
        ("on marble", None),
    ],
)
def test_a_doubtful_description_is_warned_about(description: str, warning: str | None):
    said = prepare(photo((900, 900)), description=description, model=BrightMatter()).origin.warnings
    assert len(said) == (1 if warning else 0)
    assert all(str(warning) in each for each in said)


# The negative prompt, on the wire.


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ({}, None),
        ({"negative_prompt": "text"}, "text"),
        ({"negative_prompt": ""}, ""),
        ({"append_negative": "text"}, f"{DEFAULT_NEGATIVE}, text"),
    ],
)
def test_the_negative_prompt_as_it_was_meant(words: dict[str, str], sent: str | None):
    assert prepare(photo(), model=BrightMatter(), **words).request.negative_prompt == sent  # type: ignore[arg-type]


def test_both_ways_of_the_negative_prompt_exclude_each_other():
    with pytest.raises(UsageError, match="both"):
        prepare(photo(), model=BrightMatter(), negative_prompt="a", append_negative="b")


# Other words: another order.


def test_other_words_are_another_order_with_the_same_picture(tmp_path: Path):
    old = prepare(photo(), model=BrightMatter(), orders=tmp_path)
    new = revise(store.load_order(at(old)), description=SCENE)
    assert at(new) != at(old)
    assert (at(new) / "canvas.png").read_bytes() == (at(old) / "canvas.png").read_bytes()
    assert new.request.seed == old.request.seed
    assert OrderFolder(at(old)).successor == at(new)
    assert revise(new, description=SCENE).folder == new.folder  # nothing new, nothing written
    assert len(list(tmp_path.iterdir())) == 2


def test_other_words_in_memory_stay_there():
    old = prepare(photo(), model=BrightMatter(), description=SCENE, negative_prompt="text")
    new = revise(old, seed=9)
    assert (new.folder, new.request.seed, new.request.negative_prompt) == (None, 9, "text")
    assert revise(old, append_negative="more").request.negative_prompt == f"{DEFAULT_NEGATIVE}, more"


# An image URL in place of a canvas.


def test_an_image_url_is_sent_as_it_is():
    asked = request_from_url('https://cdn.example/shoe.png?sig=a%2Fb&c="', "Square", SCENE, seed=3)
    with HostileServer(ok()) as server:
        result = generate(asked, client=InstantClient(KEY, api_url=server.url))
        sent = server.requests[0].json()
    assert sent == {
        "product_description": SCENE,
        "seed": 3,
        "product_image": 'https://cdn.example/shoe.png?sig=a%2Fb&c="',
    }
    assert result.image.size == Size(1024, 1024)


def test_an_answer_to_an_image_url_must_have_the_asked_size():
    asked = request_from_url("https://cdn.example/shoe.png", "1216x832", SCENE)
    with HostileServer(ok()) as server, pytest.raises(PhotioError, match="1024x1024 instead of 1216x832"):
        generate(asked, client=InstantClient(KEY, api_url=server.url))


@pytest.mark.parametrize(
    "url", ["", "shoe.png", "file:///etc/passwd", "ftp://x/y", "https://", "data:image/png,", "//x"]
)
def test_what_is_no_http_url_is_refused(url: str):
    with pytest.raises(UsageError, match="not an http"):
        request_from_url(url, "Square", SCENE)


# The package.


def test_the_exported_names_are_those_of_the_contract():
    assert set(photio_prep.__all__) >= {"prepare", "generate", "finish", "run", "InstantClient", "PhotioError"}
    assert list(photio_prep.__all__) == sorted(photio_prep.__all__)


def test_importing_the_package_prints_nothing_and_loads_nothing_heavy():
    heavy = "{'rembg', 'onnxruntime', 'numba', 'scipy', 'skimage', 'click', 'tqdm'}"
    look = f"import sys, photio_prep; print(sorted({heavy} & {{each.partition('.')[0] for each in sys.modules}}))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", look], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"[]\n", b"")


def test_the_library_says_nothing(identity: Sandbox, capfd: pytest.CaptureFixture[str]):
    run(encoded(photo()), SCENE, client=InstantClient(KEY, api_url=identity.url), model=BrightMatter())
    assert capfd.readouterr() == ("", "")
