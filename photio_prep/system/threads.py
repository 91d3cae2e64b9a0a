"""Threads that are had before they are needed: a pool that stands from the start, and one clock for all deadlines."""

import atexit
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from photio_prep.errors import UsageError

P = ParamSpec("P")
T = TypeVar("T")


def start(target: Callable[[], object], name: str) -> threading.Thread:
    """A daemon thread that runs `target`, started.

    Raises:
        UsageError: The system gives none.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        raise UsageError(
            f"no thread can be started ({error})",
            "Raise the limit on processes and threads (ulimit -u, a container's --pids-limit, systemd's TasksMax)",
            subject=name,
        ) from None
    return thread


class Pool(Executor):
    """Threads that all stand before the first task comes: at most `most`, fewer where the system gives fewer.

    What is submitted never needs a new thread. Without any thread, `submit` does the work itself before it returns.

    Args:
        most: How many threads.
        name: What they are called.
        least: How many there must be.

    Raises:
        UsageError: The system does not give `least`.
    """

    def __init__(self, most: int, name: str, *, least: int = 0) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._most, self._name = most, name
        # At the end of the interpreter, a task that runs is waited for.
        atexit.register(self.shutdown)
        try:
            while len(self._threads) < least:
                self._threads.append(start(self._serve, name))
        except UsageError:
            self.shutdown()
            raise

    def fill(self) -> int:
        """Start as many threads as the system gives, up to `most`; how many there are."""
        try:
            while len(self._threads) < self._most:
                self._threads.append(start(self._serve, self._name))
        except UsageError:
            pass  # these will do
        return len(self._threads)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The future result of `fn`."""
        future: Future[T] = Future()
        task = partial(_settle, future, partial(fn, *args, **kwargs))
        if self._threads:
            self._tasks.put(task)
        else:
            task()
        return future

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            del task  # with the photo in it

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """End the threads after everything that was submitted."""
        atexit.unregister(self.shutdown)
        for _ in self._threads:
            self._tasks.put(None)
        while wait and self._threads:
            self._threads.pop().join()


def _settle(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001  raised again by the caller of `result`
        future.set_exception(error)
    else:
        future.set_result(result)


class _Clock:
    """Calls back after a time, from one thread for the whole process: a call that is paid for needs no thread more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Have the thread."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():  # it is dead in a fork
                self._due.clear()
                self._thread = start(self._run, "deadlines")

    @contextmanager
    def within(self, seconds: float, call: Callable[[], None]) -> Iterator[None]:
        """While this is entered, the time runs; when it is up, `call` is called, which must return at once."""
        self.start()
        entry = time.monotonic() + seconds, next(self._numbers), call
        with self._changed:
            heapq.heappush(self._due, entry)
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                if entry in self._due:
                    self._due.remove(entry)
                    heapq.heapify(self._due)

    def _run(self) -> None:
        with self._changed:
            while True:
                left = self._due[0][0] - time.monotonic() if self._due else 3600.0
                if left > 0:
                    self._changed.wait(min(left, 3600.0))
                else:
                    heapq.heappop(self._due)[2]()


_CLOCK = _Clock()
ready = _CLOCK.start
deadline = _CLOCK.within
