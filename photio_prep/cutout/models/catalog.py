"""The model catalogue: names, licences, hashes, sources."""

import os
import stat
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from hashlib import md5, sha256
from importlib import resources
from pathlib import Path
from typing import Literal, cast, get_args

from photio_prep.cutout.models.download import KINDS, Source
from photio_prep.errors import UsageError

Family = Literal["u2net", "isnet", "birefnet"]
# SAM's two networks work only together, with a point or a box: not a family for a user's own weights.
Kind = Literal["u2net", "isnet", "birefnet", "sam"]

# Prefix of the name of a rembg session (rembg_models).
PREFIX = "rembg:"


def is_rembg(name: str) -> bool:
    """Whether the model is one of rembg's sessions."""
    return name.startswith(PREFIX)


@dataclass(frozen=True, slots=True)
class Weights:
    """One row of the catalogue, or the user's own file.

    `input`: side of the network's square input. `size`: bytes. None: unknown. `auto`: `pull_best` tries it.
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
    """List the models that need no point or box, best first."""
    return _load_table("model")


def sam_weights() -> tuple[Weights, ...]:
    """List SAM's two networks: encoder of the picture, then decoder of the points."""
    return _load_table("pointed")


@cache
def _load_table(table: str) -> tuple[Weights, ...]:
    packaged = resources.files("photio_prep.cutout.models") / "catalog.toml"
    checkout = Path(__file__).parents[3] / "models" / "catalog.toml"
    text = (packaged if packaged.is_file() else checkout).read_text(encoding="utf-8")
    rows = tomllib.loads(text)[table]
    for row in rows:
        row["sources"] = tuple(KINDS[source.pop("kind")](**source) for source in row["sources"])
    return tuple(Weights(**row) for row in rows)


def find_weights(name: str) -> Weights:
    """Look up a model of the catalogue; raise UsageError if there is none of that name."""
    for weights in (*catalog(), *sam_weights()):
        if weights.name == name:
            return weights
    names = ", ".join(weights.name for weights in catalog())
    fix = f"Choose one of: auto, {names}; or rembg:{name} for the session of rembg of that name"
    raise UsageError(f"there is no model {name!r}", fix)


def own_weights(file: Path, family: str) -> Weights:
    """Describe the user's own ONNX file, pinned to its present bytes."""
    if family not in get_args(Family):
        choices = ", ".join(get_args(Family))
        raise UsageError(f"{family!r} is not a family", f"Choose one of: {choices}")
    try:
        size, sha, _ = quality_rank(file.resolve(strict=True))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read ({error})", "Give an ONNX file", subject=f"--model {file}") from error
    side = 320 if family == "u2net" else 1024
    licence = "not known: your own file"
    return Weights(file.stem, cast("Family", family), str(file.resolve()), side, licence, size=size, sha256=sha)


def check_licence(weights: Weights, accepted: Collection[str]) -> None:
    """Raise UsageError if the licence forbids commercial use and is not accepted by the model's name.

    The user's own file is also checked against the catalogue, by its SHA-256.
    """
    same = [row for row in catalog() if row.sha256 and row.sha256 == weights.sha256]
    for row in (weights, *same):
        if row.commercial is False and row.name not in accepted:
            problem = f"its licence ({row.licence}, {row.licence_url}) forbids commercial use without a contract"
            fix = f"Choose another model, or accept it with --accept-licence {row.name}"
            raise UsageError(problem, fix, subject=f"model {row.name}")


def quality_rank(file: Path, keep: list[bytes] | None = None, *, weak: bool = True) -> tuple[int, str, str]:
    """Measure a file: size, SHA-256, MD5 ("" unless `weak`). ValueError unless it is regular; `keep` gets its bytes."""
    if file.is_symlink():
        raise ValueError("it is a symbolic link")
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    size, strong, second = 0, sha256(), md5(usedforsecurity=False)
    with open(handle, "rb") as stream:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a regular file")
        while data := stream.read(1 << 20):
            size += len(data)
            strong.update(data)
            if weak:
                second.update(data)
            if keep is not None:
                keep.append(data)
    return size, strong.hexdigest(), second.hexdigest() if weak else ""
