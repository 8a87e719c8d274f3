"""Nested WAIT: without output lengths, requests wait for company at the ends of segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.errors import InputError
from ...options import require_integer
from ..batch_builder import BatchBuilder
from ..decision import ContinuousDecision
from ..observation import ContinuousObservation, ContinuousView
from ..rule import FITS, require_limits, rule_of

#: Most segments: they double.
MOST_SEGMENTS = 40


@dataclass(frozen=True, slots=True)
class NestedWait:
    """Let requests pass from one segment of tokens to the next in groups, told no output lengths.

    The outputs are cut into segments: the first has ``segment`` tokens, each next one ends at twice
    as many, and the last has no end. A request that begins a segment waits there, with its cache,
    until a threshold of requests does; then that many go on together, the first come first, and
    inside the segment they are in every batch. Waiting requests begin the first segment; they are
    admitted if all that they have to read fits the free blocks. Short requests complete in early
    segments, so no length need be known. When blocks run out, what began last is preempted, as in
    `Vllm`.

    Thresholds fall with the segments, as fewer requests reach them: ``threshold·2^−k``, rounded up,
    in segment k.

    Deviations: the paper has thresholds from known arrival rates of the classes, and a safety
    buffer that makes preemption rare; here thresholds are options, and blocks that run out preempt.
    Where all that runs waits for company, those of the last segment go on, and where nothing runs
    all are admitted, so that finite instances end.

    Parameters
    ----------
    max_num_seqs : int, optional
        Most requests that hold a cache, ≥ 1; the GPU's limit where it is left out or smaller.
    max_num_batched_tokens : int, optional
        Most prompt tokens and token jobs in a batch, ≥ 1, likewise.
    threshold : int
        Requests that begin the first segment together, ≥ 1.
    segment : int
        Tokens of the first segment, ≥ 1.
    segments : int
        How many there are, from 1 to 40.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    Wait : The same with classes of known output lengths.

    Examples
    --------
    The first request waits for a second one before it is read.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=99), arrival=[0, 1, 2], prompt=[2] * 3, output=[8, 2, 3]
    ... )
    >>> batches = simulate_continuous(instance, NestedWait(threshold=2)).batches
    >>> [(batch.start, batch.prefill) for batch in batches if batch.prefill]
    [(0, ((0, 2),)), (2, ((1, 2), (2, 2)))]

    References
    ----------
    Ao, Luo, Simchi-Levi, Wang, *Optimizing LLM inference: fluid-guided online scheduling with
    memory constraints*, arXiv 2504.11320 (Nested WAIT).
    """

    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    threshold: int = 4
    segment: int = 64
    segments: int = 5

    model: ClassVar[str] = "continuous"
    name: ClassVar[str] = "nested-wait"
    summary: ClassVar[str] = "segments of tokens, each begun by groups; no output lengths"
    source: ClassVar[str] = "arXiv 2504.11320 (Nested WAIT)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def __post_init__(self) -> None:
        require_limits(
            max_num_seqs=self.max_num_seqs, max_num_batched_tokens=self.max_num_batched_tokens
        )
        for name in ("threshold", "segment", "segments"):
            require_integer(name, getattr(self, name), low=1)
        if self.segments > MOST_SEGMENTS:
            raise InputError(
                f"segments: expected an integer of at most {MOST_SEGMENTS}, found {self.segments}"
            )

    def begins(self, view: ContinuousView) -> int | None:
        """Return the segment that a request is about to begin; None inside of one.

        Examples
        --------
        >>> policy = NestedWait(segment=4, segments=3)
        >>> [policy.begins(ContinuousView(0, 0, 1, tokens=g)) for g in (0, 4, 5, 8, 16)]
        [0, 1, None, 2, None]
        """
        if view.cached and not view.ready:
            return None
        ends = [0, *(self.segment * 2**k for k in range(self.segments - 1))]
        return ends.index(view.tokens) if view.tokens in ends else None

    def decide(
        self, observation: ContinuousObservation, rng: np.random.Generator
    ) -> ContinuousDecision:
        """Build the next batch of what is inside its segment and of the groups that go on."""
        gates: dict[int, list[ContinuousView]] = {}
        inside: set[int] = set()
        for view in (*observation.running, *observation.waiting):
            gate = self.begins(view)
            if gate is None:
                inside.add(view.index)
            else:
                gates.setdefault(gate, []).append(view)
        moving = set(inside)
        for gate, members in gates.items():
            least = -(-self.threshold // 2**gate)
            if len(members) >= least:
                moving |= {view.index for view in members[:least]}
        decision = self._batch(observation, moving)
        if decision.prefill or decision.decode or not observation.running:
            return decision
        stopped = {view.index for view in observation.running}  # all of them, with their caches
        last = max(gate for gate in gates if stopped & {view.index for view in gates[gate]})
        return self._batch(observation, moving | {view.index for view in gates[last]})

    def _batch(self, observation: ContinuousObservation, moving: set[int]) -> ContinuousDecision:
        """Build a batch of the requests that move; if nothing runs, all that waits does."""
        gpu, running = observation.limits, observation.running
        rule = rule_of(gpu, seats=self.max_num_seqs, tokens=self.max_num_batched_tokens)
        paused = frozenset(view.index for view in running if view.index not in moving)
        queue = [(view, 0) for view in observation.waiting if view.index in moving or not running]
        here = [(view, 0) for view in running]
        return BatchBuilder(gpu, rule._replace(reserve=FITS), here, queue, paused=paused).build()
