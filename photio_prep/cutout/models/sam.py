"""What the user pointed at -> a matter: rembg's SAM, with checked weights, on a device that is really used."""

import threading
from functools import cache, cached_property
from typing import Any

from PIL import Image, ImageFilter

from photio_prep.cutout.models import catalog, devices, weights
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.prompts import Hints
from photio_prep.cutout.models.registry import get_model
from photio_prep.cutout.models.rembg_sessions import import_session, with_networks
from photio_prep.errors import ModelUnavailable, UsageError
from photio_prep.geometry import Size
from photio_prep.settings import models_folder
from photio_prep.types import Photo, Segmenter

# SAM sees the picture within so many pixels (rembg's session), and its mask has a fourth of them to a side.
_SEES = Size(1024, 684)
_COARSER = 4


class Sam:
    """SAM's two networks, loaded at the first picture; `at` makes a matter of them that knows where to look."""

    name = "sam"

    def __init__(self, device: Device = "auto") -> None:
        self.device: Device = device
        self.fallback = ""
        self._making = threading.Lock()
        self._proven = False

    @cached_property
    def _session(self) -> Any:  # noqa: ANN401  rembg has no types
        folder, opened = models_folder(), []
        for each in catalog.pointed():
            if not weights.installed(each, folder):
                names = " ".join(row.name for row in catalog.pointed())
                raise ModelUnavailable(
                    "a point or box needs SAM, whose weights are not installed",
                    f"Run: photio-prep models pull {names}, or draw a --mask",
                    subject=f"model {each.name}",
                )
            path, data = weights.read(each, folder)
            network, self.device, self.fallback = devices.session(data, self.device, subject=str(path))
            opened.append(network)
        kind = import_session("sam", "SamSession")
        encoder, decoder = opened
        return with_networks(kind, encoder=encoder, decoder=decoder)(self.name)

    def at(self, hints: Hints, size: Size) -> Segmenter:
        """The matter that finds what was pointed at in a photo of this size, whatever size it is shown at."""
        return _Pointed(self, hints, size)

    def mask(self, image: Image.Image, prompt: list[dict[str, object]]) -> Image.Image:
        """What SAM takes for the product: a mask (L, the picture's size) without any soft edge."""
        with self._making:
            session = self._session
        try:
            found: Image.Image = session.predict(image, sam_prompt=prompt)[0]
            self._proven = True
        except Exception as error:  # onnxruntime raises its own kinds, none of them public
            if self._proven:  # the picture's own trouble, or the device's at this moment
                raise
            raise ModelUnavailable(
                f"it failed on a picture ({str(error)[:200]})", "Run: photio-prep models verify", subject="model sam"
            ) from error
        return found


class _Pointed:
    """A matter for one photo."""

    name = Sam.name

    def __init__(self, sam: Sam, hints: Hints, size: Size) -> None:
        self._sam, self._hints, self._size = sam, hints, size

    @property
    def device(self) -> str:
        """Where it runs."""
        return self._sam.device

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """The belief (L, the picture's size) in what was pointed at, to be refined."""
        prompt = self._hints.prompt(image.width / self._size.width, image.height / self._size.height)
        found = self._sam.mask(image, prompt)
        grain = max(image.width / _SEES.width, image.height / _SEES.height) * _COARSER
        # The mask was cut at half; where its edge runs is known to about one pixel of the network's own.
        soft = found.filter(ImageFilter.GaussianBlur(grain / 2))
        soft.info["grain"] = grain
        return soft


@cache
def sam(device: Device = "auto") -> Sam:
    """SAM on a device, one for the whole process."""
    return Sam(device)


def choose(model: str | Segmenter | Sam, hints: Hints, photo: Photo) -> Segmenter:
    """The matter that is meant: SAM at these hints, or without any the model itself.

    Raises:
        UsageError: The hints are not in the photo, or the model takes none; there is no such model.
    """
    if hints:
        hints.check(photo.size, photo.source)
        chosen = sam() if model == "auto" else model
        if not isinstance(chosen, Sam):
            raise UsageError("points and boxes are for SAM only", "Leave the model out, or the points and the box")
        return chosen.at(hints, photo.size)
    if isinstance(model, Sam):
        raise UsageError("SAM cannot know where the product is", "Give a point or a box")
    return get_model(model) if isinstance(model, str) else model
