"""Nested WAIT: thresholds by segments of the output, which tell lengths as requests go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...learned_lengths import LengthLaw
from ...options import require_positive, require_probability
from ...protocol import RememberingPolicy, Run
from ..attained import Attained
from ..decision import Decision
from ..observation import Observation
from ..scanning import evict_latest


@dataclass(frozen=True, slots=True)
class NestedWait(RememberingPolicy[Observation, Decision]):
    """Start requests n at a time while no segment of the output holds more than its share.

    Segment k are output tokens 2^k … 2^{k+1} − 1. If n requests start in a round and a share S(g)
    of them has more than g tokens, segment k holds ``n·S(2^k − 1)·2^k`` requests at most in the
    mean. Requests start in order of arrival, ⌈n⌉ at a time or all that wait if nothing runs, in a
    round in which no segment holds more than that (or one request) and the next round has room. On
    overflow the latest are evicted.

    In the source requests pause at the end of a segment until as many are there as the next one's
    threshold says. Under the rules of this model nothing pauses: what ends a segment goes on, and
    it is the start of others that waits. The law S is learned from the run (`LengthLaw`), and the
    segments double; both are ours.

    Parameters
    ----------
    threshold : float, optional
        n > 0, requests per round. By default (1 − β)·M over the mean KV area by the learned law.
    buffer : float
        β in (0, 1), share of the memory that the default n leaves free.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    Wait : For known lengths.
    FlowControl : A rate without segments.

    Examples
    --------
    Segments 0 and 1 have two requests when the third could start: they may hold 1 and 2.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=60), arrival=[0] * 4, prompt=[1] * 4,
    ...                     output=[4] * 4)
    >>> simulate(instance, NestedWait(threshold=1)).start.tolist()
    [0, 1, 2, 3]

    References
    ----------
    arXiv 2504.11320 (nested WAIT).
    """

    threshold: float | None = None
    buffer: float = 0.1

    name: ClassVar[str] = "nested-wait"
    summary: ClassVar[str] = "n start at a time while no segment of the output is too full"
    source: ClassVar[str] = "arXiv 2504.11320 (nested WAIT)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_probability("buffer", self.buffer, one=False)
        if self.threshold is not None:
            require_positive("threshold", self.threshold)

    def session(self) -> NestedWaitRun:
        """Return the policy for one run: it remembers tokens of evicted requests."""
        return NestedWaitRun(self)


class NestedWaitRun(Run[Observation, Decision]):
    """One run of `NestedWait`.

    Parameters
    ----------
    policy : NestedWait
        Its options.
    """

    remembers: ClassVar[bool] = True

    def __init__(self, policy: NestedWait) -> None:
        super().__init__(policy)
        self._threshold, self._buffer = policy.threshold, policy.buffer
        self._attained = Attained()

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Start n requests if the segments allow it; on overflow evict the latest."""
        self._attained.look(observation)
        if observation.overflows:
            return evict_latest(observation)
        if not observation.waiting:
            return Decision()
        law = self._attained.law(observation)
        n = self._threshold or self._rate(observation, law)
        batch = max(1, int(np.ceil(n)))
        running = len(observation.running)
        if running and (len(observation.waiting) < batch or self._full(observation, law, n)):
            return Decision()
        held, filled, start = observation.kv_next_round, observation.next_round, []
        for view in observation.waiting[:batch]:
            held += view.prompt + 1
            if held > observation.kv_capacity or not filled.takes(view.prompt):
                break
            filled.add(view.prompt)
            start.append(view.index)
        return Decision(start=tuple(start))

    def _rate(self, observation: Observation, law: LengthLaw) -> float:
        """Return what may start in a round by the mean area of a request."""
        prompt = np.mean([view.prompt for view in observation.arrived])
        area = law.mean_area(float(prompt))
        return (1 - self._buffer) * observation.kv_capacity / area

    def _full(self, observation: Observation, law: LengthLaw, n: float) -> bool:
        """Say whether a segment holds as much as it may."""
        assert all(view.start is not None for view in observation.running)
        tokens = [observation.time - (view.start or 0) for view in observation.running]
        segments = np.bincount([(g + 1).bit_length() - 1 for g in tokens])
        return any(
            count > max(1.0, n * law.survival((1 << k) - 1) * (1 << k))
            for k, count in enumerate(segments.tolist())
        )
