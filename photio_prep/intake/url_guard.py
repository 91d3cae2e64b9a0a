"""Parse the URL of a photo strictly; refuse addresses outside the public internet.

The table is our own: `ipaddress.is_private` and `is_global` change with Python's version, and no version knows
168.63.129.16 (Azure's host services).
"""

import re
import string
from collections.abc import Container
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import quote

from photio_prep.errors import PhotoRefused

PORTS = frozenset({80, 443})
LONGEST = 2_000
_DOWNLOAD = "Download it yourself and give the file"

# Names as in IANA's registries of IPv4 and IPv6 special-purpose addresses, the globally reachable ones included: relays
# and name servers keep no photos. The first block that holds an address names it; rare ones
# have the name of a wider block.
_RESERVED: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(block), name)
    for block, name in (
        ("0.0.0.0/8", "this network (RFC 791)"),
        ("10.0.0.0/8", "private use (RFC 1918)"),
        ("100.100.100.200/32", "Alibaba Cloud's metadata service"),
        ("100.64.0.0/10", "shared address space of carriers (RFC 6598)"),
        ("127.0.0.0/8", "this machine itself (loopback, RFC 1122)"),
        ("168.63.129.16/32", "Azure's host services"),
        ("169.254.169.254/32", "the metadata service of most clouds"),
        ("169.254.0.0/16", "link local (RFC 3927)"),
        ("172.16.0.0/12", "private use (RFC 1918)"),
        ("192.0.0.0/24", "IETF protocol assignments (RFC 6890)"),  # with 192.0.0.192, Oracle Cloud's metadata service
        ("192.0.2.0/24", "documentation, TEST-NET-1 (RFC 5737)"),
        ("192.31.196.0/24", "AS112-v4 (RFC 7535)"),
        ("192.52.193.0/24", "AMT (RFC 7450)"),
        ("192.88.99.0/24", "6to4 relay anycast (RFC 7526)"),
        ("192.168.0.0/16", "private use (RFC 1918)"),
        ("192.175.48.0/24", "direct delegation AS112 service (RFC 7534)"),
        ("198.18.0.0/15", "benchmarking (RFC 2544)"),
        ("198.51.100.0/24", "documentation, TEST-NET-2 (RFC 5737)"),
        ("203.0.113.0/24", "documentation, TEST-NET-3 (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("255.255.255.255/32", "limited broadcast (RFC 8190)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
        ("::/128", "the unspecified address (RFC 4291)"),
        ("::1/128", "this machine itself (loopback, RFC 4291)"),
        ("::ffff:0:0/96", "IPv4-mapped (RFC 4291)"),
        ("64:ff9b::/96", "IPv4-IPv6 translation, NAT64 (RFC 6052)"),
        ("2001::/23", "IETF protocol assignments (RFC 2928)"),
        ("2001:db8::/32", "documentation (RFC 3849)"),
        ("2002::/16", "6to4 (RFC 3056)"),
        ("2620:4f:8000::/48", "direct delegation AS112 service (RFC 7534)"),
        ("3ffe::/16", "the former 6bone (RFC 3701)"),
        ("3fff::/20", "documentation (RFC 9637)"),
        ("fd00:ec2::254/128", "Amazon's metadata service"),
        ("fc00::/7", "unique local (RFC 4193)"),
        ("fe80::/10", "link local (RFC 4291)"),
        ("ff00::/8", "multicast (RFC 4291)"),
        # Everything else outside 2000::/3, all that IANA gives out as global unicast.
        ("::/3", "reserved by the IETF (RFC 4291)"),
        ("4000::/2", "reserved by the IETF (RFC 4291)"),
        ("8000::/1", "reserved by the IETF (RFC 4291)"),
    )
)


def reserved_range(address: str) -> str | None:
    """Name the reserved range of a numeric address; None for an address of the public internet.

    IPv6 forms of IPv4 addresses are refused, whatever address they hold: no photo is served from one, and the gateway
    that translates it is unknown.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return "no address"
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            return "an address of one network card"
        # The interface identifier 0000:5efe or 0200:5efe and an IPv4 address, below any prefix.
        if int(ip) >> 32 & 0xFDFF_FFFF == 0x0000_5EFE:
            return "a tunnel to an IPv4 address, ISATAP (RFC 5214)"
    return next((name for block, name in _RESERVED if ip in block), None)


class Target(NamedTuple):
    """A parsed URL. `host` is an ASCII name or a numeric address without brackets; `path` includes the query."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def header(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def numeric(self) -> bool:
        """Whether the host is an address, not a name."""
        return ":" in self.host or self.host.rpartition(".")[2].isdigit()


# Not urllib's parser: it drops tabs and line breaks silently, accepts malformed hosts, and quotes passwords in errors.
_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([1-9][0-9]{0,4}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def parse_url(url: str, ports: Container[int] = PORTS) -> Target:
    """Parse the URL of a photo strictly.

    Raises:
        PhotoRefused: The scheme is not http or https, the port is not in `ports`, there is a user or password, or two
            programs may read the URL in two ways: white space, control characters, backslashes, a host with percent
            signs, a final dot, a zone, an address in an unusual spelling.
    """
    if len(url) > LONGEST:
        raise PhotoRefused(f"a URL of {len(url):,} characters, the limit is {LONGEST:,}", _DOWNLOAD)
    if any(char.isspace() or not char.isprintable() or char == "\\" for char in url):
        raise PhotoRefused("a URL with white space, a backslash or a control character", "Write such as %20 and %5C")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise PhotoRefused("not an http or https URL", "Give one that starts with https://, or a file")
    scheme, authority, path, query = parts.groups("")
    if "@" in authority:
        raise PhotoRefused("a URL with a user or a password, which are never sent", _DOWNLOAD)
    host = _AUTHORITY.fullmatch(authority)
    if host is None:
        raise PhotoRefused("a URL whose host cannot be read", "Give one like https://example.com/photo.jpg")
    ipv6, name, port = host.groups("")
    tls = scheme.lower() == "https"
    number = int(port) if port else 443 if tls else 80
    if number not in ports:
        raise PhotoRefused(f"port {number}, which is not a port for photos", _DOWNLOAD)
    # Only non-ASCII is encoded: a signature covers the path and the query as they are.
    request_path = quote((path or "/") + query, safe=string.punctuation)
    return Target(tls, _parse_ipv6(ipv6) if ipv6 else _parse_name(name), number, request_path)


def _parse_ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise PhotoRefused("a URL whose host is not an IPv6 address", "Check its spelling") from None


def _parse_name(name: str) -> str:
    host = name.lower() if name.isascii() else _punycode(name)
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]) or name.rpartition(".")[2].isnumeric():
        # 2130706433, 0x7f.1, 127.1 and digits of other scripts: 127.0.0.1 to some programs, something else to others.
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise PhotoRefused("a URL whose host is a number", "Write an address as four decimal numbers") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise PhotoRefused("a URL whose host is not a plain name", "Give one like https://example.com/photo.jpg")
    if len(labels) == 1:
        raise PhotoRefused("a URL whose host is a name of the local network", _DOWNLOAD)
    return host


def _punycode(name: str) -> str:
    """Encode a name with non-ASCII letters as browsers and requests do (UTS #46)."""
    import idna  # requests needs it anyway; its tables take 60 ms to load

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:
        raise PhotoRefused("a URL whose host is not a name", "Check its spelling") from None


_START = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?[/\\]*")


def redact_url(url: str) -> str:
    """Redact a URL for messages, logs and reports: no user, password, query or fragment; short and printable.

    The query is removed as a whole: signatures, tokens and keys have any name there.
    """
    start = _START.match(url)
    head = start[0] if start else ""
    rest = url[len(head) :]
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    # A password may hold a slash or a question mark, and so end far behind the apparent host.
    secret = rest if ":" in authority and not authority.startswith("[") else authority
    if "@" in secret:
        rest = "***@" + rest[secret.rindex("@") + 1 :]
    end = re.search(r"[?#]", rest)
    if end:
        rest = f"{rest[: end.start()]}{end[0]}***"
    text = head + rest
    if len(text) > 200:
        text = text[:199] + "…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
