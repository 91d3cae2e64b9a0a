"""An order -> the XMP packet that says how its final was made.

The one property that is always there is IPTC's DigitalSourceType (IPTC Photo Metadata Standard 2023.1, Iptc4xmpExt;
https://cv.iptc.org/newscodes/digitalsourcetype/), in words that machines read. It holds no date: the same options give
the same bytes.
"""

import re
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from photio_prep.imaging.encode import SANDBOX_MARK
from photio_prep.orders.store import Order

Provenance = Literal["trained", "composite", "none"]

_TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TYPES = {
    "trained": f"{_TERMS}trainedAlgorithmicMedia",
    "composite": f"{_TERMS}compositeWithTrainedAlgorithmicMedia",
}
# Where our own facts stand: no page, only a name that nobody else uses.
_OURS = "urn:photio-prep:1.0:"
# What XML 1.0 cannot hold, however it is written: control characters, lone surrogates, the last two of a plane.
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Letters of a description. An APP1 segment of a JPEG ends at 65,533 bytes, and a letter may take six.
_LONGEST = 8000


def packet(order: Order, provenance: Provenance = "trained", *, details: str | None = None) -> bytes | None:
    """The XMP packet of a generated final; None for "none", and for a final of which there is nothing to say.

    Args:
        order: What was asked for. A final of the sandbox says so here, too.
        provenance: "trained": all of it comes from a trained model. "composite": the photo's own product pixels lie
            over a generated scene.
        details: The version of this tool, to tell the scene description, the seed, the order's key and that version
            too; None leaves them out, since a description may be nobody's business.
    """
    if provenance == "none":
        return None
    said = {"Iptc4xmpExt:DigitalSourceType": TYPES[provenance]}
    told = ""
    if order.sandbox:
        said["xmp:Label"] = SANDBOX_MARK.decode()
    if details is not None:
        asked = order.request
        said |= {"xmp:CreatorTool": f"photio-prep {details}", "photio:seed": str(asked.seed), "photio:order": order.key}
        words = escape(_UNSPEAKABLE.sub("", asked.description)[:_LONGEST])
        told = f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{words}</rdf:li></rdf:Alt></dc:description>'
    attributes = "".join(f" {name}={quoteattr(_UNSPEAKABLE.sub('', value))}" for name, value in said.items())
    spaces = "".join(f' xmlns:{name}="{uri}"' for name, uri in _SPACES if f"{name}:" in attributes + told)
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{spaces}{attributes}>{told}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


_SPACES = (
    ("Iptc4xmpExt", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"),
    ("dc", "http://purl.org/dc/elements/1.1/"),
    ("xmp", "http://ns.adobe.com/xap/1.0/"),
    ("photio", _OURS),
)


def source_type(data: bytes) -> str | None:
    """The last word of the DigitalSourceType that a file states, for instance "trainedAlgorithmicMedia"; else None."""
    found = re.search(rb"digitalsourcetype/([A-Za-z]{1,60})", data)
    return found[1].decode() if found else None
