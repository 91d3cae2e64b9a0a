"""check: report whether key, model, endpoint, output folder and versions are usable."""

import importlib.metadata
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from photio_prep import settings
from photio_prep.api import credentials
from photio_prep.batch import clients
from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import option
from photio_prep.cutout.models import catalog, devices, weights
from photio_prep.errors import ModelUnavailable, PhotioError, UsageError
from photio_prep.orders.options import PayOptions
from photio_prep.system.text import escape_controls


@click.command("check")
@option("--model", "The model to check.", default="auto")
@option("--device", options.DEVICE, default="auto")
@options.api_url
@options.key_file
@options.out
@options.console_options
def check_command(
    model: str, device: devices.Device, api_url: str | None, key_file: Path | None, out: Path, console: Console
) -> int:
    """What works, what does not, and what to do. Sends nothing; costs nothing."""

    def report(name: str, run_check: Callable[[], str]) -> None:
        try:
            message, ok = run_check(), True
        except PhotioError as error:
            message, ok = str(error), False
            console.codes.append(error.exit_code)
        text = f"{'ok ' if ok else 'NO '} {name:<9} {escape_controls(message)}"
        console.show(text, {"check": name, "ok": ok, "found": message})

    report("versions", _list_versions)
    report("settings", _check_settings)
    report("model", lambda: _check_model(model, device))
    report("out", lambda: _check_out(out))
    report("endpoint", lambda: clients.endpoint(PayOptions(api_url=api_url)))
    report("key", lambda: _check_key(key_file))
    return console.exit_code


def _list_versions() -> str:
    versions = [f"Python {platform.python_version()} on {sys.platform}"]
    for name in ("photio-prep", "pillow", "numpy", "rembg", "onnxruntime", "onnxruntime-gpu", "openvino", "requests"):
        with suppress(importlib.metadata.PackageNotFoundError):  # onnxruntime-gpu takes the place of onnxruntime
            versions.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(versions)


def _check_settings() -> str:
    gate, path = settings.gate(None), settings.config_file()
    bundle = settings.ca_bundle()
    if bundle and not Path(bundle).exists():
        raise UsageError(
            "no such file of certificates", "Check PHOTIO_CA_BUNDLE, or `ca_bundle` in photio.toml", bundle
        )
    return f"{path}{'' if path.exists() else ' (not there)'}, gate {gate}"


def _check_model(name: str, device: devices.Device) -> str:
    import time

    from PIL import Image

    from photio_prep.cutout.models.registry import get_model
    from photio_prep.errors import NoProduct

    folder = settings.models_folder()
    if not catalog.is_rembg(name):
        name = weights.best_installed(folder).name if name == "auto" else name
        weights.verify_weights(catalog.find_weights(name), folder)
    model = get_model(name, device=device, accepted=(name.removeprefix(catalog.PREFIX),))
    seconds = []
    for _ in range(2):  # the first loads it
        start = time.perf_counter()
        # rembg's own `predict` reports a product in every image.
        with suppress(NoProduct):
            model(Image.new("RGB", (64, 64), "white"))
            if not catalog.is_rembg(name):
                raise ModelUnavailable("it reports a product in a blank image", "Use another --model", subject=name)
        seconds.append(time.perf_counter() - start)
    loads = max(seconds[0] - seconds[1], 0)
    where = devices.describe_device(model.device) + (f" ({model.fallback})" if model.fallback else "")
    return f"{name}, verified, on {where}: loads in {loads:.1f} s, {seconds[1]:.2f} s for one inference"


def _check_out(out: Path) -> str:
    from photio_prep.system import files

    new_folders = [folder for folder in (out, *out.parents) if not folder.exists()]
    probe = out / ".photio-check"
    files.write_atomic(probe, b"")
    files.remove(probe)
    for folder in new_folders:
        folder.rmdir()
    return f"{out} can be written"


def _check_key(key_file: Path | None) -> str:
    key = credentials.load_key(key_file)
    return "a key is set" + ("" if key.has_known_prefix else ", but it does not start with pt-, as Photio's keys do")
