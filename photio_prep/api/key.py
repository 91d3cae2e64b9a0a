"""The API key: shown to nobody but the API."""

import base64
import html
import re
import urllib.parse
from functools import cached_property

from photio_prep.errors import KeyRefused
from photio_prep.types import Keep

_LONGEST = 512


class Key:
    """An API key that prints as `***` wherever it turns up; only `reveal` gives the text.

    Raises:
        KeyRefused: Empty, not plain ASCII without white space and quotes, or implausibly short or long.
    """

    def __init__(self, text: str) -> None:
        stripped = text.strip()
        if not stripped:
            raise KeyRefused("the key is empty", _HOW)
        if not re.fullmatch(r"[\x21-\x7e]+", stripped) or re.search(r"[\"'`\\]", stripped):
            raise KeyRefused("the key holds characters that no key has (white space, quotes, non-ASCII)", _HOW)
        if not 8 <= len(stripped) <= _LONGEST:
            raise KeyRefused(f"the key has {len(stripped)} characters, which no key has", _HOW)
        self._text = stripped

    def reveal(self) -> str:
        """The key itself, for the one header that carries it. Even there it does not show in a `repr`."""
        return _Unshown(self._text)

    @property
    def usual(self) -> bool:
        """Whether it starts with `pt-`, as Photio's keys do."""
        return self._text.startswith("pt-")

    def redact(self, text: str) -> str:
        """`text` with every spelling of the key replaced: raw, escaped letter by letter, hex, base64 at any offset."""
        return self._without(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def split(self, data: bytes, *, last: bool) -> tuple[bytes, bytes]:
        """`data` redacted, and its end that may be the beginning of a spelling (empty when it is the `last` piece)."""
        clean = self._without(data)
        if last:
            clean = self._without_stump(clean)
        keep = 0 if last else min(self._longest - 1, len(clean))
        # A spelling that was replaced moved the end; what is held back is taken from the clean bytes.
        return clean[: len(clean) - keep], clean[len(clean) - keep :]

    def _without(self, data: bytes) -> bytes:
        """`data` with every spelling replaced.

        The pattern takes 50 ms for 1 MB, these few looks 1 ms: a picture in base64 has none of the letters by which
        others are escaped, and most texts have none of the spellings that do without.
        """
        lower = data.lower()
        if any(each in lower for each in (b"%", b"\\", b"&", *self._literal)):
            return self._spellings.sub(b"***", data)
        return data

    def _without_stump(self, data: bytes) -> bytes:
        """`data` without the beginning of a key at its end: an answer may be cut there."""
        raw, end = self._text.lower().encode(), data.lower()
        for length in range(min(len(raw), len(data)), 5, -1):
            if end.endswith(raw[:length]):
                return data[:-length] + b"***"
        return data

    @cached_property
    def _longest(self) -> int:
        return _LONGEST_LETTER * len(self._text)  # hex and URL-encoded base64 are shorter

    @cached_property
    def _spellings(self) -> re.Pattern[bytes]:
        longest_first = sorted(self._coded, key=len, reverse=True)
        letters = "".join(map(_letter, self._text))
        return re.compile("|".join([letters, *map(re.escape, longest_first)]).encode(), re.IGNORECASE)

    @cached_property
    def _literal(self) -> list[bytes]:
        """What is found without a pattern: lower-case letters."""
        return [each.lower().encode() for each in (self._text, *self._coded)]

    @cached_property
    def _coded(self) -> set[str]:
        """The spellings in which no letter is seen: hex and base64."""
        raw = self._text.encode()
        found = {raw.hex()}
        for pad in range(3):
            # In a longer text the key starts at any of three offsets; the first and last characters mix with others.
            coded = base64.b64encode(b"\0" * pad + raw).decode().rstrip("=")
            inner = coded[(0, 2, 3)[pad] : len(coded) - (1 if (pad + len(raw)) % 3 else 0)]
            found |= {inner, inner.replace("+", "-").replace("/", "_"), urllib.parse.quote(inner, safe="")}
        return found

    def __repr__(self) -> str:
        return "Key(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        # A pickled key would travel inside tasks and crash dumps.
        raise TypeError("a key is never pickled; pass the name of where it is kept")


_LONGEST_LETTER = len("\\\\u0070")


def _letter(letter: str) -> str:
    """A pattern of every way in which JSON, a URL or HTML may spell this letter."""
    code = ord(letter)
    ways = [re.escape(letter), f"%(?:25)?{code:02x}", rf"\\{{1,2}}u00{code:02x}", f"&#{code};", f"&#x{code:x};"]
    if not letter.isalnum():
        ways += [rf"\\{{1,2}}{re.escape(letter)}", re.escape(html.escape(letter))]
    return f"(?:{'|'.join(ways)})"


class _Unshown(str):
    """A text that does not show in the `repr` of what holds it: a traceback with locals, a dump of headers."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Redacted:
    """Passes an answer on to its keeper without the key, should the server send it back."""

    def __init__(self, key: Key, keep: Keep) -> None:
        self._key = key
        self._keep = keep
        self._held = b""

    def write(self, chunk: bytes, /) -> None:
        """Pass on what cannot be the beginning of the key."""
        clean, self._held = self._key.split(self._held + chunk, last=False)
        self._keep.write(clean)

    def flush(self) -> None:
        """Pass on the rest."""
        clean, self._held = self._key.split(self._held, last=True)
        if clean:
            self._keep.write(clean)


_HOW = "Set PHOTIO_API_KEY, or use --key-file or --key-stdin"
