"""The pages of the documentation as data: files, code blocks, links, anchors."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^(?P<before>(?:<!--.*?-->\n)*)```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (before|not run): (.*?) -->")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)|<img [^>]*src=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.*?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code, with the comments that stand directly above it.

    `before` holds shell lines that set the scene and that a reader need not see. `not_run` says why no test runs it.
    """

    page: Path
    line: int
    language: str
    text: str
    before: str
    not_run: str


def list_pages() -> list[Path]:
    """Return every Markdown file of the repository that users or contributors read."""
    return sorted(
        [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "fixtures" / "README.md", ROOT / "models" / "README.md"]
    )


def read_page(page: Path) -> str:
    """Return a page's text."""
    return page.read_text(encoding="utf-8")


def iter_blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page from top to bottom."""
    text = read_page(page)
    for match in _FENCE.finditer(text):
        comments = _COMMENT.findall(match["before"])
        before = "\n".join(line for kind, line in comments if kind == "before")
        not_run = " ".join(line for kind, line in comments if kind == "not run")
        line = text.count("\n", 0, match.start("text"))
        yield Block(page, line, match["language"], match["text"], before, not_run)


def strip_code(text: str) -> str:
    """Return Markdown text without fenced blocks, indented blocks and code spans: links in them are no links."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(?: {4}|\t).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "`", text)


def list_links(page: Path) -> list[str]:
    """Return the targets of all links and pictures of a page."""
    return [markdown or html for markdown, html in _LINK.findall(strip_code(read_page(page)))]


def list_anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    anchors: set[str] = set()
    headings = re.sub(r"^```.*?^```$", "", read_page(page), flags=re.MULTILINE | re.DOTALL)
    for heading in _HEADING.findall(headings):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in anchors:
            number += 1
        anchors.add(anchor)
    return anchors
