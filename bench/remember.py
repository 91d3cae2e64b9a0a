"""What networks answered, kept in a folder by their input, so that a bench that is run again does not run them."""

from hashlib import sha1
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photio_prep.cutout.models.segmenter import OnnxSegmenter

Planes = NDArray[np.float32]


class RememberingSession:
    """A session of one input and one wanted output, in place of onnxruntime's; outputs are kept as 16 bit floats."""

    def __init__(self, session: Any, folder: Path) -> None:  # noqa: ANN401  neither runtime has types
        self._session, self._folder = session, folder
        folder.mkdir(parents=True, exist_ok=True)

    def get_inputs(self) -> Any:  # noqa: ANN401
        return self._session.get_inputs()

    def get_outputs(self) -> Any:  # noqa: ANN401
        """The first; both rembg and we need no other for a cutout."""
        return self._session.get_outputs()[:1]

    def run(self, _names: list[str] | None, feed: dict[str, Planes]) -> list[Planes]:
        (values,) = feed.values()
        file = self._folder / f"{sha1(values.tobytes()).hexdigest()}.npz"
        if not file.exists():
            output = self._session.run([self._session.get_outputs()[0].name], feed)[0]
            np.savez_compressed(file, output=output.astype(np.float16))
        with np.load(file) as kept:
            return [kept["output"].astype(np.float32)]


def remember_outputs(segmenter: OnnxSegmenter, folder: Path) -> None:
    """Make a segmenter answer from `folder` what it was once asked."""
    session, weights = segmenter.open(), digest_files(segmenter.path)
    session.inner_session = RememberingSession(session.inner_session, folder / f"{segmenter.name}-{weights}")


def digest_files(*paths: Path) -> str:
    """Twelve digits that tell what the files hold."""
    return sha1(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]
