"""The command ``library``: instances with the best known schedule and the best proved bound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..arguments.outputs import make_folder, require_outputs_in
from ..models.errors import InputError
from . import console
from .options import Json

if TYPE_CHECKING:
    from ..solvers.library.catalogue import Library
    from ..solvers.library.entry import Entry
    from ..solvers.library.record import Record

library = typer.Typer(invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="See `library list`.")]
Own = Annotated[
    Path | None,
    typer.Option(
        "--library", metavar="DIR", help="Your own copy, which overrides the shipped library."
    ),
]

#: Where `submit` keeps better records by default.
OWN = Path("batchprophet-library")


@library.callback()
def _library_itself(context: typer.Context) -> None:
    """Instances with the best known schedule, the best proved bound, and its proof."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@library.command("list")
def list_entries(
    group: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only groups whose name contains this.")
    ] = None,
    own: Own = None,
    as_json: Json = False,
) -> None:
    """List the instances: size, best known schedule, bound, gap, and what proves it."""
    found = _library(own)
    entries = [each for each in found.entries.values() if (group or "") in each.group]
    if not entries:
        groups = ", ".join(dict.fromkeys(each.group for each in found.entries.values()))
        raise InputError(f"group: expected a part of one of {groups}; found {group!r}")
    rows = [(entry, found.record(entry.name)) for entry in entries]
    if as_json:
        records = [_facts(entry, record, found) for entry, record in rows]
        return console.print_json({"entries": records})
    for name in dict.fromkeys(entry.group for entry in entries):
        columns = ["instance", "n", "M", "best known", "bound", "gap", "proof", "quick"]
        cells = [_cells(entry, record, found) for entry, record in rows if entry.group == name]
        console.print_table(name, columns, cells)
    return None


@library.command()
def get(
    name: Name,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder; the instance's name by default.")
    ] = None,
    own: Own = None,
) -> None:
    """Write an instance, its best known schedule, and the certificate of its bound."""
    from ..models.files.instance_file import write_instance
    from ..models.files.writing import write_json
    from ..solvers.certificates.file import write_certificate

    found = _library(own)
    entry = found.entry(name)
    folder = Path(name) if out is None else out
    files = ["instance.json", "solution.json", "certificate.json"]
    require_outputs_in("--out", folder, files)
    instance, record = entry.instance(), found.record(name)
    folder = make_folder(folder)
    write_instance(instance, folder / "instance.json")
    write_json(_solution(entry, record), folder / "solution.json")
    write_certificate(record.proof, folder / "certificate.json")
    if record.quick is not None:
        files.append("certificate-quick.json")
        write_certificate(record.quick, folder / files[-1])
    print(f"wrote {', '.join(str(folder / file) for file in files)}")


@library.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="Instances; all by default.")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds for the bound of one instance.")
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Also verify proofs that take long (see the column quick)."),
    ] = False,
    own: Own = None,
    as_json: Json = False,
) -> None:
    """Rebuild every instance, check every schedule and verify every bound.

    Where the best proof of a shipped record takes long, a quick proof of a smaller bound is
    verified instead, and the output says so; --full verifies both. Your own records are always
    verified in full.
    """
    from ..solvers.library.verification import verify_entry

    found = _library(own)
    verdicts = []
    for name in [found.entry(each).name for each in names or found.entries]:
        verdict = verify_entry(found, name, time_limit=time_limit, full=full)
        verdicts.append(verdict)
        if not as_json:
            less = "" if verdict.quick is None else f"  (only the quick bound {verdict.quick:,})"
            word = "ok" if verdict.verified else "FAULT"
            print(f"{word:5}  {name}  {verdict.seconds:.1f} s{less}")
            for fault in verdict.faults:
                print(f"       {fault}")
    bad = sum(not each.verified for each in verdicts)
    if as_json:
        console.print_json(
            {
                "verified": bad == 0,
                "entries": [
                    {
                        "name": each.name,
                        "verified": each.verified,
                        "quick_bound_only": each.quick,
                        "faults": list(each.faults),
                        "seconds": round(each.seconds, 3),
                    }
                    for each in verdicts
                ],
            }
        )
    else:
        seconds = sum(each.seconds for each in verdicts)
        print(f"{len(verdicts) - bad} of {len(verdicts)} verified, {seconds:.0f} s")
        smaller = sum(each.quick is not None for each in verdicts)
        if smaller:
            print(
                f"{smaller} of them by a quick proof of a smaller bound: --full verifies the best"
            )
    if bad:
        raise typer.Exit(1)


@library.command()
def submit(
    name: Name,
    schedule: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A better schedule.")
    ] = None,
    bound: Annotated[
        Path | None, typer.Option(metavar="CERTIFICATE", help="A better bound, with its proof.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="TEXT", help="Who or what found it.")] = "submitted",
    time_limit: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds for verifying the bound.")
    ] = None,
    own: Annotated[
        Path, typer.Option("--library", metavar="DIR", help="Your own copy, where it is kept.")
    ] = OWN,
) -> None:
    """Check a better schedule or bound, and keep it in your own copy."""
    from ..models.files.solution_file import read_schedule
    from ..solvers.certificates.file import read_certificate
    from ..solvers.library.submission import submit as hand_in

    found = _library(own)
    instance = found.entry(name).instance()
    inputs = [("--schedule", schedule), ("--bound", bound)]
    require_outputs_in("--library", own, [f"{name}.json.zst"], inputs=inputs)
    accepted = hand_in(
        found,
        name,
        schedule=None if schedule is None else read_schedule(schedule, instance),
        certificate=None if bound is None else read_certificate(bound),
        by=by,
        time_limit=time_limit,
    )
    print("\n".join([*accepted.lines, f"wrote {accepted.path}"]))


def _library(own: Path | None) -> Library:
    from ..solvers.library.catalogue import Library

    return Library(own=own)


def _cells(entry: Entry, record: Record, found: Library) -> list[str]:
    from ..solvers.certificates.registry import kind_text

    return [
        entry.name,
        f"{entry.n:,}",
        f"{entry.kv_capacity:,}",
        f"{record.value:,}",
        f"{record.bound:,}",
        "optimal" if record.optimal else f"{record.gap:.2%}",
        kind_text(record.bound_by) + (" (own)" if found.is_own(entry.name) else ""),
        "" if record.quick is None else f"{record.quick.bound:,}",
    ]


def _facts(entry: Entry, record: Record, found: Library) -> dict[str, Any]:
    return {
        "name": entry.name,
        "group": entry.group,
        "model": entry.model,
        "n": entry.n,
        "kv_capacity": entry.kv_capacity,
        "value": record.value,
        "bound": record.bound,
        "optimal": record.optimal,
        "schedule_by": record.schedule_by,
        "bound_by": record.bound_by,
        "quick_bound": (record.quick or record.proof).bound,
        "schedule_made": record.schedule_made.to_record(),
        "bound_made": record.bound_made.to_record(),
        "own": found.is_own(entry.name),
    }


def _solution(entry: Entry, record: Record) -> dict[str, Any]:
    """Return the best known schedule as a solution file has it."""
    from ..models.files.solution_file import solution_record

    return solution_record(
        entry.name,
        record.schedule,
        objective_name="latency",
        objective=record.value,
        lower_bound=record.bound,
        status="optimal" if record.optimal else "feasible",
        gap=record.gap,
        method=f"{record.schedule_by}; bound: {record.bound_by}",
    )
