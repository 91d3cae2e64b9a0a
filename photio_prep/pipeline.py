"""The pipeline: prepare, generate, finish, run.

The disk is touched only with `orders`, the network only by `generate` and `run`.
"""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Unpack

from PIL import Image

from photio_prep.api.client import API_URL
from photio_prep.api.request import description_warnings
from photio_prep.cutout import gate as gate_
from photio_prep.cutout.matte import Alpha, matte
from photio_prep.cutout.models import sam
from photio_prep.cutout.models.prompts import Hints
from photio_prep.cutout.pad import pad
from photio_prep.cutout.reframe import Reframed, reframe
from photio_prep.errors import NoProduct, UsageError
from photio_prep.final.assemble import assemble_final, finish_order
from photio_prep.final.options import DEFAULT_FINISH, FinishKeywords, FinishOptions
from photio_prep.geometry import Size, box_on, place, snap
from photio_prep.imaging.encode import final_format
from photio_prep.intake.load import Source, display_name, downscale, load, read_source
from photio_prep.options import DEFAULT_RUN, RunKeywords, RunOptions
from photio_prep.orders import index, original_photo, payment, previews, recall
from photio_prep.orders import store as orders_
from photio_prep.orders.options import (
    DEFAULT_PAY,
    DEFAULT_PREPARE,
    OrderPlace,
    PayKeywords,
    PayOptions,
    PrepareKeywords,
    PrepareOptions,
)
from photio_prep.orders.origin import Origin, file_path, placed_as
from photio_prep.orders.store import Order
from photio_prep.system.parallel import path_lock, run_both
from photio_prep.types import Cutout, Final, Matter, Photo, Request, Result, Sender

# Pixels of a canvas that is worked on in one go.
_SMALL = 2**17


def prepare(
    source: Source | Photo,
    options: PrepareOptions = DEFAULT_PREPARE,
    *,
    endpoint: str = API_URL,
    orders: str | Path | None = None,
    name: str = "",
    output: str = "",
    variants: bool = False,
    **keywords: Unpack[PrepareKeywords],
) -> Order:
    """Prepare the order for one photo: exactly what would be sent, and the way back. Free, no network, no key.

    Args:
        source: A path, the bytes of a file, an open binary file, a Pillow picture, or a loaded Photo.
        options: How the photo is cut out, and the words that are sent.
        endpoint: Who will be asked; part of the order's key.
        orders: Keep the order in this folder, where it is paid for at most once.
        name: What messages call the photo.
        output: Where its final belongs below the output folder, without suffix.
        variants: It is the first of several orders of the photo (sweeps.py); one of them is kept later.
        keywords: Single options in place of those of `options`; see `PrepareOptions`.

    Raises:
        PhotoRefused, NoProduct: The photo cannot be used.
        UsageError: A size, seed, prompt, point or box that cannot be meant.
        ModelUnavailable: No model is installed, or it is damaged.
        StorageFailed: The order cannot be kept.
    """
    return _prepare(source, replace(options, **keywords), OrderPlace(endpoint, orders, name, output, variants))


def _prepare(source: Source | Photo, options: PrepareOptions, target: OrderPlace) -> Order:
    """The order of a photo: one prepared earlier from the same bytes and options, or a new one."""
    target = replace(target, name=target.name or ("" if isinstance(source, Photo) else display_name(source)))
    mask = options.load_mask()
    entry = recall.find_entry(source, options, target, mask)
    if entry is None:
        return _prepare_new(source, options, target, mask)
    with path_lock(entry.note):  # of twins only the first is prepared
        order = recall.reuse_prepared(entry, options, target)
        return order or recall.remember(entry, _prepare_new(entry.data, options, target, mask))


def _prepare_new(
    source: Source | Photo, options: PrepareOptions, target: OrderPlace, mask: Image.Image | None
) -> Order:
    """Load, frame, cut out, pad and assess one photo, and keep the order."""
    original = read_source(source, options.limits, target.name)
    photo = _load(original, options, target.name)
    matter = sam.select_model(options.model, _check_hints(options, photo, mask), photo)
    framed = _frame(photo, matter, options, mask)
    photo, size = framed.photo, framed.chosen.size
    cutout = matte(
        photo,
        framed.placement.box.size,
        framed.matter or matter,
        mask=framed.mask,
        alpha=framed.alpha,
        options=options.cutting,
    )
    canvas, judgement = run_both(
        lambda: pad(cutout, framed.placement),
        lambda: gate_.assess(photo, cutout, _agreement(photo, cutout, options)),
        worth=size.area > _SMALL,
    )
    request = options.request(canvas)
    # What was asked for, not what it came to: `auto` is the same option when a better model is installed.
    model = cutout.model if cutout.model in ("mask", "alpha") else getattr(matter, "asked", cutout.model)
    drawing = "none" if mask is None else sha256(mask.tobytes()).hexdigest()[:16]
    unlisted = () if framed.chosen.documented else (f"{size} is not on Photio's list of sizes (undocumented)",)
    warnings = (*photo.notes, *cutout.notes, *unlisted, *description_warnings(request.description))
    origin = Origin(
        photo.source,
        photo.digest,
        photo.format,
        options=options.record(model, size, drawing),
        warnings=warnings,
        credit=photo.credit,
        gate=judgement,
        path=file_path(photo.source),
        frame=options.frame,
        **placed_as(target.output, variants=target.variants),
    )
    order = Order(request, target.endpoint, origin, cutout.model, cutout.image, device=cutout.device)
    if target.orders is None:
        return replace(order, photo=original)
    return _keep(order, Path(target.orders), original, photo, options)


def _load(original: Photo | bytes, options: PrepareOptions, name: str) -> Photo:
    """The photo at the size that later stages see."""
    size = options.recommended
    # No later stage sees more of the photo than the canvas can show; a new frame shows more of less.
    at = None if options.framing else box_on(size.size if size else None)
    if isinstance(original, Photo):
        return downscale(original, at)
    return load(original, name=name, limits=options.limits, frame=options.frame, at=at)


def _check_hints(options: PrepareOptions, photo: Photo, mask: Image.Image | None) -> Hints:
    """Points and box, which exclude a mask."""
    hints = options.hints
    if hints and mask:
        raise UsageError("a mask and a point or box exclude each other", "Give one of them", subject=photo.source)
    return hints


def _frame(photo: Photo, matter: Matter, options: PrepareOptions, mask: Image.Image | None) -> Reframed:
    """The whole photo on its canvas, or with `framing` what lies around its product."""
    # With points or a box, the photo's own alpha is ignored unless --alpha says otherwise.
    alpha: Alpha = "ignore" if options.hints and options.alpha == "auto" else options.alpha
    if options.framing is None:
        size = options.recommended or snap(photo.size)
        return Reframed(photo, size, place(photo.size, size.size), matter, mask, alpha)
    return reframe(photo, options.recommended, matter, options.framing, mask=mask, alpha=alpha, options=options.cutting)


def _agreement(photo: Photo, cutout: Cutout, options: PrepareOptions) -> float | None:
    """How far a second model finds the same product; None where there is none, or no first model was asked."""
    if options.second is None or cutout.model in ("mask", "alpha"):
        return None
    try:
        other = matte(photo, Size(*cutout.image.size), options.second, alpha="ignore", options=options.cutting)
        return gate_.mask_iou(cutout, other)
    except NoProduct:
        return 0.0


def _keep(order: Order, root: Path, original: Photo | bytes, photo: Photo, options: PrepareOptions) -> Order:
    """The order in a folder below `root`, with pictures to look at, and with a photo that lies nowhere else."""
    order = orders_.write_order(order, root)
    if not order.origin.path:
        original_photo.store_original(order, original, limits=options.limits)  # from a pipe, a URL or memory
    if order.folder is not None and order.cutout is not None:
        previews.write_previews(order.folder, gate_.flatten_to(photo, order.cutout.size), order.cutout)
    return order


def generate(
    order: Order | Request, *, client: Sender, options: PayOptions = DEFAULT_PAY, **keywords: Unpack[PayKeywords]
) -> Result:
    """The answer to an order (or a bare request). PAID, unless the order's folder already holds the answer.

    An order in a folder is claimed before it is sent and its raw answer kept before it is parsed.

    Args:
        order: What to ask for. A bare request was never judged, so no gate stops it.
        client: Who sends it.
        options: `gate` "off" pays in any case, "warn" stops what is not worth paying for, "strict" stops what is
            doubtful too; None takes PHOTIO_GATE or photio.toml, else "warn". `pay_again` pays although the same photo
            with the same words was paid for as other bytes.
        keywords: `gate` and `pay_again` in place of those of `options`.

    Raises:
        UsageError: It has no scene description.
        PhotoRefused: The same photo with the same words was paid for as other bytes, by an older version.
        GateStopped: The gate stopped it; it stays planned.
        OutcomeUnknown: Sent, but no whole answer came: perhaps billed. Never sent again by itself.
        PaidUnusable: Billed, but the answer is no usable picture; it is kept.
        ApiUnavailable, Rejected, KeyRefused, OrderInUse: Not sent, or not billed.
    """
    if isinstance(order, Request):
        return client.send(order)
    if (
        answer := payment.load_answer(order)
    ) is not None:  # an answer that is there costs nothing, whoever is asked now
        return answer
    if order.folder is not None:
        index.index_of(order.folder.parent).refresh()
    return payment.pay(order, client, replace(options, **keywords).preflight)


def finish(
    order: Order,
    result: Result | None = None,
    options: FinishOptions = DEFAULT_FINISH,
    *,
    photo: Source | Photo | None = None,
    **keywords: Unpack[FinishKeywords],
) -> Final:
    """The final picture: the answer cropped back, with the photo's own product. Free, offline, repeatable for ever.

    `final.proof` says whose pixels the product has, `final.drift` how far the generator changed it.

    Args:
        order: The order that was answered.
        result: Its answer; None reads the one kept in the order's folder.
        options: Product, size and format of the final.
        photo: The photo, where it cannot be found again.
        keywords: Single options in place of those of `options`; see `FinishOptions`.

    Raises:
        UsageError: There is no answer yet, or a size that cannot be meant.
        PhotoRefused: The photo's pixels are asked for, and it is gone or changed.
        OutcomeUnknown, PaidUnusable: What is kept is no usable answer.
    """
    return finish_order(order, result, replace(options, **keywords), photo=photo)


def run(
    source: Source | Photo,
    description: str,
    *,
    client: Sender,
    options: RunOptions = DEFAULT_RUN,
    **keywords: Unpack[RunKeywords],
) -> Final:
    """From a photo to its final picture: prepare, generate, finish. PAID.

    Args:
        source: As in `prepare`.
        description: The scene wanted, in English.
        client: Who sends it.
        options: How it is prepared, paid for and finished.
        keywords: Single options of `prepare`, `generate` and `finish` in place of those of `options`.

    Raises:
        PhotioError: What the three raise.
    """
    options = options.changed(description=description, **keywords)  # a mistake in it must not cost a call
    order = prepare_for_client(source, options, client)
    return assemble_final(order, generate(order, client=client, options=options.pay), options.finish)


def prepare_for_client(source: Source | Photo, options: RunOptions, client: Sender) -> Order:
    """The order of `run`, prepared for `client`, whose final can be made as it is wished.

    Raises:
        PhotioError: As `prepare`; UsageError for a size or format that the final cannot have.
    """
    order = _prepare(source, options.prepare, replace(options.place, endpoint=client.endpoint))
    options.finish.fits(order.placement)
    final_format(order.origin.format, options.finish.format)
    return order
