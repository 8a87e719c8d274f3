"""The rule of vLLM v0: batches of prompts come first, and hold no token jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.continuous.problem import Limits
from ....models.errors import InputError
from ..rule import PROMPT, PROMPTS_FIRST, Rule, require_limits, rule_of
from ..rule_policy import RulePolicy


@dataclass(frozen=True, slots=True)
class PrefillFirst(RulePolicy):
    """Run a batch of whole prompts whenever one can be admitted, else a batch of token jobs.

    Waiting requests are admitted in order of arrival, up to the first whose blocks are not free or
    that the batch does not take. A batch of token jobs serves all that run, as far as the token
    budget goes; if the next token of one does not fit, the request that began last is preempted. It
    knows no lengths.

    Deviations: preemption is by recompute only; a block is needed for the next token only where
    the last one is full; prompts longer than the token budget are read in chunks.

    Parameters
    ----------
    max_num_seqs : int, optional
        Most requests that hold a cache, ≥ 1; the GPU's limit where it is left out or smaller.
    max_num_batched_tokens : int, optional
        Most tokens in a batch, ≥ 1, likewise.
    watermark : float
        Share of the blocks that an admission leaves free while others run, in [0, 1).

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=40), arrival=[0, 1], prompt=[3, 2], output=[3, 1])
    >>> schedule = simulate_continuous(instance, PrefillFirst())
    >>> [(batch.prefill, batch.decode) for batch in schedule.batches]
    [(((0, 3),), ()), (((1, 2),), ()), ((), (0,)), ((), (0,))]

    References
    ----------
    vLLM v0, ``vllm/core/scheduler.py`` (default policy: prefills before decodes) and
    ``vllm/core/block_manager.py`` (watermark).
    """

    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    watermark: float = 0.01

    name: ClassVar[str] = "prefill-first"
    summary: ClassVar[str] = "a batch of prompts whenever one fits, else of all token jobs; FCFS"
    source: ClassVar[str] = "vLLM v0 scheduler (vllm/core/scheduler.py)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def __post_init__(self) -> None:
        require_limits(
            max_num_seqs=self.max_num_seqs, max_num_batched_tokens=self.max_num_batched_tokens
        )
        number = isinstance(self.watermark, (int, float)) and not isinstance(self.watermark, bool)
        if not number or not 0 <= self.watermark < 1:
            raise InputError(f"watermark: expected a number in [0, 1), found {self.watermark!r}")

    def rule(self, gpu: Limits) -> Rule:
        """Return the rule on a GPU."""
        return rule_of(gpu, seats=self.max_num_seqs, tokens=self.max_num_batched_tokens)._replace(
            shape=PROMPTS_FIRST,
            reserve=PROMPT,
            whole=1,
            watermark=int(self.watermark * gpu.blocks) * gpu.block,
        )
