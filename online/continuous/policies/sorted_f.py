"""Sorted-F: sets of requests by total output over squared size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ....models.continuous.problem import Limits
from ....models.durations import Durations
from ....models.instance import IntArray
from ..observation import ContinuousObservation, in_blocks
from ..ranked import RankedPolicy


@dataclass(frozen=True, slots=True)
class SortedF(RankedPolicy):
    """Admit the shortest of the best set of waiting requests while all that runs can complete.

    The best set X minimises ``F(X) = Σ_{i∈X} o_i / |X|²`` among those that a heuristic meets: in
    order of output, of prompt + output and of volume (ties by arrival) a set grows up to the first
    request with which, all started together on an empty GPU, it does not fit at a completion. Of
    equal sets the first counts. After each admission the best set is made anew.

    Options are those of `ranked.RankedPolicy`.

    Examples
    --------
    The wide request has F = 1, the narrow ones have 4/4 together: of equal sets the first counts.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[0, 0, 0], prompt=[8, 2, 2], output=[1, 2, 2]
    ... )
    >>> [batch.prefill for batch in simulate_continuous(instance, SortedF()).batches]
    [((0, 8),), ((1, 2), (2, 2)), ()]

    References
    ----------
    arXiv 2508.06133 (Sorted-F); the heuristic and its tie rules are ours.
    """

    name: ClassVar[str] = "sorted-f"
    summary: ClassVar[str] = "sets by Σ output / size², while all that runs can complete"
    source: ClassVar[str] = "arXiv 2508.06133 (Sorted-F)"

    def keys(self, prompt: IntArray, planned: IntArray, law: Durations) -> list[IntArray]:
        """Return outputs, prompts + outputs, and volumes."""
        return [planned, prompt + planned, prompt * planned + planned * (planned + 1) // 2]

    def order(
        self, prompt: IntArray, planned: IntArray, observation: ContinuousObservation
    ) -> Iterator[int]:
        """Yield the shortest of the best set, again and again."""
        gpu = observation.limits
        seats = self.rule(gpu).seats
        keys = [key.tolist() for key in self.keys(prompt, planned, observation.law)]
        lengths = list(zip(prompt.tolist(), planned.tolist(), strict=True))
        left = list(range(prompt.size))
        while left:
            best = _best_set(
                [sorted(left, key=key.__getitem__) for key in keys], lengths, gpu, seats
            )
            first = min(best, key=lambda k: (lengths[k][1], k))
            left.remove(first)
            yield first


def _best_set(
    orders: list[list[int]], lengths: list[tuple[int, int]], gpu: Limits, seats: int
) -> list[int]:
    """Return the set of least F that is met on the way through the orders, the first of equals."""
    best: list[int] = []
    for order in orders:
        for size in range(1, min(len(order), seats) + 1):
            members = [lengths[k] for k in order[:size]]
            if not _fits(members, gpu):
                break
            if not best or _f(members) < _f([lengths[k] for k in best]):
                best = order[:size]
    return best


def _f(members: list[tuple[int, int]]) -> float:
    return sum(o for _, o in members) / len(members) ** 2


def _fits(members: list[tuple[int, int]], gpu: Limits) -> bool:
    """Whether requests that start together fit an empty GPU at each of their completions."""
    return all(
        sum(in_blocks(s + end - 1, gpu.block) for s, o in members if o >= end)
        <= gpu.blocks * gpu.block
        for end in {o for _, o in members}
    )
