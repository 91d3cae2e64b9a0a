"""Models by name: of the catalogue, "auto", `rembg:NAME`, or a file of weights.

A model verifies and loads its weights at its first picture, and is cached for the process.
"""

import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol

from PIL import Image

from photio_prep.cutout.models import catalog, weights
from photio_prep.cutout.models.catalog import PREFIX, is_rembg
from photio_prep.cutout.models.devices import Device
from photio_prep.cutout.models.rembg_models import RembgModel, open_rembg
from photio_prep.cutout.models.segmenter import OnnxSegmenter
from photio_prep.errors import ModelUnavailable, PhotioError, UsageError
from photio_prep.settings import models_folder
from photio_prep.system import files


class CatalogModel:
    """Segmenter of the catalogue, or of the user's own weights; `row` None: the best that is installed."""

    def __init__(self, row: catalog.Weights | None, folder: Path, device: Device = "auto") -> None:
        self._row = row
        self._folder = folder
        self._device = device
        # The requested name: "auto" stays "auto", even if a better model is installed later.
        self.asked = row.name if row else "auto"
        self._opening = threading.Lock()

    @cached_property
    def _weights(self) -> catalog.Weights:
        return self._row or weights.best_installed(self._folder)

    @cached_property
    def _segmenter(self) -> OnnxSegmenter:
        row = self._weights
        if row.family == "sam":
            fix = "Use --point or --box without --model"
            raise UsageError("it needs a point or a box", fix, subject=f"model {row.name}")
        path = weights.weights_path(row, self._folder)
        # Read before the bytes are verified: rembg loads by path, and the file may change in between.
        identity = files.file_identity(path) if weights.is_installed(row, self._folder) else None
        weights.verify_weights(row, self._folder)
        return OnnxSegmenter(path, row.family, row.name, identity=identity, device=self._device)

    @property
    def name(self) -> str:
        """Of the model that is used; reading it loads nothing."""
        return self._weights.name

    @property
    def sha256(self) -> str | None:
        """Of the weights, pinned."""
        return self._weights.sha256

    @property
    def device(self) -> str:
        """The device that it runs on; before the first picture, the requested one."""
        return self._segmenter.device

    @property
    def fallback(self) -> str:
        """Why "auto" did not take a faster installed device; empty if it did."""
        return self._segmenter.fallback

    @property
    def is_open(self) -> bool:
        """Whether the weights are verified and loaded."""
        return "_segmenter" in self.__dict__ and "session" in self._segmenter.__dict__

    def open(self) -> OnnxSegmenter:
        """Verify and load the weights, once."""
        with self._opening:
            self._segmenter.open()
            return self._segmenter

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """Predict alpha (L, the picture's size) of an RGB picture."""
        return self.open()(image)


Model = CatalogModel | RembgModel


@cache
def get_model(
    model: str = "auto", family: str | None = None, *, device: Device = "auto", accepted: tuple[str, ...] = ()
) -> Model:
    """Get a model, one instance per process; the arguments are those of ModelOptions.

    Raises:
        UsageError: There is no such model or family, or its licence has to be accepted first.
        ModelUnavailable: rembg is not installed.
    """
    if family is None and model == "auto":
        return CatalogModel(None, models_folder(), device)
    if family is None and is_rembg(model):
        return open_rembg(model, device, accepted)
    row = catalog.find_weights(model) if family is None else catalog.own_weights(Path(model), family)
    catalog.check_licence(row, accepted)
    return CatalogModel(row, models_folder(), device)


def open_early(model: object) -> None:
    """Load a model of the catalogue before its first picture, to which any error is left."""
    with suppress(PhotioError):
        chosen = get_model(model) if isinstance(model, str) else model
        if isinstance(chosen, CatalogModel):
            chosen.open()


def second_model(name: str, *, device: Device = "auto", accepted: tuple[str, ...] = ()) -> Model:
    """Get the best installed model of the catalogue other than `name`; ModelUnavailable if there is none."""
    folder = models_folder()
    for row in catalog.catalog():
        allowed = row.commercial is not False or row.name in accepted
        if row.name != name.removeprefix(PREFIX) and allowed and weights.is_installed(row, folder):
            return get_model(row.name, device=device, accepted=accepted)
    raise ModelUnavailable(
        "a second opinion needs a second model", "Run: photio-prep models pull u2netp", subject="--second-opinion"
    )


class Named(Protocol):
    """A model whose name is looked up only when it is read."""

    @property
    def name(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model cuts out, and where it runs.

    `model`: "auto" (the best installed one, in the catalogue's order), a name of the catalogue, `rembg:NAME` (any
    session of rembg), or with `family` the path of the user's own weights. `device`: a named device that is not used is
    an error at the first picture. `accepted`: models whose licence forbids commercial use and is accepted.
    `second_opinion`: ask another model, too. `pull`: fetch the weights first. `offline`: never use the network.
    """

    model: str = "auto"
    family: str | None = None
    device: Device = "auto"
    accepted: tuple[str, ...] = ()
    second_opinion: bool = False
    pull: bool = False
    offline: bool = False

    def load(self) -> Model:
        """Get the model; its weights are loaded at the first picture."""
        return get_model(self.model, self.family, device=self.device, accepted=self.accepted)

    def load_second(self, first: Named) -> Model | None:
        """Get the model for a second opinion beside `first`, if the user wants one."""
        return second_model(first.name, device=self.device, accepted=self.accepted) if self.second_opinion else None
