"""URL -> the bytes of a photo, asked for in a way that cannot be turned against the network we stand in.

Ours, because no library holds the vectors of tests/intake/test_url_guard.py: of 48 addresses drawbridge 0.1.2 lets 9
through, requests-hardened 1.3.0 6 and safehttpx 0.2.0 13 (all: 168.63.129.16, fec0::/10, ISATAP); the second checks
only the first answer of DNS, the third takes the public one of several; advocate 1.0.0 needs netifaces, which is
archived. None has a deadline for the whole. http.client and not urllib3, because that logs the whole URL, signature
included, when a server sends an odd header.
"""

import http.client
import re
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Collection
from functools import cache
from typing import Any
from urllib.parse import urljoin

from photio_prep.errors import PhotoRefused, UsageError
from photio_prep.imaging.decode import sniff
from photio_prep.intake.url_guard import PORTS, Target, shown, special, target
from photio_prep.system import threads
from photio_prep.system.deadline import Timeouts, Watch
from photio_prep.system.files import too_long

# Like socket.getaddrinfo, of which only the addresses are used.
Resolve = Callable[..., Collection[tuple[Any, ...]]]
# A numeric address, a port and seconds -> a connected socket.
Connect = Callable[[str, int, float], socket.socket]

# Seconds to connect, and without a byte.
_CONNECT, _SILENCE = 5.0, 10.0
_REDIRECTS = 5
_ADDRESSES = 8  # of a host are tried; all are checked
_LATER = "Check the address, try again later, or download it yourself and give the file"
_DOWNLOAD = "Download it yourself and give the file"
_HEADERS = {
    "User-Agent": "photio-prep",
    "Accept": "image/*,*/*;q=0.1",
    "Accept-Encoding": "identity",
    "Connection": "close",
}
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|!--|html|head|body|script|title)", re.IGNORECASE)


def _connected(address: str, port: int, seconds: float) -> socket.socket:
    # A numeric address with its family: nothing here asks a name server again.
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.settimeout(seconds)
        opened.connect((address, port))
    except BaseException:
        opened.close()
        raise
    return opened


def fetch(
    url: str,
    *,
    limit: int,
    deadline: float = 30.0,
    allow_ports: Collection[int] = PORTS,
    ca_bundle: str | None = None,
    resolve: Resolve = socket.getaddrinfo,
    _connect: Connect = _connected,
) -> bytes:
    """The bytes at `url`, at most `limit` of them.

    Args:
        url: http or https. A query is sent and never shown.
        limit: Bytes, of the answer and of what it unpacks to.
        deadline: Seconds for everything: names, redirects, TLS, the last byte.
        allow_ports: Other ports are refused.
        ca_bundle: A file of certificates to trust in place of certifi's.
        resolve: Who is asked for a host's addresses.
        _connect: For tests, to send what was checked to another place than it says. It weakens no check.

    Raises:
        PhotoRefused: The URL, or one that it redirects to, is not of the public internet; or its server gives no whole
            file of at most `limit` bytes in time.
        UsageError: There is no such `ca_bundle`, or `limit` or `deadline` is not positive.
    """
    if limit < 1 or deadline <= 0:
        raise UsageError(f"a limit of {limit} bytes in {deadline} s", "Give positive numbers", subject=shown(url))
    asking = _Asking(limit, deadline, ca_bundle, resolve, _connect)
    try:
        with asking.watch.deadline():
            return _followed(url, asking, allow_ports)
    except PhotoRefused as error:
        raise error.about(shown(url)) from None


def _followed(url: str, asking: "_Asking", ports: Collection[int]) -> bytes:
    seen: list[Target] = []
    while True:
        try:
            place = target(url, ports)  # each hop from the start: spelling, port, name, addresses
            _check_hop(place, seen)
            answer = asking.ask(place)
        except PhotoRefused as error:
            if not seen:
                raise
            raise PhotoRefused(f"it redirects to {shown(url)}: {error.found}", error.fix) from None
        if isinstance(answer, bytes):
            return answer
        seen.append(place)
        url = _joined(url, answer)


def _check_hop(place: Target, seen: list[Target]) -> None:
    if len(seen) > _REDIRECTS:
        raise PhotoRefused(f"more than {_REDIRECTS} redirects", _DOWNLOAD)
    if place in seen:
        raise PhotoRefused("where it came from, in a circle", _DOWNLOAD)
    if seen and seen[-1].tls and not place.tls:
        raise PhotoRefused("plain http after https", _DOWNLOAD)


def _joined(url: str, location: str) -> str:
    """Where a Location header points to; as it stands where that is no URL, which is refused next."""
    try:
        location = location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location
    if not location.isprintable():  # urljoin would make something else of it
        return location
    try:
        return urljoin(url, location)
    except ValueError:
        return location


class _Asking:
    """What holds for all the hops of one photo: its limit, its time, whom it trusts."""

    def __init__(self, limit: int, deadline: float, ca_bundle: str | None, resolve: Resolve, connect: Connect) -> None:
        self.watch = Watch(Timeouts(connect=_CONNECT, write=_SILENCE, read=_SILENCE, overall=deadline))
        self._until = time.monotonic() + deadline
        self._limit, self._ca_bundle = limit, ca_bundle
        self._resolve, self._connect = resolve, connect

    def ask(self, place: Target) -> bytes | str:
        """The bytes that `place` gives, or where it redirects to."""
        connection = http.client.HTTPConnection(place.host, place.port)
        connection.set_debuglevel(0)  # somebody's http.client.HTTPConnection.debuglevel would print the query
        connection.auto_open = 0  # never again, by itself, to wherever the name leads then
        try:
            connection.sock = self._opened(place)
            connection.request("GET", place.path, headers={"Host": place.header} | _HEADERS)
            with connection.getresponse() as response:
                return self._answer(response)
        except (OSError, http.client.HTTPException, zlib.error) as error:
            found = f"it was not there within {self.watch.timeouts.overall:g} s" if self._late() else _said(error)
        finally:
            connection.close()
        raise PhotoRefused(f"it could not be fetched: {found}", _LATER)

    def _late(self) -> bool:
        return self.watch.expired or time.monotonic() >= self._until

    def _left(self, most: float) -> float:
        left = min(most, self._until - time.monotonic())
        if left <= 0:
            raise TimeoutError
        return left

    def _opened(self, place: Target) -> socket.socket:
        """A connection to one of the addresses of `place`, all of them checked, with its TLS."""
        addresses = [place.host] if place.numeric else self._addresses(place)
        for address in addresses:
            if name := special(address):
                where = "" if place.numeric else f"its host leads to {address}, "
                raise PhotoRefused(f"{where}not an address of the public internet but {name}", _DOWNLOAD)
        trust = _trust(self._ca_bundle) if place.tls else None
        failed: OSError = OSError("its host has no address")
        for address in addresses[:_ADDRESSES]:
            try:
                opened = self._connect(address, place.port, self._left(_CONNECT))
                break
            except OSError as error:
                failed = error
        else:
            raise failed
        try:
            opened.settimeout(self._left(_CONNECT))  # for the handshake as a whole
            if trust:
                opened = trust.wrap_socket(opened, server_hostname=place.host)
            self.watch.established(opened)
        except BaseException:
            opened.close()
            raise
        return opened

    def _addresses(self, place: Target) -> list[str]:
        """What the name resolves to, asked once. In a thread, since a name server may take minutes."""
        found: list[str] = []
        failed: list[Exception] = []

        def ask() -> None:
            try:
                answers = self._resolve(place.host, place.port, type=socket.SOCK_STREAM)
                found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))
            except (OSError, UnicodeError) as error:
                failed.append(error)

        thread = threads.start(ask, "resolve")
        thread.join(self._left(self.watch.timeouts.overall))
        if thread.is_alive():
            raise TimeoutError
        if failed:
            raise PhotoRefused(f"its host cannot be found ({_said(failed[0])})", "Check its spelling") from None
        return found

    def _answer(self, response: http.client.HTTPResponse) -> bytes | str:
        status = response.status
        location = response.headers.get("Location")
        if status in (301, 302, 303, 307, 308) and location is not None:
            return location
        if status in (401, 403, 407):
            raise PhotoRefused(f"HTTP {status}: it is not open to everybody, and no credentials are sent", _DOWNLOAD)
        if status != 200:
            raise PhotoRefused(f"HTTP {status} in place of a photo", _LATER)
        body = self._body(response)
        if sniff(body) is None and (_PAGE.match(body) or response.headers.get_content_type() == "text/html"):
            raise PhotoRefused("HTTP 200, but a web page and no photo", "Give the address of the picture itself")
        return body

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        if response.length is not None and response.length > self._limit:
            raise too_long(min(response.length, 2**60), self._limit, "")
        unpack = _unpacker(response)
        body = bytearray()
        # One byte too many at most, read or unpacked: an endless stream and a bomb cost no more than a photo.
        while chunk := response.read1(min(2**16, self._limit + 1 - len(body))):
            body += unpack.decompress(chunk, self._limit + 1 - len(body)) if unpack else chunk
            if len(body) > self._limit:
                raise too_long(len(body), self._limit, "")
        # A cut connection ends like a whole answer, where that does not say its length.
        if response.length or self.watch.expired or (unpack and not unpack.eof):
            raise http.client.IncompleteRead(b"")
        return bytes(body)


def _unpacker(response: http.client.HTTPResponse) -> Any:  # noqa: ANN401  zlib does not name its decompressor's type
    """What undoes the Content-Encoding: nothing, or gzip, which buckets say of files that were put there so."""
    if response.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise PhotoRefused("it came in a Transfer-Encoding that was not asked for", _DOWNLOAD)
    named = ",".join(response.headers.get_all("Content-Encoding", [])).lower().split(",")
    codings = [each.strip() for each in named if each.strip() not in ("", "identity")]
    if not codings:
        return None
    if codings not in (["gzip"], ["x-gzip"]):
        raise PhotoRefused("it came in a Content-Encoding that was not asked for", _DOWNLOAD)
    return zlib.decompressobj(wbits=31)


@cache
def _trust(ca_bundle: str | None) -> ssl.SSLContext:
    import certifi  # as requests has it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate and the name
    try:
        context.load_verify_locations(ca_bundle or certifi.where())
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"no certificates can be read from it ({_said(error)})", "Check the path", subject=str(ca_bundle)
        ) from None
    return context


def _said(error: Exception) -> str:
    """What an error says, in words of this machine and never of the server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "it is cut short"
    if isinstance(error, (http.client.HTTPException, zlib.error)):
        return f"the answer is damaged ({type(error).__name__})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
