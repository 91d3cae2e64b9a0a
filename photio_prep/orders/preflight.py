"""What must hold before money is spent. Every way to pay goes through here: `run`, `generate`, the library, Ray.

`pay` runs it again under the order's lock, and then reads the folder (claimed, unknown, lost, paid but unusable).
"""

from dataclasses import dataclass

from photio_prep.errors import GateStopped, UsageError
from photio_prep.intake.url_guard import redact_url
from photio_prep.orders.index import index_of
from photio_prep.orders.state import SENDABLE
from photio_prep.orders.store import Order
from photio_prep.quality import Level


@dataclass(frozen=True, slots=True)
class Preflight:
    """Strictness of the gate, and whether to pay although the same photo was paid for as other bytes.

    `gate_at`: probability of a wrong cutout from which on it is stopped; None takes the
    judgement as it was recorded, by `quality.STOP_AT`.
    """

    level: Level = Level.WARN
    pay_again: bool = False
    gate_at: float | None = None

    def check(self, order: Order) -> None:
        """Raise if `order` must not be paid for. An answered one costs nothing, and passes."""
        if not order.request.description:
            fix = 'Give one, for instance -d "on a marble table, soft morning light"'
            raise UsageError("it has no scene description, so nothing is sent", fix, subject=order.origin.source)
        if order.folder is not None:
            if order.state not in SENDABLE:
                return
            if not self.pay_again:
                index_of(order.folder.parent).raise_if_paid(order)
        enforce_gate(order, self.level, self.gate_at)


def enforce_gate(order: Order, level: Level, gate_at: float | None = None) -> None:
    """Raise GateStopped if the gate blocks this order. Orders without a judgement pass."""
    judged = order.origin.gate and order.origin.gate.limited(gate_at)
    if judged is None or not level.stops(judged.verdict):
        return
    reasons = "; ".join(reason.text for reason in judged.reasons if level.stops(reason.verdict))
    raise GateStopped(
        f"stopped before paying: {reasons}",
        "The order stays planned; --gate off pays for it all the same",
        subject=order.origin.source,
    )


def image_url_note(image_url: str | None) -> str:
    """Note for the user that an order sends an address in place of its canvas; "" if it does not."""
    if image_url is None:
        return ""
    return f"what is sent and paid for is the picture at {redact_url(image_url)}, not canvas.png"
