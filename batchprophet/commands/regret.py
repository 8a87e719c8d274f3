"""The command ``regret``: regret by horizon, its growth, and where it arises."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..arguments.outputs import make_folder, require_outputs_in
from ..arguments.policies import find_local_modules, split_policies
from ..models.disk import write_atomically
from ..models.errors import InputError
from . import console
from .options import Json, Seed, Settings

if TYPE_CHECKING:
    from ..online.regret import ExactValues, RegretStudy


def regret(
    environment: Annotated[
        str, typer.Argument(metavar="ENVIRONMENT", help="A name, or a .toml file.")
    ],
    policies: Annotated[
        list[str] | None,
        typer.Option(
            metavar="a,b:key=value,…",
            help="Policies; by default all of the environment. The latency environments also take "
            "module:Class. Repeatable.",
        ),
    ] = None,
    horizons: Annotated[
        str | None,
        typer.Option(metavar="1000,10000", help="Horizons T; by default those of the environment."),
    ] = None,
    replications: Annotated[
        int, typer.Option(metavar="N", min=1, help="Sample paths per horizon.")
    ] = 100,
    seed: Seed = 0,
    settings: Settings = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Exact values by recursion instead of sample paths.")
    ] = False,
    as_json: Json = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write regret.json and pictures here.")
    ] = None,
) -> None:
    """Measure regret by horizon, and attribute it to single decisions.

    Environments: online-packing, multi-secretary, separate-admission, mixed-latency,
    separate-latency; see docs/coupling.md, also for .toml files.
    """
    from ..arguments.settings import parse_settings
    from ..online.environments import make_environment
    from ..online.regret import exact_values, measure_regret

    if out is not None:
        files = ["regret.json", "regret.png", "decomposition.png"]
        require_outputs_in("--out", out, files, inputs=[("ENVIRONMENT", environment)])
    find_local_modules()
    made = make_environment(environment, parse_settings(settings or []))
    chosen = None if policies is None else split_policies(policies)
    spans = None if horizons is None else _integers(horizons)
    found: ExactValues | RegretStudy
    if exact:
        found = exact_values(made, policies=chosen, horizons=spans)
    else:
        with console.live_text(f"regret {made.name}") as progress:
            found = measure_regret(
                made,
                policies=chosen,
                horizons=spans,
                replications=replications,
                seed=seed,
                progress=progress,
            )
    _show(made.name, found, as_json=as_json, out=out)
    if not exact and getattr(found, "interrupted", False):
        raise KeyboardInterrupt


def _show(name: str, found: ExactValues | RegretStudy, *, as_json: bool, out: Path | None) -> None:
    from ..online.regret import ExactValues

    record = found.to_record()
    if out is not None:
        _save(found, record, out)
    if as_json:
        console.print_json(record)
    elif isinstance(found, ExactValues):
        cells = [[p, f"{T:,}", f"{value:.4f}"] for p, T, value in found.rows]
        console.print_table(f"{name}: exact values", ["policy", "horizon", "value"], cells)
        print(f"fluid value {float(found.fluid):g}")
    else:
        _print_study(found)


#: Columns that only some environments have, with the fields of a row.
_MORE_COLUMNS = {"to the bound": "regret_to_bound", "per request": "regret_per_request"}


def _print_study(study: RegretStudy) -> None:
    columns = ["policy", "horizon", "paths", "regret", "± 95 %", "of hindsight", "residual"]
    cells = [
        [
            row.policy,
            f"{row.horizon:,}",
            f"{row.replications:,}",
            f"{row.regret:,.2f}",
            "" if row.half_width is None else f"{row.half_width:,.2f}",
            f"{row.regret / abs(row.benchmark_value):.4%}" if row.benchmark_value else "",
            f"{row.identity_residual:g}",
        ]
        for row in study.rows
    ]
    for heading, name in _MORE_COLUMNS.items():
        values = [getattr(row, name) for row in study.rows]
        if any(value is not None for value in values):
            columns.append(heading)
            for line, value in zip(cells, values, strict=True):
                line.append("" if value is None else f"{value:,.2f}")
    console.print_table(f"{study.environment}: regret", columns, cells)
    for benchmark in dict.fromkeys(row.benchmark for row in study.rows):
        spans = [f"{row.horizon:,}" for row in study.rows if row.benchmark == benchmark]
        print(f"benchmark at T = {', '.join(dict.fromkeys(spans))}: {benchmark}")
    growth = [
        [policy, f"{fit.exponent:.3f}", f"[{fit.low:.3f}, {fit.high:.3f}]", fit.text]
        for policy, fit in study.growth.items()
        if fit is not None
    ]
    if growth:
        print()
        console.print_table("growth T^x", ["policy", "x", "95 % interval", "shape"], growth)
    _print_parts(study)


def _print_parts(study: RegretStudy) -> None:
    """Print where regret arises at the longest horizon: one row per part, one column a policy."""
    longest = max(each.horizon for each in study.decompositions)
    shown = [each for each in study.decompositions if each.horizon == longest]
    names = dict.fromkeys(name for each in shown for name in each.by_part)
    cells = [
        [name, *(f"{each.by_part.get(name, 0.0):,.2f}" for each in shown)]
        for name in names
        if any(each.by_part.get(name) for each in shown)
    ]
    print(f"\ncompensations at T = {longest:,} (means; they add up to the regret)\n")
    console.print_table("", ["decision", *(each.policy for each in shown)], cells)


def _save(found: ExactValues | RegretStudy, record: dict[str, Any], out: Path) -> None:
    """Write ``regret.json``, and the pictures of a study."""
    from ..online.regret import ExactValues

    folder = make_folder(out)
    path = folder / "regret.json"
    write_atomically(path, (json.dumps(record, indent=2, allow_nan=False) + "\n").encode())
    console.note(f"wrote {path}")
    if isinstance(found, ExactValues):
        return
    from ..pictures.regret import decomposition_bars, regret_curves

    pictures = {
        "regret.png": regret_curves(found),
        "decomposition.png": decomposition_bars(found.decompositions),
    }
    for name, figure in pictures.items():
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=130, facecolor="white")
        write_atomically(folder / name, picture.getvalue())
        console.note(f"wrote {folder / name}")


def _integers(text: str) -> Sequence[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(
            f"horizons: expected integers separated by commas, found {text!r}"
        ) from error
