"""Read an engine's log in any of the known formats."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from ..errors import InputError
from ..traces.column_mapping import parse_columns
from ..traces.file import TraceFile
from ..traces.table import Table, open_table
from . import sglang
from .documents import looks_like, read_bench_serve, read_distserve, read_trtllm_bench
from .facts import EngineFacts, facts_beside, read_facts
from .format import TABLES, LogFormat, mapped_log
from .log import EngineLog
from .rows import Rows
from .table import read_rows

#: Formats that are no tables, by name: they read an opened file.
DOCUMENTS: Mapping[str, Callable[[TraceFile], Rows]] = {
    "vllm-bench": read_bench_serve,
    "sglang-requests": sglang.read_requests,
    "trtllm-bench": read_trtllm_bench,
    "distserve": read_distserve,
}


def read_engine_log(
    path: str | os.PathLike[str],
    *,
    format: str = "auto",  # noqa: A002 - the word of the command line
    columns: str | Mapping[str, str] | None = None,
    meta: str | os.PathLike[str] | None = None,
) -> EngineLog:
    r"""Read the log of a serving engine.

    Parameters
    ----------
    path : path-like
        A plain, gzip or zstd file.
    format : str
        ``"auto"``, or the name of a format.
    columns : str or mapping, optional
        Columns of any other CSV or JSON-lines file, as
        ``"arrival=ts,prompt=in,output=out,first=t1,last=t2[,id=name][,unit=s|ms|us|ns|date]"``;
        ``ttft=…,latency=…`` in place of ``first`` and ``last`` are times since the arrival.
    meta : path-like, optional
        What the engine wrote down of itself, as `facts.read_facts` takes it; by default the
        ``meta.json`` beside the log, if there is one.

    Returns
    -------
    EngineLog
        The requests served to their end, by arrival; failed ones are counted.

    Raises
    ------
    InputError
        If the file or a value in it cannot be used; the message says file, line, column and value.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "log.csv"
    ...     _ = file.write_text("at,in,out,ttft,e2e\n0.0,7,3,40,90\n0.01,8,0,,\n")
    ...     log = read_engine_log(
    ...         file, columns="arrival=at,prompt=in,output=out,ttft=ttft,latency=e2e,unit=ms"
    ...     )
    >>> log.n, log.failed, log.latency.tolist()
    (1, 1, [90000])
    """
    if columns is not None and format != "auto":
        raise InputError(f"format: columns describe the file already, found {format!r} as well")
    facts = facts_beside(path) if meta is None else read_facts(meta)
    with TraceFile(path) as file:
        name, rows = _rows(file, format, columns)
        sha256 = file.sha256()
    log = rows.log(file.path, name, facts=facts, sha256=sha256)
    return log if facts.source else replace(log, facts=EngineFacts())


def _rows(file: TraceFile, name: str, columns: str | Mapping[str, str] | None) -> tuple[str, Rows]:
    if name == "auto" and columns is None:
        head = file.head()
        name = "sglang-requests" if sglang.looks_like(head) else looks_like(head) or name
    if name in DOCUMENTS:
        return name, DOCUMENTS[name](file)
    table = open_table(file)
    if columns is not None:
        mapping = parse_columns(columns) if isinstance(columns, str) else columns
        known = mapped_log(mapping, table.container)
    else:
        known = _known(name, table, file.path)
    return known.name, read_rows(file, table, known)


def _known(name: str, table: Table, path: str) -> LogFormat:
    if name != "auto":
        if name not in TABLES:
            known = ", ".join(["auto", *TABLES, *DOCUMENTS])
            raise InputError(f"format: expected one of {known}; found {name!r}")
        return TABLES[name]
    for known_format in TABLES.values():
        if known_format.matches(table.container, table.names):
            return known_format
    found = ", ".join(repr(name) for name in table.names[:12])
    wanted = "; ".join(f"{each.name}: {', '.join(each.columns)}" for each in TABLES.values())
    raise InputError(
        f"{path}: expected the columns of a known log ({wanted}), found {found}; name them with "
        "columns arrival=…,prompt=…,output=…,first=…,last=…"
    )
