"""The basic commands: each takes its options, calls one public function, saves and prints.

Heavy imports stay inside the functions, so that ``batchprophet --help`` is quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from ..arguments.extend import function_named
from ..arguments.outputs import require_outputs
from ..arguments.policies import (
    find_local_modules,
)
from ..models.errors import InputError
from . import console
from .options import (
    BatchLimit,
    BlockSize,
    BoundFile,
    CertificateFile,
    ChunkedPrefill,
    ContinuousLimit,
    Extension,
    Format,
    Formulation,
    Horizon,
    InstanceFile,
    Json,
    LatencyLimit,
    Model,
    Objective,
    OutFile,
    Seed,
    Settings,
    Slo,
    Threads,
    TimeLimit,
    VerifyLimit,
)

if TYPE_CHECKING:
    from ..models.instance import Instance
    from ..models.regime import Schedule


def solve(
    instance: InstanceFile,
    model: Model = "mixed",
    objective: Objective = "latency",
    time_limit: TimeLimit = 60.0,
    work_limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Limit on work instead of time: reproducible."),
    ] = None,
    threads: Threads = None,
    seed: Seed = 0,
    formulation: Formulation = "auto",
    extend: Extension = None,
    horizon: Horizon = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the MILP first, as .lp or .mps, or either with .gz."
        ),
    ] = None,
    solved_too: Annotated[
        bool, typer.Option("--solve/--no-solve", help="With --no-solve: only write the MILP.")
    ] = True,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Value, bound and gap over time, as .csv, or drawn as .png."
        ),
    ] = None,
    certificate: CertificateFile = None,
    out: OutFile = None,
    as_json: Json = False,
) -> None:
    """Find the hindsight optimum, or a schedule with a proved bound."""
    from .. import api

    require_outputs(
        [
            ("--export", export),
            ("--history", history),
            ("--certificate", certificate),
            ("--out", out),
        ],
        [("INSTANCE", instance)],
    )
    if history is not None and history.suffix not in (".csv", ".png"):
        raise InputError(f"--history: expected a file that ends in .csv or .png, found {history}")
    function = function_named(extend)
    if not solved_too:
        others = (history, certificate, out)
        if export is None or as_json or any(path is not None for path in others):
            raise InputError("--no-solve: expected with --export and no other output")
        api.export_model(
            instance, export, model=model, objective=objective, formulation=formulation,
            extend=function, horizon=horizon,
        )  # fmt: skip
        print(f"wrote {export}")
        return
    with console.live_progress("solve") as progress:
        solved = api.solve(
            instance,
            model=model,
            objective=objective,
            time_limit=time_limit,
            work_limit=work_limit,
            threads=threads,
            seed=seed,
            formulation=formulation,
            export=export,
            extend=function,
            horizon=horizon,
            progress=progress,
        )
    if out is not None:
        solved.save(out)
    if history is not None:
        solved.save_history(history)
        console.note(f"wrote {history}")
    if certificate is not None:
        solved.save_certificate(certificate)
        console.note(f"wrote {certificate}: {solved.certified()}")
    if as_json:
        console.print_json(solved.to_record())
    else:
        print(solved.summary())


def simulate(
    instance: InstanceFile,
    policy: Annotated[
        str, typer.Option(metavar="NAME[:key=value,…]", help="A policy, or module:Class.")
    ],
    model: Model = "mixed",
    seed: Seed = 0,
    slo: Slo = None,
    out: OutFile = None,
    as_json: Json = False,
) -> None:
    """Run one online policy."""
    from .. import api

    require_outputs([("--out", out)], [("INSTANCE", instance)])
    find_local_modules()
    simulated = api.simulate(instance, policy, model=model, seed=seed, slo=slo)
    if out is not None:
        simulated.save(out)
    if as_json:
        console.print_json(simulated.to_record() | {"metrics": simulated.metrics_record()})
    else:
        print(simulated.summary())


def check(
    instance: InstanceFile,
    schedule: Annotated[
        Path,
        typer.Argument(
            metavar="SCHEDULE",
            help="A schedule from anywhere (JSON), or a MILP solver's solution (.sol) of an "
            "exported model.",
        ),
    ],
    bound: BoundFile = None,
    time_limit: VerifyLimit = None,
    slo: Slo = None,
    model: Model = "mixed",
    objective: Objective = "latency",
    formulation: Formulation = "auto",
    extend: Extension = None,
    horizon: Horizon = None,
    as_json: Json = False,
) -> None:
    """Check a schedule (every violated rule, when, by how much) and verify the proof of a bound.

    The regime, the objective and what follows them are for a solver's .sol only: as the model was
    exported.
    """
    from .. import api
    from ..models.files.reading import is_json

    given: Path | Schedule = schedule
    if schedule.name.endswith((".sol", ".sol.gz")) and not is_json(schedule):
        given = api.read_solution(
            instance, schedule, model=model, objective=objective, formulation=formulation,
            extend=function_named(extend), horizon=horizon,
        )  # fmt: skip
    checked = api.check(instance, given, certificate=bound, time_limit=time_limit, slo=slo)
    if as_json:
        console.print_json(checked.to_record())
    else:
        print(checked.summary())
    if not checked.holds:
        raise typer.Exit(1)


def make(
    family: Annotated[str | None, typer.Argument(metavar="FAMILY", help="See --list.")] = None,
    list_families: Annotated[
        bool, typer.Option("--list", help="List the families with their settings.")
    ] = False,
    seed: Seed = 0,
    settings: Settings = None,
    latency_limit: LatencyLimit = None,
    out: OutFile = None,
    as_json: Json = False,
) -> None:
    """Draw an instance from a named family."""
    from .. import api
    from ..arguments.settings import parse_settings

    if list_families:
        from .listings import show_families

        return show_families(as_json=as_json)
    if family is None:
        raise InputError("make: expected a FAMILY (see make --list), found none")
    if out is None:
        raise InputError("make: expected --out FILE, found none")
    require_outputs([("--out", out)])
    instance = api.make(
        family, seed=seed, settings=parse_settings(settings or []), latency_limit=latency_limit
    )
    return _write_instance(instance, out, [], as_json)


def convert(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="A trace; plain, .gz or .zst.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write the instance here.")],
    round_ms: Annotated[
        float | None,
        typer.Option(metavar="X", help="Milliseconds per round; required."),
    ] = None,
    kv_capacity: Annotated[
        int | None,
        typer.Option(
            metavar="M",
            help="KV capacity in tokens; required, unless a vLLM log has a meta.json next to it.",
        ),
    ] = None,
    format_: Format = "auto",
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="MAP",
            help="Columns of another format: arrival=ts,prompt=in,output=out and optionally "
            "id=name,unit=s|ms|us|ns|date.",
        ),
    ] = None,
    arrivals: Annotated[
        str | None,
        typer.Option(
            metavar="LAW", help="For traces without arrivals: burst or poisson:rate=2.5,seed=1."
        ),
    ] = None,
    start: Annotated[float, typer.Option(metavar="S", help="Skip the first S seconds.")] = 0.0,
    count: Annotated[
        int | None, typer.Option(metavar="N", help="Take N requests; all by default.")
    ] = None,
    every: Annotated[int, typer.Option(metavar="K", help="Take every K-th request.")] = 1,
    load: Annotated[float, typer.Option(metavar="F", help="Factor on the arrival rate.")] = 1.0,
    thin: Annotated[
        float, typer.Option(metavar="P", help="Keep each request with probability P.")
    ] = 1.0,
    seed: Seed = 0,
    sort: Annotated[
        bool,
        typer.Option(
            "--sort", help="Sort by arrival; without it, decreasing arrivals are refused."
        ),
    ] = False,
    oversize: Annotated[
        str, typer.Option(metavar="refuse|drop", help="Requests larger than M: refuse or drop.")
    ] = "refuse",
    zero: Annotated[
        str, typer.Option(metavar="refuse|drop", help="Rows with zero tokens: refuse or drop.")
    ] = "refuse",
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="shuffle|resample[:K]",
            help="Other rows (prompt, output) for the arrivals, of the same window of K.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the instance.")] = None,
    batch_time: Annotated[
        str,
        typer.Option(
            metavar="LAW",
            help="unit, constant:prompt=4,token=1 (in rounds of --round-ms) or "
            "affine:c0=…,c1=…,c2=…,c3=…[,c0_prompt=…] (milliseconds), or a measured GPU such as "
            "h100; with --round-ms 0.001.",
        ),
    ] = "unit",
    prompt_batch_requests: BatchLimit = None,
    prompt_batch_tokens: BatchLimit = None,
    token_batch_requests: BatchLimit = None,
    max_num_seqs: ContinuousLimit = None,
    max_num_batched_tokens: ContinuousLimit = None,
    block_size: BlockSize = 1,
    chunked_prefill: ChunkedPrefill = True,
    latency_limit: LatencyLimit = None,
    as_json: Json = False,
) -> None:
    """Convert a window of a real trace into an instance."""
    from .. import api
    from ..models.traces.beside import META

    beside = trace.parent / META if kv_capacity is None else None
    require_outputs([("--out", out)], [("TRACE", trace), ("the KV capacity's file", beside)])
    with console.bytes_progress(str(trace)) as progress:
        converted = api.convert(
            trace,
            round_ms=round_ms,
            kv_capacity=kv_capacity,
            format=format_,
            columns=columns,
            arrivals=arrivals,
            start=start,
            count=count,
            every=every,
            load=load,
            thin=thin,
            seed=seed,
            sort=sort,
            oversize=cast(Literal["refuse", "drop"], oversize),  # checked where it is used
            zero=cast(Literal["refuse", "drop"], zero),
            pairs=pairs,
            name=name,
            batch_time=batch_time,
            prompt_batch_requests=prompt_batch_requests,
            prompt_batch_tokens=prompt_batch_tokens,
            token_batch_requests=token_batch_requests,
            max_num_seqs=max_num_seqs,
            max_num_batched_tokens=max_num_batched_tokens,
            block_size=block_size,
            chunked_prefill=chunked_prefill,
            latency_limit=latency_limit,
            progress=progress,
        )
    unit = converted.instance.gpu.batch_time.time_unit
    affine = unit == "microsecond"
    length = f"times are {unit}s" if affine else f"a round is {converted.round_ms:g} ms"
    lines = [*converted.report.lines(), length]
    for warning in converted.report.warnings:
        console.note(f"warning: {warning}")
    _write_instance(converted.instance, out, lines, as_json, converted.report.warnings)


def policies(
    check: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:key=value,…]",
            help="Try a policy, or module:Class, on random instances instead: what it must not do.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "--regime",
            metavar="mixed|separate|continuous",
            help="With --check: the regime; the policy's own by default.",
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(metavar="N", min=1, help="With --check: random instances.")
    ] = 30,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """List the registered policies (regime, known lengths, rule, source), or check one."""
    from .listings import show_check, show_policies

    find_local_modules()
    if check is None:
        show_policies(as_json=as_json)
    elif not show_check(check, model=model, trials=trials, seed=seed, as_json=as_json):
        raise typer.Exit(1)


def _write_instance(
    instance: Instance,
    out: Path,
    lines: Sequence[str],
    as_json: bool,
    warnings: Sequence[str] = (),
) -> None:
    from ..models.files.instance_file import write_instance

    write_instance(instance, out)
    M = instance.gpu.kv_capacity
    if as_json:
        record = {"name": instance.name, "requests": instance.n, "kv_capacity": M}
        record |= {"out": str(out), "notes": list(lines), "warnings": list(warnings)}
        console.print_json(record)
        return
    requests = "1 request" if instance.n == 1 else f"{instance.n:,} requests"
    print("\n".join([*lines, f"wrote {out}: {requests}, KV capacity {M:,}"]))
