"""What a command loads: nothing that finds products where nothing has to be found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.photos import SCENE, cutout, mask, photo, saved
from tests.support.sampling import sampled

# The network and what comes with it: a second, and hundreds of megabytes.
FINDERS = {
    "rembg",
    "onnxruntime",
    "openvino",
    "numba",
    "llvmlite",
    "pymatting",
    "skimage",
    "_photio_prep_rembg_sessions",
}
CHILD = """
import json, sys
from photio_prep.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    print(json.dumps([left.code or 0, sorted({each.partition(".")[0] for each in sys.modules})]), file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    """The libraries that a command has loaded when it ends, which it does with success."""
    command = [sys.executable, "-c", CHILD, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    code, names = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(names)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_loads_neither_pictures_nor_the_network(arguments: tuple[str, ...]) -> None:
    assert not loaded(*arguments) & (FINDERS | {"numpy", "PIL", "requests", "scipy", "cv2"})


@sampled(
    "arguments", [("sizes",), ("sizes", "4000x3000"), ("prepare", "--help"), ("run", "--help"), ("models", "list")], 3
)
def test_what_says_something_loads_no_finder(arguments: tuple[str, ...]) -> None:
    assert not loaded(*arguments) & (FINDERS | {"scipy", "cv2"})


def test_preparing_loads_nothing_that_sends(tmp_path: Path) -> None:
    assert not loaded("prepare", str(saved(tmp_path / "a.png", cutout())), "-o", str(tmp_path / "out")) & {"requests"}


@pytest.mark.soak
def test_a_photo_with_its_mask_or_alpha_never_needs_a_finder(tmp_path: Path) -> None:
    out, drawn = str(tmp_path / "out"), saved(tmp_path / "mask.png", mask())
    plain, clear = saved(tmp_path / "plain.jpg", photo()), saved(tmp_path / "clear.png", cutout())
    assert not loaded("prepare", str(plain), "--mask", str(drawn), "-o", out) & FINDERS
    assert not loaded("prepare", str(clear), "-o", out) & FINDERS
    assert not loaded("run", str(clear), "--sandbox", "-d", SCENE, "--gate", "off", "-o", out) & FINDERS
    assert (
        not loaded("finish", str(next(Path(out, "orders").glob("*/answer.raw")).parent), "--format", "webp") & FINDERS
    )
    assert not loaded("status", out) & FINDERS


def test_the_finder_is_loaded_where_it_is_needed(tmp_path: Path) -> None:
    """So that the tests above look for the right names."""
    code = (
        "import sys; from photio_prep.cutout.models import rembg_sessions;"
        "rembg_sessions.import_session('u2netp', 'U2netpSession'); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert {"_photio_prep_rembg_sessions", "onnxruntime"} <= set(done.stdout.split())
