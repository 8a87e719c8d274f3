"""The package's face: lazy, complete, documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import batchprophet as bp


def test_every_public_name_is_there() -> None:
    for name in bp.__all__:
        assert getattr(bp, name) is not None
    assert dir(bp) == sorted(bp.__all__)


def test_type_checkers_and_run_time_see_the_same_names() -> None:
    # A type checker sees the stub; at run time __getattr__ reads it.
    stub = ast.parse(Path(bp.__file__).with_suffix(".pyi").read_text("utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    declared = {
        alias.name: f"batchprophet.{node.module}"
        for node in imports
        if node.module
        for alias in node.names
    }
    rooms = {alias.name for node in imports if not node.module for alias in node.names}
    assert {*declared, *rooms, "__version__"} == set(bp.__all__)
    for name in rooms:
        assert getattr(bp, name) is import_module(f"batchprophet.{name}")
    for name, module in declared.items():
        assert getattr(import_module(module), name) is getattr(bp, name)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'batchprophet' has no attribute 'solv'"):
        bp.solv  # type: ignore[attr-defined]  # noqa: B018 - that is the test


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, batchprophet, batchprophet.cli; "
        "print([m for m in ('numpy', 'pyomo', 'numba', 'matplotlib', 'highspy', 'jinja2') "
        "if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_names_survive_the_import_of_all_modules() -> None:
    # A module named like a verb would replace it as soon as it is imported.
    code = (
        "import importlib, pkgutil, batchprophet as bp\n"
        "for m in pkgutil.iter_modules(bp.__path__):\n"
        "    importlib.import_module(f'batchprophet.{m.name}')\n"
        "rooms = {'teach'}\n"
        "print(all(callable(getattr(bp, n)) for n in {*bp.__all__} - rooms - {'__version__'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True\n"


@pytest.mark.parametrize("name", [name for name in bp.__all__ if name != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(bp, name))


def test_show_versions_names_what_a_result_depends_on(capsys: pytest.CaptureFixture[str]) -> None:
    text = bp.show_versions()
    assert capsys.readouterr().out == text + "\n"
    names = [line.split()[0] for line in text.splitlines()]
    assert names[:3] == ["python", "platform", "batchprophet"]
    assert {"highspy", "pyomo", "numpy", "numba"} <= set(names)
    assert f"batchprophet  {bp.__version__}" in text
