"""Least attained service: the fewest tokens so far first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.durations import Durations
from ...options import require_integer
from ..observation import ContinuousView
from ..preemptive import RankPolicy


@dataclass(frozen=True, slots=True)
class LeastAttained(RankPolicy):
    """Serve the requests with the fewest output tokens, in steps of a quantum; the others yield.

    A request that has not begun is ranked first. Where seats or KV memory run out, those with the
    most tokens are preempted (`preemptive.batch_by_rank`), and read all again later: with a quantum
    of a token caches are read again and again. It knows no output lengths; it is good where most
    requests are short and a few are very long, and bad where they are alike.

    Options are those of `preemptive.RankPolicy`, and:

    Parameters
    ----------
    quantum : int
        Tokens after which a request is ranked lower, ≥ 1.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    MultiLevelFeedback : Levels of doubling quanta, which preempt less.

    Examples
    --------
    One seat: the second request takes it after a token of the first, and has it back.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> gpu = Gpu(kv_capacity=99, running_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[4, 4], output=[3, 1])
    >>> batches = simulate_continuous(instance, LeastAttained(quantum=1)).batches
    >>> [(batch.prefill, batch.preempt) for batch in batches]
    [(((0, 4),), ()), (((1, 4),), (0,)), (((0, 5),), ()), ((), ())]

    References
    ----------
    Nuyens, Wierman, *The foreground-background queue: a survey*, Perform. Eval. 65, 2008; as a
    baseline of LLM serving FastServe, arXiv 2305.05920.
    """

    quantum: int = 128

    name: ClassVar[str] = "least-attained"
    summary: ClassVar[str] = "fewest tokens so far first, with preemption"
    source: ClassVar[str] = "least attained service (Nuyens, Wierman 2008)"

    def __post_init__(self) -> None:
        RankPolicy.__post_init__(self)
        require_integer("quantum", self.quantum, low=1)

    def rank(self, view: ContinuousView, law: Durations) -> float:
        """Return quanta of output tokens so far."""
        return view.tokens // self.quantum
