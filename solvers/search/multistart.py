"""Annealing from many starts, each run polished: the search at the published scale."""

from __future__ import annotations

import numpy as np

from ...models.instance import Instance, IntArray
from .annealing import Part, Walk, anneal, begin
from .budget import Budget, Incumbent
from .polish import left_shift, polish_pairs
from .profile import add_run
from .random_stream import Stream

#: Annealing steps per request in the first run; they double every `RUNS_PER_LENGTH` runs.
STEPS_PER_REQUEST = 2_000
RUNS_PER_LENGTH = 3
MOST_STEPS_PER_REQUEST = 64_000

#: Temperatures at the first and last step, as shares of the mean output length.
HEAT = (2.0, 0.05)


def anneal_from_many(
    instance: Instance,
    starts: list[IntArray],
    budget: Budget,
    incumbent: Incumbent,
    stream: Stream,
) -> None:
    """Anneal and polish until the budget is spent, from each of the `starts` and the incumbent.

    Runs take turns: from the next of the starts, or, every other time, from the incumbent at a
    tenth of the heat. Every third run may also delay requests.
    """
    part = _whole(instance, starts)
    run = 0
    while not budget.is_spent:
        from_incumbent = run % 2 == 1
        start = incumbent.schedule.start if from_incumbent else starts[run // 2 % len(starts)]
        walk = begin(part, np.argsort(start, kind="stable"))
        if walk is not None:
            doubled = 2 ** (run // RUNS_PER_LENGTH)
            steps = instance.n * min(STEPS_PER_REQUEST * doubled, MOST_STEPS_PER_REQUEST)
            warmth = (0.2 if from_incumbent else 1.0) * float(instance.output.mean())
            heat = (HEAT[0] * warmth, HEAT[1] * float(instance.output.mean()))
            _run(part, walk, budget, stream, steps, heat, 0.02 if run % 3 == 2 else 0.0)
            incumbent.offer(_polished(part, walk.best, budget) + int(instance.arrival.min()))
        run += 1


def _whole(instance: Instance, starts: list[IntArray]) -> Part:
    """Return all requests as one part, from the first arrival to well beyond the best schedule."""
    origin = int(instance.arrival.min())
    ends = [int((start + instance.output).max()) - origin for start in starts]
    H = max(ends) + min(ends) // 4 + 2 * int(instance.output.max())
    return Part(
        release=instance.arrival - origin,
        prompt=instance.prompt.copy(),
        output=instance.output.copy(),
        weight=np.ones(instance.n, np.int64),
        fixed=np.zeros(H + 1, np.int64),
        M=instance.gpu.kv_capacity,
    )


def _run(
    part: Part,
    walk: Walk,
    budget: Budget,
    stream: Stream,
    steps: int,
    heat: tuple[float, float],
    delays: float,
) -> None:
    def go_on(now: int, end: int) -> None:
        anneal(part, walk, stream, (now, end, steps), heat, delays)

    budget.in_slices(steps, max(1, part.release.size // 2), go_on)


def _polished(part: Part, best: IntArray, budget: Budget) -> IntArray:
    """Return the schedule after shifts and changes of pairs, until none is better."""
    start = best.copy()
    held = part.fixed.copy()
    for i in range(start.size):
        add_run(held, part.prompt[i], part.output[i], start[i])
    columns = (part.release, part.prompt, part.output, part.M, start, held)
    moved = [True]

    def pairs(first: int, end: int) -> None:
        moved[0] |= polish_pairs(*columns, first, end)

    while moved[0] and not budget.is_spent:
        moved[0] = bool(left_shift(*columns))
        budget.in_slices(start.size, 3 * start.size, pairs)
    return start
