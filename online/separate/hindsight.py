"""Hindsight schedules from a batch boundary on, kept up to date while a decision is built up.

A world holds who runs, who waits and who is to come, with their lengths. Its schedule is a code of
`solvers.separate.decode`, found by the engine's annealing. When it is decided who is in the next
prompt batch, a world whose schedule has them there keeps it; another is solved again with them in
front.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...models.instance import IntArray
from ...models.separate.schedule import Kind
from ...solvers.search.random_stream import Stream
from ...solvers.separate.annealing import Begin, Walk, anneal, cost_of
from ...solvers.separate.codes import GAPS, WEIGHTS, Code
from ...solvers.separate.decode import REJECTED, Running, decode_from, working_space
from ...solvers.separate.machine import Machine

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
    code : Code
        The hindsight schedule of those without KV.
    cost : int
        Latencies of all requests under it.
    """

    machine: Machine
    begin: Begin
    code: Code
    cost: int

    @property
    def without_kv(self) -> IntArray:
        """Positions of those who do not run."""
        return np.setdiff1d(np.arange(self.machine.arrival.size), self.begin.running.who)

    def try_codes(self, codes: Iterator[Code]) -> None:
        """Take the best of several codes."""
        for code in codes:
            cost = self._cost(code)
            if cost < self.cost:
                self.code, self.cost = code, cost

    def solve(self, steps: int, heat: float, stream: Stream) -> None:
        """Anneal from the code on."""
        walk = self._walk(self.code)
        mean = self.cost / max(1, self.machine.arrival.size)
        if steps > 0:
            hot = max(HEAT[0] * heat, HEAT[1]) * mean
            anneal(self.machine, walk, stream, (0, steps, steps), (hot, HEAT[1] * mean))
        self.code, self.cost = (walk.best_order, walk.best_wait), int(walk.cost[1])

    def first(self) -> First:
        """Return the first batch of the schedule; somebody must be there, or to come."""
        machine, now = self.machine, self.begin.now
        log = np.zeros(3 * (machine.arrival.size + int(machine.output.sum())) + 1, np.int64)
        space = _copied(self.begin.running, machine.arrival.size)
        decode_from(machine, space, now, *self.code, float(REJECTED), log)
        members = tuple(log[3 : 3 + log[2]].tolist())
        if log[1] != 0:
            return First("token", members, now)
        return First("prompt", members, max(now, int(machine.arrival[list(members)].max())))

    def commit(self, chosen: Sequence[int], first: First, steps: int, stream: Stream) -> None:
        """Put requests into a prompt batch that starts now; solve again if they were not there."""
        now = self.begin.now
        agreed = first.kind == "prompt" and first.start == now and {*chosen} <= {*first.members}
        with_them = first.members if agreed else ()
        order, wait = self.code
        place = {int(i): position for position, i in enumerate(order)}
        rest = [int(i) for i in order if i not in chosen]
        waits = [-1 if i in with_them else int(wait[place[i]]) for i in rest]
        self.code = (
            np.array([*chosen, *rest], np.int64),
            np.array([0, *[-1] * (len(chosen) - 1), *waits], np.int64),
        )
        self.begin = self.begin._replace(fixed=len(chosen))
        self.cost = self._cost(self.code)
        if not agreed:
            self.solve(int(FEWER * steps), REHEAT, stream)

    def _cost(self, code: Code) -> int:
        return int(self._walk(code).cost[0])

    def _walk(self, code: Code) -> Walk:
        order, wait = code
        walk = Walk(
            begin=self.begin,
            order=order.copy(),
            wait=wait.copy(),
            best_order=order.copy(),
            best_wait=wait.copy(),
            cost=np.zeros(2, np.int64),
            running=working_space(self.machine.arrival.size),
        )
        walk.cost[:] = cost_of(self.machine, walk, float(REJECTED))
        return walk


def make_world(machine: Machine, running: Running, now: int) -> World:
    """Return a world without a schedule yet: the first code that is tried is taken."""
    nobody = np.zeros(0, np.int64)
    return World(machine, Begin(running, now, 0), (nobody, nobody), REJECTED)


def in_order(who: IntArray, to_go: IntArray, held: IntArray) -> Running:
    """Return those who run as `decode` keeps them: by tokens to go, then KV held falling."""
    order = np.lexsort((-held, to_go))
    count = np.array([who.size, held.sum()], np.int64)
    return Running(who[order], to_go[order], held[order], count)


def first_codes(machine: Machine, who: IntArray, now: int) -> Iterator[Code]:
    """Yield list schedules of some requests, as `solvers.separate.codes.list_codes` does."""
    a = np.maximum(machine.arrival[who], now)
    s, o = machine.prompt[who].astype(float), machine.output[who].astype(float)
    spread = (float(np.ptp(a)) + 1.0) / who.size
    for alpha, beta in WEIGHTS:
        key = a + spread * (alpha * o / o.mean() + beta * s / s.mean())
        order = np.lexsort((a, key))
        wait = joining(a[order])
        for gap in GAPS:
            yield who[order].astype(np.int64), np.where(wait == 0, round(gap * o.mean()), -1)


def joining(arrival: IntArray) -> IntArray:
    """Waits of an order in which whoever has arrived joins the batch before.

    Examples
    --------
    >>> joining(np.array([0, 0, 4, 2])).tolist()
    [0, -1, 0, -1]
    """
    wait = np.zeros(arrival.size, np.int64)
    wait[1:][arrival[1:] <= np.maximum.accumulate(arrival)[:-1]] = -1
    return wait


def _copied(running: Running, n: int) -> Running:
    space, m = working_space(n), int(running.counts[0])
    space.who[:m], space.to_go[:m] = running.who[:m], running.to_go[:m]
    space.held[:m], space.counts[:] = running.held[:m], running.counts
    return space
