"""The pipeline: prepare, generate, finish, run.

The disk is touched only with `orders`, the network only by `generate` and `run`.
"""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Unpack

from PIL import Image

from photio_prep.api.credentials import API_URL
from photio_prep.api.request import description_warnings
from photio_prep.cutout import gate
from photio_prep.cutout.matte import Alpha, matte
from photio_prep.cutout.models import registry, sam
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
from photio_prep.orders.options import OrderPlace, PayKeywords, PayOptions, PrepareKeywords, PrepareOptions
from photio_prep.orders.origin import Origin, file_path, placed_as
from photio_prep.orders.store import Order, write_order
from photio_prep.system.parallel import SMALL, occupy_core, path_lock, run_both
from photio_prep.types import OWN_MASKS, Cutout, Final, Photo, Request, Result, Segmenter, Sender


def prepare(
    source: Source | Photo,
    options: PrepareOptions = DEFAULT_RUN.prepare,
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
        endpoint: Address of the API; part of the order's key.
        orders: Keep the order in this folder, where it is paid for at most once.
        name: The photo's name in messages.
        output: Path of its final below the output folder, without suffix.
        variants: It is the first of several orders of the photo.
        keywords: Replace single options; see `PrepareOptions`.

    Raises:
        PhotoRefused, NoProduct: The photo cannot be used.
        UsageError: A size, seed, prompt, point or box is invalid.
        ModelUnavailable: No model is installed, or it is damaged.
        StorageFailed: The order cannot be kept.
    """
    return prepare_at(source, replace(options, **keywords), OrderPlace(endpoint, orders, name, output, variants))


def prepare_at(
    source: Source | Photo, options: PrepareOptions, target: OrderPlace, finish: FinishOptions | None = None
) -> Order:
    """The order of a photo: one prepared earlier from the same bytes and options, or a new one.

    UsageError for a size or format that its final cannot have by `finish`.
    """
    target = replace(target, name=target.name or ("" if isinstance(source, Photo) else display_name(source)))
    mask = options.load_mask()
    entry = recall.find_entry(source, options, target, mask)
    if entry is None:
        order = _prepare_new(source, options, target, mask)
    else:
        with path_lock(entry.note):  # of twins only the first is prepared
            order = recall.reuse_prepared(entry, options, target) or recall.remember(
                entry, _prepare_new(entry.data, options, target, mask)
            )
    if finish is not None:
        finish.fits(order.placement)
        final_format(order.origin.format, finish.format)
    return order


@occupy_core()
def _prepare_new(
    source: Source | Photo, options: PrepareOptions, target: OrderPlace, mask: Image.Image | None
) -> Order:
    """Load, frame, cut out, pad and assess one photo, and keep the order."""
    original = read_source(source, options.limits, target.name)
    if _opens_model(original, options, mask):
        photo, _ = run_both(lambda: _load(original, options, target.name), lambda: registry.open_early(options.model))
    else:
        photo = _load(original, options, target.name)
    if options.hints and mask:
        raise UsageError("a mask and a point or box exclude each other", "Give one of them", subject=photo.source)
    model = sam.select_model(options.model, options.hints, photo)
    framed = _frame(photo, model, options, mask)
    photo, size = framed.photo, framed.chosen.size
    cutout = matte(
        photo,
        framed.placement.box.size,
        framed.matter or model,
        mask=framed.mask,
        alpha=framed.alpha,
        options=options.cutting,
    )
    canvas, judgement = run_both(
        lambda: pad(cutout, framed.placement),
        lambda: gate.assess(photo, cutout, _second_opinion(photo, cutout, options)),
        worth=size.area > SMALL,
    )
    request = options.request(canvas)
    name = cutout.model if cutout.model in OWN_MASKS else getattr(model, "asked", cutout.model)
    drawing = "none" if mask is None else sha256(mask.tobytes()).hexdigest()[:16]
    unlisted = () if framed.chosen.documented else (f"{size} is not on Photio's list of sizes (undocumented)",)
    origin = Origin(
        photo.source,
        photo.digest,
        photo.format,
        options=options.record(name, size, drawing),
        warnings=(*photo.notes, *cutout.notes, *unlisted, *description_warnings(request.description)),
        credit=photo.credit,
        gate=judgement,
        path=file_path(photo.source),
        frame=photo.frame,
        **placed_as(target.output, variants=target.variants),
    )
    order = Order(request, target.endpoint, origin, cutout.model, cutout.image, device=cutout.device)
    if target.orders is None:
        return replace(order, photo=original)
    order = write_order(order, Path(target.orders))
    if not origin.path:  # from a pipe, a URL or memory
        original_photo.store_original(order, original, limits=options.limits)
    previews.write_photo(order.require_folder(), gate.flatten_to(photo, cutout.image.size))
    return order


def _opens_model(original: Photo | bytes, options: PrepareOptions, mask: Image.Image | None) -> bool:
    """Whether the photo certainly needs a model that is not loaded yet: a JPEG has no alpha of its own."""
    if isinstance(original, Photo) or original[:2] != b"\xff\xd8" or mask or options.hints or options.alpha == "keep":
        return False
    return not getattr(options.model, "is_open", False)


def _load(original: Photo | bytes, options: PrepareOptions, name: str) -> Photo:
    """The photo at the size that later stages see."""
    size = options.recommended
    # No later stage sees more of the photo than the canvas can show; a new frame shows more of less.
    at = None if options.framing else box_on(size.size if size else None)
    if isinstance(original, Photo):
        return downscale(original, at)
    return load(original, name=name, limits=options.limits, frame=options.frame, at=at)


def _frame(photo: Photo, model: Segmenter, options: PrepareOptions, mask: Image.Image | None) -> Reframed:
    """The whole photo on its canvas, or with `framing` what lies around its product."""
    # With points or a box, the photo's own alpha is ignored unless --alpha says otherwise.
    alpha: Alpha = "ignore" if options.hints and options.alpha == "auto" else options.alpha
    if options.framing is None:
        size = options.recommended or snap(photo.size)
        return Reframed(photo, size, place(photo.size, size.size), model, mask, alpha)
    return reframe(photo, options.recommended, model, options.framing, mask=mask, alpha=alpha, options=options.cutting)


def _second_opinion(photo: Photo, cutout: Cutout, options: PrepareOptions) -> Cutout | None:
    """A second model's cutout; None without one, or if no first model was used."""
    if options.second is None or cutout.model in OWN_MASKS:
        return None
    size = Size(*cutout.image.size)
    try:
        return matte(photo, size, options.second, alpha="ignore", options=replace(options.cutting, looks="1"))
    except NoProduct:
        return Cutout(Image.new("RGBA", size), "none")


def generate(
    order: Order | Request, *, client: Sender, options: PayOptions = DEFAULT_RUN.pay, **keywords: Unpack[PayKeywords]
) -> Result:
    """The answer to an order, or to a bare request. PAID, unless the order's folder already holds the answer.

    An order in a folder is claimed before it is sent, and its raw answer kept before it is parsed. A bare request was
    never judged, so no gate stops it. `keywords` replace `gate` and `pay_again` of the options.

    Raises:
        UsageError: It has no scene description.
        PhotoRefused: The same photo with the same words was paid for as other bytes, by an older version.
        GateStopped: The gate stopped it; it stays planned.
        OutcomeUnknown: Sent, but no complete answer came: perhaps billed. Never sent again automatically.
        PaidUnusable: Billed, but the answer is not a usable picture; it is kept.
        ApiUnavailable, Rejected, KeyRefused, OrderInUse: Not sent, or not billed.
    """
    if isinstance(order, Request):
        return payment.identify(client.send(order), order)
    if (answer := payment.load_answer(order)) is not None:  # costs nothing, whatever the endpoint is now
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
    """The final picture: the answer cropped back, with the photo's own product. Free, offline, repeatable.

    Args:
        order: An answered order.
        result: Its answer; None reads the one in the order's folder.
        options: Product, size and format of the final.
        photo: The photo, if it cannot be found again.
        keywords: Replace single options; see `FinishOptions`.

    Raises:
        UsageError: There is no answer yet, `result` answers another request, or the size is invalid.
        PhotoRefused: The photo's pixels are needed, and it is missing or changed.
        OutcomeUnknown, PaidUnusable: The stored answer is not usable.
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

    `description` is the scene wanted, in English. `keywords` replace single options of the three. Raises as they do.
    """
    options = options.changed(description=description, **keywords)  # a mistake in it must not cost a call
    target = replace(options.place, endpoint=client.endpoint)
    order = prepare_at(source, options.prepare, target, options.finish)
    return assemble_final(order, generate(order, client=client, options=options.pay), options.finish)
