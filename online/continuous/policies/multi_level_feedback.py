"""Multi-level feedback with skip-join, as in FastServe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ....models.durations import Durations
from ....models.errors import InputError
from ...options import require_integer
from ..observation import ContinuousView
from ..preemptive import RankPolicy, reading_time

#: Most levels: quanta double from one to the next.
MOST_LEVELS = 40


@dataclass(frozen=True, slots=True)
class MultiLevelFeedback(RankPolicy):
    """Serve the highest level first; a request that has used its level's quantum goes down one.

    Level k has a quantum of ``quantum·2^k`` tokens. A request joins the first level whose quantum
    is not less than the time of its first iteration, which reads the prompt, in iterations of a
    token (skip-join): a long prompt does not pass all levels. Within a level the first come is
    first. Where seats or KV memory run out the lowest are preempted (`preemptive.batch_by_rank`).
    It knows no output lengths.

    Deviations from FastServe: a preempted cache is read again, not swapped to the host; nothing is
    promoted after a long wait.

    Options are those of `preemptive.RankPolicy`, and:

    Parameters
    ----------
    quantum : int
        Tokens of the highest level, ≥ 1.
    levels : int
        How many there are, from 1 to 40; with one it is first come, first served.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    LeastAttained : As many levels as there are tokens.

    Examples
    --------
    One seat. After two tokens the first request goes down a level, and the second takes its seat.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> gpu = Gpu(kv_capacity=99, running_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[4, 4], output=[4, 1])
    >>> batches = simulate_continuous(instance, MultiLevelFeedback(quantum=2)).batches
    >>> [(batch.prefill, batch.preempt) for batch in batches][:4]
    [(((0, 4),), ()), ((), ()), (((1, 4),), (0,)), (((0, 6),), ())]

    References
    ----------
    Wu et al., *Fast distributed inference serving for large language models*, arXiv 2305.05920, §4
    (skip-join multi-level feedback queue).
    """

    quantum: int = 32
    levels: int = 8

    name: ClassVar[str] = "multi-level-feedback"
    summary: ClassVar[str] = "skip-join multi-level feedback queue, with preemption"
    source: ClassVar[str] = "FastServe (arXiv 2305.05920, §4)"

    def __post_init__(self) -> None:
        RankPolicy.__post_init__(self)
        require_integer("quantum", self.quantum, low=1)
        require_integer("levels", self.levels, low=1)
        if self.levels > MOST_LEVELS:
            raise InputError(
                f"levels: expected an integer of at most {MOST_LEVELS}, found {self.levels}"
            )

    def rank(self, view: ContinuousView, law: Durations) -> float:
        """Return the level, 0 the highest."""
        fresh = ContinuousView(view.index, view.arrival, view.prompt)
        first = reading_time(fresh, law)
        level = max(0, math.ceil(math.log2(max(1.0, first / self.quantum))))
        used = self.quantum * 2 ** min(level, self.levels - 1)
        while view.tokens >= used and level < self.levels - 1:
            level += 1
            used += self.quantum * 2**level
        return min(level, self.levels - 1)
