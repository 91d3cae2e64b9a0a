"""Cut the product out of a photo: by mask, by the photo's own alpha, or by a segmenter."""

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
from photio_prep.cutout.models.catalog import Family
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.rembg_sessions import import_session
from photio_prep.cutout.models.segmenter import segment
from photio_prep.cutout.options import DEFAULT_CUTOUT, CutoutOptions
from photio_prep.errors import ModelUnavailable, NoProduct, PhotoRefused, SegmenterFailed
from photio_prep.geometry import Size
from photio_prep.types import Cutout, Photo, Segmenter

Alpha = Literal["auto", "keep", "ignore"]
Channels = tuple[float, float, float]

# Minimum peak of the network's probability for a product. Blank papers peak below 0.06 with u2netp and ISNet, real
# products above 0.9; noise in a small picture can pass, which the gate stops.
_MIN_PEAK = 0.5
# Unrefined: belief below the first value is background, above the second is product.
_LEVELS = (0.1, 0.9)
# An existing alpha is a cutout if at least this share of the picture is transparent, and this share opaque.
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
    """Cut the product out, in the photo's own frame, scaled to `size` (pixels on the canvas).

    The first that applies is used: the user's `mask`; the photo's own alpha (`auto`: if it is a real cutout, `keep`:
    always, `ignore`: never); the segmenter `matter`.

    Args:
        photo: RGB or RGBA.
        size: Of the photo on the canvas, in pixels.
        matter: Segments an RGB picture; may be None if a mask or an alpha is used.
        mask: Greyscale, or with alpha; white (or opaque) is product. Any size of the photo's aspect ratio.
        alpha: Use of the photo's own alpha.
        options: Edges and parts. Specks and pinholes are removed only from a segmenter's alpha.

    Raises:
        NoProduct: The alpha or mask is empty.
        PhotoRefused: The mask has another aspect ratio than the photo, or there is no alpha to keep.
        SegmenterFailed: The segmenter raised, or did not return an alpha of the picture.
        ModelUnavailable: A segmenter is needed and `matter` is None.
    """
    try:
        return _cutout(photo, size, matter, mask, alpha, options)
    except (NoProduct, SegmenterFailed) as error:
        error.about(photo.source)
        raise


def _cutout(
    photo: Photo, size: Size, matter: Segmenter | None, mask: Image.Image | None, alpha: Alpha, options: CutoutOptions
) -> Cutout:
    # The user's mask is changed only by options that are set explicitly.
    drawn = replace(options, specks=0, holes="keep" if options.holes == "auto" else options.holes)
    if mask is not None:
        flat = flatten(photo.image).resize(size, Image.Resampling.LANCZOS)
        return Cutout(compose(flat, _fit_mask(mask_alpha(mask), photo, size), drawn), "mask")
    if alpha != "ignore" and photo.image.mode == "RGBA" and (alpha == "keep" or has_cutout_alpha(photo.image)):
        image = photo.image.resize(size, Image.Resampling.LANCZOS)
        # Its colours are already the product's own.
        return Cutout(compose(image.convert("RGB"), image.getchannel("A"), replace(drawn, colours=False)), "alpha")
    if alpha == "keep":
        raise PhotoRefused("it has no transparency to keep", "Use --alpha auto", subject=photo.source)
    if matter is None:
        raise ModelUnavailable("a model is needed to find the product", "Run: photio-prep models pull auto")
    # The network's input has 320 or 1024 px: it loses nothing if the photo is first reduced to the canvas's scale.
    flat = flatten(photo.image)
    view = flat.resize(size, Image.Resampling.LANCZOS, reducing_gap=3) if size.area < photo.size.area else flat
    prediction = segment(matter, view)
    view = _scale(view, size)
    cell = prediction.info.get("grain")
    belief = _scale(prediction, size)
    if cell is not None:
        belief = _refine(view, belief, float(cell) * size.width / prediction.width, options)
    sure = prediction.info.get("confidence")
    name, device = getattr(matter, "name", type(matter).__name__), getattr(matter, "device", "")
    return Cutout(compose(view, belief, options, haze=True), name, confidence=sure, device=device)


def _scale(image: Image.Image, size: Size) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def _refine(view: Image.Image, alpha: Image.Image, cell: float, options: CutoutOptions) -> Image.Image:
    pixels, belief = np.asarray(view), np.asarray(alpha, dtype=np.float32) / np.float32(255)
    share = refine.ramp(belief, *_LEVELS) if options.refine == "off" else refine.refine_alpha(pixels, belief, cell)
    return Image.fromarray(parts.extend_to_frame(np.rint(share * 255).astype(np.uint8)))


def compose(
    image: Image.Image, alpha: Image.Image, options: CutoutOptions = DEFAULT_CUTOUT, *, haze: bool = False
) -> Image.Image:
    """Compose `image` (RGB) and `alpha` (L, the same size) to straight RGBA, RGB exactly 0 where alpha is 0.

    `haze`: remove faint alpha far from the product, for an alpha that a segmenter predicted.

    Raises:
        NoProduct: The alpha is empty.
    """
    levels = foreground.snap_alpha(
        parts.apply_mask_options(foreground.snap_alpha(np.asarray(alpha)), options), haze=haze
    )
    if not (levels >= 128).any():
        raise NoProduct("no product found in it", "Use a clearer photo, another --model, or give a --mask")
    colours = np.asarray(image)
    pixels = np.empty((*levels.shape, 4), np.uint8)
    pixels[..., :3] = foreground.estimate_foreground(colours, levels) if options.colours else colours
    pixels[..., 3] = levels
    pixels.view(np.uint32)[..., 0] *= levels > 0
    return Image.fromarray(pixels)


def has_cutout_alpha(image: Image.Image) -> bool:
    """Whether an RGBA picture is a cutout: a part of it is transparent and a part is opaque."""
    counts = np.asarray(image.getchannel("A").histogram())
    share = counts / counts.sum()
    return bool(share[:8].sum() >= _REAL_CUTOUT and share[128:].sum() >= _REAL_CUTOUT)


def mask_alpha(mask: Image.Image) -> Image.Image:
    """Convert a user's mask to alpha (L): its alpha channel unless that is fully opaque, else its lightness."""
    if "A" in mask.getbands() and mask.getchannel("A").getextrema() != (255, 255):
        return mask.getchannel("A")
    return mask.convert("L")


def _fit_mask(alpha: Image.Image, photo: Photo, size: Size) -> Image.Image:
    aspect, photo_aspect = alpha.width / alpha.height, photo.size.width / photo.size.height
    # Half a pixel of rounding on the shorter side of either picture is allowed.
    if abs(aspect / photo_aspect - 1) > 0.5 / min(*alpha.size) + 0.5 / min(photo.size):
        raise PhotoRefused(
            f"the mask is {alpha.width}x{alpha.height}, the photo {photo.size}: another shape",
            "Give a mask made from this photo",
            subject=photo.source,
        )
    return alpha.resize(size, Image.Resampling.LANCZOS)


def flatten(image: Image.Image) -> Image.Image:
    """Flatten RGB or RGBA onto white (RGB)."""
    if image.mode == "RGB":
        return image
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper


class OnnxSegmenter:
    """Segmenter on a network of a family, in rembg's session on verified weights.

    The session is created at the first picture. Calls are thread-safe. Unlike rembg's `predict`, predictions are not
    stretched to 0..255: with that, ISNet's mask of seven pictures without a product (blank papers, a gradient, noise)
    peaks at 163 to 254 of 255, in up to 14 % of a picture; without it none is above 0.06 of 1.

    Args:
        path: Verified weights.
        family: Selects rembg's session class.
        name: In orders and messages.
        identity: `files.identity` of the file before it was verified, so that no other file is loaded; None skips this.
        device: "auto" takes the fastest that works.
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
        """Session of rembg's class, created by its constructor at the first use."""
        kind = import_session(*_SESSIONS[self.family])
        session, self.device, self.fallback = devices.rembg_session(
            kind, self.name, self.path, self.device, identity=self._identity, rounded=self.family in _ROUNDED
        )
        return session

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """Predict the product's probability (L, the picture's size) in an RGB picture.

        `info["confidence"]`: see `confidence`. `info["grain"]`: pixels of the picture per pixel of the network; marks
        an alpha that needs refinement.

        Raises:
            NoProduct: The probability is low everywhere.
            ModelUnavailable: The weights do not load, or are of another family.
        """
        prediction = two_pass.predict(self.probability, image, _MIN_PEAK, _HIGH.get(self.family, 0))
        peak = float(prediction.first.max())
        if peak < _MIN_PEAK:
            raise NoProduct(
                f"no product found in it (the model is at most {max(peak, 0):.0%} sure anywhere)",
                "Use a clearer photo, another --model, or give a --mask",
            )
        alpha = Image.fromarray(np.rint(prediction.share * 255).astype(np.uint8))
        alpha.info.update(confidence=confidence(prediction.first), grain=prediction.grain)
        return alpha

    def probability(self, image: Image.Image) -> NDArray[np.float32]:
        """Run the network: its probability (H, W), 0..1, at its own size."""
        with self._making:
            session = self.session
        mean, deviation, side = _FEEDS[self.family]
        # Each concurrent run of a large network takes 0.7 GB more, and saves no time (measurements/speed.md). Meanwhile
        # other threads decode and encode.
        turn = self._turn if self.device == "cpu" and self.family != "u2net" else nullcontext()
        try:
            network = session.inner_session
            feed = {network.get_inputs()[0].name: normalize(image, mean, deviation, side)}
            with turn:
                out = network.run([network.get_outputs()[0].name], feed)[0][0, 0]
        except Exception as error:  # onnxruntime raises its own kinds, none of them public
            if self._proven:  # a fault of the picture, or a passing one of the device
                raise
            raise ModelUnavailable(
                f"it failed on a picture ({str(error)[:200]})", "Check --family", subject=self.name
            ) from error
        self._proven = True
        # BiRefNet is the only family whose network ends before the sigmoid.
        belief = 1 / (1 + np.exp(-np.clip(out, -50, 50))) if self.family == "birefnet" else out
        return np.asarray(belief, dtype=np.float32)


def normalize(image: Image.Image, mean: Channels, deviation: Channels, side: int) -> NDArray[np.float32]:
    """Normalise to (1, 3, side, side), bit-identical to rembg's `normalize`, by a table of 256 values per channel.

    A picture of 1152x896 px takes 12 ms where rembg takes 16 (320 px), and 31 where rembg takes 55 (1024 px).
    """
    pixels = np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))
    levels = np.arange(256) / max(int(pixels.max()), 1e-6)
    tables = [((levels - middle) / spread).astype(np.float32) for middle, spread in zip(mean, deviation, strict=True)]
    return np.stack([table[plane] for table, plane in zip(tables, pixels.transpose(2, 0, 1), strict=True)])[None]


# Input of each family, as in rembg: mean and deviation per channel, side of the square.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_FEEDS: dict[str, tuple[Channels, Channels, int]] = {
    "u2net": (*_IMAGENET, 320),
    "isnet": ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0), 1024),
    "birefnet": (*_IMAGENET, 1024),
}
# Families that keep their quality with bfloat16 (measurements/speed.md). BiRefNet is not measured.
_ROUNDED = ("isnet", "u2net")
# Upward shift of a family's prediction, in its pixels: measured on three separate sets, measurements/cutouts.md.
_HIGH = {"isnet": 0.15}
# rembg's session modules and classes. BiRefNet has none for a custom file of weights.
_SESSIONS = {
    "u2net": ("u2net_custom", "U2netCustomSession"),
    "isnet": ("dis_custom", "DisCustomSession"),
    "birefnet": ("birefnet_general", "BiRefNetSessionGeneral"),
}


def confidence(probability: NDArray[np.float32]) -> float:
    """Mean probability (0..1) where it exceeds half of its peak."""
    belief = np.nan_to_num(probability)
    return round(float(belief[belief >= belief.max() / 2].mean()), 3)
