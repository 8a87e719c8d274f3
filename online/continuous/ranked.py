"""What the policies have in common that admit by rank while all that runs can complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...models.continuous.problem import Limits
from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Instance
from ..coupling.history import History
from ..learned_lengths import LearnedLengths
from ..lengths import LENGTH_KINDS, Told, require_lengths
from ..protocol import Run
from .decision import ContinuousDecision
from .observation import ContinuousObservation, ContinuousView
from .rule import PLAN, Rule, require_limits, rule_of
from .rule_policy import RulePolicy


@dataclass(frozen=True, slots=True)
class RankedPolicy(RulePolicy):
    """Serve all that runs; admit by rank while with a newcomer all complete at planned lengths.

    The check is that of arXiv 2502.07115 in batches: every running request gets a token in each
    batch, prompts are read as fast as the batch takes them, and at every planned completion the
    caches fit, in whole blocks. The first that does not pass stops the scan. Where a planned length
    is too short (``lengths=predicted`` from the instance) KV may run out: then the request that
    began last is preempted.

    Parameters
    ----------
    max_num_seqs : int, optional
        Most requests that hold a cache, ≥ 1; the GPU's limit where it is left out or smaller.
    max_num_batched_tokens : int, optional
        Most prompt tokens and token jobs in a batch, ≥ 1, likewise.
    chunked_prefill_size : int, optional
        Most prompt tokens in a batch, ≥ 1; no limit of its own by default.
    lengths : {"exact", "predicted", "interval", "none"}
        What it plans with (of an interval its upper end). With "none" it learns the lengths from
        the requests that have completed (`learned_lengths.LearnedLengths`).
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.
    """

    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    chunked_prefill_size: int | None = None
    lengths: str = "exact"
    error: float | None = None

    length_kinds: ClassVar[tuple[str, ...]] = LENGTH_KINDS

    def __post_init__(self) -> None:
        require_limits(
            max_num_seqs=self.max_num_seqs,
            max_num_batched_tokens=self.max_num_batched_tokens,
            chunked_prefill_size=self.chunked_prefill_size,
        )
        require_lengths(self.length_kinds, self.lengths, self.error)

    def rule(self, gpu: Limits) -> Rule:
        """Return the rule on a GPU."""
        return rule_of(
            gpu,
            seats=self.max_num_seqs,
            tokens=self.max_num_batched_tokens,
            prompt_tokens=self.chunked_prefill_size,
        )._replace(reserve=PLAN)

    def session(self) -> RankedPolicy | LearningRun:
        """Return the policy for one run: told nothing, it keeps the past."""
        return LearningRun(self) if self.lengths == "none" else self

    def run_compiled(self, instance: Instance, told: Told) -> ContinuousSchedule | None:
        """Run the whole instance as compiled code."""
        if self.lengths == "none":
            from .learning import run_learning

            return run_learning(instance, self)
        return RulePolicy.run_compiled(self, instance, told)


class LearningRun(Run[ContinuousObservation, ContinuousDecision]):
    """One run of a ranked policy that learns the output lengths.

    Parameters
    ----------
    policy : RankedPolicy
        Its rule and its order.
    """

    model: ClassVar[str] = "continuous"

    def __init__(self, policy: RankedPolicy) -> None:
        super().__init__(policy)
        self._policy, self._history = policy, History()

    def decide(
        self, observation: ContinuousObservation, rng: np.random.Generator
    ) -> ContinuousDecision:
        """Build the next batch by the rule, with planned lengths as expected now."""
        gpu, here = observation.limits, (*observation.running, *observation.waiting)
        past = self._history.look(observation.time, gpu.blocks * gpu.block, here)
        lengths = LearnedLengths(past)

        def expected(views: tuple[ContinuousView, ...]) -> list[int]:
            return [lengths.expected(view.tokens) for view in views]

        return self._policy.planning_with(
            observation, expected(observation.waiting), expected(observation.running)
        )
