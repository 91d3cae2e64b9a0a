"""One budget and one rate limit for all Ray workers, kept by one actor."""

import contextlib
from hashlib import sha256
from typing import Any

from photio_prep.api.retry import RateLimiter
from photio_prep.api.spending_guard import SpendingGuard, call_outcome
from photio_prep.api.wire import order_key
from photio_prep.errors import ApiUnavailable, BudgetReached, Interrupted, PhotioError
from photio_prep.types import AnswerSink, Request, Result, Sender

# Seconds that a worker waits for a permit. The actor answers in a millisecond; its node may be lost.
_PATIENCE = 30.0
LOST = ApiUnavailable("the actor that hands out permits to pay is lost, so nothing more is paid", "Run the same again")


class NullSender:
    """Placeholder sender; only its budget is used."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        """Not used."""
        raise NotImplementedError


class SharedBudget:
    """The body of the actor. Errors are returned, not raised: Ray wraps raised ones."""

    def __init__(self, endpoint: str, max_calls: int | None, why: BudgetReached | None) -> None:
        self._warnings: list[str] = []
        self._guard = SpendingGuard(NullSender(endpoint), None, warn=self._warnings.append)
        if max_calls is not None:
            why = why or BudgetReached("the budget of --max-calls is used up", "Run again for more")
            self._guard.set_limit(max_calls, why)
        self._limiter = RateLimiter()
        self._owners: dict[str, str] = {}

    def claim_path(self, path: str, photo: str) -> str:
        """Return the photo that the file at `path` belongs to: the first that claimed it."""
        return self._owners.setdefault(path, photo)

    def acquire(self, order: str = "") -> tuple[PhotioError | None]:
        """Count one call for `order`, or return why it must not be made."""
        try:
            self._guard.acquire(order)
        except PhotioError as error:
            return (error,)
        return (None,)

    def settle(self, error: PhotioError | None, order: str = "", answer: bytes = b"") -> list[str]:
        """Record the result of a call; return warnings about its answer."""
        self._guard.settle(error, order)
        if error is None:
            self._guard.check_duplicate_answer(order, answer)
        warnings, self._warnings[:] = [*self._warnings], []
        return warnings

    def is_billed(self, order: str) -> bool:
        """Whether a call of any worker for `order` was or may have been billed, also of one that died in it."""
        return self._guard.is_billed(order)

    def limit_rate(self, step: str, *values: float) -> float | None:
        """Call a method of the rate limiter: reserve, slow_down or speed_up."""
        result: float | None = getattr(self._limiter, step)(*values)
        return result

    def stop(self, error: PhotioError) -> None:
        """Allow no further call."""
        self._guard.stop(error)

    def stop_reason(self) -> tuple[PhotioError | None, int]:
        """Why no further call is allowed, if so; and the number of calls so far."""
        return self._guard.stop_reason, self._guard.calls


class ActorClient:
    """Client of the budget actor."""

    def __init__(self, actor: Any) -> None:  # noqa: ANN401  Ray's handles have no type
        self._actor = actor

    def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401
        """Call a method of the actor.

        Raises:
            Interrupted: It does not answer.
        """
        import ray

        try:
            return ray.get(getattr(self._actor, method).remote(*arguments), timeout=_PATIENCE)
        except ray.exceptions.RayError:
            lost = Interrupted(f"not sent: {LOST.problem}", LOST.fix)
            lost.exit_code = LOST.exit_code
            raise lost from None

    def notify(self, method: str, *arguments: object) -> Any:  # noqa: ANN401
        """As `call`; None if the actor does not answer: what was paid for is kept in any case."""
        with contextlib.suppress(Interrupted):
            return self.call(method, *arguments)
        return None


class SharedRateLimiter(RateLimiter):
    """The rate limiter of all workers, for a client of one."""

    def __init__(self, actor: ActorClient) -> None:
        super().__init__()
        self._actor = actor

    def reserve(self) -> float:
        """Return the seconds until a request may be sent; 0 permits one."""
        return float(self._actor.call("limit_rate", "reserve"))

    def slow_down(self, seconds: float) -> None:
        """Note that the API turned a request away."""
        self._actor.notify("limit_rate", "slow_down", seconds)

    def speed_up(self) -> None:
        """Note that the API took a request. It is paid for, so this never raises."""
        self._actor.notify("limit_rate", "speed_up")


class SharedSpendingGuard:
    """A sender that sends only with a permit of the actor."""

    def __init__(self, sender: Sender, actor: ActorClient) -> None:
        self._sender = sender
        self._actor = actor
        self.warnings: list[str] = []

    @property
    def endpoint(self) -> str:
        """The sender's endpoint, a part of every order key."""
        return self._sender.endpoint

    def ready(self) -> None:
        """Check that the sender can send, before an order is claimed."""
        ready = getattr(self._sender, "ready", None)
        if ready is not None:
            ready()

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        """Send a request if the shared budget allows it. PAID."""
        order = order_key(request, self.endpoint)[:32]
        (refusal,) = self._actor.call("acquire", order)
        if refusal is not None:
            raise refusal
        try:
            result = self._sender.send(request, keep)
            digest = sha256(result.raw).digest()
        except Exception as error:
            self._actor.notify("settle", call_outcome(error), order)
            raise
        self.warnings += self._actor.notify("settle", None, order, digest) or []
        return result
