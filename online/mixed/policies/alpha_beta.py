"""α-protection with β-clearing: on overflow evict each running request with probability β."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.instance import Instance
from ....models.mixed.schedule import MixedSchedule
from ...lengths import Told
from ...options import require_probability
from ..decision import Decision
from ..observation import Observation, RequestView
from .alpha_greedy import admit, protected_limit


@dataclass(frozen=True, slots=True)
class AlphaBeta:
    """Admit as `AlphaGreedy` does; on overflow evict each running request with probability β.

    The draw is repeated among the survivors until the next round fits; nothing is admitted until
    the next round boundary. (A draw that evicts none changes nothing, so each draw is made under
    the condition that it evicts at least one, which takes one pass even for tiny β.) With β = 1 it
    is `AlphaGreedy`.

    Parameters
    ----------
    alpha : float
        Part of the KV that admission leaves free, in (0, 1).
    beta : float
        Probability of eviction, in (0, 1].

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=10), arrival=[0, 0], prompt=[1, 1], output=[9, 9])
    >>> schedule = simulate(instance, AlphaBeta(alpha=0.1, beta=0.5))
    >>> len(schedule.evicted) > 0
    True

    References
    ----------
    arXiv 2502.07115, §5 (α-protection, β-clearing).
    """

    alpha: float = 0.2
    beta: float = 0.1

    name: ClassVar[str] = "alpha-beta"
    summary: ClassVar[str] = "FCFS within (1 − α)·M, on overflow evict each with probability β"
    source: ClassVar[str] = "arXiv 2502.07115, §5 (α-protection, β-clearing)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def __post_init__(self) -> None:
        require_probability("alpha", self.alpha, one=False)
        require_probability("beta", self.beta, one=True)

    @property
    def memoryless(self) -> bool:
        """Whether the same state always leads to the same decision."""
        return self.beta == 1

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Evict at random on overflow, else admit in order of arrival."""
        if not observation.overflows:
            return admit(observation, protected_limit(observation.kv_capacity, self.alpha))
        held, survivors, evict = observation.kv_next_round, list(observation.running), []
        while held > observation.kv_capacity:
            drawn = _draw(survivors, self.beta, rng)
            held -= sum(view.size(observation.time + 1) for view in drawn)
            survivors = [view for view in survivors if view not in drawn]
            evict += [view.index for view in drawn]
        return Decision(evict=tuple(evict))

    def run_compiled(
        self, instance: Instance, told: Told, rng: np.random.Generator
    ) -> MixedSchedule:
        """Run the whole instance as compiled code."""
        from ..kernels.evicting import CLEAR_ALL, CLEAR_SOME, EvictionRule, run_evicting

        limit = protected_limit(instance.gpu.kv_capacity, self.alpha)
        kind = CLEAR_SOME if self.beta < 1 else CLEAR_ALL
        rule = EvictionRule(kind, limit, float(self.beta)).within(instance.gpu)
        return run_evicting(instance, self.name, rng, rule)


def _draw(running: list[RequestView], beta: float, rng: np.random.Generator) -> list[RequestView]:
    """Draw each with probability β, under the condition that at least one is drawn."""
    drawn: list[RequestView] = []
    for j, view in enumerate(running):
        p = beta if drawn else beta / some_of(len(running) - j, beta)
        if rng.random() < p:
            drawn.append(view)
    return drawn


def some_of(count: int, beta: float) -> float:
    """Probability that at least one of `count` independent draws of probability β succeeds."""
    return 1.0 if beta == 1 else -math.expm1(count * math.log1p(-beta))
