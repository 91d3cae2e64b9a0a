"""XMP packet that states how a final was made.

It always has IPTC's DigitalSourceType (IPTC Photo Metadata Standard 2023.1, Iptc4xmpExt;
https://cv.iptc.org/newscodes/digitalsourcetype/). It has no date, so that the same options give the same bytes.
"""

import re
from html import escape

from photio_prep.final.options import Provenance
from photio_prep.imaging.encode import SANDBOX_MARK
from photio_prep.orders.store import Order

_TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TYPES = {
    "trained": f"{_TERMS}trainedAlgorithmicMedia",
    "composite": f"{_TERMS}compositeWithTrainedAlgorithmicMedia",
}


def packet(order: Order, provenance: Provenance = "trained") -> bytes | None:
    """Build the XMP packet of a final; None for "none". A final of the sandbox is labelled as one.

    "trained": a trained model made the whole picture. "composite": the photo's product over a generated scene.
    """
    if provenance == "none":
        return None
    properties = {"Iptc4xmpExt:DigitalSourceType": TYPES[provenance]}
    if order.sandbox:
        properties["xmp:Label"] = SANDBOX_MARK.decode()
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in properties.items())
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
    """Find a file's DigitalSourceType, for instance "trainedAlgorithmicMedia"; None if it has none."""
    match = re.search(rb"digitalsourcetype/([A-Za-z]{1,60})", data)
    return match[1].decode() if match else None
