"""Errors and their exit codes.

    PhotioError
    ├── Unexpected            1   a bug or a failure of the system on one photo; the others go on
    ├── UsageError            2   a flag, a setting or a value that is not valid
    │   └── TableErrors       2   all errors of a job table, each with its line
    ├── PhotoRefused          3   this photo cannot be used; nothing was billed
    │   ├── NoProduct         3   the model found nothing to cut out
    │   ├── SegmenterFailed   3   the model raised, or its output is not an alpha
    │   ├── GateStopped       3   its cutout is not worth paying for; the order stays planned
    │   ├── OutputExists      3   another file has the name of the final
    │   ├── PresetFailed      3   a marketplace's file breaks its rules; it stays on disk
    │   └── Rejected          3   the API refused this request before doing any work
    ├── OutcomeUnknown        4   a paid call without a complete answer: perhaps billed
    ├── KeyRefused            5   the key is missing, refused, or its credit is used up
    ├── BudgetReached         6   --max-calls is used up
    ├── StorageFailed         7   disk full, not writable, or an order that cannot be read
    ├── OrderInUse            8   another process, or another machine, holds the order
    ├── ApiUnavailable        9   the API could not be reached or is busy; nothing was billed
    ├── PaidUnusable         10   paid, but the answer is not a usable picture; it stays on disk
    ├── ModelUnavailable     11   weights missing or damaged, or the device is not available
    └── Interrupted         130   stopped by the user
        └── Terminated      143   stopped by SIGTERM, or by a closed terminal

A message says which photo or order, the problem, and what to do.
"""

from collections.abc import Iterable, Sequence


class PhotioError(Exception):
    """Base of all errors: `subject: problem. fix.`

    `problem` is the failure, `fix` the remedy, `subject` the photo, order or setting in the user's words.
    `stops_batch`: every other photo would fail in the same way.
    """

    exit_code = 1
    stops_batch = False

    def __init_subclass__(cls, *, exit_code: int | None = None, stops_batch: bool = False) -> None:
        cls.exit_code, cls.stops_batch = exit_code or cls.exit_code, stops_batch or cls.stops_batch

    def __init__(self, problem: str, fix: str = "", subject: str = "") -> None:
        super().__init__(problem, fix, subject)
        self.problem = problem
        self.fix = fix
        self.subject = subject

    def __str__(self) -> str:
        head = f"{self.subject}: " if self.subject else ""
        return f"{head}{self.problem}. {self.fix}".strip() if self.fix else f"{head}{self.problem}"

    def about(self, subject: str) -> "PhotioError":
        """Set the subject, unless it has one; return the error itself."""
        self.subject = self.subject or subject
        return self


class Unexpected(PhotioError, exit_code=1):
    """A bug or a failure of the system on one photo; `__cause__` is the exception."""


def of_photo(error: Exception) -> PhotioError:
    """`error` as a PhotioError: itself if it is one, else a new error with it as the cause."""
    if isinstance(error, PhotioError):
        return error
    outcome: PhotioError
    if isinstance(error, MemoryError):
        outcome = PhotoRefused("there is not enough memory for it", "Allow more, or work on fewer photos at once")
    elif isinstance(error, OSError) and error.filename:  # Path.exists() and its like raise it of a path
        fix = "Check the path, and the rights of it"
        outcome = StorageFailed(error.strerror or str(error), fix, subject=str(error.filename))
    else:
        problem = f"a bug: {type(error).__name__}: {error}"[:400]
        outcome = Unexpected(problem, "Run it again with -v and report what it says, with the photo if you may")
    outcome.__cause__ = error
    return outcome


class UsageError(PhotioError, exit_code=2, stops_batch=True):
    """A flag, a setting or a value that is not valid."""


class TableErrors(UsageError):
    """All errors of the job tables of one command, in `each`; no photo was processed."""

    def __init__(self, problem: str, fix: str = "", subject: str = "", *, each: Sequence[UsageError] = ()) -> None:
        super().__init__(problem, fix, subject)
        self.each = tuple(each)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.each), super().__str__()])


class PhotoRefused(PhotioError, exit_code=3):
    """This photo cannot be used; nothing of it was billed."""


class NoProduct(PhotoRefused):
    """The model found nothing to cut out."""


class SegmenterFailed(PhotoRefused):
    """The segmenter raised an exception, or its output is not an alpha of the picture."""


class GateStopped(PhotoRefused):
    """The gate found its cutout not worth paying for; the order stays planned."""


class OutputExists(PhotoRefused):
    """Another file has the name of the final."""


class PresetFailed(PhotoRefused):
    """A marketplace's file was written, read back, and breaks its rules; it stays on disk."""


class Rejected(PhotoRefused):
    """The API refused this request before doing any work; nothing was billed."""


class OutcomeUnknown(PhotioError, exit_code=4):
    """A paid call without a complete answer: perhaps billed, never resent automatically."""


class KeyRefused(PhotioError, exit_code=5):
    """The key is missing, malformed, refused by the API, or its credit is used up."""


class BudgetReached(PhotioError, exit_code=6):
    """The call budget is used up; the rest stays planned."""


class StorageFailed(PhotioError, exit_code=7, stops_batch=True):
    """Disk full, not writable, or an order on disk that cannot be read."""


class OrderInUse(PhotioError, exit_code=8):
    """Another process, or another machine, holds the order."""


class ApiUnavailable(PhotioError, exit_code=9):
    """The API could not be reached, or is busy; nothing was billed."""


class PaidUnusable(PhotioError, exit_code=10):
    """Paid, but the answer is not a picture of the requested size; the raw answer stays on disk."""


class ModelUnavailable(PhotioError, exit_code=11, stops_batch=True):
    """Weights missing or damaged, or the requested device is not available."""


class Interrupted(PhotioError, exit_code=130):
    """Stopped by the user."""


class Terminated(Interrupted, exit_code=143):
    """Stopped by SIGTERM, or by a closed terminal."""


# The most important code comes first: money, then disk, then the key, then the rest.
_PRECEDENCE = (1, 130, 143, 4, 10, 7, 5, 6, 9, 8, 11, 2, 3, 0)


def worst_exit_code(codes: Iterable[int]) -> int:
    """The most important of several exit codes, 4 > 10 > 7 > 5 > 6 > 9 > 3; 0 for none."""
    return min(codes, key=_PRECEDENCE.index, default=0)


# Nothing was billed, so the order may be sent again: automatically, or after the user has removed the cause.
NOT_BILLED = (ApiUnavailable, BudgetReached, Rejected, KeyRefused, Interrupted, UsageError)
