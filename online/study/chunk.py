"""What the runner sends to a worker: some cells, to be run one after the other."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from ...models.errors import BatchprophetError
from .cell import Cell
from .host import metadata_version
from .result import CellResult


def local_modules() -> str | None:
    """Return the current folder where modules of it can be imported; else None."""
    here = Path.cwd()
    return str(here) if any(Path(place).resolve() == here for place in sys.path) else None


def run_chunk(version: str, folder: str | None, cells: Sequence[Cell]) -> list[CellResult]:
    """Run some cells in this process.

    Policies and solvers are loaded here, in the worker: the process that hands cells out has no
    use for them.

    Parameters
    ----------
    version : str
        The package's version where the study is: results of another are not mixed with it.
    folder : str or None
        Where the study's own policies (``module:Class``) are, as `local_modules` says it: searched
        last. A worker on another machine needs the folder under the same path.
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
    if folder is not None and folder not in sys.path:
        sys.path.append(folder)
    from .cell_runner import run_cell

    return [run_cell(cell) for cell in cells]
