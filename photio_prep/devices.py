"""The bytes of a network, and a device -> a session of onnxruntime that really runs there.

Takes weights as bytes and the name of a device; gives a session. Touches the device's memory.
Raises ModelUnavailable for weights that do not load, and for a device that was asked for and is not used.
"""

from typing import Any, Literal

from photio_prep.errors import ModelUnavailable

Device = Literal["auto", "cpu", "cuda", "openvino", "coreml"]

# By name: onnxruntime's provider, and what brings it. Fastest first: the order in which "auto" tries.
_PROVIDERS: dict[Device, tuple[str, str]] = {
    "cuda": ("CUDAExecutionProvider", 'Run: pip install "onnxruntime-gpu[cuda,cudnn]"; it needs an NVIDIA driver'),
    "coreml": ("CoreMLExecutionProvider", "Use a Mac; its onnxruntime brings CoreML along"),
    "openvino": ("OpenVINOExecutionProvider", "Run: pip install onnxruntime-openvino"),
    "cpu": ("CPUExecutionProvider", "Run: pip install onnxruntime"),
}


def session(data: bytes, device: Device = "auto", *, subject: str = "") -> tuple[Any, Device, str]:
    """A session on the network `data`, the device that it really runs on, and why "auto" got no better one.

    onnxruntime falls back to the CPU without a word that a program could read when a provider's libraries are missing;
    here a device asked for by name must be the session's first provider in the end, or it is an error.

    Args:
        data: The ONNX file's bytes, verified by whoever passes them.
        device: "auto" takes the fastest that onnxruntime offers and that works.
        subject: What messages call the weights.

    Raises:
        ModelUnavailable: The bytes are no network, or the device named is not there or not really used.
    """
    if device != "auto":
        return _opened(data, device, subject), device, ""
    faults = []
    for name in [each for each in _PROVIDERS if each != "cpu" and _offered(each)]:
        try:
            return _opened(data, name, subject), name, ""
        except ModelUnavailable as error:
            faults.append(f"{name} is installed but not used: {error.found}")
    return _opened(data, "cpu", subject), "cpu", "; ".join(faults)


def offered() -> tuple[Device, ...]:
    """The devices that the installed onnxruntime was built for, fastest first; whether they work, a session tells."""
    return tuple(filter(_offered, _PROVIDERS))


def _offered(name: Device) -> bool:
    import onnxruntime

    found: list[str] = onnxruntime.get_available_providers()
    return _PROVIDERS[name][0] in found


def _opened(data: bytes, name: Device, subject: str) -> Any:  # noqa: ANN401  onnxruntime has no types
    import onnxruntime

    provider, fix = _PROVIDERS[name]
    if not _offered(name):
        has = ", ".join(offered())
        raise ModelUnavailable(f"this onnxruntime has no {name} (it has: {has})", fix, subject=f"--device {name}")
    options = onnxruntime.SessionOptions()
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


def _brief(error: Exception) -> str:
    return str(error).strip().replace("\n", " ")[:200]
