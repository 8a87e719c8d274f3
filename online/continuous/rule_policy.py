"""A policy that is a rule: the batch that it builds, and its compiled run."""

from __future__ import annotations

from collections.abc import Iterable
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
    summary: ClassVar[str]
    source: ClassVar[str]

    def rule(self, gpu: Limits) -> Rule:
        """Return the rule on a GPU."""
        raise NotImplementedError

    def key(self, prompt: IntArray, planned: IntArray, law: Durations) -> IntArray:
        """Return what waiting requests are ranked by, least first, ties by arrival; shape (m,)."""
        return np.zeros(prompt.size, np.int64)

    def keys(self, prompt: IntArray, planned: IntArray, law: Durations) -> list[IntArray]:
        """Return the keys of all orders that the waiting requests are kept in."""
        return [self.key(prompt, planned, law)]

    def order(
        self, prompt: IntArray, planned: IntArray, observation: ContinuousObservation
    ) -> Iterable[int]:
        """Return the waiting requests in turn, by position, those given in order of arrival."""
        order: list[int] = np.argsort(
            self.key(prompt, planned, observation.law), kind="stable"
        ).tolist()
        return order

    def unknown(self, prompt: IntArray, gpu: Limits) -> IntArray:
        """Return the output lengths to plan with where nothing is told: the longest; shape (m,)."""
        return longest(prompt, gpu)

    def decide(
        self, observation: ContinuousObservation, rng: np.random.Generator
    ) -> ContinuousDecision:
        """Build the next batch by the rule, with planned lengths as told."""
        told = [[view.longest or 0 for view in observation.waiting]]
        told.append([view.longest or 0 for view in observation.running])
        return self.planning_with(observation, *told)

    def planning_with(
        self, observation: ContinuousObservation, waiting: list[int], running: list[int]
    ) -> ContinuousDecision:
        """Build the next batch by the rule.

        Parameters
        ----------
        observation : ContinuousObservation
            The state.
        waiting, running : list of int
            Output lengths to plan with, of the waiting and the running requests; 0 where nothing is
            told.
        """
        gpu = observation.limits
        prompt, planned = self._lengths(observation.waiting, waiting, gpu)
        order = self.order(prompt, planned, observation)
        queue = ((observation.waiting[k], int(planned[k])) for k in order)
        lengths = self._lengths(observation.running, running, gpu)[1].tolist()
        active = list(zip(observation.running, lengths, strict=True))
        return BatchBuilder(gpu, self.rule(gpu), active, queue).build()

    def run_compiled(self, instance: Instance, told: Told) -> ContinuousSchedule | None:
        """Run the whole instance as compiled code."""
        from ...models.durations import batch_durations
        from .compiled import run_rule

        ranks, planned = self.ranked(instance, told, batch_durations(instance))
        return run_rule(instance, self.name, self.rule(limits(instance)), ranks, planned)

    def ranked(self, instance: Instance, told: Told, law: Durations) -> tuple[IntArray, IntArray]:
        """Return the requests' places in the orders of admission, and planned output lengths."""
        planned = self._planned(instance.prompt, told.high, limits(instance))
        by_arrival = np.argsort(instance.arrival, kind="stable")
        keys = self.keys(instance.prompt, planned, law)
        ranks = np.empty((len(keys), instance.n), np.int64)
        for rank, key in zip(ranks, keys, strict=True):
            rank[by_arrival[np.argsort(key[by_arrival], kind="stable")]] = np.arange(instance.n)
        return ranks, planned

    def _lengths(
        self, views: tuple[ContinuousView, ...], told: list[int], gpu: Limits
    ) -> tuple[IntArray, IntArray]:
        """Return prompt and planned output lengths."""
        prompt = np.array([view.prompt for view in views], np.int64)
        return prompt, self._planned(prompt, np.array(told, np.int64), gpu)

    def _planned(self, prompt: IntArray, told: IntArray, gpu: Limits) -> IntArray:
        """Return what is told, 0 where nothing is, or what is reckoned with; none too long."""
        planned = np.where(told == 0, self.unknown(prompt, gpu), told)
        return np.minimum(planned, longest(prompt, gpu))


def longest(prompt: IntArray, gpu: Limits) -> IntArray:
    """Return the longest outputs whose caches fit the GPU, shape (m,)."""
    return gpu.blocks * gpu.block - prompt + 1
