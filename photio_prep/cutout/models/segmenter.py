"""Segmenters: run one, which may be the user's code, and validate its alpha; networks in rembg's sessions."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from photio_prep.cutout.likeness import is_telling, measure_likeness
from photio_prep.cutout.models import devices, two_pass
from photio_prep.cutout.models.catalog import Family
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.rembg_sessions import import_session
from photio_prep.errors import ModelUnavailable, NoProduct, PhotioError, SegmenterFailed
from photio_prep.imaging.filters import Floats, load_opencv, to_levels
from photio_prep.system import environment
from photio_prep.system.parallel import CORES
from photio_prep.types import Segmenter

Channels = tuple[float, float, float]

# Minimum peak of the network's probability for a product. Blank papers peak below 0.06 with u2netp and ISNet, real
# products above 0.9; noise in a small picture can pass, which the gate stops.
_MIN_PEAK = 0.5


class _Network(NamedTuple):
    """How a family is run.

    `module`, `session`: rembg's session class. `mean`, `deviation`, `side`: its input, as in rembg. `bfloat16`: it
    keeps its quality with it (measurements/speed.md). `high`: upward shift of its prediction, in its pixels, measured
    on three separate sets (measurements/cutouts.md).
    """

    module: str
    session: str
    mean: Channels
    deviation: Channels
    side: int
    bfloat16: bool = True
    high: float = 0


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NETWORKS: dict[Family, _Network] = {
    "u2net": _Network("u2net_custom", "U2netCustomSession", *_IMAGENET, 320),
    "isnet": _Network("dis_custom", "DisCustomSession", (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), 1024, high=0.15),
    # rembg has no session for BiRefNet's weights in another file. bfloat16 is not measured.
    "birefnet": _Network("birefnet_general", "BiRefNetSessionGeneral", *_IMAGENET, 1024, bfloat16=False),
}
_FIX = "Give it a --mask, or take another --model; the other photos go on"


def segment(matter: Segmenter, image: Image.Image) -> Image.Image:
    """Segment an RGB picture: returns alpha (L, the size of `image`).

    Raises:
        SegmenterFailed: The segmenter raised another error, or returned something else.
        PhotioError: As the segmenter raises it.
    """
    name = str(getattr(matter, "name", type(matter).__name__))
    with translate_faults(name):
        alpha = matter(image)
        if isinstance(alpha, Image.Image):
            alpha.load()  # of a lazily opened file
    if fault := _fault(alpha, image):
        raise SegmenterFailed(
            f"the model {name} gave {fault}", "A segmenter gives a picture of mode L and of that size"
        )
    return alpha


@contextmanager
def translate_faults(name: str) -> Iterator[None]:
    """Raise SegmenterFailed for an error of the segmenter `name` that is not a PhotioError."""
    try:
        yield
    except PhotioError:
        raise
    except MemoryError as error:
        raise SegmenterFailed(f"the model {name} ran out of memory on it", _FIX) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        raise SegmenterFailed(f"the model {name} failed on it ({reason})", _FIX) from error


def _fault(alpha: object, image: Image.Image) -> str:
    """Describe what is wrong with an alpha; "" if it is valid."""
    if not isinstance(alpha, Image.Image):
        return f"{type(alpha).__name__} instead of a picture"
    if alpha.mode != "L":
        return f"a picture of mode {alpha.mode} instead of L"
    if alpha.size != image.size:
        return f"an alpha of {alpha.width}x{alpha.height} for a picture of {image.width}x{image.height}"
    grain, confidence = alpha.info.get("grain", 1), alpha.info.get("confidence", 1)
    if not (_is_number(grain) and grain > 0):
        return f'{grain!r} as info["grain"], which is not a positive number of pixels'
    if confidence is not None and not (_is_number(confidence) and 0 <= confidence <= 1):
        return f'{confidence!r} as info["confidence"], which is not a number from 0 to 1'
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


class OnnxSegmenter:
    """Segmenter on verified weights, in rembg's session of their family; thread-safe.

    Unlike rembg's `predict`, predictions are not stretched to 0..255: with that, ISNet's mask of seven pictures without
    a product (blank papers, a gradient, noise) peaks at 163 to 254 of 255; without it none is above 0.06 of 1.
    `identity`: see `devices.rembg_session`.
    """

    def __init__(
        self, path: Path, family: Family, name: str, *, identity: tuple[int, ...] | None = None, device: Device = "auto"
    ) -> None:
        self.path = path
        self.family = family
        self._network = NETWORKS[family]
        self.name = name
        self.device: Device = device
        self.fallback = ""
        self._identity = identity
        # Each further run at the same time takes 0.25 GB of a small network, 0.7 GB of a large one, and saves no time
        # where it has no cores of its own (measurements/speed.md). Meanwhile other threads decode and encode.
        at_once = max(1, CORES // (environment.thread_limit() or 2)) if family == "u2net" else 1
        self._making, self._turn = threading.Lock(), threading.Semaphore(at_once)
        self._proven = False

    def open(self) -> Any:  # noqa: ANN401  rembg has no types
        """Get the session, created at the first call."""
        with self._making:
            return self.session

    @cached_property
    def session(self) -> Any:  # noqa: ANN401
        """The session; threads take it from `open`."""
        kind = import_session(self._network.module, self._network.session)
        session, self.device, self.fallback = devices.rembg_session(
            kind, self.name, self.path, self.device, identity=self._identity, rounded=self._network.bfloat16
        )
        return session

    def __call__(self, image: Image.Image, /, answer: Floats | None = None) -> Image.Image:
        """Predict the product's probability (L, the picture's size) in an RGB picture.

        `info["confidence"]`: its mean (0..1) where it exceeds half of its peak. `info["grain"]`: pixels of the picture
        per pixel of the network; marks an alpha that needs refinement. `info["belief"]`: the network's output (L) at
        its own size. `mixed` and `rival`: see `measure_likeness`; of networks that tell their features.
        `info["second"]`: see `Prediction`. `answer`: the network's to the picture, if it is known.

        Raises:
            NoProduct: The probability is low everywhere.
            SegmenterFailed: The GPU has too little memory for it.
            ModelUnavailable: The weights do not load, or are of another family; or the GPU is lost.
        """
        answer, features = self._ask(image) if answer is None else (answer, [])
        prediction = two_pass.predict(self.probability, image, _MIN_PEAK, self._network.high, answer)
        peak = float(prediction.first.max())
        if peak < _MIN_PEAK:
            raise NoProduct(
                f"no product found in it (the model is at most {max(peak, 0):.0%} sure anywhere)",
                "Use a clearer photo, another --model, or give a --mask",
            )
        alpha = Image.fromarray(to_levels(prediction.share))
        sure = prediction.first[prediction.first >= peak / 2].mean()
        alpha.info.update(confidence=round(float(sure), 3), grain=prediction.grain, second=prediction.second)
        alpha.info["belief"] = Image.fromarray(to_levels(prediction.first))
        alpha.info.update(measure_likeness(prediction.first, features))
        return alpha

    def probability(self, image: Image.Image) -> Floats:
        """Run the network: its probability (H, W), 0..1, at its own size."""
        return self._ask(image)[0]

    def _ask(self, image: Image.Image) -> tuple[Floats, list[Floats]]:
        """Run the network: its probability, and the features that `measure_likeness` takes."""
        session = self.open()
        turn = self._turn if self.device == "cpu" else nullcontext()
        try:
            network = session.inner_session
            feed = {network.get_inputs()[0].name: normalize(image, self._network)}
            first, *others = network.get_outputs()
            names = [first.name, *(port.name for port in others if is_telling(port.shape, self._network.side))]
            with turn:
                out, *features = (values[0] for values in network.run(names, feed))
        except PhotioError:  # the process that runs it died
            raise
        except Exception as error:  # onnxruntime raises its own kinds, none of them public
            devices.raise_device_fault(error, self.device, self.name)
            if self._proven:  # a fault of the picture
                raise
            raise ModelUnavailable(
                f"it failed on a picture ({str(error)[:200]})", "Check --family", subject=self.name
            ) from error
        self._proven = True
        # BiRefNet is the only family whose network ends before the sigmoid.
        belief = 1 / (1 + np.exp(-np.clip(out[0], -50, 50))) if self.family == "birefnet" else out[0]
        return np.asarray(belief, dtype=np.float32), features


def normalize(image: Image.Image, network: _Network) -> Floats:
    """Normalise to (1, 3, side, side), bit-identical to rembg's `normalize`, by a table of 256 values per channel."""
    cv2, side = load_opencv(), network.side
    # Not in halves: of some sizes Pillow would round otherwise.
    small = image.resize((side, side), Image.Resampling.LANCZOS)
    planes = cv2.split(np.asarray(small))
    levels = np.arange(256) / max(*(int(plane.max()) for plane in planes), 1e-6)
    table = ((levels[:, None] - network.mean) / network.deviation).astype(np.float32)
    feed = np.empty((1, 3, side, side), np.float32)
    for plane, values, channel in zip(planes, table.T, feed[0], strict=True):
        cv2.LUT(plane, np.ascontiguousarray(values), dst=channel)
    return feed
