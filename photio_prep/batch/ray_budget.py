"""One budget and one rate limit for all Ray workers, kept by one actor."""

import contextlib
from operator import attrgetter
from typing import Any

from photio_prep.api.retry import RateLimiter
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.errors import ApiUnavailable, BudgetReached, Interrupted, PhotioError
from photio_prep.types import AnswerSink, Request, Result, Sender

# Seconds that a worker waits for a permit. The actor answers in a millisecond; its node may be lost.
_PATIENCE = 30.0
LOST = ApiUnavailable("the actor that hands out permits to pay is lost, so nothing more is paid", "Run the same again")


class Unanswered(Interrupted):
    """The actor did not answer."""

    exit_code = LOST.exit_code


class NullSender:
    """Placeholder sender; only its budget is used."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        """Not used."""
        raise NotImplementedError


class SharedBudget:
    """The body of the actor: what all workers share."""

    def __init__(self, endpoint: str, max_calls: int | None = None, used_up: BudgetReached | None = None) -> None:
        self.warnings: list[str] = []
        self.guard = SpendingGuard(NullSender(endpoint), max_calls, warn=self.warnings.append)
        self.guard.used_up = used_up or self.guard.used_up
        self.limiter = RateLimiter()
        self.owners: dict[str, str] = {}  # of each path, the photo that claimed it first

    def answer(self, method: str, *arguments: object) -> tuple[PhotioError | None, Any]:
        """The error or the result of a method, also of `guard` or `limiter`. Ray would wrap an error that is raised."""
        try:
            return None, attrgetter(method)(self)(*arguments)
        except PhotioError as error:
            return error, None

    def check_answer(self, order: str, answer: bytes) -> list[str]:
        """Return a warning if another order got the same answer, by its digest."""
        self.warnings.clear()
        self.guard.check_duplicate_answer(order, answer)
        return [*self.warnings]

    def stop_reason(self) -> tuple[PhotioError | None, int]:
        """Why no further call is allowed, if so; and the number of calls so far."""
        return self.guard.stop_reason, self.guard.calls


class ActorClient:
    """Client of the budget actor."""

    def __init__(self, actor: Any) -> None:  # noqa: ANN401  Ray's handles have no type
        self._actor = actor

    def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401
        """Call a method of the actor, for instance "guard.acquire"; raises what it raises.

        Unanswered if it does not answer. It may still do what it was asked for.
        """
        import ray

        try:
            error, result = ray.get(self._actor.answer.remote(method, *arguments), timeout=_PATIENCE)
        except ray.exceptions.RayError:
            error = Unanswered(f"not sent: {LOST.problem}", LOST.fix)
        if error is not None:
            raise error
        return result

    def notify(self, method: str, *arguments: object) -> Any:  # noqa: ANN401
        """As `call`; None if the actor does not answer: what was paid for is kept in any case."""
        with contextlib.suppress(Unanswered):
            return self.call(method, *arguments)
        return None


class SharedRateLimiter(RateLimiter):
    """The rate limiter of all workers, for a client of one."""

    def __init__(self, actor: ActorClient) -> None:
        super().__init__()
        self._actor = actor

    def reserve(self) -> float:
        """Return the seconds until a request may be sent; 0 permits one."""
        return float(self._actor.call("limiter.reserve"))

    def slow_down(self, seconds: float) -> None:
        """Note that the API turned a request away."""
        self._actor.notify("limiter.slow_down", seconds)

    def speed_up(self) -> None:
        """Note that the API took a request. It is paid for, so this never raises."""
        self._actor.notify("limiter.speed_up")


class SharedSpendingGuard(SpendingGuard):
    """The guard of all workers, for the sender of one."""

    def __init__(self, sender: Sender, actor: ActorClient) -> None:
        super().__init__(sender)
        self._actor = actor
        self.warnings: list[str] = []

    def acquire(self, order: str = "") -> None:
        """Allow one call for `order`, by the shared budget."""
        try:
            self._actor.call("guard.acquire", order)
        except Unanswered as late:
            self._actor.notify("guard.settle", late, order)  # Ray keeps the order: a late permit is given back
            raise

    def settle(self, error: PhotioError | None, order: str = "") -> None:
        """Record the result of a call."""
        self._actor.notify("guard.settle", error, order)

    def check_duplicate_answer(self, order: str, answer: bytes) -> None:
        """Collect the warning if another order got the same answer."""
        self.warnings += self._actor.notify("check_answer", order, answer) or []
