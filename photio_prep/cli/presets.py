"""presets, presets NAME, presets check: what marketplaces ask, and whether a file keeps to it."""

from pathlib import Path
from typing import Any

import click

from photio_prep import settings
from photio_prep.cli import options
from photio_prep.cli.console import Talk
from photio_prep.errors import PhotioError, PresetFailed, UsageError
from photio_prep.marketplaces import check as rules
from photio_prep.marketplaces import presets as presets_
from photio_prep.marketplaces.presets import Preset
from photio_prep.system.files import read_input


class _Named(click.Group):
    """`check`, and each preset by its name."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found is None and not cmd_name.startswith("-"):
            preset = presets_.by_name(cmd_name)
            found = click.command(cmd_name)(options.talking(lambda talk: _shown(preset, talk)))
        return found


@click.group(cls=_Named, invoke_without_command=True, subcommand_metavar="[NAME | check FILE... --preset NAME]")
@options.talking
@click.pass_context
def presets(ctx: click.Context, /, talk: Talk) -> int:
    """What marketplaces ask of a picture; with a NAME, each rule with its source and date. `check` looks at a file."""
    if ctx.invoked_subcommand is not None:
        return 0
    for each in presets_.catalogue():
        if talk.as_json:
            talk.line(_facts(each))
            continue
        made = "white, free" if each.white else "scene"
        talk.out(f"{each.name:<19} {each.size!s:>9}  {made:<11}  {each.title}")
    talk.say("photio-prep presets NAME says what each asks for, and where that was read")
    return talk.exit_code


def _shown(preset: Preset, talk: Talk) -> int:
    if talk.as_json:
        talk.line(_facts(preset))
        return talk.exit_code
    made = "the product on pure white, made without the API" if preset.white else "the final, laid out"
    talk.out(f"{preset.name}: {preset.title}; {made}, {preset.size} where the photo has the pixels")
    for rule in preset.rules:
        talk.out(f"  {rule.name:<10} {rule!s:<58} [{_cited(rule.source)}]")
    ours = "one frame, plain RGB of 8 bits, sRGB, upright, no place (GPS), a suffix that is true"
    talk.out(f"  {'always':<10} {ours:<58} [ours]")
    for source in dict.fromkeys(rule.source for rule in preset.rules):
        talk.out(f"  [{_cited(source)}] {source.title} {source.url}")
    return talk.exit_code


def _cited(source: presets_.Source) -> str:
    return f"{source.how}, {source.read}"


def _facts(preset: Preset) -> dict[str, Any]:
    told = []
    for rule in preset.rules:
        limits = {"least": rule.least, "most": rule.most, "good": rule.good, "any": list(rule.any) or None}
        source = {"source": rule.source.title, "url": rule.source.url, "read": str(rule.source.read)}
        kept = {name: value for name, value in limits.items() if value is not None}
        told.append({"rule": rule.name, **kept, "advice": rule.advice, **source, "how": rule.source.how})
    head = {"preset": preset.name, "title": preset.title, "picture": preset.picture, "size": list(preset.size)}
    return {**head, "rules": told}


@presets.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--preset", "wanted", multiple=True, required=True, metavar="NAME", help="Whose rules. May be repeated.")
@options.talking
def check(paths: tuple[Path, ...], wanted: tuple[str, ...], talk: Talk) -> int:
    """Whether files, made by whatever program, keep to a marketplace's rules. Exit code 3 where one does not."""
    chosen = presets_.chosen(wanted)
    for path in paths:
        try:
            if not path.exists():
                raise UsageError("no such file", "Check the name", subject=str(path))
            data = read_input(path, settings.limits().file_bytes)
        except PhotioError as error:
            talk.fail(error)
            continue
        for preset in chosen:
            _looked_at(path, data, preset, talk)
    return talk.exit_code


def _looked_at(path: Path, data: bytes, preset: Preset, talk: Talk) -> None:
    report = rules.check(data, preset, name=path.name, limits=settings.limits())
    if talk.as_json:
        told = [{"rule": each.rule, "text": each.text, "broken": each.broken} for each in report.faults]
        seen = {"format": report.format, "size": list(report.size), "bytes": report.weight, "fill": report.fill}
        talk.line({"file": str(path), "preset": preset.name, "ok": not report.broken, **seen, "faults": told})
    else:
        talk.out(f"{'NO ' if report.broken else 'ok '} {preset.name:<18} {path}: {report}")
    for each in report.faults:
        if not each.broken:
            talk.say(f"note: {preset.name}: {path}: {each.text}")
    if report.broken:
        told_all = "; ".join(each.text for each in report.broken)
        talk.fail(PresetFailed(f"breaks the rules of {preset.name}: {told_all}", subject=str(path)))
