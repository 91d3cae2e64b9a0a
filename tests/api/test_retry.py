"""May it be asked again? Every status, every shape of Retry-After, every number of tries."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photio_prep.api.retry import (
    BUSY_TRIES,
    LONGEST_WAIT,
    NOT_SENT_TRIES,
    AttemptClass,
    backoff_delay,
    classify_status,
    is_account_error,
    retry_after,
    retry_delay,
)

NOW = datetime(2026, 3, 29, 12, 0, 0, tzinfo=UTC)
REFUSED = {400, 401, 402, 403, 404, 413, 415, 422}


@pytest.mark.parametrize(("has_retry_after", "busy"), [(False, {429}), (True, {429, 503})])
def test_the_class_of_every_status(has_retry_after: bool, busy: set[int]) -> None:
    told = {status: classify_status(status, has_retry_after=has_retry_after) for status in range(100, 600)}
    assert {status for status, outcome in told.items() if outcome is AttemptClass.SUCCESS} == {200}
    assert {status for status, outcome in told.items() if outcome is AttemptClass.REJECTED} == REFUSED | busy
    assert set(told.values()) == {AttemptClass.SUCCESS, AttemptClass.REJECTED, AttemptClass.UNKNOWN}


@pytest.mark.parametrize("status", [201, 202, 204, 206, 301, 302, 303, 307, 308, 408, 409, 500, 502, 503, 504, 0, 999])
def test_what_may_have_been_billed_is_unknown(status: int) -> None:
    assert classify_status(status, has_retry_after=False) is AttemptClass.UNKNOWN


@pytest.mark.parametrize("status", [408, 409, 500, 502, 504])
def test_retry_after_makes_no_other_status_free(status: int) -> None:
    assert classify_status(status, has_retry_after=True) is AttemptClass.UNKNOWN


def test_the_vendors_word_frees_server_errors_and_nothing_else() -> None:
    for status in range(100, 600):
        told = classify_status(status, has_retry_after=False, server_error_is_free=True)
        expected = AttemptClass.REJECTED if status >= 500 else classify_status(status, has_retry_after=False)
        assert told is expected, status


def test_only_a_refused_key_or_credit_stops_the_batch() -> None:
    assert {status for status in range(100, 600) if is_account_error(status)} == {401, 402, 403}


# --- Retry-After -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        (" ", None),
        ("0", 0),
        ("2", 2),
        (" 2 ", 2),
        ("2.5", 2.5),
        ("-5", 0),
        ("1000000000000", 1e12),
        ("inf", None),
        ("-inf", None),
        ("nan", None),
        ("1e400", None),
        ("soon", None),
        ("2 seconds", None),
        ("2, 4", None),
        ("0x10", None),
        ("\0", None),
        ("Sun, 29 Mar 2026 12:01:30 GMT", 90),
        ("Sun, 29 Mar 2026 14:01:30 +0200", 90),
        ("Sun, 29 Mar 2026 12:01:30", 90),  # naive: HTTP means UTC
        ("Sun, 29 Mar 2026 12:01:30 -0000", 90),
        ("Sunday, 29-Mar-26 12:01:30 GMT", 90),  # RFC 850
        ("Sun Mar 29 12:01:30 2026", 90),  # asctime
        ("Sun, 29 Mar 2026 11:00:00 GMT", 0),  # past
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 99 Foo 2026 12:00:00 GMT", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999999", None),
    ],
)
def test_retry_after_of_every_shape(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.integers(-(10**9), 2 * 10**11))
def test_any_date_is_read_to_the_second(seconds: int) -> None:
    moment = NOW + timedelta(seconds=seconds)
    expected = max((moment - NOW).total_seconds(), 0)
    assert retry_after(format_datetime(moment, usegmt=True), NOW) == expected


@given(st.text() | st.from_regex(r"(\w{3}, )?\d{1,2} \w{3} \d{1,5} \d\d:\d\d:\d\d [+-]\d{1,30}", fullmatch=True))
def test_any_header_is_a_finite_wait_or_nothing(header: str) -> None:
    found = retry_after(header, NOW)
    assert found is None or 0 <= found < float("inf")


def test_without_a_clock_it_is_now() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    found = retry_after(soon)
    assert found is not None
    assert 50 < found <= 60


# --- again? ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tries", range(1, 8))
def test_what_was_never_sent_is_tried_three_times_more(tries: int) -> None:
    wait = retry_delay(AttemptClass.NOT_SENT, None, tries, None)
    assert NOT_SENT_TRIES == 4
    assert (wait is not None) == (tries <= 3)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("tries", range(1, 8))
def test_a_busy_api_is_asked_five_times_in_all(status: int, tries: int) -> None:
    assert BUSY_TRIES == 5
    assert retry_delay(AttemptClass.REJECTED, status, tries, 2.0) == (2.0 if tries < 5 else None)


@pytest.mark.parametrize(("asked", "wait"), [(0.0, 0.0), (119.9, 119.9), (120.0, 120.0), (120.1, None), (1e12, None)])
def test_asked_to_wait_too_long_we_stop(asked: float, wait: float | None) -> None:
    assert LONGEST_WAIT == 120
    assert retry_delay(AttemptClass.REJECTED, 429, 1, asked) == wait


def test_a_busy_api_that_names_no_time_gets_our_own() -> None:
    wait = retry_delay(AttemptClass.REJECTED, 429, 1, None)
    assert wait is not None
    assert 0.5 <= wait <= 0.75


@pytest.mark.parametrize("status", sorted(REFUSED))
def test_a_refusal_is_final(status: int) -> None:
    assert retry_delay(AttemptClass.REJECTED, status, 1, 1.0) is None


@given(
    st.sampled_from([AttemptClass.UNKNOWN, AttemptClass.SUCCESS, AttemptClass.UNUSABLE]),
    st.none() | st.integers(100, 599),
    st.integers(1, 10),
    st.none() | st.floats(0, 1000),
)
def test_what_may_have_been_billed_is_never_sent_again(
    outcome: AttemptClass, status: int | None, tries: int, asked: float | None
) -> None:
    assert retry_delay(outcome, status, tries, asked) is None


@pytest.mark.parametrize(("tries", "least"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (5, 8), (6, 8), (50, 8)])
def test_waits_double_from_half_a_second_to_eight_with_jitter(tries: int, least: float) -> None:
    waits = {backoff_delay(tries) for _ in range(50)}
    assert least <= min(waits) < max(waits) <= least * 1.5
