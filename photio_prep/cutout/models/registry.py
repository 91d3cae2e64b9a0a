"""A model's name -> a matter with checked weights, an accepted licence, and a device that is really used."""

from functools import cache, cached_property
from pathlib import Path

from PIL import Image

from photio_prep.cutout.matte import RembgMatter
from photio_prep.cutout.models import catalog, weights
from photio_prep.cutout.models.devices import Device
from photio_prep.errors import ModelUnavailable, UsageError
from photio_prep.settings import models_folder


class CatalogueMatter:
    """A matter by name: finds and verifies its weights when the first picture comes."""

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
    def _matter(self) -> RembgMatter:
        found = self._weights
        if found.family == "sam":
            fix = "Use --point or --box without --model"
            raise UsageError("it has to be told where the product is", fix, subject=f"model {found.name}")
        # What is loaded is what was compared with the pin, byte for byte: the file may change in between.
        path, data = weights.read(found, self._folder)
        return RembgMatter(path, found.family, found.name, data=data, device=self._device)

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
        return self._matter.device

    @property
    def fallback(self) -> str:
        """Why "auto" did not get a faster device that is there; empty where it got the best."""
        return self._matter.fallback

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """The alpha (L, the picture's size) of the product in an RGB picture."""
        return self._matter(image)


@cache
def matter_for(
    model: str = "auto", family: str | None = None, *, device: Device = "auto", accepted: tuple[str, ...] = ()
) -> CatalogueMatter:
    """The matter of this name, one for the whole process.

    Args:
        model: "auto" (the best that is installed, in the catalogue's order), a name of the catalogue, or, with
            `family`, the path of weights of your own.
        family: "u2net", "isnet" or "birefnet".
        device: Where it must run. A device that is named and not really used is an error at the first picture.
        accepted: Names of models whose licence forbids commercial use and is accepted all the same.

    Raises:
        UsageError: There is no such model or family, or its licence has to be accepted first.
    """
    if family is None and model == "auto":
        return CatalogueMatter(None, models_folder(), device)
    found = catalog.by_name(model) if family is None else catalog.own(Path(model), family)
    catalog.refuse_licence(found, accepted)
    return CatalogueMatter(found, models_folder(), device)


def another(name: str, *, device: Device = "auto", accepted: tuple[str, ...] = ()) -> CatalogueMatter:
    """The best installed matter that is not the model `name`: for a second opinion.

    Raises:
        ModelUnavailable: There is only one.
    """
    folder = models_folder()
    for each in catalog.catalog():
        allowed = each.commercial is not False or each.name in accepted
        if each.name != name and allowed and weights.installed(each, folder):
            return matter_for(each.name, device=device, accepted=accepted)
    raise ModelUnavailable(
        "a second opinion needs a second model", "Run: photio-prep models pull u2netp", subject="--second-opinion"
    )
