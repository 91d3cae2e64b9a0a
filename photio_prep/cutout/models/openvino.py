"""Networks compiled by OpenVINO for this processor, with onnxruntime's session interface."""

import importlib.util
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# OpenVINO's bindings import numpy at the first access to a tensor's data. Two threads that do so at once deadlock while
# one holds Python's global lock, so the first access is serialised.
_FIRST = Lock()


class Port(NamedTuple):
    """Input or output of a network."""

    name: str


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
        # ISNet has eleven more outputs, which are not used and take two fifths of its time.
        first_output = openvino.Model([model.outputs[0]], model.get_parameters())
        self._network: Any = core.compile_model(first_output, "CPU", properties)
        with _FIRST:
            first = self._network.create_infer_request()
            _ = first.get_input_tensor(0).data
        self._idle: list[Any] = [first]
        self._lock = Lock()

    def get_inputs(self) -> list[Port]:
        """As onnxruntime's."""
        return [Port(port.get_any_name()) for port in self._network.inputs]

    def get_outputs(self) -> list[Port]:
        """As onnxruntime's: the first, which alone is computed."""
        return [Port(port.get_any_name()) for port in self._network.outputs]

    def run(self, _: list[str] | None, feeds: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Compute the first output for inputs by name."""
        with self._lock:
            request = self._idle.pop() if self._idle else self._network.create_infer_request()
        try:
            return [np.array(request.infer(feeds)[0])]
        finally:
            with self._lock:
                self._idle.append(request)


def is_available() -> bool:
    """Whether OpenVINO is installed, without importing it."""
    return importlib.util.find_spec("openvino") is not None


def rounds_to_bfloat16() -> bool:
    """Whether this processor supports bfloat16."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
