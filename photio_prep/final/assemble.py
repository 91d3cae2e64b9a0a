"""Assemble the final of an answered order, with its proof and drift."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from photio_prep.cutout.matte import flatten
from photio_prep.errors import PhotoRefused
from photio_prep.final import restore
from photio_prep.final.added_parts import find_added_parts
from photio_prep.final.crop import crop, frame_size
from photio_prep.final.drift import measure_drift
from photio_prep.final.options import DEFAULT_FINISH, FinishOptions, resolve_output_size
from photio_prep.geometry import Size
from photio_prep.imaging.encode import final_format
from photio_prep.imaging.limits import check_extent, limits_for
from photio_prep.intake.load import Source
from photio_prep.orders import original_photo, payment
from photio_prep.orders.store import Order, require_cutout
from photio_prep.quality import Drift, Proof
from photio_prep.types import Final, Matter, Photo, Result

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
    result = result or payment.require_answer(order)
    if result.placement != order.placement:  # one answer may serve photos of several sizes
        result = replace(result, placement=order.placement)
    return assemble_final(order, result, options, photo=photo)


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
    drift = measure_answer(order, answer, options.matter)
    original, why = _photo(order, options, photo)
    product = options.product or ("original" if original else "generated")
    if why:
        notes.append(why)
    scales = round(size.width / placement.source.width, 4), round(size.width / frame.width, 4)
    if original is None:
        picture = crop(answer, placement, size)
        return Final(picture, order.origin.source, format_, Proof(product, size, *scales), drift, tuple(notes))
    moved, grown = (0.0, 0.0), 0.0
    if product != "generated":
        moved, grown, added_notes = _follow_shift(drift, order)
        notes += added_notes
    view, alpha, pure = photo_layer(order, original, size)
    placed = restore.composite_product(
        crop(answer, placement, size if product == "generated" else frame),
        view,
        require_cutout(order),
        product,
        size=size,
        moved=moved,
        grown=grown * frame.width / placement.box.size.width,
        pure=pure,
        alpha=alpha,
    )
    offset = round(moved[0] * size.width), round(moved[1] * size.height)
    share = round(placed.equal / placed.core, 6) if placed.core else None
    seam = round(placed.soft / placed.outline, 2) if placed.outline else None
    proof = Proof(product, size, *scales, placed.core, share, seam, offset)
    return Final(placed.image, order.origin.source, format_, proof, drift, tuple(notes))


def measure_answer(order: Order, answer: Image.Image, matter: Matter | None = None) -> Drift:
    """Measure how far an answer changed the product; with `matter` also what was added or removed."""
    canvas = order.canvas.image
    scaled = answer if answer.size == canvas.size else answer.resize(canvas.size, Image.Resampling.LANCZOS)
    parts = None if matter is None else find_added_parts(canvas, scaled, order.placement.box, matter)
    return Drift(measure_drift(canvas, scaled), parts)


def photo_layer(order: Order, photo: Photo, size: Size) -> tuple[Image.Image, Image.Image | None, bool]:
    """Photo (RGB) at `size`; its own alpha, if it came as a cutout; whether its colours are pure."""
    image = photo.image if photo.size == size else photo.image.resize(size, Image.Resampling.LANCZOS)
    if image.mode != "RGBA":
        return image, None, False
    if order.model != "alpha":
        return flatten(image), None, False
    own = image.getchannel("A")
    view = image.convert("RGB")
    cutout = require_cutout(order).getchannel("A")
    small = np.asarray(own.resize(cutout.size, Image.Resampling.LANCZOS), dtype=np.float32)
    same = float(np.abs(small - np.asarray(cutout)).mean()) <= _SAME_ALPHA
    return view, own if same else None, True


def build_product_layer(order: Order, photo: Photo, size: Size) -> Image.Image:
    """Cut the photo's product (RGBA) out at `size`, without an answer."""
    view, alpha, pure = photo_layer(order, photo, size)
    return restore.product_layer(view, require_cutout(order), pure=pure, alpha=alpha)


def _photo(order: Order, options: FinishOptions, photo: Source | Photo | None) -> tuple[Photo | None, str]:
    """The photo, or why there is none where none was asked for by name."""
    photos = None if options.photos is None else Path(options.photos)
    try:
        return original_photo.find_original(order, photo, photos=photos, limits=options.limits), ""
    except PhotoRefused as error:
        if options.product in ("original", "detail") or photo is not None or photos is not None:
            raise
        if options.product == "generated":
            return None, ""
        return None, f"{error.problem}, so the product is the generator's. {error.fix}"


def _follow_shift(drift: Drift, order: Order) -> tuple[tuple[float, float], float, list[str]]:
    """Shift and growth of the product in the answer that the final must cover, and notes for the user."""
    values, box = drift.figures, order.placement.box.size
    moved, notes = (0.0, 0.0), []
    if drift.parts["shift"] > 1:
        moved = values.right / box.width, values.down / box.height
        notes.append(
            f"the generator moved the product by {values.right:+.1f}, {values.down:+.1f} px; the photo's follows it"
        )
    grown = values.rim if drift.parts["size"] > 1 and values.grown > 0 else 0.0
    if grown:
        notes.append(f"the generator's product is {values.grown:.0%} larger; its visible rim was removed")
    return moved, grown, notes
