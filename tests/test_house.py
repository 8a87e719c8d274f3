"""The shape of the package: its rooms, the one way of imports, examples that run."""

import ast
import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import networkx as nx
import pytest

from tests.paths import ROOT

#: Batching regimes, each with a room of its own in every wing.
REGIMES = ("mixed", "separate", "continuous")

#: Rooms from the foundation up: a room imports from itself and from those before it.
ROOMS = ["models", "solvers", "online", "batchprophet"]


def setuptools_table():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def folder_of(package: str) -> Path:
    """Folder of a package, by the longest prefix of its name that is mapped to one."""
    mapped = setuptools_table()["package-dir"]
    prefix = max((p for p in mapped if f"{package}.".startswith(f"{p}.")), key=len)
    return ROOT / mapped[prefix] / package.removeprefix(prefix).strip(".").replace(".", "/")


def package_of(path: Path) -> str:
    """Dotted package that a source belongs to."""
    dotted = ".".join(path.parent.relative_to(ROOT).parts)
    return dotted if dotted.startswith("batchprophet") else f"batchprophet.{dotted}"


def modules():
    """Names of all modules of the package, private ones too.

    From the package list: an editable install maps the rooms into the package by a hook, where
    `pkgutil` does not look.
    """
    found = []
    for package in setuptools_table()["packages"]:
        names = sorted(path.stem for path in folder_of(package).glob("*.py"))
        found += [package if name == "__init__" else f"{package}.{name}" for name in names]
    return found


def sources():
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def test_every_source_is_a_module_of_the_package():
    # The package list in pyproject.toml is explicit: a folder left out would not be installed.
    listed = set(setuptools_table()["packages"])
    assert listed == {package_of(path) for path in sources()}


def test_the_modules_of_all_rooms_are_found():
    # Those below are looked at one by one, so a room that is not found would pass unseen.
    listed = set(setuptools_table()["packages"])
    own = [path for path in sources() if package_of(path) in listed]
    assert len(modules()) == len(set(modules())) == len(own)
    assert {
        "batchprophet",
        "batchprophet.cli",
        "batchprophet.models.instance",
        "batchprophet.models.families.blocks",
        "batchprophet.solvers.hindsight",
        "batchprophet.solvers.mixed.exact.proof",
        "batchprophet.online.mixed.simulator",
        "batchprophet.online.mixed.policies.vllm",
    } <= set(modules())


def imported_rooms(path: Path):
    """(line, room) of each relative import that leaves the file's own room."""
    depth = len(path.relative_to(ROOT).parts)  # a/b.py has depth 2: `..` leaves room a
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = node.level - (depth - 1)
            if path.relative_to(ROOT).parts[0] == "batchprophet":
                above += 1
            if above >= 1:
                names = [node.module.split(".")[0]] if node.module else [a.name for a in node.names]
                yield from ((node.lineno, name) for name in names if name in ROOMS)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    room = path.relative_to(ROOT).parts[0]
    allowed = ROOMS[: ROOMS.index(room) + 1]
    wrong = [(line, name) for line, name in imported_rooms(path) if name not in allowed]
    assert not wrong, f"{room} may import {allowed} only"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_inside_the_package_are_relative(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            assert name.split(".")[0] not in ROOMS, f"line {node.lineno}: {name}"


def test_no_bare_room_is_importable_from_elsewhere(tmp_path):
    # From another folder, `import models` must find nothing: the rooms are installed inside
    # the package only.
    code = (
        "import importlib.util, sys;"
        "import batchprophet.models, batchprophet.solvers, batchprophet.online;"
        "bare = ['models', 'solvers', 'online'];"
        "sys.exit(any(importlib.util.find_spec(name) or name in sys.modules for name in bare))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def imported_files(path: Path):
    """Sources that a source imports from the package, in functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1]
            base = folder.joinpath(*(node.module or "").split("."))
            names = [base / alias.name for alias in node.names]
            for found in (base, *names):
                yield from (
                    file for file in (found.with_suffix(".py"), found / "__init__.py")
                    if file.is_file()
                )  # fmt: skip


def test_verifiers_reach_nothing_that_finds_what_they_verify():
    # All that they import, and all that this imports: of the solvers' room nothing but their own
    # folder and the rounding of bounds. The models say what a schedule is; no formulation either.
    reached, new = set(), set((ROOT / "solvers/certificates").rglob("*.py"))
    while new:
        reached |= new
        new = {file for path in new for file in imported_files(path)} - reached
    rooms = {path.relative_to(ROOT).as_posix() for path in reached}
    foreign = {name for name in rooms if not name.startswith(("models/", "solvers/certificates/"))}
    assert foreign == {"solvers/rounding.py"}
    sources = {name: (ROOT / name).read_text() for name in rooms}
    assert not [name for name, source in sources.items() if "pyomo" in source]
    assert not [name for name, source in sources.items() if "highspy" in source]


def name_of(path: Path) -> str:
    """Dotted name of a source's module."""
    return package_of(path) if path.stem == "__init__" else f"{package_of(path)}.{path.stem}"


def imported_at_once(path: Path):
    """Modules that are imported while a module is, the packages that they are in included."""
    inside = package_of(path).split(".")
    for node in ast.parse(path.read_text()).body:  # not in functions, and not for types alone
        if isinstance(node, ast.ImportFrom) and node.level:
            base = inside[: len(inside) - node.level + 1] + (node.module or "").split(".")
            base = ".".join(part for part in base if part)
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def test_no_module_needs_itself_to_be_imported():
    # Whichever module is imported first. A package whose face imports nothing is no obstacle.
    by_name = {name_of(path): path for path in sources()}
    graph = nx.DiGraph()
    for name, path in by_name.items():
        needed = {each for each in imported_at_once(path) if each in by_name}
        for each in set(needed):
            parts = each.split(".")
            needed |= {".".join(parts[:k]) for k in range(1, len(parts))} & set(by_name)
        own = {".".join(name.split(".")[:k]) for k in range(1, len(name.split(".")))}
        graph.add_edges_from((name, each) for each in needed - own - {name})
    circles = [sorted(each) for each in nx.strongly_connected_components(graph) if len(each) > 1]
    assert not circles


def regimes_of(path: Path) -> set[str]:
    """Regimes whose room a source is in."""
    return set(REGIMES) & set(path.relative_to(ROOT).parts)


def test_no_regime_imports_another():
    crossing = [
        f"{path.relative_to(ROOT)} imports {file.relative_to(ROOT)}"
        for path in sources()
        for file in imported_files(path)
        if regimes_of(path) and regimes_of(file) - regimes_of(path)
    ]
    assert not crossing


#: Asks which regime something is of, by its type or by its name.
ASKS = re.compile(
    r"isinstance\((?!other\b)[^)]*(?:Mixed|Separate)(?:Schedule|Metrics)"
    r"|[!=]= *[\"'](?:mixed|separate)[\"']"
)


def test_only_the_registries_ask_for_the_regime():
    asking = {
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if path.name != "regimes.py" and ASKS.search(path.read_text())
    }
    assert not asking


#: Sources above 450 lines: kernels whose functions call each other, and the public interface.
LONG = {
    "batchprophet/api.py",  # the public functions, mostly documentation
    "solvers/certificates/separate/state_search.py",
}


def test_sources_are_of_a_size_that_can_be_read():
    long = {
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if len(path.read_text().splitlines()) > 450
    }
    assert long == LONG


#: Functions with more than nine parameters that are no kernels: the options of commands and public
#: functions, each by name.
MANY = {
    "_cost", "adversary", "audit", "calibrate", "check", "compare", "convert", "convert_trace",
    "find_worst_case", "prove", "prove_by_paths", "search_states", "solve", "solve_model",
}  # fmt: skip


def long_functions(path: Path):
    """Functions, kernels aside, with their lines below the docstring and their parameters."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            kernel = any("njit" in ast.unparse(each) for each in node.decorator_list)
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body and not kernel:
                parameters = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                yield node.name, node.end_lineno - body[0].lineno + 1, len(parameters)


def test_functions_are_short_and_take_few_parameters():
    found = [each for path in sources() for each in long_functions(path)]
    assert {name for name, lines, _ in found if lines > 60} == {"convert_trace"}
    assert {name for name, _, parameters in found if parameters > 9} == MANY


#: A reference to code in a docstring or comment: `module.name`.
REFERENCE = re.compile(r"(?<!`)`([a-z_][a-z_0-9]*(?:\.[A-Za-z_0-9]+)+)`(?!`)")

#: What may stand before the dot and is no module of ours.
FOREIGN = {"numpy", "json", "sys", "concurrent", "csv", "bp", "np"}


def names_something(reference: str) -> bool:
    """Whether it is the end of a module's name, or of one and of something in it."""
    parts = reference.split(".")
    for k in range(len(parts), 0, -1):
        ending = "." + ".".join(parts[:k])
        for name in modules():
            if f".{name}".endswith(ending):
                found = importlib.import_module(name)
                for part in parts[k:]:
                    found = getattr(found, part, None)
                if found is not None:
                    return True
    return False


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_references_in_docstrings_name_something(path):
    found = REFERENCE.findall(path.read_text())
    ours = [each for each in found if each.split(".")[0] not in FOREIGN]
    files = ("html", "csv", "json")
    assert not [
        each for each in ours if each.split(".")[-1] not in files and not names_something(each)
    ]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.failed == 0


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_is(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert module.__doc__.strip()
