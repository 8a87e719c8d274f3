"""Relaxations: an instance bounded in another regime, which has all its schedules and more.

No regime imports another: a `Relaxation` names the other one, and its recipe is asked for here. The
bound is a stage like any other of the regime's own engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ..models.errors import InputError
from ..models.instance import Instance
from .best_so_far import BestSoFar
from .certificates.proof import RecomputedProof
from .progress import relative_gap
from .stages import Driver, Limits, Stage
from .workers import Found

if TYPE_CHECKING:
    from .recipe import Recipe

#: Where value and bound are no farther apart, parts of the value, no other regime is asked.
NEAR = 0.02

#: By work: share of its units for a relaxation, whose steps take long.
SHARE = 0.001


class MakesProof(Protocol):
    """What makes the proof of an instance from the proof of the relaxed one."""

    def __call__(self, *, regime: str, proof: RecomputedProof) -> RecomputedProof:
        """Return the proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """Another regime in which an instance can be bounded.

    Attributes
    ----------
    regime : str
        Its name.
    relaxed : callable
        The instance there, which has every schedule of one here.
    proof : callable
        ``proof(regime=…, proof=…)``, from the proof for the relaxed instance.
    applies : callable
        Whether its bound may be worth its time: ``applies(instance)``.
    """

    regime: str
    relaxed: Callable[[Instance], Instance]
    proof: MakesProof
    applies: Callable[[Instance], bool]

    @property
    def name(self) -> str:
        """What its bounds are found by."""
        return f"relaxed to {self.regime} batching"

    @property
    def recipe(self) -> Recipe[Any]:
        """The recipe of the other regime."""
        from .regimes import recipe  # which names all regimes, those with relaxations too

        return recipe(self.regime)

    def instance(self, instance: Instance) -> Instance | None:
        """Return the relaxed instance; None if it is of no use, or none of the other regime's."""
        if not self.applies(instance):
            return None
        relaxed = self.relaxed(instance)
        try:
            self.recipe.rules.require(relaxed)
        except InputError:  # beyond the other regime's range of numbers
            return None
        return relaxed


def stages(
    relaxations: Iterable[Relaxation], driver: Driver[Any], seconds: float = math.inf
) -> Iterator[Stage]:
    """Yield a stage of some seconds for each relaxation that applies to the driver's instance."""
    for each in relaxations:
        relaxed = each.instance(driver.search.instance)
        if relaxed is not None:
            run, far = partial(_bound, each, relaxed, driver), partial(_is_far, driver.search)
            yield Stage(each.name, run, far, seconds, SHARE)


def _is_far(search: BestSoFar[Any]) -> bool:
    """Whether there is much for another bound to gain."""
    gap = relative_gap(search.value, search.bound)
    return gap is None or gap > NEAR


def _bound(relaxation: Relaxation, relaxed: Instance, driver: Driver[Any], limits: Limits) -> None:
    """Bound the relaxed instance within limits, and hand in what that proves."""
    from .recipe import Options

    began, objective, recipe = driver.search.seconds, driver.search.objective, relaxation.recipe
    search = BestSoFar[Any](relaxed, objective, math.inf)
    recipe.begin(search, None, Options(objective=objective))
    assert recipe.bounds is not None
    left = replace(limits, seconds=max(0.0, limits.seconds + began - driver.search.seconds))
    for bound, proof in recipe.bounds(search, left):
        proved = relaxation.proof(regime=relaxation.regime, proof=proof)
        driver.mailbox.put(Found(relaxation.name, bound=(bound, proved)))
