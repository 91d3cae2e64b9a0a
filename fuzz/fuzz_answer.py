"""Atheris asks for answers of the API that make `wire.answer` raise anything but the errors that say what they cost.

make fuzz                                     # both targets, a minute each
.venv/bin/python fuzz/fuzz_answer.py CORPUS   # for as long as you like; libFuzzer's own options may follow
"""

import base64
import io
import json
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["photio_prep"]):
    from PIL import Image

    from photio_prep.api import wire
    from photio_prep.errors import KeyRefused, OutcomeUnknown, PaidUnusable, Rejected
    from photio_prep.geometry import Size

SIZE = Size(24, 20)
TOLD = (OutcomeUnknown, PaidUnusable, KeyRefused, Rejected)


def seeds(folder: Path) -> None:
    """Answers as the API gives them, good and bad."""
    holder = io.BytesIO()
    Image.linear_gradient("L").resize(SIZE).convert("RGB").save(holder, "PNG")
    body = base64.b64encode(holder.getvalue()).decode()
    answers = ({"status_code": 200, "body": body}, {"status_code": 500, "body": "x"}, {"status_code": 401}, [1, None])
    for number, answer in enumerate(answers):
        (folder / str(number)).write_bytes(json.dumps(answer).encode())
    (folder / "prefixed").write_bytes(
        json.dumps({"status_code": "200", "body": "data:image/png;base64," + body}).encode()
    )


def one(data: bytes) -> None:
    """Judge one answer, as it is and as the picture inside a good one."""
    inside = json.dumps({"status_code": 200, "body": base64.b64encode(data).decode()}).encode()
    for raw in (data, inside):
        try:
            image = wire.parse_answer(raw, SIZE)
        except TOLD as error:
            assert error.problem
        else:
            assert (image.mode, image.size) == ("RGB", SIZE)


def main() -> None:
    """Fuzz, from our own seeds where no corpus is named."""
    if all(each.startswith("-") for each in sys.argv[1:]):
        corpus = Path(tempfile.mkdtemp(prefix="photio-fuzz-"))
        seeds(corpus)
        sys.argv.append(str(corpus))
    atheris.Setup([sys.argv[0], "-timeout=10", "-rss_limit_mb=2048", *sys.argv[1:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
