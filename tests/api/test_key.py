"""The key is shown to nobody: not by a repr, not by a dump, not in any spelling within a longer text."""

import base64
import copy
import json
import pickle
import traceback
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from photio_prep.api.key import ApiKey
from photio_prep.errors import KeyRefused
from tests.support.sampling import sampled

CANARY = "pt-canary+5c1e/77b0=a9d4"
KEY = ApiKey(CANARY)
# Everything that a key may be made of.
LETTERS = "".join(letter for letter in map(chr, range(0x21, 0x7F)) if letter not in "\"'`\\")
KEYS = st.text(LETTERS, min_size=12, max_size=60)


def test_only_reveal_gives_it() -> None:
    assert KEY.reveal() == CANARY
    shown = [repr(KEY), str(KEY), f"{KEY}", f"{KEY!r}", f"{KEY:}", "%s" % KEY, "{}".format(KEY)]  # noqa: UP031, UP032
    assert set(shown) == {"Key(***)"}
    assert CANARY not in repr([KEY, {"key": KEY}])


def test_even_the_header_that_carries_it_does_not_show_it() -> None:
    assert CANARY not in repr({"X-Photio-Key": KEY.reveal()})
    assert f"{KEY.reveal()}".encode() == CANARY.encode()


def test_it_does_not_travel() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="never pickled") as caught:
            pickle.dumps(KEY, protocol)
        assert CANARY not in str(caught.value)
    with pytest.raises(TypeError):
        copy.deepcopy(KEY)
    with pytest.raises(TypeError):
        json.dumps(KEY)


def test_a_format_that_a_key_does_not_have_tells_nothing() -> None:
    with pytest.raises(TypeError) as caught:
        format(KEY, "x")
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("text", [CANARY, f"  {CANARY}\n", f"{CANARY}\r\n"])
def test_white_space_around_a_key_is_not_part_of_it(text: str) -> None:
    assert ApiKey(text).reveal() == CANARY


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\n", "short", "x" * 513, "x" * 10_000, "pt-with space", "pt-with\nnewline", "pt-with\ttab"),
        *("pt-with\0nul", "pt-schlüssel", "pt-\u202eevil", '"pt-quoted-key"', "'pt-quoted-key'", "`pt-quoted-key`"),
        *("pt-back\\slash", "pt-\x7fdelete", "pt-key\r\nX-Evil: 1"),
    ],
)
def test_what_cannot_be_a_key_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(KeyRefused) as caught:
        ApiKey(text)
    if len(text.strip()) > 3:
        assert text.strip() not in str(caught.value)
    assert "PHOTIO_API_KEY" in caught.value.fix


@pytest.mark.parametrize(("text", "usual"), [(CANARY, True), ("PT-canary-5c1e", False), ("sk-canary-5c1e", False)])
def test_another_prefix_is_unusual_not_refused(text: str, usual: bool) -> None:
    assert ApiKey(text).has_known_prefix is usual


# --- redact ----------------------------------------------------------------------------------------------------------

SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": lambda key: key,
    "upper": str.upper,
    "quoted": lambda key: urllib.parse.quote(key, safe=""),
    "quoted, slash kept": urllib.parse.quote,
    "form": urllib.parse.quote_plus,
    "lower quoted": lambda key: urllib.parse.quote(key, safe="").lower(),
    "JSON": lambda key: json.dumps(key)[1:-1],
    "hex": lambda key: key.encode().hex(),
    "HEX": lambda key: key.encode().hex().upper(),
}


@sampled("spelling", SPELLINGS, 3)
@given(KEYS, st.text(), st.text())
@example(CANARY, "", "")
def test_no_spelling_stays_in_a_longer_text(spelling: str, text: str, before: str, after: str) -> None:
    spelled = SPELLINGS[spelling](text)
    redacted = ApiKey(text).redact(before + spelled + after)
    assert "***" in redacted
    # What the words around it spell by themselves is not ours.
    if spelled not in before + after:
        assert spelled not in redacted


@given(KEYS, st.binary(max_size=40), st.binary(max_size=40), st.booleans())
@example(CANARY, b"", b"", False)
@example(CANARY, b"X", b"", True)
@example(CANARY, b"X-Photio-Key: ", b"\r\n", False)
def test_no_base64_of_a_text_around_the_key_can_be_read_back(
    text: str, before: bytes, after: bytes, url_safe: bool
) -> None:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    redacted = ApiKey(text).redact(encode(before + text.encode() + after).decode())
    assert "***" in redacted
    # Only the letters that share a sextet with their neighbours may stay: less than two at each end.
    for piece in redacted.split("***"):
        for offset in range(4):
            letters = piece[offset:]
            decode = base64.urlsafe_b64decode if url_safe else base64.b64decode
            plain = decode(letters[: len(letters) // 4 * 4])
            assert text.encode() not in plain


@given(KEYS, st.text())
def test_every_occurrence_goes(text: str, between: str) -> None:
    redacted = ApiKey(text).redact(f"{text}{between}{text}")
    assert redacted.count("***") >= 2


@given(st.text(st.characters(exclude_characters="pP")))
def test_other_text_is_left_alone(text: str) -> None:
    assert KEY.redact(text) == text
