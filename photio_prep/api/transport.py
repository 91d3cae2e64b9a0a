"""One connection that says what really happened on it: did it ever stand, how much left, was it cut by the deadline?"""

import re
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import requests
import requests.adapters
import requests.exceptions
import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from photio_prep.system.deadline import Watch


class Upload:
    """The body of a POST, counted as it is handed to the socket."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)
        self._length = len(data)
        self.sent = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        # requests streams what can be iterated, and takes the length for Content-Length.
        while chunk := self.read(2**16):
            yield chunk

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes."""
        chunk = self._rest[: size if size >= 0 else None].tobytes()
        self._rest = self._rest[len(chunk) :]
        self.sent += len(chunk)
        return chunk


class Adapter(requests.adapters.HTTPAdapter):
    """Connections that tell the watch when they stand; no retries, no keep-alive."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        super().__init__(max_retries=0, pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  requests' own signature
        """Pools whose connections tell."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _watched(self._watch)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  requests' own signature
        """The same through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _watched(self._watch)
        return manager


class Session(requests.Session):
    """One that obeys nobody but its caller: no environment, no .netrc, no redirect."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere. Asked not to follow, requests still parses the place, and reads and unpacks the whole body first."""


def _watched(watch: Watch) -> dict[str, Any]:
    # `debuglevel`: somebody who sets http.client's own to see the headers must not see the key on stdout.
    class Plain(HTTPConnection):
        debuglevel = 0

        def connect(self) -> None:
            super().connect()
            watch.established(self.sock)

    class Secure(HTTPSConnection):
        debuglevel = 0

        def connect(self) -> None:
            super().connect()  # with its TLS handshake, and a proxy's CONNECT
            watch.established(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def chunks(raw: Any) -> Iterator[bytes]:  # noqa: ANN401  urllib3's response
    """The answer's bytes as they arrive, undecoded; an incomplete answer raises."""
    while chunk := raw.read1(2**16, decode_content=False):
        yield chunk


def reason(error: BaseException, clean: Callable[[str], str] = str) -> str:
    """The innermost thing that an exception of requests says, made `clean` before it is cut."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((each for each in error.args if isinstance(each, BaseException)), None)
        if inner is None:
            break
        error = inner
    text = clean(re.sub(r"^\w+\(host=[^)]*\): ", "", str(error)) or type(error).__name__)
    return text.rpartition("): ")[2][:200] if "object at 0x" in text else text[:200]


def host(location: str) -> str:
    """Where a redirect leads to, as far as it says so."""
    try:
        return urllib.parse.urlsplit(location).hostname or "nowhere"
    except ValueError:
        return "a place that is no URL"


def is_verdict(said: str) -> bool:
    """Whether a failed handshake was a verdict (on a certificate, on what is spoken) and not an accident."""
    said = said.lower()
    return any(word in said for word in ("certificate", "hostname", "wrong version"))


def misconfigured(error: Exception, said: str) -> str:
    """What is wrong with the settings where the connection failed for that: the proxy, its password, its address."""
    if found := re.search(r"tunnel connection failed: (4\d\d[\w ]*)", said, re.IGNORECASE):
        return f"the proxy refused ({found[1].strip()})"
    unusable = (
        requests.exceptions.InvalidURL,  # and InvalidProxyURL
        requests.exceptions.InvalidSchema,
        urllib3.exceptions.LocationValueError,
    )
    # Not what it said: that may quote the proxy's address with its password.
    return f"the proxy's address cannot be used ({type(error).__name__})" if isinstance(error, unusable) else ""


def forget_locals(error: BaseException) -> None:
    """Empty the frames that `error` and what led to it went through."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
