"""Atheris asks for pictures that make `decode.picture` raise anything but PhotoRefused, hang, or crash.

    make fuzz                                   # both targets, a minute each
    .venv/bin/python fuzz/fuzz_load.py CORPUS   # for as long as you like; libFuzzer's own options may follow

Decoders run in this process here: a crash is what is looked for.
"""

import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["photio_prep", "PIL"]):
    from PIL import Image

    from photio_prep.errors import PhotoRefused
    from photio_prep.imaging.decode import Limits, decode_picture

LIMITS = replace(Limits(), pixels=250_000, isolate="none")


def seeds(folder: Path) -> None:
    """A small picture of each format."""
    image = Image.linear_gradient("L").resize((24, 20)).convert("RGB")
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"):
        holder = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        more = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "AVIF") else {}
        image.save(holder, kind, **more)
        (folder / kind).write_bytes(holder.getvalue())


def one(data: bytes) -> None:
    """Judge one file."""
    frame = data[-1] % 4 if data and data[-1] > 200 else None
    try:
        found = decode_picture(data, LIMITS, frame)
    except PhotoRefused as error:
        assert error.problem
        assert error.fix
    else:
        assert found.image.mode in ("RGB", "RGBA")


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
