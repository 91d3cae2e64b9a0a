"""The console: results on stdout, everything else on stderr."""

import json
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from photio_prep.batch.report import ReportRow, RunReport
from photio_prep.errors import GateStopped, PhotioError, PhotoRefused, StorageFailed, TableErrors, worst_exit_code
from photio_prep.geometry import snap
from photio_prep.intake.url_guard import redact_url
from photio_prep.orders.state import State, summarize
from photio_prep.orders.store import Order
from photio_prep.quality import Level
from photio_prep.system.text import escape_controls

# Photos for which the same message is printed; the others are counted.
_EXAMPLES = 3


class Console:
    """The console of one command: prints results and messages, collects exit codes, counts states."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.codes: list[int] = []
        self.states: dict[State, int] = {}
        self.report = RunReport()
        self._bar: Any = None
        self._stdout: TextIO | None = None
        # Hashes, and texts without their figures: a batch of 10,000 photos may have three messages each.
        self._noted: set[int] = set()
        self._repeats: dict[tuple[str, str], tuple[str, str, int]] = {}
        self.lock = threading.RLock()  # held while several lines belong together

    @property
    def exit_code(self) -> int:
        """The exit code of the command: the worst of all."""
        return worst_exit_code(self.codes)

    def info(self, text: str) -> None:
        """Print a message on stderr, unless quiet."""
        if not self.quiet:
            self.warn(text)

    def note(self, kind: str, source: str, text: str, *, topic: str = "") -> None:
        """Print a message about a photo, once for all its variants.

        With a `topic`, one message of each topic is printed. Without one, the same text is printed for the first photos
        only, and `summary` counts the others.
        """
        with self.lock:
            key = hash((source, topic or text))
            if key in self._noted:
                return
            self._noted.add(key)
            alike = kind, re.sub(r"\d+", "", text)  # the same message, with other figures
            first, _, count = ("", "", 0) if topic else self._repeats.get(alike, (source, text, 0))
            if count < _EXAMPLES:
                self.info(f"{kind}: {source}: {text}")
            if not topic:  # `first` is the first that is not printed
                self._repeats[alike] = source if count <= _EXAMPLES else first, text, count + 1

    def warn(self, text: str) -> None:
        """Print a message on stderr, also when quiet."""
        with self.lock:
            try:
                if self._bar is not None:
                    self._bar.clear()
                print(escape_controls(text), file=sys.stderr, flush=True)
            except OSError:
                _redirect_to_null(sys.stderr)

    def error(self, error: PhotioError) -> None:
        """Print an error on stderr, also when quiet, and collect its exit code."""
        self.codes.append(error.exit_code)
        for line in str(error).splitlines() if isinstance(error, TableErrors) else [str(error)]:
            self.warn(f"error: {line}")
        if self.verbose:
            for line in "".join(traceback.format_exception(error)).splitlines():
                self.warn(line)

    def result(
        self,
        order: Order,
        state: State,
        *,
        path: Path | None = None,
        final: Path | None = None,
        presets: Iterable[Path] = (),
        level: Level | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        """Print one order's result: the path of its final, else `path`; or a JSON line with `more` at its end.

        With `level`, an order that the gate stops is printed as stopped and counts as exit code 3.
        """
        with self.lock:
            for warning in order.origin.warnings:
                self.note("warning", order.origin.source, warning)
            gate = order.origin.gate
            for reason in gate.defects if gate else ():
                self.note(reason.verdict, order.origin.source, reason.text, topic=reason.name)
            stopped = gate is not None and level is not None and level.stops(gate.verdict)
            if stopped:
                self.codes.append(GateStopped.exit_code)
                self.warn(f"stopped: {order.origin.source}: planned, and not paid for unless --gate off is given")
            code = GateStopped.exit_code if stopped else 0
            paths = str(final) if final else None, tuple(map(str, presets))
            self.report.add(ReportRow("", "", state, final=paths[0], exit_code=code, presets=paths[1]), order)
            self._count(state, worked=self.report.worked(order))
            if self.as_json:
                self.line({**describe_order(order, state, final), **(more or {})})
            elif shown := final or path:
                self.out(str(shown))

    def note_changed(self, order: Order) -> None:
        """Print and report that a photo has changed since it was paid for."""
        self.info(f"changed since: {order.origin.source} was paid for as other bytes; the changed photo is a new order")
        self.report.note_changed(order)

    def refuse(self, source: str, error: PhotioError, order: Order | None = None, state: State = State.REFUSED) -> None:
        """Print and report the error of one photo or order."""
        with self.lock:
            self.error(error.about(source))
            self.report.add(ReportRow(source, "", state, exit_code=error.exit_code, error=error.problem), order)
            self._count(state)
            if self.as_json:
                line = describe_order(order, state, None) if order else {**_EMPTY, "source": source, "state": state}
                details = {"type": type(error).__name__, "message": str(error), "exit_code": error.exit_code}
                self.line({**line, "error": details})

    def skip_unapproved(self, order: Order, state: State, decision: str) -> None:
        """Print and count an order that the user did not approve."""
        with self.lock:
            self.states[state] = self.states.get(state, 0) + 1
            self.info(f"not approved ({decision}), so not sent: {order.origin.source}")
            if self.as_json:
                self.line({**describe_order(order, state, None), "decision": decision})

    def skip_input(self, why: PhotoRefused, by_choice: bool) -> None:
        """Print a skipped file of a folder: an error unless it was skipped on purpose (`by_choice`)."""
        if by_choice:
            self.info(str(why))
        else:
            self.refuse(why.subject, why)

    @contextmanager
    def progress(self, total: int, command: str) -> Iterator[None]:
        """Show results, spend and time left on stderr while the block runs; nothing for a single photo."""
        if self.quiet or total < 2:
            yield
            return
        from photio_prep.cli.progress import Progress

        self._bar = Progress(total, command, self.info)
        try:
            yield
        finally:
            self._bar.close()
            self._bar = None

    def _count(self, state: State, *, worked: bool = True) -> None:
        self.states[state] = self.states.get(state, 0) + 1
        if self._bar is not None:
            self._bar.step(self.states, self.report.spent, worked=worked)

    def summary(self) -> None:
        """Print the number of results by state, if there are several, and the number of notes not printed."""
        for (kind, _), (first, text, count) in self._repeats.items():
            if (more := count - _EXAMPLES) > 0:
                self.info(f"{kind}: {more} more {'photo' if more == 1 else 'photos'}, from {first} on: {text}")
        self._repeats.clear()
        if sum(self.states.values()) > 1:
            self.info(summarize(self.states))

    def line(self, record: dict[str, Any]) -> None:
        """Print one JSON object on stdout."""
        self.out(json.dumps(record, ensure_ascii=True))

    @contextmanager
    def redirect_stdout(self) -> Iterator[None]:
        """While entered, redirect prints of libraries to stderr: stdout carries results only."""
        with self.lock:
            self._stdout, sys.stdout = sys.stdout, sys.stderr
        try:
            yield
        finally:
            with self.lock:
                sys.stdout, self._stdout = self._stdout, None

    def out(self, text: str) -> None:
        """Print a line on stdout, with control characters escaped on a terminal only."""
        with self.lock:
            stdout = self._stdout or sys.stdout
            if self._bar is not None:
                self._bar.clear()
            if stdout.isatty():
                text = escape_controls(text)
            # A file name may hold bytes that are not UTF-8: a program gets them unchanged.
            try:
                stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
                stdout.buffer.flush()
            except OSError as error:
                _redirect_to_null(stdout)
                if not isinstance(error, BrokenPipeError):
                    message = f"the list of results cannot be written ({error.strerror})"
                    self.error(StorageFailed(message, "The results themselves are in the output folder"))

    def show(self, text: str, record: dict[str, Any]) -> None:
        """Print `record` as JSON with --json, else `text`, on stdout."""
        if self.as_json:
            self.line(record)
        else:
            self.out(text)


def _redirect_to_null(stream: TextIO) -> None:
    """Discard further output: the reader closed it (| head, a terminal). The work goes on, since it is paid for."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


_NAMES = "source order key state model device size canvas tag seed description final sandbox gate risk product"
_EMPTY: dict[str, Any] = {**dict.fromkeys([*_NAMES.split(), "proof", "drift"]), "reasons": [], "warnings": []}


def describe_order(order: Order, state: State, final: Path | None) -> dict[str, Any]:
    """Return the JSON record of an order: `size` and `canvas` are [width, height] of the photo and of the canvas."""
    from photio_prep.final import writer

    proof = writer.read_proof(order) if final else {}
    gate = order.origin.gate.to_dict() if order.origin.gate else {"verdict": None, "reasons": [], "figures": {}}
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
        "product": proof.get("product"),
        "proof": proof or None,
        "drift": (writer.read_drift(order) or None) if final else None,
        "gate": gate["verdict"],
        "risk": gate["figures"].get("risk"),
        "reasons": gate["reasons"],
        # Only of an order that sends a URL instead of its canvas.
        **({"image_url": redact_url(order.request.image_url)} if order.request.image_url else {}),
    }
