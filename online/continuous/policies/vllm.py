"""The rule of vLLM v1: running first, then prompt chunks in order, preempt from the tail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.continuous.problem import Limits
from ...options import require_truth
from ..rule import FITS, Rule, require_limits, rule_of
from ..rule_policy import RulePolicy


@dataclass(frozen=True, slots=True)
class Vllm(RulePolicy):
    """Serve what runs, fill the batch with prompt chunks, preempt the latest when KV runs out.

    Running requests are taken in the order in which they began: a token each, or the next chunk of
    a prompt that is not read yet. If the blocks of one do not fit, the request that began last is
    preempted, until they do: its cache is dropped, and it waits in front. Then, unless a request
    was preempted, waiting requests are admitted in order of arrival with a chunk as large as the
    batch still takes, up to the first that does not fit: all that it has to read must fit the free
    blocks, though only its first chunk takes some. It knows no lengths.

    A preempted request is always earlier than all that wait, so the queue is in order of arrival.

    Deviations: no prefix caching, no priorities, no speculative or encoder tokens.

    Parameters
    ----------
    max_num_seqs : int, optional
        Most requests that hold a cache, ≥ 1; the GPU's limit where it is left out or smaller.
    max_num_batched_tokens : int, optional
        Most prompt tokens and token jobs in a batch, ≥ 1, likewise.
    long_prefill_token_threshold : int, optional
        Most prompt tokens of one request in a batch, ≥ 1; no limit of its own by default.
    scheduler_reserve_full_isl : bool
        Whether all that a request has to read must fit when it is admitted, as in vLLM since 0.19,
        where this is the default; otherwise its first chunk must.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    Sarathi : Sets aside blocks for all that a request has to read.

    Examples
    --------
    The second request does not grow beside the first: it is preempted, and reads both its prompt
    and its three tokens again.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=7), arrival=[0, 0], prompt=[1, 1], output=[4, 4])
    >>> schedule = simulate_continuous(instance, Vllm())
    >>> [(batch.prefill, batch.decode, batch.preempt) for batch in schedule.batches][2:]
    [((), (0, 1), ()), ((), (0,), (1,)), (((1, 4),), (), ())]

    References
    ----------
    vLLM v1, ``vllm/v1/core/sched/scheduler.py`` (schedule); docs/model/continuous.md §6.
    """

    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    long_prefill_token_threshold: int | None = None
    scheduler_reserve_full_isl: bool = True

    name: ClassVar[str] = "vllm"
    summary: ClassVar[str] = "running first, then prompt chunks FCFS, preempt from the tail"
    source: ClassVar[str] = "vLLM v1 scheduler (vllm/v1/core/sched/scheduler.py)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def __post_init__(self) -> None:
        require_limits(
            max_num_seqs=self.max_num_seqs,
            max_num_batched_tokens=self.max_num_batched_tokens,
            long_prefill_token_threshold=self.long_prefill_token_threshold,
        )
        require_truth("scheduler_reserve_full_isl", self.scheduler_reserve_full_isl)

    def rule(self, gpu: Limits) -> Rule:
        """Return the rule on a GPU."""
        rule = rule_of(
            gpu,
            seats=self.max_num_seqs,
            tokens=self.max_num_batched_tokens,
            chunk=self.long_prefill_token_threshold,
        )
        return rule._replace(reserve=FITS) if self.scheduler_reserve_full_isl else rule
