"""What must hold before money is spent. Every way to pay goes through here: `run`, `generate`, the library, Ray.

What lies in an order's folder (claimed, unknown, given up, paid but unusable) is asked by `pay` itself, which takes
a `Preflight` and runs it again under the order's lock.
"""

from dataclasses import dataclass

from photio_prep.errors import GateStopped, UsageError
from photio_prep.intake.url_guard import redact_url
from photio_prep.orders import index, paid_before
from photio_prep.orders.state import SENDABLE
from photio_prep.orders.store import Order
from photio_prep.quality import Level


@dataclass(frozen=True, slots=True)
class Preflight:
    """The user's word on what is worth paying for.

    `level` is how strict the gate is; with `pay_again` a photo is paid for although the same was paid for as other
    bytes. The default refuses whatever may be refused.
    """

    level: Level = Level.WARN
    pay_again: bool = False

    def check(self, order: Order) -> None:
        """Raise where `order` must not be paid for. One that is answered already costs nothing, and passes.

        Raises:
            UsageError: It has no scene description.
            PhotoRefused: The same photo with the same words was paid for as other bytes.
            GateStopped: The gate stops its cutout.
        """
        if not order.request.description:
            fix = 'Give one, for instance -d "on a marble table, soft morning light"'
            raise UsageError("it has no scene description, so nothing is sent", fix, subject=order.origin.source)
        if order.folder is not None:
            if order.state not in SENDABLE:
                return
            if not self.pay_again:
                paid_before.raise_if_paid(order, index.index_of(order.folder.parent))
        enforce_gate(order, self.level)


def enforce_gate(order: Order, level: Level) -> None:
    """Raise GateStopped if the gate blocks this order. Orders without a judgement pass.

    Raises:
        GateStopped: It was judged, and `level` stops that.
    """
    judged = order.origin.gate
    if judged is None or not level.stops(judged.verdict):
        return
    reasons = "; ".join(reason.text for reason in judged.reasons if level.stops(reason.verdict))
    raise GateStopped(
        f"stopped before paying: {reasons}",
        "The order stays planned; --gate off pays for it all the same",
        subject=order.origin.source,
    )


def image_url_note(image_url: str | None) -> str:
    """What the user must know of an order that sends an address in place of its canvas; "" for any other."""
    return (
        ""
        if image_url is None
        else f"what is sent and paid for is the picture at {redact_url(image_url)}, not canvas.png"
    )
