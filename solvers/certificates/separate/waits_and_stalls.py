"""Proofs for separate batching by waits and stalls, recomputed in numpy.

What is proved, and why, is said in `solvers.separate.bounds.waits_and_stalls`; nothing here is
shared with it. There the walk goes from state to state, here from all prompt batches within the
reach at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ....models.batch_time import AffineTime, ConstantTime
from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ....models.objectives import Exact
from ....models.separate.problem import require_separate, times_alone
from ..clock import Clock
from ..strict import integer, require_keys

#: Most slots that a proof may walk over, and most states within the reach.
MOST_SLOTS, MOST_STATES = 10**7, 10**7

#: Most numbers in the memory.
MOST_MEMORY = 2

_NEVER = 2**60


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitsAndStallsProof:
    """The bound that waits and stalls give.

    Parameters
    ----------
    memory : int
        Numbers of arrivals between prompt batches that a state holds, 0 to `MOST_MEMORY`.
    remembered : int
        The largest of them that is remembered.
    reach : int
        Longest step from prompt batch to prompt batch, in slots, that is looked at.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 1], prompt=[3, 1], output=[4, 2])
    >>> proof = WaitsAndStallsProof(memory=1, remembered=4, reach=9)
    >>> proof.bound(instance, "latency", Clock(None))
    7
    """

    memory: int
    remembered: int
    reach: int

    kind: ClassVar[str] = "waits-and-stalls"
    model: ClassVar[str] = "separate"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def __post_init__(self) -> None:
        if not 0 <= self.memory <= MOST_MEMORY:
            raise InputError(f"proof.memory: expected 0 to {MOST_MEMORY}, found {self.memory}")
        if self.remembered < 0 or self.reach < 1:
            raise InputError("proof: expected remembered ≥ 0 and reach ≥ 1")

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound: the times alone, and the cheapest walk."""
        if isinstance(instance.gpu.batch_time, AffineTime):
            raise InputError(
                "proof: waits-and-stalls take the unit and the constant law, found affine"
            )
        require_separate(instance)
        remembered = min(self.remembered, instance.n)  # no more can have arrived
        states = self.reach * (remembered + 1) ** self.memory
        tables = 2 * (instance.n + 1) * (remembered + 1)
        if int(np.ptp(instance.arrival)) + self.reach > MOST_SLOTS or (
            max(states, tables) > MOST_STATES
        ):
            raise InputError(
                f"proof.reach: out of range for the instance and the memory, found {self.reach}"
            )
        walk = _Walk(replace(self, remembered=remembered), instance, clock)
        return sum(times_alone(instance)) + walk.cheapest(clock)

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {
            "kind": self.kind,
            "memory": self.memory,
            "remembered": self.remembered,
            "reach": self.reach,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> WaitsAndStallsProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "memory", "remembered", "reach"))
        return cls(
            memory=integer("proof.memory", record["memory"], low=0),
            remembered=integer("proof.remembered", record["remembered"], low=0),
            reach=integer("proof.reach", record["reach"], low=1),
        )


class _Walk:
    """Least costs of prompt batches at the last times, by what is remembered.

    A number that is not known, or too large, has the index after the last.
    """

    def __init__(self, proof: WaitsAndStallsProof, instance: Instance, clock: Clock) -> None:
        order = np.lexsort((instance.prompt, instance.arrival))
        self.proof = proof
        self.a = instance.arrival[order] - int(instance.arrival.min())
        self.d = np.array(times_alone(instance))[order]
        law = instance.gpu.batch_time
        self.tau = law.prompt if isinstance(law, ConstantTime) else 1
        self.sums = np.concatenate([[0], np.cumsum(self.a)])
        self.ends = np.sort(self.a + self.d)
        self.seen = [proof.remembered + 1 if proof.memory > k else 0 for k in range(2)]
        prompts = instance.prompt[order].tolist()
        B_P = instance.gpu.prompt_batch_requests or instance.n
        C_P = instance.gpu.prompt_batch_tokens or sum(prompts)
        self.left = [
            _left_over(prompts, (k + 1) * (seen - 1), k + 1, B_P, C_P, clock)
            for k, seen in enumerate(self.seen)
            if seen
        ]

    def cheapest(self, clock: Clock) -> int:
        """Cost of the cheapest walk to the first prompt batch at or after the last arrival."""
        first, second = self.seen
        reach, last = self.proof.reach, int(self.a[-1])
        costs = np.full((reach + 1, first + 1, second + 1), _NEVER)  # of the last times
        least = np.full(last + reach + 1, _NEVER)
        far, best = _NEVER, _NEVER
        arrived = np.searchsorted(self.a, np.arange(last + reach + 1), side="right")
        for t in range(last + reach + 2):
            clock.check()
            X = int(arrived[min(t, last + reach)])
            gone = t - reach - 1
            if gone >= 0:  # what arrived within the reach waits a slot more
                waits = (X - arrived[gone]) * t - (self.sums[X] - self.sums[arrived[gone]])
                longer = far + int(arrived[t - 1] - arrived[gone])
                far = min(longer, int(least[gone] + waits), _NEVER)
            if t > last + reach:
                break
            here = costs[t % (reach + 1)]
            here[:] = _NEVER
            here[first, second] = far
            w = min(X, first)
            v = 0 if w < first else second
            here[w, v] = min(here[w, v], X * t - self.sums[X])
            p = np.arange(max(0, t - reach), t - self.tau + 1)
            if p.size:
                self._come_from(p, arrived[p], costs[p % (reach + 1)], t, X, here)
            least[t] = here.min()
            if t >= last:
                best = min(best, int(least[t]))
        return min(best, far)

    def _come_from(
        self, p: IntArray, x: IntArray, states: IntArray, t: int, X: int, here: IntArray
    ) -> None:
        """Go from all states at the times p, when x had arrived, to t."""
        first, second = self.seen
        lowest = max(0, int(x[0]) - first - second)
        there = [self._there(lowest, X, t - k * self.tau) for k in range(3)]
        wait = (X - x) * t - (self.sums[X] - self.sums[x])
        longer = t - p - self.tau
        goal = np.minimum(X - x, first)
        np.minimum.at(
            here[:, second], goal, states[:, first, second] + wait + self.tau * there[0][x]
        )
        if first == 0:
            return
        w1 = np.arange(first)
        y = np.maximum(x[:, None] - w1, 0)
        stays = self.d[np.maximum(y[:, 1:], 0)] > (t - p)[:, None]
        new = np.concatenate([np.zeros((p.size, 1), int), np.cumsum(stays, axis=1)], axis=1)
        rest = self.left[0][x]
        cost = states[:, :first, second] + wait[:, None]
        cost = cost + self.tau * (new + there[1][y]) + rest * longer[:, None]
        cost[x[:, None] < w1] = _NEVER
        if second:
            w2 = np.arange(second)
            z = np.maximum(y[:, :, None] - w2, 0)
            stalls = new[:, :, None] + there[2][z] + (there[1][y])[:, :, None] - there[1][z]
            both = np.minimum(w1[:, None] + w2, self.left[1].shape[1] - 1)
            rests = np.maximum(rest[:, :, None], self.left[1][x][:, both])
            costs = states[:, :first, :second] + wait[:, None, None]
            costs = costs + self.tau * stalls + rests * longer[:, None, None]
            costs[(y[:, :, None] < w2) | (x[:, None, None] < w1[:, None])] = _NEVER
            cost = np.minimum(cost, costs.min(axis=2))
        known = goal < first
        if second:
            np.minimum.at(here, (goal[known][:, None], w1[None, :]), cost[known])
        else:
            np.minimum.at(here[:, 0], goal[known], cost[known].min(axis=1))
        if not known.all():
            here[first, second] = min(here[first, second], cost[~known].min())

    def _there(self, lowest: int, X: int, due: int) -> IntArray:
        """``[x]``, from `lowest` on: how many of the first x are there after `due`, if alone."""
        stay = np.cumsum(self.a[lowest:X] + self.d[lowest:X] > due)
        before = X - int(np.searchsorted(self.ends, due, side="right")) - int(stay[-1:].sum())
        return np.concatenate([np.zeros(lowest, int), [before], before + stay])


def _left_over(
    prompts: list[int], most: int, batches: int, B_P: int, C_P: int, clock: Clock
) -> IntArray:
    """``[x, w]``: of the last w among the first x, how many do not fit into this many batches."""
    n = len(prompts)
    table = np.zeros((n + 1, most + 1), int)
    for x in range(1, n + 1):
        for w in range(1, min(most, x) + 1):
            clock.check()
            sizes = sorted(prompts[x - w : x])
            while len(sizes) > batches * B_P or sum(sizes) > batches * C_P:
                sizes.pop()
            table[x, w] = w - len(sizes)
    return table
