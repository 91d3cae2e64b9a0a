"""Download a photo from a public URL, safe against server-side request forgery (SSRF).

Our own code, because no library passes the vectors of tests/intake/test_url_guard.py: of 48 addresses drawbridge 0.1.2
lets 9 through, requests-hardened 1.3.0 6 and safehttpx 0.2.0 13 (all: 168.63.129.16, fec0::/10, ISATAP). The second
checks only the first DNS answer, the third takes the public one of several. advocate 1.0.0 needs netifaces, which is
archived. None has an overall deadline. http.client instead of urllib3, because urllib3 logs the full URL, signature
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
from photio_prep.intake.url_guard import PORTS, Target, parse_url, redact_url, reserved_range
from photio_prep.system import threads
from photio_prep.system.deadline import Timeouts, Watch
from photio_prep.system.files import too_long_error

# Like socket.getaddrinfo, of which only the addresses are used.
Resolve = Callable[..., Collection[tuple[Any, ...]]]
# A numeric address, a port and seconds -> a connected socket.
Connect = Callable[[str, int, float], socket.socket]

# Seconds to connect, and between two bytes.
_CONNECT, _SILENCE = 5.0, 10.0
_REDIRECTS = 5
_ADDRESSES = 8  # tried per host; all are checked
_LATER = "Check the address, try again later, or download it yourself and give the file"
_DOWNLOAD = "Download it yourself and give the file"
_HEADERS = {
    "User-Agent": "photio-prep",
    "Accept": "image/*,*/*;q=0.1",
    "Accept-Encoding": "identity",
    "Connection": "close",
}
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|!--|html|head|body|script|title)", re.IGNORECASE)


def _connect_tcp(address: str, port: int, seconds: float) -> socket.socket:
    # A numeric address with its family, so that there is no second DNS query.
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def fetch(
    url: str,
    *,
    limit: int,
    deadline: float = 30.0,
    allow_ports: Collection[int] = PORTS,
    ca_bundle: str | None = None,
    resolve: Resolve = socket.getaddrinfo,
    _connect: Connect = _connect_tcp,
) -> bytes:
    """Download the bytes at a URL.

    Args:
        url: http or https. Its query is sent, and never shown.
        limit: Bytes of the answer, packed and unpacked.
        deadline: Seconds for the whole download: DNS, redirects, TLS, the last byte.
        allow_ports: Other ports are refused.
        ca_bundle: Certificates to trust instead of certifi's.
        resolve: Looks up the addresses of a host.
        _connect: For tests: connects to a local server instead of the checked address.

    Raises:
        PhotoRefused: The URL, or a redirect, leads outside the public internet; or the server does not send a complete
            file of at most `limit` bytes in time.
        UsageError: `ca_bundle` cannot be read, or `limit` or `deadline` is not positive.
    """
    if limit < 1 or deadline <= 0:
        raise UsageError(f"a limit of {limit} bytes in {deadline} s", "Give positive numbers", subject=redact_url(url))
    download = _Download(limit, deadline, ca_bundle, resolve, _connect)
    try:
        with download.watch.deadline():
            return _follow_redirects(url, download, allow_ports)
    except PhotoRefused as error:
        raise error.about(redact_url(url)) from None


def _follow_redirects(url: str, download: "_Download", ports: Collection[int]) -> bytes:
    visited: list[Target] = []
    while True:
        try:
            target = parse_url(url, ports)  # every hop passes all checks: spelling, port, name, addresses
            _check_hop(target, visited)
            answer = download.get(target)
        except PhotoRefused as error:
            if not visited:
                raise
            raise PhotoRefused(f"it redirects to {redact_url(url)}: {error.problem}", error.fix) from None
        if isinstance(answer, bytes):
            return answer
        visited.append(target)
        url = _join(url, answer)


def _check_hop(target: Target, visited: list[Target]) -> None:
    if len(visited) > _REDIRECTS:
        raise PhotoRefused(f"more than {_REDIRECTS} redirects", _DOWNLOAD)
    if target in visited:
        raise PhotoRefused("a circle of redirects", _DOWNLOAD)
    if visited and visited[-1].tls and not target.tls:
        raise PhotoRefused("plain http after https", _DOWNLOAD)


def _join(url: str, location: str) -> str:
    """Resolve a Location header against its URL. A malformed one is returned unchanged; `parse_url` refuses it."""
    try:
        location = location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location
    if not location.isprintable():  # urljoin would change it
        return location
    try:
        return urljoin(url, location)
    except ValueError:
        return location


class _Download:
    """One download with all its redirects: limit, deadline, trusted certificates."""

    def __init__(self, limit: int, deadline: float, ca_bundle: str | None, resolve: Resolve, connect: Connect) -> None:
        self.watch = Watch(Timeouts(connect=_CONNECT, write=_SILENCE, read=_SILENCE, overall=deadline))
        self._until = time.monotonic() + deadline
        self._limit, self._ca_bundle = limit, ca_bundle
        self._resolve, self._connect = resolve, connect

    def get(self, target: Target) -> bytes | str:
        """Send one GET. Returns the body, or the Location of a redirect."""
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.set_debuglevel(0)  # a global http.client.HTTPConnection.debuglevel would print the query
        connection.auto_open = 0  # no reconnection to an unchecked address
        try:
            connection.sock = self._open(target)
            connection.request("GET", target.path, headers={"Host": target.header} | _HEADERS)
            with connection.getresponse() as response:
                return self._read_response(response)
        except (OSError, http.client.HTTPException, zlib.error) as error:
            late = self.watch.expired or time.monotonic() >= self._until
            reason = f"not complete within {self.watch.timeouts.overall:g} s" if late else _describe(error)
        finally:
            connection.close()
        raise PhotoRefused(f"it could not be fetched: {reason}", _LATER)

    def _remaining(self, most: float) -> float:
        remaining = min(most, self._until - time.monotonic())
        if remaining <= 0:
            raise TimeoutError
        return remaining

    def _open(self, target: Target) -> socket.socket:
        """Connect to one of the target's addresses, with TLS. All addresses must be public."""
        addresses = [target.host] if target.numeric else self._look_up(target)
        for address in addresses:
            if name := reserved_range(address):
                where = "" if target.numeric else f"its host leads to {address}, "
                raise PhotoRefused(f"{where}not an address of the public internet but {name}", _DOWNLOAD)
        trust = _load_trust(self._ca_bundle) if target.tls else None
        last_error: OSError = OSError("its host has no address")
        for address in addresses[:_ADDRESSES]:
            try:
                sock = self._connect(address, target.port, self._remaining(_CONNECT))
                break
            except OSError as error:
                last_error = error
        else:
            raise last_error
        try:
            sock.settimeout(self._remaining(_CONNECT))  # for the entire handshake
            if trust:
                sock = trust.wrap_socket(sock, server_hostname=target.host)
            self.watch.established(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def _look_up(self, target: Target) -> list[str]:
        """Look the host up once, in a thread: a name server may take minutes."""
        addresses: list[str] = []
        errors: list[Exception] = []

        def look_up() -> None:
            try:
                answers = self._resolve(target.host, target.port, type=socket.SOCK_STREAM)
                addresses.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))
            except (OSError, UnicodeError) as error:
                errors.append(error)

        thread = threads.start(look_up, "resolve")
        thread.join(self._remaining(self.watch.timeouts.overall))
        if thread.is_alive():
            raise TimeoutError
        if errors:
            raise PhotoRefused(f"its host cannot be found ({_describe(errors[0])})", "Check its spelling") from None
        return addresses

    def _read_response(self, response: http.client.HTTPResponse) -> bytes | str:
        status = response.status
        location = response.headers.get("Location")
        if status in (301, 302, 303, 307, 308) and location is not None:
            return location
        if status in (401, 403, 407):
            raise PhotoRefused(f"HTTP {status}: it needs credentials, and none are sent", _DOWNLOAD)
        if status != 200:
            raise PhotoRefused(f"HTTP {status} instead of a photo", _LATER)
        body = self._read_body(response)
        if sniff(body) is None and (_PAGE.match(body) or response.headers.get_content_type() == "text/html"):
            raise PhotoRefused("HTTP 200, but a web page, not a photo", "Give the address of the picture itself")
        return body

    def _read_body(self, response: http.client.HTTPResponse) -> bytes:
        if response.length is not None and response.length > self._limit:
            raise too_long_error(min(response.length, 2**60), self._limit, "")
        unpack = _get_decompressor(response)
        body = bytearray()
        # At most one byte above the limit is read or unpacked: an endless stream or a bomb costs no more than a photo.
        while chunk := response.read1(min(2**16, self._limit + 1 - len(body))):
            body += unpack.decompress(chunk, self._limit + 1 - len(body)) if unpack else chunk
            if len(body) > self._limit:
                raise too_long_error(len(body), self._limit, "")
        # Without a length, a cut connection ends like a complete answer.
        if response.length or self.watch.expired or (unpack and not unpack.eof):
            raise http.client.IncompleteRead(b"")
        return bytes(body)


def _get_decompressor(response: http.client.HTTPResponse) -> Any:  # noqa: ANN401  zlib's type has no name
    """Return the decompressor of the Content-Encoding. Buckets serve files that were stored as gzip; None for plain."""
    if response.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise PhotoRefused("an unrequested Transfer-Encoding", _DOWNLOAD)
    header = ",".join(response.headers.get_all("Content-Encoding", [])).lower()
    codings = [coding.strip() for coding in header.split(",") if coding.strip() not in ("", "identity")]
    if not codings:
        return None
    if codings not in (["gzip"], ["x-gzip"]):
        raise PhotoRefused("an unrequested Content-Encoding", _DOWNLOAD)
    return zlib.decompressobj(wbits=31)


@cache
def _load_trust(ca_bundle: str | None) -> ssl.SSLContext:
    import certifi  # a dependency of requests

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the certificate and the name
    try:
        context.load_verify_locations(ca_bundle or certifi.where())
    except (OSError, ssl.SSLError) as error:
        reason = f"no certificates can be read from it ({_describe(error)})"
        raise UsageError(reason, "Check the path", subject=str(ca_bundle)) from None
    return context


def _describe(error: Exception) -> str:
    """Describe an error without any text from the server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer is cut short"
    if isinstance(error, (http.client.HTTPException, zlib.error)):
        return f"the answer is damaged ({type(error).__name__})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
