"""GBA: requests by geometric classes of length, each class in a staggered pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...lengths import PLANNING_KINDS, require_lengths
from ..decision import Decision
from ..observation import Observation
from ..scanning import Plan, evict_latest, volume
from ..staggering import Stagger


@dataclass(frozen=True, slots=True)
class Gba:
    """Serve classes of output length (1), (2), (3, 4), (5 … 8), … in turn, each as a pipeline.

    Within a class, starts are spaced by `staggering.Stagger`, in order of arrival, and each passes
    the future check of `scanning.ScanningPolicy`; at the first that does not, the scan stops. Where
    nothing runs, one starts in any case. For requests that are all there at 0 with equal prompts
    the source proves a ratio of at most 10.67 to the optimum.

    The abstract of the source is what this was built from: that classes double, and that a class
    begins before the last has ended, are ours, as is the order of requests that arrive later.

    Parameters
    ----------
    lengths : {"exact", "predicted", "interval"}
        What classes go by and what the future check plans with (of an interval its upper end).
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

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

    lengths: str = "exact"
    error: float | None = None

    name: ClassVar[str] = "gba"
    summary: ClassVar[str] = "geometric classes of (planned) output, each in a staggered pipeline"
    source: ClassVar[str] = "arXiv 2601.22996 (geometric batching algorithm)"
    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS

    def __post_init__(self) -> None:
        require_lengths(self.length_kinds, self.lengths, self.error)

    def session(self) -> GbaRun:
        """Return the policy for one run: it remembers when it started what."""
        return GbaRun(self)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Decide as at the begin of a run."""
        return GbaRun(self).decide(observation, rng)


class GbaRun:
    """One run of `Gba`.

    Parameters
    ----------
    policy : Gba
        Its options.
    """

    def __init__(self, policy: Gba) -> None:
        self.name, self.summary, self.source = policy.name, policy.summary, policy.source
        self.length_kinds, self.lengths, self.error = (
            policy.length_kinds,
            policy.lengths,
            policy.error,
        )
        self._stagger: Stagger | None = None

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Start the shortest classes as the pipeline allows; on overflow evict the latest."""
        if observation.overflows:
            return evict_latest(observation)
        t, M = observation.time, observation.kv_capacity
        self._stagger = self._stagger or Stagger(M)
        plan = Plan(M, t, observation.running)
        start: list[int] = []
        for view in sorted(observation.waiting, key=lambda view: length_class(view.planned)):
            idle = not observation.running and not start
            if not plan.fits(view.prompt, view.planned):
                break
            if not (idle or self._stagger.may_start(t)):
                break
            plan.add(view.prompt, view.planned)
            self._stagger.start(t, volume(view.prompt, view.planned))
            start.append(view.index)
        return Decision(start=tuple(start))


def length_class(tokens: int) -> int:
    """Return the least k with ``tokens ≤ 2^k``.

    Examples
    --------
    >>> [length_class(tokens) for tokens in (1, 2, 3, 4, 5)]
    [0, 1, 2, 2, 3]
    """
    return (tokens - 1).bit_length()
