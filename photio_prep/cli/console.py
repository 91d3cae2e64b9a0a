"""What is printed: results on stdout, everything else on stderr."""

import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from photio_prep.errors import GateStopped, Mistakes, PhotioError, PhotoRefused, StorageFailed, worst
from photio_prep.geometry import snap
from photio_prep.intake.url_guard import shown
from photio_prep.orders.state import State, tally
from photio_prep.orders.store import Order
from photio_prep.quality import Level
from photio_prep.system.text import escaped

if TYPE_CHECKING:
    from photio_prep.batch.report import Report


class Talk:
    """The voice of one command: collects exit codes, counts states, prints each result once.

    Args:
        as_json: One JSON object a line on stdout in place of a path.
        quiet: Only errors on stderr.
        verbose: Where an error came from, too.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.codes: list[int] = []
        self.states: dict[State, int] = {}
        self.report: Report | None = None
        self._bar: Any = None
        self._stdout: TextIO | None = None
        self._lock = threading.RLock()

    @property
    def exit_code(self) -> int:
        """The one code that speaks for everything that happened."""
        return worst(self.codes)

    def say(self, text: str) -> None:
        """Talk: on stderr, unless quiet."""
        if not self.quiet:
            self._print(text)

    def fault(self, text: str) -> None:
        """What has gone wrong without being an error: on stderr always."""
        self._print(text)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Nobody else's lines come between those that are said in here."""
        with self._lock:
            yield

    def fail(self, error: PhotioError) -> None:
        """An error: on stderr always; its exit code counts."""
        self.codes.append(error.exit_code)
        for line in str(error).splitlines() if isinstance(error, Mistakes) else [str(error)]:
            self._print(f"error: {line}")
        if self.verbose:
            for line in "".join(traceback.format_exception(error)).splitlines():
                self._print(line)

    def done(
        self,
        order: Order,
        state: State,
        *,
        final: Path | None = None,
        result: Path | None = None,
        level: Level | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        """One order's result: the path `result` (or the final), or the whole line as JSON, with `more` at its end.

        With `level`, one that the gate would stop is said to be stopped, and counts as exit code 3.
        """
        with self._lock:
            for warning in order.origin.warnings:
                self.say(f"warning: {order.origin.source}: {warning}")
            stopped = self._judged(order, level)
            if self.report:
                self.report.done(order, state, final, GateStopped.exit_code if stopped else 0)
            self._counted(state, worked=self.report is None or self.report.worked(order))
            if self.as_json:
                self.line({**described(order, state, final), **(more or {})})
            elif path := final or result:
                self.out(str(path))

    def _judged(self, order: Order, level: Level | None) -> bool:
        judged = order.origin.gate
        if judged is None:
            return False
        for reason in judged.reasons:
            self.say(f"{reason.verdict}: {order.origin.source}: {reason.text}")
        if level is not None and level.stops(judged.verdict):
            self.codes.append(GateStopped.exit_code)
            self._print(f"stopped: {order.origin.source}: planned, and not paid for unless --gate off is given")
            return True
        return False

    def begun(self, source: str) -> None:
        """The first step of a photo, for the report."""
        if self.report:
            self.report.begun(source)

    def changed(self, order: Order) -> None:
        """A photo that was paid for before is another picture now."""
        self.say(f"changed since: {order.origin.source} was paid for as other bytes; as it is now it is a new order")
        if self.report:
            self.report.changed(order)

    def refused(
        self, source: str, error: PhotioError, order: Order | None = None, state: State = State.REFUSED
    ) -> None:
        """One photo or order that went wrong."""
        with self._lock:
            self.fail(error.about(source))
            if self.report:
                self.report.failed(source, error, order, state)
            self._counted(state)
            if self.as_json:
                line = described(order, state, None) if order else {**_EMPTY, "source": source, "state": state}
                what = {"type": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
                self.line({**line, "error": what})

    def held_back(self, order: Order, state: State, word: str) -> None:
        """One order that the user did not approve."""
        with self._lock:
            self.states[state] = self.states.get(state, 0) + 1
            self.say(f"not approved ({word}), so not sent: {order.origin.source}")
            if self.as_json:
                self.line({**described(order, state, None), "decision": word})

    def damaged(self, error: PhotioError) -> None:
        """An order that cannot be read."""
        self.refused(error.subject, error)

    def passed_over(self, why: PhotoRefused, by_choice: bool) -> None:
        """Something in a folder that is no photo to us."""
        if by_choice:
            self.say(f"skipped: {why}")
        else:
            self.refused(why.subject, why)

    @contextmanager
    def progress(self, total: int, what: str) -> Iterator[None]:
        """Count results on stderr as they come, with how they ended, the money of this command and the time left.

        On a terminal one line that stays; elsewhere a plain line every half minute; nothing for a single photo.
        """
        if self.quiet or total < 2:
            yield
            return
        from photio_prep.cli.progress import Progress

        self._bar = Progress(total, what, self.say)
        try:
            yield
        finally:
            self._bar.close()
            self._bar = None

    def _counted(self, state: State, *, worked: bool = True) -> None:
        self.states[state] = self.states.get(state, 0) + 1
        if self._bar is not None:
            self._bar.step(self.states, self.report.spent if self.report else None, worked=worked)

    def summary(self) -> None:
        """How many ended how, where there were several."""
        if sum(self.states.values()) > 1:
            self.say(tally(self.states))

    def _print(self, text: str) -> None:
        with self._lock:
            try:
                if self._bar is not None:
                    self._bar.clear()
                print(escaped(text), file=sys.stderr, flush=True)
            except OSError:
                _to_nowhere(sys.stderr)

    def line(self, facts: dict[str, Any]) -> None:
        """One JSON object on stdout."""
        self.out(json.dumps(facts, ensure_ascii=True))

    @contextmanager
    def alone_on_stdout(self) -> Iterator[None]:
        """While entered, what a library prints goes to stderr: stdout carries results only."""
        with self._lock:
            self._stdout, sys.stdout = sys.stdout, sys.stderr
        try:
            yield
        finally:
            with self._lock:
                sys.stdout, self._stdout = self._stdout, None

    def out(self, text: str) -> None:
        """A line on stdout, as it is."""
        with self._lock:
            stdout = self._stdout or sys.stdout
            if self._bar is not None:
                self._bar.clear()
            if stdout.isatty():
                text = escaped(text)
            # A file name may hold bytes that are no UTF-8; a program gets them back as they were.
            try:
                stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
                stdout.buffer.flush()
            except OSError as error:
                _to_nowhere(stdout)
                if not isinstance(error, BrokenPipeError):
                    said = f"the list of results cannot be written ({error.strerror})"
                    self.fail(StorageFailed(said, "The results themselves are in the output folder"))


def _to_nowhere(stream: TextIO) -> None:
    """Whoever read along has gone (| head, a closed terminal). The work goes on: an answer in flight is paid for."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


_NAMES = "source order key state model device size canvas tag seed description final sandbox gate product"
_EMPTY: dict[str, Any] = {
    **dict.fromkeys([*_NAMES.split(), "proof", "drift"]),
    "reasons": [],
    "warnings": [],
}


def described(order: Order, state: State, final: Path | None) -> dict[str, Any]:
    """The JSON line of an order: `size` and `canvas` are [width, height] of the photo and of what is sent."""
    from photio_prep.final import writer

    made = writer.proof(order) if final else {}
    judged = order.origin.gate.facts() if order.origin.gate else {"verdict": None, "reasons": []}
    return {
        "source": order.origin.source,
        "order": str(order.folder),
        "key": order.key,
        "state": state,
        "model": order.model,
        "size": list(order.placement.source),
        "canvas": list(order.placement.canvas),
        "tag": snap(order.placement.canvas).tag,
        "seed": order.request.seed,
        "description": order.request.description,
        "final": str(final) if final else None,
        "sandbox": order.sandbox,
        "warnings": list(order.origin.warnings),
        "device": order.device,
        "product": made.get("product"),
        "proof": made or None,
        "drift": (writer.drift(order) or None) if final else None,
        "gate": judged["verdict"],
        "reasons": judged["reasons"],
        # Only of an order that sends an address in place of its canvas.
        **({"image_url": shown(order.request.image_url)} if order.request.image_url else {}),
    }
