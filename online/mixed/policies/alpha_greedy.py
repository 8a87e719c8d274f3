"""α-protection: admit while a part of the KV stays free, on overflow evict everything."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from ....models.instance import Instance
from ....models.mixed.schedule import MixedSchedule
from ...lengths import Told
from ...options import require_probability
from ..decision import NEXT_EVENT, Decision
from ..observation import Observation


@dataclass(frozen=True, slots=True)
class AlphaGreedy:
    """Admit in order of arrival while the KV use stays within ``(1 − α)·M``; it knows no lengths.

    The KV use counts the next round: what runs, and ``s + 1`` tokens of each admitted request. If
    the next round would exceed M, everything that runs is evicted (and restarts from scratch), and
    nothing is admitted until the next round boundary. If then the same requests meet again it can
    go on like that forever: `DoesNotFinish`.

    Parameters
    ----------
    alpha : float
        Part of the KV that admission leaves free, in (0, 1).

    Raises
    ------
    InputError
        If `alpha` is out of range.

    Examples
    --------
    Each holds ``1 + t`` tokens: together 10 in round 4, the last.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=10), arrival=[0, 0], prompt=[1, 1], output=[4, 4])
    >>> simulate(instance, AlphaGreedy(alpha=0.1)).start.tolist()
    [0, 0]

    References
    ----------
    arXiv 2502.07115, §5 (α-protection greedy).
    """

    alpha: float = 0.2

    name: ClassVar[str] = "alpha-greedy"
    summary: ClassVar[str] = "FCFS within (1 − α)·M, on overflow evict all; knows no lengths"
    source: ClassVar[str] = "arXiv 2502.07115, §5 (α-protection greedy)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)
    memoryless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_probability("alpha", self.alpha, one=False)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Evict all on overflow, else admit in order of arrival."""
        if observation.overflows:
            return Decision(evict=tuple(view.index for view in observation.running))
        return admit(observation, protected_limit(observation.kv_capacity, self.alpha))

    def run_compiled(
        self, instance: Instance, told: Told, rng: np.random.Generator
    ) -> MixedSchedule:
        """Run the whole instance as compiled code."""
        from ..kernels.evicting import CLEAR_ALL, EvictionRule, run_evicting

        limit = protected_limit(instance.gpu.kv_capacity, self.alpha)
        rule = EvictionRule(CLEAR_ALL, limit).within(instance.gpu)
        return run_evicting(instance, self.name, rng, rule)


def protected_limit(kv_capacity: int, alpha: float) -> int:
    """Return ``⌊(1 − α)·M⌋``, α being the decimal that it prints as.

    Examples
    --------
    >>> protected_limit(10, 0.9)
    1
    """
    return int((1 - Fraction(repr(float(alpha)))) * kv_capacity)


def admit(observation: Observation, limit: int) -> Decision:
    """Start waiting requests in order of arrival while the next round holds at most `limit`.

    Waiting alone never makes room, so the policy sleeps until something happens; unless a prompt
    has taken of the round's token budget, which is there again in the next round.
    """
    held, filled = observation.kv_next_round, observation.next_round
    start: list[int] = []
    for view in observation.waiting:
        held += view.prompt + 1
        if held > limit or not filled.takes(view.prompt):
            break
        filled.add(view.prompt)
        start.append(view.index)
    budget_recovers = bool(start) and observation.batch_tokens is not None
    return Decision(start=tuple(start), wake_at=None if budget_recovers else NEXT_EVENT)
