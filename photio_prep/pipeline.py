"""The stages in a row: prepare, generate, finish, run."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TypedDict, Unpack

from photio_prep import settings
from photio_prep.api.client import API_URL
from photio_prep.api.request import by_url as by_url
from photio_prep.api.request import doubts, request
from photio_prep.cutout import gate as gate_
from photio_prep.cutout.framing import Framing
from photio_prep.cutout.matte import Alpha, matte
from photio_prep.cutout.models import sam
from photio_prep.cutout.models.prompts import Hints
from photio_prep.cutout.options import DEFAULT_CUTOUT, CutoutOptions
from photio_prep.cutout.pad import pad
from photio_prep.cutout.reframe import reframed
from photio_prep.errors import NoProduct, UsageError
from photio_prep.final.assemble import assembled, finish_order
from photio_prep.final.options import Finishing, Product
from photio_prep.geometry import Recommended, Size, box_on, named, place, snap
from photio_prep.imaging.decode import DEFAULT_LIMITS, Limits
from photio_prep.imaging.encode import final_format
from photio_prep.intake.load import Source, fitted, load, name_of, unread
from photio_prep.orders import index, original_photo, payment, previews, recall
from photio_prep.orders import store as orders_
from photio_prep.orders.origin import Origin, file_path, placed_as
from photio_prep.orders.preflight import Preflight
from photio_prep.orders.store import Order
from photio_prep.system.parallel import both
from photio_prep.types import Cutout, Final, Matter, Photo, Request, Result, Sender

# Pixels of a canvas that is worked on in one go.
_SMALL = 2**17


@recall.once
def prepare(
    source: Source | Photo,
    *,
    description: str = "",
    negative_prompt: str | None = None,
    append_negative: str | None = None,
    seed: int | None = None,
    size: str | Recommended | None = None,
    model: str | Matter | sam.Sam = "auto",
    points: Iterable[tuple[float, ...]] = (),
    box: tuple[float, ...] | None = None,
    mask: Source | None = None,
    alpha: Alpha = "auto",
    second: Matter | None = None,
    cutting: CutoutOptions = DEFAULT_CUTOUT,
    endpoint: str = API_URL,
    orders: str | Path | None = None,
    name: str = "",
    output: str = "",
    variants: bool = False,
    frame: int | None = None,
    framing: Framing | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Order:
    """The order for one photo: exactly what would be sent, and the way back. Free, no network, no key.

    Args:
        source: A path, the bytes of a file, an open binary file, a Pillow picture, or a loaded Photo.
        description: The scene wanted, in English. May be given later; nothing is sent without one.
        negative_prompt: Replaces the server's default.
        append_negative: Is added to the server's default.
        seed: 1 … 4,294,967,296; None draws one from the canvas, -1 a fresh one.
        size: A tag ("Square"), ratio or "WxH" of the recommended sizes; None takes the nearest.
        model: A name of the catalogue, "auto" for the best that is installed, or a matter of your own.
        points: Where the product is, in pixels of the photo: (x, y); (x, y, False) is none of it. SAM takes these.
        box: Around the product: (left, top, right, bottom), in pixels of the photo. SAM takes it.
        mask: A mask in place of a model: white or opaque is product.
        alpha: What to do with the photo's own transparency: "auto" reuses a real cutout, "keep", "ignore".
        second: Another matter, asked only whether it finds the same product; takes its time.
        cutting: How the cutout's edges and parts are made: refinement, holes, grow, feather.
        endpoint: Who will be asked; part of the order's key.
        orders: Keep the order in this folder, where it is paid for at most once.
        name: What messages call the photo.
        output: Where its final belongs below the output folder, without suffix.
        variants: It is the first of several orders of the photo (sweeps.py); one of them is kept later.
        frame: Which frame or page of a file with several, from 0; without one such a file is refused.
        framing: Frame it anew on its product, with this margin; the final is then what the new frame holds.
        limits: What the photo may be at most.

    Raises:
        PhotoRefused, NoProduct: The photo cannot be used.
        UsageError: A size, seed, prompt, point or box that cannot be meant.
        ModelUnavailable: No model is installed, or it is damaged.
        StorageFailed: The order cannot be kept.
    """
    asked_size = named(size) if isinstance(size, str) else size
    # No later stage sees more of the photo than the canvas can show; a new frame shows more of less.
    at = None if framing else box_on(asked_size.size if asked_size else None)
    name = name or ("" if isinstance(source, Photo) else name_of(source))
    whole = unread(source, limits, name)
    photo = fitted(whole, at) if isinstance(whole, Photo) else load(whole, name=name, limits=limits, frame=frame, at=at)
    chosen = asked_size or snap(photo.size)
    placement = place(photo.size, chosen.size)
    drawn = None if mask is None else load(mask, limits=limits).image
    drawing = sha256(drawn.tobytes()).hexdigest()[:16] if drawn else "none"
    hints = Hints.of(points, box)
    if hints and drawn:
        raise UsageError("a mask and a point or box exclude each other", "Give one of them", subject=photo.source)
    matter = finding = sam.choose(model, hints, photo)
    # Who points at a product does not want the transparency that is there already.
    used: Alpha = "ignore" if hints and alpha == "auto" else alpha
    if framing is not None:
        new = reframed(photo, asked_size, matter, framing, mask=drawn, alpha=used, options=cutting)
        photo, chosen, placement = new.photo, new.chosen, new.placement
        finding, drawn, used = new.matter or matter, new.mask, new.alpha
    cutout = matte(photo, placement.box.size, finding, mask=drawn, alpha=used, options=cutting)
    canvas, judged = both(
        lambda: pad(cutout, placement),
        lambda: gate_.judge(photo, cutout, _agreement(photo, cutout, second, cutting)),
        worth=chosen.size.area > _SMALL,
    )
    asked = request(canvas, description, seed=seed, negative_prompt=negative_prompt, append_negative=append_negative)
    unlisted = () if chosen.documented else (f"{chosen.size} is not on Photio's list of sizes (undocumented)",)
    warnings = (*photo.notes, *cutout.notes, *unlisted, *doubts(asked.description))
    # What was asked for, not what it came to: `auto` is the same wish when a better model is installed.
    asked_model = cutout.model if cutout.model in ("mask", "alpha") else getattr(matter, "asked", cutout.model)
    told = f"model {asked_model}, alpha {alpha}, size {chosen.size}, mask {drawing}, {cutting}"
    told += f", pointed {hints}" if hints else ""
    told += "" if frame is None else f", frame {frame}"
    told += "" if framing is None else f", framing {framing}"
    origin = Origin(photo.source, photo.digest, photo.format, output, told, warnings, photo.credit, judged)
    origin = replace(origin, path=file_path(photo.source), **placed_as(output, variants=variants))
    order = Order(asked, endpoint, origin, cutout.model, cutout.image, device=cutout.device)
    if orders is None:
        return replace(order, photo=whole)
    order = orders_.write(order, Path(orders))
    if not origin.path:
        original_photo.keep(order, whole, limits=limits)  # from a pipe, a URL or memory
    if order.folder is not None:
        previews.write(order.folder, gate_.shown(photo, cutout.image.size), cutout.image)
    return order


def _agreement(photo: Photo, cutout: Cutout, matter: Matter | None, cutting: CutoutOptions) -> float | None:
    """How far a second matter finds the same product; None where there is none, or nothing was found by a first."""
    if matter is None or cutout.model in ("mask", "alpha"):
        return None
    try:
        other = matte(photo, Size(*cutout.image.size), matter, alpha="ignore", options=cutting)
        return gate_.agreement(cutout, other)
    except NoProduct:
        return 0.0


def generate(order: Order | Request, *, client: Sender, gate: str | None = None, pay_again: bool = False) -> Result:
    """The answer to an order (or a bare request). PAID, unless the order's folder already holds the answer.

    An order in a folder is claimed before it is sent and its raw answer kept before it is parsed.

    Args:
        order: What to ask for. A bare request was never judged, so no gate stops it.
        client: Who sends it.
        gate: "off" pays in any case, "warn" stops what is not worth paying for, "strict" stops what is doubtful too;
            None takes PHOTIO_GATE or photio.toml, else "warn".
        pay_again: Pay although the same photo with the same words was paid for as other bytes.

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
    if (kept := payment.kept_result(order)) is not None:  # what is paid for already costs nothing, whoever is asked now
        return kept
    if order.folder is not None:
        index.of(order.folder.parent).refresh()
    return payment.pay(order, client, Preflight(settings.gate(gate), pay_again))


def finish(
    order: Order,
    result: Result | None = None,
    *,
    format: str | None = None,  # noqa: A002
    product: Product | None = None,
    output_size: str = "original",
    photo: Source | Photo | None = None,
    photos: str | Path | None = None,
    matter: Matter | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Final:
    """The final picture: the answer cropped back, with the photo's own product. Free, offline, repeatable for ever.

    `final.proof` says whose pixels the product has, `final.drift` how far the generator changed it.

    Args:
        order: The order that was answered.
        result: Its answer; None reads the one kept in the order's folder.
        format: "jpg", "png" or "webp" in place of the photo's own format.
        product: "generated" as it came, "original" with the photo's own pixels, "detail" with its detail in the
            answer's light. None is "original", or "generated" with a note where the photo cannot be found again.
        output_size: "original", "canvas", "WxH" of the photo's shape, or "long:N".
        photo: The photo, where it cannot be found again.
        photos: The photo's file, or a folder in which it is looked for.
        matter: Cuts the answer out, so that `final.drift` sees what was added to the product, too.
        limits: What the photo may be at most.

    Raises:
        UsageError: There is no answer yet, or a size that cannot be meant.
        PhotoRefused: The photo's pixels are asked for, and it is gone or changed.
        OutcomeUnknown, PaidUnusable: What is kept is no usable answer.
    """
    wishes = Finishing(product, output_size)
    folder = None if photos is None else Path(photos)
    return finish_order(order, result, wishes, format_=format, photo=photo, photos=folder, matter=matter, limits=limits)


class Options(TypedDict, total=False):
    """The arguments of `prepare` that `run` passes on."""

    negative_prompt: str | None
    append_negative: str | None
    seed: int | None
    size: str | Recommended | None
    model: str | Matter | sam.Sam
    points: Iterable[tuple[float, ...]]
    box: tuple[float, ...] | None
    mask: Source | None
    alpha: Alpha
    second: Matter | None
    cutting: CutoutOptions
    orders: str | Path | None
    name: str
    output: str
    frame: int | None
    framing: Framing | None
    limits: Limits


def run(
    source: Source | Photo,
    description: str,
    *,
    client: Sender,
    format: str | None = None,  # noqa: A002
    gate: str | None = None,
    pay_again: bool = False,
    product: Product | None = None,
    output_size: str = "original",
    **options: Unpack[Options],
) -> Final:
    """From a photo to its final picture: prepare, generate, finish. PAID.

    Args:
        source: As in `prepare`.
        description: The scene wanted, in English.
        client: Who sends it.
        format: As in `finish`.
        gate: As in `generate`, like `pay_again`.
        pay_again: Of the same as other bytes.
        product: As in `finish`, like `output_size`.
        output_size: Of the final.
        options: The other arguments of `prepare`.

    Raises:
        PhotioError: What the three raise.
    """
    wishes = Finishing(product, output_size)  # a mistake in it must not cost a call
    order = prepare(source, description=description, endpoint=client.endpoint, **options)
    wishes.fits(order.placement)
    format_ = final_format(order.origin.format, format)
    result = generate(order, client=client, gate=gate, pay_again=pay_again)
    return assembled(order, result, wishes, format_=format_, limits=options.get("limits", DEFAULT_LIMITS))
