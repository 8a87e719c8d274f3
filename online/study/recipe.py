"""A study from its file to its table: the recipe behind ``batchprophet study``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ...models.disk import output_target, write_atomically
from .engine import Engine, LocalProcesses, default_jobs
from .export import export_rows, require_ending
from .host import metadata_version
from .progress import StudyProgress
from .runner import run_cells
from .store import Store
from .study import Study
from .summary import StudySummary, summarise
from .table import Row, result_rows, write_results

#: Names of the table and its summary in a study's folder.
RESULTS, SUMMARY = "results.csv", "summary.json"


def run_study(
    study: Study,
    folder: str | os.PathLike[str],
    *,
    engine: Engine | None = None,
    exports: Sequence[str | os.PathLike[str]] = (),
    progress: Callable[[StudyProgress], None] | None = None,
) -> tuple[list[Row], StudySummary]:
    """Run what is not done yet of a study, and write its table and summary.

    Parameters
    ----------
    study : Study
        The study.
    folder : path-like
        An existing folder, for the store, ``results.csv`` and ``summary.json``. What it has of
        this study, or of another with the same cells, is not run again.
    engine : Engine, optional
        Who runs the cells; as many processes as there are cores by default.
    exports : sequence of path-like
        Files for the table with seconds and machines, ``.csv`` or ``.parquet``.
    progress : callable, optional
        Called with a `StudyProgress`.

    Returns
    -------
    list of Row, StudySummary
        The table, and what it amounts to.

    Raises
    ------
    InputError, StoreError, BatchprophetError, KeyboardInterrupt
        As `runner.run_cells`; nothing but the store is then written.
    """
    for path in exports:
        require_ending(path)
    cells, table = study.cells(), Path(folder) / RESULTS
    with Store(folder, version=metadata_version("batchprophet")) as store:
        store.say("study", study.name)
        if not {cell.key for cell in cells} <= store.results().keys():
            output_target(table).unlink(missing_ok=True)  # of an earlier study: not this one's
        results = run_cells(cells, store, engine or LocalProcesses(default_jobs()), progress)
        rows = result_rows(study, results)
        if exports:
            stored = {row["key"]: row for row in store.rows()}
            for path in exports:
                export_rows(path, rows, stored)
    write_results(table, rows)
    summary = summarise(study, rows)
    text = json.dumps(summary.to_record(), indent=1, allow_nan=False, ensure_ascii=False)
    write_atomically(Path(folder) / SUMMARY, (text + "\n").encode())
    return rows, summary
