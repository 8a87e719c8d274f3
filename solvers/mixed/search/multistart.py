"""Annealing in many runs, each of them polished: the search at the published scale."""

from __future__ import annotations

import numpy as np

from ....models.instance import Instance, IntArray
from ...limits import Budget, Incumbent
from ...random_stream import Stream
from ..completion_costs import CompletionCosts
from .annealing import LEFT_OUT, Part, Walk, anneal, begin, waiting_part
from .place import place_rest
from .polish import left_shift, polish_pairs
from .profile import add_run, last_round, nothing_held

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
    instance: Instance,
    budget: Budget,
    incumbent: Incumbent,
    stream: Stream,
    costs: CompletionCosts | None = None,
) -> None:
    """Anneal and polish until the budget is spent.

    Some runs begin at the schedule that was the incumbent at first; most go on from the incumbent
    of the moment, with less heat, and half of these may also delay requests. What completions cost
    is their latency, unless `costs` say otherwise.
    """
    first = incumbent.schedule.start
    part = _whole(instance, first, costs)
    mean_output = float(instance.output.mean())
    worth = 1.0 if costs is None else costs.per_round(instance.output) / costs.scale
    origin = int(instance.arrival.min())
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
            heat = (hot * mean_output * worth, COLD * mean_output * worth)
            _run(part, walk, budget, stream, steps, heat, delays)
            best = np.where(walk.best == LEFT_OUT, LEFT_OUT - origin, walk.best) + origin
            best = place_rest(instance, best)
            if int((best + instance.output).max()) - origin <= last_round(part.fixed):
                best = _polished(part, best - origin, budget) + origin
            incumbent.offer(best)
        run += 1


def _whole(instance: Instance, start: IntArray, costs: CompletionCosts | None) -> Part:
    """Return all requests as one part, from the first arrival to well beyond a schedule's end."""
    origin = int(instance.arrival.min())
    end = int((start + instance.output).max()) - origin
    H = end + end // 4 + 2 * int(instance.output.max())
    part = waiting_part(
        release=instance.arrival - origin,
        prompt=instance.prompt.copy(),
        output=instance.output.copy(),
        weight=np.ones(instance.n, np.int64),
        fixed=nothing_held(instance, H),
        M=instance.gpu.kv_capacity,
    )
    if costs is None:
        return part
    return part._replace(
        weight=costs.rate // costs.scale,
        free=costs.due - instance.output - origin,
        lump=costs.fixed // costs.scale,
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
        moved[0] |= polish_pairs(part, start, held, first, end)

    while moved[0] and not budget.is_spent:
        moved[0] = bool(left_shift(*columns))
        budget.in_slices(start.size, 3 * start.size, pairs)
    return start
