"""The command ``study``: experiments on a grid, which can be interrupted and resumed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..arguments.outputs import make_folder, require_outputs_in
from ..arguments.policies import find_local_modules
from . import console
from .options import Json

if TYPE_CHECKING:
    from ..online.study.engine import Engine
    from ..online.study.progress import StudyProgress
    from ..online.study.summary import StudySummary, Summary
    from ..online.study.table import Row

#: Seconds between lines of progress where there is no terminal.
LINE_SECONDS = 30.0


def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="A study (docs/studies.md).")],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder for the store and results.csv; resumes an earlier run."
        ),
    ],
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes; one per core by default.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on this Dask cluster instead (tcp://host:8786)."),
    ] = None,
    exports: Annotated[
        list[Path] | None,
        typer.Option(
            "--export",
            metavar="FILE",
            help="Write the store, with seconds and machines, to a .csv or .parquet file. "
            "Repeatable.",
        ),
    ] = None,
    plots: Annotated[
        bool,
        typer.Option(
            "--plots", help="Also draw profiles.png (performance profiles) and ratios.png (boxes)."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run policies and hindsight on a grid of instances, seeds and limits; write results.csv.

    After any interruption, the same command resumes where it stopped.
    """
    from ..online.study.export import require_ending
    from ..online.study.reading import read_study
    from ..online.study.recipe import RESULTS, SUMMARY, run_study
    from ..online.study.store import STORE

    find_local_modules()
    engine = _engine(jobs, scheduler)  # first: processes start while the study is read
    read = read_study(file)
    for path in exports or []:
        require_ending(path)
    require_outputs_in(
        "--out",
        out,
        [STORE, f"{STORE}-wal", RESULTS, SUMMARY, *(PICTURES if plots else ())],
        inputs=[("STUDY.toml", file), *(("a source of the study", path) for path in read.files)],
        others=[("--export", path) for path in exports or []],
    )
    folder = make_folder(out)
    with _progress(read.name, folder) as tell:
        rows, summary = run_study(read, folder, engine=engine, exports=exports or [], progress=tell)
    if as_json:
        console.print_json(summary.to_record())
    else:
        _print_summary(summary)
    failed = sum(group.failed for group in summary.groups)
    if failed:
        console.note(
            f"{failed:,} of {len(rows):,} rows have failed cells; results.csv has the reasons"
        )
    drawn = _draw(rows, folder) if plots else []
    for path in (folder / RESULTS, folder / SUMMARY, *(exports or []), *drawn):
        console.note(f"wrote {path}")


#: What ``--plots`` draws.
PICTURES = ("profiles.png", "ratios.png")


def _draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Draw the pictures of a study; return their files."""
    from ..pictures.study import profiles, ratio_boxes
    from ..results.pictured import save_picture

    paths = [folder / name for name in PICTURES]
    for path, draw in zip(paths, (profiles, ratio_boxes), strict=True):
        save_picture(draw(rows), path)
    return paths


def _print_summary(summary: StudySummary) -> None:
    """Print one table per source, limit and predictions."""
    for place in dict.fromkeys(group.group[:3] for group in summary.groups if group.group[2]):
        shown = [group for group in summary.groups if group.group[:3] == place]
        source, limit, predictions = place
        told = "" if predictions == "default" else f", lengths {predictions}"
        hindsight = next(
            (
                group
                for group in summary.groups
                if group.group[:2] == place[:2] and not group.group.predictions
            ),
            None,
        )
        title = f"{source}{f', {limit}' if limit else ''}{told}"
        if hindsight is not None:
            title += f": optimum proved on {hindsight.proved} of {hindsight.instances}"
        console.print_table(title, _COLUMNS, [_cells(group) for group in shown])
        print()


_COLUMNS = (
    "policy",
    "finished",
    "mean of ratios",
    "ratio of means",
    "worst",
    "best known",
    "optimal",
)


def _cells(group: Summary) -> list[str]:
    """Write a policy's figures, the intervals of true ratios."""

    def ends(name: str) -> str:
        low = None if group.low is None else getattr(group.low, name)
        high = None if group.high is None else getattr(group.high, name)
        if low is None:
            return ""
        return (
            f"{low:.4f}"
            if high == low
            else f"{low:.4f} to {'?' if high is None else f'{high:.4f}'}"
        )

    return [
        group.group.policy,
        f"{group.finished} of {group.instances}",
        ends("mean_of_ratios"),
        ends("ratio_of_means"),
        ends("greatest"),
        str(group.best),
        str(group.optimal),
    ]


def _engine(jobs: int | None, scheduler: str | None) -> Engine:
    from ..models.errors import InputError
    from ..online.study.engine import DaskCluster, LocalProcesses, default_jobs

    if scheduler is None:
        return LocalProcesses(jobs or default_jobs())
    if jobs is not None:
        raise InputError(
            "--jobs: expected without --scheduler, since a cluster has its own workers"
        )
    return DaskCluster(scheduler)


@contextmanager
def _progress(label: str, folder: Path) -> Iterator[Callable[[StudyProgress], None]]:
    """Show progress on a terminal, or lines in a log; say what an interrupt keeps."""
    last: StudyProgress | None = None
    with console.live_text(f"study {label}") as live:
        show = _lines(label) if live is None else lambda progress: live(progress.text)

        def tell(progress: StudyProgress) -> None:
            nonlocal last
            last = progress
            show(progress)

        try:
            yield tell
        except KeyboardInterrupt:
            if last is not None:
                kept = f"{last.done:,} of {last.total:,} cells are kept in {folder}"
                console.note(f"{kept}; the same command resumes from there")
            raise


def _lines(label: str) -> Callable[[StudyProgress], None]:
    last = time.monotonic()

    def tell(progress: StudyProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            print(f"study {label}: {progress.text}", file=sys.stderr, flush=True)

    return tell
