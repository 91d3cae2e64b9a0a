"""The reference of the command line is what the help texts say, and no page names a flag that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from photio_prep.cli import group
from tests.support.markdown import DOCS, ROOT, list_pages, read_page
from tests.support.reference import COMMAND, PAGE, iter_verbs, render_page

# Flags of other programs.
FOREIGN = {
    "--pids-limit", "--network", "--mount-proc", "--rm", "--help", "--version",
    "--hypothesis-profile", "--hypothesis-seed", "--rembg", "--each", "--quick", "--data", "--scenes", "--write",
    "--pictures", "--strands", "--every",
}  # fmt: skip


def test_the_page_is_what_the_help_texts_say() -> None:
    assert read_page(PAGE) == render_page(), f"{PAGE.relative_to(ROOT)} is out of date: run {COMMAND}"


def iter_flags() -> Iterator[str]:
    """Yield every flag of every verb, hidden ones too."""
    for _, command, context in iter_verbs(click.Context(group, info_name="photio-prep")):
        for parameter in command.get_params(context):
            yield from (*parameter.opts, *parameter.secondary_opts)


PAGES = [page for page in list_pages() if page.is_relative_to(DOCS) or page.parent == ROOT]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_flag_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+[a-z]", read_page(page)))
    assert named - set(iter_flags()) - FOREIGN == set()
