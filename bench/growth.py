"""How the cost of an order grows with the number of photos, with a matter that costs nothing.

`python -m bench.growth COUNT` prepares so many photos on disk, in this process.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.load import prepared
from bench.measure import Row, Spent, command, paired


def each(count: int) -> Spent:
    """What one of `count` photos costs; memory is the whole process's."""
    spent = command([sys.executable, "-m", "bench.growth", str(count)])
    return replace(spent, wall=spent.wall / count, cpu=spent.cpu / count)


def rows(counts: list[int]) -> Iterator[Row]:
    first, *others = counts
    for count in others:
        what = f"stand-in matter, a photo of {count} / a photo of {first}"
        yield paired(what, lambda count=count: each(count), lambda: each(first), 1, warm=0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as folder:
        for _ in prepared(int(sys.argv[1]), Path(folder), "https://api.example/x"):
            pass
