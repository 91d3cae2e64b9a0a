"""A model's name -> a Segmenter with verified weights, an accepted licence, and a device that is really used.

A name is one of the catalogue, "auto", `rembg:NAME`, or a file of weights. The Segmenter loads at its first picture and
is kept for the whole process.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol

from PIL import Image

from photio_prep.cutout.matte import OnnxSegmenter
from photio_prep.cutout.models import catalog, weights
from photio_prep.cutout.models.catalog import PREFIX, is_rembg
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.rembg_models import RembgModel, open_rembg
from photio_prep.errors import ModelUnavailable, UsageError
from photio_prep.settings import models_folder
from photio_prep.system import files


class CatalogModel:
    """A Segmenter by its name in the catalogue: finds and verifies its weights when the first picture comes."""

    def __init__(self, found: catalog.Weights | None, folder: Path, device: Device = "auto") -> None:
        self._found = found
        self._folder = folder
        self._device = device
        # What the user asked for: the same wish tomorrow, even when a better model is installed by then.
        self.asked = found.name if found else "auto"

    @cached_property
    def _weights(self) -> catalog.Weights:
        return self._found or weights.best_installed(self._folder)

    @cached_property
    def _segmenter(self) -> OnnxSegmenter:
        row = self._weights
        if row.family == "sam":
            fix = "Use --point or --box without --model"
            raise UsageError("it has to be told where the product is", fix, subject=f"model {row.name}")
        path = weights.path(row, self._folder)
        # Taken before the bytes are compared with the pin: rembg loads by the path, and the file may change in between.
        identity = files.identity(path) if weights.installed(row, self._folder) else None
        weights.verify(row, self._folder)
        return OnnxSegmenter(path, row.family, row.name, identity=identity, device=self._device)

    @property
    def name(self) -> str:
        """The model that is really used; asking for it loads nothing."""
        return self._weights.name

    @property
    def sha256(self) -> str | None:
        """Of the weights, as they are pinned."""
        return self._weights.sha256

    @property
    def device(self) -> str:
        """The device that it really runs on; before the first picture, the one that was asked for."""
        return self._segmenter.device

    @property
    def fallback(self) -> str:
        """Why "auto" did not get a faster device that is there; empty where it got the best."""
        return self._segmenter.fallback

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """The alpha (L, the picture's size) of the product in an RGB picture."""
        return self._segmenter(image)


Model = CatalogModel | RembgModel


@cache
def get_model(
    model: str = "auto", family: str | None = None, *, device: Device = "auto", accepted: tuple[str, ...] = ()
) -> Model:
    """The model of this name, one for the whole process.

    Args:
        model: "auto" (the best that is installed, in the catalogue's order), a name of the catalogue, `rembg:NAME`
            (any session of rembg), or, with `family`, the path of weights of your own.
        family: "u2net", "isnet" or "birefnet".
        device: Where it must run. A device that is named and not really used is an error at the first picture.
        accepted: Names of models whose licence forbids commercial use and is accepted all the same.

    Raises:
        UsageError: There is no such model or family, or its licence has to be accepted first.
        ModelUnavailable: rembg is not installed.
    """
    if family is None and model == "auto":
        return CatalogModel(None, models_folder(), device)
    if family is None and is_rembg(model):
        return open_rembg(model, device, accepted)
    found = catalog.by_name(model) if family is None else catalog.own(Path(model), family)
    catalog.refuse_licence(found, accepted)
    return CatalogModel(found, models_folder(), device)


def second_model(name: str, *, device: Device = "auto", accepted: tuple[str, ...] = ()) -> Model:
    """The best installed model of the catalogue that is not the model `name`: for a second opinion.

    Raises:
        ModelUnavailable: There is only one.
    """
    folder = models_folder()
    for row in catalog.catalog():
        allowed = row.commercial is not False or row.name in accepted
        if row.name != name.removeprefix(PREFIX) and allowed and weights.installed(row, folder):
            return get_model(row.name, device=device, accepted=accepted)
    raise ModelUnavailable(
        "a second opinion needs a second model", "Run: photio-prep models pull u2netp", subject="--second-opinion"
    )


class HasName(Protocol):
    """A model that knows its name; asking for it may look for installed weights."""

    @property
    def name(self) -> str:
        """Of the model that is really used."""
        ...


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model cuts out, and where it runs.

    `model`: a name of the catalogue, "auto", or with `family` the path of weights of your own. `accepted`: models whose
    licence forbids commercial use and is accepted. `second_opinion`: ask another model, too. `pull`: fetch the weights
    first. `offline`: never use the network.
    """

    model: str = "auto"
    family: str | None = None
    device: Device = "auto"
    accepted: tuple[str, ...] = ()
    second_opinion: bool = False
    pull: bool = False
    offline: bool = False

    def load(self) -> Model:
        """The model; its weights are loaded at the first picture.

        Raises:
            UsageError: There is no such model, or its licence has to be accepted first.
        """
        return get_model(self.model, self.family, device=self.device, accepted=self.accepted)

    def load_second(self, first: HasName) -> Model | None:
        """The model for a second opinion beside `first`, where one is asked for.

        Raises:
            ModelUnavailable: No other model is installed.
        """
        return second_model(first.name, device=self.device, accepted=self.accepted) if self.second_opinion else None


DEFAULT_MODEL = ModelOptions()
