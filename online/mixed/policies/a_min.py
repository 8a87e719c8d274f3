"""A_min: plan with lower bounds of the output lengths, and raise them as tokens appear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...lengths import LENGTH_KINDS, require_lengths
from ...protocol import RememberingPolicy, Run
from ..decision import Decision
from ..observation import Observation, RequestView
from ..scanning import scan_by_least


@dataclass(frozen=True, slots=True)
class AMin(RememberingPolicy[Observation, Decision]):
    """Admit by the lower bound of the output, as if it were the output; evict by it on overflow.

    The bound of a request is the lower end of what is told of its output, or one token; it is
    raised to the tokens that the request has had, also in a run that was evicted, plus one while
    it runs. Waiting requests are scanned by it (ties by arrival), and start while the future check
    of `scanning.ScanningPolicy` passes with bounds as output lengths. If the next round would
    overflow, running requests are evicted by bound, least first (of equals the one that started
    last), until it fits; nothing starts then. With exact lengths it is `mc-sf`. Its counterpart
    A_max, which plans with upper ends, is ``mc-sf:lengths=interval``.

    Parameters
    ----------
    lengths : {"none", "interval", "predicted", "exact"}
        What it takes the lower bound from.
    error : float, optional
        With ``lengths=predicted``: draw predictions with this relative error, ≥ 0.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    McSf : Plans with exact lengths, predictions or upper ends.

    Examples
    --------
    Both are taken for short. In round 3 they would hold 4 + 4 > 7 tokens: the one that began last
    is evicted, and starts anew once it fits with an output of three tokens.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=7), arrival=[0, 0], prompt=[1, 1], output=[4, 4])
    >>> schedule = simulate(instance, AMin())
    >>> schedule.start.tolist(), [(run.request, run.start, run.end) for run in schedule.evicted]
    ([0, 3], [(1, 0, 2)])

    References
    ----------
    arXiv 2508.14544 (A_min; all requests at 0 and equal prompts there).
    """

    lengths: str = "none"
    error: float | None = None

    name: ClassVar[str] = "a-min"
    summary: ClassVar[str] = "least lower bound of the output first, raised as tokens appear"
    source: ClassVar[str] = "arXiv 2508.14544 (A_min)"
    length_kinds: ClassVar[tuple[str, ...]] = LENGTH_KINDS

    def __post_init__(self) -> None:
        require_lengths(self.length_kinds, self.lengths, self.error)

    def session(self) -> AMinRun:
        """Return the policy for one run: it remembers bounds of evicted requests."""
        return AMinRun(self)


class AMinRun(Run[Observation, Decision]):
    """One run of `AMin`.

    Parameters
    ----------
    policy : AMin
        Its options.
    """

    def __init__(self, policy: AMin) -> None:
        super().__init__(policy)
        self._had: dict[int, int] = {}  # tokens of evicted runs

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Evict on overflow; else start in order of the bounds while the plan fits."""
        if observation.overflows:
            return self._evict(observation)
        t = observation.time

        def bound(view: RequestView) -> int:
            return self._bound(view, t)

        return scan_by_least(observation, bound, bound)

    def _bound(self, view: RequestView, t: int) -> int:
        """Return the lower bound of the output of a request at round boundary t."""
        told = max(view.shortest or 1, self._had.get(view.index, 0))
        return told if view.start is None else max(told, t - view.start + 1)

    def _evict(self, observation: Observation) -> Decision:
        """Evict the least bounds until the next round fits."""
        t, held, evict = observation.time, observation.kv_next_round, []
        latest_first = reversed(observation.running)
        for view in sorted(latest_first, key=lambda view: self._bound(view, t)):
            if held <= observation.kv_capacity:
                break
            held -= view.size(t + 1)
            self._had[view.index] = self._bound(view, t)
            evict.append(view.index)
        return Decision(evict=tuple(evict))
