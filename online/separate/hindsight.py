"""Hindsight schedules from a batch boundary on, kept up to date from decision to decision.

A world holds who runs, who waits and who is to come, with their lengths. Its schedule is a code of
`solvers.separate.search.schedule_builder`, found by the engine's annealing. After a batch, its own
or another, the world goes on with what is left of the schedule.
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
from ...solvers.separate.search.list_encodings import after_batch
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

#: Share of that heat when a world is solved again.
REHEAT = 0.25


class First(NamedTuple):
    """What a schedule does first.

    Attributes
    ----------
    kind : {"prompt", "token"}
        Kind of its first batch.
    members : tuple of int
        Positions of its requests in the machine's columns.
    start : int
        When it starts; later than now if it waits for a request that is to come.
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
    paid : int
        Those of the requests that are complete.
    """

    machine: Machine
    begin: Begin
    code: Encoding
    cost: int
    paid: int = 0

    def try_codes(self, codes: Iterable[Encoding]) -> None:
        """Take the best of several codes."""
        for code in codes:
            cost = self._cost(code)
            if cost < self.cost:
                self.code, self.cost = code, cost

    def share(self, other: World) -> None:
        """Take the schedule of a world of the same moment if it is better here.

        Requests are the same by position: first those here, then those to come by their turn.
        """
        code, who, n = other.code, self.code.order, self.machine.arrival.size
        order = code.order[code.order < n]
        order = np.append(order, who[~np.isin(who, order)])
        self.try_codes(
            [
                Encoding(
                    order,
                    fitted(code.wait, who.size, 0),
                    fitted(code.least, who.size, 1),
                    fitted(code.most, who.size, n),
                    fitted(code.urgency, n, 0),
                    fitted(code.firm, n, 0),
                )
            ]
        )

    def solve(self, steps: int, heat: float, stream: Stream) -> None:
        """Anneal from the code on."""
        walk = start_annealing(self.machine, self.begin, self.code)
        unfinished = int(self.begin.running.counts[0]) + self.code.order.size
        mean = (self.cost - self.paid) / max(1, unfinished)
        if steps > 0:
            hot = max(HEAT[0] * heat, HEAT[1]) * mean
            anneal(self.machine, walk, stream, (0, steps, steps), (hot, HEAT[1] * mean))
        self.code, self.cost = walk.best, self.paid + int(walk.cost[1])

    def first(self) -> First:
        """Return the first batch of the schedule; a request must be there, or to come."""
        machine, now = self.machine, self.begin.now
        log = np.zeros(log_size(machine.output), np.int64)
        self._decode(self.code, log)
        members = tuple(log[3 : 3 + log[2]].tolist())
        if log[1] != 0:
            return First("token", members, now)
        return First("prompt", members, max(now, int(machine.arrival[list(members)].max())))

    def after(self, kind: Kind, members: Sequence[int]) -> World:
        """Return the world at the end of a batch that starts now, with the rest of the schedule.

        Parameters
        ----------
        kind : {"prompt", "token"}
            Kind of the batch.
        members : sequence of int
            Positions of its requests; the state at its end must be safe.
        """
        machine, running, now = self.machine, self.begin.running, self.begin.now
        m = running.counts[0]
        who, to_go, held = running.who[:m], running.to_go[:m], running.held[:m]
        if kind == "prompt":
            joined = np.array(members, np.int64)
            now += machine.law.prompt_batch(int(machine.prompt[joined].sum()))
            who = np.append(who, joined)
            to_go = np.append(to_go, machine.output[joined] - 1)
            held = np.append(held, machine.prompt[joined] + 1)
        else:
            served = np.isin(who, members)
            now += machine.law.token_batch(len(members), int(held[served].sum()))
            to_go, held = to_go - served, held + served
        left = to_go > 0
        done = now - machine.arrival[who[~left]]
        begin = Begin(in_order(who[left], to_go[left], held[left]), int(now), 0)
        code = after_batch(self.code, kind, members)
        world = World(machine, begin, code, REJECTED, self.paid + int(done.sum()))
        world.try_codes([code])
        if kind == "prompt":  # it may be one batch more
            m = code.order.size
            wait, least, most = self.code.wait[:m], self.code.least[:m], self.code.most[:m]
            world.try_codes([code._replace(wait=wait, least=least, most=most)])
        return world

    def idle(self, until: int) -> World:
        """Return the world when the GPU has idled until a request comes, or until a time."""
        coming = self.machine.arrival[self.code.order]
        coming = coming[coming > self.begin.now]
        now = min(until, int(coming.min())) if coming.size else until
        world = World(self.machine, self.begin._replace(now=now), self.code, REJECTED, self.paid)
        world.try_codes([self.code])
        return world

    def _cost(self, code: Encoding) -> int:
        return self._decode(code, np.zeros(0, np.int64))

    def _decode(self, code: Encoding, log: IntArray) -> int:
        space = working_space(self.machine.arrival.size)
        take_up(self.begin, space)
        cost = latency_from(self.machine, space, self.begin.now, code, float(REJECTED), log)
        return self.paid + int(cost)


def make_world(machine: Machine, running: Running, now: int) -> World:
    """Return a world without a schedule yet: the first code that is tried is taken."""
    n = machine.arrival.size
    without_kv = np.setdiff1d(np.arange(n), running.who[: running.counts[0]])
    return World(machine, Begin(running, now, 0), plain_encoding(without_kv, n), REJECTED)


def in_order(who: IntArray, to_go: IntArray, held: IntArray) -> Running:
    """Return those who run as `decode` keeps them: by tokens to go, KV held falling, number."""
    order = np.lexsort((who, -held, to_go))
    count = np.array([who.size, held.sum()], np.int64)
    return Running(who[order], to_go[order], held[order], count)


def fitted(column: IntArray, size: int, more: int) -> IntArray:
    """A column cut to a size, or filled up."""
    filled = np.full(size, more, np.int64)
    filled[: column.size] = column[:size]
    return filled
