"""A policy that is a rule: the batch that it builds, and its compiled run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...models.continuous.problem import Limits, limits
from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Instance, IntArray
from ..lengths import Told
from .batch_builder import BatchBuilder
from .decision import ContinuousDecision
from .observation import ContinuousObservation, ContinuousView
from .rule import Rule

if TYPE_CHECKING:
    from ...models.durations import Durations


class RulePolicy:
    """A policy that is a rule and an order of the waiting requests."""

    __slots__ = ()

    model: ClassVar[str] = "continuous"
    name: ClassVar[str]

    def rule(self, gpu: Limits) -> Rule:
        """Return the rule on a GPU."""
        raise NotImplementedError

    def key(self, prompt: IntArray, planned: IntArray, law: Durations) -> IntArray:
        """Return what waiting requests are ranked by, least first, ties by arrival; shape (m,)."""
        return np.zeros(prompt.size, np.int64)

    def unknown(self, prompt: IntArray, gpu: Limits) -> IntArray:
        """Return the output lengths to plan with where nothing is told: the longest; shape (m,)."""
        return gpu.blocks * gpu.block - prompt + 1

    def decide(
        self, observation: ContinuousObservation, rng: np.random.Generator
    ) -> ContinuousDecision:
        """Build the next batch by the rule."""
        gpu, waiting, running = observation.limits, observation.waiting, observation.running
        prompt, planned = self._lengths(waiting, gpu)
        order = np.argsort(self.key(prompt, planned, observation.law), kind="stable").tolist()
        queue = [(waiting[k], int(planned[k])) for k in order]
        active = list(zip(running, self._lengths(running, gpu)[1].tolist(), strict=True))
        return BatchBuilder(gpu, self.rule(gpu), active, queue).build()

    def run_compiled(self, instance: Instance, told: Told) -> ContinuousSchedule | None:
        """Run the whole instance as compiled code."""
        from ...models.durations import batch_durations
        from .compiled import run_rule

        gpu, law = limits(instance), batch_durations(instance)
        planned = np.where(told.high == 0, self.unknown(instance.prompt, gpu), told.high)
        by_arrival = np.argsort(instance.arrival, kind="stable")
        key = self.key(instance.prompt, planned, law)
        rank = np.empty(instance.n, np.int64)
        rank[by_arrival[np.argsort(key[by_arrival], kind="stable")]] = np.arange(instance.n)
        return run_rule(instance, self.name, self.rule(gpu), rank, planned)

    def _lengths(self, views: tuple[ContinuousView, ...], gpu: Limits) -> tuple[IntArray, IntArray]:
        """Return prompt and planned output lengths."""
        prompt = np.array([view.prompt for view in views], np.int64)
        told = np.array([view.longest or 0 for view in views], np.int64)
        return prompt, np.where(told == 0, self.unknown(prompt, gpu), told)
