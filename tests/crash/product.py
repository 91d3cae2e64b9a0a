"""The product as the crash harness runs it: small orders from photo to final; and four ways of getting it wrong.

`main([out, port, variant, orders, workers])` brings that many orders to finished or unknown, resuming what it finds,
and ends with the exit code of the command line, whose own loop, guard and console it uses. Everything that touches the
disk or the network is the product's; the photos are tiny and bring their cutout along: a run takes milliseconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

# What finals load at their first use is loaded before the fork, or every run would load it anew.
import cv2  # noqa: F401
import scipy.fft
import scipy.ndimage  # noqa: F401

from photio_prep import pipeline
from photio_prep.api.client import InstantClient
from photio_prep.api.request import build_request
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.cli.console import Console
from photio_prep.cli.payment import pay_orders
from photio_prep.cutout.pad import pad
from photio_prep.errors import OutcomeUnknown, PhotioError
from photio_prep.final import writer
from photio_prep.geometry import Size, place
from photio_prep.imaging.encode import encode_picture
from photio_prep.orders import claims, payment, store
from photio_prep.orders.answer_file import AnswerFile
from photio_prep.orders.origin import Origin
from photio_prep.orders.recovery import raise_if_claimed
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system import files
from photio_prep.types import Cutout
from tests.support.hostile import PATH
from tests.support.photos import SCENE, cutout

if TYPE_CHECKING:
    from collections.abc import Callable

    from photio_prep.types import Sender

SMALL = Size(48, 32)
KEY = "pt-test-canary-41c2"


def planned(number: int, out: Path, endpoint: str) -> Order:
    """Order `number` below `out`, as `prepare` writes it; the same number is the same order again.

    Without what `prepare` spends on looking at a picture: a sweep makes this hundreds of times.
    """
    product = cutout((60, 40))
    canvas = pad(Cutout(product, "alpha"), place(Size(*product.size), SMALL))
    origin = Origin(f"memory://photo-{number}.png", f"{number:064}", "PNG", f"{number:05}")
    asked = build_request(canvas, SCENE, seed=number)
    return store.write_order(Order(asked, endpoint, origin, "alpha", product), out / "orders")


def correct(order: Order, sender: Sender, out: Path) -> Path:
    """What `run` does with an order that is prepared."""
    payment.pay(order, sender)
    return writer.place_final(order, out).path


def resends_dead_claims(order: Order, sender: Sender, out: Path) -> Path:
    """A: a dead claim without an answer looks like work not done, and is done again."""
    assert order.folder is not None
    try:
        payment.pay(order, sender)
    except OutcomeUnknown:
        files.remove(order.folder / "outcome.json")
        payment.release_claim(order.folder)
        payment.pay(order, sender)
    return writer.place_final(order, out).path


def claims_after_the_call(order: Order, sender: Sender, out: Path) -> Path:
    """B: the claim says that the call was made, instead of that it may have been."""
    assert order.folder is not None
    if payment.load_answer(order) is None:
        raise_if_claimed(order.folder)
        keep = AnswerFile(order.folder)
        sender.send(order.request, keep)
        claims.claim(order.folder / "claim.json")
    return writer.place_final(order, out).path


def marks_finished_first(order: Order, sender: Sender, out: Path) -> Path:
    """C: the mark comes before the output, and the output is written in place."""
    target = writer.final_path(order, out)
    assert order.folder is not None
    payment.pay(order, sender)
    if order.marks.final() is None:
        final = pipeline.finish(order)
        data = encode_picture(final.image, final.format)
        order.marks.mark_finished(target, data)
        target.write_bytes(data)
    return target


def skips_if_output_exists(order: Order, sender: Sender, out: Path) -> Path:
    """D: no claim at all; the output's existence is the only memory."""
    target = writer.final_path(order, out)
    if not target.exists():
        final = pipeline.finish(order, sender.send(order.request))
        files.write_atomic(target, encode_picture(final.image, final.format))
    return target


VARIANTS: dict[str, Callable[[Order, Sender, Path], Path]] = {
    "correct": correct,
    "A": resends_dead_claims,
    "B": claims_after_the_call,
    "C": marks_finished_first,
    "D": skips_if_output_exists,
}


def main(arguments: list[str]) -> int:
    out, work = Path(arguments[0]), VARIANTS[arguments[2]]
    port, count, workers = (int(arguments[at]) for at in (1, 3, 4))
    console = Console()
    guard = SpendingGuard(InstantClient(KEY, api_url=f"http://127.0.0.1:{port}{PATH}"))

    def call(order: Order) -> Path:
        return work(order, guard, out)

    def finish(order: Order, final: Path) -> None:
        console.result(order, State.FINISHED, final=final)

    try:
        files.remove_stale(out / "orders")
        todo = [planned(number, out, guard.endpoint) for number in range(1, count + 1)]
        pay_orders(todo, call, finish, guard, console, workers, total=count)
    except PhotioError as error:
        console.error(error)
    return console.exit_code
