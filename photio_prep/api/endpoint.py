"""The address of the API, and which addresses may get the key."""

import urllib.parse

from photio_prep.errors import UsageError

API_URL = "https://api.photio.io/v1/inference/instant"


def check_url(url: str) -> str:
    """Check that a key may be sent to a URL: https, or http to localhost. UsageError for any other."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urllib.parse.urlsplit("")
    if parts.username is not None:
        raise UsageError("the key must not be sent to a URL with a user or a password", "Leave them out", "--api-url")
    local = host in ("localhost", "127.0.0.1", "::1")
    if not host or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not local):
        finding = f"the key must not be sent to {url[:100]!r}"
        raise UsageError(finding, "Give an https URL (http only for localhost)", subject="--api-url")
    return url
