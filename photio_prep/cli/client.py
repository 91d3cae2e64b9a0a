"""Who is asked: the sender that the options name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from photio_prep import settings
from photio_prep.api import credentials
from photio_prep.cli.console import Talk
from photio_prep.errors import UsageError


@contextmanager
def client(
    *, sandbox: bool, api_url: str | None, key_file: Path | None, key_stdin: bool, keyring: bool, talk: Talk
) -> Iterator[Any]:
    """The sender that the options name; the stand-in runs as long as it is needed."""
    from photio_prep.api.client import API_URL, InstantClient
    from photio_prep.system.deadline import Timeouts

    if sandbox:
        if api_url is not None:
            raise UsageError("--sandbox and --api-url exclude each other", "Give one of them")
        from photio_prep.orders.store import SANDBOX
        from photio_prep.sandbox import Sandbox

        with Sandbox() as stand_in:
            yield InstantClient("pt-sandbox", api_url=stand_in.url, endpoint=SANDBOX)
        return
    url = settings.api_url(api_url, API_URL)
    key = credentials.key(key_file, from_stdin=key_stdin, from_keyring=keyring)
    if not key.usual:
        talk.say("warning: the key does not start with pt-, as Photio's keys do")
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
    from photio_prep.api.client import API_URL, checked_url
    from photio_prep.orders.store import SANDBOX

    return SANDBOX if sandbox else checked_url(settings.api_url(api_url, API_URL))
