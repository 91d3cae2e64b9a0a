"""The API key, which never prints; redaction of all its encodings."""

import base64
import html
import re
import urllib.parse
from functools import cached_property

from photio_prep.errors import KeyRefused

_LONGEST = 512


class ApiKey:
    """An API key that prints as `***` everywhere; only `reveal` returns the text. KeyRefused if it is malformed."""

    def __init__(self, text: str) -> None:
        stripped = text.strip()
        if not stripped:
            raise KeyRefused("the key is empty", _HOW)
        if not re.fullmatch(r"[\x21-\x7e]+", stripped) or re.search(r"[\"'`\\]", stripped):
            raise KeyRefused("the key holds invalid characters (white space, quotes, non-ASCII)", _HOW)
        if not 8 <= len(stripped) <= _LONGEST:
            raise KeyRefused(f"the key has {len(stripped)} characters, but keys have 8 to {_LONGEST}", _HOW)
        self._text = stripped

    def reveal(self) -> str:
        """Return the text, for the header that sends it. Its `repr` is hidden even there."""
        return _HiddenStr(self._text)

    @property
    def has_known_prefix(self) -> bool:
        """Whether the key starts with `pt-`, the prefix of Photio's keys."""
        return self._text.startswith("pt-")

    def redact(self, text: str) -> str:
        """Replace every encoding of the key in a text: raw, escaped characters, hex, base64 at any offset."""
        return self._replace(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def split(self, data: bytes, *, last: bool) -> tuple[bytes, bytes]:
        """Redact `data`. Returns the clean bytes and a tail that may begin an encoding (empty for the `last` piece)."""
        clean = self._replace(data)
        if last:
            clean = self._replace_cut_key(clean)
        # The tail is cut from the clean bytes: a replacement moves the end.
        longest = len("\\\\u0070") * len(self._text)  # hex and URL-encoded base64 are shorter
        tail = 0 if last else min(longest - 1, len(clean))
        return clean[: len(clean) - tail], clean[len(clean) - tail :]

    def _replace(self, data: bytes) -> bytes:
        # The pattern takes 50 ms for 1 MB, this search 1 ms. A picture in base64 has no escape characters, and most
        # texts have none of the encodings without escapes.
        lower = data.lower()
        if any(text in lower for text in (b"%", b"\\", b"&", *self._literal)):
            return self._pattern.sub(b"***", data)
        return data

    def _replace_cut_key(self, data: bytes) -> bytes:
        """Replace the beginning of a key at the end of `data`: a cut answer may end there."""
        raw, end = self._text.lower().encode(), data.lower()
        for length in range(len(raw), 5, -1):
            if end.endswith(raw[:length]):
                return data[:-length] + b"***"
        return data

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        longest_first = sorted(self._encodings, key=len, reverse=True)
        escaped = "".join(map(_escaped_forms, self._text))
        return re.compile("|".join([escaped, *map(re.escape, longest_first)]).encode(), re.IGNORECASE)

    @cached_property
    def _literal(self) -> list[bytes]:
        return [text.lower().encode() for text in (self._text, *self._encodings)]

    @cached_property
    def _encodings(self) -> set[str]:
        """The key in hex and base64, which have no escapes."""
        raw = self._text.encode()
        encodings = {raw.hex()}
        for pad in range(3):
            # In a longer text the key has one of three offsets; its first and last characters mix with the neighbours.
            coded = base64.b64encode(b"\0" * pad + raw).decode().rstrip("=")
            inner = coded[(0, 2, 3)[pad] : len(coded) - (1 if (pad + len(raw)) % 3 else 0)]
            encodings |= {inner, inner.replace("+", "-").replace("/", "_"), urllib.parse.quote(inner, safe="")}
        return encodings

    def __repr__(self) -> str:
        return "Key(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        # A pickled key would end up in tasks and crash dumps.
        raise TypeError("a key is never pickled; pass the name of its source")


def _escaped_forms(char: str) -> str:
    """Return a pattern of all forms of a character in JSON, URLs and HTML."""
    code = ord(char)
    forms = [re.escape(char), f"%(?:25)?{code:02x}", rf"\\{{1,2}}u00{code:02x}", f"&#{code};", f"&#x{code:x};"]
    if not char.isalnum():
        forms += [rf"\\{{1,2}}{re.escape(char)}", re.escape(html.escape(char))]
    return f"(?:{'|'.join(forms)})"


class _HiddenStr(str):
    """A text with a hidden `repr`, for tracebacks with locals and dumps of headers."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


_HOW = "Set PHOTIO_API_KEY, or use --key-file or --key-stdin"
