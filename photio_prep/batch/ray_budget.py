"""One budget and one pace for all workers: permits to pay, handed out by one actor of Ray."""

import contextlib
from hashlib import sha256
from typing import Any

from photio_prep.api.rate_limiter import RateLimiter
from photio_prep.api.spending_guard import SpendingGuard, call_outcome
from photio_prep.api.wire import order_key
from photio_prep.errors import ApiUnavailable, BudgetReached, Interrupted, PhotioError
from photio_prep.types import AnswerSink, Request, Result, Sender

# Seconds that a worker waits for a permit. The actor answers in a millisecond; its node may have gone.
_PATIENCE = 30.0
LOST = ApiUnavailable("the actor that hands out permits to pay has gone, so nothing more is paid", "Run the same again")


class NullSender:
    """A sender that must not be asked: its guard only counts."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        """Nothing."""
        raise NotImplementedError


class SharedBudget:
    """The body of the actor: a guard and a pace that all share. Errors are given, not raised: Ray wraps those."""

    def __init__(self, endpoint: str, max_calls: int | None, why: BudgetReached | None) -> None:
        self._warnings: list[str] = []
        self._guard = SpendingGuard(NullSender(endpoint), None, warn=self._warnings.append)
        if max_calls is not None:
            self._guard.set_limit(
                max_calls, why or BudgetReached("the budget of --max-calls is used up", "Run again for more")
            )
        self._pace = RateLimiter()
        self._taken: dict[str, str] = {}

    def taken(self, path: str, whose: str) -> str:
        """Whose the file at `path` will be: the one's who asked first."""
        return self._taken.setdefault(path, whose)

    def acquire(self, order: str = "") -> tuple[PhotioError | None]:
        """Count one call for `order`; why it must not be made, where it must not."""
        try:
            self._guard.acquire(order)
        except PhotioError as error:
            return (error,)
        return (None,)

    def settle(self, error: PhotioError | None, order: str = "", answer: bytes = b"") -> list[str]:
        """What came of a call; warnings about its answer."""
        self._guard.settle(error, order)
        if error is None:
            self._guard.check_duplicate_answer(order, answer)
        found, self._warnings[:] = [*self._warnings], []
        return found

    def is_billed(self, order: str) -> bool:
        """Whether a call for `order` of any worker was billed, or may have been: also one that died in it."""
        return self._guard.is_billed(order)

    def reserve(self) -> float:
        """Seconds until a request may leave; 0 is the permission for one."""
        return self._pace.reserve()

    def slow_down(self, seconds: float) -> None:
        """The API turned a request of some worker away."""
        self._pace.slow_down(seconds)

    def speed_up(self) -> None:
        """A request of some worker was taken."""
        self._pace.speed_up()

    def stop(self, error: PhotioError) -> None:
        """Nothing more is let through."""
        self._guard.stop(error)

    def stop_reason(self) -> tuple[PhotioError | None, int]:
        """Why nothing more is let through, if so; and how many calls were."""
        return self._guard.stop_reason, self._guard.calls


class ActorClient:
    """The actor as others see it."""

    def __init__(self, actor: Any) -> None:  # noqa: ANN401  Ray's handles have no type
        self._actor = actor

    def ask(self, what: str, *told: object) -> Any:  # noqa: ANN401
        """The actor's answer.

        Raises:
            Interrupted: There is none.
        """
        import ray

        try:
            return ray.get(getattr(self._actor, what).remote(*told), timeout=_PATIENCE)
        except ray.exceptions.RayError:
            lost = Interrupted(f"not sent: {LOST.problem}", LOST.fix)
            lost.exit_code = LOST.exit_code
            raise lost from None

    def tell(self, what: str, *told: object) -> Any:  # noqa: ANN401
        """As `ask`, but nothing happens where nobody answers: what was paid for is kept in any case."""
        with contextlib.suppress(Interrupted):
            return self.ask(what, *told)
        return None


class SharedRateLimiter(RateLimiter):
    """The pace of all workers, for a client of one."""

    def __init__(self, permits: ActorClient) -> None:
        super().__init__()
        self._permits = permits

    def reserve(self) -> float:
        """Seconds until a request may leave; 0 is the permission for one."""
        return float(self._permits.ask("reserve"))

    def slow_down(self, seconds: float) -> None:
        """The API turned this worker away."""
        self._permits.tell("slow_down", seconds)

    def speed_up(self) -> None:
        """A request was taken. It is paid for, so nothing may go wrong here."""
        self._permits.tell("speed_up")


class SharedSpendingGuard:
    """A sender that sends only by a permit."""

    def __init__(self, sender: Sender, permits: ActorClient) -> None:
        self._sender = sender
        self._permits = permits
        self.warnings: list[str] = []

    @property
    def endpoint(self) -> str:
        """Who is asked."""
        return self._sender.endpoint

    def ready(self) -> None:
        """Have what a call needs, before its order is claimed."""
        have = getattr(self._sender, "ready", None)
        if have is not None:
            have()

    def send(self, request: Request, keep: AnswerSink | None = None) -> Result:
        """The answer to `request`, if the budget of all allows. PAID."""
        order = order_key(request, self.endpoint)[:32]
        (refused,) = self._permits.ask("acquire", order)
        if refused is not None:
            raise refused
        try:
            result = self._sender.send(request, keep)
            digest = sha256(result.raw).digest()
        except Exception as error:
            self._permits.tell("settle", call_outcome(error), order)
            raise
        self.warnings += self._permits.tell("settle", None, order, digest) or []
        return result
