"""Proofs for equal requests under separate batching, recomputed in numpy.

What is proved, and why, is said in `solvers.separate.equal_requests`: in `patterns` and in
`tables`. Nothing here is shared with it. There states are walked one by one, here all states of a
stage at once; only as many layers are held as the last requests to complete at once may span.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ....models.batch_time import AffineTime, ConstantTime
from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ....models.objectives import Exact
from ....models.separate.problem import require_separate
from ..clock import Clock, OutOfMemory
from ..strict import integer, require_keys

#: Patterns, and entries of all layers that are held at once, at most.
MOST_PATTERNS, MOST_ENTRIES = 1_000_000, 32_000_000

_NEVER = 2**60


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparateEqualRequestsProof:
    """The bound that patterns on a grid of token batches give.

    Parameters
    ----------
    batches : int
        Token batches of a block of the grid, ≥ 1 and at most the output length less 1.
    split : int
        Requests that are done when costs to go begin to count, 0 to n; those before are bounded by
        the earliest times of their completions.

    Examples
    --------
    Both are prefilled at once, and the second begins its token jobs a batch later: 3 and 4.

    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[2, 2], output=[3, 3])
    >>> SeparateEqualRequestsProof(batches=1, split=0).bound(instance, "latency", Clock(None))
    7
    """

    batches: int
    split: int

    kind: ClassVar[str] = "separate-equal-requests"
    model: ClassVar[str] = "separate"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound.

        Raises
        ------
        InputError
            If requests differ, batches of a kind take different times, or a number is out of range.
        OutOfMemory
            If there are too many patterns.
        """
        s, o = _lengths(instance)
        if not 1 <= self.batches <= o - 1:
            raise InputError(f"proof.batches: expected 1 to {o - 1}, found {self.batches}")
        if not 0 <= self.split <= instance.n:
            raise InputError(f"proof.split: expected 0 to {instance.n}, found {self.split}")
        arrival = np.sort(instance.arrival)
        law = instance.gpu.batch_time
        prompt, token = (law.prompt, law.token) if isinstance(law, ConstantTime) else (1, 1)
        together = min(
            instance.gpu.prompt_batch_requests or instance.n,
            (instance.gpu.prompt_batch_tokens or s * instance.n) // s,
            instance.n,
        )
        states = _States(s, o, int(instance.gpu.kv_capacity), together, self.batches, clock)
        program = _Program(states, arrival, prompt, token, clock)
        return program.sum_of_completions(self.split) - int(arrival.sum())

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "batches": self.batches, "split": self.split}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> SeparateEqualRequestsProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "batches", "split"))
        batches = integer("proof.batches", record["batches"], low=1)
        return cls(batches=batches, split=integer("proof.split", record["split"], low=0))


def _lengths(instance: Instance) -> tuple[int, int]:
    """S and o of all requests."""
    if isinstance(instance.gpu.batch_time, AffineTime):
        raise InputError(
            "proof: separate-equal-requests take the unit and the constant law, found affine"
        )
    require_separate(instance)
    s, o = int(instance.prompt[0]), int(instance.output[0])
    if (instance.prompt != s).any() or (instance.output != o).any() or o < 2:
        raise InputError(
            "proof: separate-equal-requests are for equal lengths, with outputs of 2 or more tokens"
        )
    return s, o


class _States:
    """All (pattern, waiting) below the grid: the rows and columns of tables.

    Attributes
    ----------
    most : ndarray, shape (N,)
        Most that wait beside a pattern; pattern 0 is empty.
    start, after : ndarray, shape (N,)
        The pattern with one more begun (−1: none), and the one a block later.
    done, run : ndarray, shape (N,)
        How many are in the last block, how many run.
    stages : list of ndarray
        The patterns, in groups; who starts from one, or ages without any done, is in a later group.
    """

    def __init__(self, s: int, o: int, M: int, together: int, q: int, clock: Clock) -> None:
        self.blocks, self.jobs, self.q, self.together = (o - 1) // q, o - 1, q, together
        count, tokens = _vectors(self.blocks, s + o - (q - 1), q, M - (q - 1), clock)
        worst = np.where(tokens >= 0, tokens + q - 1, 0)
        self.most = np.minimum((M - worst) // (s + 1), together - 1)
        self.run, self.done = count.sum(axis=1), count[:, 0]
        number = {row.tobytes(): v for v, row in enumerate(count)}
        newer = count.copy()
        newer[:, -1] += 1
        older = np.zeros_like(count)
        older[:, :-1] = count[:, 1:]
        clock.check()
        self.start = np.array([number.get(row.tobytes(), -1) for row in newer])
        clock.check()
        self.after = np.array([number[row.tobytes()] for row in older])
        self.stages = self._in_stages()

    def _in_stages(self) -> list[IntArray]:
        """Group the patterns by the longest way on without a completion."""
        length = np.full(self.run.size, -1)
        ages = (self.done == 0) & (self.run > 0)
        rest, groups = np.arange(length.size), []
        while rest.size:
            begun, aged = self.start[rest], self.after[rest]
            ready = (begun < 0) | (length[begun] >= 0)
            ready &= ~ages[rest] | (length[aged] >= 0)
            groups.append(rest[ready])
            length[rest[ready]] = len(groups)
            rest = rest[~ready]
        return groups[::-1]


def _vectors(
    L: int, weight: int, q: int, M: int, clock: Clock
) -> tuple[NDArray[np.int16], IntArray]:
    """Vectors of requests by blocks to go (column r − 1), the empty one first; most tokens of each.

    Column by column from the newest: a vector fits if at each of its requests' completions the
    tokens of those that began no earlier are at most M. The empty one has −1 tokens.
    """
    count = np.zeros((1, L), np.int16)
    members, held, worst = np.zeros(1, np.int64), np.zeros(1, np.int64), np.full(1, -1)
    for r in range(L, 0, -1):
        held = held - q * members
        parts = [(count, members, held, worst)]
        for c in range(1, M // weight + 1):
            clock.check()
            fits = held + c * weight <= M
            if not fits.any():
                break
            more, now = count[fits].copy(), held[fits] + c * weight
            more[:, r - 1] = c
            parts.append((more, members[fits] + c, now, np.maximum(worst[fits], now)))
            if sum(part[1].size for part in parts) > MOST_PATTERNS:
                raise OutOfMemory(f"not verified: more than {MOST_PATTERNS:,} patterns")
        count, members, held, worst = (np.concatenate(each) for each in zip(*parts, strict=True))
    return count, worst


class _Program:
    """Layers of tables, by requests done or to go; columns are who waits."""

    def __init__(
        self, states: _States, arrival: IntArray, prompt: int, token: int, clock: Clock
    ) -> None:
        self.states, self.arrival, self.clock = states, arrival, clock
        self.prompt, self.token = prompt, token
        self.n, self.reach = arrival.size, int(states.done.max())
        self.shape = (states.run.size, int(states.most.max()) + 1)
        if (2 * self.reach + 2) * self.shape[0] * self.shape[1] > MOST_ENTRIES:
            raise OutOfMemory(f"not verified: more than {MOST_ENTRIES:,} entries of tables")
        self.block = states.q * token
        self.last = (states.jobs - states.q * (states.blocks - 1)) * token
        self.allowed = np.arange(self.shape[1]) <= states.most[:, None]

    def sum_of_completions(self, split: int) -> int:
        """Lower bound on the sum of the completions."""
        n, last = self.n, min(self.n, split + self.reach - 1) if split else 0
        layers, completion = self._earliest(split, last)
        alone = self.prompt + self.states.jobs * self.token
        completion = np.minimum.accumulate(completion[::-1])[::-1][: last + 1]
        completion[1:] = np.maximum(completion[1:], self.arrival[:last] + alone)
        so_far, least = np.cumsum(completion), _NEVER
        for m, to_go in self._costs_to_go(n - split):
            d = n - m
            if d in layers:
                there = layers[d] < _NEVER
                rest = (m * layers[d] + to_go)[there] if m else np.zeros(1, np.int64)
                least = min(least, int(so_far[d]) + int(rest.min(initial=_NEVER)))
        return least

    def _earliest(self, first: int, last: int) -> tuple[dict[int, IntArray], IntArray]:
        """Earliest times of the states with `first` to `last` done, and of all completions.

        Of the latter those up to `last` are right if the least of all later ones is taken.
        """
        states, n = self.states, self.n
        completion = np.full(n + 1, _NEVER)
        completion[0] = 0
        layers = {0: self._empty()}
        layers[0][0, 0] = self.arrival[0]
        for d in range(last + 1):
            for e in range(d, min(n, d + self.reach) + 1):
                layers.setdefault(e, self._empty())
            here = layers[d]
            for v in states.stages if d < n else []:
                self.clock.check()
                self._begin(here, d, v[(states.start[v] >= 0) & (d + states.run[v] <= n)])
                aged = v[(states.run[v] > 0) & (d + states.run[v] <= n)]
                for c in range(self.reach + 1):
                    who = aged[states.done[aged] == c]
                    if who.size == 0:
                        continue
                    to = states.after[who]
                    layers[d + c][to] = np.minimum(layers[d + c][to], here[who] + self.block)
                    layers[d + c][~self.allowed] = _NEVER
                    if c:
                        soonest = int(here[who].min()) + self.last
                        completion[d + c] = min(completion[d + c], soonest)
            if d < first:
                del layers[d]
        return {d: layers[d] for d in range(first, last + 1)}, completion

    def _begin(self, here: IntArray, d: int, v: IntArray) -> None:
        """Let one begin that waits, or prefill some of which one begins."""
        states = self.states
        to = states.start[v]
        here[to, :-1] = np.minimum(here[to, :-1], here[v, 1:])
        for k in range(1, self.shape[1] + 1):
            fits = states.run[v] + d + k <= self.n
            v, to = v[fits], to[fits]
            there = self.arrival[states.run[v] + d + k - 1]
            there = there - np.where(states.run[v] + d == 0, 0, self.block - self.token)
            now = np.maximum(here[v, 0], there) + self.prompt
            now[here[v, 0] >= _NEVER] = _NEVER
            here[to, k - 1] = np.minimum(here[to, k - 1], now)
        here[~self.allowed] = _NEVER

    def _costs_to_go(self, most: int) -> Iterator[tuple[int, IntArray]]:
        """Yield m and the sum of m completions from each state on, for m = 0 … most."""
        states = self.states
        waiting = np.arange(self.shape[1])
        layers = {0: np.zeros(self.shape, np.int64)}
        yield 0, layers[0]
        for m in range(1, most + 1):
            here = layers[m] = self._empty()
            for v in reversed(states.stages):
                self.clock.check()
                cost = self._empty()[v]
                to = states.start[v]
                begins = to >= 0
                fitting = np.where(begins[:, None], here[to], _NEVER)
                cost[:, 1:] = fitting[:, :-1]
                for k in range(1, self.shape[1] + 1):
                    now = np.where(states.run[v] + k <= m, fitting[:, k - 1], _NEVER)
                    cost[:, 0] = np.minimum(cost[:, 0], now + self.prompt * m)
                for c in range(min(m, self.reach) + 1):
                    who = (states.run[v] > 0) & (states.done[v] == c)
                    rest = layers[m - c][states.after[v[who]]] + (m - c) * self.block
                    cost[who] = np.minimum(cost[who], rest + c * self.last)
                cost[states.run[v][:, None] + waiting > m] = _NEVER
                here[v] = np.minimum(cost, _NEVER)
                here[v] = np.where(self.allowed[v], here[v], _NEVER)
            layers.pop(m - self.reach, None)
            yield m, here

    def _empty(self) -> IntArray:
        return np.full(self.shape, _NEVER)
