"""Sessions of networks on a device: rembg's, onnxruntime's own, or OpenVINO's.

ModelUnavailable is raised for weights that do not load, and for a device that is named but not used.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from photio_prep.cutout.models import openvino, rembg_sessions
from photio_prep.errors import ModelUnavailable, SegmenterFailed
from photio_prep.system import environment, files

Device = Literal["auto", "cpu", "cuda", "openvino", "coreml"]

# onnxruntime's provider of each device, and how to install it; "auto" tries them in this order, fastest first. OpenVINO
# is used through its own package, which does not replace onnxruntime as onnxruntime-openvino does.
_PROVIDERS: dict[Device, tuple[str, str]] = {
    "cuda": (
        "CUDAExecutionProvider",
        'Run: pip install "onnxruntime-gpu[cuda,cudnn]", which needs an NVIDIA driver; before driver 580'
        ' "onnxruntime-gpu[cuda,cudnn]<1.27"',
    ),
    "coreml": ("CoreMLExecutionProvider", "Use a Mac; its onnxruntime includes CoreML"),
    "openvino": ("", 'Run: pip install "photio-prep[openvino]"'),
    "cpu": ("CPUExecutionProvider", "Run: pip install onnxruntime"),
}

# Texts of CUDA, cuDNN, cuBLAS and onnxruntime's arena, in errors of no public kind.
_OUT_OF_MEMORY = re.compile(r"out of memory|alloc(ation)?_?failed|failed to allocate", re.IGNORECASE)
_LOST = re.compile(r"\b(cuda|cudnn|cublas|cufft|curand)\w* *(failure|error|status)|cudaError|gpu=\d", re.IGNORECASE)
_FREE_MEMORY = "Close other programs on the GPU, or use --device cpu"

# An ONNX network of one Identity, to test whether a device works.
_SMALLEST = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


class NetworkFile(NamedTuple):
    """Weights to open on a device. `identity`, `rounded`: see `rembg_session`."""

    path: Path
    device: Device
    rounded: bool = False
    identity: tuple[int, ...] | None = None

    def open(self) -> Any:  # noqa: ANN401
        """Open the network, with onnxruntime's interface."""
        try:
            data = self.path.read_bytes()
            changed = self.identity not in (None, files.file_identity(self.path))
        except OSError as error:
            raise ModelUnavailable(f"cannot be read ({error.strerror})", "Check it", subject=str(self.path)) from error
        if changed:
            raise ModelUnavailable("it changed while it was loaded", "Run this again", subject=str(self.path))
        return _open_network(data, self.device, str(self.path), rounded=self.rounded)


# Devices whose networks another process opens and runs, and how this one gets at them: see batch.shared_session.
OPENERS: dict[Device, Callable[[NetworkFile], Any]] = {}


def open_session(
    data: bytes, device: Device = "auto", *, subject: str = "", rounded: bool = False
) -> tuple[Any, Device, str]:
    """Open a session: returns it, the device it runs on, and why "auto" did not take a faster one.

    `subject`: the weights, in messages. `rounded`: the network keeps its quality with bfloat16; only then OpenVINO is
    faster, and taken by "auto".
    """
    return _open_on(device, lambda name: _open_network(data, name, subject, rounded=rounded), rounded=rounded)


def rembg_session(
    kind: Any,  # noqa: ANN401  rembg has no types
    model: str,
    path: Path,
    device: Device = "auto",
    *,
    identity: tuple[int, ...] | None = None,
    rounded: bool = False,
) -> tuple[Any, Device, str]:
    """Open a session of rembg's class `kind`, with one network in `inner_session`; otherwise like `open_session`.

    rembg's constructor takes a path, no bytes. `identity`: `files.file_identity` of the file before it was verified, so
    that no other file is loaded; None skips this check. On OpenVINO, and from another process, the network is replaced.
    """
    subject = str(path)

    def build(name: Device) -> Any:  # noqa: ANN401
        if name == "openvino" or name in OPENERS:
            network = OPENERS.get(name, NetworkFile.open)(NetworkFile(path, name, rounded, identity))
            return rembg_sessions.with_networks(kind, inner_session=network)(model)
        if name != "cpu":
            # rembg leaves onnxruntime's fallback on: a failing device would print to stdout and use the CPU.
            _open_network(_SMALLEST, name, subject, rounded=False)
        with _translated_errors(name, subject):
            built = rembg_sessions.with_weights(kind, path)(
                model, _session_options(name), providers=_providers(name), model_path=str(path)
            )
        built.inner_session.disable_fallback()
        _check_used(built.inner_session, name)
        return built

    try:
        opened = _open_on(device, build, rounded=rounded)
        if identity is not None and files.file_identity(path) != identity:
            raise ModelUnavailable("it changed while it was loaded", "Run this again", subject=subject)
    except OSError as error:
        raise ModelUnavailable(f"cannot be read ({error.strerror})", "Check it", subject=subject) from error
    return opened


def _open_on(device: Device, build: Callable[[Device], Any], *, rounded: bool) -> tuple[Any, Device, str]:
    if device != "auto":
        return build(device), device, ""
    faults: list[str] = []
    for name in [name for name in _PROVIDERS if name != "cpu" and _is_offered(name)]:
        try:
            if name == "openvino" and not (rounded and openvino.rounds_to_bfloat16()):
                continue
            return build(name), name, "; ".join(faults)
        except ModelUnavailable as error:
            faults.append(f"{name} is installed but not used: {error.problem}")
    return build("cpu"), "cpu", "; ".join(faults)


def available_devices() -> tuple[Device, ...]:
    """List the devices that the installed packages were built for, fastest first. They may still fail."""
    return tuple(filter(_is_offered, _PROVIDERS))


def _is_offered(name: Device) -> bool:
    if name == "openvino":
        return openvino.is_available()
    providers: list[str] = rembg_sessions.load_onnxruntime().get_available_providers()
    return _PROVIDERS[name][0] in providers


def _open_network(data: bytes, name: Device, subject: str, *, rounded: bool) -> Any:  # noqa: ANN401  neither has types
    onnxruntime = rembg_sessions.load_onnxruntime()
    _, fix = _PROVIDERS[name]
    if not _is_offered(name):
        has = ", ".join(available_devices())
        raise ModelUnavailable(
            f"no installed package runs on {name} (installed: {has})", fix, subject=f"--device {name}"
        )
    if name == "openvino":
        try:
            return openvino.CompiledModel(data, rounded=rounded, threads=environment.thread_limit())
        except Exception as error:  # OpenVINO raises RuntimeError and its own kinds
            raise ModelUnavailable(f"it failed ({_shorten(error)})", fix, subject="--device openvino") from error
    if name == "cuda":
        _load_cuda_libraries()
    with _translated_errors(name, subject):
        # Without enable_fallback=0 a failure is printed to stdout and hidden by a second try on the CPU.
        network = onnxruntime.InferenceSession(
            data, _session_options(name), providers=_providers(name), enable_fallback=0
        )
    _check_used(network, name)
    return network


@cache
def _load_cuda_libraries() -> None:
    """Load NVIDIA's libraries from their Python packages, where onnxruntime's provider does not look by itself."""
    if preload := getattr(rembg_sessions.load_onnxruntime(), "preload_dlls", None):  # from 1.21 on
        preload()  # it prints what it does not find


def _providers(name: Device) -> list[str]:
    """The device's provider, and the CPU's for operations that the first cannot run."""
    return list(dict.fromkeys([_PROVIDERS[name][0], _PROVIDERS["cpu"][0]]))


@contextmanager
def _translated_errors(name: Device, subject: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # onnxruntime raises its own kinds, none of them public
        if name != "cpu":
            fix = _FREE_MEMORY if _OUT_OF_MEMORY.search(str(error)) else _PROVIDERS[name][1]
            raise ModelUnavailable(f"it failed ({_shorten(error)})", fix, subject=f"--device {name}") from error
        raise ModelUnavailable(
            f"the weights do not load ({_shorten(error)})", "Run: photio-prep models verify", subject=subject
        ) from error


def _check_used(network: Any, name: Device) -> None:  # noqa: ANN401
    """Refuse another provider: onnxruntime falls back to the CPU without the libraries, and says so on stdout only."""
    provider, fix = _PROVIDERS[name]
    used = network.get_providers()
    if not used or used[0] != provider:
        raise ModelUnavailable(
            f"onnxruntime would run on {', '.join(used)} instead, because its libraries do not load",
            fix,
            subject=f"--device {name}",
        )


def _session_options(name: Device) -> Any:  # noqa: ANN401
    """On the CPU, options that need two thirds of the memory in the same time (measurements/speed.md)."""
    onnxruntime = rembg_sessions.load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if name == "cpu":
        _register_arena()
        # The arena grows by what is needed, not by powers of two, and no single block is planned for a run.
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.enable_mem_pattern = False
        # By default onnxruntime takes every core; several workers on one machine would compete.
        options.intra_op_num_threads = environment.thread_limit()
        # Spinning threads take the processor from those that decode and encode.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


@cache
def _register_arena() -> None:
    """Register the allocator that the sessions of this process share."""
    onnxruntime = rembg_sessions.load_onnxruntime()
    kinds = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    growth = {"max_mem": 0, "arena_extend_strategy": 1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", *kinds), onnxruntime.OrtArenaCfg(growth))


def raise_device_fault(error: Exception, device: str, subject: str) -> None:
    """Raise for a GPU that failed while a network ran; return for any other error.

    Raises:
        SegmenterFailed: The GPU ran out of memory: another photo, or the same one later, may succeed.
        ModelUnavailable: It is lost: every later call would fail too.
    """
    if device not in ("cuda", "coreml"):
        return
    if _OUT_OF_MEMORY.search(str(error)):
        problem = f"the model {subject} ran out of the GPU's memory on it"
        raise SegmenterFailed(problem, f"{_FREE_MEMORY}; the other photos go on") from error
    if _LOST.search(str(error)):
        problem = f"the GPU failed ({_shorten(error)}); nothing was sent for this photo"
        fix = "Look at the driver with nvidia-smi, and run the same command again, or use --device cpu"
        raise ModelUnavailable(problem, fix, subject=f"--device {device}") from error


def describe_device(device: str) -> str:
    """Describe what a network runs on: its provider, and of an NVIDIA GPU the card and its driver."""
    provider = next((provider for name, (provider, _) in _PROVIDERS.items() if name == device), "")
    text = f"{device} ({provider or 'its own package'}"
    tool = shutil.which("nvidia-smi") if device == "cuda" else None
    if tool:
        query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
        with suppress(OSError, subprocess.SubprocessError):
            lines = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()  # noqa: S603
            text += "".join(f"; {', driver '.join(line.split(', ', 1))}" for line in lines)
    return f"{text})"


def _shorten(error: Exception) -> str:
    return str(error).strip().replace("\n", " ")[:200]
