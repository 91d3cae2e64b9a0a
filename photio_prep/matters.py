"""A model's name -> a matter with checked weights.

Takes a name of the catalogue, "auto" or a file of weights; gives a matter that loads at its first picture and is kept
for the whole process. Touches the weights' file. Raises UsageError for an unknown name, ModelUnavailable at the first
picture.
"""

from functools import cache, cached_property
from pathlib import Path

from PIL import Image

from photio_prep import weights
from photio_prep.settings import models_folder
from photio_prep.stages.matte import RembgMatter


class CatalogueMatter:
    """A matter by name: finds and verifies its weights when the first picture comes."""

    def __init__(self, found: weights.Weights | None, folder: Path) -> None:
        self._found = found
        self._folder = folder

    @cached_property
    def _matter(self) -> RembgMatter:
        found = self._found or weights.best_installed(self._folder)
        return RembgMatter(weights.verify(found, self._folder), found.family, found.name)

    @property
    def name(self) -> str:
        """The model that is really used."""
        return self._matter.name

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """The alpha (L, the picture's size) of the product in an RGB picture."""
        return self._matter(image)


@cache
def matter_for(model: str = "auto", family: str | None = None) -> CatalogueMatter:
    """The matter of this name, one for the whole process.

    Args:
        model: "auto" (the best that is installed, in the catalogue's order), a name of the catalogue, or, with
            `family`, the path of weights of your own.
        family: "u2net", "isnet" or "birefnet".

    Raises:
        UsageError: There is no such model or family.
    """
    if family is not None:
        return CatalogueMatter(weights.own(Path(model), family), models_folder())
    return CatalogueMatter(None if model == "auto" else weights.by_name(model), models_folder())
