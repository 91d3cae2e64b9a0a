"""The finals of a run and their files for marketplaces: checked before paying, written after it, by every engine."""

from collections.abc import Callable, Iterable
from pathlib import Path

from photio_prep import settings
from photio_prep.errors import OutputExists
from photio_prep.final import writer
from photio_prep.final.options import FinishOptions, OutputOptions
from photio_prep.marketplaces import presets
from photio_prep.marketplaces.writer import MarketplaceWriter
from photio_prep.orders.preflight import Preflight
from photio_prep.orders.state import SENDABLE
from photio_prep.orders.store import Order
from photio_prep.types import Result


class RunFiles:
    """The files that one command writes for its orders. `taken` is that of `MarketplaceWriter`."""

    def __init__(
        self, finish: FinishOptions, output: OutputOptions, taken: Callable[[Path, str], str] | None = None
    ) -> None:
        self.finish, self.output = finish, output
        chosen = presets.find_presets(output.presets)
        self.marketplaces = MarketplaceWriter(chosen, output, limits=settings.limits(), taken=taken)
        self._targets: dict[Path, Order] = {}
        self.place = writer.place_final  # or that of a WorkerPool

    def start_batch(self) -> None:
        """Forget whose final is whose: a photo that changed while its folder is watched comes again."""
        self._targets.clear()

    def choose(self, source: str, output: str, names: Iterable[str]) -> None:
        """Take the presets of these names for a photo in place of those of the command."""
        self.marketplaces.choose(source, output, presets.find_presets(names))

    def check(self, order: Order, preflight: Preflight) -> None:
        """Raise where the order must not be paid for, or one of its files could not be written."""
        target = writer.final_path(order, self.output.out, self.finish.format)
        self.finish.fits(order.placement)
        first = self._targets.get(target, order)
        if (first.key, first.origin.source) != (order.key, order.origin.source):  # Ray may prepare a photo twice
            problem = f"its final {target} is that of {first.origin.source} too"
            raise OutputExists(problem, "Rename one, or finish it with another --out")
        # What is answered already costs nothing: its final is compared when it is made, byte for byte.
        if order.folder is None or order.state in SENDABLE:
            self.refuse_in_the_way(order, target)
        preflight.check(order)
        self._targets[target] = order

    def refuse_in_the_way(self, order: Order, target: Path) -> None:
        """Raise OutputExists if a file that must not be replaced has the name of the final or of a preset's file."""
        writer.refuse_if_in_the_way(order, target, overwrite=self.output.overwrite)
        self.marketplaces.refuse_if_in_the_way(order, self.output.out)

    def write(self, order: Order, out: Path, result: Result | None = None) -> writer.PlacedFinal:
        """Write the final of an answered order below `out`; `result` is its answer, if it is at hand."""
        return self.place(order, out, self.finish, self.output, result)
