"""The commands that put policies and hindsight side by side: ``compare`` and ``demo``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..arguments.outputs import require_outputs_in
from ..arguments.policies import (
    find_local_modules,
    policy_specifications,
    refuse_policies_as_instances,
    split_policies,
)
from ..models.errors import InputError
from . import console
from .options import (
    ComparedObjective,
    Json,
    ModelOrBoth,
    OutFolder,
    Seed,
    Slo,
    Threads,
    TimeLimit,
)

if TYPE_CHECKING:
    from ..models.instance import Instance
    from ..report.page import Origin
    from ..results.compared import Compared


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the report.")] = Path(
        "batchprophet-demo"
    ),
    time_limit: TimeLimit = 60.0,
    as_json: Json = False,
) -> None:
    """Compare all policies with the optimum on a built-in instance, and write the report."""
    from .. import api
    from ..results.compared import comparison_files

    require_outputs_in("--out", out, comparison_files(1))
    with console.live_progress("demo") as progress:
        compared = api.demo(time_limit=time_limit, progress=progress)
    _show_comparisons([compared], out, as_json)


def compare(
    instances: Annotated[
        list[Path], typer.Argument(metavar="INSTANCE", help="One or more instance.json.")
    ],
    policies: Annotated[
        list[str] | None,
        typer.Option(
            metavar="a,b:key=value,…", help="Policies; the built-in ones by default. Repeatable."
        ),
    ] = None,
    model: ModelOrBoth = "mixed",
    objective: ComparedObjective = "latency",
    time_limit: TimeLimit = 60.0,
    threads: Threads = None,
    seed: Seed = 0,
    slo: Slo = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="Print only tables: latex, markdown or csv."),
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="One table over all instances, in place of theirs.")
    ] = False,
    out: OutFolder = None,
    as_json: Json = False,
) -> None:
    """Compare policies with the hindsight optimum."""
    from ..arguments.instances import load_for, located
    from ..models.objectives import require_defined

    _require(model, objective, slo, table, as_json)
    if out is not None:
        _require_files(out, instances, model)
    find_local_modules()
    listed = None if policies is None else split_policies(policies)
    chosen = policy_specifications(listed, model)
    refuse_policies_as_instances(instances)
    loaded = [load_for(model, path) for path in instances]
    for path, each in zip(instances, loaded, strict=True):
        with located(path):
            require_defined(each, objective)
    done: list[Compared] = []
    try:
        for position, each in enumerate(loaded, start=1):
            with console.live_progress(each.name) as progress:
                compared = _compare(
                    each,
                    model,
                    policies=chosen,
                    objective=objective,
                    time_limit=time_limit,
                    threads=threads,
                    seed=seed,
                    slo=slo,
                    progress=progress,
                )
            done += compared
            if any(one.interrupted for one in compared) and position < len(loaded):
                console.note(f"stopped after {position} of {len(loaded)} instances")
                raise KeyboardInterrupt
    finally:  # also when interrupted
        if done:
            _show_comparisons(done, out, as_json, table, summary=summary)


def _require(model: str, objective: str, slo: str | None, table: str | None, as_json: bool) -> None:
    """Refuse options that are unknown, or do not go together."""
    from ..arguments.instances import require_model
    from ..models.service import require_comparable
    from ..report.formats import require_format
    from ..results.regimes import slo_of

    require_model(model, both=True)
    slo_of(slo, model)
    require_comparable(objective)
    if objective == "goodput" and slo is None:
        raise InputError(
            "slo: expected latency limits (--slo ttft=T,tpot=T) with --objective goodput, found "
            "none"
        )
    if model == "both" and objective != "latency":
        raise InputError(f"objective: expected latency with --model both, found {objective!r}")
    if table is not None:
        require_format(table)
        if as_json:
            raise InputError("table: expected no --json beside --table, found both")


def _require_files(out: Path, instances: Sequence[Path], model: str) -> None:
    """Refuse a folder that cannot be written to, or whose files are the instances."""
    from ..results.compared import comparison_files

    files = comparison_files(len(instances) * (2 if model == "both" else 1))
    require_outputs_in("--out", out, files, inputs=[("INSTANCE", path) for path in instances])


def _compare(instance: Instance, model: str, **options: Any) -> list[Compared]:
    """Compare in one regime, or in both."""
    from .. import api

    if model != "both":
        return [api.compare(instance, model=model, **options)]
    only = {"slo", "objective"}
    both = api.compare_both(instance, **{k: v for k, v in options.items() if k not in only})
    return [both.separate, both.mixed]


def _show_comparisons(
    done: Sequence[Compared],
    out: Path | None,
    as_json: bool,
    table: str | None = None,
    *,
    summary: bool = False,
) -> None:
    from ..report.formats import formatted
    from ..results.compared import comparisons_record, save_comparisons

    if out is not None:
        report = save_comparisons(done, out, origin=_origin())
        console.note(f"wrote {report}")
    if as_json:
        console.print_json(comparisons_record(done))
        return
    if summary:
        _show_summaries(done, table)
        return
    if table is not None:
        print(formatted(done, table), end="")
        return
    for position, each in enumerate(done):
        if position:
            print()
        console.print_comparison(each.instance.name, [*each.columns()], each.rows())
        print("\n".join(each.reading()))


def _show_summaries(done: Sequence[Compared], table: str | None) -> None:
    from ..report.formats import formatted_summaries
    from ..results.summarised import summaries

    found = summaries(done)
    if table is not None:
        print(formatted_summaries(found, table), end="")
        return
    for position, each in enumerate(found):
        if position:
            print()
        console.print_comparison(each.name, [*each.columns()], each.rows())
        print("\n".join(each.reading()))


def _origin() -> Origin:
    from ..report.page import Origin

    return Origin.today(command=console.command_line())
