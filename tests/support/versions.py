"""The declared versions, tried: the wheel with its extras, in an environment of its own, the whole way on three photos.

`python tests/support/versions.py lowest-direct` installs every direct dependency in the lowest version that
pyproject.toml allows, `highest` everything in the newest. Neither environment knows the checkout. `make versions` does
both.

Of the extras, `cuda` is left out (onnxruntime-gpu installs over onnxruntime's files and needs an NVIDIA driver), and so
is `fixtures` (the renderer of our own fixtures, no part of the product). Weights come from the user's cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
EXTRAS = ("heic", "keyring", "openvino", "ray", "storage")
LEFT_OUT = {"cuda", "fixtures"}
PHOTOS = ("mug.jpg", "pump.png", "flask.webp")
SCENE = "on a marble table, soft morning light, a plain wall behind"
KEY = "pt-versions"
LIMIT = 300  # seconds of one command: Ray's first start takes 20 on two busy cores

# Runs in the environment: each final has the size of its photo.
SIZES = """
import sys
from PIL import Image, ImageOps
for photo, final in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    with Image.open(photo) as before, Image.open(final) as after:
        after.load()
        size = ImageOps.exif_transpose(before).size
        assert after.size == size, (final, after.size, size)
"""
# The library, as its README shows it, with every public name.
LIBRARY = f"""
import sys
import photio_prep
from photio_prep import InstantClient, prepare, run
from photio_prep.sandbox import Sandbox
for name in photio_prep.__all__:
    getattr(photio_prep, name)
order = prepare(sys.argv[1], description={SCENE!r}, model="u2netp")
assert order.canvas.image.mode == "RGBA"
with Sandbox() as sandbox:
    client = InstantClient({KEY!r}, api_url=sandbox.url)
    final = run(sys.argv[1], {SCENE!r}, client=client, model="u2netp")
assert final.image.mode == "RGB"
assert final.image.size == order.placement.source
"""
HEIC = """
import sys
import pillow_heif
from PIL import Image
pillow_heif.register_heif_opener()
with Image.open(sys.argv[1]) as photo:
    photo.convert("RGB").save(sys.argv[2], quality=90)
"""
# A key store of one key, for the extra keyring: a container has none of its own.
STORE = f"""
import keyring.backend
class Store(keyring.backend.KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        return {KEY!r} if (service, username) == ("photio-prep", "PHOTIO_API_KEY") else None
    def set_password(self, service, username, password):
        raise NotImplementedError
    delete_password = set_password
"""
INSTALLED = """
import importlib.metadata, sys
for name in sys.argv[1:]:
    print(name, importlib.metadata.version(name))
"""


class Environment:
    """A virtual environment without the checkout, and an empty folder in which its commands run."""

    def __init__(self, scratch: Path, resolution: str) -> None:
        self.resolution = resolution
        self.bin = scratch / "env" / "bin"
        self.folder = scratch / "work"
        self.folder.mkdir()
        for name in PHOTOS:
            shutil.copy(ROOT / "fixtures" / "photos" / name, self.folder)
        (self.folder / "one_key_store.py").write_text(STORE)
        hidden = ("PYTHON", "PHOTIO_", "VIRTUAL_ENV")
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | {
            "XDG_CONFIG_HOME": str(scratch / "config"),
            "XDG_STATE_HOME": str(scratch / "state"),
            "PHOTIO_GATE": "off",
        }

    def install(self, wheel: Path) -> None:
        """Create the environment and install `wheel` with its extras."""
        uv("venv", "--quiet", "--python", sys.executable, self.bin.parent)
        extras = [word for name in EXTRAS for word in ("--extra", name)]
        # The dependencies from pyproject.toml: of a wheel alone uv would take the wheel's own version as the lowest.
        # Wheels only: a lowest version that has to be compiled is none that users can install.
        uv("pip", "install", "--quiet", "--python", self.bin / "python", "--resolution", self.resolution,
           "--only-binary", ":all:", "--requirements", ROOT / "pyproject.toml", *extras)  # fmt: skip
        uv("pip", "install", "--quiet", "--python", self.bin / "python", "--no-deps", wheel)
        uv("pip", "check", "--quiet", "--python", self.bin / "python")

    def command(
        self, *arguments: object, code: int = 0, variables: Mapping[str, str] = MappingProxyType({})
    ) -> list[str]:
        """Run `photio-prep` and return the lines of its stdout; it must end with `code`."""
        return self._run([self.bin / "photio-prep", *arguments], code, variables)

    def python(self, source: str, *arguments: object) -> list[str]:
        """Run Python source text in the environment."""
        return self._run([self.bin / "python", "-I", "-c", source, *arguments], 0, {})

    def _run(self, command: list[object], code: int, variables: Mapping[str, str]) -> list[str]:
        done = subprocess.run(
            [str(each) for each in command],
            cwd=self.folder,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        if done.returncode != code:
            raise AssertionError(f"exit code {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}")
        return done.stdout.splitlines()

    def check_sizes(self, finals: list[str], photos: tuple[str, ...] = PHOTOS) -> None:
        """Check that there is one final for each photo, and that it has the photo's size."""
        by_stem = {Path(final).name.removesuffix(Path(final).suffix): final for final in finals}
        assert sorted(by_stem) == sorted(f"{Path(photo).stem}-photio" for photo in photos), finals
        self.python(SIZES, *(each for photo in photos for each in (photo, by_stem[f"{Path(photo).stem}-photio"])))

    @contextmanager
    def sandbox(self) -> Iterator[dict[str, str]]:
        """The stand-in of the API as a process; the variables that point a command to it."""
        command = [str(self.bin / "photio-prep"), "sandbox", "--port", "0"]
        with subprocess.Popen(
            command, cwd=self.folder, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as server:
            try:
                assert server.stdout is not None
                address = next(filter(None, (re.search(r"http://\S+", line) for line in server.stdout)))
                yield {"PHOTIO_API_URL": address[0]}
            finally:
                server.kill()


def uv(*arguments: object) -> None:
    """Run uv, which `make versions` installs into .venv."""
    subprocess.run([sys.executable, "-m", "uv", *map(str, arguments)], check=True)


# --- what is tried ---------------------------------------------------------------------------------------------------


def try_whole_way(env: Environment) -> None:
    """Three photos of three formats to three finals, on onnxruntime."""
    env.check_sizes(env.command("run", *PHOTOS, "-d", SCENE, "--sandbox", "--model", "u2netp", "--device", "cpu"))
    assert (env.folder / "photio-out" / "report.json").is_file()


def try_stages_apart(env: Environment) -> None:
    """Prepare, look at the page, generate and finish as commands of their own."""
    orders = env.command("prepare", *PHOTOS, "-o", "apart", "--model", "u2netp", "--frame", "0")
    assert len(orders) == len(PHOTOS)
    env.command("review", "apart")
    assert (env.folder / "apart" / "review.html").is_file()
    env.command("generate", "apart", "-d", SCENE, "--sandbox")
    assert "answered" in " ".join(env.command("status", "apart", "--json"))
    env.check_sizes(env.command("finish", "apart"))
    env.command("finish", "apart", "--preset", "ebay", "--overwrite")


def try_verbs_that_tell(env: Environment) -> None:
    """Verbs that show facts; `check` ends with 5 where there is no key."""
    for words in (["--version"], ["--help"], ["run", "--help"], ["sizes", PHOTOS[0]], ["presets", "show", "ebay"],
                  ["models", "list"], ["models", "verify", "u2netp"], ["status"]):  # fmt: skip
        assert env.command(*words), words
    env.command("check", "--model", "u2netp", code=5)
    env.command("check", "--model", "u2netp", variables={"PHOTIO_API_KEY": KEY})


def try_mistakes(env: Environment) -> None:
    """Usage errors end with 2 and not with a traceback; click reports them in other words from version to version."""
    for words in (["run", "--frame", "second", PHOTOS[0]], ["prepare"], ["run", "--point", "1", PHOTOS[0]], ["none"]):
        env.command(*words, code=2)


def try_library(env: Environment) -> None:
    """Every public name, and the whole way in memory."""
    env.python(LIBRARY, env.folder / PHOTOS[0])


def try_heic(env: Environment) -> None:
    """The extra heic: a HEIC photo is prepared and finished."""
    env.python(HEIC, PHOTOS[0], "phone.heic")
    finals = env.command("run", "phone.heic", "-o", "heic", "-d", SCENE, "--sandbox", "--model", "u2netp")
    assert len(finals) == 1
    env.python(SIZES, PHOTOS[0], finals[0])


def try_keyring(env: Environment) -> None:
    """The extra keyring: the key comes from the key store."""
    store = {"PYTHONPATH": str(env.folder), "PYTHON_KEYRING_BACKEND": "one_key_store.Store"}
    with env.sandbox() as place:
        words = ["-o", "keyring", "-d", SCENE, "--model", "u2netp", "--keyring"]
        env.command("run", PHOTOS[0], *words, variables={**place, **store})


def try_openvino(env: Environment) -> None:
    """The extra openvino: the model really runs on it."""
    (line,) = env.command("prepare", PHOTOS[0], "-o", "openvino", "--model", "u2netp", "--device", "openvino", "--json")
    assert "openvino" in line, line


def try_storage(env: Environment) -> None:
    """The extra storage: finals go to fsspec's store in memory, too."""
    words = ["-d", SCENE, "--sandbox", "--model", "u2netp", "--to", "memory://finals"]
    env.command("run", PHOTOS[0], "-o", "storage", *words)


def try_ray(env: Environment) -> None:
    """The extra ray: the same command on Ray's workers."""
    words = ["-o", "ray", "-d", SCENE, "--sandbox", "--model", "u2netp", "--engine", "ray", "--workers", "1"]
    env.check_sizes(env.command("run", *PHOTOS, *words))


TRIALS: tuple[Callable[[Environment], None], ...] = (
    try_whole_way,
    try_stages_apart,
    try_verbs_that_tell,
    try_mistakes,
    try_library,
    try_heic,
    try_keyring,
    try_openvino,
    try_storage,
    try_ray,
)


# --- the bounds ------------------------------------------------------------------------------------------------------


def lower_bounds() -> dict[str, str]:
    """The lowest version of each direct dependency, and of each of the extras that are tried."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert set(extras) == {*EXTRAS, *LEFT_OUT}, "an extra that is neither tried nor left out for a reason"
    lines = [*project["dependencies"], *(line for name in EXTRAS for line in extras[name])]
    parsed = [re.match(r"([\w-]+)(?:\[[\w,]+\])?>=([\d.]+)", line) for line in lines if "sys_platform" not in line]
    assert all(parsed), lines
    return {each[1]: each[2] for each in parsed if each}


def same(one: str, other: str) -> bool:
    """Whether two version numbers are equal but for zeros at the end."""
    return re.sub(r"(\.0)+$", "", one) == re.sub(r"(\.0)+$", "", other)


def try_bounds(env: Environment) -> None:
    """A lowest version that no installation can have, because another dependency asks for more, was never tried."""
    bounds = lower_bounds()
    versions = dict(line.split() for line in env.python(INSTALLED, *bounds))
    print("  " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    if env.resolution == "lowest-direct":
        untrue = [f"{name}>={low} (installed: {versions[name]})" for name, low in bounds.items()
                  if not same(versions[name], low)]  # fmt: skip
        assert not untrue, f"pyproject.toml allows what cannot be installed: {', '.join(untrue)}"


def main(resolutions: list[str]) -> int:
    """Try the resolutions one after the other, print each trial and its seconds, end with the counts."""
    counts = {"passed": 0, "failed": 0}
    for resolution in resolutions:
        with tempfile.TemporaryDirectory(prefix="photio-versions-") as scratch:
            start = time.monotonic()
            uv("build", "--quiet", "--wheel", "--out-dir", scratch, ROOT)
            (wheel,) = Path(scratch).glob("*.whl")
            env = Environment(Path(scratch), resolution)
            env.install(wheel)
            print(f"{resolution}: installed in {time.monotonic() - start:.0f} s", flush=True)
            env.command("models", "pull", "u2netp")
            for trial in (try_bounds, *TRIALS):
                start = time.monotonic()
                try:
                    trial(env)
                except Exception as error:  # noqa: BLE001  each trial is told apart; all are run
                    counts["failed"] += 1
                    print(f"  FAILED {trial.__name__}: {error}", flush=True)
                else:
                    counts["passed"] += 1
                    print(f"  {trial.__name__}: {time.monotonic() - start:.0f} s", flush=True)
    print(f"versions: {counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["lowest-direct", "highest"]))
