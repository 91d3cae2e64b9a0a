"""The bytes of a network, and a device -> a session that really runs there: onnxruntime's, or OpenVINO's."""

from functools import cache
from typing import Any, Literal

from photio_prep.cutout.models import openvino
from photio_prep.errors import ModelUnavailable
from photio_prep.system import environment

Device = Literal["auto", "cpu", "cuda", "openvino", "coreml"]

# By name: onnxruntime's provider, and what brings it. Fastest first: the order in which "auto" tries. OpenVINO is asked
# by its own package, which does not replace onnxruntime as onnxruntime-openvino does.
_PROVIDERS: dict[Device, tuple[str, str]] = {
    "cuda": ("CUDAExecutionProvider", 'Run: pip install "onnxruntime-gpu[cuda,cudnn]"; it needs an NVIDIA driver'),
    "coreml": ("CoreMLExecutionProvider", "Use a Mac; its onnxruntime brings CoreML along"),
    "openvino": ("", 'Run: pip install "photio-prep[openvino]"'),
    "cpu": ("CPUExecutionProvider", "Run: pip install onnxruntime"),
}


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
    if device != "auto":
        return _opened(data, device, subject, rounded=rounded), device, ""
    faults = []
    for name in [each for each in _PROVIDERS if each != "cpu" and _offered(each)]:
        try:
            if name == "openvino" and not (rounded and openvino.rounds()):
                continue
            return _opened(data, name, subject, rounded=rounded), name, ""
        except ModelUnavailable as error:
            faults.append(f"{name} is installed but not used: {error.found}")
    return _opened(data, "cpu", subject, rounded=rounded), "cpu", "; ".join(faults)


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

    provider, fix = _PROVIDERS[name]
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
    options = _frugal(onnxruntime.SessionOptions()) if name == "cpu" else onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # A second provider takes what the first cannot run. Without enable_fallback=0 a failure is printed to stdout and
    # hidden by a second try on the CPU.
    providers = list(dict.fromkeys([provider, _PROVIDERS["cpu"][0]]))
    try:
        made = onnxruntime.InferenceSession(data, options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime raises its own kinds, none of them public
        if name != "cpu":
            raise ModelUnavailable(f"it failed ({_brief(error)})", fix, subject=f"--device {name}") from error
        raise ModelUnavailable(
            f"the weights do not load ({_brief(error)})", "Run: photio-prep models verify", subject=subject
        ) from error
    used = made.get_providers()
    if not used or used[0] != provider:
        raise ModelUnavailable(
            f"onnxruntime would run on {', '.join(used)} instead, because its libraries do not load",
            fix,
            subject=f"--device {name}",
        )
    return made


def _frugal(options: Any) -> Any:  # noqa: ANN401
    """The options with which a network takes two thirds of the memory in the same time (docs/speed.md)."""
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
