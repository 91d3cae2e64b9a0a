"""Try the README's first lines as a newcomer does: word for word, with the wheel, on a machine without the checkout.

    python tests/support/wheel.py

Builds the wheel and runs the README's first shell block from an empty folder. Its first line is `pipx install
photio-prep`: pipx makes an empty environment and pip installs from the package index. A constraint makes pip take the
wheel that was just built under that name, whatever the index has. `make wheel` runs this.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from PIL import Image, ImageOps

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from photio_prep.settings import models_folder  # noqa: E402
from tests.support.markdown import iter_blocks  # noqa: E402

INSTALL = "pipx install photio-prep"
PHOTO, FINAL = "sample.jpg", "photio-out/sample-photio.jpg"
PATIENCE = 600  # seconds for one step: the first installation of all dependencies takes 30 to 120


def main() -> None:
    """Run the block and check what it promises; a failure ends with a traceback."""
    start = time.monotonic()
    block = next(block for block in iter_blocks(ROOT / "README.md") if block.language == "sh")
    assert block.text.startswith(f"{INSTALL}\n"), f"README.md:{block.line} does not begin with `{INSTALL}`"
    with tempfile.TemporaryDirectory(prefix="photio-wheel-") as scratch:
        folder = Path(scratch) / "empty"
        folder.mkdir()
        variables = prepare_machine(Path(scratch), build_wheel(Path(scratch) / "dist"))
        run(["bash", "-e", "-x", "-c", block.text], folder, variables)
        check_files(folder)
        check_origin(Path(scratch), variables)
    print(f"wheel: the README's first {len(block.text.splitlines())} lines passed in {time.monotonic() - start:.0f} s")


def build_wheel(folder: Path) -> Path:
    """Build the wheel from the checkout."""
    run([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)], ROOT, dict(os.environ))
    (wheel,) = folder.glob("*.whl")
    return wheel


def prepare_machine(scratch: Path, wheel: Path) -> dict[str, str]:
    """Install pipx, and return the environment of a user who has nothing else; weights come from the user's cache."""
    tools = scratch / "tools"
    venv.create(tools, with_pip=True)
    pip = [str(tools / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "pipx>=1.7"], scratch, dict(os.environ))
    constraints = scratch / "constraints.txt"
    constraints.write_text(f"photio-prep @ {wheel.as_uri()}\n")
    hidden = ("PYTHON", "PHOTIO_", "VIRTUAL_ENV", "PIPX_")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | {
        "PATH": os.pathsep.join([str(scratch / "bin"), str(tools / "bin"), "/usr/bin", "/bin"]),
        "PIPX_HOME": str(scratch / "pipx"),
        "PIPX_BIN_DIR": str(scratch / "bin"),
        "PIP_CONSTRAINT": str(constraints),
        "PHOTIO_MODELS": str(models_folder()),
        "XDG_CONFIG_HOME": str(scratch / "config"),
        "XDG_STATE_HOME": str(scratch / "state"),
    }


def run(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    """Run a command, show its output, and return its stdout; it must end with 0."""
    done = subprocess.run(
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"exit {done.returncode}: {' '.join(command)}\n{done.stdout}")
    return done.stdout


def check_files(folder: Path) -> None:
    """Check that the sample and its final exist, and that the final has the size of the photo."""
    with Image.open(folder / PHOTO) as photo, Image.open(folder / FINAL) as final:
        final.load()
        size = ImageOps.exif_transpose(photo).size
        assert final.size == size, f"{FINAL} has {final.size}, the photo {size}"


def check_origin(scratch: Path, variables: dict[str, str]) -> None:
    """Check that the package came from the wheel and not from the checkout."""
    python = next((scratch / "pipx" / "venvs" / "photio-prep" / "bin").glob("python"))
    home = run([str(python), "-I", "-c", "import photio_prep; print(photio_prep.__file__)"], scratch, variables).strip()
    assert Path(home).is_relative_to(scratch), home
    assert not (Path(home).parents[1] / "pyproject.toml").exists(), home


if __name__ == "__main__":
    main()
