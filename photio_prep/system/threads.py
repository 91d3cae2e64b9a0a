"""A thread pool that starts its threads in advance, and one clock thread for all deadlines."""

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
    """Start a daemon thread; UsageError if the system has none left."""
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
    """A pool of `least` to `most` threads; `submit` never starts one. Without threads, `submit` runs the task itself.

    UsageError if the system cannot start `least` threads.
    """

    def __init__(self, most: int, name: str, *, least: int = 0) -> None:
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._most, self._name = most, name
        # The interpreter waits for running tasks before it exits.
        atexit.register(self.shutdown)
        try:
            while len(self._threads) < least:
                self._threads.append(start(self._serve, name))
        except UsageError:
            self.shutdown()
            raise

    def fill(self) -> int:
        """Start threads up to `most`, or until the system has none left; return their number."""
        try:
            while len(self._threads) < self._most:
                self._threads.append(start(self._serve, self._name))
        except UsageError:
            pass
        return len(self._threads)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue `fn`, and return its future."""
        future: Future[T] = Future()
        task = partial(_run_task, future, partial(fn, *args, **kwargs))
        if self._threads:
            self._tasks.put(task)
        else:
            task()
        return future

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
            del task  # frees its photo

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """End the threads after the submitted tasks."""
        atexit.unregister(self.shutdown)
        for _ in self._threads:
            self._tasks.put(None)
        while wait and self._threads:
            self._threads.pop().join()


def _run_task(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001  raised again by the caller of `result`
        future.set_exception(error)
    else:
        future.set_result(result)


class _Clock:
    """Calls back after a time, from one thread for the process, so that a paid call needs no new thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():  # it is dead in a fork
                self._due.clear()
                self._thread = start(self._run, "deadlines")

    @contextmanager
    def within(self, seconds: float, call: Callable[[], None]) -> Iterator[None]:
        """Call `call`, which must return at once, if the block takes longer than `seconds`."""
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
