"""Flow control: a fixed rate at which requests of unknown length join those that run."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from ...options import require_positive
from ...protocol import RememberingPolicy, Run
from ..decision import Decision
from ..observation import Observation
from ..scanning import evict_latest, volume


@dataclass(frozen=True, slots=True)
class FlowControl(RememberingPolicy[Observation, Decision]):
    """Let at most b requests join in a round, first come, first served; knows no lengths.

    With KV areas ``w = Σ_{g=1..o} (s + g)``, what runs holds ``b·E[w]`` tokens in the mean if b
    start in every round: the smaller b·E[w] is beside M, the rarer are overflows. Requests join in
    order of arrival while the next round has room; if it would overflow, the latest are evicted
    until it fits, and nothing joins.

    A rate below 1 lets one request join every 1/b rounds; unused rate is kept up to max(1, b)
    requests. Where nothing runs, one joins in any case.

    Parameters
    ----------
    budget : float, optional
        b > 0, in requests a round. By default M over the mean area of the requests that have
        completed so far (ours; the source takes b as given); 1 before any has.

    Raises
    ------
    InputError
        If the budget is out of range.

    See Also
    --------
    ClassBudget : Budgets for classes of known length.

    Examples
    --------
    A request every other round.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=30), arrival=[0, 0, 0], prompt=[1, 1, 1], output=[4, 4, 4]
    ... )
    >>> simulate(instance, FlowControl(budget=0.5)).start.tolist()
    [0, 2, 4]

    References
    ----------
    arXiv 2604.11001 (activation budget; first come, first served; last come, first evicted).
    """

    budget: float | None = None

    name: ClassVar[str] = "flow-control"
    summary: ClassVar[str] = "FCFS, at most b requests join in a round; knows no lengths"
    source: ClassVar[str] = "arXiv 2604.11001 (activation budget)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.budget is not None:
            require_positive("budget", self.budget)

    def session(self) -> FlowControlRun:
        """Return the policy for one run: it remembers the rate that is unused."""
        return FlowControlRun(self)


class FlowControlRun(Run[Observation, Decision]):
    """One run of `FlowControl`.

    Parameters
    ----------
    policy : FlowControl
        Its options.
    """

    def __init__(self, policy: FlowControl) -> None:
        super().__init__(policy)
        # The decimal that it prints as, so that ten tenths are one.
        self._budget = None if policy.budget is None else Fraction(repr(float(policy.budget)))
        self._credit: Fraction | None = None  # requests that may join
        self._asked = 0

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Let requests join while there are rate and room; on overflow evict the latest."""
        self._save_up(observation)
        if observation.overflows:
            return evict_latest(observation)
        assert self._credit is not None
        held, filled = observation.kv_next_round, observation.next_round
        start: list[int] = []
        for view in observation.waiting:
            held += view.prompt + 1
            idle = not observation.running and not start
            no_room = held > observation.kv_capacity or not filled.takes(view.prompt)
            if no_room or (self._credit < 1 and not idle):
                break
            filled.add(view.prompt)
            self._credit = max(self._credit - 1, Fraction(0))
            start.append(view.index)
        return Decision(start=tuple(start))

    def _save_up(self, observation: Observation) -> None:
        """Add the rate of the rounds since the last decision."""
        budget = self._budget or _learned_budget(observation)
        most = max(budget, Fraction(1))
        if self._credit is None:
            self._credit = most
        else:
            rounds = observation.time - self._asked
            self._credit = min(self._credit + budget * rounds, most)
        self._asked = observation.time


def _learned_budget(observation: Observation) -> Fraction:
    """Return M over the mean KV area of the requests that have completed; 1 without any."""
    areas = [
        volume(view.prompt, view.longest)
        for view in observation.arrived
        if view.longest is not None
    ]
    if not areas:
        return Fraction(1)
    return Fraction(observation.kv_capacity * len(areas), sum(areas))
