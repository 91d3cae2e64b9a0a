"""The environment of this process, and that of its children. The only file that reads os.environ."""

import os

# What a program needs to start and to find its libraries; never a key.
_HARMLESS = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "TEMP")


def child_environment() -> dict[str, str]:
    """The environment of a decoder process: only the variables that locate libraries."""
    # One thread: a pool for each core takes address space, which is limited, and is no faster.
    return {"OPENBLAS_NUM_THREADS": "1"} | {name: os.environ[name] for name in _HARMLESS if name in os.environ}


def worker_environment(threads: int) -> dict[str, str]:
    """The environment of a process that prepares photos: this one's, without the key, and with a limit of threads."""
    inherited = {name: value for name, value in os.environ.items() if name != "PHOTIO_API_KEY"}
    return {"OMP_NUM_THREADS": str(threads)} | inherited


def set_ray_defaults() -> None:
    """Set defaults for a Ray that we start: no usage statistics, and idle workers end after ten minutes.

    Ray would end an idle worker after a second, and each new one takes a second of processor for its imports.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_idle_worker_killing_time_threshold_ms", "600000")


def disable_telemetry() -> None:
    """Have onnxruntime, which is not loaded yet, send nothing to its makers (from 1.29 on it does by default)."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def limit_matrix_threads() -> None:
    """Have numpy, which is not loaded yet, multiply on one thread: a second one waits busily between our small ones."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def variable(name: str) -> str | None:
    """The value of an environment variable; None if it is not set."""
    return os.environ.get(name)


def thread_limit() -> int:
    """OMP_NUM_THREADS, the limit that schedulers and Ray set for a worker; 0 without a limit."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() else 0
