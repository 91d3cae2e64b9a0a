"""Which addresses are public, how a URL must be spelled, and what is shown of it.

The vectors of the promise "URLs": 48 addresses, 10 spellings and 7 tricks; test_fetch.py sends each out in three ways.
"""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photio_prep.errors import PhotoRefused
from photio_prep.intake.url_guard import LONGEST, Target, parse_url, redact_url, reserved_range

# I48, I50, I51
ADDRESSES = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "100.100.100.200"),
    *("127.0.0.1", "127.8.8.8", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255"),
    *("192.0.0.8", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1"),
    *("198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:93.184.216.34", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
    *("100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1"),
    *("fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:10.0.0.1"),
)
# I49: each is 127.0.0.1 to some program
SPELLINGS = (
    *("2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0x7f.0.0.1", "127.1", "127.0.1"),
    *("①②⑦.⓪.⓪.①", "１２７.０.０.１", "۱۲۷.۰.۰.۱"),
)
# I52: what stands between http:// and the end
TRICKS = (
    *("good.example@127.0.0.1/", "127.0.0.1#@good.example/", "good.example\\@127.0.0.1/", "127.0.0.1%00.good.example/"),
    *("127.0.0.1./", "127.0.0.1\t.good.example/", "[fe80::1%25eth0]/"),
)


def public(address: str) -> bool:
    return reserved_range(address) is None


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def refusal(url: str) -> str:
    with pytest.raises(PhotoRefused) as caught:
        parse_url(url)
    assert caught.value.fix
    return caught.value.problem


def test_the_vectors_are_those_of_the_promise():
    assert (len(set(ADDRESSES)), len(set(SPELLINGS)), len(set(TRICKS))) == (48, 10, 7)


@pytest.mark.parametrize("address", ADDRESSES)
def test_i48_i50_i51_an_address_with_a_special_purpose_is_not_public(address: str):
    assert not public(address)
    assert reserved_range(address)
    assert not public(ipaddress.ip_address(address).exploded)
    assert not public(address.upper())


# The last before and the first after each range, and a few that everybody knows.
@pytest.mark.parametrize(
    "address",
    [
        *("1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
        *("168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"),
        *("191.255.255.255", "192.0.1.0", "192.0.3.0", "192.31.195.255", "192.31.197.0", "192.52.192.255"),
        *("192.52.194.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "192.175.47.255"),
        *("192.175.49.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255"),
        *("203.0.114.0", "223.255.255.255", "1.1.1.1", "8.8.8.8", "93.184.216.34"),
        *("2000::", "2001:200::", "2001:db7:ffff::", "2001:db9::", "2001:ffff::1", "2003::", "2620:4f:7fff::1"),
        *("2620:4f:8001::1", "3ffd:ffff::1", "3fff:1000::", "2001:4860:4860::8888", "2606:4700:4700::1111"),
        *("2a00:1450::5eff:7f00:1", "2a00:1450::300:5efe:7f00:1", "2a00:1450::100:5efe:7f00:1"),
    ],
)
def test_the_neighbours_of_special_ranges_are_public(address: str):
    assert public(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "1.1.1.1 ",
        "1.1.1",
        "1.1.1.01",
        "0x1.1.1.1",
        "16843009",
        "1.1.1.1/32",
        "[2606::1]",
        "2606::1%eth0",
        "2606::1%1",
        "fe80::1%lo",
        "localhost",
        "１.1.1.1",
        "1.1.1.1\x00",
        "2606::1::1",
        "12345::1",
        "1.1.1.256",
    ],
)
def test_what_is_no_plain_address_is_not_public(address: str):
    assert not public(address)


@given(st.integers(0, 2**32 - 1))
def test_we_let_no_ipv4_through_that_python_does_not(number: int):
    address = ipaddress.IPv4Address(number)
    assert not public(str(address)) or (address.is_global and not address.is_multicast)


@given(st.one_of(st.integers(0, 2**128 - 1), st.integers(0x2 << 124, (0x4 << 124) - 1), st.integers(0, 2**64)))
def test_we_let_no_ipv6_through_that_python_does_not(number: int):
    address = ipaddress.IPv6Address(number)
    allowed = public(str(address))
    assert not allowed or (address.is_global and not address.is_multicast and number >> 125 == 1)


@given(st.integers(0, 2**32 - 1))
def test_i50_no_address_that_carries_an_ipv4_address_is_public(four: int):
    carriers = [
        four,  # compatible
        0xFFFF << 32 | four,  # mapped
        0xFFFF << 48 | four,  # translated
        0x2002 << 112 | four << 80,  # 6to4
        0x0064_FF9B << 96 | four,  # NAT64
        0x0064_FF9B_0001 << 80 | four,
        0x2001_0000 << 96 | four << 64,  # Teredo's server
        0x2001_0000 << 96 | (four ^ 0xFFFF_FFFF),  # Teredo's client
        0x2A00_1450 << 96 | 0x0000_5EFE << 32 | four,  # ISATAP
        0x2A00_1450 << 96 | 0x0200_5EFE << 32 | four,
    ]
    assert not [str(ipaddress.IPv6Address(each)) for each in carriers if public(str(ipaddress.IPv6Address(each)))]


@pytest.mark.parametrize(
    "spelling", [*SPELLINGS, "127。0。0。1", "00127.0.0.1", "0x7f.1", "127.0.0.0x1", "1.2.3.4.5", "0x"]
)
def test_i49_a_number_is_refused_as_a_host_unless_it_is_a_plain_address(spelling: str):
    assert refusal(f"http://{spelling}/x.png") == "a URL whose host is a number"


@pytest.mark.parametrize("trick", TRICKS)
def test_i52_a_trick_is_refused_or_seen_through(trick: str):
    if "#" in trick:
        assert parse_url(f"http://{trick}").host == "127.0.0.1"
    else:
        refusal(f"http://{trick}")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/x.png",
        "gopher://example.com/",
        "data:image/png;base64,iVBORw0KGgo=",
        "javascript:alert(1)",
        "//example.com/x.png",
        "http:///x.png",
        "example.com/x.png",
        "http:example.com",
        "http:/a.b",
        "",
        "http://",
        "https://?",
        "ws://example.com/",
        "httpx://example.com/",
        "view-source:http://example.com/",
        "http://example.com/" + "x" * 100000,
    ],
)
def test_i47_only_http_and_https_with_a_host_are_urls_of_photos(url: str):
    refusal(url)


def test_a_url_may_have_2000_characters_and_not_one_more():
    start = "https://example.com/"
    assert parse_url(start.ljust(LONGEST, "x")).host == "example.com"
    assert refusal(start.ljust(LONGEST + 1, "x")) == "a URL of 2,001 characters, the limit is 2,000"


@pytest.mark.parametrize("port", ["22", "25", "6379", "8080", "0", "81", "65536", "99999"])
def test_i56_other_ports_are_refused(port: str):
    refusal(f"http://example.com:{port}/x.png")


@pytest.mark.parametrize("port", ["", "080", "+80", "8 0", "８０", "80:80", "80a", "-80", "443443"])
def test_a_port_in_an_odd_spelling_is_refused(port: str):
    refusal(f"http://example.com:{port}/x.png")


def test_i56_a_port_may_be_allowed():
    assert parse_url("http://example.com:8080/", {8080}).port == 8080
    with pytest.raises(PhotoRefused):
        parse_url("http://example.com/", {8080})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com", Target(False, "example.com", 80, "/")),
        ("HTTPS://Example.COM/A.png?x=Y#part", Target(True, "example.com", 443, "/A.png?x=Y")),
        ("https://example.com:80?q", Target(True, "example.com", 80, "/?q")),
        (
            "https://example.com/%2e%2E/a%20b/../c;d=[1]'~",
            Target(True, "example.com", 443, "/%2e%2E/a%20b/../c;d=[1]'~"),
        ),
        ("https://example.com/@me/a@2x.png?a=b@c", Target(True, "example.com", 443, "/@me/a@2x.png?a=b@c")),
        ("https://example.com/schön.png?q=é", Target(True, "example.com", 443, "/sch%C3%B6n.png?q=%C3%A9")),
        ("https://müller.example/", Target(True, "xn--mller-kva.example", 443, "/")),
        ("https://faß.example/", Target(True, "xn--fa-hia.example", 443, "/")),  # not fass.example, as in IDNA 2003
        ("https://例え。example/", Target(True, "xn--r8jz45g.example", 443, "/")),
        ("https://my_bucket.s3-1.example/", Target(True, "my_bucket.s3-1.example", 443, "/")),
        ("http://93.184.216.34/", Target(False, "93.184.216.34", 80, "/")),
        ("http://[2606:4700:0:0::1]:80/", Target(False, "2606:4700::1", 80, "/")),
    ],
)
def test_a_plain_url_is_read_as_it_stands(url: str, expected: Target):
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "intranet",
        "a..b",
        ".a.b",
        "a.b.",
        "-a.b",
        "a-.b",
        "a b.c",
        "a%2eb.c",
        "a!.b",
        "a,b.c",
        "[a.b]",
        "[::1",
        "::1",
        "x" * 64 + ".example",
        ".".join(["x" * 60] * 5),
        "[1.2.3.4]",
        "[::1%25lo]",
        "[v1.x]",
        "xn--a\u200db.example",
        "℀.example",
        "ex\xadample.com",
        "ex․ample.com/",
        "good.example／x",
        "a＠b.example",
        "🙂\u200d.example",
        "xn--.é.example",
    ],
)
def test_a_host_that_is_no_plain_name_is_refused(host: str):
    refusal(f"https://{host}/x.png")


@pytest.mark.parametrize(
    "bad", [" ", "\t", "\n", "\r\nX: y", "\0", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\\", "\udcff"]
)
@pytest.mark.parametrize(
    "place",
    ["{}https://example.com/", "https://exa{}mple.com/", "https://example.com/a{}b", "https://example.com/?a={}"],
)
def test_white_space_control_characters_and_backslashes_are_refused(bad: str, place: str):
    assert "white space" in refusal(place.format(bad))


@given(
    st.text(max_size=60),
    st.sampled_from(["{}", "http://{}", "https://{}/x", "http://a.b:{}", "http://[{}]", "http://a.b/{}"]),
)
def test_any_text_is_a_target_or_refused(text: str, form: str):
    url = form.format(text)
    redact_url(url).encode("utf-8")
    try:
        found = parse_url(url)
    except PhotoRefused:
        return
    assert found.host.isascii()
    assert found.header.isascii()
    assert found.path.isascii()
    assert found.path.isprintable()
    assert " " not in found.path
    assert found.port in (80, 443)
    assert not found.numeric or str(ipaddress.ip_address(found.host)) == found.host


@pytest.mark.parametrize(
    ("place", "header"),
    [
        (Target(True, "a.b", 443, "/"), "a.b"),
        (Target(False, "a.b", 80, "/"), "a.b"),
        (Target(True, "a.b", 80, "/"), "a.b:80"),
        (Target(False, "a.b", 443, "/"), "a.b:443"),
        (Target(True, "2606::1", 443, "/"), "[2606::1]"),
        (Target(False, "2606::1", 8080, "/"), "[2606::1]:8080"),
    ],
)
def test_the_host_header_names_the_port_where_it_is_not_the_usual_one(place: Target, header: str):
    assert place.header == header


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a.png", "https://example.com/a.png"),
        ("https://example.com/a.png?", "https://example.com/a.png?***"),
        ("https://example.com/a.png?X-Amz-Signature=SECRET", "https://example.com/a.png?***"),
        ("https://example.com/a.png?SECRET#SECRET", "https://example.com/a.png?***"),
        ("https://example.com/a.png#SECRET", "https://example.com/a.png#***"),
        ("https://SECRET@example.com/a.png", "https://***@example.com/a.png"),
        ("https://SECRET:SECRET@example.com:443/a.png?SECRET", "https://***@example.com:443/a.png?***"),
        ("https://SECRET:a/SECRET@example.com/a.png", "https://***@example.com/a.png"),
        ("https://SECRET:a?SECRET@example.com/a.png", "https://***@example.com/a.png"),
        ("https://SECRET:a#SECRET@example.com/a.png", "https://***@example.com/a.png"),
        ("https://SECRET:a\\SECRET@example.com/a.png", "https://***@example.com/a.png"),
        ("https://SECRET@SECRET@example.com/", "https://***@example.com/"),
        ("https://[SECRET@example.com/", "https://***@example.com/"),
        ("//SECRET:SECRET@example.com/", "//***@example.com/"),
        ("user:SECRET@example.com/", "user:***@example.com/"),
        ("https:\\\\SECRET:SECRET@example.com/", "https:\\\\***@example.com/"),
        ("https://cdn.example/npm/shoe@1.2.3/a@2x.png", "https://cdn.example/npm/shoe@1.2.3/a@2x.png"),
        ("https://[2606::1]:80/a@2x.png", "https://[2606::1]:80/a@2x.png"),
        ("https://example.com/\x1b[31m\u202e\ud800\n", "https://example.com/\\x1b[31m\\u202e\\ud800\\n"),
        ("", ""),
    ],
)
def test_i61_secrets_of_a_url_are_not_shown(url: str, expected: str):
    assert redact_url(url) == expected
    assert "SECRET" not in redact_url(url)


def test_a_long_url_is_shown_short():
    assert len(redact_url("https://example.com/" + "x" * 5_000)) == 200


@given(st.text(max_size=40), st.text(max_size=40))
def test_i61_a_query_is_never_shown(before: str, after: str):
    assert "S3CR3T" not in redact_url(f"https://example.com/{before}?{after}S3CR3T")
    assert "S3CR3T" not in redact_url(f"https://user:{before}S3CR3T{after}@example.com/")
