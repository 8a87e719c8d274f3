"""Request-level batching, as FasterTransformer: a group of requests runs to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.continuous.problem import Limits
from ...lengths import LENGTH_KINDS, require_lengths
from ..rule import PEAK, REQUEST_LEVEL, Rule, require_limits, rule_of
from ..rule_policy import RulePolicy


@dataclass(frozen=True, slots=True)
class DecodeFirst(RulePolicy):
    """Admit a group of requests when the last one is complete, and serve it to its end.

    When nothing runs, a batch of prompts is read, in order of arrival, up to the first that the
    batch does not take or whose cache at its planned end does not fit beside those of the others.
    All batches that follow hold token jobs, until the last of the group is complete.

    Deviations: complete requests leave at once; prompts longer than the token budget are read in
    chunks.

    Parameters
    ----------
    max_batch_size : int, optional
        Most requests of a group, ≥ 1; the GPU's limit where it is left out or smaller.
    lengths : {"exact", "predicted", "interval", "none"}
        What it reserves for: of an interval its upper end; where nothing is told, all that the GPU
        holds, so that requests run one at a time. Preemption where lengths are too short.
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
    >>> instance = Instance(gpu=Gpu(kv_capacity=40), arrival=[0, 1], prompt=[3, 2], output=[3, 1])
    >>> schedule = simulate_continuous(instance, DecodeFirst())
    >>> [(batch.prefill, batch.decode) for batch in schedule.batches]
    [(((0, 3),), ()), ((), (0,)), ((), (0,)), (((1, 2),), ())]

    References
    ----------
    Request-level scheduling as described in Orca (OSDI 2022), §2; the trace of arXiv 2504.07347,
    fig. 8.
    """

    max_batch_size: int | None = None
    lengths: str = "exact"
    error: float | None = None

    name: ClassVar[str] = "decode-first"
    summary: ClassVar[str] = "a group of requests is admitted when the last one is complete"
    source: ClassVar[str] = "request-level batching (FasterTransformer; Orca, OSDI 2022, §2)"
    length_kinds: ClassVar[tuple[str, ...]] = LENGTH_KINDS

    def __post_init__(self) -> None:
        require_limits(max_batch_size=self.max_batch_size)
        require_lengths(self.length_kinds, self.lengths, self.error)

    def rule(self, gpu: Limits) -> Rule:
        """Return the rule on a GPU."""
        return rule_of(gpu, seats=self.max_batch_size)._replace(
            shape=REQUEST_LEVEL, reserve=PEAK, whole=1
        )
