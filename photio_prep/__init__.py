"""photio-prep: from a raw product photo to a finished picture.

    >>> from photio_prep import InstantClient, run
    >>> from photio_prep.sandbox import Sandbox
    >>> with Sandbox() as sandbox:  # for the real API: client = InstantClient(key)
    ...     client = InstantClient("pt-any-key", api_url=sandbox.url)
    ...     final = run("shoe.jpg", "on a marble table, soft morning light", client=client)
    >>> final.image.mode, final.image.size  # the size of the photo
    ('RGB', (1200, 900))

All errors are in `photio_prep.errors`, the stand-in of the API in `photio_prep.sandbox`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from photio_prep.api.client import InstantClient
    from photio_prep.batch.run_many import PhotoOutcome, run_many
    from photio_prep.errors import PhotioError
    from photio_prep.final.options import FinishOptions, OutputOptions
    from photio_prep.geometry import Box, Placement, Size
    from photio_prep.options import RunOptions
    from photio_prep.orders.options import PayOptions, PrepareOptions
    from photio_prep.orders.store import Order
    from photio_prep.pipeline import finish, generate, prepare, run
    from photio_prep.review import write_review
    from photio_prep.types import Canvas, Cutout, Final, Matter, Photo, Request, Result, Segmenter, Sender

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Canvas",
    "Cutout",
    "Final",
    "FinishOptions",
    "InstantClient",
    "Matter",
    "Order",
    "OutputOptions",
    "PayOptions",
    "PhotioError",
    "Photo",
    "PhotoOutcome",
    "Placement",
    "PrepareOptions",
    "Request",
    "Result",
    "RunOptions",
    "Segmenter",
    "Sender",
    "Size",
    "finish",
    "generate",
    "prepare",
    "run",
    "run_many",
    "write_review",
]

# A module is loaded at the first use of one of its names (PEP 562): a program that only pays never loads the models.
_HOMES = {
    "types": ("Canvas", "Cutout", "Final", "Matter", "Photo", "Request", "Result", "Segmenter", "Sender"),
    "errors": ("PhotioError",),
    "final.options": ("FinishOptions", "OutputOptions"),
    "pipeline": ("finish", "generate", "prepare", "run"),
    "geometry": ("Box", "Placement", "Size"),
    "batch.run_many": ("PhotoOutcome", "run_many"),
    "options": ("RunOptions",),
    "orders.options": ("PayOptions", "PrepareOptions"),
    "orders.store": ("Order",),
    "review": ("write_review",),
    "api.client": ("InstantClient",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            globals()[name] = getattr(import_module(f"photio_prep.{home}"), name)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
