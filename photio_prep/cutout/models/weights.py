"""Weights on disk: install, pin and verify the files of the catalogue."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

from photio_prep.cutout.models.catalog import Weights, catalog, check_licence, quality_rank
from photio_prep.cutout.models.download import Progress, Sink, Source, SourceFailed, storage_failed
from photio_prep.errors import ModelUnavailable
from photio_prep.system.files import sync, sync_folder, write_atomic

_SCRATCH = ".pull-"


def default_folder() -> Path:
    """Of weights, in the user's cache."""
    return platformdirs.user_cache_path("photio-prep", appauthor=False) / "models"


def weights_path(weights: Weights, folder: Path | None = None) -> Path:
    """Path of the weights, installed or not."""
    return (folder or default_folder()) / weights.file


def pinned_hash(weights: Weights, folder: Path | None = None) -> str | None:
    """SHA-256 of the weights: the catalogue's, else the one recorded at the first pull, else None."""
    if weights.sha256:
        return weights.sha256
    try:
        text = _pin_path(weights_path(weights, folder)).read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    return text[:64] if re.match(r"[0-9a-f]{64}\b", text) else None


def is_installed(weights: Weights, folder: Path | None = None) -> bool:
    """Whether anything is at the weights' path; `verify_weights` checks it."""
    return os.path.lexists(weights_path(weights, folder))


def verify_weights(weights: Weights, folder: Path | None = None, keep: list[bytes] | None = None) -> Path:
    """Verify the weights against their pin; returns their path, and appends their bytes to `keep`."""
    file, pin = weights_path(weights, folder), pinned_hash(weights, folder)
    again = f"Run: photio-prep models pull {weights.name}" if weights.sources else "Give the file again with --model"
    subject = f"model {weights.name}"
    if not is_installed(weights, folder):
        raise ModelUnavailable("its weights are not installed", again, subject=subject)
    try:
        fault = _describe_fault(weights, pin, *quality_rank(file, keep, weak=weights.md5 is not None))
    except (OSError, ValueError) as error:
        fault = str(error)
    if fault:
        raise ModelUnavailable(f"{file} is damaged: {fault}", again, subject=subject)
    if pin is None:
        raise ModelUnavailable(f"no SHA-256 is pinned yet for {file}", again, subject=subject)
    return file


def read_weights(weights: Weights, folder: Path | None = None) -> tuple[Path, bytes]:
    """Read the weights: their path and the verified bytes."""
    pieces: list[bytes] = []
    return verify_weights(weights, folder, pieces), b"".join(pieces)


def best_installed(folder: Path | None = None) -> Weights:
    """Select the best installed model whose licence allows commercial use; ModelUnavailable if there is none."""
    for weights in catalog():
        if weights.commercial is not False and is_installed(weights, folder):
            return weights
    raise ModelUnavailable("no model is installed", "Run: photio-prep models pull auto", subject="model auto")


def pull_best(
    folder: Path | None = None,
    *,
    offline: bool = False,
    progress: Progress | None = None,
    on_skip: Callable[[ModelUnavailable], None] | None = None,
) -> Weights:
    """Install the best available model: an installed one better than u2netp, else the first whose pull succeeds.

    A host that did not answer is not tried again. `on_skip` is called for each better model that is not available.

    Raises:
        ModelUnavailable: None is available; the message gives each model's reasons.
    """
    for weights in catalog():
        if weights.commercial is not False and weights.family != "u2net" and _find_verified(weights, folder):
            return weights
    silent: set[str] = set()
    faults: list[ModelUnavailable] = []
    for weights in catalog():
        if weights.auto:
            try:
                pull_weights(weights, folder, offline=offline, progress=progress, silent=silent)
            except ModelUnavailable as error:
                faults.append(error)
                if on_skip:
                    on_skip(error)
            else:
                return weights
    problem = "no model is available: " + "; ".join(f"{fault.subject}: {fault.problem}" for fault in faults)
    raise ModelUnavailable(problem, _manual_fix(folder or default_folder(), "a model's file"), subject="model auto")


def _manual_fix(folder: Path, file: str) -> str:
    return f"Connect to the network, or copy {file} into {folder} and run this again"


def pull_weights(
    weights: Weights,
    folder: Path | None = None,
    *,
    offline: bool = False,
    accept_licence: bool = False,
    progress: Progress | None = None,
    silent: set[str] | None = None,
) -> Path:
    """Download the weights from their sources in order, unless verified ones are installed; returns their path.

    Several processes may pull the same weights at once: each writes its own file, and renames it after verification.
    `silent`: hosts that did not answer, which are not tried again.

    Raises:
        UsageError: The licence forbids commercial use and is not accepted.
        ModelUnavailable: `offline`, or no source has the right file; the message gives each source's reason.
        StorageFailed: The folder cannot be written.
    """
    subject, silent = f"model {weights.name}", set() if silent is None else silent
    check_licence(weights, (weights.name,) if accept_licence else ())
    if ready := _find_verified(weights, folder):
        return ready
    target = weights_path(weights, folder)
    fix = _manual_fix(target.parent, target.name)
    if offline:
        raise ModelUnavailable("it would have to be fetched, and --offline forbids that", fix, subject=subject)
    faults = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target.parent)
        for source in weights.sources:
            if source.place in silent:
                faults.append(f"{source.place}: did not answer before")
                continue
            with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=target.parent) as scratch:
                try:
                    return _publish(weights, source, target, Path(scratch), progress)
                except SourceFailed as error:
                    faults.append(f"{source.place}: {_shorten(str(error))}")
                    if error.unreachable:
                        silent.add(source.place)
    except OSError as error:
        raise storage_failed(error, target.parent) from error
    raise ModelUnavailable(f"no source gave it ({'; '.join(faults)})", fix, subject=subject)


def _publish(weights: Weights, source: Source, target: Path, scratch: Path, progress: Progress | None) -> Path:
    """Download into `scratch`, verify, pin at the first pull, and rename to `target`."""
    part = scratch / "part"
    with part.open("wb") as file:
        source.fetch(Sink(file, weights.size, progress), scratch)
        sync(file)
    size, sha, weak = quality_rank(part)
    if fault := _describe_fault(weights, pinned_hash(weights, target.parent), size, sha, weak):
        raise SourceFailed(f"it has another file: {fault}")
    _record_pin(weights, target, sha)
    part.replace(target)
    sync_folder(target.parent)
    return target


def _find_verified(weights: Weights, folder: Path | None) -> Path | None:
    """Path of verified weights, or None; a file copied there by the user is pinned first if its MD5 matches."""
    target = weights_path(weights, folder)
    if weights.md5 and pinned_hash(weights, folder) is None and is_installed(weights, folder):
        try:
            size, sha, weak = quality_rank(target)
        except (OSError, ValueError):
            return None
        if not _describe_fault(weights, None, size, sha, weak):
            _record_pin(weights, target, sha)
    try:
        return verify_weights(weights, folder)
    except ModelUnavailable:
        return None


def _pin_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _record_pin(weights: Weights, target: Path, sha: str) -> None:
    """Pin weights that the catalogue pins by MD5 only, in the format of `sha256sum`."""
    if pinned_hash(weights, target.parent) is None:
        write_atomic(_pin_path(target), f"{sha}  {target.name}\n".encode("ascii"))


def _describe_fault(weights: Weights, pin: str | None, size: int, sha: str, weak: str) -> str:
    """Describe how size and hashes differ from the expected ones; "" if they match."""
    if weights.size is not None and size != weights.size:
        return f"{size:,} bytes instead of {weights.size:,}"
    if pin is not None and sha != pin:
        return f"SHA-256 {sha[:12]}… instead of {pin[:12]}…"
    if weights.md5 and weak != weights.md5:
        return f"MD5 {weak[:12]}… instead of {weights.md5[:12]}…"
    return "" if pin or weights.md5 else "no hash is known for it"


def _remove_stale(folder: Path) -> None:
    """Remove scratch folders of pulls killed a day ago, by the file system's clock, which may differ from ours."""
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as fresh:
        now = Path(fresh).stat().st_mtime
        for left in folder.glob(f"{_SCRATCH}*"):
            if not left.is_symlink() and now - left.stat().st_mtime > 86400:
                shutil.rmtree(left, ignore_errors=True)


def _shorten(text: str) -> str:
    """Shorten to 200 characters and remove user name and password from URLs."""
    text = re.sub(r"//[^/@\s]+@", "//", text)
    return text if len(text) <= 200 else f"{text[:199]}…"
