"""Find the API key: in a file, on standard input, in the system's key store or the environment; who may get it."""

import os
import stat
import sys
import urllib.parse
from pathlib import Path

from photio_prep.api.key import ApiKey
from photio_prep.errors import KeyRefused, UsageError
from photio_prep.system import environment

API_URL = "https://api.photio.io/v1/inference/instant"
KEY_NAME = "PHOTIO_API_KEY"


def load_key(key_file: Path | None = None, *, from_stdin: bool = False, from_keyring: bool = False) -> ApiKey:
    """Load the API key from --key-file (mode 0600), --key-stdin, --keyring, or PHOTIO_API_KEY; KeyRefused without."""
    if key_file is not None:
        return ApiKey(_read_key_file(key_file))
    if from_stdin:
        return ApiKey(_read_stdin())
    if from_keyring:
        return ApiKey(_read_keyring())
    text = environment.variable(KEY_NAME)
    if text is None:
        fix = f"Set {KEY_NAME}, or use --key-file or --key-stdin; --sandbox needs none"
        raise KeyRefused("there is no API key", fix)
    return ApiKey(text)


def _read_stdin() -> str:
    try:
        line = sys.stdin.buffer.readline(4096)
    except OSError as error:
        raise KeyRefused(f"standard input cannot be read ({error.strerror or error})", "Pipe the key into it") from None
    if not line:
        raise KeyRefused("standard input is closed or empty, so it holds no key", "Pipe the key into it")
    return line.decode("ascii", "replace")


def _read_keyring() -> str:
    try:
        import keyring
    except ImportError:
        raise KeyRefused("keyring is not installed", 'Run: pip install "photio-prep[keyring]"') from None
    try:
        text: str | None = keyring.get_password("photio-prep", KEY_NAME)
    except keyring.errors.KeyringError as error:
        raise KeyRefused(f"the system's key store cannot be read ({error})", f"Set {KEY_NAME}") from None
    if text is None:
        raise KeyRefused("the system's key store holds no key", f"Run: keyring set photio-prep {KEY_NAME}")
    return text


def _read_key_file(path: Path) -> str:
    try:
        # Non-blocking: a pipe without a writer would hang.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyRefused("not a regular file", "Put the key into a file of its own", subject=str(path))
            if os.name == "posix" and mode & 0o077:
                raise KeyRefused("others may read the key's file", f"Run: chmod 600 {path}", subject=str(path))
            return file.read(4096).decode("ascii", "replace")
    except OSError as error:
        finding = f"the key's file cannot be read ({error.strerror})"
        raise KeyRefused(finding, "Check the path", subject=str(path)) from None


def check_url(url: str) -> str:
    """Check that a key may be sent to a URL: https, or http to localhost. UsageError for any other."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urllib.parse.urlsplit("")
    if parts.username is not None:
        raise UsageError("the key must not be sent to a URL with a user or a password", "Leave them out", "API URL")
    local = host in ("localhost", "127.0.0.1", "::1")
    if not host or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not local):
        finding = f"the key must not be sent to {url[:100]!r}"
        raise UsageError(finding, "Give an https URL (http only for localhost)", subject="API URL")
    return url
