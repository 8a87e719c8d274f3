"""Real traces into instances."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from ..instance import Gpu, Instance, IntArray
from .arrival_law import arrival_law, with_arrivals
from .beside import META
from .checks import exact, require_number
from .column_mapping import mapped_format, parse_columns
from .columns import Columns, TraceRequest
from .doubts import Span, doubts
from .file import BytesRead, TraceFile
from .format import TraceFormat
from .pairs import rearranged
from .registry import detect_format, known_format, require_columns
from .report import ConversionReport
from .requests import Account, in_order, read_requests, sorted_by_arrival
from .table import Table, open_table
from .window import Window, take


@dataclass(frozen=True, slots=True)
class ConvertedTrace:
    """An instance made of a trace, and the account of how."""

    instance: Instance
    report: ConversionReport


def convert_trace(
    path: str | os.PathLike[str],
    *,
    round_ms: float | None = None,
    kv_capacity: int | None = None,
    format: str = "auto",  # noqa: A002 - the word of the command line
    columns: str | Mapping[str, str] | None = None,
    arrivals: str | None = None,
    start: float = 0.0,
    count: int | None = None,
    every: int = 1,
    load: float = 1.0,
    thin: float = 1.0,
    seed: int = 0,
    sort: bool = False,
    oversize: Literal["refuse", "drop"] = "refuse",
    zero: Literal["refuse", "drop"] = "refuse",
    pairs: str | None = None,
    name: str | None = None,
    progress: BytesRead | None = None,
) -> ConvertedTrace:
    r"""Convert a window of a trace into an instance for mixed batching (unit-time law).

    A request's round of arrival is ``⌊τ / (load · round_ms)⌋`` in exact arithmetic, with τ its
    time since the first request taken; requests of one round keep the trace's order. Rows pass
    the window in the order that `Window` states. The file is streamed: memory is about 25 bytes
    per request taken (with `sort`, per request of the file), then the instance.

    Parameters
    ----------
    path : path-like
        A plain, gzip or zstd file, recognised by its first bytes.
    round_ms : float
        Milliseconds that one round stands for, > 0. No trace says it: it is needed.
    kv_capacity : int
        M ≥ 2, in tokens; needed unless the file says it (a ``meta.json`` beside a vLLM log does).
    format : str
        A name of `TRACE_FORMATS`, or ``"auto"``: by the names of the columns.
    columns : str or mapping, optional
        Columns of a file in no known format, as
        ``"arrival=ts,prompt=in,output=out[,id=name][,unit=s|ms|us|ns|date]"``.
    arrivals : str, optional
        The arrival law of a file without arrivals (and only of such a file): ``"burst"`` or
        ``"poisson:rate=2.5,seed=1"``.
    start, count, every, thin, seed, oversize
        As in `Window`. Fewer than `count` requests are taken if the trace ends before; the report
        says so.
    load : float
        Factor > 0 on the arrival rate: times are divided by it.
    sort : bool
        Sort by arrival (stable) instead of refusing a trace whose arrivals decrease.
    zero : {"refuse", "drop"}
        What to do with a row of zero prompt or output tokens that the format does not itself
        declare failed.
    pairs : str, optional
        ``shuffle:K`` or ``resample:K``: prompts and outputs in another order, two by two, within
        windows of K requests, by `seed` (`pairs.rearranged`).
    name : str, optional
        Name of the instance; by default the file's, with what was asked of the window.
    progress : callable, optional
        Called with (bytes read, bytes of the file).

    Returns
    -------
    ConvertedTrace
        The instance, whose provenance holds the file's SHA-256 and every choice made here, and
        the report.

    Raises
    ------
    InputError
        If the file, a value in it, or a choice cannot be used, or nothing is taken; the message
        names file, line, column and value.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "lengths.csv"
    ...     _ = path.write_text("at,in,out\n0.49,3,12\n0.51,4,1\n0.62,5,2\n")
    ...     converted = convert_trace(
    ...         path, columns="arrival=at,prompt=in,output=out", round_ms=50, kv_capacity=47
    ...     )
    >>> converted.instance.arrival.tolist(), converted.instance.output.tolist()
    ([0, 0, 2], [12, 1, 2])
    """
    if round_ms is None:
        raise InputError(_NEEDS_ROUND)
    require_number("round_ms", round_ms, high=1e9, open_low=True)
    require_number("load", load, high=1e9, open_low=True)
    if zero not in ("refuse", "drop"):
        raise InputError(f"zero: expected refuse or drop, found {zero!r}")
    account, span = Account(), Span()
    with TraceFile(path, progress) as file:
        table = open_table(file)
        known = _format(format, columns, table, file.path)
        capacity = _kv_capacity(known, file.path) if kv_capacity is None else kv_capacity
        window = Window(
            start=start,
            count=count,
            every=every,
            thin=thin,
            seed=seed,
            kv_capacity=capacity,
            oversize=oversize,
        )
        requests = read_requests(file, table, known, account, drop_zero=zero == "drop")
        requests = _arranged(requests, known, arrivals, sort, file.path)
        taken = take(span.watch(requests), window, account.dropped, file.path)
        sha256 = file.sha256()
    if not taken:
        raise _nothing_taken(file.path, account)
    rounds = _rounds(taken, round_ms, load)
    report = _report(
        file.path,
        known,
        account,
        taken,
        rounds,
        count,
        notes=() if kv_capacity is not None else (f"KV capacity {capacity:,} of {META}",),
        warnings=() if known.arrival is None else doubts(known, span, taken),
    )
    provenance = {
        "trace": report.file,
        "sha256": sha256,
        "format": known.name,
        "columns": None if columns is None else _mapping(columns),
        "arrivals": arrivals,
        "start_seconds": start,
        "count": count,
        "every": every,
        "round_ms": round_ms,
        "kv_capacity_from": META if kv_capacity is None else None,
        "load": load,
        "thin": thin,
        "seed": seed if thin < 1 or pairs is not None else None,
        "pairs": pairs,
        "sort": sort,
        "rows_read": account.rows,
        "dropped": dict(account.dropped),
        "batchprophet": version("batchprophet"),
    }
    try:
        instance = Instance(
            gpu=Gpu(kv_capacity=capacity),
            arrival=rounds,
            prompt=np.frombuffer(taken.prompt, dtype=np.int64),
            output=np.frombuffer(taken.output, dtype=np.int64),
            id=tuple(taken.ids) if taken.ids else None,
            name=_name(path, window, load, arrivals, pairs) if name is None else name,
            provenance={key: value for key, value in provenance.items() if value is not None},
        )
    except InputError as error:  # ids that repeat, sums beyond 64 bits
        raise InputError(f"{file.path}: {error}") from error
    return ConvertedTrace(instance if pairs is None else rearranged(instance, pairs, seed), report)


_NEEDS_ROUND = (
    "round_ms: expected the milliseconds of a round, found none (--round-ms: how long a step of "
    "the engine takes at a usual batch)"
)


def _kv_capacity(known: TraceFormat, path: str) -> int:
    """Return the KV capacity that the file says, and refuse one that does not."""
    said = None if known.kv_capacity is None else known.kv_capacity(path)
    if said is None:
        where = "" if known.kv_capacity is None else f", nor in a {META} beside the log"
        raise InputError(
            f"{path}: kv_capacity: expected the tokens that the KV memory holds, found none{where} "
            "(--kv-capacity: engines print it when they start)"
        )
    return said


def _format(
    name: str, columns: str | Mapping[str, str] | None, table: Table, path: str
) -> TraceFormat:
    if columns is not None and name != "auto":
        raise InputError(f"format: columns describe the file already, found {name!r} as well")
    if columns is not None:
        known = mapped_format(_mapping(columns), table.container)
    elif name != "auto":
        known = known_format(name)
    else:
        known = detect_format(table, path)
    require_columns(known, table, path)
    return known


def _mapping(columns: str | Mapping[str, str]) -> dict[str, str]:
    return parse_columns(columns) if isinstance(columns, str) else dict(columns)


def _arranged(
    requests: Iterator[TraceRequest],
    known: TraceFormat,
    arrivals: str | None,
    sort: bool,
    path: str,
) -> Iterator[TraceRequest]:
    """Requests by arrival: as the file has them, sorted, or by a law."""
    if known.arrival is not None and arrivals is not None:
        raise InputError(
            f"{path}: arrivals: a law is for files without arrivals; this one has the column "
            f"{known.arrival!r}"
        )
    if known.arrival is not None:
        return sorted_by_arrival(requests) if sort else in_order(requests, path)
    if arrivals is None:
        raise InputError(
            f"{path}: expected arrivals, found lengths only (format {known.name}); choose a law: "
            "arrivals burst (all at 0) or poisson:rate=2.5,seed=1"
        )
    return with_arrivals(requests, arrival_law(arrivals))


def _nothing_taken(path: str, account: Account) -> InputError:
    if account.rows == 0:
        return InputError(f"{path}: expected at least one request, found only a header")
    left_out = ", ".join(f"{count} {reason}" for reason, count in account.dropped.items())
    return InputError(
        f"{path}: expected at least one request to take, found none among {account.rows} rows "
        f"({left_out})"
    )


def _rounds(taken: Columns, round_ms: float, load: float) -> IntArray:
    """⌊τ / (load · round_ms)⌋ with τ in nanoseconds since the first request, in integers."""
    length = exact(round_ms) * exact(load) * 10**6
    since = np.frombuffer(taken.arrival, dtype=np.int64) - taken.arrival[0]
    if int(since[-1]) * length.denominator >= 2**63:
        since = since.astype(object)
    rounds: IntArray = since * length.denominator // length.numerator
    if int(rounds[-1]) >= 2**62:
        raise InputError(
            f"round_ms: expected rounds that fit in 64 bits, found {rounds[-1]} rounds of "
            f"{round_ms} ms at load {load}"
        )
    return rounds.astype(np.int64)


def _report(
    path: str,
    known: TraceFormat,
    account: Account,
    taken: Columns,
    rounds: IntArray,
    asked: int | None,
    *,
    notes: tuple[str, ...],
    warnings: tuple[str, ...],
) -> ConversionReport:
    return ConversionReport(
        file=Path(path).name,
        format=known.name,
        rows_read=account.rows,
        taken=len(taken),
        dropped=dict(account.dropped),
        asked=asked,
        span_seconds=(taken.arrival[-1] - taken.arrival[0]) / 1e9,
        span_rounds=int(rounds[-1]),
        mean_prompt=sum(taken.prompt) / len(taken),
        mean_output=sum(taken.output) / len(taken),
        notes=notes,
        warnings=warnings,
    )


def _name(
    path: str | os.PathLike[str],
    window: Window,
    load: float,
    arrivals: str | None,
    pairs: str | None,
) -> str:
    """File name without endings, then every choice that is not the default."""
    stem = Path(path).name.split(".")[0] or "trace"
    choices: dict[str, Any] = {
        "start": (window.start, 0.0),
        "count": (window.count, None),
        "every": (window.every, 1),
        "thin": (window.thin, 1.0),
        "load": (load, 1.0),
        "arrivals": (arrivals, None),
        "pairs": (pairs, None),
    }
    parts = [
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, (value, default) in choices.items()
        if value != default
    ]
    return "-".join([stem, *parts])
