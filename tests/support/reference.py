"""Write docs/reference/command-line.md from the command line's own help texts.

    python tests/support/reference.py

`tests/docs/test_reference.py` fails while the page differs from what this writes.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from photio_prep.cli import group

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
COMMAND = "python tests/support/reference.py"
HEAD = f"""# Command line

<!-- Written by `{COMMAND}` from the help texts in photio_prep/cli. Do not edit: change the help texts. -->

`photio-prep VERB --help` prints the same texts. [Settings](settings.md) also come from the environment or from
`photio.toml`. [Exit codes](exit-codes.md) say how a command ended.

"""


def write_page() -> None:
    """Write the page."""
    PAGE.write_text(render_page(), encoding="utf-8")


def render_page() -> str:
    """Return the page: an overview of the verbs, then one section a verb."""
    context = click.Context(group, info_name="photio-prep")
    verbs = list(iter_verbs(context))
    overview = [f"| [`{path}`](#{path.replace(' ', '-')}) | {escape(command.get_short_help_str(200))} |"
                for path, command, _ in verbs]  # fmt: skip
    parts = [HEAD + "\n".join(["| verb | does |", "|---|---|", *overview])]
    parts += [render_verb(path, command, inner) for path, command, inner in verbs]
    return "\n\n".join(parts) + "\n"


def iter_verbs(context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield each visible verb below `context` with its full name; a group's own verbs follow it."""
    assert isinstance(context.command, click.Group)
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        path = inner.command_path.removeprefix("photio-prep ")
        yield path, command, inner
        if isinstance(command, click.Group):
            yield from iter_verbs(inner)


def render_verb(path: str, command: click.Command, context: click.Context) -> str:
    """Return the section of one verb: usage, help text, a table of its options."""
    usage = " ".join(["photio-prep", path, *command.collect_usage_pieces(context)])
    sections = [f"## {path}", f"    {usage}", " ".join((command.help or "").replace("\b", "").split())]
    rows = [row for parameter in command.get_params(context) if (row := render_option(parameter))]
    if rows:
        sections.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    return "\n\n".join(section for section in sections if section)


def render_option(parameter: click.Parameter) -> str:
    """Return the table row of a visible option; empty for arguments, hidden options and --help."""
    if not isinstance(parameter, click.Option) or parameter.hidden or "--help" in parameter.opts:
        return ""
    names = ", ".join(sorted([*parameter.opts, *parameter.secondary_opts], key=len))
    value = "" if parameter.is_flag or parameter.count else f" {render_value(parameter)}"
    default = f" Default: `{parameter.default}`." if parameter.show_default and not parameter.is_flag else ""
    return f"| `{escape(names + value)}` | {escape(parameter.help or '')}{escape(default)} |"


def render_value(option: click.Option) -> str:
    """Return the placeholder of an option's value: its metavar, its choices, or the name of its type."""
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.type.name.upper()


def escape(text: str) -> str:
    """Return text for a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    write_page()
