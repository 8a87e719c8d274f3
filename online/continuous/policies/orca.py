"""Orca's rule: iteration-level batches of whole prompts and tokens, KV reserved to the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.continuous.problem import Limits
from ....models.instance import IntArray
from ...lengths import LENGTH_KINDS, require_lengths
from ..rule import PEAK, Rule, require_limits, rule_of
from ..rule_policy import RulePolicy, longest


@dataclass(frozen=True, slots=True)
class Orca(RulePolicy):
    """Every batch serves all that runs and reads whole prompts, in order of arrival.

    A request is admitted if the cache at its planned end fits beside what the others reserve, up
    to the first that does not fit; so no request is ever preempted, unless planned lengths are too
    short. Orca reserves for the longest output that a request asks for (``max_tokens``).

    Deviations: prompts longer than the GPU's token budget are read in chunks.

    Parameters
    ----------
    max_batch_size : int, optional
        Most requests that hold a cache, ≥ 1; the GPU's limit where it is left out or smaller.
    max_model_len : int, optional
        Longest prompt and output together, which is reserved where nothing is told of lengths; all
        that the GPU holds by default.
    lengths : {"exact", "predicted", "interval", "none"}
        What it reserves for (of an interval its upper end).
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=8), arrival=[0, 0], prompt=[3, 2], output=[3, 3])
    >>> schedule = simulate_continuous(instance, Orca())  # 5 + 4 > 8
    >>> [(batch.prefill, batch.decode) for batch in schedule.batches][2:4]
    [((), (0,)), (((1, 2),), ())]

    References
    ----------
    Yu et al., *Orca: A Distributed Serving System for Transformer-Based Generative Models*, OSDI
    2022, Algorithm 1.
    """

    max_batch_size: int | None = None
    max_model_len: int | None = None
    lengths: str = "exact"
    error: float | None = None

    name: ClassVar[str] = "orca"
    summary: ClassVar[str] = "whole prompts and tokens in every batch, FCFS, KV reserved to the end"
    source: ClassVar[str] = "Orca, OSDI 2022, Algorithm 1"
    length_kinds: ClassVar[tuple[str, ...]] = LENGTH_KINDS

    def __post_init__(self) -> None:
        require_limits(max_batch_size=self.max_batch_size, max_model_len=self.max_model_len)
        require_lengths(self.length_kinds, self.lengths, self.error)

    def rule(self, gpu: Limits) -> Rule:
        """Return the rule on a GPU."""
        return rule_of(gpu, seats=self.max_batch_size)._replace(reserve=PEAK, whole=1)

    def unknown(self, prompt: IntArray, gpu: Limits) -> IntArray:
        """Return what is reserved where nothing is told."""
        if self.max_model_len is None:
            return longest(prompt, gpu)
        return np.maximum(self.max_model_len - prompt, 1)
