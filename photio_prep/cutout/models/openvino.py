"""Networks compiled by OpenVINO for this processor, with onnxruntime's session interface."""

import importlib.util
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# OpenVINO's bindings import numpy at the first access to a tensor's data. Two threads that do so at once deadlock while
# one holds Python's global lock, so the first access is serialised.
_FIRST = Lock()


# The side (pixels) up to which features are kept.
_SMALL = 64


class Port(NamedTuple):
    """Input or output of a network; sizes that vary have a name."""

    name: str
    shape: tuple[int | str, ...] = ()


class CompiledModel:
    """A network on OpenVINO's CPU plugin; `run` is thread-safe.

    `rounded`: bfloat16 where supported, twice as fast with 8 bits of precision. `threads`: 0 uses all cores.
    """

    def __init__(self, data: bytes, *, rounded: bool, threads: int = 0) -> None:
        import openvino

        core = openvino.Core()
        precision = "bf16" if rounded and rounds_to_bfloat16() else "f32"
        properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        properties |= {"INFERENCE_NUM_THREADS": str(threads)} if threads else {}
        model = core.read_model(data)
        used = openvino.Model([model.outputs[0], *filter(_is_small, model.outputs[1:])], model.get_parameters())
        self._network: Any = core.compile_model(used, "CPU", properties)
        with _FIRST:
            request = self._network.create_infer_request()
            _ = request.get_input_tensor(0).data
        self._idle: list[Any] = [request]
        self._lock = Lock()

    def get_inputs(self) -> list[Port]:
        """As onnxruntime's."""
        return [Port(port.get_any_name()) for port in self._network.inputs]

    def get_outputs(self) -> list[Port]:
        """As onnxruntime's: the first, and small ones."""
        return [Port(port.get_any_name(), tuple(port.shape)) for port in self._network.outputs]

    def run(self, names: list[str] | None, feeds: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Compute outputs by name (None: all) for inputs by name."""
        with self._lock:
            request = self._idle.pop() if self._idle else self._network.create_infer_request()
        try:
            answer = request.infer(feeds)
            return [np.array(answer[name]) for name in names or [port.name for port in self.get_outputs()]]
        finally:
            with self._lock:
                self._idle.append(request)


def _is_small(port: Any) -> bool:  # noqa: ANN401
    """Whether an output is of features, and small.

    ISNet has eleven outputs beside its mask: five coarser masks, which would take two fifths of its time, and features,
    which it computes anyway.
    """
    shape = tuple(port.shape) if port.partial_shape.is_static else ()
    return len(shape) == 4 and shape[1] > 1 and max(shape[2:]) <= _SMALL


def is_available() -> bool:
    """Whether OpenVINO is installed, without importing it."""
    return importlib.util.find_spec("openvino") is not None


def rounds_to_bfloat16() -> bool:
    """Whether this processor supports bfloat16."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
