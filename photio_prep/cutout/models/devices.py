"""A network, and a device -> a session that really runs there: rembg's, onnxruntime's own, or OpenVINO's.

Raises ModelUnavailable for weights that do not load, and for a device that was asked for and is not used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from photio_prep.cutout.models import openvino, rembg_sessions
from photio_prep.errors import ModelUnavailable
from photio_prep.system import environment, files

Device = Literal["auto", "cpu", "cuda", "openvino", "coreml"]

# By name: onnxruntime's provider, and what brings it. Fastest first: the order in which "auto" tries. OpenVINO is asked
# by its own package, which does not replace onnxruntime as onnxruntime-openvino does.
_PROVIDERS: dict[Device, tuple[str, str]] = {
    "cuda": ("CUDAExecutionProvider", 'Run: pip install "onnxruntime-gpu[cuda,cudnn]"; it needs an NVIDIA driver'),
    "coreml": ("CoreMLExecutionProvider", "Use a Mac; its onnxruntime brings CoreML along"),
    "openvino": ("", 'Run: pip install "photio-prep[openvino]"'),
    "cpu": ("CPUExecutionProvider", "Run: pip install onnxruntime"),
}

# An ONNX network of one Identity: whether a device works at all.
_SMALLEST = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


def session(
    data: bytes, device: Device = "auto", *, subject: str = "", rounded: bool = False
) -> tuple[Any, Device, str]:
    """A session on the network `data`, the device that it really runs on, and why "auto" got no better one.

    onnxruntime falls back to the CPU without a word that a program could read when a provider's libraries are missing;
    here a device asked for by name must be the session's first provider in the end, or it is an error.

    Args:
        data: The ONNX file's bytes, verified by whoever passes them.
        device: "auto" takes the fastest that is offered and that works. OpenVINO is faster only where it may round.
        subject: What messages call the weights.
        rounded: Whether the network keeps its quality when it is computed with bfloat16.

    Raises:
        ModelUnavailable: The bytes are no network, or the device named is not there or not really used.
    """
    return _choose(device, lambda name: _opened(data, name, subject, rounded=rounded), rounded=rounded)


def rembg_session(
    kind: Any,  # noqa: ANN401  rembg has no types
    model: str,
    path: Path,
    device: Device = "auto",
    *,
    identity: tuple[int, ...] | None = None,
    rounded: bool = False,
) -> tuple[Any, Device, str]:
    """A session of rembg's class `kind` on the weights at `path`, made by its own constructor; the rest as `session`.

    OpenVINO, which rembg's constructor does not know, takes the place of its `inner_session`.

    Args:
        kind: A session class with one network in `inner_session`.
        model: What the session calls its model.
        path: The ONNX file, verified by whoever passes it: rembg's constructor takes a path, and no bytes.
        device: As in `session`.
        identity: The file's `files.identity` before it was verified; None where nobody changes it.
        rounded: As in `session`.

    Raises:
        ModelUnavailable: As `session`, or the file cannot be read or is not the one that was verified any more.
    """
    subject = str(path)

    def build(name: Device) -> Any:  # noqa: ANN401
        if name == "openvino":
            network = _opened(path.read_bytes(), name, subject, rounded=rounded)
            return rembg_sessions.with_networks(kind, inner_session=network)(model)
        if name != "cpu":
            # rembg leaves onnxruntime's fallback on: a device that fails would be told on stdout, and the CPU taken.
            _opened(_SMALLEST, name, subject, rounded=False)
        with _explained(name, subject):
            built = rembg_sessions.with_weights(kind, path)(
                model, _options(name), providers=_providers(name), model_path=str(path)
            )
        built.inner_session.disable_fallback()
        _check_used(built.inner_session, name)
        return built

    try:
        opened = _choose(device, build, rounded=rounded)
        if identity is not None and files.identity(path) != identity:
            raise ModelUnavailable("it changed while it was loaded", "Run this again", subject=subject)
    except OSError as error:
        raise ModelUnavailable(f"cannot be read ({error.strerror})", "Check it", subject=subject) from error
    return opened


_Session = TypeVar("_Session")


def _choose(device: Device, build: Callable[[Device], _Session], *, rounded: bool) -> tuple[_Session, Device, str]:
    if device != "auto":
        return build(device), device, ""
    faults = []
    for name in [each for each in _PROVIDERS if each != "cpu" and _offered(each)]:
        try:
            if name == "openvino" and not (rounded and openvino.rounds()):
                continue
            return build(name), name, ""
        except ModelUnavailable as error:
            faults.append(f"{name} is installed but not used: {error.found}")
    return build("cpu"), "cpu", "; ".join(faults)


def offered() -> tuple[Device, ...]:
    """The devices that what is installed was built for, fastest first; whether they work, a session tells."""
    return tuple(filter(_offered, _PROVIDERS))


def _offered(name: Device) -> bool:
    if name == "openvino":
        return openvino.installed()
    import onnxruntime

    found: list[str] = onnxruntime.get_available_providers()
    return _PROVIDERS[name][0] in found


def _opened(data: bytes, name: Device, subject: str, *, rounded: bool) -> Any:  # noqa: ANN401  neither has types
    import onnxruntime

    _, fix = _PROVIDERS[name]
    if not _offered(name):
        has = ", ".join(offered())
        raise ModelUnavailable(
            f"nothing installed runs on {name} (what is there: {has})", fix, subject=f"--device {name}"
        )
    if name == "openvino":
        try:
            return openvino.Compiled(data, rounded=rounded, threads=environment.threads())
        except Exception as error:  # OpenVINO raises RuntimeError and its own kinds
            raise ModelUnavailable(f"it failed ({_brief(error)})", fix, subject="--device openvino") from error
    with _explained(name, subject):
        # Without enable_fallback=0 a failure is printed to stdout and hidden by a second try on the CPU.
        network = onnxruntime.InferenceSession(data, _options(name), providers=_providers(name), enable_fallback=0)
    _check_used(network, name)
    return network


def _providers(name: Device) -> list[str]:
    """A second provider takes what the first cannot run."""
    return list(dict.fromkeys([_PROVIDERS[name][0], _PROVIDERS["cpu"][0]]))


@contextmanager
def _explained(name: Device, subject: str) -> Iterator[None]:
    """Raise ModelUnavailable for whatever onnxruntime raises while it loads."""
    try:
        yield
    except Exception as error:  # onnxruntime raises its own kinds, none of them public
        if name != "cpu":
            fix = _PROVIDERS[name][1]
            raise ModelUnavailable(f"it failed ({_brief(error)})", fix, subject=f"--device {name}") from error
        raise ModelUnavailable(
            f"the weights do not load ({_brief(error)})", "Run: photio-prep models verify", subject=subject
        ) from error


def _check_used(network: Any, name: Device) -> None:  # noqa: ANN401
    """Raise ModelUnavailable unless the session's first provider is the device's."""
    provider, fix = _PROVIDERS[name]
    used = network.get_providers()
    if not used or used[0] != provider:
        raise ModelUnavailable(
            f"onnxruntime would run on {', '.join(used)} instead, because its libraries do not load",
            fix,
            subject=f"--device {name}",
        )


def _options(name: Device) -> Any:  # noqa: ANN401
    import onnxruntime

    options = _frugal(onnxruntime.SessionOptions()) if name == "cpu" else onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return options


def _frugal(options: Any) -> Any:  # noqa: ANN401
    """The options with which a network takes two thirds of the memory in the same time (measurements/speed.md)."""
    _arena()
    # Grown by what is needed and not by powers of two, and without one block planned for a whole run.
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.enable_mem_pattern = False
    # onnxruntime takes every core by itself: several workers of one machine would get in each other's way.
    options.intra_op_num_threads = environment.threads()
    # A thread that waits busily for its next part takes the processor from whoever decodes and encodes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


@cache
def _arena() -> None:
    """Have the memory that frugal sessions share, once for the whole process; others never ask for it."""
    import onnxruntime

    where = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    as_asked = {"max_mem": 0, "arena_extend_strategy": 1, "initial_chunk_size_bytes": -1}
    onnxruntime.create_and_register_allocator(
        where, onnxruntime.OrtArenaCfg(as_asked | {"max_dead_bytes_per_chunk": -1})
    )


def _brief(error: Exception) -> str:
    return str(error).strip().replace("\n", " ")[:200]
