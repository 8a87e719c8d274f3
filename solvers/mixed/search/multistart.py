"""Annealing in many runs, each of them polished: the search at the published scale."""

from __future__ import annotations

import numpy as np

from ....models.instance import Instance, IntArray
from ...limits import Budget, Incumbent
from ...random_stream import Stream
from .annealing import Part, Walk, anneal, begin
from .polish import left_shift, polish_pairs
from .profile import add_run, nothing_held

#: Annealing steps per request in a run: few at first, and twice as many each `DOUBLE_AFTER` runs.
STEPS_PER_REQUEST, MOST_STEPS_PER_REQUEST = 4_000, 16_000
DOUBLE_AFTER = 24

#: Temperatures at the first step, as shares of the mean output length: of runs from the first
#: schedule, in turn (which is better depends on the instance), and of runs from the incumbent.
HOT = (0.7, 0.3)
WARM = (0.12, 0.2)

#: The temperature at the last step.
COLD = 0.05

#: Runs in a row from the first schedule; later one run in this many begins there.
FIRST_RUNS = 5
RESTARTS = 8

#: Share of moves that delay a request, in every other pair of runs from the incumbent.
DELAYS = 0.02


def anneal_in_runs(
    instance: Instance, budget: Budget, incumbent: Incumbent, stream: Stream
) -> None:
    """Anneal and polish until the budget is spent.

    Some runs begin at the schedule that was the incumbent at first; most go on from the incumbent
    of the moment, with less heat, and half of these may also delay requests.
    """
    first = incumbent.schedule.start
    part = _whole(instance, first)
    mean_output = float(instance.output.mean())
    run = fresh = warm = 0
    while not budget.is_spent:
        if run < FIRST_RUNS or run % RESTARTS == 0:
            start, hot, delays = first, HOT[fresh % len(HOT)], 0.0
            fresh += 1
        else:
            start, hot = incumbent.schedule.start, WARM[warm % len(WARM)]
            delays = DELAYS if warm // len(WARM) % 2 == 1 else 0.0
            warm += 1
        budget.work += instance.n
        walk = begin(part, np.argsort(start, kind="stable"))
        if walk is not None:
            per_request = STEPS_PER_REQUEST * 2 ** (run // DOUBLE_AFTER)
            steps = instance.n * min(per_request, MOST_STEPS_PER_REQUEST)
            heat = (hot * mean_output, COLD * mean_output)
            _run(part, walk, budget, stream, steps, heat, delays)
            incumbent.offer(_polished(part, walk.best, budget) + int(instance.arrival.min()))
        run += 1


def _whole(instance: Instance, start: IntArray) -> Part:
    """Return all requests as one part, from the first arrival to well beyond a schedule's end."""
    origin = int(instance.arrival.min())
    end = int((start + instance.output).max()) - origin
    H = end + end // 4 + 2 * int(instance.output.max())
    return Part(
        release=instance.arrival - origin,
        prompt=instance.prompt.copy(),
        output=instance.output.copy(),
        weight=np.ones(instance.n, np.int64),
        fixed=nothing_held(instance, H),
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
    """Return the schedule after shifts and changes of pairs, until none improves it."""
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
