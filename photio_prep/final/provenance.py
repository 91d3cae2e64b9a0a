"""An order -> the XMP packet that says how its final was made.

The one property that is always there is IPTC's DigitalSourceType (IPTC Photo Metadata Standard 2023.1, Iptc4xmpExt;
https://cv.iptc.org/newscodes/digitalsourcetype/), in words that machines read. It holds no date: the same options give
the same bytes.
"""

import re
from typing import Literal
from xml.sax.saxutils import quoteattr

from photio_prep.imaging.encode import SANDBOX_MARK
from photio_prep.orders.store import Order

Provenance = Literal["trained", "composite", "none"]

_TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TYPES = {
    "trained": f"{_TERMS}trainedAlgorithmicMedia",
    "composite": f"{_TERMS}compositeWithTrainedAlgorithmicMedia",
}


def packet(order: Order, provenance: Provenance = "trained") -> bytes | None:
    """The XMP packet of a generated final; None for "none", and for a final of which there is nothing to say.

    Args:
        order: What was asked for. A final of the sandbox says so here, too.
        provenance: "trained": all of it comes from a trained model. "composite": the photo's own product pixels lie
            over a generated scene.
    """
    if provenance == "none":
        return None
    said = {"Iptc4xmpExt:DigitalSourceType": TYPES[provenance]}
    if order.sandbox:
        said["xmp:Label"] = SANDBOX_MARK.decode()
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in said.items())
    spaces = "".join(f' xmlns:{name}="{uri}"' for name, uri in _SPACES if f"{name}:" in attributes)
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{spaces}{attributes}></rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


_SPACES = (
    ("Iptc4xmpExt", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"),
    ("xmp", "http://ns.adobe.com/xap/1.0/"),
)


def source_type(data: bytes) -> str | None:
    """The last word of the DigitalSourceType that a file states, for instance "trainedAlgorithmicMedia"; else None."""
    found = re.search(rb"digitalsourcetype/([A-Za-z]{1,60})", data)
    return found[1].decode() if found else None
