"""photio-prep: from a raw product photo to a finished picture.

    from photio_prep import InstantClient, run

    final = run("shoe.jpg", "on a marble table, soft morning light", client=InstantClient(key))
    final.image  # PIL.Image, RGB, the photo's size

Everything else is imported from the module that it lives in: the stages from `photio_prep.stages`, the errors from
`photio_prep.errors`, the stand-in of the API from `photio_prep.sandbox`.
"""

from photio_prep.data import Canvas, Cutout, Final, Matter, Photo, Request, Result, Sender
from photio_prep.errors import PhotioError
from photio_prep.flow import finish, generate, prepare, run
from photio_prep.geometry import Box, Placement, Size
from photio_prep.orders import Order
from photio_prep.page import review
from photio_prep.stages.send import InstantClient

__version__ = "0.1.0"

__all__ = [
    "Box",
    "Canvas",
    "Cutout",
    "Final",
    "InstantClient",
    "Matter",
    "Order",
    "PhotioError",
    "Photo",
    "Placement",
    "Request",
    "Result",
    "Sender",
    "Size",
    "finish",
    "generate",
    "prepare",
    "review",
    "run",
]
