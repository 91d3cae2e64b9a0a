"""How fast, and in how much memory, many orders are prepared, paid and finished; and how fast a finished batch is seen.

`python -m bench.load [orders] [calls at a time] [processes]` prints orders a second, memory after 1,000 orders and at
the end, and the time of a second run over the finished batch. With processes these prepare and make the finals, as of
`run --workers`. Everything on the way is the product's, but for two things: the photos are small noise that brings its
own cutout along (a canvas of about 50 KB), and the API is a stand-in on loopback, in a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from photio_prep.api.client import InstantClient
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch.scheduler import map_ordered
from photio_prep.batch.workers import PhotoTask, WorkerPool, open_workers
from photio_prep.cli.console import Console
from photio_prep.cli.payment import pay_orders
from photio_prep.final import writer
from photio_prep.geometry import Recommended, Size
from photio_prep.orders import payment, store
from photio_prep.orders.folder import OrderFolder, find_orders
from photio_prep.orders.options import OrderPlace, PrepareOptions
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system.parallel import limit_malloc_arenas
from photio_prep.types import Photo, Result

SIDE = 124  # RGBA noise of this size is a PNG of about 50 KB
CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Figures:
    """What one run came to; memory is resident, in MiB."""

    orders: int
    seconds: float
    rate: float
    early_mib: float
    end_mib: float
    peak_mib: float
    cpu_ms: float  # of this process and its children, for each order
    finished: int
    code: int


def noise(number: int) -> Image.Image:
    """A cutout of noise, another for each number."""
    pixels = np.random.default_rng(number).integers(1, 256, (SIDE, SIDE, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[:8] = 0
    return Image.fromarray(pixels)


def find_all(image: Image.Image) -> Image.Image:
    """A segmenter that is not asked: the photos bring their cutouts along."""
    return image.convert("L")


def tasks(count: int, out: Path, endpoint: str, first: int) -> Iterator[PhotoTask]:
    """The photos of a batch, numbered from `first` on."""
    size = Recommended("Small", "1:1", Size(SIDE, SIDE))
    for number in range(first, first + count):
        photo = Photo(noise(number), f"{number}.png", f"{number:064}", "PNG")
        options = PrepareOptions("on a marble table", seed=number, size=size, model=find_all)
        yield PhotoTask(photo, options, OrderPlace(endpoint, out / "orders", output=f"{number:05}"))


def prepared(count: int, out: Path, endpoint: str, first: int = 1, pool: WorkerPool | None = None) -> Iterator[Order]:
    """The orders of a batch, one after the other; in processes, a few ahead."""
    photos = tasks(count, out, endpoint, first)
    if pool is None:
        yield from (photo.prepare() for photo in photos)
    else:
        for _, order in map_ordered(photos, pool.prepare, threads=pool.count):
            assert isinstance(order, Order), order
            yield order


def resident() -> float:
    """Memory of this process and its children now."""
    return _memory("VmRSS:")


def peak() -> float:
    """Memory of this process and its children at its highest, of each by itself."""
    return _memory("VmHWM:")


def _memory(line: str) -> float:
    """The sum of a line of /proc/PID/status, in MiB."""
    children = [pid for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()]
    texts = [Path("/proc", pid, "status").read_text() for pid in ("self", *children)]
    return sum(int(text.partition(line)[2].split()[0]) for text in texts) / 2**10


def batch(url: str, out: Path, count: int, workers: int, processes: int = 0) -> Figures:
    """Prepare, pay and finish `count` orders, as `run` does."""
    console = Console()
    guard = SpendingGuard(InstantClient("pt-bench-load", api_url=url), warn=console.info)
    early = [0.0]
    done = 0
    with open_workers(processes or None) as pool:
        place = pool.place_final if pool else writer.place_final

        def finish(order: Order, result: Result) -> None:
            nonlocal done
            console.result(order, State.FINISHED, final=place(order, out, result=result).path)
            done += 1
            if done == min(1000, count // 2):
                early[0] = resident()

        started = time.monotonic()
        pay_orders(
            prepared(count, out, guard.endpoint, pool=pool),
            partial(payment.pay, sender=guard),
            finish,
            guard,
            console,
            workers,
            total=count,
        )
        took, end, highest = time.monotonic() - started, resident(), peak()
    cpu = 1000 * sum(os.times()[:4]) / count
    finished = [OrderFolder(folder).state for folder in find_orders(out)].count(State.FINISHED)
    return Figures(count, took, count / took, early[0], end, highest, cpu, finished, console.exit_code)


def paid(url: str, out: Path, count: int, workers: int) -> Figures:
    """Pay for `count` orders that were prepared before, as `generate` does: only that is timed."""
    console = Console()
    guard = SpendingGuard(InstantClient("pt-bench-load", api_url=url), warn=console.info)
    found = [order.folder for order in prepared(count, out, guard.endpoint, 10**6) if order.folder]

    def finish(_: Order, __: Result) -> None:
        """Only what is paid is timed."""

    started, spent = time.monotonic(), time.process_time()
    pay_orders(
        map(store.load_order, found), partial(payment.pay, sender=guard), finish, guard, console, workers, total=count
    )
    took, cpu = time.monotonic() - started, 1000 * (time.process_time() - spent) / count
    answered = [OrderFolder(folder).state for folder in found].count(State.ANSWERED)
    return Figures(count, took, count / took, 0, resident(), peak(), cpu, answered, console.exit_code)


def again(url: str, out: Path, workers: int) -> Figures:
    """A second run over what is finished: `generate` and `finish` on the output folder."""
    console = Console()
    guard = SpendingGuard(InstantClient("pt-bench-load", api_url=url))
    started = time.monotonic()
    found = find_orders(out)

    def call(order: Order) -> None:
        if order.folder is not None and OrderFolder(order.folder).state is not State.FINISHED:
            payment.pay(order, guard)

    def finish(order: Order, _: None) -> None:
        writer.place_final(order, out)

    pay_orders(map(store.load_order, found), call, finish, guard, console, workers, total=len(found))
    took = time.monotonic() - started
    cpu = 1000 * time.process_time() / len(found)
    return Figures(len(found), took, len(found) / took, 0, resident(), peak(), cpu, len(found), console.exit_code)


def alone(what: str, *arguments: object) -> Figures:
    """One of the two above in a process of its own, whose memory is only its own."""
    program = f"import bench.load as it, json, sys; it.told(it.{what}, *sys.argv[1:])"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    surroundings = {**os.environ, "PHOTIO_GATE": "off"}  # noise is no product
    done = subprocess.run(command, cwd=CHECKOUT, env=surroundings, stdout=subprocess.PIPE, check=True)
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def told(what: object, url: str, out: str, *numbers: str) -> None:
    """The child's side of `alone`."""
    assert callable(what)
    limit_malloc_arenas()  # as the command line does
    print(json.dumps(asdict(what(url, Path(out), *map(int, numbers)))))


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    processes = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    with tempfile.TemporaryDirectory(prefix="bench-load-") as folder:
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.stand_in"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        try:
            first = alone("batch", url, folder, count, workers, processes)
            second = alone("again", url, folder, workers)
            alone_paid = alone("paid", url, f"{folder}/paid", count // 5, workers)
        finally:
            counted, _ = server.communicate("\n")
        sent = json.loads(counted)
        print(f"{count} orders, {workers} calls at a time, {processes} processes")
        print(f"machine:    {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        print(f"first run:  {first.seconds:.1f} s, {first.rate:.0f} orders/s, {first.finished} finished")
        print(f"CPU:        {first.cpu_ms:.1f} ms an order")
        print(f"memory:     {first.early_mib:.0f} MiB early, {first.end_mib:.0f} at the end, peak {first.peak_mib:.0f}")
        print(f"second run: {second.seconds:.1f} s, peak {second.peak_mib:.0f} MiB")
        rate = f"{alone_paid.rate:.0f} orders/s, {alone_paid.cpu_ms:.1f} ms CPU an order"
        print(f"only paid:  {alone_paid.finished} prepared orders in {alone_paid.seconds:.1f} s, {rate}")
        print(f"server:     {sent['requests']} requests, {sent['twice']} orders charged twice")


if __name__ == "__main__":
    main()
