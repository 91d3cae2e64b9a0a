"""presets list|show|check: the rules of marketplaces, and whether a file follows them."""

from pathlib import Path
from typing import Any

import click

from photio_prep import settings
from photio_prep.cli import options
from photio_prep.cli.console import Console
from photio_prep.cli.parsing import PATH, option
from photio_prep.errors import PhotioError, UsageError
from photio_prep.marketplaces import check as rules
from photio_prep.marketplaces import presets as presets_
from photio_prep.system.files import read_input
from photio_prep.system.near_name import suggest_name


class _Named(click.Group):
    """A group that also takes the name of a preset, for `show`, or nothing, for `list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [word for word in args if not word.startswith("-")]
        if not {"-h", "--help"} & {*args} and (not words or words[0] not in self.commands):
            args = ["show" if words else "list", *args]
        return super().parse_args(ctx, args)


@click.group("presets", cls=_Named)
def presets_command() -> None:
    """What marketplaces ask of a picture, and whether a file follows it. `presets NAME` is short for `show`."""


@presets_command.command("list")
@options.console_options
def list_presets(console: Console) -> int:
    """All presets: their size, background and marketplace."""
    for preset in presets_.all_presets():
        background = "white, free" if preset.white else "scene"
        console.show(f"{preset.name:<19} {preset.size!s:>9}  {background:<11}  {preset.title}", _to_dict(preset))
    console.info("photio-prep presets show NAME prints the rules of a preset and their sources")
    return console.exit_code


@presets_command.command("show")
@click.argument("name")
@options.console_options
def show_preset(name: str, console: Console) -> int:
    """Each rule of a preset, with its source and the date it was read."""
    preset = presets_.find_preset(name)
    if console.as_json:
        console.line(_to_dict(preset))
        return console.exit_code
    picture = "the product on pure white, without the API" if preset.white else "the final, laid out"
    console.out(f"{preset.name}: {preset.title}; {picture}, {preset.size} where the photo has the pixels")
    for rule in preset.rules:
        console.out(f"  {rule.name:<10} {rule!s:<58} [{_cite(rule.source)}]")
    ours = "one frame, plain RGB of 8 bits, sRGB, upright, no place (GPS), the suffix of its format"
    console.out(f"  {'always':<10} {ours:<58} [ours]")
    for source in dict.fromkeys(rule.source for rule in preset.rules):
        console.out(f"  [{_cite(source)}] {source.title} {source.url}")
    return console.exit_code


def _cite(source: presets_.Citation) -> str:
    return f"{source.how}, {source.read}"


def _to_dict(preset: presets_.Preset) -> dict[str, Any]:
    rows = []
    for rule in preset.rules:
        limits = {"least": rule.least, "most": rule.most, "good": rule.good, "any": list(rule.any) or None}
        source = {"source": rule.source.title, "url": rule.source.url, "read": str(rule.source.read)}
        limits = {name: value for name, value in limits.items() if value is not None}
        rows.append({"rule": rule.name, **limits, "advice": rule.advice, **source, "how": rule.source.how})
    head = {"preset": preset.name, "title": preset.title, "picture": preset.picture, "size": list(preset.size)}
    return {**head, "rules": rows}


@presets_command.command("check")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=PATH)
@option("--preset names", "Preset to check by. May be repeated.", required=True, metavar="NAME")
@options.console_options
def check_files_command(paths: tuple[Path, ...], names: tuple[str, ...], console: Console) -> int:
    """Whether files of any program follow a marketplace's rules. Exit code 3 where one does not."""
    chosen = presets_.find_presets(names)
    for path in paths:
        try:
            if not path.exists():
                raise UsageError("no such file", suggest_name(path), subject=str(path))
            data = read_input(path, settings.limits().file_bytes)
        except PhotioError as error:
            console.error(error)
            continue
        for preset in chosen:
            _check_file(path, data, preset, console)
    return console.exit_code


def _check_file(path: Path, data: bytes, preset: presets_.Preset, console: Console) -> None:
    report = rules.check_file(data, preset, name=path.name, limits=settings.limits())
    record = {"file": str(path), **report.to_dict(), "format": report.format}
    console.show(f"{'NO ' if report.broken else 'ok '} {preset.name:<18} {path}: {report}", record)
    for note in report.notes:
        console.info(f"note: {preset.name}: {path}: {note}")
    if failure := report.failure(path):
        console.error(failure)
