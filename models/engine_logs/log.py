"""What a log says of each request, checked."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..instance import FloatArray, IntArray
from .facts import EngineFacts

#: Microseconds of a second.
SECOND = 10**6

#: Times per output token that a serving engine may have, in microseconds: 0.2 ms to 3 s.
FASTEST_TOKEN, SLOWEST_TOKEN = 200, 3 * SECOND

#: Longer between arrival and first token, and the two are of different clocks: a month.
LONGEST_WAIT = 30 * 86_400 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLog:
    """The requests that an engine served to their end, in order of arrival.

    Times are microseconds since the first arrival of the log.

    Attributes
    ----------
    name : str
        The file.
    format : str
        The format that it is in.
    arrival, first_token, last_token : ndarray of int64, shape (n,)
        ``arrival ≤ first_token ≤ last_token``, equal ends for one output token.
    prompt, output : ndarray of int64, shape (n,)
        Tokens, ≥ 1.
    id : tuple of str, optional
        Names.
    line : ndarray of int64, shape (n,)
        Where each request is in the file: its line, or its position in a list.
    failed : int
        Requests in the file that were not served to their end.
    cached : int
        Prompt tokens that came from a prefix cache, where the log says so.
    facts : EngineFacts
        What the engine wrote down of itself.
    sha256 : str
        Of the file.
    path : str
        Where the file is, as messages name it; `name` by default.

    Examples
    --------
    >>> log = EngineLog(
    ...     name="a.jsonl", format="vllm-log", arrival=[0, 10], first_token=[30_000, 50_000],
    ...     last_token=[90_000, 50_000], prompt=[7, 8], output=[3, 1],
    ... )
    >>> log.n, log.latency.tolist(), log.time_per_output_token.tolist()
    (2, [90000, 49990], [30000.0])
    """

    name: str
    format: str
    arrival: IntArray
    first_token: IntArray
    last_token: IntArray
    prompt: IntArray
    output: IntArray
    id: tuple[str, ...] | None = None
    line: IntArray | None = None
    failed: int = 0
    cached: int = 0
    facts: EngineFacts = field(default_factory=EngineFacts)
    sha256: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path or self.name)
        for name in ("arrival", "first_token", "last_token", "prompt", "output"):
            column = np.asarray(getattr(self, name), dtype=np.int64).copy()
            column.setflags(write=False)
            object.__setattr__(self, name, column)
        if self.n == 0:
            raise InputError(
                f"{self.path}: expected at least one request served to its end, found none"
                + (f" among {self.failed:,}" if self.failed else "")
            )
        _require_one_clock(self)
        _require_order(self)
        _require_unit(self)

    @property
    def n(self) -> int:
        """Requests served to their end."""
        return int(self.arrival.size)

    @property
    def latency(self) -> IntArray:
        """From arrival to last token, shape (n,)."""
        return self.last_token - self.arrival

    @property
    def time_to_first_token(self) -> IntArray:
        """From arrival to first token, shape (n,)."""
        return self.first_token - self.arrival

    @property
    def time_per_output_token(self) -> FloatArray:
        """From first to last token over the tokens after the first, where there are any."""
        many = self.output >= 2
        each: FloatArray = (self.last_token - self.first_token)[many] / (self.output[many] - 1)
        return each

    def where(self, i: int) -> str:
        """Say where a request is in the file."""
        if self.line is None:
            return f"{self.path}: request {i}"
        return f"{self.path}: line {int(self.line[i])}"


def _require_one_clock(log: EngineLog) -> None:
    for name, since in (("first token", log.first_token), ("last token", log.last_token)):
        wait = since - log.arrival
        far = np.flatnonzero(np.abs(wait) > LONGEST_WAIT)
        if far.size:
            i = int(far[0])
            raise InputError(
                f"{log.where(i)}: expected arrival and {name} of one clock and unit, found them "
                f"{wait[i] / SECOND:.3g} s apart"
            )


def _require_order(log: EngineLog) -> None:
    pairs = (
        ("first token", log.first_token, "arrival", log.arrival),
        ("last token", log.last_token, "first token", log.first_token),
    )
    for later, after, earlier, before in pairs:
        wrong = np.flatnonzero(after < before)
        if wrong.size:
            i = int(wrong[0])
            more = f" ({wrong.size:,} such requests)" if wrong.size > 1 else ""
            raise InputError(
                f"{log.where(i)}: expected the {later} no earlier than the {earlier}, found it "
                f"{(before[i] - after[i]) / SECOND:.6g} s earlier{more}"
            )


def _require_unit(log: EngineLog) -> None:
    """Refuse times that are off by a factor of a thousand."""
    per_token = log.time_per_output_token
    if per_token.size == 0:
        return
    usual = float(np.median(per_token))
    if not FASTEST_TOKEN <= usual <= SLOWEST_TOKEN:
        unit = "smaller" if usual > SLOWEST_TOKEN else "larger"
        raise InputError(
            f"{log.path}: expected from {FASTEST_TOKEN} µs to {SLOWEST_TOKEN // SECOND} s per "
            f"output token, found {usual / SECOND:.3g} s (median): the unit of the times is "
            f"{unit} than the format says (with --columns …,unit=s|ms|us|ns)"
        )
