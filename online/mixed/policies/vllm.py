"""A rule like vLLM v1's: running first, then waiting in order, preempt from the tail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.instance import Instance
from ....models.mixed.schedule import MixedSchedule
from ...lengths import Told
from ...options import require_integer
from ..decision import NEXT_EVENT, Decision
from ..observation import Observation
from ..scanning import evict_latest


@dataclass(frozen=True, slots=True)
class Vllm:
    """Serve what runs; admit in order while prompts fit; preempt the latest when KV runs out.

    Each round, every running request gets its token. If the next round would exceed M, the most
    recently started requests are preempted until it fits, each going to the front of the waiting
    queue, and nothing is admitted. Otherwise waiting requests are admitted in order while their
    ``s + 1`` tokens fit beside the running ones' next tokens; at the first that does not fit it
    stops. It knows no lengths.

    Preempted requests at the front of the queue *are* in order of arrival: what runs is always
    ahead of what waits, and preemption takes the last of the former to the front of the latter. So
    the queue is the observation's waiting list.

    Deviations: a preempted request restarts from scratch (vLLM recomputes its tokens in one
    prefill); no chunked prefill, prefix caching or block granularity; a prompt longer than
    `token_budget` is never admitted (`DoesNotFinish`).

    Parameters
    ----------
    max_requests : int, optional
        Most requests that run at once, ≥ 1; the GPU's limit holds in any case.
    token_budget : int, optional
        Most tokens in a batch, ≥ 1: a running request counts 1, an admitted prompt s. The GPU's
        budget holds in any case.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    Both start (4 tokens), grow to 10, and the second is preempted at 4, before 12 > 10.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=10), arrival=[0, 0], prompt=[1, 1], output=[6, 6])
    >>> schedule = simulate(instance, Vllm())
    >>> schedule.start.tolist(), schedule.evicted
    ([0, 5], (Eviction(request=1, start=0, end=4),))

    References
    ----------
    vLLM v1, ``vllm/v1/core/sched/scheduler.py`` (schedule); docs/model/mixed.md §5.
    """

    max_requests: int | None = None
    token_budget: int | None = None

    name: ClassVar[str] = "vllm"
    summary: ClassVar[str] = "running first, then FCFS while prompts fit, preempt from the tail"
    source: ClassVar[str] = "vLLM v1 scheduler (vllm/v1/core/sched/scheduler.py)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)
    memoryless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for option in ("max_requests", "token_budget"):
            if getattr(self, option) is not None:
                require_integer(option, getattr(self, option), low=1)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Preempt from the tail on overflow, else admit in order."""
        if observation.overflows:
            return evict_latest(observation)
        held, batch = observation.kv_next_round, len(observation.running)
        filled = observation.next_round
        start: list[int] = []
        for view in observation.waiting:
            held += view.prompt + 1
            batch += view.prompt
            requests = len(observation.running) + len(start) + 1
            no_room = held > observation.kv_capacity or not filled.takes(view.prompt)
            if no_room or self._exceeded(requests, batch):
                break
            filled.add(view.prompt)
            start.append(view.index)
        # An admitted prompt takes s tokens of this round's budget, and 1 from the next round on;
        # otherwise waiting alone never makes room.
        budgets = (self.token_budget, observation.batch_tokens)
        budget_recovers = bool(start) and budgets != (None, None)
        return Decision(start=tuple(start), wake_at=None if budget_recovers else NEXT_EVENT)

    def _exceeded(self, requests: int, tokens: int) -> bool:
        too_many = self.max_requests is not None and requests > self.max_requests
        return too_many or (self.token_budget is not None and tokens > self.token_budget)

    def run_compiled(
        self, instance: Instance, told: Told, rng: np.random.Generator
    ) -> MixedSchedule:
        """Run the whole instance as compiled code."""
        from ..kernels.evicting import NEVER, PREEMPT_TAIL, EvictionRule, run_evicting

        requests, tokens = (
            NEVER if most is None else min(most, NEVER)
            for most in (self.max_requests, self.token_budget)
        )
        rule = EvictionRule(
            PREEMPT_TAIL, instance.gpu.kv_capacity, max_requests=requests, token_budget=tokens
        )
        return run_evicting(instance, self.name, rng, rule.within(instance.gpu))
