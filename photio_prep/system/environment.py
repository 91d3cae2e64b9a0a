"""The environment of this process, and that of its children. The only file that reads os.environ."""

import os

# What a program needs to start and find its libraries; never a key.
_HARMLESS = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "TEMP")


def for_children() -> dict[str, str]:
    """The environment of a process that decodes pictures: nothing of the user's but where libraries lie."""
    # One thread: a pool for each core takes address space, which is limited, and gives nothing.
    return {"OPENBLAS_NUM_THREADS": "1"} | {name: os.environ[name] for name in _HARMLESS if name in os.environ}


def tell_ray() -> None:
    """What a Ray that we start shall do, unless the user said otherwise.

    It tells its makers nothing about this machine, and keeps a worker that has nothing to do for ten minutes: it would
    end it after a second, and each new one takes a second of processor for its imports.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_idle_worker_killing_time_threshold_ms", "600000")


def variable(name: str) -> str | None:
    """The value of an environment variable; None where it is not set."""
    return os.environ.get(name)


def threads() -> int:
    """How many threads a network may use: OMP_NUM_THREADS, which schedulers and Ray set for a worker; 0: any number."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() else 0
