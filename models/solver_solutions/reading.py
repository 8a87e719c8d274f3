"""Solution files of MILP solvers, whichever solver wrote them."""

from __future__ import annotations

import gzip
import io
import os
import zlib

from ..disk import MOST_BYTES, read_input
from ..errors import InputError
from .cbc import is_cbc, read_cbc
from .glpk import is_glpk, read_glpk
from .gurobi import is_gurobi, read_gurobi
from .highs import is_highs, read_highs
from .scip import is_scip, read_scip
from .values import Lines, SolverSolution

#: How to know a format, and how to read it; Gurobi's, which has no head, comes last.
FORMATS = (
    (is_highs, read_highs),
    (is_scip, read_scip),
    (is_cbc, read_cbc),
    (is_glpk, read_glpk),
    (is_gurobi, read_gurobi),
)

#: What Pyomo calls the constant of an objective in files.
CONSTANT = "ONE_VAR_CONSTANT"


def read_values(path: str | os.PathLike[str]) -> SolverSolution:
    r"""Read the values of the variables in a solver's solution file.

    Parameters
    ----------
    path : path-like
        A solution file of HiGHS (raw style), SCIP (raw), CBC, Gurobi or GLPK (its report); plain or
        gzip-compressed. What wrote it is seen from its first line.

    Returns
    -------
    SolverSolution
        The values by name, without the constant of the objective.

    Raises
    ------
    InputError
        If the file has another format, no solution, or a line that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.sol"
    ...     _ = path.write_text("# Objective value = 7\nx(0_0) 1\nx(1_3) 1\n")
    ...     read_values(path)
    SolverSolution(solver='Gurobi', values={'x(0_0)': 1.0, 'x(1_3)': 1.0})
    """
    name = os.fspath(path)
    try:
        text = _unpacked(name, read_input(path)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: expected text in UTF-8 (byte {error.start})") from error
    lines = Lines(name, text.splitlines())
    for known, read in FORMATS:
        if known(lines.lines):
            found = read(lines)
            values = {key: value for key, value in found.values.items() if key != CONSTANT}
            return SolverSolution(found.solver, values)
    raise lines.refused(0, "a solution file of HiGHS, SCIP, CBC, Gurobi or GLPK")


def _unpacked(name: str, content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: cannot be unpacked ({error})") from error
    if len(unpacked) > MOST_BYTES:
        raise InputError(f"{name}: expected at most {MOST_BYTES:,} bytes unpacked, found more")
    return unpacked
