"""Options of click that show their default, have groups and former names, and become typed values."""

from collections.abc import Callable, Sequence
from copy import copy
from functools import wraps
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

# Sections of the help.
GROUPS = ("Photo", "Cutout", "Scene", "Money", "Output")


class _Option(click.Option):
    """An option that shows its default, and is also taken under its `old` spelling, which nothing shows."""

    def __init__(self, *names: Any, old: str = "", group: str = "", **attributes: Any) -> None:  # noqa: ANN401  click's own
        attributes.setdefault("show_default", attributes.get("default") is not None)
        super().__init__(*names, **attributes)
        self._old = [old] if old else []
        self.group = group

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401  a private class of click
        """Let the parser take both spellings."""
        both = copy(self)
        both.opts = [*self.opts, *self._old]
        click.Option.add_to_parser(both, parser, ctx)


class _Grouped(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section a group, in the order of `GROUPS`; options of no group come last."""
        rows: dict[str, list[tuple[str, str]]] = {group: [] for group in (*GROUPS, "Other")}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)):
                rows[getattr(parameter, "group", "") or "Other"].append(record)
        for group, records in rows.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)


def verb(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """As `click.command`, with help in groups."""
    return click.command(name, cls=_Grouped)


def option(names: str, help_: str, *, choices: Sequence[str] = (), **attributes: Any) -> Decorator:  # noqa: ANN401
    """As `click.option`, for `names` with blanks between them; shows its default, and takes an `old` spelling."""
    if choices:
        attributes["type"] = click.Choice(choices)
    return click.option(*names.split(), cls=_Option, help=help_, **attributes)


def several(*options: Decorator, group: str = "") -> Callable[[Command], Command]:
    """The options as one decorator, in this order; `group` is their section of the help."""

    def add(command: Command) -> Command:
        before = len(getattr(command, "__click_params__", ()))
        for decorate in reversed(options):
            command = decorate(command)
        for parameter in command.__click_params__[before:]:  # type: ignore[attr-defined]
            parameter.group = parameter.group or group
        return command

    return add


def typed(
    name: str, build: Callable[..., object], *options: Decorator, group: str = ""
) -> Callable[[Command], Callable[..., Any]]:
    """The options as one decorator; the command gets what `build` makes of their values as its argument `name`."""

    @several(*options, group=group)
    def declare() -> None:
        """Collects the options, as click keeps them on a function."""

    parameters: list[click.Parameter] = declare.__click_params__  # type: ignore[attr-defined]

    def add(command: Command) -> Callable[..., Any]:
        @wraps(command)
        def parse(*args: object, **values: object) -> object:
            names = [parameter.name or "" for parameter in parameters if parameter.expose_value]
            own = {name: values.pop(name) for name in names}
            return command(*args, **values, **{name: build(**own)})

        parse.__click_params__ = [*getattr(command, "__click_params__", ()), *parameters]  # type: ignore[attr-defined]
        return parse

    return add
