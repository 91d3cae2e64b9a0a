"""Imports a target once and forks one child per kill point: a run costs milliseconds instead of an interpreter's start.

Takes: the target's name, then one JSON order per line on stdin. Gives: one JSON line per run on stdout.
Touches: its children. It has no thread of its own, so a fork copies nothing half-done.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

from tests.crash import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable


def _child(function: Callable[[list[str]], object], order: dict[str, Any]) -> None:
    out = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    plan = bootstrap.Plan(order["root"], order["at"], order["torn"], order["error"])
    code = 1
    try:
        code = bootstrap.call(function, order["args"], plan)
    except BaseException:  # noqa: BLE001 - what an interpreter does at its end
        traceback.print_exc()
    if order["trace"]:
        with open(order["trace"], "w", encoding="utf-8") as file:
            json.dump(plan.seen, file)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


def _run(function: Callable[[list[str]], object], order: dict[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(function, order)
    # A pidfd tells the end at once; polling waitpid would cost more than most runs take.
    watch = os.pidfd_open(pid)
    limit = order["limit"] if order["kill_after"] is None else order["kill_after"]
    in_time = bool(select.select([watch], [], [], limit)[0])
    if not in_time:
        os.kill(pid, signal.SIGKILL)
    # Reaped before the answer: a zombie still looks alive to whoever reads /proc.
    _, status = os.waitpid(pid, 0)
    os.close(watch)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - started,
        "timed_out": not in_time and order["kill_after"] is None,
    }


def main() -> None:
    bootstrap.install()
    function = bootstrap.load(sys.argv[1])
    gc.freeze()  # or each child's first collection copies every page
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(function, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
