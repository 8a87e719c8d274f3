"""The command ``study``: experiments on a grid, interrupted and continued at will."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import console
from .outputs import make_folder, require_writable_folder

if TYPE_CHECKING:
    from .online.study.engine import Engine
    from .online.study.progress import StudyProgress

#: Seconds between lines of progress where there is no terminal.
LINE_SECONDS = 30.0


def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study (docs/studies.md).")],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Store and results.csv; continues what is there.")
    ],
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes; one per core by default.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on this Dask cluster (tcp://host:8786) instead."),
    ] = None,
) -> None:
    """Run policies and hindsight on a grid of instances, seeds and limits; write results.csv.

    Interrupted in whatever way and started again, it goes on where it was.
    """
    from .online.study.reading import read_study
    from .online.study.recipe import RESULTS, run_study

    read = read_study(file)
    require_writable_folder(out)
    engine = _engine(jobs, scheduler)
    folder = make_folder(out)
    with _progress(read.name) as tell:
        rows = run_study(read, folder, engine=engine, progress=tell)
    console.note(f"wrote {folder / RESULTS} ({len(rows):,} rows)")


def _engine(jobs: int | None, scheduler: str | None) -> Engine:
    from .models.errors import InputError
    from .online.study.engine import DaskCluster, LocalProcesses, default_jobs

    if scheduler is None:
        return LocalProcesses(jobs or default_jobs())
    if jobs is not None:
        raise InputError("--jobs: goes without --scheduler: a cluster has the workers that it has")
    return DaskCluster(scheduler)


@contextmanager
def _progress(label: str) -> Iterator[Callable[[StudyProgress], None]]:
    """Show progress on a terminal, or a line now and then in a log."""
    with console.live_text(f"study {label}") as tell:
        yield _lines(label) if tell is None else lambda progress: tell(progress.text)


def _lines(label: str) -> Callable[[StudyProgress], None]:
    last = time.monotonic()

    def tell(progress: StudyProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            print(f"study {label}: {progress.text}", file=sys.stderr, flush=True)

    return tell
