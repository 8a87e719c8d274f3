"""MILPs in files, for any solver, and the names that variables have there."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import pyomo.environ as pyo
from pyomo.core.base.label import TextLabeler

from .disk import replacing
from .errors import InputError

#: Endings of files, each also compressed.
ENDINGS = (".lp", ".mps")


def write_model(path: str | PathLike[str], build: Callable[[], pyo.ConcreteModel]) -> None:
    """Write a MILP to a file; variables and constraints have their names in the model.

    MPS is free MPS as all solvers read it, GLPK's reader too: a name without blanks, and no section
    OBJSENSE. So an objective that is maximised is written as its negative, to be minimised.

    Parameters
    ----------
    path : path-like
        A file that ends in ``.lp``, ``.mps``, ``.lp.gz`` or ``.mps.gz``.
    build : callable
        Builds the model, once the ending is known to be one of these.

    Raises
    ------
    InputError
        If the path has another ending or cannot be written to.

    See Also
    --------
    models.mixed.milp.formulation.build_model, models.separate.milp.formulation.build_model
    """
    ending = require_ending(path)
    model = build()
    with (
        replacing(path) as temporary,
        tempfile.TemporaryDirectory(dir=temporary.parent, prefix=".batchprophet-") as folder,
    ):
        plain = Path(folder) / f"model{ending}"
        with _minimised(model) if ending == ".mps" else _as_it_is():
            model.write(str(plain), io_options={"symbolic_solver_labels": True})
        lines = _for_all_readers(plain) if ending == ".mps" else _lines(plain)
        compressed = os.fspath(path).endswith(".gz")
        with gzip.open(temporary, "wb") if compressed else temporary.open("wb") as file:
            file.writelines(lines)


def require_ending(path: str | PathLike[str]) -> str:
    """Return the format of a model's file, ``.lp`` or ``.mps``.

    Raises
    ------
    InputError
        If its name ends in neither, compressed or not.

    Examples
    --------
    >>> require_ending("model.mps.gz")
    '.mps'
    """
    name = Path(path)
    ending = name.with_suffix("").suffix if name.suffix == ".gz" else name.suffix
    if ending not in ENDINGS:
        raise InputError(
            f"{path}: expected a file name that ends in .lp or .mps, or in .lp.gz or .mps.gz"
        )
    return ending


def names_in_files(model: pyo.ConcreteModel) -> dict[str, Any]:
    """Return the variables of a model by the names that they have in files.

    Examples
    --------
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var([(0, 3), (1, 5)])
    >>> [*names_in_files(model)]
    ['x(0_3)', 'x(1_5)']
    """
    label = TextLabeler()
    return {label(variable): variable for variable in model.component_data_objects(pyo.Var)}


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _minimised(model: pyo.ConcreteModel) -> Iterator[None]:
    """Put the negative of an objective that is maximised in its place, for a while."""
    goals = list(model.component_data_objects(pyo.Objective, active=True))
    if len(goals) != 1 or goals[0].sense == pyo.minimize:
        yield
        return
    (goal,) = goals
    goal.deactivate()
    model.minus_goal = pyo.Objective(expr=-goal.expr)
    try:
        yield
    finally:
        model.del_component("minus_goal")
        goal.activate()


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _for_all_readers(path: Path) -> Iterator[bytes]:
    """Free MPS without what GLPK does not read: a name in quotes, and the sense, which is MIN.

    Pyomo writes 10E20 for an integer variable without an upper end; the type PL says that.
    """
    skipped = 0
    for line in _lines(path):
        if line.startswith(b"NAME"):
            words = line.split(None, 1)[1].strip().strip(b"'")
            yield b"NAME " + b"_".join(words.replace(b",", b"").split()) + b"\n"
        elif line.startswith(b"OBJSENSE"):
            skipped = 1
        elif skipped:
            skipped -= 1
        elif line.startswith(b" UI BOUND") and line.rstrip().endswith(b" 10E20"):
            yield line.replace(b" UI ", b" PL ", 1).rsplit(None, 1)[0] + b"\n"
        else:
            yield line
