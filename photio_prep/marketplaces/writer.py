"""Order -> one file per marketplace in the output folder, each checked after it was saved."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from photio_prep.cutout.framing import box_of
from photio_prep.errors import OutputExists, PresetFailed, UsageError
from photio_prep.final import superseded, writer
from photio_prep.final.options import Metadata
from photio_prep.final.provenance import Provenance, packet
from photio_prep.final.publish import publish
from photio_prep.geometry import Box
from photio_prep.imaging.encode import SUFFIXES, encoded
from photio_prep.imaging.limits import DEFAULT_LIMITS, Limits
from photio_prep.intake.item import MARK
from photio_prep.marketplaces import check, layout, packshot
from photio_prep.marketplaces.check import Report
from photio_prep.marketplaces.layout import Laid
from photio_prep.marketplaces.packshot import Product
from photio_prep.marketplaces.presets import Preset
from photio_prep.orders import state
from photio_prep.orders.store import Order, cutout_of
from photio_prep.system import files
from photio_prep.types import UNCREDITED, Credit

# Tried one after the other until a file is light enough; below the last one sees the blocks.
QUALITIES = (95, 92, 88, 84, 80, 75, 70)


class Shelved(NamedTuple):
    """A file for a marketplace, and what was found when it was read back."""

    preset: Preset
    path: Path
    report: Report
    notes: tuple[str, ...]

    def refuse_broken(self) -> None:
        """Do nothing for a file that keeps the marketplace's rules.

        Raises:
            PresetFailed: It breaks some; the file is kept.
        """
        if self.report.broken:
            told = "; ".join(each.text for each in self.report.broken)
            raise PresetFailed(f"breaks the rules of {self.preset.name}: {told}", "It is kept", subject=str(self.path))


class Shelf:
    """Makes the files of some presets: one for a whole command, so that no two photos get one name.

    Args:
        presets: Which.
        overwrite: Replace files of somebody else.
        metadata: "keep-safe": with the photo's copyright and artist.
        provenance: What a generated file says of how it was made; see provenance.py.
        limits: Of the photo, where it is read again.
        taken: Gives whose a path is, the one's who asked first; for a shelf that others fill, too.
    """

    def __init__(
        self,
        presets: tuple[Preset, ...],
        *,
        overwrite: bool = False,
        metadata: Metadata = "none",
        provenance: Provenance = "trained",
        limits: Limits = DEFAULT_LIMITS,
        taken: Callable[[Path, str], str] | None = None,
    ) -> None:
        self.presets = _white_first(presets)
        self._overwrite = overwrite
        self._metadata = metadata
        self._provenance: Provenance = provenance
        self._limits = limits
        here: dict[Path, str] = {}
        self._taken = taken or here.setdefault
        self._own: dict[tuple[str, str], tuple[Preset, ...]] = {}

    def choose(self, source: str, output: str, presets: tuple[Preset, ...]) -> None:
        """For the photo whose final belongs at `output`, these in place of those for all."""
        self._own[source, output] = _white_first(presets)

    def of_photo(self, order: Order) -> tuple[Preset, ...]:
        """The presets that the files of an order's photo are made for."""
        return self._own.get((order.origin.source, order.origin.base), self.presets)

    def of(self, order: Order) -> tuple[Preset, ...]:
        """The presets that an order's files are made for: none for a variant, before it is kept."""
        return () if order.origin.variant else self.of_photo(order)

    def refuse_if_in_the_way(self, order: Order, out: Path) -> None:
        """Raise where a file of somebody else lies where one of these goes. Called before anything is paid for, too.

        Raises:
            OutputExists: One does, or two photos would have one name.
        """
        for preset in self.of(order):
            self._refuse_foreign(order, preset, self._place(order, preset, out))

    def write(self, order: Order, out: Path, final: Callable[[], Image.Image] | None = None) -> Iterator[Shelved]:
        """Each file, as soon as it is written and was read back.

        Args:
            order: Answered, or merely prepared where all presets are white.
            out: The output folder; the input's tree is kept below it.
            final: Gives the final picture (RGB, the photo's frame); asked for at the first scene.

        Raises:
            OutputExists: A file of somebody else lies there.
            UsageError: A scene is wanted, and there is no final.
            StorageFailed: Nothing can be written there, or the order's cutout cannot be read.
        """
        work = _Work(order, final, self._limits)
        for preset in self.of(order):
            yield self._one(work, preset, out)

    def _one(self, work: "_Work", preset: Preset, out: Path) -> Shelved:
        order, folder = work.order, work.order.folder
        path = self._place(order, preset, out)
        laid = work.laid(preset)
        credit = order.origin.credit if self._metadata == "keep-safe" else UNCREDITED
        tag = None if preset.white else packet(order, self._provenance)
        data = _light_enough(laid.image, preset, credit, tag, sandbox=order.sandbox and not preset.white)
        # Killed between writing and marking it: the very same bytes are ours.
        if files.own_bytes(path, len(data)) != data:
            self._refuse_foreign(order, preset, path)
            laid = laid._replace(notes=(*laid.notes, *superseded.make_way(order, path, preset.name)))
            publish(out, path, data)
        if folder is not None:
            state.mark_shelved(folder, order.origin, preset.name, path, data)
        report = check.check(
            files.read_own(path, len(data)),
            preset,
            name=path.name,
            generated=not preset.white,
            fill=laid.fill,
            product=laid.product,
            limits=_ANY,
        )
        return Shelved(preset, path, report, laid.notes)

    def _place(self, order: Order, preset: Preset, out: Path) -> Path:
        path = writer.path_of(order, out, f"{MARK}-{preset.name}{SUFFIXES['JPEG']}")
        whose = f"{order.origin.source}\0{order.origin.output}"
        first = self._taken(path, whose)
        if first != whose:
            found = f"its file {path.name} is that of {first.partition(chr(0))[0]} too"
            raise OutputExists(found, "Rename one, or finish it with another --out", subject=order.origin.source)
        return path

    def _refuse_foreign(self, order: Order, preset: Preset, path: Path) -> None:
        tried_out = order.sandbox and not preset.white
        writer.refuse_if_in_the_way(order, path, overwrite=self._overwrite, preset=preset.name, sandbox=tried_out)


def _white_first(presets: tuple[Preset, ...]) -> tuple[Preset, ...]:
    """The white ones need no answer, and shall not miss one that is missing."""
    return tuple(sorted(presets, key=lambda each: not each.white))


_ANY = Limits(small=1, aspect=1000)


def _light_enough(image: Image.Image, preset: Preset, credit: Credit, tag: bytes | None, *, sandbox: bool) -> bytes:
    """The JPEG at the best quality that the marketplace's limit on a file's weight allows."""
    rule = preset.rule("weight")
    most = rule.most if rule and rule.most else float("inf")
    data = b""
    for quality in QUALITIES:
        data = encoded(image, "JPEG", sandbox=sandbox, credit=credit, xmp=tag, quality=quality)
        if len(data) <= most:
            break
    return data


class _Work:
    """What several presets of one order share, each made once."""

    def __init__(self, order: Order, final: Callable[[], Image.Image] | None, limits: Limits) -> None:
        self.order = order
        self._final = final
        self._limits = limits

    @cached_property
    def product(self) -> Product:
        return packshot.product(self.order, limits=self._limits)

    @cached_property
    def final(self) -> Image.Image:
        if self._final is None:
            raise UsageError("it has no answer yet", "Only white packshots can be made without", subject="--preset")
        return self._final()

    def laid(self, preset: Preset) -> Laid:
        if preset.white:
            found = self.product
            laid = layout.packshot(found.image, preset, found.cut, already=found.already)
            lost = "the photo is not where it was, or changed: the packshot has the canvas's resolution"
            return laid if found.original else laid._replace(notes=(*laid.notes, lost))
        cutout = cutout_of(self.order)
        box, final = box_of(cutout), self.final
        by = (final.width / cutout.width, final.height / cutout.height) * 2
        there = Box(*(round(side * each) for side, each in zip(box, by, strict=True)))
        return layout.scene(final, preset, there)
