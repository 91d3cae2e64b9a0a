"""What can fail, and the exit code that each failure ends with.

    PhotioError
    ├── Unexpected            1   a bug, or the system's fault, that one photo met; the others went on
    ├── UsageError            2   a flag, a setting or a value that cannot be meant
    │   └── Mistakes          2   every mistake of a job table, each with its line
    ├── PhotoRefused          3   this photo cannot be used; nothing was billed
    │   ├── NoProduct         3   the model found nothing to cut out
    │   ├── SegmenterFailed   3   the model raised, or gave what is no alpha
    │   ├── GateStopped       3   its cutout is not worth paying for; the order stays planned
    │   ├── OutputExists      3   another file already lies where the final would go
    │   ├── PresetFailed      3   a marketplace's file was written, and breaks its rules; it is kept
    │   └── Rejected          3   the API refused this request before doing any work
    ├── OutcomeUnknown        4   a paid call whose answer never arrived whole: perhaps billed
    ├── KeyRefused            5   the key is missing, refused, or its credit is used up
    ├── BudgetReached         6   --max-calls is used up
    ├── StorageFailed         7   disk full, not writable, or an order that cannot be read
    ├── OrderInUse            8   another process, or another machine, holds the order
    ├── ApiUnavailable        9   the API could not be reached or is busy; nothing was billed
    ├── PaidUnusable         10   paid, but the answer is no usable picture; it is kept
    ├── ModelUnavailable     11   weights missing, damaged, or a device that is not there
    └── Interrupted         130   stopped by the user
        └── Terminated      143   stopped by SIGTERM, or by a closed terminal

A message has three parts: which photo or order, what was found, what to do.
"""

from collections.abc import Iterable, Sequence


class PhotioError(Exception):
    """Base of every error of ours: `subject: found. fix.`

    Args:
        found: What was found, with the facts.
        fix: What to do about it.
        subject: The photo, order or setting it is about, as the user named it.

    `stops_batch`: every other photo would fail in the same way.
    """

    exit_code = 1
    stops_batch = False

    def __init__(self, found: str, fix: str = "", subject: str = "") -> None:
        super().__init__(found, fix, subject)
        self.found = found
        self.fix = fix
        self.subject = subject

    def __str__(self) -> str:
        head = f"{self.subject}: " if self.subject else ""
        return f"{head}{self.found}. {self.fix}".strip() if self.fix else f"{head}{self.found}"

    def about(self, subject: str) -> "PhotioError":
        """The same error, naming its subject if it did not yet."""
        self.subject = self.subject or subject
        return self


class Unexpected(PhotioError):
    """A bug, or the system's fault, that one photo met; its cause is the exception itself."""

    exit_code = 1


def of_photo(error: Exception) -> PhotioError:
    """An exception that one photo met, as its outcome: one of ours as it is, another with it as its cause."""
    if isinstance(error, PhotioError):
        return error
    outcome: PhotioError
    if isinstance(error, MemoryError):
        outcome = PhotoRefused("there is not enough memory for it", "Allow more, or work on fewer photos at once")
    else:
        found = f"a bug: {type(error).__name__}: {error}"[:400]
        outcome = Unexpected(found, "Run it again with -v and report what it says, with the photo if you may")
    outcome.__cause__ = error
    return outcome


class UsageError(PhotioError):
    """A flag, a setting or a value that cannot be meant."""

    exit_code = 2
    stops_batch = True


class Mistakes(UsageError):
    """Every mistake of the job tables of one command, in `each`; nothing was begun."""

    def __init__(self, found: str, fix: str = "", subject: str = "", *, each: Sequence[UsageError] = ()) -> None:
        super().__init__(found, fix, subject)
        self.each = tuple(each)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.each), super().__str__()])


class PhotoRefused(PhotioError):
    """This photo cannot be used; nothing of it was billed."""

    exit_code = 3


class NoProduct(PhotoRefused):
    """The model found nothing to cut out."""


class SegmenterFailed(PhotoRefused):
    """The segmenter raised an exception, or gave what is no alpha of the picture."""


class GateStopped(PhotoRefused):
    """The gate found its cutout not worth paying for; the order stays planned."""


class OutputExists(PhotoRefused):
    """Another file already lies where the final would go."""


class PresetFailed(PhotoRefused):
    """A marketplace's file was written, read back, and breaks its rules; it is kept."""


class Rejected(PhotoRefused):
    """The API refused this request before doing any work; nothing was billed."""


class OutcomeUnknown(PhotioError):
    """A paid call whose answer never arrived whole: perhaps billed, never resent by itself."""

    exit_code = 4


class KeyRefused(PhotioError):
    """The key is missing, malformed, refused by the API, or its credit is used up."""

    exit_code = 5


class BudgetReached(PhotioError):
    """The call budget is used up; the rest stays planned."""

    exit_code = 6


class StorageFailed(PhotioError):
    """Disk full, not writable, or an order on disk that cannot be read."""

    exit_code = 7
    stops_batch = True


class OrderInUse(PhotioError):
    """Another process, or another machine, holds the order."""

    exit_code = 8


class ApiUnavailable(PhotioError):
    """The API could not be reached, or is busy; nothing was billed."""

    exit_code = 9


class PaidUnusable(PhotioError):
    """Paid, but the answer is no picture of the asked size; the raw answer is kept."""

    exit_code = 10


class ModelUnavailable(PhotioError):
    """Weights missing or damaged, or a device that was asked for and is not there."""

    exit_code = 11
    stops_batch = True


class Interrupted(PhotioError):
    """Stopped by the user."""

    exit_code = 130


class Terminated(Interrupted):
    """Stopped by SIGTERM, or by a closed terminal."""

    exit_code = 143


# What the caller most needs to know comes first: money, then disk, then the key, then the rest.
_PRECEDENCE = (1, 130, 143, 4, 10, 7, 5, 6, 9, 8, 11, 2, 3, 0)


def worst(codes: Iterable[int]) -> int:
    """The one exit code that speaks for several, 4 > 10 > 7 > 5 > 6 > 9 > 3; 0 for none."""
    return min(codes, key=_PRECEDENCE.index, default=0)
