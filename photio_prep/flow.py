"""The stages in a row: prepare, generate, finish, run.

Takes photos and words; gives orders, results and finals. Touches the disk only with `orders`, the network only in
`generate` and `run`. Raises what the stages raise.
"""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TypedDict, Unpack

from photio_prep import gate as gate_
from photio_prep import orders as ledger
from photio_prep import pay, pointed, settings, views, wanted
from photio_prep.cutting import DEFAULT_CUTOUT, CutoutOptions
from photio_prep.data import Canvas, Cutout, Final, Matter, Photo, Request, Result, Sender
from photio_prep.decode import DEFAULT_LIMITS, Limits
from photio_prep.encode import final_format
from photio_prep.errors import NoProduct, UsageError
from photio_prep.geometry import Recommended, Size, named, place, snap
from photio_prep.orders import Order, Origin
from photio_prep.pointing import Hints
from photio_prep.stages.load import Source, load
from photio_prep.stages.matte import Alpha, matte
from photio_prep.stages.pad import pad
from photio_prep.stages.request import doubts, request
from photio_prep.stages.send import API_URL
from photio_prep.stages.unpad import unpad


def prepare(
    source: Source | Photo,
    *,
    description: str = "",
    negative_prompt: str | None = None,
    append_negative: str | None = None,
    seed: int | None = None,
    size: str | Recommended | None = None,
    model: str | Matter | pointed.Sam = "auto",
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
    frame: int | None = None,
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
        frame: Which frame or page of a file with several, from 0; without one such a file is refused.
        limits: What the photo may be at most.

    Raises:
        PhotoRefused, NoProduct: The photo cannot be used.
        UsageError: A size, seed, prompt, point or box that cannot be meant.
        ModelUnavailable: No model is installed, or it is damaged.
        StorageFailed: The order cannot be kept.
    """
    photo = source if isinstance(source, Photo) else load(source, name=name, limits=limits, frame=frame)
    chosen = snap(photo.size) if size is None else named(size) if isinstance(size, str) else size
    placement = place(photo.size, chosen.size)
    drawn = None if mask is None else load(mask, limits=limits).image
    hints = Hints.of(points, box)
    if hints and drawn:
        raise UsageError("a mask and a point or box exclude each other", "Give one of them", subject=photo.source)
    matter = pointed.choose(model, hints, photo)
    # Who points at a product does not want the transparency that is there already.
    used = "ignore" if hints and alpha == "auto" else alpha
    cutout = matte(photo, placement.box.size, matter, mask=drawn, alpha=used, options=cutting)
    judged = gate_.judge(photo, cutout, _agreement(photo, cutout, second, cutting))
    canvas = pad(cutout, placement)
    asked = request(canvas, description, seed=seed, negative_prompt=negative_prompt, append_negative=append_negative)
    warnings = (*photo.notes, *cutout.notes, *_warnings(chosen), *doubts(asked.description))
    drawing = sha256(drawn.tobytes()).hexdigest()[:16] if drawn else "none"
    # What was asked for, not what it came to: `auto` is the same wish when a better model is installed.
    asked_model = cutout.model if cutout.model in ("mask", "alpha") else getattr(matter, "asked", cutout.model)
    told = f"model {asked_model}, alpha {alpha}, size {chosen.size}, mask {drawing}, {cutting}"
    told += f", pointed {hints}" if hints else ""
    told += "" if frame is None else f", frame {frame}"
    origin = Origin(photo.source, photo.digest, photo.format, output, told, warnings, photo.credit, judged)
    order = Order(asked, endpoint, origin, cutout.model, cutout.image, device=cutout.device)
    if orders is None:
        return order
    order = ledger.write(order, Path(orders))
    if order.folder is not None:
        views.write(order.folder, gate_.shown(photo, cutout.image.size), cutout.image)
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


def _warnings(chosen: Recommended) -> list[str]:
    return [] if chosen.documented else [f"{chosen.size} is not on Photio's list of sizes (undocumented)"]


def by_url(
    image_url: str, size: str, description: str, *, seed: int | None = None, negative_prompt: str | None = None
) -> Request:
    """A request for a picture that the API fetches itself: a PNG of a recommended size, alpha 0 outside the product.

    Args:
        image_url: Its http(s) address.
        size: Its size: a tag, ratio or "WxH".
        description: The scene wanted.
        seed: As in `prepare`.
        negative_prompt: Replaces the server's default.

    Raises:
        UsageError: The size, seed, prompt or address cannot be meant.
    """
    whole = named(size).size
    canvas = Canvas(b"", place(whole, whole))
    return request(canvas, description, seed=seed, negative_prompt=negative_prompt, image_url=image_url)


class Changes(TypedDict, total=False):
    """What `reworded` and `revise` change."""

    endpoint: str | None
    description: str | None
    seed: int | None
    negative_prompt: str | None
    append_negative: str | None


def reworded(
    order: Order,
    *,
    endpoint: str | None = None,
    description: str | None = None,
    seed: int | None = None,
    negative_prompt: str | None = None,
    append_negative: str | None = None,
) -> Order:
    """The same picture asked for with other words, or of somebody else: another order, in memory, with another key.

    Raises:
        UsageError: A seed or prompt that cannot be meant.
    """
    old = order.request
    asked = request(
        old.canvas,
        old.description if description is None else description,
        seed=old.seed if seed is None else seed,
        negative_prompt=old.negative_prompt if negative_prompt is None and append_negative is None else negative_prompt,
        append_negative=append_negative,
        image_url=old.image_url,
    )
    if seed is None:
        asked = replace(asked, seed_drawn=old.seed_drawn)
    new = replace(order, request=asked, endpoint=endpoint or order.endpoint, folder=None)
    return order if new.key == order.key else new


def revise(order: Order, **changes: Unpack[Changes]) -> Order:
    """The order of `reworded`; of an order on disk it gets a folder of its own beside the old one.

    Raises:
        UsageError: A seed or prompt that cannot be meant.
        StorageFailed: The new folder cannot be written.
    """
    new = reworded(order, **changes)
    return new if new is order or order.folder is None else wanted.succeed(order, new)


def generate(order: Order | Request, *, client: Sender, gate: str | None = None) -> Result:
    """The answer to an order (or a bare request). PAID, unless the order's folder already holds the answer.

    An order in a folder is claimed before it is sent and its raw answer kept before it is parsed.

    Args:
        order: What to ask for. A bare request was never judged, so no gate stops it.
        client: Who sends it.
        gate: "off" pays in any case, "warn" stops what is not worth paying for, "strict" stops what is doubtful too;
            None takes PHOTIO_GATE or photio.toml, else "warn".

    Raises:
        UsageError: It has no scene description.
        GateStopped: The gate stopped it; it stays planned.
        OutcomeUnknown: Sent, but no whole answer came: perhaps billed. Never sent again by itself.
        PaidUnusable: Billed, but the answer is no usable picture; it is kept.
        ApiUnavailable, Rejected, KeyRefused, OrderInUse: Not sent, or not billed.
    """
    asked = order.request if isinstance(order, Order) else order
    if not asked.description:
        raise UsageError(
            "the scene description is empty", 'Give one, for instance -d "on a marble table, soft morning light"'
        )
    if isinstance(order, Request):
        return client.send(order)
    kept = pay.kept_result(order)
    if kept is None:  # what is paid for already costs nothing
        gate_.refuse(order, settings.gate(gate))
    return kept or pay.pay(order, client)


def finish(order: Order, result: Result | None = None, *, format: str | None = None) -> Final:  # noqa: A002
    """The final picture: the answer cropped back to the photo's size. Free, offline, repeatable for ever.

    Args:
        order: The order that was answered.
        result: Its answer; None reads the one kept in the order's folder.
        format: "jpg", "png" or "webp" in place of the photo's own format.

    Raises:
        UsageError: There is no answer yet.
        OutcomeUnknown, PaidUnusable: What is kept is no usable answer.
    """
    result = result or pay.kept_result(order)
    if result is None:
        if order.folder is not None:
            pay.refuse_if_taken(order.folder)  # unknown, given up, being paid for: each says so itself
        where = str(order.folder or order.origin.source)
        raise UsageError("it has no answer yet", "Run `photio-prep generate` on it first", subject=where)
    if result.placement != order.placement:  # one answer may serve photos of several sizes
        result = replace(result, placement=order.placement)
    return unpad(result, source=order.origin.source, format_=final_format(order.origin.format, format))


class Options(TypedDict, total=False):
    """The arguments of `prepare` that `run` passes on."""

    negative_prompt: str | None
    append_negative: str | None
    seed: int | None
    size: str | Recommended | None
    model: str | Matter | pointed.Sam
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
    limits: Limits


def run(
    source: Source | Photo,
    description: str,
    *,
    client: Sender,
    format: str | None = None,  # noqa: A002
    gate: str | None = None,
    **options: Unpack[Options],
) -> Final:
    """From a photo to its final picture: prepare, generate, finish. PAID.

    Args:
        source: As in `prepare`.
        description: The scene wanted, in English.
        client: Who sends it.
        format: As in `finish`.
        gate: As in `generate`.
        options: The other arguments of `prepare`.

    Raises:
        PhotioError: What the three raise.
    """
    order = prepare(source, description=description, endpoint=client.endpoint, **options)
    return finish(order, generate(order, client=client, gate=gate), format=format)
