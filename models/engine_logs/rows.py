"""Requests of a log, row by row: checked, put in order, and made one `EngineLog`."""

from __future__ import annotations

from array import array
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..instance import IntArray
from .facts import EngineFacts
from .log import EngineLog

#: Nanoseconds of a microsecond.
_NS = 1000


class Row(NamedTuple):
    """A request that was served to its end: times in nanoseconds of the log's clock."""

    line: int
    arrival: int
    first: int
    last: int
    prompt: int
    output: int
    id: str | None = None


class Rows:
    """Rows that grow by one request at a time, 48 bytes each; failed requests, cached tokens.

    Examples
    --------
    >>> rows = Rows()
    >>> rows.append(Row(1, 5_000, 40_005_000, 80_005_000, 7, 3, "a"))
    >>> log = rows.log("a.jsonl", "vllm-log")
    >>> log.arrival.tolist(), log.last_token.tolist(), log.id
    ([0], [80000], ('a',))
    """

    def __init__(self) -> None:
        self._columns = [array("q") for _ in range(6)]
        self._ids: list[str | None] = []
        self.failed = 0
        self.cached = 0

    def append(self, row: Row) -> None:
        """Add one request."""
        for column, value in zip(self._columns, row[:6], strict=True):
            column.append(value)
        self._ids.append(row.id)

    def log(
        self, path: str, known: str, *, facts: EngineFacts | None = None, sha256: str = ""
    ) -> EngineLog:
        """Return the log: by arrival, in microseconds since the first one.

        Raises
        ------
        InputError
            If no request was served, names repeat, or the times are impossible.
        """
        line, arrival, first, last, prompt, output = (
            np.frombuffer(column, dtype=np.int64) for column in self._columns
        )
        order = np.argsort(arrival, kind="stable")
        begin = int(arrival.min()) if arrival.size else 0

        def micro(time: IntArray) -> IntArray:
            return (time[order] - begin + _NS // 2) // _NS

        return EngineLog(
            name=Path(path).name,
            format=known,
            arrival=micro(arrival),
            first_token=micro(first),
            last_token=micro(last),
            prompt=prompt[order],
            output=output[order],
            id=self._names(path, order),
            line=line[order],
            failed=self.failed,
            cached=self.cached,
            facts=EngineFacts() if facts is None else facts,
            sha256=sha256,
            path=path,
        )

    def _names(self, path: str, order: IntArray) -> tuple[str, ...] | None:
        """Return ids by arrival; who has none, where others have, is called by its line."""
        if all(name is None for name in self._ids):
            return None
        lines = self._columns[0]
        ids = [f"line {lines[k]}" if name is None else name for k, name in enumerate(self._ids)]
        if len(set(ids)) < len(ids):
            again, _ = Counter(ids).most_common(1)[0]
            at = [k for k, name in enumerate(ids) if name == again][1]
            raise InputError(f"{path}: line {lines[at]}: ids must be unique, found {again!r} again")
        return tuple(ids[i] for i in order.tolist())
