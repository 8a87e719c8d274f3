"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

InstanceFile = Annotated[Path, typer.Argument(metavar="INSTANCE", help="An instance.json.")]
Model = Annotated[
    str,
    typer.Option(
        "--model", "--regime", metavar="mixed|separate|continuous", help="Batching regime."
    ),
]
ModelOrBoth = Annotated[
    str,
    typer.Option(
        "--model",
        "--regime",
        metavar="mixed|separate|continuous|both",
        help="Batching regime; both prices separate batching.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Same seed, same result.")]
TimeLimit = Annotated[float, typer.Option(metavar="S", help="Seconds for the hindsight solve.")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="Threads of the solver.")]
Json = Annotated[bool, typer.Option("--json", help="Print only JSON on stdout.")]
ContinuousLimit = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Limit of mixed or continuous batching.")
]
BlockSize = Annotated[
    int, typer.Option(metavar="N", min=1, help="Tokens in a KV block, continuous batching.")
]
ChunkedPrefill = Annotated[
    bool, typer.Option(help="Read prompts in chunks, under continuous batching.")
]
LatencyLimit = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        help="Give each request a deadline so long after its arrival, in the instance's time unit: "
        "what --objective tardiness looks at.",
    ),
]
BatchLimit = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Batch limit of separate batching.")
]
Objective = Annotated[
    str, typer.Option(metavar="NAME", help="latency, weighted, tardiness, makespan or reward.")
]
ComparedObjective = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="latency, weighted, tardiness, makespan, reward, p99, ttft, or goodput (with --slo).",
    ),
]
Formulation = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="auto, or the MILP to solve and export: running-sum or dense; under separate "
        "batching time-expanded, stages, classes or batch-sequence; under continuous batching "
        "batch-sequence.",
    ),
]
Extension = Annotated[
    str | None,
    typer.Option(
        "--extend",
        metavar="module:function",
        help="Add constraints: function(model) gets the MILP, a Pyomo model.",
    ),
]
Horizon = Annotated[
    int | None,
    typer.Option(metavar="T", min=0, help="With --extend: latest completion; derived by default."),
]
Slo = Annotated[
    str | None,
    typer.Option(
        metavar="ttft=T,tpot=T",
        help="Latency limits for the goodput, in ms (rounds or slots under laws without seconds).",
    ),
]
Format = Annotated[str, typer.Option("--format", metavar="NAME", help="auto, or a format's name.")]
OutFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the result here.")]
OutFolder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write report.html and its data here.")
]
CertificateFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the proof of the bound here; `check` verifies it."),
]
BoundFile = Annotated[
    Path | None, typer.Option(metavar="CERTIFICATE", help="Also verify this proof of a bound.")
]
VerifyLimit = Annotated[
    float | None, typer.Option(metavar="S", help="Seconds for verifying the bound.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="key=value", help="A setting. Repeatable."),
]
