"""Least GPU work first, by the batch-time law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ....models.durations import Durations
from ....models.instance import IntArray
from ..ranked import RankedPolicy


@dataclass(frozen=True, slots=True)
class LeastWork(RankedPolicy):
    """Admit the least GPU work first while all that runs can complete.

    The work of a request is what it adds to the times of its batches: c1 for each prompt token, and
    c2 + c3·(s + g) for the token job after g tokens. Where a law has none of them (unit times), it
    is the number of its batches, its output.

    Options are those of `ranked.RankedPolicy`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[6, 1], output=[2, 4])
    >>> [batch.prefill for batch in simulate_continuous(instance, LeastWork()).batches]
    [((0, 6), (1, 1)), (), (), ()]

    References
    ----------
    Schrage, *A proof of the optimality of the shortest remaining processing time discipline*, Oper.
    Res. 16, 1968; here in batches, so without its optimality.
    """

    name: ClassVar[str] = "least-work"
    summary: ClassVar[str] = (
        "least work by the batch-time law first, while all that runs can complete"
    )
    source: ClassVar[str] = "least work first (Schrage 1968), in batches"

    def key(self, prompt: IntArray, planned: IntArray, law: Durations) -> IntArray:
        """Return work in the law's units, shape (m,)."""
        jobs = planned - 1
        read = jobs * prompt + jobs * planned // 2
        work = law.per_prompt_token * prompt + law.per_token_job * jobs + law.per_kv_token * read
        return work if law.divisor > 1 else planned
