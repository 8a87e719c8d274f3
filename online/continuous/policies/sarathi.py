"""The rule of Sarathi-Serve: token jobs first, then prompt chunks within the token budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.continuous.problem import Limits
from ..rule import PROMPT, Rule, require_limits, rule_of
from ..rule_policy import RulePolicy


@dataclass(frozen=True, slots=True)
class Sarathi(RulePolicy):
    """Fill a token budget: all token jobs, then begun prompts, then new ones in order of arrival.

    A request is admitted if the blocks of all that it has to read are free, and they are set aside.
    If the next token of a running request does not fit, the request that began last is preempted,
    and nothing is admitted in that batch. It knows no lengths.

    Deviations: the watermark of free blocks is an option (1 % of the blocks in the source).

    Parameters
    ----------
    chunk_size : int, optional
        Token budget of a batch, ≥ 1; the GPU's limit where it is left out or smaller.
    max_num_seqs : int, optional
        Most requests that hold a cache, ≥ 1, likewise.
    watermark_blocks : int, optional
        Blocks that an admission leaves free while others run, ≥ 1; none by default.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=40), arrival=[0, 0], prompt=[3, 4], output=[3, 1])
    >>> schedule = simulate_continuous(instance, Sarathi(chunk_size=4))
    >>> [(batch.prefill, batch.decode) for batch in schedule.batches]
    [(((0, 3), (1, 1)), ()), (((1, 3),), (0,)), ((), (0,))]

    References
    ----------
    Agrawal et al., *Taming Throughput-Latency Tradeoff in LLM Inference with Sarathi-Serve*, OSDI
    2024 (arXiv 2403.02310), Algorithm 3.
    """

    chunk_size: int | None = None
    max_num_seqs: int | None = None
    watermark_blocks: int | None = None

    name: ClassVar[str] = "sarathi"
    summary: ClassVar[str] = "token jobs first, then prompt chunks within the token budget, FCFS"
    source: ClassVar[str] = "Sarathi-Serve, OSDI 2024 (arXiv 2403.02310, Algorithm 3)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def __post_init__(self) -> None:
        require_limits(
            chunk_size=self.chunk_size,
            max_num_seqs=self.max_num_seqs,
            watermark_blocks=self.watermark_blocks,
        )

    def rule(self, gpu: Limits) -> Rule:
        """Return the rule on a GPU."""
        return rule_of(gpu, seats=self.max_num_seqs, tokens=self.chunk_size)._replace(
            reserve=PROMPT,
            decodes_first=1,
            watermark=(self.watermark_blocks or 0) * gpu.block,
        )
