"""Solve block by block where requests lie far apart (the theorem is in `models.blocks`).

Each block is moved to time 0, so that work follows its rounds and not the time between blocks. Of
blocks in which no request has to wait nothing is asked; the others are solved in order of their
size, each with its share of the time or work that is left.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, cast

import numpy as np
from numpy.typing import NDArray

from ..models.blocks import moved_to_zero, value_of_shift
from ..models.instance import Instance, IntArray
from ..models.objectives import Exact, due_times, evaluate, latest_completion, value_step
from ..models.regime import ScheduleType
from .best_so_far import BestSoFar
from .certificates.blocks import BlocksProof, Part
from .certificates.certificate import best_proof
from .certificates.mixed.exhaustive_search import ExhaustiveSearch
from .certificates.mixed.path_search import PathSearch
from .certificates.proof import Proof, RecomputedProof
from .rounding import round_bound

#: The name of what finds schedules and proves bounds here.
BLOCKS = "block by block"

#: Schedules are put together so rarely that it takes no more than this part of the time.
RARELY = 20.0


@dataclass(frozen=True, slots=True)
class Parts(Generic[ScheduleType]):
    """What a regime must tell for its instances to be solved block by block.

    Attributes
    ----------
    alone : ndarray of int64, shape (n,)
        Least time of each request alone on the GPU.
    completion : callable
        Completions of a schedule, shape (n,); 2^62 for a request that it rejects.
    apart : callable
        The schedules of some blocks, each moved to 0, that do what a schedule does for their
        members.
    together : callable
        The schedule made of schedules of all blocks, closed up.
    proof : type of BlocksProof
        The kind of proof.
    within : ndarray of int64, shape (n,), optional
        By this the instance falls apart: in some optimal schedule all is done within their sum
        after the last arrival. The same as `alone` by default.
    """

    alone: IntArray
    completion: Callable[[Instance, ScheduleType], IntArray]
    apart: Callable[[Instance, Sequence[IntArray], ScheduleType], list[ScheduleType]]
    together: Callable[[Instance, Sequence[IntArray], Sequence[ScheduleType]], ScheduleType]
    proof: type[BlocksProof]
    within: IntArray | None = None

    @property
    def work(self) -> IntArray:
        """By what the instance falls apart."""
        return self.alone if self.within is None else self.within


def fall_apart(instance: Instance, blocks: Sequence[IntArray], work: IntArray) -> bool:
    """Say whether it pays to solve the blocks: there are some, or the only one begins late."""
    return len(blocks) > 1 or int(instance.arrival.min()) > sum(work.tolist())


def solve_blocks(
    search: BestSoFar[ScheduleType],
    blocks: Sequence[IntArray],
    regime: Parts[ScheduleType],
    solve: Callable[[BestSoFar[ScheduleType], ScheduleType, float], None],
) -> None:
    """Solve the blocks one by one; an interrupt keeps what is found and goes on up.

    Parameters
    ----------
    search : BestSoFar
        Has a schedule of the whole instance; what is found goes there.
    blocks : sequence of ndarray of int64
        Of `models.blocks.blocks`.
    regime : Parts
        What is particular to the regime.
    solve : callable
        Searches one block from a schedule of it, with a share of the work.
    """
    work = _Work(search, blocks, regime)
    try:
        while work.waiting and search.seconds_left > 0:
            work.solve_next(solve)
        if work.waiting:
            work.bound_the_rest(solve)
    finally:
        work.hand_in()


class _Work(Generic[ScheduleType]):
    """The blocks, their schedules and what bounds them."""

    def __init__(
        self,
        search: BestSoFar[ScheduleType],
        blocks: Sequence[IntArray],
        regime: Parts[ScheduleType],
    ) -> None:
        self.search, self.blocks, self.regime = search, blocks, regime
        assert search.schedule is not None
        self.schedules = regime.apart(search.instance, blocks, search.schedule)
        self.bounds: list[tuple[Exact, Exact, Part]] = []  # the best, and the proved one
        self.by: Counter[str] = Counter()
        settled = _settled(search, regime, blocks[-1])
        waits = [bool((~settled[members]).any()) for members in blocks]
        sizes = [members.size for members in blocks]
        self.waiting = sorted((b for b, w in enumerate(waits) if w), key=lambda b: -sizes[b])
        self.requests_left = sum(sizes[b] for b in self.waiting)
        self.next_report = 0.0

    def solve_next(
        self, solve: Callable[[BestSoFar[ScheduleType], ScheduleType, float], None]
    ) -> None:
        """Solve the smallest block that waits."""
        members, known = self.blocks[self.waiting[-1]], self.schedules[self.waiting[-1]]
        share = members.size / self.requests_left
        self.requests_left -= members.size
        objective = self.search.objective
        block, shift = moved_to_zero(self.search.instance, members, objective)
        limit = share * self.search.seconds_left
        part: BestSoFar[ScheduleType] = BestSoFar(block, objective, limit)
        done = len(self.blocks) - len(self.waiting)
        place = f"block {done + 1} of {len(self.blocks)}"
        part.listen = lambda state: self.search.tell(f"{place}: {state.phase}")
        try:
            solve(part, known, share)
        finally:
            if part.schedule is not None and part.bound is not None:  # not interrupted at once
                self.schedules[self.waiting.pop()] = part.schedule
                self._take(members, shift, part)
                self._put_together_rarely()

    def _take(self, members: IntArray, shift: int, part: BestSoFar[ScheduleType]) -> None:
        """Take the bounds of a part."""
        assert part.bound is not None
        objective = self.search.objective
        moved = value_of_shift(self.search.instance.take(members), objective, shift)
        step = value_step(part.instance, objective)
        best = round_bound(part.bound, step, self.search.maximised) + moved
        proofs = _with_verifiers(part.instance, part.proofs.values())
        proved = best_proof(part.instance, objective, proofs)
        if proved is None:
            self.bounds.append((best, *self._by_itself(members)))
        else:
            certified, proof = proved
            named = Part(requests=tuple(members.tolist()), proof=proof)
            self.bounds.append((best, certified + moved, named))
        self.by[next(name for name, bound in part.bounds if bound == part.bound)] += 1
        self.search.log += part.log

    def _put_together_rarely(self) -> None:
        if time.perf_counter() >= self.next_report:
            began = time.perf_counter()
            self._put_together()
            self.next_report = began + (1 + RARELY) * (time.perf_counter() - began)

    def _by_itself(self, members: IntArray) -> tuple[Exact, Part]:
        """Bound some requests as if each were alone."""
        kept = self.search.instance.take(members)
        value = evaluate(kept, kept.arrival + self.regime.alone[members], self.search.objective)
        return value, Part(requests=tuple(members.tolist()), proof=None)

    def _put_together(self) -> None:
        whole = self.regime.together(self.search.instance, self.blocks, self.schedules)
        self.search.offer(whole, BLOCKS)

    def bound_the_rest(
        self, solve: Callable[[BestSoFar[ScheduleType], ScheduleType, float], None]
    ) -> None:
        """Bound the blocks for which there was no time, together, as far as that takes none."""
        assert self.search.schedule is not None
        members = np.sort(np.concatenate([self.blocks[b] for b in self.waiting]))
        rest, shift = moved_to_zero(self.search.instance, members, self.search.objective)
        (known,) = self.regime.apart(self.search.instance, [members], self.search.schedule)
        part: BestSoFar[ScheduleType] = BestSoFar(rest, self.search.objective, 0.0)
        solve(part, known, 0.0)
        self._take(members, shift, part)

    def hand_in(self) -> None:
        """Give the search the schedule and the bound of all blocks."""
        bounded = {i for _, _, part in self.bounds for i in part.requests}
        rest = np.array([i for i in range(self.search.instance.n) if i not in bounded], np.int64)
        if rest.size:
            value, part = self._by_itself(rest)
            self.bounds.append((value, value, part))
        self._put_together()
        total = max if self.search.objective == "makespan" else sum
        proof = self.regime.proof(parts=tuple(part for _, _, part in self.bounds))
        self.search.better_bound(BLOCKS, total(best for best, _, _ in self.bounds))
        self.search.proved_bound(BLOCKS, total(proved for _, proved, _ in self.bounds), proof)
        solved = ", ".join(f"{name} ({count})" for name, count in self.by.most_common())
        asked = f", {len(self.waiting)} not searched" if self.waiting else ""
        self.search.account.append(
            f"{_count(len(self.blocks))}{asked}: {solved or 'no request waits'}"
        )
        self.search.tell(BLOCKS)


def _with_verifiers(
    instance: Instance, proofs: Iterable[tuple[Exact, Proof]]
) -> Iterator[tuple[Exact, RecomputedProof]]:
    """Yield proofs with an independent verifier; claims by path graphs as exhaustive searches."""
    for bound, proof in proofs:
        if isinstance(proof, PathSearch):
            if ExhaustiveSearch.takes(instance):
                yield bound, ExhaustiveSearch(value=proof.value, table=proof.table)
        else:
            yield bound, cast(RecomputedProof, proof)


def _settled(
    search: BestSoFar[ScheduleType], regime: Parts[ScheduleType], last: IntArray
) -> NDArray[np.bool_]:
    """Whether no schedule is better for a request than the present one, shape (n,)."""
    instance, objective = search.instance, search.objective
    if objective == "makespan":  # all others are done before the last block begins
        settled = np.ones(instance.n, dtype=np.bool_)
        settled[last] = False
        return settled
    assert search.schedule is not None
    completion = regime.completion(instance, search.schedule)
    earliest = instance.arrival + regime.alone
    if objective == "reward":
        latest = latest_completion(instance)
        as_well = (completion <= latest) == (earliest <= latest)
        return np.asarray(as_well | (instance.reward == 0))
    at_once = completion <= earliest
    if objective == "tardiness":
        at_once |= completion <= due_times(instance)
    return np.asarray(at_once if objective == "latency" else at_once | (instance.weight == 0))


def _count(blocks: int) -> str:
    return "1 block" if blocks == 1 else f"{blocks} blocks"
