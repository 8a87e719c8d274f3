"""What the runner sends to a worker: some cells, to be run one after the other."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from ...models.errors import BatchprophetError
from .cell import Cell
from .machine import metadata_version
from .result import CellResult


def run_chunk(version: str, cells: Sequence[Cell]) -> list[CellResult]:
    """Run some cells in this process.

    Policies and solvers are loaded here, in the worker: the process that hands cells out has no
    use for them.

    Parameters
    ----------
    version : str
        The package's version where the study is: results of another are not mixed with it.
    cells : sequence of Cell
        What to run.

    Raises
    ------
    BatchprophetError
        If this process has another version of the package.
    """
    here = metadata_version("batchprophet")
    if here != version:
        raise BatchprophetError(
            f"worker {platform.node()}: expected batchprophet {version}, found {here}"
        )
    from .work import run_cell

    return [run_cell(cell) for cell in cells]
