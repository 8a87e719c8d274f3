"""Search for the worst case: annealing over instances from many starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...models.errors import DoesNotFinish
from ...models.instance import Instance
from ..judged import Judged
from .moves import neighbour
from .space import Space

#: Candidates of one descent, and its first and last temperature, in logarithms of ratios.
CANDIDATES = 600
WARM, COLD = 0.04, 0.001

#: One descent in this many begins at the worst case known; the others at a new draw.
AGAIN = 3

#: A new descent begins at the worst of this many draws.
DRAWS = 20


@dataclass(slots=True)
class Hunt:
    """One search: what judges candidates, who is told, and what was found.

    Attributes
    ----------
    space : Space
        The instances.
    judge : callable
        ``judge(instance, above)``, see `judge.judge`.
    found : callable
        Called with each worse case.
    worst : Judged or None
        The worst case so far.
    unfinished : Instance or None
        The first instance on which the policy would go on forever.
    candidates : int
        Instances looked at.
    """

    space: Space
    judge: Callable[[Instance, float], Judged | None]
    found: Callable[[Judged], None]
    worst: Judged | None = None
    unfinished: Instance | None = None
    candidates: int = 0

    def run(self, rng: np.random.Generator, done: Callable[[], bool]) -> None:
        """Descend again and again until `done`, which is asked before each candidate."""
        descents = 0
        while not done():
            again = descents % AGAIN == AGAIN - 1
            begin = self.worst if again else self._worst_of_draws(rng, done)
            if begin is not None:
                self._descend(begin, rng, done)
            descents += 1

    def _worst_of_draws(self, rng: np.random.Generator, done: Callable[[], bool]) -> Judged | None:
        worst: Judged | None = None
        for _ in range(DRAWS):
            if done():
                break
            drawn = self.look(self.space.draw(rng), 0.0 if worst is None else float(worst.ratio))
            if drawn is not None and (worst is None or drawn.ratio > worst.ratio):
                worst = drawn
        return worst

    def _descend(self, here: Judged, rng: np.random.Generator, done: Callable[[], bool]) -> None:
        """Anneal: a neighbour is accepted iff its ratio is at least a threshold drawn before."""
        for step in range(CANDIDATES):
            if done():
                return
            temperature = WARM * (COLD / WARM) ** (step / CANDIDATES)
            threshold = float(here.ratio) * math.exp(temperature * math.log(1 - rng.random()))
            there = self.look(neighbour(here.instance, self.space, rng), threshold)
            if there is not None and there.ratio >= threshold:
                here = there

    def look(self, instance: Instance, above: float) -> Judged | None:
        """Judge a candidate, and keep it if it is worse than all before."""
        self.candidates += 1
        try:
            judged = self.judge(instance, above)
        except DoesNotFinish:
            if self.unfinished is None:
                self.unfinished = instance
            return None
        if judged is not None and (self.worst is None or judged.ratio > self.worst.ratio):
            self.worst = judged
            self.found(judged)
        return judged
