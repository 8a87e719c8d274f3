"""A study from its file to its table: the recipe behind ``batchprophet study``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .engine import Engine, LocalProcesses, default_jobs
from .progress import StudyProgress
from .runner import run_cells
from .store import Store
from .study import Study
from .table import Row, result_rows, write_results
from .work import metadata_version

#: Name of the table in a study's folder.
RESULTS = "results.csv"


def run_study(
    study: Study,
    folder: str | os.PathLike[str],
    *,
    engine: Engine | None = None,
    progress: Callable[[StudyProgress], None] | None = None,
) -> list[Row]:
    """Run what is not done yet of a study, and write its table.

    Parameters
    ----------
    study : Study
        The study.
    folder : path-like
        An existing folder, for the store and ``results.csv``. What it has of this study, or of
        another with the same cells, is not run again.
    engine : Engine, optional
        Who runs the cells; as many processes as there are cores by default.
    progress : callable, optional
        Called with a `StudyProgress`.

    Returns
    -------
    list of Row
        The table.

    Raises
    ------
    InputError, StoreError, BatchprophetError, KeyboardInterrupt
        As `runner.run_cells`; the table is then not written.
    """
    cells = study.cells()
    with Store(folder, version=metadata_version("batchprophet")) as store:
        store.say("study", study.name)
        results = run_cells(cells, store, engine or LocalProcesses(default_jobs()), progress)
    rows = result_rows(study, results)
    write_results(Path(folder) / RESULTS, rows)
    return rows
