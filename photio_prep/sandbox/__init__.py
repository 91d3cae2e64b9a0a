"""Sandbox: a local stand-in for the Photio Instant API over real HTTP on loopback. It is free and deterministic.

    >>> from photio_prep import InstantClient, prepare
    >>> order = prepare("shoe.jpg", description="on a marble table")
    >>> with Sandbox() as sandbox:
    ...     result = InstantClient("pt-any-key", api_url=sandbox.url).send(order.request)
    >>> result.image.size == order.canvas.image.size
    True

It binds 127.0.0.1 only and never fetches an image URL. Its answers carry `"sandbox": true` and a small watermark.

server: start, answer, stop
http: HTTP server, and the bytes of an answer
contract: validate a request as the API documents it
faults: the faults, each played on a socket; which call gets which
call_log: calls, charges, warnings
answer_picture: paint the picture of an answer, with the product slightly redrawn
scenery: painter of the scenes
"""

import logging

from photio_prep.sandbox.answer_picture import paint_answer
from photio_prep.sandbox.call_log import Call, fingerprint
from photio_prep.sandbox.contract import SceneRequest
from photio_prep.sandbox.faults import FAULTS, FaultPlan, parse_faults
from photio_prep.sandbox.server import Sandbox

# Without a handler of the caller's own, Python would print warnings to stderr; a library never prints.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    "FAULTS",
    "Call",
    "FaultPlan",
    "Sandbox",
    "SceneRequest",
    "fingerprint",
    "paint_answer",
    "parse_faults",
]
