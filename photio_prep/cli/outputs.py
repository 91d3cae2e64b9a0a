"""Write and print the files for marketplaces of finish and run."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from photio_prep import settings
from photio_prep.cli.console import Console
from photio_prep.errors import PhotioError
from photio_prep.final import provenance, writer
from photio_prep.final.options import FinishOptions
from photio_prep.intake.item import Item
from photio_prep.marketplaces import presets
from photio_prep.marketplaces.writer import MarketplaceFile, MarketplaceWriter
from photio_prep.options import OutputOptions
from photio_prep.orders import state as states
from photio_prep.orders.state import State
from photio_prep.orders.store import Order


class Shelving:
    """Makes the files of --preset for one command, and tells them."""

    def __init__(self, options: FinishOptions, output: OutputOptions, console: Console) -> None:
        self._console, self._options, self._provenance = console, options, output.provenance
        self._shelf = MarketplaceWriter(
            presets.find_presets(output.presets),
            overwrite=output.overwrite,
            metadata=output.metadata,
            provenance=output.provenance,
            limits=settings.limits(),
        )
        self.refuse_if_in_the_way = self._shelf.refuse_if_in_the_way

    def choose(self, items: Iterable[Item]) -> None:
        """Take the presets that rows of job tables name, for their photos in place of --preset."""
        for item in items:
            if item.job and item.job.presets:
                self._shelf.choose(item.name, item.output, presets.find_presets(item.job.presets))

    def choose_for(self, order: Order, chosen: tuple[presets.Preset, ...]) -> None:
        """Take these presets for the photo of an order in place of --preset."""
        self._shelf.choose(order.origin.source, order.origin.base, chosen)

    def xmp(self, order: Order) -> bytes | None:
        """What the final of an order states of how it was made."""
        return provenance.packet(order, self._provenance)

    def done(self, order: Order, state: State, out: Path, *, final: Path | None) -> None:
        """Print the final of an order; then write and print the file of each preset."""
        console, made, lines = self._console, [], []
        if order.origin.variant and order.folder:
            states.mark_presets(order.folder, order.origin, [each.name for each in self._shelf.of_photo(order)])
        if not console.as_json:
            console.result(order, state, final=final)
        faults: list[PhotioError] = []
        try:
            for each in self._shelf.write(order, out, lambda: self._final(order)):
                made.append(each)
                lines.append(facts(each))
                self._told(each, faults)
        except PhotioError as error:
            faults.append(error.about(order.origin.source))
        if console.as_json:
            more = {"presets": lines, "faults": [str(each) for each in faults]} if self._shelf.of(order) else None
            console.result(order, state, final=final, more=more)
        if console.report and made:
            console.report.add_presets(order, [each.path for each in made])
        for fault in faults:
            console.error(fault)

    def _final(self, order: Order) -> Image.Image:
        """The final picture at the photo's size, whatever the size of the final."""
        return writer.render_final(
            order, replace(self._options, output_size="original", format=None, matter=None)
        ).image

    def _told(self, each: MarketplaceFile, faults: list[PhotioError]) -> None:
        if not self._console.as_json:
            self._console.out(str(each.path))
        self._console.info(f"{each.preset.name}: {each.path.name}: {each.report}")
        for text in (*each.notes, *(fault.text for fault in each.report.faults if not fault.broken)):
            self._console.info(f"note: {each.preset.name}: {each.path.name}: {text}")
        try:
            each.refuse_broken()
        except PhotioError as error:
            faults.append(error)


def facts(each: MarketplaceFile) -> dict[str, Any]:
    """One file for a marketplace, as it stands in a JSON line."""
    report = each.report
    violations = [{"rule": fault.rule, "text": fault.text, "broken": fault.broken} for fault in report.faults]
    seen = {"size": list(report.size), "bytes": report.weight, "fill": report.fill, "white": report.white}
    return {
        "preset": each.preset.name,
        "path": str(each.path),
        "ok": not report.broken,
        **seen,
        "faults": violations,
        "notes": list(each.notes),
    }
