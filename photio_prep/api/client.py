"""InstantClient: send a Request, return a Result. The only file that can spend money.

An attempt is classified by evidence, not by the type of an exception. Without an established connection nothing was
sent. After that only a complete answer is evidence; every other outcome is unknown.
"""

import itertools
import threading
from pathlib import Path
from typing import Any, NamedTuple

import requests
import urllib3

from photio_prep import errors
from photio_prep.api import retry, transport
from photio_prep.api.credentials import API_URL, check_url
from photio_prep.api.key import ApiKey
from photio_prep.api.retry import AttemptClass, RateLimiter
from photio_prep.api.wire import LONGEST_ANSWER, encode_request, parse_answer, request_digest
from photio_prep.system import threads
from photio_prep.system.deadline import Timeouts, Watch
from photio_prep.types import AnswerSink, Request, Result


class Attempt(NamedTuple):
    """One try: its class, a sentence of evidence, and of a complete answer the status, Retry-After (s) and bytes."""

    outcome: AttemptClass
    evidence: str
    http_status: int | None = None
    retry_after: float | None = None
    raw: bytes = b""
    final: bool = False  # not sent, and another try would fail too
    setting: str = ""  # the mistake in our own settings that caused it


class InstantClient:
    """Client of the Photio Instant API. Thread-safe; one connection per call.

    Args:
        key: Sent in one header to one host only. KeyRefused if it is malformed.
        api_url: The full endpoint URL: https, or http to localhost. UsageError for any other.
        endpoint: Stands for the URL in the order key (the sandbox's port changes).
        timeouts: In seconds.
        proxy: URL of an HTTP proxy for https. The environment's proxies and .netrc are not used.
        ca_bundle: Certificates to trust instead of certifi's. UsageError if it does not exist.
        server_error_is_free: The vendor confirmed that a 5xx is never billed.
        pace: Shared with other clients.
    """

    def __init__(
        self,
        key: ApiKey | str,
        *,
        api_url: str = API_URL,
        endpoint: str | None = None,
        timeouts: Timeouts | None = None,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        server_error_is_free: bool = False,
        pace: RateLimiter | None = None,
    ) -> None:
        self._key = key if isinstance(key, ApiKey) else ApiKey(key)
        self.api_url = check_url(api_url)
        self.endpoint = endpoint or self.api_url
        self.timeouts = timeouts or Timeouts()
        self.stopped = threading.Event()
        self._pace = pace or RateLimiter()
        # No proxy for plain http, which is for localhost only: the key would leave the machine unencrypted.
        self._proxies = {"https": proxy} if proxy else {}
        if ca_bundle and not Path(ca_bundle).exists():
            raise errors.UsageError("no such file of certificates", _SET.format("CA_BUNDLE", "ca_bundle"), ca_bundle)
        self._verify = ca_bundle or True
        self._server_error_is_free = server_error_is_free

    def __repr__(self) -> str:
        return f"InstantClient(***, api_url={self.api_url!r})"

    def stop(self) -> None:
        """Start no new call and no new try. Calls in flight are completed."""
        self.stopped.set()

    def ready(self) -> None:
        """Start the thread that enforces deadlines; UsageError if the system has none. Called before a claim."""
        threads.ready()

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        """Send a request and return the answer. PAID. A try is repeated only if it provably was not billed.

        `keep` receives the raw answer as it arrives, and `commit` before it is parsed. Raises PaidUnusable (billed),
        OutcomeUnknown (perhaps billed), or one of `errors.NOT_BILLED`.
        """
        if not request.description:
            raise errors.UsageError("the scene description is empty", 'Give one, for instance -d "on a marble table"')
        data = encode_request(request)
        for tries in itertools.count(1):
            self._pace.wait(self.stopped)
            if self.stopped.is_set():
                break
            attempt = self._post(data, keep)
            if attempt.outcome is AttemptClass.SUCCESS:
                self._pace.speed_up()
                return self._parse(attempt, request)
            delay = retry.retry_delay(attempt.outcome, attempt.http_status, tries, attempt.retry_after)
            if delay is None or attempt.final:
                raise self._error(attempt, tries)
            if attempt.outcome is AttemptClass.REJECTED:
                self._pace.slow_down(delay)
            else:
                self.stopped.wait(delay)
        raise errors.Interrupted("stopped before it was sent")

    def _parse(self, attempt: Attempt, request: Request) -> Result:
        try:
            free = self._server_error_is_free
            image = parse_answer(attempt.raw, request.size, clean=self._key.redact, server_error_is_free=free)
            return Result(attempt.raw, image, request.canvas.placement, request_digest(request))
        except errors.PhotioError as error:
            redacted = type(error)(self._key.redact(error.problem), error.fix, subject=error.subject)
        # Raised here, so that the unredacted error is not its context.
        raise redacted

    def _error(self, attempt: Attempt, tries: int) -> errors.PhotioError:
        evidence = self._key.redact(attempt.evidence)
        status = attempt.http_status
        if attempt.setting:
            problem = f"not sent, nothing billed: {attempt.setting}"
            return errors.UsageError(problem, _SET.format("PROXY", "proxy"), "proxy")
        if attempt.outcome is AttemptClass.NOT_SENT:
            return errors.ApiUnavailable(f"not sent, nothing billed: {evidence} ({tries} tries)", "Try again later")
        if attempt.outcome is AttemptClass.UNKNOWN:
            return errors.OutcomeUnknown(evidence, _PERHAPS)
        if status == 402:
            return errors.KeyRefused(f"the credit is used up: {evidence}", "Top it up and run again")
        if status is not None and retry.is_account_error(status):
            return errors.KeyRefused(f"the API refused the key: {evidence}", "Compare it with the key in your account")
        if status in (429, 503):
            after = f"after {attempt.retry_after:.0f} s" if attempt.retry_after is not None else "later"
            return errors.ApiUnavailable(f"the API is busy, nothing billed: {evidence}", f"Try again {after}")
        if status is not None and status >= 500:
            fix = "Run again later to send it again"
            return errors.Rejected(f"the API failed, which is not billed: {evidence}", fix)
        fix = "A smaller --size may help" if status == 413 else "Nothing was billed; change the order and try again"
        return errors.Rejected(f"the API refused the request: {evidence}", fix)

    def _post(self, data: bytes, keep: AnswerSink | None) -> Attempt:
        """Send one try and classify it. Raises only bugs and errors of the disk."""
        watch = Watch(self.timeouts)
        upload = transport.Upload(data)
        with transport.Session() as session, watch.deadline():
            session.mount(self.api_url, transport.Adapter(watch))
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
                return self._classify_error(error, watch, upload)
            except BaseException as error:
                # A bug, or Ctrl-C: a reporter may print locals, and those of http.client hold the key.
                transport.clear_traceback_frames(error)
                raise
            with response:
                return self._read_answer(response, watch, keep)

    def _classify_error(self, error: Exception, watch: Watch, upload: transport.Upload) -> Attempt:
        message = transport.root_cause(error, self._key.redact)
        if not watch.connected:
            setting = transport.proxy_error(error, message)
            handshake = isinstance(error, (requests.exceptions.SSLError, requests.exceptions.ProxyError))
            final = bool(setting) or (handshake and transport.is_permanent_tls_error(message))
            return Attempt(AttemptClass.NOT_SENT, message, final=final, setting=setting)
        reason = f"no answer within {self.timeouts.overall:.0f} s" if watch.expired else message
        return Attempt(AttemptClass.UNKNOWN, f"{upload.sent} of {len(upload)} bytes were sent, then {reason}")

    def _read_answer(self, response: requests.Response, watch: Watch, keep: AnswerSink | None) -> Attempt:
        status, headers = response.status_code, response.headers
        header = headers.get("Retry-After")
        free = self._server_error_is_free
        outcome = retry.classify_status(status, has_retry_after=header is not None, server_error_is_free=free)
        sink = keep if outcome is not AttemptClass.REJECTED else None
        raw, failure = self._receive(response.raw, sink)
        has_length = "Content-Length" in headers or "Transfer-Encoding" in headers  # without, a cut looks like the end
        if watch.expired and (failure or not has_length):
            failure = f"nothing more came within {self.timeouts.overall:.0f} s"
        if failure and outcome is not AttemptClass.REJECTED:
            evidence = f"HTTP {status}, {len(raw)} bytes of an answer came, then {failure}"
            return Attempt(AttemptClass.UNKNOWN, evidence, status)
        if outcome is AttemptClass.SUCCESS:
            if sink is not None:
                sink.commit()
            return Attempt(outcome, "", status, raw=raw)
        evidence = f"HTTP {status}"
        if 300 <= status < 400:
            host = transport.redirect_host(self._key.redact(headers.get("Location", "")))
            evidence += f", a redirect to {host[:100]!r}, which is not followed"
        elif raw:
            evidence += f": {raw[:500].decode('utf-8', 'replace')!r}"
        return Attempt(outcome, evidence, status, retry.retry_after(header))

    def _receive(self, body: Any, sink: AnswerSink | None) -> tuple[bytes, str]:  # noqa: ANN401  urllib3's response
        """Receive an answer and pass it on without the key, which the server may echo; return it and the failure."""
        raw, tail, failure = bytearray(), b"", ""

        def store(clean: bytes) -> None:
            raw.extend(clean)
            if sink is not None:
                sink.write(clean)

        try:
            while chunk := body.read1(2**16, decode_content=False):  # raises for an incomplete answer
                # Redacted before it is stored, quoted or cut: half a key would not be recognised any more.
                clean, tail = self._key.split(tail + chunk, last=False)
                store(clean)
                if len(raw) > LONGEST_ANSWER:
                    failure = f"it is longer than {LONGEST_ANSWER // 2**20} MiB"
                    break
        except (urllib3.exceptions.HTTPError, OSError) as error:
            failure = transport.root_cause(error, self._key.redact)
        if tail:
            store(self._key.split(tail, last=True)[0])
        return bytes(raw), failure


_SET = "Check PHOTIO_{}, or `{}` in photio.toml"
_PERHAPS = "It was sent, so it may be billed; it is not sent again automatically. Check your bill first"
