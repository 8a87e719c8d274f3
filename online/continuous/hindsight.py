"""Hindsight schedules of sampled futures, kept up to date while a decision is built up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models.durations import Durations
from ...models.instance import IntArray
from ...solvers.random_stream import Stream
from ..coupling.futures import Future
from .hindsight_kernels import NOW, SEATS, Scene, anneal, best_of, cost_of
from .observation import ContinuousObservation

#: Temperatures at the first and the last step, as shares of the mean latency.
HEAT = (0.05, 0.005)

#: Sizes of waves that are tried, as shares of the seats.
WAVES = np.array([0.25, 0.45, 0.75, 0.9])

#: Share of the steps when a world is solved again.
FEWER = 0.25


@dataclass(slots=True)
class World:
    """What is known or drawn of a moment and its future, with a list schedule.

    Attributes
    ----------
    names : ndarray of int64, shape (n,)
        Who the requests are: their index, or −1 − j for the j-th of the future.
    scene : Scene
        Their state.
    order : ndarray of int64
        Positions of those without a cache, the first to be admitted first.
    most : int
        Most requests that run at once.
    wave : int
        How many fewer than that run when a wave of admissions begins; 1 for no waves.
    """

    names: IntArray
    scene: Scene
    order: IntArray
    most: int
    wave: int = 1

    @property
    def cost(self) -> int:
        """Total latency of the list schedule."""
        admitted = np.empty(self.order.size, np.int64)
        return int(cost_of(self.scene, self.order, self.most, self.wave, admitted))

    def try_lists(self, planned: IntArray | None, most: int, wave: int = 1) -> None:
        """Take the best of the usual orders, and of the one planned, with some limits and waves."""
        scene, who = self.scene, self.order
        s, o = scene.prompt[who] + scene.tokens[who], scene.output[who] - scene.tokens[who]
        keys = [scene.arrival[who], o, s + o, s * o + o * (o + 1) // 2, _work(scene.law, s, o)]
        rows = [who[np.argsort(key, kind="stable")] for key in keys]
        if planned is not None:
            rows.append(planned)
        seats, running = int(scene.numbers[SEATS]), scene.running.size
        limits = np.unique(np.clip([running, running + 1, most, seats], 1, seats))
        waves = np.unique([1, wave, *(seats * WAVES).astype(np.int64)])
        waves = waves[waves > 0]
        found = np.zeros(3, np.int64)
        best_of(scene, np.array(rows), limits, waves, found)
        self.order = rows[int(found[0])].copy()
        self.most, self.wave = int(found[1]), int(found[2])

    def solve(self, steps: int, fixed: int, stream: Stream) -> None:
        """Anneal from the list on, the first `fixed` in their places."""
        mean = max(1.0, self.cost / max(1, self.scene.arrival.size))
        heat = (HEAT[0] * mean, HEAT[1] * mean)
        self.order, self.most, self.wave, _ = anneal(
            self.scene, self.order, self.most, self.wave, fixed, steps, heat, stream
        )

    def admitted(self) -> list[int]:
        """Return the requests, by index, that the schedule admits now, in order."""
        admitted = np.empty(self.order.size, np.int64)
        cost_of(self.scene, self.order, self.most, self.wave, admitted)
        chosen: list[int] = self.names[admitted[admitted >= 0]].tolist()
        return chosen

    def commit(self, chosen: Sequence[int], steps: int, stream: Stream) -> None:
        """Put requests in front; solve the rest again where the schedule did not admit the last."""
        if not chosen:
            return
        agreed = chosen[-1] in self.admitted()
        place = {name: at for at, name in enumerate(self.names.tolist())}
        front = np.array([place[index] for index in chosen], np.int64)
        self.order = np.append(front, self.order[~np.isin(self.order, front)])
        self.most = max(self.most, self.scene.running.size + len(chosen))
        if not agreed:
            self.wave = 1  # it is not one that is over
            self.solve(int(FEWER * steps), len(chosen), stream)


def make_world(observation: ContinuousObservation, lengths: list[int], future: Future) -> World:
    """Return a world that has no schedule yet.

    Parameters
    ----------
    observation : ContinuousObservation
        The moment.
    lengths : list of int
        Output lengths of those that wait, then of those that run.
    future : Future
        Who is to come; those who have come already are left out.
    """
    gpu, now = observation.limits, observation.time
    here = (*observation.waiting, *observation.running)
    to_come = np.flatnonzero(future.arrival > now)
    zeros = [0] * to_come.size
    scene = Scene(
        arrival=_column([view.arrival for view in here], future.arrival[to_come]),
        prompt=_column([view.prompt for view in here], future.prompt[to_come]),
        output=_column(lengths, future.output[to_come]),
        tokens=_column([view.tokens for view in here], zeros),
        cached=_column([view.cached for view in here], zeros),
        unread=_column([view.unread for view in here], future.prompt[to_come]),
        running=np.arange(len(observation.waiting), len(here)),
        numbers=np.array(
            [now, gpu.blocks * gpu.block, gpu.block, gpu.running, gpu.tokens, gpu.chunked], np.int64
        ),
        law=observation.law,
    )
    names = _column([view.index for view in here], -1 - to_come)
    free = np.setdiff1d(np.arange(names.size), scene.running)
    assert scene.numbers[NOW] == now
    return World(names, scene, free, gpu.running)


def _column(here: list[int], to_come: IntArray | list[int]) -> IntArray:
    return np.concatenate([np.array(here, np.int64), np.array(to_come, np.int64)])


def _work(law: Durations, s: IntArray, o: IntArray) -> IntArray:
    """Work of requests that read s tokens and then emit o, in the law's units."""
    read = (o - 1) * s + (o - 1) * o // 2
    work: IntArray = law.per_prompt_token * s + law.per_token_job * o + law.per_kv_token * read
    return work
