"""SAM: segment the product that the user marks by points or a box."""

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

# rembg's session scales the picture to fit this size; the mask has a fourth of it to a side.
_INPUT = Size(1024, 684)
_MASK_SCALE = 4


class Sam:
    """SAM's two networks, loaded at the first picture."""

    name = "sam"

    def __init__(self, device: Device = "auto") -> None:
        self.device: Device = device
        self.fallback = ""
        self._making = threading.Lock()
        self._proven = False

    @cached_property
    def _session(self) -> Any:  # noqa: ANN401  rembg has no types
        folder, opened = models_folder(), []
        for row in catalog.sam_weights():
            if not weights.is_installed(row, folder):
                names = " ".join(network.name for network in catalog.sam_weights())
                raise ModelUnavailable(
                    "a point or box needs SAM, whose weights are not installed",
                    f"Run: photio-prep models pull {names}, or draw a --mask",
                    subject=f"model {row.name}",
                )
            path, data = weights.read_weights(row, folder)
            network, self.device, self.fallback = devices.open_session(data, self.device, subject=str(path))
            opened.append(network)
        kind = import_session("sam", "SamSession")
        encoder, decoder = opened
        return with_networks(kind, encoder=encoder, decoder=decoder)(self.name)

    def at(self, hints: Hints, size: Size) -> Segmenter:
        """Build the segmenter for hints in a photo of this size."""
        return _PromptedSam(self, hints, size)

    def mask(self, image: Image.Image, prompt: list[dict[str, object]]) -> Image.Image:
        """Predict a mask (L, the picture's size) without soft edges."""
        with self._making:
            session = self._session
        try:
            mask: Image.Image = session.predict(image, sam_prompt=prompt)[0]
            self._proven = True
        except Exception as error:  # onnxruntime raises its own kinds, none of them public
            devices.raise_device_fault(error, self.device, self.name)
            if self._proven:  # a fault of the picture, or a passing one of the device
                raise
            raise ModelUnavailable(
                f"it failed on a picture ({str(error)[:200]})", "Run: photio-prep models verify", subject="model sam"
            ) from error
        return mask


class _PromptedSam:
    """Segmenter for the hints of one photo."""

    name = Sam.name

    def __init__(self, sam: Sam, hints: Hints, size: Size) -> None:
        self._sam, self._hints, self._size = sam, hints, size

    @property
    def device(self) -> str:
        """The device that it runs on."""
        return self._sam.device

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """Predict the marked product (L, the picture's size), for refinement."""
        prompt = self._hints.prompt(image.width / self._size.width, image.height / self._size.height)
        mask = self._sam.mask(image, prompt)
        grain = max(image.width / _INPUT.width, image.height / _INPUT.height) * _MASK_SCALE
        # The mask is thresholded; its edge is accurate to about one pixel of the network.
        soft = mask.filter(ImageFilter.GaussianBlur(grain / 2))
        soft.info["grain"] = grain
        return soft


@cache
def load_sam(device: Device = "auto") -> Sam:
    """Get SAM on a device, one instance per process."""
    return Sam(device)


def select_model(model: str | Segmenter | Sam, hints: Hints, photo: Photo) -> Segmenter:
    """Choose the segmenter: SAM for hints, else the model."""
    if hints:
        hints.check(photo.size, photo.source)
        chosen = load_sam() if model == "auto" else model
        if not isinstance(chosen, Sam):
            raise UsageError("points and boxes are for SAM only", "Leave the model out, or the points and the box")
        return chosen.at(hints, photo.size)
    if isinstance(model, Sam):
        raise UsageError("SAM cannot know where the product is", "Give a point or a box")
    return get_model(model) if isinstance(model, str) else model
