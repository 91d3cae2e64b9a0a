"""The rules of the house: who may import whom, who may touch what, what is exported, what is documented."""

import ast
import graphlib
import re
import subprocess
import sys
import threading
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType

import pytest

import photio_prep
from photio_prep import errors
from photio_prep.errors import PhotioError
from photio_prep.sandbox import Sandbox
from tests.support.commands import Command
from tests.support.photos import SCENE, cutout, saved

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "photio_prep"

# The stand-in of the API is a program of its own: only the command line starts it, and it knows this much of us.
SANDBOX_MAY_IMPORT = {"errors", "geometry"}

# A library -> the packages and modules that may import it.
HOMES = {
    "rembg": {"cutout.models"},
    "onnxruntime": {"cutout.models"},
    "openvino": {"cutout.models"},
    "cv2": {"imaging.filters"},
    "pooch": {"cutout.models"},
    "requests": {"api"},
    "urllib3": {"api"},
    "keyring": {"api.credentials"},
    "certifi": {"intake.download"},
    "idna": {"intake.url_guard"},
    "psutil": {"system.processes"},
    "fsspec": {"system.object_store"},
    "ray": {"batch.ray_driver", "batch.ray_budget"},
    "click": {"cli"},
    "tqdm": {"cli"},
}
HEAVY = (
    "rembg",
    "onnxruntime",
    "numba",
    "llvmlite",
    "pymatting",
    "cv2",
    "scipy",
    "skimage",
    "pooch",
    "click",
    "tqdm",
    "ray",
    "fsspec",
)


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its name below it, parsed; a package by its own name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def imported(tree: ast.Module) -> set[str]:
    """Full names of everything that a module imports, at its head or within a function."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            found |= {f"{node.module}.{each.name}" for each in node.names}
    return found


def of_ours(name: str) -> set[str]:
    """The modules of ours that module `name` imports."""
    found = set()
    for each in imported(modules()[name]):
        head, _, rest = each.partition(".")
        if head == "photio_prep":
            while rest not in modules():
                rest = rest.rpartition(".")[0]
            found.add(rest)
    return found


def foreign(name: str) -> set[str]:
    """The libraries that module `name` imports."""
    return {each.partition(".")[0] for each in imported(modules()[name])} - {"photio_prep"} - sys.stdlib_module_names


def package(name: str) -> str:
    """The package directly below photio_prep that a module belongs to; a module at the top stands for itself."""
    return name.partition(".")[0]


def is_sandbox(name: str) -> bool:
    return name.partition(".")[0] == "sandbox"


OURS = [name for name in modules() if not is_sandbox(name)]


def needs() -> dict[str, set[str]]:
    """Each package, and each module at the top, with those that it imports."""
    found: dict[str, set[str]] = {}
    for name in OURS:
        if name:
            found.setdefault(package(name), set()).update(package(other) for other in of_ours(name) if other)
    return found


def test_packages_import_one_way() -> None:
    """Read from the code: a package never imports one that, over others or directly, imports it."""
    order = graphlib.TopologicalSorter({name: others - {name} for name, others in needs().items()})
    order.prepare()  # raises CycleError, which names the circle


def test_the_line_of_packages_in_the_documentation_is_the_code_s() -> None:
    text = (ROOT / "docs/design/architecture.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^errors < .*$", text, re.MULTILINE)
    rank = {name.strip(): place for place, names in enumerate(line.split(" < ")) for name in names.split(",")}
    assert rank.keys() == needs().keys() - {"__main__"}
    for name in rank:
        for other in needs()[name] - {name, "sandbox"}:
            assert rank[other] < rank[name], f"{name} imports {other}"


def test_only_the_command_line_starts_the_stand_in() -> None:
    assert {package(name) for name in OURS if any(map(is_sandbox, of_ours(name)))} == {"cli"}


def test_only_the_command_line_asks_the_package_itself() -> None:
    asking = {name for name in OURS if "" in of_ours(name)}
    assert asking <= {"cli", "__main__"} | {name for name in OURS if name.startswith("cli.")}


def test_the_stand_in_knows_nothing_of_us() -> None:
    for name in modules():
        if is_sandbox(name):
            assert {other for other in of_ours(name) if not is_sandbox(other)} <= SANDBOX_MAY_IMPORT, name


def test_no_two_modules_need_each_other() -> None:
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way, name))
        if name in done:
            return
        for other in of_ours(name) - {name, ""}:
            if not other or not name.startswith(f"{other}."):  # a module's own package is no module that it needs
                visit(other, (*way, name))
        done.add(name)

    for name in modules():
        visit(name, ())


@pytest.mark.parametrize("name", modules(), ids=lambda name: name or "photio_prep")
def test_foreign_libraries_live_at_home(name: str) -> None:
    for library in foreign(name):
        homes = HOMES.get(library)
        assert homes is None or any(f"{name}.".startswith(f"{home}.") for home in homes), f"{name} imports {library}"


def spoken(tree: ast.Module) -> set[str]:
    """Dotted names that a module uses (`os.environ`), and plain ones that it calls (`print`)."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
    return found


@pytest.mark.parametrize("name", modules(), ids=lambda name: name or "photio_prep")
def test_only_one_file_reads_the_environment_and_only_one_prints(name: str) -> None:
    used = spoken(modules()[name]) | {each for each in imported(modules()[name]) if each.startswith("os.")}
    if name != "system.environment":
        assert not used & {"os.environ", "os.environb", "os.getenv", "os.putenv"}
    if name != "cli.console":
        assert not used & {"print", "sys.stdout"}
    if not name.startswith("cli"):
        assert not used & {"sys.exit", "exit", "quit", "os._exit", "sys.argv", "input"}


# --- importing -------------------------------------------------------------------------------------------------------


def alone(code: str) -> str:
    """What a fresh Python prints, in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    return done.stdout.strip()


def test_importing_the_library_loads_nothing_heavy_and_says_nothing() -> None:
    assert alone(f"import photio_prep, sys; print(*sorted(set({HEAVY}) & set(sys.modules)))") == ""


def test_importing_changes_no_global_state() -> None:
    code = """
import logging, os, random, signal, socket, sys, threading, warnings
import PIL.Image
def world():
    return (dict(os.environ), os.getcwd(), random.getstate(), socket.getdefaulttimeout(), signal.getsignal(2),
            PIL.Image.MAX_IMAGE_PIXELS, sys.getrecursionlimit(), threading.active_count(), logging.root.handlers[:],
            sys.path[:], sys.excepthook)
before = world()
import photio_prep
print(world() == before)
"""
    assert alone(code) == "True"


def test_help_and_version_answer_without_the_whole_machinery() -> None:
    code = """
import sys
from photio_prep.cli import main
try:
    main(["--version"])
except SystemExit as left:
    assert not left.code, left.code
heavy = {"rembg", "onnxruntime", "numba", "scipy", "skimage"} & set(sys.modules)
assert not heavy, heavy
"""
    assert photio_prep.__version__ in alone(code)


# --- what is promised ------------------------------------------------------------------------------------------------


def test_the_exported_names_are_sorted_and_exact() -> None:
    assert photio_prep.__all__ == sorted(photio_prep.__all__)
    # What the type checker sees, each name from where it lives, and what is loaded at the first use.
    checked = {each.removeprefix("photio_prep.") for each in imported(modules()[""]) if each.startswith("photio_prep.")}
    assert checked == {f"{home}.{name}" for home, names in photio_prep._HOMES.items() for name in names}
    assert set(photio_prep.__all__) == {each.rpartition(".")[2] for each in checked}
    assert set(photio_prep.__all__) <= set(dir(photio_prep))
    for home, names in photio_prep._HOMES.items():
        for name in names:
            assert getattr(photio_prep, name) is getattr(import_module(f"photio_prep.{home}"), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = photio_prep.nothing


def test_the_promised_names_are_there() -> None:
    assert set(photio_prep.__all__) >= {"prepare", "generate", "finish", "run", "InstantClient", "PhotioError"}


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def documented() -> set[int]:
    """The codes in the table of docs/reference/exit-codes.md."""
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    table = re.search(r"^\| exit \| meaning \|.*\n\|[-:|\s]+\|\n((?:\|.*\|\n?)+)", page, re.MULTILINE)
    assert table is not None, "docs/reference/exit-codes.md has no table `| exit | meaning |`"
    rows = re.findall(r"^\| *([\d/]+) *\|", table[1], re.MULTILINE)
    return {int(code) for row in rows for code in row.split("/")}


def test_every_exit_code_has_a_row_in_the_reference() -> None:
    assert documented() == {*range(12), 130, 143}


def every(kind: type[PhotioError]) -> set[type[PhotioError]]:
    below = {each for each in kind.__subclasses__() if each.__module__ == errors.__name__}
    return below.union(*(every(each) for each in below))


def test_every_error_ends_with_a_documented_code() -> None:
    assert {each.exit_code for each in every(PhotioError)} <= documented() - {0}


# --- the form of a file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", modules(), ids=lambda name: name or "photio_prep")
def test_a_module_begins_with_what_it_is_for(name: str) -> None:
    first, _, rest = (ast.get_docstring(modules()[name]) or "").partition("\n")
    assert len(first) > 10
    assert first.endswith((".", "?"))
    assert not rest or rest.startswith("\n"), "one line, then an empty one"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_has_one_duty(path: Path) -> None:
    """Above about 300 lines it has two."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/**/__init__.py")), ids=lambda path: path.parent.name)
def test_the_map_of_a_package_names_its_modules(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    stems = {file.stem for file in path.parent.glob("*.py")} - {"__init__"}
    assert {stem for stem in stems if not re.search(rf"\b{stem}\b", text)} == set()
    listed = re.findall(r"^([a-z_]+)(?:\.py)?(?::| {2,})", text, re.MULTILINE)
    assert {name for name in listed if name not in stems and not (path.parent / name).is_dir()} == set()


def test_no_file_is_named_for_nothing() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"(^|_)(helpers?|utils?|managers?|handlers?|common|misc)(_|$)", path.stem), path


# --- a stranger finds the way ----------------------------------------------------------------------------------------

WITHOUT_CONTENT = {
    "found",
    "each",
    "told",
    "said",
    "seen",
    "made",
    "kept",
    "given",
    "way",
    "asked",
    "there",
    "whole",
    "wish",
    "wished",
    "wanted",
}


def bound(tree: ast.Module) -> list[str]:
    """Every name that a module binds: variables, parameters, functions and classes."""
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    names += [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)]
    return names + [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_names_say_what_they_are_of() -> None:
    names = [name for tree in modules().values() for name in bound(tree)]
    assert sum(name.strip("_") in WITHOUT_CONTENT for name in names) < 0.01 * len(names)


def test_a_public_name_means_one_thing() -> None:
    homes: dict[str, set[str]] = {}
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, set()).add(module)
    assert len([name for name, places in homes.items() if len(places) > 1]) <= 5


def test_no_function_is_longer_than_a_page() -> None:
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 70, f"{name}.{node.name}"


def test_the_folder_list_is_short() -> None:
    tops = {package(name) for name in modules()} - {"", "__main__"}
    packages = {name for name in tops if (PACKAGE / name).is_dir()}
    assert len(packages) <= 12
    assert len(tops - packages) <= 7


# Below these, options are those of a library: Pillow's of an encoder, onnxruntime's of a session.
OPTIONS_OF_OTHERS = ("imaging", "cutout.models", "review.thumbnails", "sandbox")


def test_options_are_typed() -> None:
    """An option is a field of a dataclass: no dictionary of anything, and nothing is taken out of one by its name."""
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "pop":
                assert "option" not in ast.unparse(node.func.value), f"{name}:{node.lineno}"
            if isinstance(node, ast.FunctionDef) and not name.startswith(OPTIONS_OF_OTHERS):
                rest = [argument for argument in (node.args.vararg, node.args.kwarg) if argument]
                for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, *rest]:
                    annotation = ast.unparse(argument.annotation) if argument.annotation else ""
                    if "option" in argument.arg:
                        assert not re.search(r"\b(dict|Mapping|Any)\b", annotation), f"{name}:{node.lineno}"


def test_a_photo_enters_few_packages_on_its_way(keyed: Command, identity: Sandbox, tmp_path: Path) -> None:
    """From the command line to the final: those whose code runs, in whatever thread."""
    saved(tmp_path / "bowl.png", cutout((64, 48)))
    entered: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            entered.add(Path(frame.f_code.co_filename).relative_to(PACKAGE).parts[0])

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        outcome = keyed("run", tmp_path / "bowl.png", "-d", SCENE, "--api-url", identity.url, "-o", tmp_path / "out")
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert outcome.code == 0, outcome
    rooms = {name for name in entered if (PACKAGE / name).is_dir()} - {"sandbox"}
    assert {"cli", "intake", "cutout", "api", "orders", "final"} <= rooms
    assert len(rooms) <= 12
