"""Both regimes on the same requests: policies, hindsight, and the price of separate batching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..models.errors import InputError
from ..models.instance import Instance
from ..models.objectives import total_latency
from ..solvers.progress import Progress
from ..solvers.solution import Solution, certified
from .evaluation import Comparison, compare
from .mixed.regime import MIXED
from .separate.orca import Orca
from .separate.price import MixedSide, Price, dropped, mixed_side
from .separate.regime import SEPARATE

#: The two regimes that are compared, by name.
SIDES = {each.model: each for each in (MIXED, SEPARATE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class BothComparison:
    """Separate and mixed batching side by side.

    Attributes
    ----------
    separate : Comparison
        On the instance as it is; the bound of the mixed side counts there as well.
    mixed : Comparison
        On its mixed side, in rounds as long as the shortest batch and without batch limits.
    price : Price
        What separate batching costs.
    """

    separate: Comparison
    mixed: Comparison
    price: Price


def compare_both(
    instance: Instance,
    policies: Sequence[Any] | None = None,
    *,
    time_limit: float = 60.0,
    threads: int | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> BothComparison:
    """Compare policies with hindsight in both regimes, and price separate batching (total latency).

    Parameters
    ----------
    instance : Instance
        Any batch-time law, any batch limits; the mixed side drops both (`separate.price`).
    policies : sequence, optional
        Policies or their specifications; each is run in the regimes that have it. The built-in
        ones of both by default.
    time_limit : float
        Seconds for each of the two hindsight solves.
    threads, seed, progress
        As in `evaluation.compare`.

    Raises
    ------
    InputError
        If the instance or a parameter is invalid, or neither regime has a policy.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=40), arrival=[0, 1], prompt=[3, 1], output=[4, 2])
    >>> both = compare_both(instance, ["prefill-first", "mc-sf"])
    >>> both.separate.solution.objective, both.mixed.solution.objective
    (7, 6)
    >>> round(both.price.low, 4), both.price.exact
    (1.1667, True)
    """
    chosen = policies_by_regime(policies)
    side = mixed_side(instance)
    common: dict[str, Any] = {"time_limit": time_limit, "threads": threads, "progress": progress}
    mixed = compare(side.instance, chosen["mixed"], seed=seed, **common)
    separate = compare(instance, chosen["separate"], model="separate", seed=seed, **common)
    separate = _with_mixed_bound(separate, side, mixed.solution)
    price = Price(
        separate=separate.solution,
        side=side,
        mixed=mixed.solution,
        orca=total_latency(instance, Orca().run(instance).completion),
        time_unit=instance.gpu.batch_time.time_unit,
        dropped=dropped(instance),
    )
    return BothComparison(separate=separate, mixed=mixed, price=price)


def _with_mixed_bound(separate: Comparison, side: MixedSide, mixed: Solution[Any]) -> Comparison:
    """Let the bound on mixed batching in the shortest rounds count for separate batching, too."""
    if mixed.lower_bound is None:
        return separate
    solution = separate.solution
    better = certified(
        separate.instance,
        solution.schedule,
        bounds=(*solution.bounds, ("mixed batching", side.latency(mixed.lower_bound))),
        method=solution.method.partition("; bound: ")[0],
        seconds=solution.seconds,
        log=solution.log,
        certificate=solution.certificate,
    )
    return replace(separate, solution=better)


def policies_by_regime(policies: Sequence[Any] | None) -> dict[str, list[Any] | None]:
    """Return for each regime those of the policies that it has; None for all its built-in ones.

    Raises
    ------
    InputError
        If neither has a policy; the message is that of the regime that knows its name.

    Examples
    --------
    >>> policies_by_regime(["mc-sf", "hysteresis:high=2", "smallest-volume"])
    {'mixed': ['mc-sf', 'smallest-volume'], 'separate': ['hysteresis:high=2', 'smallest-volume']}
    """
    if policies is None:
        return dict.fromkeys(SIDES)
    chosen: dict[str, list[Any] | None] = {model: [] for model in SIDES}
    for policy in policies:
        refusals = []
        for model, regime in SIDES.items():
            try:
                if policy not in regime.references:
                    regime.registry.make(policy)
            except InputError as error:
                refusals.append(str(error))
            else:
                chosen[model] += [policy]  # type: ignore[operator]  # a list here
        if len(refusals) == len(SIDES):
            known = [text for text in refusals if ": expected one of" not in text]
            raise InputError((known or refusals)[-1])
    return chosen
