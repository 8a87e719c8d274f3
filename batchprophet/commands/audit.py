"""The commands on engine logs: `audit` and `calibrate`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..arguments.outputs import require_outputs_in
from ..arguments.policies import find_local_modules
from . import console
from .options import Format, Json, OutFolder, Seed, Slo

if TYPE_CHECKING:
    from ..solvers.progress import Progress

Log = Annotated[Path, typer.Argument(metavar="LOG", help="An engine's log; plain, .gz or .zst.")]
Meta = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="What the engine wrote down; meta.json by default."),
]
Regime = Annotated[
    str,
    typer.Option(
        "--regime", "--model", metavar="continuous|separate", help="How the engine batches."
    ),
]
Rule = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The engine's rule, a policy: vllm, prefill-first, …"),
]
Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="Limit of the engine.")]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="MAP",
        help="Columns of another format: arrival=…,prompt=…,output=…,first=…,last=… (moments) or "
        "ttft=…,latency=… (since arrival), and optionally id=…,unit=s|ms|us|ns|date.",
    ),
]


def audit(
    log: Log,
    meta: Meta = None,
    regime: Regime = "continuous",
    rule: Rule = None,
    kv_capacity: Limit = None,
    max_num_seqs: Limit = None,
    max_num_batched_tokens: Limit = None,
    block_size: Limit = None,
    batch_time: Annotated[
        str,
        typer.Option(metavar="LAW", help="fit, or affine:c0=…,c1=…,c2=…,c3=… in milliseconds."),
    ] = "fit",
    time_limit: Annotated[
        float,
        typer.Option(
            metavar="S",
            help="Seconds for the hindsight solve; half as much again goes to bounds for knobs, "
            "and fits and policies take their own time: about a minute for 300 requests.",
        ),
    ] = 60.0,
    slo: Slo = None,
    format_: Format = "auto",
    columns: Columns = None,
    seed: Seed = 0,
    out: OutFolder = None,
    as_json: Json = False,
) -> None:
    """Put an engine's log beside the best that was possible with its requests."""
    from ..audits import api
    from ..audits.audited import FILES

    if out is not None:
        inputs = [("LOG", log), ("--meta", meta)]
        require_outputs_in("--out", out, list(FILES), inputs=inputs)
    find_local_modules()
    with _stages() as progress:
        audited = api.audit(
            log,
            meta=meta,
            regime=regime,
            rule=rule,
            kv_capacity=kv_capacity,
            max_num_seqs=max_num_seqs,
            max_num_batched_tokens=max_num_batched_tokens,
            block_size=block_size,
            batch_time=batch_time,
            time_limit=time_limit,
            slo=slo,
            format=format_,
            columns=columns,
            seed=seed,
            progress=progress,
        )
    if out is not None:
        console.note(f"wrote {audited.save(out, command=console.command_line())}")
    if as_json:
        console.print_json(audited.to_record())
    else:
        print(audited.summary())


@contextmanager
def _stages() -> Iterator[Callable[[Progress], None]]:
    """Show the stages of an audit: on a terminal in one live line, otherwise a line for each.

    An interrupt says in which of them the audit stopped.
    """
    from ..online.audit.stages import STAGES

    begun: list[str] = []
    try:
        with console.live_progress("audit") as show:

            def tell(progress: Progress) -> None:
                if progress.phase in STAGES:
                    begun.append(progress.phase)
                    if not sys.stderr.isatty():
                        console.note(f"audit: {progress.phase}")
                show(progress)

            yield tell
    except KeyboardInterrupt:
        if begun:
            console.note(f"audit: stopped while {begun[-1]}")
        raise


def calibrate(
    log: Log,
    meta: Meta = None,
    regime: Regime = "continuous",
    rule: Rule = None,
    kv_capacity: Limit = None,
    max_num_seqs: Limit = None,
    max_num_batched_tokens: Limit = None,
    block_size: Limit = None,
    format_: Format = "auto",
    columns: Columns = None,
    as_json: Json = False,
) -> None:
    """Fit the batch-time law to an engine's log."""
    from ..audits import api

    find_local_modules()
    options: dict[str, Any] = {
        "max_num_seqs": max_num_seqs,
        "max_num_batched_tokens": max_num_batched_tokens,
        "block_size": block_size,
    }
    calibrated = api.calibrate(
        log,
        meta=meta,
        regime=regime,
        rule=rule,
        kv_capacity=kv_capacity,
        format=format_,
        columns=columns,
        **options,
    )
    if as_json:
        console.print_json(calibrated.to_record())
    else:
        print(calibrated.summary())
