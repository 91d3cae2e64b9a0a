"""Escape control characters in untrusted text."""

import unicodedata


def escape_controls(text: str) -> str:
    """`text` with control characters, direction overrides and lone surrogates as hexadecimal escapes."""
    unsafe = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return "".join(f"\\x{ord(char):02x}" if unicodedata.category(char) in unsafe else char for char in text)
