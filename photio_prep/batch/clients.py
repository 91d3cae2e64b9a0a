"""The client and the endpoint that options and settings name."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from photio_prep import settings
from photio_prep.api import credentials
from photio_prep.api.retry import RateLimiter
from photio_prep.orders.options import PayOptions
from photio_prep.orders.store import SANDBOX

if TYPE_CHECKING:
    from photio_prep.api.client import InstantClient


def endpoint(pay: PayOptions) -> str:
    """Who would be asked, for an order's key, without a key or a network."""
    return SANDBOX if pay.sandbox else credentials.check_url(settings.api_url(pay.api_url, credentials.API_URL))


def build_client(
    pay: PayOptions,
    sandbox_url: str | None = None,
    *,
    pace: RateLimiter | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> "InstantClient":
    """The client, which reads the key itself; with `sandbox_url` that of a running stand-in, which needs none."""
    from photio_prep.api.client import InstantClient  # requests takes 0.05 s, and `prepare` sends nothing

    if sandbox_url is not None:
        return InstantClient("pt-sandbox", api_url=sandbox_url, endpoint=SANDBOX, pace=pace)
    key = credentials.load_key(pay.key_file, from_stdin=pay.key_stdin, from_keyring=pay.keyring)
    if not key.has_known_prefix:
        warn("warning: the key does not start with pt-, as Photio's keys do")
    return InstantClient(
        key,
        api_url=settings.api_url(pay.api_url, credentials.API_URL),
        timeouts=settings.timeouts(),
        proxy=settings.proxy(),
        ca_bundle=settings.ca_bundle(),
        server_error_is_free=settings.server_error_is_free(),
        pace=pace,
    )
