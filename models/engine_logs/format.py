"""What a format of engine logs is: which columns say when and how much."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..errors import InputError
from ..traces.clock import SECONDS, UNITS, Clock
from ..traces.format import Container

#: What a column of a table can be: ``first`` and ``last`` are moments, ``ttft`` and ``latency``
#: the same since the arrival.
ROLES = ("arrival", "prompt", "output", "first", "last", "ttft", "latency", "id", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFormat:
    """A format with a row for each request.

    Attributes
    ----------
    name : str
        Name for ``--format``.
    arrival, prompt, output, first, last : str
        Columns of the arrival, the tokens, and the moments of the first and the last token.
    durations : bool
        Whether `first` and `last` are times since the arrival instead of moments.
    id : str or None
        Column of names.
    clock : Clock
        How the times are written.
    container : {"csv", "jsonl"}
        A CSV file with a header, or one JSON object a line.

    Examples
    --------
    >>> VLLM_REQUESTS.matches("jsonl", ["request_id", *VLLM_REQUESTS.columns])
    True
    """

    name: str
    arrival: str
    prompt: str
    output: str
    first: str
    last: str
    durations: bool = False
    id: str | None = None
    clock: Clock = SECONDS
    container: Container = "jsonl"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are read, in the order of the attributes; the names come last."""
        named = (self.arrival, self.prompt, self.output, self.first, self.last)
        return named if self.id is None else (*named, self.id)

    def matches(self, container: Container, columns: Collection[str]) -> bool:
        """Whether a file with these columns looks like this format."""
        return container == self.container and set(self.columns) <= set(columns)


#: Requests of measured vLLM runs, as LLMServingSim publishes them: ``arrival_time`` is the
#: client's wall clock, all others are of the engine's monotonic one.
VLLM_REQUESTS = LogFormat(
    name="vllm-log",
    arrival="queued_ts",
    prompt="input_toks",
    output="output_toks",
    first="first_token_ts",
    last="last_token_ts",
    id="request_id",
)

#: Formats that are tables, by name.
TABLES: Mapping[str, LogFormat] = {VLLM_REQUESTS.name: VLLM_REQUESTS}


def mapped_log(columns: Mapping[str, str], container: Container) -> LogFormat:
    """Return the format of a file whose columns are named by role.

    Parameters
    ----------
    columns : mapping of str to str
        ``arrival``, ``prompt``, ``output``; ``first`` and ``last`` (moments), or ``ttft`` and
        ``latency`` (times since the arrival); optionally ``id``, and ``unit`` of all times: ``s``
        (the default), ``ms``, ``us``, ``ns``, or ``date`` for moments as dates with times.

    Raises
    ------
    InputError
        If a role is unknown or missing, two roles share a column, or the unit is unknown.

    Examples
    --------
    >>> roles = {"arrival": "at", "prompt": "in", "output": "out", "ttft": "t1", "latency": "t2"}
    >>> mapped_log(roles, "csv").columns
    ('at', 'in', 'out', 't1', 't2')
    """
    for role in columns:
        if role not in ROLES:
            raise InputError(f"columns: expected roles among {', '.join(ROLES)}; found {role!r}")
    durations = "ttft" in columns or "latency" in columns
    times = ("ttft", "latency") if durations else ("first", "last")
    if durations and ("first" in columns or "last" in columns):
        raise InputError("columns: expected first and last, or ttft and latency, found both kinds")
    for role in ("arrival", "prompt", "output", *times):
        if role not in columns:
            raise InputError(f"columns: expected a column for {role!r}, found none")
    unit = columns.get("unit", "s")
    if unit not in UNITS or (unit == "date" and durations):
        raise InputError(
            f"columns.unit: expected one of {', '.join(UNITS)} (date for moments only); found "
            f"{unit!r}"
        )
    used = [column for role, column in columns.items() if role != "unit"]
    if len(set(used)) < len(used):
        raise InputError(f"columns: expected a column of its own for each role, found {used}")
    return LogFormat(
        name=f"columns-{container}",
        arrival=columns["arrival"],
        prompt=columns["prompt"],
        output=columns["output"],
        first=columns[times[0]],
        last=columns[times[1]],
        durations=durations,
        id=columns.get("id"),
        clock=UNITS[unit],
        container=container,
    )
