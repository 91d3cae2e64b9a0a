"""Every snippet of the README, the tutorial and the guides runs, and so does every example in a docstring.

Snippets run word for word, page by page from top to bottom in one folder, by the real command line and library. The
environment names a sandbox as the API, so that lines that pay are answered. A snippet that cannot run here says why:
`<!-- not run: the reason -->` above it. `<!-- before: a shell line -->` prepares what a reader need not see.
"""

import ast
import doctest
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path

import pytest

from photio_prep.sandbox import Sandbox
from photio_prep.settings import models_folder
from tests.support.commands import KEY, NAMES
from tests.support.markdown import DOCS, ROOT, Block, iter_blocks

pytestmark = pytest.mark.isnet

PACKAGE = ROOT / "photio_prep"
PHOTOS = ROOT / "fixtures" / "photos"
PAGES = [ROOT / "README.md", DOCS / "tutorial.md", *sorted((DOCS / "guides").glob("*.md"))]
# Languages that run; the others are data or output.
SHELL, PYTHON = "sh", "python"
DATA = {"csv", "json", "toml", "text"}
PATIENCE = 300  # seconds for one snippet; a busy machine takes 20
# Approve every order of an output folder, as a user does in the review page.
APPROVE = """
import json, pathlib, sys
keys = [json.loads(path.read_text())["key"] for path in pathlib.Path(sys.argv[1]).glob("orders/*/order.json")]
pathlib.Path("decisions.json").write_text(json.dumps({"schema": 1, "approved": keys, "rejected": []}))
"""


class Desk:
    """A user's folder with photos in it, and a shell that knows `photio-prep`, `python`, a key and a sandbox."""

    def __init__(self, root: Path, api_url: str) -> None:
        self.folder = root / "work"
        programs = root / "bin"
        for folder in (self.folder / "photos", programs, root / "home"):
            folder.mkdir(parents=True)
        for name, command in (
            ("python", f'exec "{sys.executable}" "$@"'),
            ("photio-prep", f'exec "{sys.executable}" -m photio_prep "$@"'),
            ("approve", f'exec "{sys.executable}" -c \'{APPROVE}\' "$@"'),
        ):
            (programs / name).write_text(f"#!/bin/sh\n{command}\n")
            (programs / name).chmod(0o755)
        shutil.copy(PHOTOS / "mug.jpg", self.folder / "shoe.jpg")
        for name in ("jar.jpg", "vase.jpg"):
            shutil.copy(PHOTOS / name, self.folder / "photos")
        self.variables = {name: value for name, value in os.environ.items() if name not in NAMES} | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(root / "home"),
            "XDG_CONFIG_HOME": str(root / "home"),
            "XDG_STATE_HOME": str(root / "home"),
            "PHOTIO_MODELS": str(models_folder()),
            "PHOTIO_API_URL": api_url,
            "PHOTIO_API_KEY": KEY,
            "BROWSER": "true",
        }
        del self.variables["PHOTIO_GATE"]

    def run(self, *command: str) -> None:
        """Run a program in the folder; it must end with 0."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{command[-1]}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Sandbox() as sandbox:
        yield Desk(tmp_path, sandbox.url)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_first_screen_of_the_readme_runs(desk: Desk) -> None:
    """The rest of it, and the other pages, take two minutes."""
    run_snippets(ROOT / "README.md", desk, blocks=2)


@pytest.mark.soak
@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_snippets_of_a_page_run(page: Path, desk: Desk) -> None:
    run_snippets(page, desk)


def run_snippets(page: Path, desk: Desk, blocks: int | None = None) -> None:
    """Shell snippets one by one; the page's Python is one program, in which line numbers are those of the page."""
    program: list[str] = []
    for block in islice(iter_blocks(page), blocks):
        if block.before:
            desk.run("bash", "-e", "-c", block.before)
        if block.not_run:
            continue
        if block.language == SHELL:
            desk.run("bash", "-e", "-c", block.text)
        elif block.language == PYTHON:
            program += [""] * (block.line - len(program)) + block.text.splitlines()
    if program:
        script = desk.folder / f"{page.stem}.py"
        script.write_text("\n".join(program), encoding="utf-8")
        desk.run("python", "-W", "error", script.name)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_is_a_snippet_or_data(page: Path) -> None:
    for block in iter_blocks(page):
        assert block.language in {SHELL, PYTHON} | DATA, f"{page}:{block.line}: a block of {block.language!r}"


def test_most_snippets_run() -> None:
    """A reason not to run is an exception: a server that does not end, a cluster, a cloud."""
    snippets: list[Block] = [
        block for page in PAGES for block in iter_blocks(page) if block.language in (SHELL, PYTHON)
    ]
    assert sum(not block.not_run for block in snippets) >= 0.7 * len(snippets)


# --- docstrings ------------------------------------------------------------------------------------------------------


def list_modules_with_examples() -> list[str]:
    """Return the names of the modules that hold `>>>` in a docstring."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(PACKAGE.rglob("*.py"))
        if ">>>" in path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("module", list_modules_with_examples())
def test_the_examples_in_docstrings_run(module: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    results = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=named)
def test_code_in_a_docstring_is_an_example_that_runs(path: Path) -> None:
    """Indented Python that is not a doctest would never run."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for line in (ast.get_docstring(node) or "").splitlines():
                assert not line.startswith(("    from ", "    import ", "    with ", "    client = ")), (
                    f"{path}: {line}"
                )
