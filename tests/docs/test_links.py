"""Every link of the documentation leads somewhere, and every page is reached from the index."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.markdown import DOCS, ROOT, list_anchors, list_links, list_pages, read_page

README = ROOT / "README.md"
MOST_WORDS = 1_000  # of the README
# Files that name pages in comments, messages and help texts.
SOURCES = sorted(
    path
    for folder in ("photio_prep", "tests", "bench", "fuzz", "fixtures", "models", ".ci")
    for path in [*(ROOT / folder).rglob("*"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    if path.suffix in (".py", ".toml", ".md", "") and path.is_file()
)


def split_link(page: Path, link: str) -> tuple[Path, str]:
    """Return the file that a relative link of `page` leads to, and its anchor."""
    parts = urlsplit(link)
    target = Path(os.path.normpath(page.parent / unquote(parts.path))) if parts.path else page
    return target, parts.fragment


@pytest.mark.parametrize("page", list_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """From the root, or from the package."""
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|toml))`", read_page(page)):
        assert (ROOT / name).exists() or (ROOT / "photio_prep" / name).exists(), name


@pytest.mark.parametrize("page", list_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in list_links(page):
        if urlsplit(link).scheme:
            assert urlsplit(link).scheme == "https", f"{link}: not https"
            assert urlsplit(link).netloc, link
            continue
        target, anchor = split_link(page, link)
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        assert target.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in list_anchors(target), f"{link}: no such heading; there are {sorted(list_anchors(target))}"


def test_links_lead_to_files_of_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    tracked = {ROOT / name for name in os.fsdecode(listed.stdout).splitlines()}
    for page in list_pages():
        for link in list_links(page):
            target, _ = split_link(page, link)
            if not urlsplit(link).scheme and not target.is_dir():
                assert target in tracked, f"{page}: {link} is not in the repository"


def test_the_index_links_to_every_page() -> None:
    linked = {split_link(DOCS / "index.md", link)[0] for link in list_links(DOCS / "index.md")}
    pages = {page for page in DOCS.rglob("*.md") if page.name != "index.md"}
    assert pages - linked == set()


def test_every_picture_is_shown_by_a_page() -> None:
    shown = {split_link(page, link)[0] for page in list_pages() for link in list_links(page)}
    pictures = {path for path in DOCS.rglob("*") if path.suffix in (".jpg", ".png", ".svg")}
    assert pictures - shown == set()


def test_pages_named_in_the_code_exist() -> None:
    """Comments may leave out the first folders of a long path: `measurements/speed.md`."""
    pages = [f"/{page.relative_to(ROOT).as_posix()}" for page in list_pages()]
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        for name in re.findall(r"(?<![\w/.-])(?:docs|guides|reference|design|measurements)/[\w/-]+\.md\b", text):
            assert any(page.endswith(f"/{name}") for page in pages), f"{source}: {name} does not exist"


def test_files_of_tests_named_by_a_page_exist() -> None:
    names = {path.name for path in (ROOT / "tests").rglob("*.py")}
    for page in DOCS.rglob("*.md"):
        for name in re.findall(r"\btest_\w+\.py\b", read_page(page)):
            assert name in names, f"{page}: {name}"


def test_the_readme_is_short() -> None:
    assert len(read_page(README).split()) <= MOST_WORDS
