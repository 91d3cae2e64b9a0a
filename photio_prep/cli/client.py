"""Build the client that the options name; read the key."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from photio_prep import settings
from photio_prep.api import credentials
from photio_prep.cli.console import Console
from photio_prep.errors import UsageError
from photio_prep.orders.options import PayOptions

if TYPE_CHECKING:
    from photio_prep.api.client import InstantClient


@contextmanager
def open_client(pay: PayOptions, console: Console) -> Iterator["InstantClient"]:
    """The sender that the options name; the stand-in runs as long as it is needed."""
    from photio_prep.api.client import API_URL, InstantClient
    from photio_prep.system.deadline import Timeouts

    if pay.sandbox:
        if pay.api_url is not None:
            raise UsageError("--sandbox and --api-url exclude each other", "Give one of them")
        from photio_prep.orders.store import SANDBOX
        from photio_prep.sandbox import Sandbox

        with Sandbox() as stand_in:
            yield InstantClient("pt-sandbox", api_url=stand_in.url, endpoint=SANDBOX)
        return
    url = settings.api_url(pay.api_url, API_URL)
    key = credentials.load_key(pay.key_file, from_stdin=pay.key_stdin, from_keyring=pay.keyring)
    if not key.has_known_prefix:
        console.info("warning: the key does not start with pt-, as Photio's keys do")
    yield InstantClient(
        key,
        api_url=url,
        timeouts=Timeouts(**settings.timeouts()),
        proxy=settings.proxy(),
        ca_bundle=settings.ca_bundle(),
        server_error_is_free=settings.server_error_is_free(),
    )


def endpoint(*, sandbox: bool, api_url: str | None) -> str:
    """Who would be asked, for an order's key, without a key or a network."""
    from photio_prep.api.client import API_URL, check_url
    from photio_prep.orders.store import SANDBOX

    return SANDBOX if sandbox else check_url(settings.api_url(api_url, API_URL))
