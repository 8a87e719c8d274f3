"""Logs that are one document: results of benchmark clients, and runs of DistServe's study."""

from __future__ import annotations

import ast
from typing import Any

from ..errors import InputError
from ..traces.clock import UNITS
from ..traces.file import TraceFile
from .rows import Row, Rows
from .values import moment, read_json, shown, tokens

#: Lists of a result of ``vllm bench serve --save-detailed`` (vllm/benchmarks/serve.py), one entry
#: for each request in the order in which they were sent; seconds.
_BENCH = ("input_lens", "output_lens", "ttfts", "itls")

#: Moments of a request of ``trtllm-bench --request_json``, in nanoseconds.
_TRTLLM = ("start_timestamp", "first_token_timestamp", "end_timestamp")

#: Moments and lengths of a request of a run of DistServe's study.
_DISTSERVE = (
    ("issue_time", "first_token_time", "complete_time"),
    ("prompt_len", "output_len"),
)


def read_bench_serve(file: TraceFile) -> Rows:
    """Read a result of ``vllm bench serve`` with details.

    A request arrives when the client sends it (``start_times``), gets its first token ``ttft``
    later and its last after all its ``itls``. One with an error, or without tokens, has failed.

    Raises
    ------
    InputError
        If it is no such document, or was saved without the details.
    """
    record = read_json(file, dict, "object")
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
        begin = moment(where, "start_times", start)
        first = begin + moment(where, "ttfts", ttft)
        if not isinstance(itl, list):
            raise InputError(f"{where}: itls: expected a list of seconds, found {shown(itl)}")
        last = first + sum(moment(where, "itls", each) for each in itl)
        lengths = (tokens(where, "input_lens", prompt), tokens(where, "output_lens", output))
        rows.append(Row(k, begin, first, last, *lengths))
    return rows


def read_trtllm_bench(file: TraceFile) -> Rows:
    """Read the requests of ``trtllm-bench throughput --streaming --request_json``.

    A JSON array with an object for each request: when the client sent it, when its first and its
    last token came (nanoseconds of one clock), and its tokens. One with ``error_tokens``, or
    without output, has failed.

    Raises
    ------
    InputError
        If it is no such document, or of a run without ``--streaming``.
    """
    rows = Rows()
    for k, request in enumerate(read_json(file, list, "array"), start=1):
        where = f"{file.path}: request {k}"
        if not isinstance(request, dict):
            raise InputError(f"{where}: expected a JSON object, found {shown(request)}")
        output = "output_tokens" if "output_tokens" in request else "num_output_tokens"
        _require(where, request, (*_TRTLLM, "num_input_tokens", output))
        if request.get("error_tokens") or not request[output]:
            rows.failed += 1
            continue
        lengths = [tokens(where, name, request[name]) for name in ("num_input_tokens", output)]
        times = {name: request[name] for name in _TRTLLM}
        if times["first_token_timestamp"] in (None, -1):
            if lengths[1] > 1:
                raise InputError(
                    f"{where}: first_token_timestamp: expected a time in nanoseconds, found "
                    f"{times['first_token_timestamp']}: run trtllm-bench with --streaming"
                )
            times["first_token_timestamp"] = times["end_timestamp"]
        begin, first, last = (moment(where, name, times[name], UNITS["ns"]) for name in _TRTLLM)
        prompt, produced = lengths
        rows.append(Row(k, begin, first, last, prompt, produced, _name(request.get("id"))))
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
        raise InputError(f"{file.where()}: expected a list of requests, found {shown(found)}")
    rows = Rows()
    times, lengths = _DISTSERVE
    for k, request in enumerate(found, start=1):
        where = f"{file.path}: request {k}"
        _require(where, request, (*times, *lengths))
        if not request["output_len"]:
            rows.failed += 1
            continue
        begin, first, last = (moment(where, name, request[name]) for name in times)
        prompt, output = (tokens(where, name, request[name]) for name in lengths)
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
    if text.startswith("[") and '"num_input_tokens"' in text and '"start_timestamp"' in text:
        return "trtllm-bench"
    bench = text.startswith("{") and '"date"' in text and '"num_prompts"' in text
    return "vllm-bench" if bench else None


def _require(where: str, request: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name not in request:
            raise InputError(f"{where}: expected {name!r}, found {shown(list(request))}")


def _list(file: TraceFile, record: dict[str, Any], name: str) -> list[Any]:
    value, wanted = record[name], record[_BENCH[0]]
    if not isinstance(value, list) or not isinstance(wanted, list) or len(value) != len(wanted):
        raise InputError(
            f"{file.path}: {name}: expected a list with an entry for each request, found "
            f"{shown(value)}"
        )
    return value


def _name(value: object) -> str | None:
    """Return a request's name, which may be a number."""
    return str(value) if isinstance(value, (int, str)) else None
