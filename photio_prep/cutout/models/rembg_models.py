"""`rembg:NAME`: any session of rembg, on weights in rembg's folder, through rembg's own `predict`.

Their licence is unknown unless the catalogue has the same model. Their weights are verified if rembg publishes a hash.
`auto` never selects one.
"""

import threading
from collections.abc import Collection
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from photio_prep.cutout.models import catalog, devices, rembg_sessions
from photio_prep.cutout.models.catalog import PREFIX
from photio_prep.cutout.models.devices import Device
from photio_prep.errors import ModelUnavailable, UsageError
from photio_prep.system import files


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """Weights in rembg's folder. `checked`: rembg publishes a hash, and it matches."""

    path: Path
    identity: tuple[int, ...]
    sha256: str
    checked: bool


class RembgModel:
    """Segmenter on the session `name` of rembg, of class `kind`; verifies its weights at the first picture."""

    def __init__(self, name: str, kind: Any, device: Device = "auto") -> None:  # noqa: ANN401
        self.name = self.asked = f"{PREFIX}{name}"
        self.device: Device = device
        self.fallback = ""
        self._kind = kind
        self._making, self._turn = threading.Lock(), threading.Lock()

    @cached_property
    def file(self) -> VerifiedFile:
        """The verified weights; ModelUnavailable if they are missing or damaged."""
        fault = "its weights are not installed"
        for path in rembg_sessions.weights_paths(self._kind):
            if path.exists():
                try:
                    return _verify(self._kind, path)
                except (OSError, ValueError) as error:
                    fault = f"{path} is damaged: {error}"
        raise self.unavailable(fault, f"Run: photio-prep models pull {self.name}, or")

    @property
    def target(self) -> Path:
        """Path of the installed weights, else that to which rembg downloads them."""
        paths = [*rembg_sessions.weights_paths(self._kind)]
        return next(filter(Path.exists, paths), paths[0])

    @property
    def installed(self) -> bool:
        """Whether the weights are installed and verified."""
        with suppress(ModelUnavailable):
            return self.file is not None
        return False

    @property
    def sha256(self) -> str:
        """Hash of the weights."""
        return self.file.sha256

    @cached_property
    def session(self) -> Any:  # noqa: ANN401  rembg has no types
        """Session, created by its own constructor at the first use."""
        name = self.name.removeprefix(PREFIX)
        session, self.device, self.fallback = devices.rembg_session(
            self._kind, name, self.file.path, self.device, identity=self.file.identity
        )
        return session

    def __call__(self, image: Image.Image, /) -> Image.Image:
        """Predict alpha (L, the picture's size) of an RGB picture with rembg: the union of its masks."""
        with self._making:
            session = self.session
        # Large networks take turns on a CPU, as in OnnxSegmenter. rembg divides by zero on a blank picture.
        with self._turn if self.device == "cpu" else nullcontext(), np.errstate(all="ignore"):
            try:
                masks: list[Image.Image] = session.predict(image)
            except Exception as error:  # onnxruntime raises its own kinds, none of them public
                devices.raise_device_fault(error, self.device, self.name)
                raise
        return reduce(ImageChops.lighter, masks)

    def pull(self, *, offline: bool = False) -> VerifiedFile:
        """Have rembg download the weights unless verified ones are installed."""
        try:
            return self.file
        except ModelUnavailable as error:
            if offline:
                problem = f"{error.problem}; they would have to be fetched, and --offline forbids that"
                raise self.unavailable(problem, "Connect to the network, or") from None
        try:
            return _verify(self._kind, rembg_sessions.download(self._kind))
        except Exception as error:  # requests' errors, pooch's ValueError, rembg's ImportError, OSError
            reason = f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
            raise self.unavailable(f"rembg could not fetch it ({reason})", "Connect to the network, or") from error

    def unavailable(self, problem: str, fix: str) -> ModelUnavailable:
        """Build the error that names the file and its folder."""
        file = self.target
        return ModelUnavailable(
            problem, f"{fix} copy {file.name} into {file.parent} and run this again", subject=f"model {self.name}"
        )


def open_rembg(model: str, device: Device = "auto", accepted: Collection[str] = ()) -> RembgModel:
    """Open the model `rembg:NAME` without loading its weights.

    Raises:
        UsageError: rembg has no such session, or it needs more than its name, or its licence must be accepted.
    """
    name, registry = model.removeprefix(PREFIX), rembg_sessions.import_all()
    subject = f"--model {model}"
    if name not in registry:
        near = get_close_matches(name, registry, 1)
        hint = f"Did you mean {PREFIX}{near[0]}? " if near else ""
        names = ", ".join(session for session in registry if not _refusal(session, registry[session]))
        raise UsageError(f"rembg has no session {name!r}", f"{hint}Choose one of: {names}", subject=subject)
    if refusal := _refusal(name, registry[name]):
        raise UsageError(*refusal, subject=subject)
    if row := _find_row(name):
        catalog.check_licence(row, accepted)
    return RembgModel(name, registry[name], device)


def licence(model: str) -> str:
    """Of a `rembg:NAME`, by the catalogue's row of the same model."""
    row = _find_row(model.removeprefix(PREFIX))
    return row.licence if row else "unknown: ask its authors"


def _find_row(name: str) -> catalog.Weights | None:
    return next((row for row in catalog.catalog() if row.name == name), None)


def _refusal(name: str, kind: Any) -> tuple[str, str] | None:  # noqa: ANN401
    """Why a session of rembg needs more than its name, and the fix; None if it does not."""
    if name == "sam":
        return "it needs a point or a box", "Use --point or --box without --model"
    if name.endswith("_custom"):
        return "it needs a file of weights", "Give it: --model PATH --family u2net|isnet|birefnet"
    if hasattr(kind, "is_local") and not kind.is_local():
        return "it sends the photo to a company that bills for it", "Choose a model that runs here"
    return None


def _verify(kind: Any, path: Path) -> VerifiedFile:  # noqa: ANN401
    """Compare the weights at `path` with rembg's hash; ValueError if they differ."""
    path = path.resolve(strict=True)
    identity = files.file_identity(path)
    _, strong, weak = catalog.quality_rank(path)
    pin = rembg_sessions.published_hash(kind)
    if pin and pin not in (f"sha256:{strong}", f"md5:{weak}"):
        algorithm, _, digest = pin.partition(":")
        actual = strong if algorithm == "sha256" else weak
        raise ValueError(f"{algorithm} {actual[:12]}… instead of {digest[:12]}…")
    return VerifiedFile(path, identity, strong, checked=pin is not None)
