"""Request -> Result: the only file that can spend money.

An attempt is judged by evidence, not by the kind of an exception: a connection that was never established sent
nothing; after that, only a complete answer says anything, and everything else is unknown.
"""

import threading
import urllib.parse
from pathlib import Path
from typing import NamedTuple

import requests
import urllib3

from photio_prep.api import retry, transport
from photio_prep.api.key import Key, Redacted
from photio_prep.api.rate_limiter import Pace
from photio_prep.api.retry import Outcome
from photio_prep.api.transport import Adapter, Session, Upload
from photio_prep.api.wire import LONGEST_ANSWER, answer, body
from photio_prep.errors import (
    ApiUnavailable,
    Interrupted,
    KeyRefused,
    OutcomeUnknown,
    PhotioError,
    Rejected,
    UsageError,
)
from photio_prep.system import threads
from photio_prep.system.deadline import Timeouts, Watch
from photio_prep.types import Keep, Request, Result

API_URL = "https://api.photio.io/v1/inference/instant"


class Attempt(NamedTuple):
    """One try: its class, a sentence of evidence; of the answer, if any, its status, Retry-After (s) and bytes."""

    outcome: Outcome
    evidence: str
    http_status: int | None = None
    asked: float | None = None
    raw: bytes = b""
    final: bool = False  # a not-sent that would not go better next time
    setting: str = ""  # what is wrong with our own settings, where that was it


class InstantClient:
    """Sends requests to the Photio Instant API. May be used from several threads; one connection a call.

    Args:
        key: The API key. It goes into one header of one host and nowhere else.
        api_url: The full endpoint URL. https, or http to this machine itself.
        endpoint: Who is asked, for the order's key, where that is not the URL (the sandbox's port changes).
        timeouts: Seconds.
        proxy: URL of an HTTP proxy for https. The environment's proxies and .netrc are not used.
        ca_bundle: A file of certificates to trust in place of certifi's.
        server_error_is_free: The vendor's word that a 5xx is never billed (see `retry.by_status`).
        pace: One that is shared with other clients.

    Raises:
        KeyRefused: This cannot be a key.
        UsageError: This is no URL that a key may be sent to, or there is no such `ca_bundle`.
    """

    def __init__(
        self,
        key: Key | str,
        *,
        api_url: str = API_URL,
        endpoint: str | None = None,
        timeouts: Timeouts | None = None,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        server_error_is_free: bool = False,
        pace: Pace | None = None,
    ) -> None:
        self._key = key if isinstance(key, Key) else Key(key)
        self.api_url = checked_url(api_url)
        self.endpoint = endpoint or self.api_url
        self.timeouts = timeouts or Timeouts()
        self.stopped = threading.Event()
        self._pace = pace or Pace()
        # Plain http goes to this machine only: through a proxy the key would leave it in the clear.
        self._proxies = {"https": proxy} if proxy else {}
        if ca_bundle and not Path(ca_bundle).exists():
            raise UsageError("no such file of certificates", "Check PHOTIO_CA_BUNDLE", subject=ca_bundle)
        self._verify: str | bool = ca_bundle or True
        self._server_error_is_free = server_error_is_free

    def __repr__(self) -> str:
        return f"InstantClient(***, api_url={self.api_url!r})"

    def stop(self) -> None:
        """Start no new call and no new try; what is in flight ends by itself."""
        self.stopped.set()

    def ready(self) -> None:
        """Have the thread that ends a call in time; a UsageError where there is none. Called before a claim."""
        threads.ready()

    def send(self, request: Request, keep: Keep | None = None) -> Result:
        """The answer to `request`. PAID.

        Repeated only where it provably was not billed: never sent, or turned away as too busy.

        Args:
            request: What is asked. An empty description is never sent.
            keep: Gets the raw answer as it arrives, and `commit` before it is parsed.

        Raises:
            UsageError: The description is empty, or the proxy refuses us.
            ApiUnavailable: Never sent, or turned away as too busy; nothing was billed.
            Rejected: Refused before any work (HTTP 400, 404, 413, 415, 422); nothing was billed.
            KeyRefused: The key was refused or its credit is used up; nothing was billed.
            PaidUnusable: Billed, but the answer holds no picture of the asked size.
            OutcomeUnknown: Sent, but no whole answer came: perhaps billed.
            Interrupted: The client was stopped before anything was sent.
        """
        if not request.description:
            raise UsageError("the scene description is empty", 'Give one, for instance -d "on a marble table"')
        posted = body(request)
        tries = 0
        while True:
            self._pace.wait(self.stopped)
            if self.stopped.is_set():
                raise Interrupted("stopped before it was sent")
            attempt = self._post(posted, keep)
            tries += 1
            if attempt.outcome is Outcome.SUCCESS:
                self._pace.well()
                return self._read(attempt, request)
            wait = (
                None if attempt.final else retry.wait_before(attempt.outcome, attempt.http_status, tries, attempt.asked)
            )
            if wait is None:
                raise self._error(attempt, tries)
            if attempt.outcome is Outcome.REJECTED:
                self._pace.busy(wait)
            else:
                self.stopped.wait(wait)

    def _read(self, attempt: Attempt, request: Request) -> Result:
        try:
            free = self._server_error_is_free
            image = answer(attempt.raw, request.size, clean=self._key.redact, server_error_is_free=free)
            return Result(attempt.raw, image, request.canvas.placement)
        except PhotioError as error:
            failed = type(error)(self._key.redact(error.found), error.fix, subject=error.subject)
        # Raised out here, so that the unredacted error is not its context.
        raise failed

    def _error(self, attempt: Attempt, tries: int) -> PhotioError:
        found = self._key.redact(attempt.evidence)
        status = attempt.http_status
        if attempt.setting:
            return UsageError(f"not sent, nothing billed: {attempt.setting}", "Check PHOTIO_PROXY", subject="proxy")
        if attempt.outcome is Outcome.NOT_SENT:
            return ApiUnavailable(f"not sent, nothing billed: {found} ({tries} tries)", "Try again later")
        if attempt.outcome is Outcome.UNKNOWN:
            return OutcomeUnknown(found, _PERHAPS)
        if status == 402:
            return KeyRefused(f"the API says that the credit is used up: {found}", "Top it up and run again")
        if status is not None and retry.stops_the_batch(status):
            return KeyRefused(f"the API refused the key: {found}", "Check the key with: photio-prep check")
        if status in (429, 503):
            after = f"after {attempt.asked:.0f} s" if attempt.asked is not None else "later"
            return ApiUnavailable(f"the API is busy, nothing billed: {found}", f"Try again {after}")
        if status is not None and status >= 500:
            return Rejected(f"the API failed, which is not billed: {found}", "Run again later to send it again")
        smaller = "A smaller --size may help" if status == 413 else "Nothing was billed; change the order and try again"
        return Rejected(f"the API refused the request: {found}", smaller)

    def _post(self, posted: bytes, keep: Keep | None) -> Attempt:
        """One try, judged. Raises only what is a bug or the disk's."""
        watch = Watch(self.timeouts)
        upload = Upload(posted)
        with Session() as session, watch.deadline():
            session.mount(self.api_url, Adapter(watch))
            try:
                response = session.post(
                    self.api_url,
                    data=upload,
                    headers={
                        "X-Photio-Key": self._key.reveal(),
                        "Content-Type": "application/json",
                        "Accept-Encoding": "identity",
                        "Connection": "close",
                    },
                    stream=True,
                    allow_redirects=False,
                    timeout=(self.timeouts.connect, self.timeouts.read),
                    proxies=self._proxies,
                    verify=self._verify,
                )
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                return self._broken(error, watch, upload)
            except BaseException as error:
                # A bug, or Ctrl-C: what reports it may print locals, and those of http.client hold the headers.
                transport.forget_locals(error)
                raise
            with response:
                return self._answered(response, watch, keep)

    def _broken(self, error: Exception, watch: Watch, upload: Upload) -> Attempt:
        said = transport.reason(error, self._key.redact)
        if not watch.connected:
            setting = transport.misconfigured(error, said)
            shaken = isinstance(error, (requests.exceptions.SSLError, requests.exceptions.ProxyError))
            final = bool(setting) or (shaken and transport.is_verdict(said))
            return Attempt(Outcome.NOT_SENT, said, final=final, setting=setting)
        why = f"no answer within {self.timeouts.overall:.0f} s" if watch.expired else said
        return Attempt(Outcome.UNKNOWN, f"{upload.sent} of {len(upload)} bytes were sent, then {why}")

    def _answered(self, response: requests.Response, watch: Watch, keep: Keep | None) -> Attempt:
        status = response.status_code
        header = response.headers.get("Retry-After")
        free = self._server_error_is_free
        outcome = retry.by_status(status, has_retry_after=header is not None, server_error_is_free=free)
        kept = outcome in (Outcome.SUCCESS, Outcome.UNKNOWN)
        heard = _Heard(keep if kept else None)
        # Redacted before anybody keeps, quotes or cuts it: half a key would be recognised by nobody.
        sink = Redacted(self._key, heard)
        broken = ""
        try:
            for chunk in transport.chunks(response.raw):
                sink.write(chunk)
                if len(heard.raw) > LONGEST_ANSWER:
                    broken = f"it is longer than {LONGEST_ANSWER // 2**20} MiB"
                    break
        except (urllib3.exceptions.HTTPError, OSError) as error:
            broken = transport.reason(error, self._key.redact)
        sink.flush()
        if watch.expired and (broken or not _framed(response)):
            broken = f"nothing more came within {self.timeouts.overall:.0f} s"
        if broken and outcome is not Outcome.REJECTED:
            came = f"HTTP {status}, {len(heard.raw)} bytes of an answer came, then {broken}"
            return Attempt(Outcome.UNKNOWN, came, status)
        raw = bytes(heard.raw)
        if outcome is Outcome.SUCCESS:
            heard.commit()
            return Attempt(outcome, "", status, raw=raw)
        evidence = f"HTTP {status}"
        if 300 <= status < 400:
            place = transport.host(self._key.redact(response.headers.get("Location", "")))
            evidence += f", a redirect to {place[:100]!r}, which is not followed"
        elif raw:
            evidence += f": {raw[:500].decode('utf-8', 'replace')!r}"
        return Attempt(outcome, evidence, status, retry.retry_after(header))


_PERHAPS = "It was sent, so it may have cost one call; it is not sent again by itself. Look at your bill first"


class _Heard:
    """An answer as it arrives: for us, and for whoever keeps it."""

    def __init__(self, keep: Keep | None) -> None:
        self.raw = bytearray()
        self._keep = keep

    def write(self, chunk: bytes, /) -> None:
        """Take a piece."""
        self.raw += chunk
        if self._keep is not None:
            self._keep.write(chunk)

    def commit(self) -> None:
        """The answer is whole."""
        if self._keep is not None:
            self._keep.commit()


def _framed(response: requests.Response) -> bool:
    """Whether the answer says itself where it ends; else its end and a cut look the same."""
    return "Content-Length" in response.headers or "Transfer-Encoding" in response.headers


def checked_url(url: str) -> str:
    """The URL, if a key may be sent there: https, or http to this machine itself.

    Raises:
        UsageError: Anything else.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urllib.parse.urlsplit("")
    local = host in ("localhost", "127.0.0.1", "::1")
    if not host or parts.username or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not local):
        raise UsageError(
            f"{url[:100]!r} is no address that a key may be sent to",
            "Give an https URL (plain http only for this machine itself)",
            subject="--api-url",
        )
    return url
