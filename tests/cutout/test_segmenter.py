"""What a segmenter gives: checked wherever one is asked, and its failure is one photo's own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from photio_prep import InstantClient, prepare, run_many
from photio_prep.batch.run_many import Job
from photio_prep.cutout.framing import Framing
from photio_prep.cutout.matte import matte
from photio_prep.cutout.models.segmenter import OnnxSegmenter, segment
from photio_prep.errors import NoProduct, SegmenterFailed
from photio_prep.geometry import Size
from photio_prep.sandbox import Sandbox
from photio_prep.types import Photo
from tests.support.batches import TINY
from tests.support.fakes import BrightMatter
from tests.support.photos import SCENE, encoded, photo
from tests.support.sampling import sampled

KEY = "pt-canary-5c1e77b0a9d4"


class OddMatter(BrightMatter):
    """Finds what is bright, but does something else with dark photos."""

    name = "odd"

    def __init__(self, does: Callable[[Image.Image], Any], *, always: bool = False) -> None:
        super().__init__(60)
        self._does, self._always = does, always

    def __call__(self, image: Image.Image, /) -> Image.Image:
        if not self._always and np.asarray(image.convert("L")).max() > 120:
            return super().__call__(image)
        found: Image.Image = self._does(image)
        return found


def raising(error: Exception) -> Callable[[Image.Image], Any]:
    def does(_: Image.Image) -> Any:
        raise error

    return does


def broken_file(image: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(encoded(Image.effect_noise(image.size, 50))[:200]))


def told_as(image: Image.Image, **info: object) -> Image.Image:
    alpha = image.convert("L")
    alpha.info.update(info)
    return alpha


ODD: dict[str, tuple[Callable[[Image.Image], Any], str]] = {
    "CUDA": (raising(RuntimeError("CUDA error: out of memory")), "RuntimeError: CUDA error: out of memory"),
    "memory": (raising(MemoryError()), "ran out of memory"),
    "bug": (raising(KeyError("alpha")), "KeyError"),
    "nothing": (lambda _: None, "NoneType instead of a picture"),
    "array": (lambda image: np.asarray(image.convert("L")), "ndarray instead of a picture"),
    "colours": (lambda image: image, "mode RGB instead of L"),
    "bits": (lambda image: image.convert("1"), "mode 1 instead of L"),
    "size": (lambda image: image.convert("L").resize((7, 5)), "an alpha of 7x5 for a picture of"),
    "file": (broken_file, "failed on it"),
    "grain": (lambda image: told_as(image, grain=float("nan")), "grain"),
    "no grain": (lambda image: told_as(image, grain="fine"), "grain"),
    "confidence": (lambda image: told_as(image, confidence=7), "confidence"),
}
DARK = Photo(photo(shade=90), "dark.jpg", "0" * 64, "JPEG")


@pytest.fixture
def identity() -> Iterator[Sandbox]:
    with Sandbox(identity=True) as sandbox:
        yield sandbox


@pytest.mark.parametrize("odd", ODD)
def test_a_segmenter_that_fails_refuses_its_photo_and_says_what_it_did(odd: str) -> None:
    does, said = ODD[odd]
    with pytest.raises(SegmenterFailed) as caught:
        matte(DARK, Size(90, 70), OddMatter(does))
    assert (caught.value.subject, caught.value.exit_code) == ("dark.jpg", 3)
    assert "the model odd" in caught.value.problem
    assert said in caught.value.problem
    assert caught.value.fix


def test_what_it_raised_stays_its_cause() -> None:
    with pytest.raises(SegmenterFailed) as caught:
        matte(DARK, Size(90, 70), OddMatter(raising(RuntimeError("CUDA"))))
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_stops_the_program_is_no_failure_of_a_segmenter(stop: type[BaseException]) -> None:
    def does(_: Image.Image) -> Any:
        raise stop

    with pytest.raises(stop):
        matte(DARK, Size(90, 70), OddMatter(does))


def test_what_a_segmenter_says_in_our_words_is_left_as_it_is() -> None:
    with pytest.raises(NoProduct, match=r"dark\.jpg: blank"):
        matte(DARK, Size(90, 70), OddMatter(raising(NoProduct("blank"))))


@sampled("odd", ODD, 4)
def test_a_second_opinion_and_a_new_frame_are_checked_too(odd: str) -> None:
    does, _ = ODD[odd]
    dark = photo(shade=90)
    with pytest.raises(SegmenterFailed, match="odd"):
        prepare(dark, model=BrightMatter(60), second=OddMatter(does))
    with pytest.raises(SegmenterFailed, match="odd"):
        prepare(dark, model=OddMatter(does), framing=Framing())


@pytest.mark.parametrize("odd", ["CUDA", "memory", "nothing", "array", "size"])
def test_no_paid_answer_is_lost_when_it_fails_on_some(odd: str, identity: Sandbox, tmp_path: Path) -> None:
    photos = [encoded(photo(shade=90 if each % 3 == 2 else 150 + each)) for each in range(9)]
    told = list(
        run_many(
            photos,
            SCENE,
            client=InstantClient(KEY, api_url=identity.url),
            model=OddMatter(ODD[odd][0]),
            orders=tmp_path,
            gate="off",
            size=TINY,
        )
    )
    assert (len(told), identity.charges) == (9, 6)
    for each in told:
        assert isinstance(each.source, bytes)
        dark = photos.index(each.source) % 3 == 2
        assert isinstance(each.error, SegmenterFailed) if dark else each.final is not None


def test_each_photo_may_have_a_segmenter_of_its_own(identity: Sandbox) -> None:
    jobs = [
        Job(source=encoded(photo(shade=90)), model=OddMatter(raising(RuntimeError("CUDA")))),
        Job(source=encoded(photo(shade=90)), model=BrightMatter(60)),
    ]
    told = list(run_many(jobs, SCENE, client=InstantClient(KEY, api_url=identity.url), gate="off"))
    assert sorted(each.final is not None for each in told) == [False, True]
    assert identity.charges == 1


def test_a_network_that_has_worked_before_is_not_to_blame_for_one_picture() -> None:
    class Network:
        """One that works on bright pictures and then meets a dark one."""

        def get_inputs(self) -> list[Any]:
            return [type("Node", (), {"name": "in"})]

        get_outputs = get_inputs

        def run(self, _: object, feed: dict[str, Any]) -> list[Any]:
            if feed["in"].max() < 2:
                raise RuntimeError("CUDA error")
            return [np.ones((1, 1, 320, 320), np.float32)]

    rembg = OnnxSegmenter(Path("none.onnx"), "u2net", "u2netp")
    rembg.__dict__["session"] = type("Session", (), {"inner_session": Network()})
    segment(rembg, Image.new("RGB", (20, 20), "white"))
    with pytest.raises(SegmenterFailed, match=r"u2netp failed on it \(RuntimeError: CUDA error\)"):
        segment(rembg, Image.new("RGB", (20, 20)))
