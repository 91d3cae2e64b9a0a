"""The model catalogue: names, licences, hashes, where from."""

import os
import stat
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from hashlib import md5, sha256
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast, get_args

from photio_prep.cutout.models.download import KINDS, Source
from photio_prep.errors import UsageError

Family = Literal["u2net", "isnet", "birefnet"]
# SAM's two networks go together and want to be told where to look: no family for a model alone.
Kind = Literal["u2net", "isnet", "birefnet", "sam"]

# Before the name of a session of rembg that is used through rembg's own `predict` (rembg_models).
PREFIX = "rembg:"


def is_rembg(name: str) -> bool:
    """Whether a model's name is `rembg:NAME`."""
    return name.startswith(PREFIX)


@dataclass(frozen=True, slots=True)
class Weights:
    """One row of the catalogue, or the user's own file.

    `family` decides how a picture goes in and a mask comes out; `input` is the side of the square network input.
    `sha256`, `md5` and `size` (bytes) are None where not known. `commercial` is None where the publisher does not say.
    `auto`: `pull_best` tries it.
    """

    name: str
    family: Kind
    file: str
    input: int
    licence: str
    sources: tuple[Source, ...] = ()
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    licence_url: str = ""
    commercial: bool | None = None
    auto: bool = False
    note: str = ""


def catalog() -> tuple[Weights, ...]:
    """The models that find a product by themselves, best first."""
    return _table("model")


def pointed() -> tuple[Weights, ...]:
    """The two networks of SAM, which finds what is pointed at: the one for the picture, then the one for points."""
    return _table("pointed")


@cache
def _table(table: str) -> tuple[Weights, ...]:
    packaged = resources.files("photio_prep.cutout.models") / "catalog.toml"
    checkout = Path(__file__).parents[3] / "models" / "catalog.toml"
    text = (packaged if packaged.is_file() else checkout).read_text(encoding="utf-8")
    return tuple(_row(row) for row in tomllib.loads(text)[table])


def _row(row: dict[str, Any]) -> Weights:
    sources = tuple(KINDS[source.pop("kind")](**source) for source in row.pop("sources"))
    return Weights(**row, sources=sources)


def by_name(name: str) -> Weights:
    """The model called `name`.

    Raises:
        UsageError: The catalogue has none of that name.
    """
    for weights in (*catalog(), *pointed()):
        if weights.name == name:
            return weights
    names = ", ".join(weights.name for weights in catalog())
    fix = f"Choose one of: auto, {names}; or rembg:NAME for any session of rembg"
    raise UsageError(f"there is no model {name!r}", fix, subject="--model")


def own(file: Path, family: str) -> Weights:
    """The user's own ONNX file, pinned to the bytes that it has now.

    Raises:
        UsageError: There is no such file, or no such family.
    """
    if family not in get_args(Family):
        choices = ", ".join(get_args(Family))
        raise UsageError(f"{family!r} is no family", f"Choose one of: {choices}", subject="--family")
    try:
        size, sha, _ = measured(file.resolve(strict=True))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read ({error})", "Give an ONNX file", subject=f"--model {file}") from error
    side = 320 if family == "u2net" else 1024
    licence = "not known: your own file"
    return Weights(file.stem, cast("Family", family), str(file.resolve()), side, licence, size=size, sha256=sha)


def refuse_licence(weights: Weights, accepted: Collection[str]) -> None:
    """Do nothing for weights that may be used commercially, or whose licence was accepted by their name.

    A file of the user's own that is one of the catalogue's is held to the catalogue's licence.

    Raises:
        UsageError: The licence forbids commercial use and was not accepted.
    """
    same = [each for each in catalog() if each.sha256 and each.sha256 == weights.sha256]
    for each in (weights, *same):
        if each.commercial is False and each.name not in accepted:
            found = f"its licence ({each.licence}, {each.licence_url}) forbids commercial use without a contract"
            fix = f"Choose another model, or accept it with --accept-licence {each.name}"
            raise UsageError(found, fix, subject=f"model {each.name}")


def measured(file: Path, keep: list[bytes] | None = None) -> tuple[int, str, str]:
    """Size, SHA-256 and MD5 of a regular file; ValueError for anything else, a symbolic link too."""
    if file.is_symlink():
        raise ValueError("it is a symbolic link")
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    size, strong, weak = 0, sha256(), md5(usedforsecurity=False)
    with open(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a regular file")
        while data := stream.read(1 << 20):
            size += len(data)
            strong.update(data)
            weak.update(data)
            if keep is not None:
                keep.append(data)
    return size, strong.hexdigest(), weak.hexdigest()
