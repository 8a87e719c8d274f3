"""The engine, the plain MILP in HiGHS and CP-SAT side by side on the same instances.

    python benchmarks/hindsight/side_by_side.py --sets prefixes:n=8,10 --seeds 100-102
    python benchmarks/hindsight/side_by_side.py --sets separate-random:n=8 --methods separate

Every method starts from the same schedule, with the same time limit and number of threads, in a
process of its own. Everything that is printed has been verified: the schedule by the checker, the
incumbent recomputed from it, its bound not above it, and no bound above any method's incumbent on
the same instance. See README.md beside this file.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from case import Case
from methods import (
    DEFAULT,
    first_schedule,
    is_cp_sat,
    model_of,
    parse_methods,
    require_suitable,
)
from process import Outcome, measure
from record import (
    DEFECTS,
    Row,
    contradictions,
    fingerprint,
    read_rows,
    violations,
    write_rows,
)
from rich.console import Console
from rich.markup import escape
from sets import Member, members, parse_seeds
from tables import Report, cells, require_block, write_into

from batchprophet.models import BatchprophetError, InputError, write_atomically

ROOT = Path(__file__).resolve().parents[2]

#: What is run where no sets are named.
DEFAULT_SETS = {"mixed": ["prefixes:n=8,10,12"], "separate": ["separate-random:n=8,10,12"]}

#: Base of typer's usage errors, in every version.
_UsageError: Any = typer.BadParameter.mro()[1]

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Setup:
    """How every method is run."""

    methods: Sequence[str]
    time_limit: float
    threads: int
    tight_windows: bool
    overrun: float
    memory_mib: float

    @property
    def model(self) -> str:
        """The regime of all methods."""
        return model_of(self.methods[0])

    @property
    def windows(self) -> str:
        """The column `windows` of a row."""
        return "tight" if self.tight_windows else "plain"


@app.command()
def side_by_side(
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--sets",
            help="A set: published, prefixes:n=8,10, arrival-model-1:n=12, traces, or any family "
            "with settings. May be given several times.  [default: prefixes:n=8,10,12, or "
            "separate-random:n=8,10,12]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="FIRST-LAST, or a list.")] = "100-129",
    time_limit: Annotated[
        float, typer.Option(min=0.0, help="Seconds for each method on each instance.")
    ] = 60.0,
    methods: Annotated[
        str,
        typer.Option(
            help="Methods of one regime, by commas; mixed or separate: those of its tables."
        ),
    ] = DEFAULT,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Threads of each method.  [default: one per core]", show_default=False
        ),
    ] = None,
    tight_windows: Annotated[
        bool,
        typer.Option(
            "--tight-windows",
            help="Mixed batching: give MILP and CP-SAT windows of starts from KV-area bounds, not "
            "from the warm start's value alone.",
        ),
    ] = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            help="Keep the rows: .csv is the record, and rows in it are not run again; .md is the "
            "tables, with the record beside it. May be given several times."
        ),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Rewrite the tables of a document, between its marks.")
    ] = None,
    block: Annotated[str, typer.Option(help="Which marks of the document.")] = "tables",
    open_only: Annotated[
        bool,
        typer.Option("--open-only", help="In files, list only the rows that are not proved."),
    ] = False,
    remark: Annotated[
        str, typer.Option(help="A remark on the machine, such as what else runs on it.")
    ] = "",
    overrun: Annotated[
        float,
        typer.Option(
            min=0.0, help="Seconds beyond the time limit after which a method is stopped."
        ),
    ] = 60.0,
    memory: Annotated[
        float, typer.Option(min=0.1, help="GiB beyond which a method is stopped (Linux).")
    ] = 8.0,
) -> None:
    """Compare the engine, the plain MILP in HiGHS and CP-SAT on the same instances.

    Exit code 0: done; 1: a contradiction or a crash, which is shown; 2: bad input.
    """
    setup = Setup(
        methods=parse_methods(methods),
        time_limit=time_limit,
        threads=threads or os.cpu_count() or 1,
        tight_windows=tight_windows,
        overrun=overrun,
        memory_mib=1024 * memory,
    )
    if setup.tight_windows and setup.model == "separate":
        raise InputError("--tight-windows: expected methods of mixed batching")
    record, markdowns = _outputs(out or [])
    if into is not None:
        require_block(into, block)
    chosen = sets or DEFAULT_SETS[setup.model]
    selected = members(chosen, parse_seeds(seeds), _note)
    if not selected:
        raise InputError("--sets, --seeds: no instance is left")
    for member in selected:
        require_suitable(member.instance, setup.methods)

    known = [] if record is None else read_rows(record)
    rows = _run(selected, setup, known, record)
    by_group = _grouped(selected, setup, rows)
    shown = [row for _, group in by_group for row in group]
    report = Report(_command(chosen, seeds, setup), _made(shown, setup, remark), by_group)
    defects = _verify(selected, rows)
    report.print()
    for path in markdowns:
        write_atomically(path, (report.markdown(open_only=open_only) + "\n").encode())
    for defect in defects:
        _errors.print(f"[bold red]contradiction or crash:[/] {escape(defect)}")
    if defects:
        raise typer.Exit(1)
    if into is not None:
        write_into(into, block, report.markdown(open_only=open_only))


def _outputs(paths: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """Record and Markdown files; the record of a Markdown file alone stands beside it."""
    for path in paths:
        if path.suffix not in (".csv", ".md"):
            raise InputError(f"--out: expected a name that ends in .csv or .md, found {path.name}")
    records = [path for path in paths if path.suffix == ".csv"]
    markdowns = [path for path in paths if path.suffix == ".md"]
    if len(records) > 1:
        raise InputError("--out: expected one .csv at most")
    if not records:
        records = [path.with_suffix(".csv") for path in markdowns[:1]]
    return (records[0] if records else None), markdowns


def _run(
    selected: Sequence[Member], setup: Setup, known: Sequence[Row], record: Path | None
) -> list[Row]:
    """Measure what is not known yet; keep the file up to date. Return all rows, known ones too."""
    rows = [row for row in known if row.status not in DEFECTS]
    done = {row.key for row in rows}
    whole = len(selected) * len(setup.methods)
    version = _version()
    for number, (member, method) in enumerate(
        ((member, method) for member in selected for method in setup.methods), start=1
    ):
        key = (fingerprint(member.instance), method, setup.time_limit, setup.threads, setup.windows)
        if key in done:
            _note(f"[{number}/{whole}] {member.instance.name}, {method}: in the record already")
            continue
        row = _measured(member, method, setup, version)
        rows.append(row)
        if record is not None:
            write_rows(rows, record)
        _note(f"[{number}/{whole}] " + "  ".join(cells(row)) + f"  ({row.account})")
    return rows


def _measured(member: Member, method: str, setup: Setup, version: str) -> Row:
    instance = member.instance
    case = Case(
        instance=instance,
        warm_start=first_schedule(instance, setup.model),
        time_limit=setup.time_limit,
        threads=setup.threads,
        tight_windows=setup.tight_windows,
    )
    with _errors.status(f"{instance.name}, {method}"):
        outcome = measure(method, case, overrun=setup.overrun, memory_mib=setup.memory_mib)
    solution = outcome.solution
    return Row(
        instance=instance.name,
        n=instance.n,
        M=instance.gpu.kv_capacity,
        model=setup.model,
        method=method,
        incumbent=None if solution is None else _integer(solution.objective),
        lower_bound=(
            None if solution is None or solution.bound is None else _integer(solution.bound)
        ),
        status=_status(outcome),
        seconds=round(outcome.seconds, 3),
        cpu_seconds=None if outcome.cpu_seconds is None else round(outcome.cpu_seconds, 3),
        peak_mib=None if outcome.peak_mib is None else round(outcome.peak_mib, 1),
        time_limit=setup.time_limit,
        threads=setup.threads,
        windows=setup.windows,
        warm_start=case.value,
        account=outcome.account,
        version=version,
        date=datetime.now(UTC).date().isoformat(),
        fingerprint=fingerprint(instance),
        schedule=None if solution is None else solution.schedule,
    )


def _status(outcome: Outcome) -> str:
    return outcome.failure if outcome.solution is None else outcome.solution.status


def _integer(value: Any) -> int:
    if int(value) != value:
        raise BatchprophetError(f"total latency: expected an integer, found {value}")
    return int(value)


def _verify(selected: Sequence[Member], rows: Sequence[Row]) -> list[str]:
    """Verify every row on the selected instances, also those of other runs in the record."""
    instances = {fingerprint(member.instance): member.instance for member in selected}
    concerned = [row for row in rows if row.fingerprint in instances]
    alone = [found for row in concerned for found in violations(row, instances[row.fingerprint])]
    return alone + contradictions(concerned)


def _grouped(
    selected: Sequence[Member], setup: Setup, rows: Sequence[Row]
) -> list[tuple[str, list[Row]]]:
    """Return the rows of this run by group, in the order of instances and methods."""
    by_key = {row.key: row for row in rows}
    groups: dict[str, list[Row]] = {}
    for member in selected:
        for method in setup.methods:
            data = fingerprint(member.instance)
            key = (data, method, setup.time_limit, setup.threads, setup.windows)
            groups.setdefault(member.group, []).append(by_key[key])
    return list(groups.items())


def _command(sets: Sequence[str], seeds: str, setup: Setup) -> str:
    """Return the command that makes the rows, without what only says where they go."""
    words = ["python", "benchmarks/hindsight/side_by_side.py"]
    for text in sets:
        words += ["--sets", text]
    words += ["--seeds", seeds, "--time-limit", f"{setup.time_limit:g}"]
    words += ["--methods", ",".join(setup.methods), "--threads", str(setup.threads)]
    return shlex.join(words + (["--tight-windows"] if setup.tight_windows else []))


def _made(rows: Sequence[Row], setup: Setup, remark: str) -> str:
    """Version, date and machine of the rows."""
    versions = sorted({row.version for row in rows})
    dates = sorted({row.date for row in rows})
    packages = ", ".join(
        f"{name} {metadata.version(name)}"
        for name in ("highspy", "ortools", "numpy")
        if name != "ortools" or any(map(is_cp_sat, setup.methods))
    )
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    python = f"Python {platform.python_version()}"
    return (
        f"batchprophet {', '.join(versions)}; {days}; {machine}"
        f"{f' ({remark})' if remark else ''}; {python}, {packages}; time limit "
        f"{setup.time_limit:g} s, {setup.threads} threads per method."
    )


def _version() -> str:
    """Return the version of the package, with the commit where git knows it."""
    version, git = metadata.version("batchprophet"), shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return version
    described = subprocess.run(
        [git, "describe", "--always", "--dirty", "--exclude", "*"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"{version} ({described.stdout.strip()})" if described.returncode == 0 else version


def _note(text: str) -> None:
    _errors.print(text, markup=False)


def main() -> int:
    """Run the command of this process and return its exit code."""
    try:
        code = app(prog_name="side_by_side.py", standalone_mode=False)
    except _UsageError as error:
        return _fail(error.format_message(), 2)
    except BatchprophetError as error:
        return _fail(str(error), 2 if isinstance(error, InputError) else 1)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    # typer returns the code of typer.Exit, also for an interrupt that it saw first.
    if code == 130:
        return _fail("interrupted; the record keeps the rows so far", 130)
    return int(code or 0)


def _fail(message: str, code: int) -> int:
    _errors.print(f"side_by_side.py: {message}", markup=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
