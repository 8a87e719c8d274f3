"""No starts of equal requests are below a value: recomputed with numpy, layer by layer.

All requests are (s, o). They are interchangeable, so let them start in order of arrival, at
k_1 ≤ k_2 ≤ …, in blocks ``b_i = ⌊k_i / q⌋`` of q rounds. With ``L = ⌊o / q⌋``, request i is in the
batch of round ``q·(b_i + L) ≤ k_i + o``, and so is each j ≥ i with ``b_j < b_i + L``, which holds

    s + q·(b_i + L) − k_j ≥ s + q·(b_i + L) − q·b_j − (q − 1) = w − q·(b_j − b_i),

``w = s + 1 + q·(L − 1)`` tokens. So all feasible starts obey, for every i,

    Σ { w − q·(b_j − b_i) : j ≥ i, b_j < b_i + L } ≤ M.                                        (1)

With ``k_i ≥ max(a_i, q·b_i)``, the least ``Σ_i max(a_i, q·b_i)`` over blocks that rise, obey (1)
and have ``b_i ≥ ⌊a_i / q⌋`` is a lower bound on Σ k_i; for q = 1 it is the optimum.

Whether (1) holds for the requests so far depends on how many of them have r = 1 … L blocks to go
(``r = b_i + L − b`` in block b). All such vectors that can be reached just after a start are
listed, breadth first. A step is a gap: of at most as many blocks as something still runs. Longer
gaps are not needed but to wait for an arrival: if nothing runs any more, the next request may start
in the block that it arrives in. Moved there, it has no one before it left in (1), and those after
it are no closer.

Then the blocks are searched request by request. A partial solution is dropped if even without
arrivals (a table over vectors and requests left), or one by one, the others add too much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ..clock import Clock, NotProved, OutOfMemory

#: Vectors, and entries of the table, that are held at most.
MOST_VECTORS, MOST_TABLE = 2_000_000, 64_000_000

#: Steps between vectors, and partial solutions of one request with their steps, at most.
MOST_STEPS, MOST_PARTIAL = 64_000_000, 32_000_000

#: Partial solutions that are taken on at once.
TAKEN_AT_ONCE = 20_000

#: Requests that are looked at one by one.
SINGLY = 128


@dataclass(frozen=True, slots=True)
class _Graph:
    """Vectors (number 0: one request alone), their steps by number, and blocks until the end."""

    first: IntArray
    gap: IntArray
    to: IntArray
    end: IntArray


def require_no_less(instance: Instance, value: int, rounds: int, clock: Clock) -> None:
    """Raise unless no schedule of equal requests has a total latency below `value`.

    Raises
    ------
    InputError
        If requests differ, or the blocks are longer than a request runs.
    NotProved
        If there are starts below it on the grid, or the clock or the memory runs out.
    """
    s, o = int(instance.prompt[0]), int(instance.output[0])
    if (instance.prompt != s).any() or (instance.output != o).any():
        raise InputError("proof.kind: equal-requests is for equal prompt and output lengths")
    if not 1 <= rounds <= o:
        raise InputError(f"proof.rounds: expected 1 to the output length {o}, found {rounds}")
    arrival = np.sort(instance.arrival)
    budget = value - 1 - int((instance.output - instance.arrival).sum())
    if budget < int(arrival.sum()):
        return
    n, L = instance.n, o // rounds
    if int(arrival[-1]) + n * o >= 2**31 or (n + 1) * (int(arrival[-1]) + n * o) >= 2**62:
        raise InputError("proof.kind: equal-requests is for fewer or shorter requests")
    graph = _graph(s + 1 + rounds * (L - 1), rounds, L, int(instance.gpu.kv_capacity), clock)
    if n * graph.end.size > MOST_TABLE:
        raise OutOfMemory(f"not verified: more than {MOST_TABLE:,} entries of a table")
    least = _Search(graph, arrival, rounds, clock).least(budget)
    if least is not None:
        found = least + int((instance.output - instance.arrival).sum())
        raise NotProved(
            f"starts of equal requests were found on blocks of {rounds} rounds whose total latency "
            f"is {found}, below the value {value} of the proof"
        )


def _graph(w: int, q: int, L: int, M: int, clock: Clock) -> _Graph:
    """List the vectors breadth first; column r − 1 counts those with r blocks to go."""
    alone = np.zeros((1, L), np.int64)
    alone[0, L - 1] = 1
    number = {alone[0].tobytes(): 0}
    frontier, done = alone, 0
    sources: list[IntArray] = []
    gaps: list[IntArray] = []
    targets: list[IntArray] = []
    ends: list[IntArray] = []
    steps = 0
    while frontier.size:
        end = L - np.argmax(frontier[:, ::-1] > 0, axis=1)
        ends.append(end)
        new: list[NDArray[np.int64]] = []
        for d in range(L + 1):
            clock.check()
            source = np.flatnonzero(end >= d)
            after = np.zeros((source.size, L), np.int64)
            after[:, : L - d] = frontier[source, d:]
            after[:, L - 1] += 1
            fits = _fit(after, w, q, M)
            source, after = source[fits], after[fits]
            target = np.empty(source.size, np.int64)
            for place in range(source.size):
                key = after[place].tobytes()
                if key not in number:
                    number[key] = len(number)
                    new.append(after[place])
                target[place] = number[key]
            steps += source.size
            if len(number) > MOST_VECTORS or steps > MOST_STEPS:
                raise OutOfMemory(f"not verified: more than {MOST_VECTORS:,} vectors")
            sources.append(source + done)
            gaps.append(np.full(source.size, d))
            targets.append(target)
        done += frontier.shape[0]
        frontier = np.array(new).reshape(-1, L)
    source, gap, to = (np.concatenate(each) for each in (sources, gaps, targets))
    by_source = np.argsort(source, kind="stable")
    first = np.searchsorted(source[by_source], np.arange(done + 1))
    return _Graph(first, gap[by_source], to[by_source], np.concatenate(ends))


def _fit(count: IntArray, w: int, q: int, M: int) -> NDArray[np.bool_]:
    """Which rows obey (1) if nothing more starts."""
    L = count.shape[1]
    to_go = np.arange(L, 0, -1)
    falling = count[:, ::-1]
    members, blocks = falling.cumsum(axis=1), (falling * to_go).cumsum(axis=1)
    tokens = members * w - q * (blocks - members * to_go)
    fits: NDArray[np.bool_] = ((tokens <= M) | (falling == 0)).all(axis=1)
    return fits


class _Search:
    """The search of blocks, request by request."""

    def __init__(self, graph: _Graph, arrival: IntArray, q: int, clock: Clock) -> None:
        self.graph, self.arrival, self.q, self.clock = graph, arrival, q, clock
        n, N = arrival.size, graph.end.size
        # With m to start, all at least: the sum of their blocks from now on, and the last block.
        self.sum, self.last = np.zeros((n, N), np.int64), np.zeros((n, N), np.int32)
        for m in range(1, n):
            clock.check()
            after = m * graph.gap + self.sum[m - 1][graph.to]
            self.sum[m] = np.minimum.reduceat(after, graph.first[:-1])
            after = graph.gap + self.last[m - 1][graph.to]
            self.last[m] = np.minimum.reduceat(after, graph.first[:-1])
        self.earliest, self.suffix = self._whatever_runs()

    def _whatever_runs(self) -> tuple[IntArray, IntArray]:
        """Earliest blocks of all requests, and least sums of starts from each on.

        One request alone leaves most room: no start of m more is earlier than from there.
        """
        n, q = self.arrival.size, self.q
        block = self.arrival // q
        for i in range(1, n):
            block[i] = max(
                [int(block[i])] + [int(block[j]) + int(self.last[i - j, 0]) for j in range(i)]
            )
        suffix = [0]
        for i in range(n - 1, -1, -1):
            one_by_one = max(int(self.arrival[i]), q * int(block[i])) + suffix[-1]
            together = q * ((n - i) * int(block[i]) + int(self.sum[n - i - 1, 0]))
            suffix.append(max(one_by_one, together))
        return block, np.array(suffix[::-1])

    def least(self, budget: int) -> int | None:
        """Least sum of starts if it is at most `budget`, else None."""
        if self.suffix[0] > budget:
            return None
        n, q = self.arrival.size, self.q
        vector, block = np.zeros(1, np.int64), self.earliest[:1].copy()
        total = np.maximum(self.arrival[0], q * block)
        for j in range(1, n):
            parts = []
            for k in range(0, vector.size, TAKEN_AT_ONCE):
                self.clock.check()
                taken = slice(k, k + TAKEN_AT_ONCE)
                parts.append(self._after(j, vector[taken], block[taken], total[taken], budget))
                if sum(part[0].size for part in parts) > MOST_PARTIAL:
                    raise OutOfMemory(f"not verified: more than {MOST_PARTIAL:,} partial solutions")
            vector, block, total = _cheapest(*map(np.concatenate, zip(*parts, strict=True)))
            if vector.size == 0:
                return None
        return int(total.min())

    def _after(
        self, j: int, vector: IntArray, block: IntArray, total: IntArray, budget: int
    ) -> tuple[IntArray, IntArray, IntArray]:
        """All ways to start request j after partial solutions, within the budget."""
        graph = self.graph
        counts = graph.first[vector + 1] - graph.first[vector]
        source = np.repeat(np.arange(vector.size), counts)
        offset = np.arange(source.size) - np.repeat(counts.cumsum() - counts, counts)
        step = graph.first[vector[source]] + offset
        idle = np.flatnonzero(block + graph.end[vector] < self.earliest[j])
        to = np.concatenate([graph.to[step], np.zeros(idle.size, np.int64)])
        b = np.concatenate([block[source] + graph.gap[step], np.full(idle.size, self.earliest[j])])
        so_far = np.concatenate([total[source], total[idle]])
        so_far = so_far + np.maximum(self.arrival[j], self.q * b)
        kept = np.flatnonzero((b >= self.earliest[j]) & (self._bound(j, to, b) + so_far <= budget))
        to, b, so_far = _cheapest(to[kept], b[kept], so_far[kept])
        kept = np.flatnonzero(self._singly(j, to, b) + so_far <= budget)
        return to[kept], b[kept], so_far[kept]

    def _bound(self, j: int, vector: IntArray, block: IntArray) -> IntArray:
        """What the requests after j add at least."""
        m = self.arrival.size - 1 - j
        bound: IntArray = np.maximum(self.suffix[j + 1], self.q * (m * block + self.sum[m][vector]))
        return bound

    def _singly(self, j: int, vector: IntArray, block: IntArray) -> IntArray:
        """What they add at least, one by one."""
        n = self.arrival.size
        end = min(n - 1 - j, SINGLY)
        bound = np.full(vector.size, int(self.suffix[j + end + 1]))
        for i in range(1, end + 1):
            b = np.maximum(self.earliest[j + i], block + self.last[i][vector])
            bound += np.maximum(self.arrival[j + i], self.q * b)
        return bound


def _cheapest(
    vector: IntArray, block: IntArray, total: IntArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Of equal vectors and blocks, keep the least total."""
    order = np.lexsort((total, block, vector))
    vector, block, total = vector[order], block[order], total[order]
    new = np.ones(vector.size, np.bool_)
    new[1:] = (vector[1:] != vector[:-1]) | (block[1:] != block[:-1])
    return vector[new], block[new], total[new]
