"""GBA: requests by geometric classes of length, each class in a staggered pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...lengths import PlanningPolicy
from ...protocol import RememberingPolicy, Run
from ..decision import Decision
from ..observation import Observation
from ..scanning import evict_latest
from ..staggering import Stagger


@dataclass(frozen=True, slots=True)
class Gba(PlanningPolicy, RememberingPolicy[Observation, Decision]):
    """Serve classes of output length (1), (2), (3, 4), (5 … 8), … in turn, each as a pipeline.

    Within a class, starts are spaced by `staggering.Stagger`, in order of arrival, and each passes
    the future check of `scanning.ScanningPolicy`; at the first that does not, the scan stops. Where
    nothing runs, one starts in any case. For requests that are all there at 0 with equal prompts
    the source proves a ratio of at most 10.67 to the optimum.

    The abstract of the source is what this was built from: that classes double, and that a class
    begins before the last has ended, are ours, as is the order of requests that arrive later.

    Options are those of `lengths.PlanningPolicy`.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    Gsa : The same without output lengths.

    Examples
    --------
    The last is of the shortest class. The others, of area 14, start 14/12 rounds apart.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=12), arrival=[0] * 4, prompt=[1] * 4,
    ...                     output=[4, 4, 4, 1])
    >>> simulate(instance, Gba()).start.tolist()
    [0, 1, 2, 0]

    References
    ----------
    arXiv 2601.22996 (geometric batching algorithm).
    """

    name: ClassVar[str] = "gba"
    summary: ClassVar[str] = "geometric classes of (planned) output, each in a staggered pipeline"
    source: ClassVar[str] = "arXiv 2601.22996 (geometric batching algorithm)"

    def session(self) -> GbaRun:
        """Return the policy for one run: it remembers when it started what."""
        return GbaRun(self)


class GbaRun(Run[Observation, Decision]):
    """One run of `Gba`.

    Parameters
    ----------
    policy : Gba
        Its options.
    """

    def __init__(self, policy: Gba) -> None:
        super().__init__(policy)
        self._stagger: Stagger | None = None

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Start the shortest classes as the pipeline allows; on overflow evict the latest."""
        if observation.overflows:
            return evict_latest(observation)
        self._stagger = self._stagger or Stagger(observation.kv_capacity)
        plan = observation.plan()
        order = sorted(observation.waiting, key=lambda view: length_class(view.planned))
        start = self._stagger.scan(
            observation, plan, order, lambda view: view.planned, idle=not observation.running
        )
        return Decision(start=start)


def length_class(tokens: int) -> int:
    """Return the least k with ``tokens ≤ 2^k``.

    Examples
    --------
    >>> [length_class(tokens) for tokens in (1, 2, 3, 4, 5)]
    [0, 1, 2, 2, 3]
    """
    return (tokens - 1).bit_length()
