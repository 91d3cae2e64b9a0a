"""Photo -> Cutout."""

import threading
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photio_prep.cutout import foreground, refine
from photio_prep.cutout import mask as parts
from photio_prep.cutout.models import devices, two_pass
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.rembg_sessions import import_session
from photio_prep.cutout.models.segmenter import segment
from photio_prep.cutout.options import DEFAULT_CUTOUT, CutoutOptions
from photio_prep.errors import ModelUnavailable, NoProduct, PhotoRefused, SegmenterFailed
from photio_prep.geometry import Size
from photio_prep.types import Cutout, Photo, Segmenter

Alpha = Literal["auto", "keep", "ignore"]
Family = Literal["u2net", "isnet", "birefnet"]
Channels = tuple[float, float, float]

# What the network's own probability must reach somewhere before we believe that there is a product at all. Blank
# papers peak below 0.06 with u2netp and ISNet, real products above 0.9; noise in a small picture can pass for a
# product, which the gate stops.
_FOUND = 0.5
# Unrefined: belief below the first share is background, above the second is product.
_LEVELS = (0.1, 0.9)
# An existing alpha is a cutout when at least this share of the picture is transparent, and this share opaque.
_REAL_CUTOUT = 0.005


def matte(
    photo: Photo,
    size: Size,
    matter: Segmenter | None,
    *,
    mask: Image.Image | None = None,
    alpha: Alpha = "auto",
    options: CutoutOptions = DEFAULT_CUTOUT,
) -> Cutout:
    """The product alone, in the photo's own frame, scaled to `size`.

    Where the product comes from, first that applies: the user's `mask`; the photo's own alpha (`auto`: where it is a
    real cutout, `keep`: always, `ignore`: never); the `matter`.

    Args:
        photo: RGB or RGBA.
        size: The size in pixels at which the photo will stand on the canvas.
        matter: Finds the product in an RGB picture; may be None where a mask or an alpha is used.
        mask: Greyscale, or with alpha; white (or opaque) is product. Any size of the photo's shape.
        alpha: What to do with the photo's own alpha.
        options: How edges and parts are made. Specks and pinholes are looked for in what a matter found, not in a
            mask or alpha.

    Raises:
        NoProduct: Nothing was found, or the alpha or mask is empty.
        PhotoRefused: The mask has another shape than the photo, or there is no alpha to keep.
        SegmenterFailed, ModelUnavailable: The matter gave no alpha of the picture; there is none, and one is needed.
    """
    try:
        return _cutout(photo, size, matter, mask, alpha, options)
    except (NoProduct, SegmenterFailed) as error:
        error.about(photo.source)
        raise


def _cutout(
    photo: Photo, size: Size, matter: Segmenter | None, mask: Image.Image | None, alpha: Alpha, options: CutoutOptions
) -> Cutout:
    # What the user drew is meant: only what is asked for by name is done to it.
    drawn = replace(options, specks=0, holes="keep" if options.holes == "auto" else options.holes)
    if mask is not None:
        flat = _flat(photo.image).resize(size, Image.Resampling.LANCZOS)
        return Cutout(compose(flat, _fit(mask_alpha(mask), photo, size), drawn), "mask")
    if alpha != "ignore" and photo.image.mode == "RGBA" and (alpha == "keep" or real_cutout(photo.image)):
        image = photo.image.resize(size, Image.Resampling.LANCZOS)
        # Its colours are the product's own already.
        return Cutout(compose(image.convert("RGB"), image.getchannel("A"), replace(drawn, colours=False)), "alpha")
    if alpha == "keep":
        raise PhotoRefused("it has no transparency to keep", "Use --alpha auto", subject=photo.source)
    if matter is None:
        raise ModelUnavailable("a model is needed to find the product", "Run: photio-prep models pull auto")
    # The network looks at 320 or 1024 px: what the canvas cannot show, it would not see either.
    flat = _flat(photo.image)
    view = flat.resize(size, Image.Resampling.LANCZOS, reducing_gap=3) if size.area < photo.size.area else flat
    given = segment(matter, view)
    view = _scaled(view, size)
    grain = given.info.get("grain")
    found = _scaled(given, size)
    if grain is not None:
        found = _refined(view, found, float(grain) * size.width / given.width, options)
    sure = given.info.get("confidence")
    name, device = getattr(matter, "name", type(matter).__name__), getattr(matter, "device", "")
    return Cutout(compose(view, found, options, haze=True), name, confidence=sure, device=device)


def _scaled(image: Image.Image, size: Size) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def _refined(view: Image.Image, found: Image.Image, grain: float, options: CutoutOptions) -> Image.Image:
    pixels, belief = np.asarray(view), np.asarray(found, dtype=np.float32) / np.float32(255)
    share = refine.stretch(belief, *_LEVELS) if options.refine == "off" else refine.fast(pixels, belief, grain)
    return Image.fromarray(parts.flush(np.rint(share * 255).astype(np.uint8)))


def compose(
    image: Image.Image, alpha: Image.Image, options: CutoutOptions = DEFAULT_CUTOUT, *, haze: bool = False
) -> Image.Image:
    """The cutout: `image` (RGB) under `alpha` (L, the same size) as straight RGBA, RGB exactly 0 where alpha is 0.

    Args:
        image: The picture as it was taken.
        alpha: What of it is product.
        options: How edges and parts are made.
        haze: Whether the alpha was found, and not drawn, so that faint remains far from the product are none of it.

    Raises:
        NoProduct: The alpha is empty.
    """
    levels = foreground.clean(parts.shaped(foreground.clean(np.asarray(alpha)), options), haze=haze)
    if not (levels >= 128).any():
        raise NoProduct("no product found in it", "Use a clearer photo, another --model, or give a --mask")
    colours = np.asarray(image)
    pixels = np.empty((*levels.shape, 4), np.uint8)
    pixels[..., :3] = foreground.foreground(colours, levels) if options.colours else colours
    pixels[..., 3] = levels
    pixels.view(np.uint32)[..., 0] *= levels > 0
    return Image.fromarray(pixels)


def real_cutout(image: Image.Image) -> bool:
    """Whether the alpha of an RGBA picture separates a product: some of it is clear and some of it is not."""
    counts = np.asarray(image.getchannel("A").histogram())
    share = counts / counts.sum()
    return bool(share[:8].sum() >= _REAL_CUTOUT and share[128:].sum() >= _REAL_CUTOUT)


def mask_alpha(mask: Image.Image) -> Image.Image:
    """The alpha (L) that a user's mask means: its alpha channel where that says something, else its lightness."""
    if "A" in mask.getbands() and mask.getchannel("A").getextrema() != (255, 255):
        return mask.getchannel("A")
    return mask.convert("L")


def _fit(alpha: Image.Image, photo: Photo, size: Size) -> Image.Image:
    given, wanted = alpha.width / alpha.height, photo.size.width / photo.size.height
    # Half a pixel of rounding on the shorter side of either picture is the same shape.
    if abs(given / wanted - 1) > 0.5 / min(*alpha.size) + 0.5 / min(photo.size):
        raise PhotoRefused(
            f"the mask is {alpha.width}x{alpha.height}, the photo {photo.size}: another shape",
            "Give a mask made from this photo",
            subject=photo.source,
        )
    return alpha.resize(size, Image.Resampling.LANCZOS)


def _flat(image: Image.Image) -> Image.Image:
    """RGB: what hides under alpha 0 is nobody's photo, so transparency is shown on white."""
    if image.mode == "RGB":
        return image
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper


class OnnxSegmenter:
    """A Segmenter on one network of a family, in a session of rembg's on weights that were verified before.

    The session is made at the first picture and kept; it may be called from several threads. Of rembg's `predict` the
    stretching of each prediction to 0..255 is left out: with it ISNet's mask of seven pictures without a product
    (blank papers, a gradient, noise) peaks at 163 to 254 of 255, up to 14 % of a picture; without it none is above
    0.06 of 1.

    Args:
        path: The weights' file. Whoever passes it has verified it.
        family: Which of rembg's sessions fits the weights.
        name: What orders and messages call the model.
        identity: The file's `files.identity` before it was verified, so that nothing else is loaded; None where
            nobody changes the file.
        device: Where it must run; "auto" takes the fastest that works.
    """

    def __init__(
        self, path: Path, family: Family, name: str, *, identity: tuple[int, ...] | None = None, device: Device = "auto"
    ) -> None:
        self.path = path
        self.family = family
        self.name = name
        self.device: Device = device
        self.fallback = ""
        self._identity = identity
        self._making, self._turn = threading.Lock(), threading.Lock()
        self._proven = False

    @cached_property
    def session(self) -> Any:  # noqa: ANN401  rembg has no types
        """The session of rembg's own class, made by its own constructor at the first use."""
        kind = import_session(*_SESSIONS[self.family])
        session, self.device, self.fallback = devices.rembg_session(
            kind, self.name, self.path, self.device, identity=self._identity, rounded=self.family in _ROUNDED
        )
        return session

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """The belief (L, the picture's size) in a product in an RGB picture; `info` says how sure the network was.

        `info["grain"]` says that this is a belief that wants refining, and how many pixels of the picture the network
        sees as one.

        Raises:
            NoProduct: The network is not sure of a product anywhere.
            ModelUnavailable: The weights do not load, or are of another family.
        """
        found = two_pass.belief(self.probability, image, _FOUND, _HIGH.get(self.family, 0))
        peak = float(found.first.max())
        if peak < _FOUND:
            raise NoProduct(
                f"no product found in it (the model is at most {max(peak, 0):.0%} sure anywhere)",
                "Use a clearer photo, another --model, or give a --mask",
            )
        alpha = Image.fromarray(np.rint(found.share * 255).astype(np.uint8))
        alpha.info.update(confidence=confidence(found.first), grain=found.grain)
        return alpha

    def probability(self, image: Image.Image) -> NDArray[np.float32]:
        """The network's own belief, (H, W) of its output, 0..1, before anything is stretched."""
        with self._making:
            session = self.session
        mean, deviation, side = _FEEDS[self.family]
        # Each run of a large network that onnxruntime makes at the same time as another takes 0.7 GB more, and no less
        # time (measurements/speed.md). Meanwhile the others decode and encode.
        turn = self._turn if self.device == "cpu" and self.family != "u2net" else nullcontext()
        try:
            network = session.inner_session
            feed = {network.get_inputs()[0].name: normalised(image, mean, deviation, side)}
            with turn:
                out = network.run([network.get_outputs()[0].name], feed)[0][0, 0]
        except Exception as error:  # onnxruntime raises its own kinds, none of them public
            if self._proven:  # the picture's own trouble, or the device's at this moment
                raise
            raise ModelUnavailable(
                f"it failed on a picture ({str(error)[:200]})", "Check --family", subject=self.name
            ) from error
        self._proven = True
        # BiRefNet is the only family whose network ends before the sigmoid.
        belief = 1 / (1 + np.exp(-np.clip(out, -50, 50))) if self.family == "birefnet" else out
        return np.asarray(belief, dtype=np.float32)


def normalised(image: Image.Image, mean: Channels, deviation: Channels, side: int) -> NDArray[np.float32]:
    """(1, 3, side, side): to the bit what rembg's own `normalize` feeds, by a table of 256 values for each channel.

    rembg computes each pixel in double precision. Of a picture of 1152x896 px ours takes 12 ms of a
    processor where rembg's takes 16 (320 px), and 31 where rembg's takes 55 (1024 px).
    """
    pixels = np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))
    levels = np.arange(256) / max(int(pixels.max()), 1e-6)
    tables = [((levels - middle) / spread).astype(np.float32) for middle, spread in zip(mean, deviation, strict=True)]
    return np.stack([table[plane] for table, plane in zip(tables, pixels.transpose(2, 0, 1), strict=True)])[None]


# What rembg's sessions feed to each family: mean and deviation per channel, and the side of the square input.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_FEEDS: dict[str, tuple[Channels, Channels, int]] = {
    "u2net": (*_IMAGENET, 320),
    "isnet": ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0), 1024),
    "birefnet": (*_IMAGENET, 1024),
}
# Families that keep their quality with bfloat16 (measured: measurements/speed.md); BiRefNet is out of our reach.
_ROUNDED = ("isnet", "u2net")
# ISNet sees everything this share of one of its pixels too high up: found on three sets apart, measurements/cutouts.md.
_HIGH = {"isnet": 0.15}
# rembg's classes for a file of weights; it has none for BiRefNet.
_SESSIONS = {
    "u2net": ("u2net_custom", "U2netCustomSession"),
    "isnet": ("dis_custom", "DisCustomSession"),
    "birefnet": ("birefnet_general", "BiRefNetSessionGeneral"),
}


def confidence(probability: NDArray[np.float32]) -> float:
    """How sure the network is of its product, 0..1: its mean belief where that is more than half of its peak."""
    belief = np.nan_to_num(probability)
    return round(float(belief[belief >= belief.max() / 2].mean()), 3)
