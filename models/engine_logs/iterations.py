"""Iterations of an engine: what each batch held, and how long it took.

Formats, all as their engines write them:

- vLLM with ``--enable-logging-iteration-details``: ``Iteration(7): 2 context requests, 957 context
  tokens, 43 generation requests, 43 generation tokens, iteration elapsed time: 25.94 ms``, in newer
  versions with ``GPU KV cache usage: 12.5%``;
- TensorRT-LLM's iteration log: ``iter = 7, …, prev_device_step_time = 12.5ms, …, states =
  {'num_ctx_tokens': 0, 'num_generation_tokens': 8}``, whose device time is that of the iteration
  before;
- SGLang's ``Decode batch`` lines: running requests over the tokens per second are a step's time, a
  mean over the interval between two lines;
- a table with named columns.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..instance import FloatArray
from ..traces.checks import shown
from ..traces.file import TraceFile
from ..traces.table import open_table

_VLLM = re.compile(
    r"Iteration\((\d+)\): \d+ context requests, (\d+) context tokens, (\d+) generation requests, "
    r"\d+ generation tokens, iteration elapsed time: ([\d.]+) ms( \(dummy\))?"
    r"(?:, GPU KV cache usage: ([\d.]+)%)?"
)
_VLLM_RANK = re.compile(r"EngineCore_DP(\d+)|Engine (\d{3}):")
_TRT = re.compile(
    r"iter = (\d+), global_rank = (\d+),.*?prev_device_step_time = ([\d.]+|N/A)\s*(?:ms)?,.*?"
    r"'num_ctx_tokens': (\d+),.*?'num_generation_tokens': (\d+)(?:.*?'cached_kv_tokens': (\d+))?"
)
_SGLANG = re.compile(
    r"Decode batch[.,].*?#running-req: (\d+), #(?:full )?token: (\d+),.*?"
    r"gen throughput \(token/s\): ([\d.]+)"
)

#: Roles of the columns of a table.
ROLES = ("prompt", "jobs", "time", "kv", "context", "unit")

#: Milliseconds of the units of a table's times.
_UNITS = {"s": 1000.0, "ms": 1.0, "us": 0.001}


@dataclass(frozen=True, slots=True, kw_only=True)
class Iterations:
    """Batches that an engine measured; b of them.

    Attributes
    ----------
    name, format : str
        The file, and what it is.
    prompt_tokens, jobs : ndarray of float64, shape (b,)
        Prompt tokens and token jobs of each batch.
    kv : ndarray of float64, shape (b,), or None
        KV tokens that its token jobs read; None where the log does not say it.
    milliseconds : ndarray of float64, shape (b,)
        How long it took.
    """

    name: str
    format: str
    prompt_tokens: FloatArray
    jobs: FloatArray
    kv: FloatArray | None
    milliseconds: FloatArray


class _Steps:
    """Batches that grow by one at a time."""

    def __init__(self) -> None:
        self.columns = [array("d") for _ in range(4)]

    def append(self, p: float, d: float, kv: float | None, ms: float) -> None:
        values = (p, d, float("nan") if kv is None else kv, ms)
        for column, value in zip(self.columns, values, strict=True):
            column.append(value)

    def iterations(self, file: TraceFile, name: str) -> Iterations:
        p, d, kv, ms = (np.frombuffer(column, dtype=np.float64) for column in self.columns)
        kept = (ms > 0) & (p + d > 0)
        if not kept.any():
            raise InputError(f"{file.path}: expected measured batches, found none")
        known = not np.isnan(kv[kept]).any()
        return Iterations(
            name=file.path, format=name, prompt_tokens=p[kept], jobs=d[kept],
            kv=kv[kept] if known else None, milliseconds=ms[kept],
        )  # fmt: skip


def read_iterations(file: TraceFile, name: str, kv_capacity: int | None = None) -> Iterations:
    """Read an iteration log.

    Parameters
    ----------
    file : TraceFile
        The opened file.
    name : str
        A name of `FORMATS`.
    kv_capacity : int, optional
        KV tokens of the engine, where the log tells their use as a share only.

    Raises
    ------
    InputError
        If it has no batch, or those of several ranks.
    """
    steps = _Steps()
    FORMATS[name](file, steps, kv_capacity)
    return steps.iterations(file, name)


def format_of(head: str) -> str | None:
    """Return which iteration log a file is that begins so; None for none.

    Examples
    --------
    >>> format_of("Decode batch. #running-req: 9, #token: 70, gen throughput (token/s): 4.0")
    'sglang-decode'
    """
    for name, pattern in (("vllm-iterations", _VLLM), ("trtllm-iterations", _TRT),
                          ("sglang-decode", _SGLANG)):  # fmt: skip
        if any(pattern.search(line) for line in head.splitlines()):
            return name
    return None


def read_table(file: TraceFile, columns: Mapping[str, str]) -> Iterations:
    """Read batches from a CSV or JSON-lines file, by named columns.

    Parameters
    ----------
    file : TraceFile
        The opened file.
    columns : mapping of str to str
        ``prompt`` and ``jobs`` (prompt tokens, token jobs), ``time``; optionally ``kv`` (KV tokens
        read in all), or ``context`` (per token job), and ``unit`` of the time, ms by default.

    Raises
    ------
    InputError
        If a column is missing, or a value is no number ≥ 0.
    """
    for role in columns:
        if role not in ROLES:
            raise InputError(f"columns: expected roles among {', '.join(ROLES)}; found {role!r}")
    for role in ("prompt", "jobs", "time"):
        if role not in columns:
            raise InputError(f"columns: expected a column for {role!r}, found none")
    unit = columns.get("unit", "ms")
    if unit not in _UNITS:
        raise InputError(f"columns.unit: expected one of {', '.join(_UNITS)}; found {unit!r}")
    extra = [role for role in ("kv", "context") if role in columns]
    table = open_table(file)
    wanted = [columns[role] for role in ("prompt", "jobs", "time", *extra[:1])]
    for column in wanted:
        if column not in table.names:
            raise InputError(f"{file.path}: expected a column {column!r}, found {table.names}")
    steps = _Steps()
    for cells in table.rows(wanted):
        p, d, ms, *more = (
            _number(file, column, cell) for column, cell in zip(wanted, cells, strict=True)
        )
        kv = None if not more else more[0] * (d if extra[0] == "context" else 1)
        steps.append(p, d, kv, ms * _UNITS[unit])
    return steps.iterations(file, f"columns-{table.container}")


def _number(file: TraceFile, column: str, cell: str) -> float:
    try:
        value = float(cell.strip('"'))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise InputError(f"{file.where()}: {column}: expected a number ≥ 0, found {shown(cell)}")
    return value


def _vllm(file: TraceFile, steps: _Steps, kv_capacity: int | None) -> None:
    ranks: set[str] = set()
    for line in file:
        found = _VLLM.search(line)
        if found is None or found[5]:
            continue
        rank = _VLLM_RANK.search(line)
        if rank is not None:
            ranks.add(str(int(rank[1] or rank[2])))
        if len(ranks) > 1:
            raise _several(file, ranks)
        known = found[6] is not None and kv_capacity is not None
        kv = float(found[6]) / 100 * (kv_capacity or 0) if known else None
        steps.append(float(found[2]), float(found[3]), kv, float(found[4]))


def _trtllm(file: TraceFile, steps: _Steps, kv_capacity: int | None) -> None:
    """Read device times, each of the iteration before, where that one is in the log."""
    before: tuple[int, float, float, float | None] | None = None
    ranks: set[str] = set()
    for line in file:
        found = _TRT.search(line)
        if found is None:
            continue
        ranks.add(found[2])
        if len(ranks) > 1:
            raise _several(file, ranks)
        number = int(found[1])
        if before is not None and before[0] == number - 1 and found[3] != "N/A":
            steps.append(*before[1:], float(found[3]))
        cached = None if found[6] is None else float(found[6])
        before = (number, float(found[4]), float(found[5]), cached)


def _sglang(file: TraceFile, steps: _Steps, kv_capacity: int | None) -> None:
    for line in file:
        found = _SGLANG.search(line)
        if found is None:
            continue
        if "accept len" in line:
            raise InputError(
                f"{file.where()}: expected one token per step, found speculative decoding "
                "(accept len): a step's time does not follow from the tokens per second"
            )
        running, rate = float(found[1]), float(found[3])
        if rate > 0:
            steps.append(0.0, running, float(found[2]), 1000 * running / rate)


def _several(file: TraceFile, ranks: set[str]) -> InputError:
    found = ", ".join(sorted(ranks))
    return InputError(
        f"{file.where()}: expected iterations of one rank, found those of {found}: keep the lines "
        "of one"
    )


#: Iteration logs by name.
FORMATS: Mapping[str, Callable[[TraceFile, _Steps, int | None], None]] = {
    "vllm-iterations": _vllm,
    "trtllm-iterations": _trtllm,
    "sglang-decode": _sglang,
}
