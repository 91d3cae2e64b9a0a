"""Write one file per preset into the output folder, and check each as saved."""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from photio_prep.cutout.framing import box_of
from photio_prep.errors import OutputExists, PresetFailed, UsageError
from photio_prep.final import superseded, writer
from photio_prep.final.options import DEFAULT_OUTPUT, OutputOptions
from photio_prep.final.provenance import packet
from photio_prep.final.publish import publish
from photio_prep.geometry import Box
from photio_prep.imaging.encode import SUFFIXES, encode_picture
from photio_prep.imaging.limits import DEFAULT_LIMITS, Limits
from photio_prep.intake.item import MARK
from photio_prep.marketplaces import check, layout, packshot
from photio_prep.marketplaces.presets import Preset
from photio_prep.orders.store import Order, require_cutout
from photio_prep.system import files
from photio_prep.types import UNCREDITED, Credit

_ANY = Limits(small=1, aspect=1000)
# Tried in turn until the file is small enough; below the last, JPEG blocks are visible.
QUALITIES = (95, 92, 88, 84, 80, 75, 70)


class MarketplaceFile(NamedTuple):
    """A file for a marketplace, and the report on it as read back."""

    preset: Preset
    path: Path
    report: check.ComplianceReport
    notes: tuple[str, ...]

    @property
    def failure(self) -> PresetFailed | None:
        """The error of a file that breaks rules of its marketplace; the file stays."""
        return self.report.failure(self.path, "The file is kept")


class MarketplaceWriter:
    """Writes the files of some presets; one per command, so that no two photos get the same path.

    `presets` are for every photo without presets of its own; `limits` for decoding the photo. `taken` registers an
    owner for a path and returns its first owner; it is shared where several processes write.
    """

    def __init__(
        self,
        presets: tuple[Preset, ...],
        output: OutputOptions = DEFAULT_OUTPUT,
        *,
        limits: Limits = DEFAULT_LIMITS,
        taken: Callable[[Path, str], str] | None = None,
    ) -> None:
        self._presets, self._output, self._limits = _white_first(presets), output, limits
        self._taken: Callable[[Path, str], str] = taken or dict[Path, str]().setdefault
        self._own: dict[tuple[str, str], tuple[Preset, ...]] = {}

    def choose(self, source: str, output: str, presets: tuple[Preset, ...]) -> None:
        """Use these presets for the photo whose final is written to `output`."""
        self._own[source, output] = _white_first(presets)

    def of_photo(self, order: Order) -> tuple[Preset, ...]:
        """The presets of an order's photo."""
        return self._own.get((order.origin.source, order.origin.base), self._presets)

    def of(self, order: Order) -> tuple[Preset, ...]:
        """The presets of an order; none for a variant, whose files are made when the user keeps it."""
        return () if order.origin.variant else self.of_photo(order)

    def refuse_if_in_the_way(self, order: Order, out: Path) -> None:
        """Raise OutputExists if a foreign file or another photo has one of the paths. Called before paying, too."""
        for preset in self.of(order):
            self._refuse_foreign(order, preset, self._place(order, preset, out))

    def write(
        self, order: Order, out: Path, final: Callable[[], Image.Image] | None = None
    ) -> Iterator[MarketplaceFile]:
        """Write each file, read it back and yield it. `final` returns the final picture (RGB, the photo's frame).

        OutputExists if a foreign file has the path; UsageError if a preset needs the final, and there is none.
        """
        work = _Work(order, final, self._limits)
        for preset in self.of(order):
            yield self._write_file(work, preset, out)

    def _write_file(self, work: "_Work", preset: Preset, out: Path) -> MarketplaceFile:
        order, folder = work.order, work.order.folder
        path = self._place(order, preset, out)
        layout_ = work.lay_out(preset)
        notes = layout_.notes
        credit = order.origin.credit if self._output.metadata == "keep-safe" else UNCREDITED
        tag = None if preset.white else packet(order, self._output.provenance)
        data = _encode_within_weight(layout_.image, preset, credit, tag, sandbox=order.sandbox and not preset.white)
        # The same bytes are ours: an earlier process was killed between writing and marking them.
        if files.own_bytes(path, len(data)) != data:
            self._refuse_foreign(order, preset, path)
            notes += superseded.archive_superseded(order, path, preset.name)
            publish(out, path, data)
        if folder is not None:
            order.marks.mark_listed(preset.name, path, data)
        report = check.check_file(
            files.read_nofollow(path, len(data)),
            preset,
            name=path.name,
            generated=not preset.white,
            fill=layout_.fill,
            product=layout_.product,
            limits=_ANY,
        )
        return MarketplaceFile(preset, path, report, notes)

    def _place(self, order: Order, preset: Preset, out: Path) -> Path:
        path = writer.path_of(order, out, f"{MARK}-{preset.name}{SUFFIXES['JPEG']}")
        owner = f"{order.origin.source}\0{order.origin.output}"
        first = self._taken(path, owner)
        if first != owner:
            message = f"its file {path.name} is also that of {first.partition(chr(0))[0]}"
            raise OutputExists(message, "Rename one, or finish it with another --out", subject=order.origin.source)
        return path

    def _refuse_foreign(self, order: Order, preset: Preset, path: Path) -> None:
        sandbox = order.sandbox and not preset.white
        writer.refuse_if_in_the_way(order, path, overwrite=self._output.overwrite, preset=preset.name, sandbox=sandbox)


def _white_first(presets: tuple[Preset, ...]) -> tuple[Preset, ...]:
    """White presets first: they need no answer, and are written even if the answer is missing."""
    return tuple(sorted(presets, key=lambda preset: not preset.white))


def _encode_within_weight(
    image: Image.Image, preset: Preset, credit: Credit, tag: bytes | None, *, sandbox: bool
) -> bytes:
    """Encode as JPEG at the best quality that fits the marketplace's limit in bytes."""
    rule = preset.rule("weight")
    most = rule.most if rule and rule.most else float("inf")
    data = b""
    for quality in QUALITIES:
        data = encode_picture(image, "JPEG", sandbox=sandbox, credit=credit, xmp=tag, quality=quality)
        if len(data) <= most:
            break
    return data


class _Work:
    """The packshot and the final of one order, each made once for all of its presets."""

    def __init__(self, order: Order, final: Callable[[], Image.Image] | None, limits: Limits) -> None:
        self.order, self._make_final, self._limits = order, final, limits

    @cached_property
    def product(self) -> packshot.Packshot:
        return packshot.extract_product(self.order, limits=self._limits)

    @cached_property
    def final(self) -> Image.Image:
        if self._make_final is None:
            raise UsageError("it has no answer yet", "Only white packshots can be made without one", subject="--preset")
        return self._make_final()

    def lay_out(self, preset: Preset) -> layout.Layout:
        if preset.white:
            product = self.product
            packshot_ = layout.lay_out_packshot(product.image, preset, product.cut, prior_upscale=product.prior_upscale)
            note = "the photo was moved or changed: the packshot has the canvas's resolution"
            return packshot_ if product.original else packshot_._replace(notes=(*packshot_.notes, note))
        cutout = require_cutout(self.order)
        across, down = self.final.width / cutout.width, self.final.height / cutout.height
        box = Box(*(round(side * by) for side, by in zip(box_of(cutout), (across, down) * 2, strict=True)))
        return layout.lay_out_scene(self.final, preset, box)
