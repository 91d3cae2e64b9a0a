"""Text that anybody may have written -> text that steers nothing."""

import unicodedata


def escaped(text: str) -> str:
    """`text` without anything that steers a terminal: control characters, direction overrides, lone surrogates."""
    return "".join(f"\\x{ord(each):02x}" if _steers(each) else each for each in text)


def _steers(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
