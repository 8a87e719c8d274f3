"""Logs that are one document: results of ``vllm bench serve``, and runs of DistServe's study."""

from __future__ import annotations

import ast
import json
from typing import Any

from ..disk import MOST_BYTES
from ..errors import InputError
from ..traces.clock import SECONDS
from ..traces.file import TraceFile
from .rows import Row, Rows

#: Lists of a result of ``vllm bench serve --save-detailed`` (vllm/benchmarks/serve.py), one entry
#: for each request in the order in which they were sent; seconds.
_BENCH = ("input_lens", "output_lens", "ttfts", "itls")


def read_bench_serve(file: TraceFile) -> Rows:
    """Read a result of ``vllm bench serve`` with details.

    A request arrives when the client sends it (``start_times``), gets its first token ``ttft``
    later and its last after all its ``itls``. One with an error, or without tokens, has failed.

    Raises
    ------
    InputError
        If it is no such document, or was saved without the details.
    """
    record = _json(file)
    for name in (*_BENCH, "start_times"):
        if name not in record:
            raise InputError(
                f"{file.path}: expected a list {name!r}, found none: run vllm bench serve with "
                "--save-result --save-detailed"
                + (
                    " of a version that writes when each request was sent"
                    if name == "start_times"
                    else ""
                )
            )
    columns = [_list(file, record, name) for name in (*_BENCH, "start_times")]
    errors = _list(file, record, "errors") if record.get("errors") else [""] * len(columns[0])
    rows = Rows()
    for k, (prompt, output, ttft, itl, start, error) in enumerate(
        zip(*columns, errors, strict=True), start=1
    ):
        where = f"{file.path}: request {k}"
        if error or not output:
            rows.failed += 1
            continue
        begin = _seconds(where, "start_times", start)
        first = begin + _seconds(where, "ttfts", ttft)
        if not isinstance(itl, list):
            raise InputError(f"{where}: itls: expected a list of seconds, found {_shown(itl)}")
        last = first + sum(_seconds(where, "itls", each) for each in itl)
        lengths = (_tokens(where, "input_lens", prompt), _tokens(where, "output_lens", output))
        rows.append(Row(k, begin, first, last, *lengths))
    return rows


def read_distserve(file: TraceFile) -> Rows:
    """Read a run of DistServe's study: a first line with a Python list of requests, then a summary.

    Raises
    ------
    InputError
        If it is no such document.
    """
    line = next(iter(file), "")
    try:
        found = ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise InputError(f"{file.where()}: expected a list of requests ({error})") from error
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InputError(f"{file.where()}: expected a list of requests, found {_shown(found)}")
    rows = Rows()
    for k, request in enumerate(found, start=1):
        where = f"{file.path}: request {k}"
        times = ("issue_time", "first_token_time", "complete_time")
        for name in (*times, "prompt_len", "output_len"):
            if name not in request:
                raise InputError(f"{where}: expected {name!r}, found {_shown(list(request))}")
        if not request["output_len"]:
            rows.failed += 1
            continue
        begin, first, last = (_seconds(where, name, request[name]) for name in times)
        prompt, output = (
            _tokens(where, name, request[name]) for name in ("prompt_len", "output_len")
        )
        rows.append(Row(k, begin, first, last, prompt, output))
    return rows


def looks_like(head: str) -> str | None:
    """Return which document begins so; None for none, as for tables.

    Examples
    --------
    >>> looks_like("[{'prompt_len': 55, 'output_len': 4, 'issue_time': 1.5"), looks_like("a,b")
    ('distserve', None)
    """
    text = head.lstrip()
    if text.startswith("[{'") and "'issue_time'" in text:
        return "distserve"
    bench = text.startswith("{") and '"date"' in text and '"num_prompts"' in text
    return "vllm-bench" if bench else None


def _json(file: TraceFile) -> dict[str, Any]:
    text, size = [], 0
    for line in file:
        size += len(line)
        if size > MOST_BYTES:
            raise InputError(f"{file.path}: expected at most {MOST_BYTES} characters, found more")
        text.append(line)
    try:
        record = json.loads("".join(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file.path}: not valid JSON ({error})") from error
    if not isinstance(record, dict):
        raise InputError(f"{file.path}: expected a JSON object, found {_shown(record)}")
    return record


def _list(file: TraceFile, record: dict[str, Any], name: str) -> list[Any]:
    value, wanted = record[name], record[_BENCH[0]]
    if not isinstance(value, list) or not isinstance(wanted, list) or len(value) != len(wanted):
        raise InputError(
            f"{file.path}: {name}: expected a list with an entry for each request, found "
            f"{_shown(value)}"
        )
    return value


def _seconds(where: str, name: str, value: object) -> int:
    """Return nanoseconds."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    time = SECONDS.parse(repr(value)) if number else None
    if time is None:
        raise InputError(f"{where}: {name}: expected {SECONDS.expected}, found {_shown(value)}")
    return time


def _tokens(where: str, name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise InputError(f"{where}: {name}: expected an integer ≥ 1, found {_shown(value)}")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
