"""Write the finals of a command and their files for marketplaces, and print them."""

import filecmp
import shlex
from dataclasses import replace
from pathlib import Path

from photio_prep.batch.finals import RunFiles
from photio_prep.cli.console import Console
from photio_prep.errors import OutputExists, PhotioError, PhotoRefused, UsageError
from photio_prep.final import choose, writer
from photio_prep.final.options import FinishOptions, OutputOptions
from photio_prep.marketplaces.writer import MarketplaceFile
from photio_prep.orders import previews
from photio_prep.orders.state import State
from photio_prep.orders.store import Order
from photio_prep.system import files, object_store
from photio_prep.types import Result

# Contact sheets that are printed; the others are counted.
_EXAMPLES = 3


class FinalWriter(RunFiles):
    """Writes and prints the finals of one command, and the files of --preset."""

    def __init__(
        self, finish: FinishOptions, output: OutputOptions, console: Console, file: Path | None = None
    ) -> None:
        super().__init__(finish, output)
        self._console, self._file = console, file
        self._sweeps: dict[tuple[Path, Path], set[str]] = {}

    def check_file(self, sources: list[str]) -> None:
        """Raise UsageError if -o names one file, and not one would be written, or it is the photo itself."""
        if self._file is None:
            return
        if len(sources) != 1:
            raise UsageError(
                f"names one final, and {len(sources)} would be written", "Name a folder", f"--out {self._file}"
            )
        if self._file.exists() and Path(sources[0]).exists() and self._file.samefile(sources[0]):
            raise UsageError("the photo itself", "Give the final another name", f"--out {self._file}")

    def refuse_in_the_way(self, order: Order, target: Path) -> None:
        """Raise OutputExists, also if the file that -o names must not be replaced."""
        super().refuse_in_the_way(order, target)
        file = self._file
        if file and file.exists() and not self.output.overwrite and not _is_same_file(file, target):
            raise OutputExists("the file exists", "Give --overwrite, or another name", subject=str(file))

    def write_announced(
        self, order: Order, out: Path, result: Result | None = None, *, root: Path | None = None
    ) -> None:
        """Write and print the final of an answered order below `out`; `root`: the output folder of its order."""
        path, order_shown, notes = self.write(order, out, result)
        if order.origin.variant:
            self._sweeps.setdefault((root or out, out), set()).add(order.origin.base)
        for note in notes:
            self._console.note("note", order.origin.source, note)
        self.announce(order_shown, path, out)

    def announce(self, order: Order, path: Path, out: Path) -> None:
        """Upload and print a final that was written; a drift above --max-drift is exit 3. Then write its presets."""
        console, most = self._console, self.output.max_drift
        if store := self.output.upload_to:
            data = files.read_nofollow(path, files.OUTPUT)
            object_store.put_object(store, path.relative_to(out).as_posix(), data, overwrite=self.output.overwrite)
        if self._file:
            self._copy(path)
        drift, proof = writer.read_drift(order), writer.read_proof(order)
        notes = proof.get("notes")
        score = drift.get("score", 0)
        score = float(score) if isinstance(score, (int, float)) else 0.0
        with console.lock:
            for note in notes if isinstance(notes, list) else ():
                console.note("warning", order.origin.source, str(note))
            if refined := proof.get("refined"):
                console.note("note", order.origin.source, str(refined))
            text = f"{drift.get('sentence')} (drift {score:g}"
            if most is not None and score > most:
                console.codes.append(PhotoRefused.exit_code)
                previews.draw_drift_of(order.require_folder())
                text = f"{text}, at most {most:g} wanted). Look at {order.folder}/drift.png before you show it"
                console.warn(f"drift: {order.origin.source}: {text}")
            elif score > 1:
                console.note("drift", order.origin.source, f"{text})", topic="drift")
        self.print_result(order, State.FINISHED, out, final=self._file or path)

    def show_sheets(self) -> None:
        """Write a contact sheet for each photo with variants, by its final's place; print how to keep one."""
        for (root, out), bases in self._sweeps.items():
            sheets = 0
            for base in sorted(bases):
                try:
                    sheet = choose.contact_sheet(root, base, out, overwrite=self.output.overwrite)
                except PhotioError as error:  # the finals are written in any case
                    self._console.error(error)
                    continue
                sheets += sheet is not None
                if sheet is not None and sheets <= _EXAMPLES:
                    end = "-- " if base.startswith("-") else ""
                    command = f"photio-prep keep -o {shlex.quote(str(root))} {end}{shlex.quote(base)} 1"
                    self._console.info(f"contact sheet: {sheet}; to keep number 1: {command}")
            if (more := sheets - _EXAMPLES) > 0:
                self._console.info(f"{more} more contact sheet{'s' * (more > 1)} below {out}")

    def _copy(self, final: Path) -> None:
        file = self._file
        if file and not _is_same_file(file, final):
            try:
                files.write_atomic(file, files.read_nofollow(final, files.OUTPUT), overwrite=self.output.overwrite)
            except FileExistsError:
                problem = f"the file exists; the final is {final}"
                raise OutputExists(problem, "Give --overwrite, or another name", subject=str(file)) from None

    def print_result(self, order: Order, state: State, out: Path, *, final: Path | None) -> None:
        """Write the file of each preset; print the order with its final, and the files."""
        console, written, failures = self._console, list[MarketplaceFile](), list[PhotioError]()
        if order.origin.variant and order.folder:
            order.marks.mark_presets([preset.name for preset in self.marketplaces.of_photo(order)])
        full_size = replace(self.finish, output_size="original", format=None)  # whatever --output-size says
        try:
            written.extend(self.marketplaces.write(order, out, lambda: writer.render_final(order, full_size).image))
        except PhotioError as error:  # the files before it are written
            failures.append(error.about(order.origin.source))
        failures = [*(file.failure for file in written if file.failure), *failures]
        described = [
            {"path": str(file.path), **file.report.to_dict(), "white": file.report.white, "notes": [*file.notes]}
            for file in written
        ]
        more = {"presets": described, "faults": [*map(str, failures)]} if self.marketplaces.of(order) else None
        console.result(order, state, final=final, presets=[file.path for file in written], more=more)
        for file in written:
            if not console.as_json:
                console.out(str(file.path))
            head = f"{file.preset.name}: {file.path.name}"
            console.info(f"{head}: {file.report}")
            for text in (*file.notes, *file.report.notes):
                console.info(f"note: {head}: {text}")
        for failure in failures:
            console.error(failure)


def _is_same_file(first: Path, second: Path) -> bool:
    return first.is_file() and second.is_file() and filecmp.cmp(first, second, shallow=False)
