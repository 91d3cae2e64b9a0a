"""A requests session without retries, redirects, keep-alive or environment, which records how far a call got."""

import re
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import requests
import requests.adapters
import requests.exceptions
import urllib3.exceptions
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from photio_prep.system.deadline import Watch


class Upload:
    """The body of a POST. `sent` counts the bytes that were handed to the socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = 0

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        # requests streams an iterable, with its length as Content-Length.
        while chunk := self._data[self.sent : self.sent + 2**16]:
            self.sent += len(chunk)
            yield chunk


class Adapter(requests.adapters.HTTPAdapter):
    """Opens connections that report to the watch when they are established; no retries, no keep-alive."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        super().__init__(max_retries=0, pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  requests' own signature
        """Create pools of monitored connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _monitored_pools(self._watch)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  requests' own signature
        """Create pools of monitored connections through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _monitored_pools(self._watch)
        return manager


class Session(requests.Session):
    """A requests session that ignores the environment, .netrc and redirects."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None. Even with allow_redirects=False, requests parses the target and reads the entire body first."""


def _monitored_pools(watch: Watch) -> dict[str, Any]:
    def monitored(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
        class Connection(pool.ConnectionCls):  # type: ignore[misc, name-defined]
            debuglevel = 0  # a global http.client.HTTPConnection.debuglevel would print the key on stdout

            def connect(self) -> None:
                super().connect()  # with the TLS handshake, and the CONNECT of a proxy
                watch.established(self.sock)

        return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

    return {"http": monitored(HTTPConnectionPool), "https": monitored(HTTPSConnectionPool)}


def root_cause(error: BaseException, redact: Callable[[str], str] = str) -> str:
    """Return the message of the innermost cause of an exception, redacted before it is shortened."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        if inner is None:
            break
        error = inner
    text = redact(re.sub(r"^\w+\(host=[^)]*\): ", "", str(error)) or type(error).__name__)
    return text.rpartition("): ")[2][:200] if "object at 0x" in text else text[:200]


def redirect_host(location: str) -> str:
    """Return the host of a Location header, for messages."""
    try:
        return urllib.parse.urlsplit(location).hostname or "nowhere"
    except ValueError:
        return "a malformed URL"


def is_permanent_tls_error(message: str) -> bool:
    """Whether a TLS handshake failed for its certificate or protocol, so that another try would fail too."""
    message = message.lower()
    return any(word in message for word in ("certificate", "hostname", "wrong version"))


def proxy_error(error: Exception, message: str) -> str:
    """Describe a connection that failed for the proxy's settings: its password or its address; "" for other causes."""
    if refusal := re.search(r"tunnel connection failed: (4\d\d[\w ]*)", message, re.IGNORECASE):
        return f"the proxy refused ({refusal[1].strip()})"
    errors = requests.exceptions
    if isinstance(error, (errors.InvalidURL, errors.InvalidSchema, urllib3.exceptions.LocationValueError)):
        # Without the message: it may quote the proxy's address with its password.
        return f"the proxy's address cannot be used ({type(error).__name__})"
    return ""


def clear_traceback_frames(error: BaseException) -> None:
    """Clear the locals in the tracebacks of an exception and its causes."""
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
