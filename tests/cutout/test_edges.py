"""The rim: colours without the background, alpha without haze, as sharp as the picture and no sharper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from photio_prep.cutout.edges import measure_slopes
from photio_prep.cutout.foreground import estimate_foreground, snap_alpha
from photio_prep.cutout.models.two_pass import predict
from photio_prep.cutout.options import CutoutOptions
from photio_prep.cutout.refine import edge_candidates, edge_width, find_rim, refine_alpha
from photio_prep.errors import UsageError
from photio_prep.imaging.filters import (
    Window,
    box_blur,
    dilate,
    distance_to,
    erode,
    gaussian_blur,
    gradient_magnitude,
    label_parts,
    length_of,
    local_maximum,
    local_minimum,
    visit_tiles,
)

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
RED, BLUE = np.array((200, 30, 40)), np.array((40, 60, 220))
LEVELS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)))


def disc(size: int = 160, radius: float = 50, blur: float = 1.0) -> Floats:
    """Exact alpha of a disc whose edge is as wide as a lens of that blur makes it."""
    rows, columns = np.indices((size, size), dtype=np.float32) - (size - 1) / 2
    return np.asarray(np.clip((radius - np.hypot(rows, columns)) / blur + 0.5, 0, 1), dtype=np.float32)


def shot(alpha: Floats, product: NDArray[np.int64] = RED, ground: NDArray[np.int64] = BLUE) -> Bytes:
    mixed = alpha[..., None] * product + (1 - alpha[..., None]) * ground
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def levels(alpha: Floats) -> Bytes:
    return np.asarray(np.rint(alpha * 255), dtype=np.uint8)


@pytest.mark.parametrize(("blur", "error"), [(1, 4), (4, 4), (20, 8)])
def test_the_grounds_colour_is_taken_out_of_the_rim(blur: float, error: float) -> None:
    alpha = disc(blur=blur)
    seen = shot(alpha)
    found = estimate_foreground(seen, levels(alpha)).astype(int)
    rim = (alpha > 0.1) & (alpha < 1)
    assert np.abs(found[rim] - RED).mean() < error
    assert np.abs(seen[rim].astype(int) - RED).mean() > 40


def test_opaque_pixels_keep_their_colour_to_the_bit() -> None:
    random = np.random.default_rng(1)
    alpha = levels(disc(blur=6))
    seen = random.integers(0, 256, (*alpha.shape, 3), dtype=np.uint8)
    found = estimate_foreground(seen, alpha)
    assert np.array_equal(found[alpha == 255], seen[alpha == 255])
    assert np.array_equal(estimate_foreground(seen, np.full_like(alpha, 255)), seen)


@given(st.data(), LEVELS)
def test_colours_are_found_for_any_alpha(data: st.DataObject, alpha: Bytes) -> None:
    seen = data.draw(arrays.arrays(np.uint8, (*alpha.shape, 3)))
    with np.errstate(all="raise", under="ignore"):
        found = estimate_foreground(seen, alpha)
    assert found.shape == seen.shape
    assert found.dtype == np.uint8
    hard = (alpha == 0) | (alpha == 255)
    assert np.array_equal(found[hard], seen[hard])


@given(LEVELS)
def test_no_haze_away_from_the_product_and_nothing_else_changed(alpha: Bytes) -> None:
    found = snap_alpha(alpha, haze=True)
    product = alpha >= 128
    far = ndimage.distance_transform_edt(~product) > 12 if product.any() else np.ones_like(product)
    assert not ((found > 0) & (found <= 8) & far).any()
    assert not np.isin(found, [1, 2, 3, 252, 253, 254]).any()
    body = (alpha > 8) & (alpha < 252)
    assert np.array_equal(found[body], alpha[body])
    assert np.array_equal(snap_alpha(found, haze=True), found)


@pytest.mark.parametrize("grain", [1.0, 3.0])
def test_a_blurred_belief_becomes_the_pictures_own_edge(grain: float) -> None:
    alpha = disc(blur=1.0)
    random = np.random.default_rng(2)
    seen = np.clip(shot(alpha) + random.normal(0, 3, (*alpha.shape, 3)), 0, 255).astype(np.uint8)
    vague = ndimage.gaussian_filter(alpha, 2 * grain).astype(np.float32)
    band = np.abs(ndimage.gaussian_filter(alpha, 3) - 0.5) < 0.49
    before, after = np.abs(vague - alpha)[band].mean(), np.abs(refine_alpha(seen, vague, grain) - alpha)[band].mean()
    assert after < before / 3


def test_an_edge_out_of_focus_is_not_hardened() -> None:
    alpha = disc(blur=30)
    found = refine_alpha(shot(alpha), alpha)
    assert np.abs(found - alpha).mean() < 0.02
    width, small = edge_width(*measure_slopes(shot(alpha))), alpha[::2, ::2]
    assert np.median(width[(small > 0.4) & (small < 0.6)]) > 20


def test_strands_beside_the_product_are_not_sharpened_and_ghosts_farther_away_are() -> None:
    random = np.random.default_rng(3)
    rows, columns = np.indices((240, 240), dtype=np.float32)
    strands = (np.abs((columns + rows / 6) % 9 - 4.5) < 2) & (rows > 20) & (rows < 200)
    alpha = gaussian_blur(np.where(rows > 150, rows < 220, strands).astype(np.float32), 0.6)
    seen = np.clip(shot(alpha) + random.normal(0, 3, (*alpha.shape, 3)), 0, 255).astype(np.uint8)
    vague = gaussian_blur(alpha, 7) * np.float32(0.7)
    window, candidates = edge_candidates(seen, vague, find_rim(vague, 1), 1)
    found, beside, far = refine_alpha(seen, vague)[window], (rows > 134) & (rows < 147), rows < 110
    mixed, sharpened, plain = (
        np.abs(share - alpha[window])[beside[window]].mean() for share in (found, candidates.sharpened, vague[window])
    )
    assert np.array_equal(found[far[window]], candidates.sharpened[far[window]])
    assert mixed < 0.9 * sharpened
    assert mixed < plain


@pytest.mark.parametrize("size", [(8, 8), (33, 65), (300, 257)])
def test_an_edge_is_the_same_wherever_in_memory_it_is_computed(size: tuple[int, int]) -> None:
    random = np.random.default_rng(5)
    seen, belief = random.integers(0, 256, (*size, 3), dtype=np.uint8), random.random(size, dtype=np.float32)
    planes = random.random((2, *size), dtype=np.float32)
    lengths, edges = set(), set()
    for shift in range(16):
        # Numbers of 4 bytes, so many of them behind a boundary of 64.
        room = np.empty((2, planes[0].size + 64), np.float32)
        starts = [shift * place + (-plane.ctypes.data % 64) // 4 for place, plane in enumerate(room, 1)]
        slopes = [plane[start:][: planes[0].size].reshape(size) for plane, start in zip(room, starts, strict=True)]
        for slope, plane in zip(slopes, planes, strict=True):
            slope[...] = plane
        lengths.add(length_of(*slopes).tobytes())
        edges.add(refine_alpha(seen, belief).tobytes())
    assert len(lengths) == len(edges) == 1


def test_what_a_network_sees_too_high_is_lowered_by_so_much_of_its_pixel() -> None:
    picture = Image.fromarray(shot(disc(320, 60)))
    seen = np.zeros((640, 640), np.float32)
    seen[300:340, 300:340] = 1
    found = predict(lambda _: seen, picture, 0.5, high=0.25)
    rows = found.first[:, 320]
    assert (rows[299], rows[300], rows[339], rows[340], rows[341]) == (0, 0.75, 1, 0.25, 0)


def test_a_sharp_edge_is_seen_as_sharp() -> None:
    alpha = disc(blur=1)
    width, small = (
        edge_width(*measure_slopes(shot(alpha))),
        local_maximum(((alpha > 0) & (alpha < 1)).view(np.uint8), 1),
    )
    assert width[small[::2, ::2] > 0].max() < 6


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 90), st.integers(1, 90)), elements=st.floats(0, 1, width=32)))
def test_any_belief_becomes_an_alpha(share: Floats) -> None:
    seen = np.full((*share.shape, 3), 90, np.uint8)
    found = refine_alpha(seen, share)
    assert found.shape == share.shape
    assert np.isfinite(found).all()
    assert found.min() >= -1e-5
    assert found.max() <= 1 + 1e-5


@given(st.integers(1, 150), st.integers(1, 150), st.integers(1, 6))
def test_tiles_give_what_the_whole_picture_gives(height: int, width: int, radius: int) -> None:
    plane = np.random.default_rng(height * 151 + width).random((height, width), dtype=np.float32)
    where = np.ones((height, width), dtype=bool)
    tiled = plane.copy()

    def blur(inner: Window, outer: Window, part: Window) -> None:
        tiled[inner] = box_blur(plane[outer], radius)[part]

    visit_tiles(where, radius, blur)
    assert np.allclose(tiled, box_blur(plane, radius), atol=1e-5)
    tiled = plane.copy()
    where[: height // 2] = False
    visit_tiles(where, radius, blur)
    assert np.array_equal(tiled[: height // 2], plane[: height // 2])
    assert np.allclose(tiled[height // 2 :], box_blur(plane, radius)[height // 2 :], atol=1e-5)


def test_a_small_network_looks_twice_at_a_small_product_and_a_large_one_once() -> None:
    for side, radius, looks in ((40, 60, 2), (40, 90, 1), (640, 60, 1)):
        picture = Image.fromarray(shot(disc(320, radius)))
        calls: list[tuple[int, int]] = []

        def network(image: Image.Image, side: int = side, calls: list[tuple[int, int]] = calls) -> Floats:
            calls.append(image.size)
            return np.asarray(image.resize((side, side)).getchannel("R"), dtype=np.float32) / np.float32(200)

        found = predict(network, picture, 0.5)
        assert len(calls) == looks
        assert found.share.shape == (320, 320)
        assert found.grain == pytest.approx(max(calls[-1]) / side)


def test_a_small_network_looks_once_at_what_is_out_of_focus() -> None:
    blurred = disc(320, 60, blur=60)
    picture = Image.fromarray(shot(blurred))
    calls: list[tuple[int, int]] = []

    def network(image: Image.Image) -> Floats:
        calls.append(image.size)
        return np.asarray(image.resize((40, 40)).getchannel("R"), dtype=np.float32) / np.float32(200)

    prediction = predict(network, picture, 0.5)
    assert calls == [(320, 320)]
    assert prediction.grain < 320 / 40  # as with a second look


@pytest.mark.parametrize(
    "wrong",
    [
        {"refine": "best"},
        {"holes": "x"},
        {"looks": "2"},
        {"grow": 65},
        {"grow": float("nan")},
        {"feather": -1},
        {"specks": 2},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        CutoutOptions(**wrong)  # type: ignore[arg-type]


def test_other_wishes_read_differently() -> None:
    wishes = [
        CutoutOptions(),
        CutoutOptions(grow=1),
        CutoutOptions(holes="fill"),
        CutoutOptions(looks="1"),
        CutoutOptions(colours=False),
    ]
    assert len({str(wish) for wish in wishes}) == len(wishes)


@given(LEVELS, st.integers(0, 20))
def test_filters_are_those_of_scipy(plane: Bytes, radius: int) -> None:
    side = 2 * radius + 1
    assert np.array_equal(local_maximum(plane, radius), ndimage.maximum_filter(plane, side, mode="nearest"))
    assert np.array_equal(local_minimum(plane, radius), ndimage.minimum_filter(plane, side, mode="nearest"))
    light = plane > 200
    assert np.array_equal(dilate(light, radius), ndimage.maximum_filter(light, side, mode="nearest"))
    assert np.array_equal(erode(light, radius), ndimage.binary_erosion(light, iterations=radius) if radius else light)
    levels = plane.astype(np.float32)
    assert np.allclose(box_blur(levels, radius), ndimage.uniform_filter(levels, side, mode="nearest"), atol=1e-3)
    if radius:
        assert np.allclose(gaussian_blur(levels, radius), ndimage.gaussian_filter(levels, radius), atol=1e-2)
        slopes = ndimage.gaussian_gradient_magnitude(levels, radius)
        assert np.allclose(gradient_magnitude(levels, radius), slopes, atol=1e-2)
    if light.any():
        assert np.allclose(distance_to(light), ndimage.distance_transform_edt(~light), atol=1e-3)
    for diagonal in (False, True):
        count, parts = label_parts(light, diagonal=diagonal)
        assert count == ndimage.label(light, np.ones((3, 3)) if diagonal else None)[1] == parts.max()
