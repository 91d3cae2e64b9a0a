"""A local stand-in for the Photio Instant API over real HTTP on loopback: free, deterministic, and able to misbehave.

with Sandbox() as sandbox:
client = InstantClient("pt-any-key", url=sandbox.url)
"""

import logging

from photio_prep.sandbox.faults import FAULTS, FaultPlan, parse_faults
from photio_prep.sandbox.ledger import Call, fingerprint
from photio_prep.sandbox.product import Drift
from photio_prep.sandbox.server import Sandbox, serve

# Without a handler of the caller's own, Python would print warnings to stderr; a library never prints.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = ["FAULTS", "Call", "Drift", "FaultPlan", "Sandbox", "fingerprint", "parse_faults", "serve"]
