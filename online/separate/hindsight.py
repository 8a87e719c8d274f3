"""Hindsight schedules from a batch boundary on, kept up to date while a decision is built up.

A world holds who runs, who waits and who is to come, with their lengths. Its schedule is a code of
`solvers.separate.search.schedule_builder`, found by the engine's annealing. When it is decided who
is in the next prompt batch, a world whose schedule has them there keeps it; another is solved again
with them in front.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...models.instance import IntArray
from ...models.separate.schedule import Kind
from ...solvers.random_stream import Stream
from ...solvers.separate.compiled_instance import Machine
from ...solvers.separate.search.annealing import Begin, anneal, start_annealing, take_up
from ...solvers.separate.search.encoding import Encoding, plain_encoding
from ...solvers.separate.search.running import Running
from ...solvers.separate.search.schedule_builder import (
    REJECTED,
    latency_from,
    log_size,
    working_space,
)

#: Temperatures at the first and the last step, as shares of the mean latency: with few steps,
#: little heat betters a list schedule where much of it forgets it.
HEAT = (0.1, 0.015)

#: Share of that heat, and of the steps, when a world is solved again.
REHEAT, FEWER = 0.25, 0.5


class First(NamedTuple):
    """What a schedule does first.

    Attributes
    ----------
    kind : {"prompt", "token"}
        Kind of its first batch.
    members : tuple of int
        Positions of its requests in the machine's columns.
    start : int
        When it starts; later than now if it waits for somebody who is to come.
    """

    kind: Kind
    members: tuple[int, ...]
    start: int


@dataclass(slots=True)
class World:
    """What is known or drawn of a moment and its future, with a schedule.

    Attributes
    ----------
    machine : Machine
        All requests: who waits, who runs, who is to come.
    begin : Begin
        Who runs now.
    code : Encoding
        The hindsight schedule of those without KV.
    cost : int
        Latencies of all requests under it.
    """

    machine: Machine
    begin: Begin
    code: Encoding
    cost: int

    @property
    def without_kv(self) -> IntArray:
        """Positions of those who do not run."""
        return np.setdiff1d(np.arange(self.machine.arrival.size), self.begin.running.who)

    def try_codes(self, codes: Iterable[Encoding]) -> None:
        """Take the best of several codes."""
        for code in codes:
            cost = self._cost(code)
            if cost < self.cost:
                self.code, self.cost = code, cost

    def solve(self, steps: int, heat: float, stream: Stream) -> None:
        """Anneal from the code on."""
        walk = start_annealing(self.machine, self.begin, self.code)
        mean = self.cost / max(1, self.machine.arrival.size)
        if steps > 0:
            hot = max(HEAT[0] * heat, HEAT[1]) * mean
            anneal(self.machine, walk, stream, (0, steps, steps), (hot, HEAT[1] * mean))
        self.code, self.cost = walk.best, int(walk.cost[1])

    def first(self) -> First:
        """Return the first batch of the schedule; somebody must be there, or to come."""
        machine, now = self.machine, self.begin.now
        log = np.zeros(log_size(machine.output), np.int64)
        self._decode(self.code, log)
        members = tuple(log[3 : 3 + log[2]].tolist())
        if log[1] != 0:
            return First("token", members, now)
        return First("prompt", members, max(now, int(machine.arrival[list(members)].max())))

    def commit(self, chosen: Sequence[int], first: First, steps: int, stream: Stream) -> None:
        """Put requests into a prompt batch that starts now; solve again if they were not there."""
        now = self.begin.now
        agreed = first.kind == "prompt" and first.start == now and {*chosen} <= {*first.members}
        order, wait, least, most = self.code[:4]
        rest = order[~np.isin(order, chosen)]
        if not agreed:  # they are a batch more
            wait, least, most = (np.append(0, column[:-1]) for column in (wait, least, most))
            most[:1] = order.size
        order = np.append(chosen, rest).astype(np.int64)
        self.code = Encoding(order, wait, least, most, *self.code[4:])
        self.code.wait[:1], self.code.least[:1] = 0, 1
        self.begin = self.begin._replace(fixed=len(chosen))
        self.cost = self._cost(self.code)
        if not agreed:
            self.solve(int(FEWER * steps), REHEAT, stream)

    def _cost(self, code: Encoding) -> int:
        return self._decode(code, np.zeros(0, np.int64))

    def _decode(self, code: Encoding, log: IntArray) -> int:
        space = working_space(self.machine.arrival.size)
        take_up(self.begin, space)
        cost = latency_from(self.machine, space, self.begin.now, code, float(REJECTED), log)
        return int(cost)


def make_world(machine: Machine, running: Running, now: int) -> World:
    """Return a world without a schedule yet: the first code that is tried is taken."""
    nobody = plain_encoding(np.zeros(0, np.int64), machine.arrival.size)
    return World(machine, Begin(running, now, 0), nobody, REJECTED)


def in_order(who: IntArray, to_go: IntArray, held: IntArray) -> Running:
    """Return those who run as `decode` keeps them: by tokens to go, KV held falling, number."""
    order = np.lexsort((who, -held, to_go))
    count = np.array([who.size, held.sum()], np.int64)
    return Running(who[order], to_go[order], held[order], count)
