"""Assemble the final of an answered order, with its proof and drift."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from photio_prep.api.wire import is_scaled, request_digest
from photio_prep.cutout.matte import flatten
from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.final.composite import ProductLayer, build_layer, composite_product, move_picture
from photio_prep.final.crop import crop, frame_size
from photio_prep.final.drift import Comparison, compare
from photio_prep.final.options import DEFAULT_FINISH, FinishOptions, Product, resolve_output_size
from photio_prep.final.regions import list_regions
from photio_prep.final.repairs import describe_repairs, list_replaced
from photio_prep.final.restore import inpaint_product
from photio_prep.final.scene_detail import ENLARGED, refine_scene
from photio_prep.geometry import Placement, Size
from photio_prep.imaging.encode import final_format
from photio_prep.imaging.limits import check_extent, limits_for
from photio_prep.intake.load import Source
from photio_prep.orders import original_photo, payment
from photio_prep.orders.store import Order, require_cutout
from photio_prep.quality import Drift, DriftMetrics, Proof, Replaced
from photio_prep.system.parallel import SMALL, occupy_core, run_both
from photio_prep.types import Final, Photo, Result

# A photo that came as a cutout has its alpha in full resolution: used unless options changed it by more levels (mean).
_SAME_ALPHA = 2.0


def finish_order(
    order: Order,
    result: Result | None = None,
    options: FinishOptions = DEFAULT_FINISH,
    *,
    photo: Source | Photo | None = None,
) -> Final:
    """Finish an order that another program may have written; arguments and errors as of `pipeline.finish`."""
    try:
        check_extent(order.placement.source, limits_for(order.origin.format, options.limits))
    except PhotoRefused as error:
        raise error.about(str(order.folder or order.origin.source)) from None
    if result is None:
        result = payment.require_answer(order)
    elif getattr(result, "request_digest", "") not in ("", request_digest(order.request)):
        fix = "Give the result of this order; one with a folder needs none"
        raise UsageError("the result answers another order", fix, str(order.folder or order.origin.source))
    elif result.image.mode != "RGB" or not is_scaled(Size(*result.image.size), order.request.size):
        fix = f"Give one in RGB of {order.request.size}, or of the same shape"
        raise UsageError("the result's picture is no answer to it", fix, str(order.folder or order.origin.source))
    if result.placement != order.placement:  # one answer may serve photos of several sizes
        result = replace(result, placement=order.placement)
    return assemble_final(order, result, options, photo=photo)


@occupy_core()
def assemble_final(
    order: Order,
    result: Result,
    options: FinishOptions = DEFAULT_FINISH,
    *,
    photo: Source | Photo | None = None,
) -> Final:
    """Assemble the final of an order: RGB at the size and with the product pixels of `options`.

    Args:
        order: The order that was answered.
        result: Its answer.
        options: How the final is made.
        photo: The photo, where the order's own cannot be found again.

    Raises:
        PhotoRefused: The photo's pixels are needed, and it is missing or has changed.
        UsageError: The output size has another shape than the photo, or finals are not written in this format.
        StorageFailed: The order's cutout cannot be read back.
    """
    placement, answer, notes = result.placement, result.image, []
    format_ = final_format(order.origin.format, options.format)
    frame = frame_size(answer, placement)
    size = resolve_output_size(options.output_size, placement.source, frame)
    own = crop(answer, placement, frame)
    source = placement.source
    scales = round(size.width / source.width, 4), round(size.width / frame.width, 4)
    # The photo's product does not depend on the answer.
    (original, why), scenes = run_both(
        lambda: _load_layer(order, options, photo, size),
        lambda: _repair_scene(order, own, placement, product=options.product, finer=scales[1] >= ENLARGED),
        worth=max(size.area, frame.area) > SMALL,
    )
    comparison = scenes.comparison
    regions = list_regions(comparison, placement.box.size, source) if comparison else ()
    drift = Drift(comparison.metrics if comparison else DriftMetrics(), regions, source)
    product = options.product or ("original" if original else "generated")
    if why:
        notes.append(why)
    if original is None:
        picture = crop(answer, placement, size)
        return Final(picture, order.origin.source, format_, Proof(product, size, *scales), drift, tuple(notes))
    moved, box = (0.0, 0.0), placement.box.size
    if product == "generated":
        own = crop(answer, placement, size)
    elif comparison is not None:
        moved = comparison.moved[0] / box.width, comparison.moved[1] / box.height
    placed = composite_product(own, scenes.finer, original, product, moved=moved)
    replaced: tuple[Replaced, ...] = ()
    if product != "generated" and comparison is not None:
        mask = original.mask.resize(own.size, Image.Resampling.BICUBIC)
        replaced = list_replaced(own, scenes.scene, placed, move_picture(mask, moved))
        notes += describe_repairs(comparison, replaced)
    offset = round(moved[0] * size.width), round(moved[1] * size.height)
    share = round(placed.equal / placed.core, 6) if placed.core else None
    seam = round(placed.soft / placed.outline, 2) if placed.outline else None
    proof = Proof(product, size, *scales, placed.core, share, seam, offset, replaced, scenes.refined)
    return Final(placed.image, order.origin.source, format_, proof, drift, tuple(notes))


class _Scenes(NamedTuple):
    """The comparison of an answer; its scene without its product, and made finer with a note; own frame if neither."""

    comparison: Comparison | None
    scene: Image.Image
    finer: Image.Image
    refined: str = ""


def _repair_scene(
    order: Order, frame: Image.Image, placement: Placement, *, product: Product | None, finer: bool
) -> _Scenes:
    """Compare the photo's frame in an answer; unless its `product` is kept, inpaint that, and make the scene finer."""
    comparison, box = compare_answer(order, frame), placement.box
    if comparison is None or product == "generated":
        return _Scenes(comparison, frame, frame)
    scene = inpaint_product(frame, comparison, (frame.width / box.size.width, frame.height / box.size.height))
    if not finer:
        return _Scenes(comparison, scene, scene)
    return _Scenes(comparison, scene, *refine_scene(scene, order.canvas.image.crop(box), frame, comparison.interior))


def compare_answer(order: Order, frame: Image.Image) -> Comparison | None:
    """Compare the photo's frame in an answer with the one that was sent; None for an empty canvas."""
    canvas = order.canvas.image.crop(order.placement.box)
    scaled = frame if frame.size == canvas.size else frame.resize(canvas.size, Image.Resampling.LANCZOS)
    return compare(canvas, scaled)


def build_product_layer(order: Order, photo: Photo, size: Size) -> ProductLayer:
    """Cut the photo's product out at `size`, without an answer. A photo that came as a cutout keeps its own alpha."""
    image = photo.image if photo.size == size else photo.image.resize(size, Image.Resampling.LANCZOS)
    mask = require_cutout(order).getchannel("A")
    if image.mode != "RGBA":
        return build_layer(image, mask, drawn=order.model == "mask")
    if order.model != "alpha":
        return build_layer(flatten(image), mask, drawn=order.model == "mask")
    own = image.getchannel("A")
    small = np.asarray(own.resize(mask.size, Image.Resampling.LANCZOS), dtype=np.float32)
    same = float(np.abs(small - np.asarray(mask)).mean()) <= _SAME_ALPHA
    return build_layer(image.convert("RGB"), mask, pure=True, alpha=own if same else None)


def _load_layer(
    order: Order, options: FinishOptions, photo: Source | Photo | None, size: Size
) -> tuple[ProductLayer | None, str]:
    """The photo's product at `size`, or why there is none where none was asked for by name."""
    photos = None if options.photos is None else Path(options.photos)
    try:
        original = original_photo.find_original(order, photo, photos=photos, limits=options.limits)
    except PhotoRefused as error:
        if options.product in ("original", "detail") or photo is not None or photos is not None:
            raise
        if options.product == "generated":
            return None, ""
        return None, f"{error.problem}, so the product is the generator's. {error.fix}"
    return build_product_layer(order, original, size), ""
