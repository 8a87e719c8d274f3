"""What the policies have in common that admit by rank while all that runs can complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...models.continuous.problem import Limits
from ..lengths import PLANNING_KINDS, require_lengths
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
    lengths : {"exact", "predicted", "interval"}
        What it plans with (of an interval its upper end).
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

    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS

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
