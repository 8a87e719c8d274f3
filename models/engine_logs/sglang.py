"""Requests as SGLang's server writes them with ``--export-metrics-to-file``: JSON lines."""

from __future__ import annotations

import json
from typing import Any

from ..errors import InputError
from ..strict import refuse_repeated_keys
from ..traces.file import TraceFile
from .rows import Row, Rows
from .values import moment, shown, tokens

#: Keys of the moment of the last token, the newest version's first.
_LAST = ("request_finished_ts", "decode_finished_ts")

#: Tokens per second of a request: beyond these it takes years, or no time.
SLOWEST, FASTEST = 1e-6, 1e9

#: A request that was cut off by its client or the server.
_ABORTED = "abort"


def read_requests(file: TraceFile) -> Rows:
    """Read a file ``sglang-request-metrics-*.log``: an object a line for each request.

    Moments are those of the server's front end, in seconds of its wall clock. A request arrives at
    ``request_received_ts``, and its last token comes at ``request_finished_ts``
    (``decode_finished_ts`` in older versions). The first token's moment is
    ``prefill_finished_ts``; newer versions tell it by ``decode_throughput``, the tokens after the
    first one per second between the two, and, from the scheduler, by ``prefill_finished_time``.
    Aborted requests, and those without output, have failed.

    Raises
    ------
    InputError
        At the first line that is no such object.
    """
    rows = Rows()
    for line in file:
        if line.strip():
            _append(rows, file, _object(file, line))
    return rows


def looks_like(head: str) -> bool:
    """Whether a file that begins so is one of these.

    Examples
    --------
    >>> looks_like('{"request_parameters": "{}", "id": "a"'), looks_like('{"a": 1}')
    (True, False)
    """
    return head.lstrip().startswith('{"request_parameters"')


def _object(file: TraceFile, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=refuse_repeated_keys)
    except (InputError, ValueError, RecursionError) as error:
        raise InputError(f"{file.where()}: not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(f"{file.where()}: expected a JSON object, found {shown(found)}")
    return found


def _append(rows: Rows, file: TraceFile, request: dict[str, Any]) -> None:
    where = file.where()
    for name in ("request_received_ts", "prompt_tokens", "completion_tokens"):
        if name not in request:
            raise InputError(f"{where}: expected {name!r}, found {shown(list(request))}")
    output = tokens(where, "completion_tokens", request["completion_tokens"], low=0)
    reason = request.get("finish_reason")
    if not output or (isinstance(reason, dict) and reason.get("type") == _ABORTED):
        rows.failed += 1
        return
    prompt = tokens(where, "prompt_tokens", request["prompt_tokens"])
    arrival = moment(where, "request_received_ts", request["request_received_ts"])
    last = _last(where, request, arrival)
    first = _first(where, request, output, last)
    given = request.get("id")
    own = given if isinstance(given, str) else None
    rows.append(Row(file.line, arrival, first, last, prompt, output, own))
    rows.cached += tokens(where, "cached_tokens", request.get("cached_tokens") or 0, low=0)


def _last(where: str, request: dict[str, Any], arrival: int) -> int:
    for name in _LAST:
        if request.get(name) is not None:
            return moment(where, name, request[name])
    if request.get("e2e_latency") is not None:
        return arrival + moment(where, "e2e_latency", request["e2e_latency"])
    raise InputError(f"{where}: expected {_LAST[0]!r} or 'e2e_latency', found neither")


def _first(where: str, request: dict[str, Any], output: int, last: int) -> int:
    if request.get("prefill_finished_ts") is not None:
        return moment(where, "prefill_finished_ts", request["prefill_finished_ts"])
    if output == 1:
        return last
    rate = request.get("decode_throughput")
    if rate is not None:
        number = isinstance(rate, (int, float)) and not isinstance(rate, bool)
        if not number or not SLOWEST <= rate <= FASTEST:
            raise InputError(
                f"{where}: decode_throughput: expected a number from {SLOWEST:g} to {FASTEST:g}, "
                f"found {shown(rate)}"
            )
        return last - round((output - 1) * 10**9 / float(rate))
    if request.get("prefill_finished_time") is not None:
        return moment(where, "prefill_finished_time", request["prefill_finished_time"])
    raise InputError(
        f"{where}: expected 'prefill_finished_ts', 'decode_throughput' or "
        "'prefill_finished_time', found none of them: no moment of the first token"
    )
