"""MILPs in files, for any solver."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import pyomo.environ as pyo

from .disk import replacing
from .errors import InputError


def write_model(path: str | PathLike[str], build: Callable[[], pyo.ConcreteModel]) -> None:
    """Write a MILP to a file; variables and constraints have their names in the model.

    Parameters
    ----------
    path : path-like
        A file that ends in ``.lp`` or ``.mps``.
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
    if Path(path).suffix not in (".lp", ".mps"):
        raise InputError(f"{path}: expected a file name that ends in .lp or .mps")
    model = build()
    with replacing(path) as temporary:
        model.write(str(temporary), io_options={"symbolic_solver_labels": True})
