"""Options of click, typed by the parameters that they fill, in groups, and parsed into typed values."""

import math
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from functools import partial, wraps
from inspect import Parameter, signature
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from photio_prep.system.ranges import Range

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

# Sections of the help.
GROUPS = ("Photo", "Cutout", "Scene", "Money", "Output")
PATH = click.Path(path_type=Path)


class _Option(click.Option):
    """An option that shows its default, and is also taken under its `old` spelling, which nothing shows."""

    def __init__(self, *names: Any, old: str = "", group: str = "", **attributes: Any) -> None:  # noqa: ANN401  click's own
        attributes.setdefault("show_default", attributes.get("default") is not None)
        super().__init__(*names, **attributes)
        self._old = [old] if old else []
        self.group = group

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Name both spellings: which one was typed is not known."""
        return " / ".join([super().get_error_hint(ctx), *map(repr, self._old)])

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


def option(names: str, help_: str, **attributes: Any) -> Decorator:  # noqa: ANN401  click's own
    """As `click.option`, for `names` with blanks between them; shows its default, and takes an `old` spelling.

    Type, default and multiplicity follow from the parameter that the option fills, unless `attributes` name them.
    """
    words = names.split()
    if isinstance(kind := attributes.get("type"), Number) and kind.allowed.high < math.inf:
        help_ = f"{help_} [{str(kind.allowed).removeprefix('from ')}]"
    own = [word for word in words if word[0] != "-"]
    name = own[0] if own else max(words, key=len).strip("-").replace("-", "_")

    def declare(command: Command) -> Command:
        inferred = _infer_attributes(command, name)
        return click.option(*words, cls=_Option, help=help_, **{**inferred, **attributes})(command)

    return declare


def _infer_attributes(command: Callable[..., Any], name: str) -> dict[str, Any]:
    parameter = signature(command).parameters.get(name)
    if parameter is None:
        return {}
    kind, default = parameter.annotation, parameter.default
    if NoneType in get_args(kind):
        kind = [part for part in get_args(kind) if part is not NoneType][-1]
    if kind is bool:
        return {"is_flag": True}
    many = get_origin(kind) is tuple and get_args(kind)[-1] is ...
    attributes = {"type": _click_type(get_args(kind)[0] if many else kind), "multiple": many}
    return attributes if many or default in (Parameter.empty, None) else {**attributes, "default": default}


def _click_type(kind: Any) -> Any:  # noqa: ANN401  an annotation
    """The type of click for one value: a choice for a Literal, numbers with commas for a tuple of them."""
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if get_origin(kind) is tuple:
        return _Numbers(len(get_args(kind)))
    return PATH if kind is Path else kind


class Number(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions
    """A number of a range."""

    name = "number"

    def __init__(self, allowed: Range) -> None:
        self.allowed = allowed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401  click's own
        """Parse the number."""
        number = value
        if isinstance(value, str):
            with suppress(ValueError):
                number = int(value) if self.allowed.whole else float(value)
        if not self.allowed.holds(number) or not str(value).isascii():
            self.fail(f"{value} is not a {self.allowed.kind}.", param, ctx)
        return number if self.allowed.whole else float(number)


class _Numbers(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions
    """So many numbers with commas between them."""

    name = "numbers"

    def __init__(self, count: int) -> None:
        self._count = count

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Parse the numbers."""
        try:
            numbers = tuple(map(float, value.split(",")))
        except ValueError:
            numbers = ()
        if len(numbers) != self._count:
            self.fail(f"{value!r} is not {self._count} numbers with commas between them", param, ctx)
        return numbers


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
    """The options as one decorator; the command gets what `build` makes of their values as its argument `name`.

    `build` may be decorated with options itself, and `options` may be typed.
    """
    own_build: Any = partial(build)
    own_build.__click_params__ = [*getattr(build, "__click_params__", ())]
    own_build = several(*options, group=group)(own_build)
    parameters: list[click.Parameter] = own_build.__click_params__

    def add(command: Command) -> Callable[..., Any]:
        @wraps(command)
        def parse(*args: object, **values: object) -> object:
            names = [parameter.name or "" for parameter in parameters if parameter.expose_value]
            own = {name: values.pop(name) for name in names}
            return command(*args, **values, **{name: own_build(**own)})

        parse.__click_params__ = [*getattr(command, "__click_params__", ()), *parameters]  # type: ignore[attr-defined]
        return parse

    return add
