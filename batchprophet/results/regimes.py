"""What results say of a regime beyond what all have: the only module here that names one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..models.errors import InputError
from ..models.instance import Instance
from ..models.objectives import Exact
from ..models.regimes import schedule_value

if TYPE_CHECKING:
    from ..arguments.slo import Slo
    from ..models.regime import Schedule
    from ..online.continuous.counterfactuals import Counterfactual

#: Value of a schedule by what schedules are judged by.
Judge = Callable[[Instance, Any], Exact]

#: Output tokens up to which policies are played again on other GPUs.
MOST_TOKENS = 2 * 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """What a regime has beside figures and account.

    Attributes
    ----------
    speed_gap : callable
        ``speed_gap(instance, schedule, bound)``: by how much a faster GPU closes the gap, as
        1/f − 1; None where no speed does.
    counterfactuals : callable
        ``counterfactuals(instance, policy, seed, value)``: the policy on GPUs with one thing
        changed, by what it is judged.
    played_again : str
        The engines' own policy, which comparisons play again on other GPUs.
    """

    speed_gap: Callable[[Instance, Any, float], float | None]
    counterfactuals: Callable[[Instance, str, int, Judge | None], list[Counterfactual]]
    played_again: str


def _speed_gap(instance: Instance, schedule: Any, bound: float) -> float | None:
    from ..solvers.continuous.speed_gap import speed_equivalent_gap

    return speed_equivalent_gap(instance, schedule, bound)


def _counterfactuals(
    instance: Instance, policy: str, seed: int, value: Judge | None
) -> list[Counterfactual]:
    from ..online.continuous.counterfactuals import counterfactuals

    return counterfactuals(instance, policy, seed=seed, value=value)


#: By the name of the regime.
MORE: Mapping[str, More] = MappingProxyType(
    {
        "continuous": More(
            speed_gap=_speed_gap,
            counterfactuals=_counterfactuals,
            played_again="vllm",
        )
    }
)


def speed_gap(instance: Instance, solution: Any) -> float | None:
    """Return the gap of a solution as speed of the GPU; None where there is none to tell.

    Only of the total latency, and where a bound is known.
    """
    if solution.objective_name != "latency" or solution.bound is None:
        return None
    return speed_gap_of(instance, solution.schedule, float(solution.bound))


def speed_gap_of(instance: Instance, schedule: Schedule, bound: float) -> float | None:
    """Return the gap of a schedule to a bound on its total latency as speed of the GPU.

    None where there is none to tell; 0 where the bound is reached.
    """
    more = MORE.get(schedule.model)
    if more is None:
        return None
    if bound == schedule_value(instance, schedule, "latency"):
        return 0.0
    return more.speed_gap(instance, schedule, bound)


def slo_of(text: str | None, model: str) -> Slo | None:
    """Parse latency limits, which only one regime at a time takes.

    Raises
    ------
    InputError
        If they cannot be parsed, or two regimes are compared.
    """
    from ..arguments.slo import parse_slo

    if text is None:
        return None
    if model == "both":
        raise InputError("slo: expected one regime, found --model both")
    return parse_slo(text)


def counterfactuals(
    instance: Instance,
    model: str,
    finished: list[str],
    *,
    seed: int,
    deliberate: tuple[str, ...],
    value: Judge | None = None,
) -> dict[str, list[Counterfactual]]:
    """Play the best policy and the engines' own again on other GPUs.

    Parameters
    ----------
    instance : Instance
        The instance.
    model : str
        The regime.
    finished : list of str
        Built-in policies that finish, the best first.
    seed : int
        As in the comparison.
    deliberate : tuple of str
        Policies that take long, and are left out.
    value : callable, optional
        ``value(instance, schedule)``, what schedules are judged by; the total latency by default.

    Returns
    -------
    dict of str to list of Counterfactual
        By policy; empty in regimes without, and above `MOST_TOKENS` output tokens.
    """
    more = MORE.get(model)
    if more is None or int(instance.output.sum()) > MOST_TOKENS:
        return {}
    quick = [name for name in finished if name.partition(":")[0] not in deliberate]
    engines = [name for name in quick if name.partition(":")[0] == more.played_again]
    chosen = dict.fromkeys([*engines[:1], *quick[:1]])
    return {name: more.counterfactuals(instance, name, seed, value) for name in chosen}
