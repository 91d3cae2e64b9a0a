"""Which process is this, and does that one still live?

Takes process numbers; gives what tells one process from another of the same number. Touches the system's list of
processes. Raises OSError where the system does not tell.
"""

import sys
from functools import cache
from pathlib import Path

if sys.platform == "linux":

    @cache
    def boot() -> str:
        """What tells this boot of the machine from every other."""
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def started(pid: int) -> str | None:
        """When process `pid` started, in a unit that no clock change moves; None where there is no such process.

        Raises:
            OSError: It cannot be told, for instance because too many files are open.
        """
        try:
            # Field 22, clock ticks since boot. The name in field 2 may hold spaces and brackets.
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        except (FileNotFoundError, ProcessLookupError, IndexError):
            return None

else:
    import psutil

    @cache
    def boot() -> str:
        """What tells this boot of the machine from every other."""
        return str(int(psutil.boot_time()))

    def started(pid: int) -> str | None:
        """When process `pid` started; None where there is no such process."""
        try:
            return str(psutil.Process(pid).create_time())
        except psutil.Error:
            return None
