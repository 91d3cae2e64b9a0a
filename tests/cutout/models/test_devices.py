"""A GPU that fails while a network runs: the photo's own outcome, or a clear stop."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from photio_prep.cutout.matte import matte
from photio_prep.cutout.models import devices
from photio_prep.cutout.models.rembg_models import RembgModel
from photio_prep.cutout.models.sam import Sam
from photio_prep.cutout.models.segmenter import OnnxSegmenter
from photio_prep.errors import ModelUnavailable, SegmenterFailed
from photio_prep.geometry import Size
from photio_prep.types import Photo
from tests.support import photos

# As onnxruntime, CUDA and cuDNN word them.
FULL = (
    "Non-zero status code returned while running Conv node. Name:'conv1' Status Message: CUDNN failure 4:"
    " CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ; GPU=0",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Available memory of 12 is smaller than requested: out of memory",
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=box ; expr=cudaMalloc((void**)&p, size);",
    "bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 67108864",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
)
LOST = (
    "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=box",
    "CUDA error cudaErrorLaunchFailure:unspecified launch failure",
    "CUDNN failure 8: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0",
    "CUDA failure 999: unknown error ; GPU=0",
)


class _Port:
    name = "x"


class _FailingNetwork:
    """A network on a GPU that fails with a text of onnxruntime's."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_inputs(self) -> list[_Port]:
        return [_Port()]

    get_outputs = get_inputs

    def run(self, *_: object) -> None:
        raise RuntimeError(self._text)


class _Session:
    def __init__(self, text: str) -> None:
        self.inner_session = _FailingNetwork(text)


def segment_on(text: str, device: devices.Device) -> None:
    segmenter = OnnxSegmenter(Path("u2netp.onnx"), "u2net", "u2netp", device=device)
    segmenter.__dict__["session"] = _Session(text)
    matte(Photo(photos.photo((90, 70)), "shoe.jpg", "0" * 64, "JPEG"), Size(90, 70), segmenter)


@pytest.mark.parametrize("text", FULL)
def test_a_gpu_without_memory_is_the_photos_own_outcome(text: str) -> None:
    with pytest.raises(SegmenterFailed, match=r"shoe\.jpg.*GPU's memory.*--device cpu; the other photos go on"):
        segment_on(text, "cuda")


@pytest.mark.parametrize("text", LOST)
def test_a_lost_gpu_is_a_clear_stop(text: str) -> None:
    with pytest.raises(ModelUnavailable, match=r"--device cuda: the GPU failed .*nvidia-smi"):
        segment_on(text, "cuda")


@pytest.mark.parametrize(("text", "error"), [(FULL[2], SegmenterFailed), (LOST[0], ModelUnavailable)])
def test_rembg_s_sessions_and_sam_fail_alike(text: str, error: type[Exception]) -> None:
    class Failing:
        def predict(self, *_: object, **__: object) -> None:
            raise RuntimeError(text)

    network, sam = RembgModel("u2netp", None, "cuda"), Sam("cuda")
    network.__dict__["session"] = sam.__dict__["_session"] = Failing()
    with pytest.raises(error, match="GPU"):
        network(photos.photo())
    with pytest.raises(error, match="GPU"):
        sam.mask(photos.photo(), [])


def test_the_same_words_on_a_processor_are_no_fault_of_a_gpu() -> None:
    with pytest.raises(ModelUnavailable, match="it failed on a picture"):
        segment_on(FULL[2], "cpu")
    with pytest.raises(ModelUnavailable, match="it failed on a picture"):
        segment_on("Got invalid dimensions for input: x", "cuda")


def test_a_device_is_described_by_its_provider_and_its_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.describe_device("cpu") == "cpu (CPUExecutionProvider)"
    assert devices.describe_device("openvino") == "openvino (its own package)"
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 580.65.06'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert devices.describe_device("cuda") == "cuda (CUDAExecutionProvider; NVIDIA H200, driver 580.65.06)"
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert devices.describe_device("cuda") == "cuda (CUDAExecutionProvider)"


def test_onnxruntime_reports_nothing_to_its_makers(tmp_path: Path) -> None:
    """Its telemetry keeps a device id and a queue of events in the home folder before it sends them."""
    telling = {"ORT_DISABLE_TELEMETRY", "CI", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in telling}
    code = "from photio_prep.cutout.models import devices; print(devices.open_session(devices._SMALLEST)[1])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), [*tmp_path.iterdir()]) == ("cpu", [])
