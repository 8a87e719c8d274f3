"""The faces of the rooms: what they export is there, and is what others import."""

import importlib
import re
import tomllib

import pytest

from tests.paths import ROOT

PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
FACES = [name for name in PACKAGES if hasattr(importlib.import_module(name), "__all__")]

#: Modules that are public by their own name.
PUBLIC = [*PACKAGES, "batchprophet.cli"]

#: In a source, a notebook or a page.
IMPORT = re.compile(r"from (batchprophet[\w.]*) import \(?([\w\s,]+)")


def users():
    found = [ROOT / "README.md", *(ROOT / "benchmarks").rglob("*.py")]
    for folder, ending in [("docs", "md"), ("docs", "py"), ("notebooks", "ipynb")]:
        found += (ROOT / folder).rglob(f"*.{ending}")
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def imports(path):
    """(module, names) of what a file imports from the package."""
    for module, names in IMPORT.findall(path.read_text(encoding="utf-8")):
        yield module, {each.split()[0] for each in names.split(",") if each.strip()}


def test_what_is_looked_at_imports_something():
    assert sum(len(list(imports(path))) for path in users()) > 100


@pytest.mark.parametrize("name", FACES)
def test_a_room_has_what_its_face_names(name):
    room = importlib.import_module(name)
    assert room.__all__
    for exported in room.__all__:
        assert getattr(room, exported) is not None


@pytest.mark.parametrize("path", users(), ids=lambda path: str(path.relative_to(ROOT)))
def test_notebooks_pages_and_benchmarks_import_from_faces(path):
    # A name that is also its module's is taken from the module: the room has the module by it.
    deep = [
        module
        for module, names in imports(path)
        if module not in PUBLIC and module.rpartition(".")[2] not in names
    ]
    assert not deep, "import what the room exports (its __init__.pyi)"
