"""The bytes of a network -> the same network compiled by OpenVINO for this processor."""

import importlib.util
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# OpenVINO's bindings look up numpy when a tensor's data is first asked for, and where two threads ask at once, one
# waits for the other while it holds Python's lock: nothing runs any more, and no signal is heard. So the first asks
# alone.
_FIRST = Lock()


class Named(NamedTuple):
    """An input or output of a network, as onnxruntime tells it."""

    name: str


class Compiled:
    """A network on OpenVINO's processor plugin; it may be asked from several threads.

    Args:
        data: The ONNX file's bytes.
        rounded: It may be computed with bfloat16, on processors that do: twice as fast, with 8 bits of precision.
        threads: How many it uses; 0 for as many as there are cores.
    """

    def __init__(self, data: bytes, *, rounded: bool, threads: int = 0) -> None:
        import openvino

        core = openvino.Core()
        precision = "bf16" if rounded and rounds() else "f32"
        wishes = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        wishes |= {"INFERENCE_NUM_THREADS": str(threads)} if threads else {}
        whole = core.read_model(data)
        # ISNet has eleven outputs besides that nobody asks for, and computing them takes two fifths of its time.
        asked = openvino.Model([whole.outputs[0]], whole.get_parameters())
        self._network: Any = core.compile_model(asked, "CPU", wishes)
        with _FIRST:
            first = self._network.create_infer_request()
            _ = first.get_input_tensor(0).data
        self._idle: list[Any] = [first]
        self._lock = Lock()

    def get_inputs(self) -> list[Named]:
        """The names of its inputs."""
        return [Named(each.get_any_name()) for each in self._network.inputs]

    def get_outputs(self) -> list[Named]:
        """The name of the one output that is computed: the network's first."""
        return [Named(each.get_any_name()) for each in self._network.outputs]

    def run(self, _: list[str] | None, feeds: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Its first output, for the inputs by name."""
        with self._lock:
            request = self._idle.pop() if self._idle else self._network.create_infer_request()
        try:
            return [np.array(request.infer(feeds)[0])]
        finally:
            with self._lock:
                self._idle.append(request)


def installed() -> bool:
    """Whether OpenVINO is there; it is not loaded."""
    return importlib.util.find_spec("openvino") is not None


def rounds() -> bool:
    """Whether this processor computes with bfloat16."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
