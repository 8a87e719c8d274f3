"""Exercises of notebook 2: the hindsight optimum as an integer program."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ...api import make
from ...models.errors import BatchprophetError
from ...models.instance import Gpu, Instance
from ...models.mixed.milp import build_model
from ...solvers import solve_model
from ..answers import listed, names, near, number, short
from ..runs import instance_of, optimum_of
from ..verdict import Unread, Verdict, exercise, right, wrong
from .optimum import TWO, eight, judge_total, optimal

#: The two requests by hand, and a third one.
THREE = instance_of(Gpu(kv_capacity=9), arrival=[0, 2, 0], prompt=[3, 1, 2], output=[4, 2, 2])

#: Sizes of the third exercise.
SIZES = range(3, 9)


@exercise("02.1", asks="the optimal total latency of the three requests")
def optimum_with_a_third(answer: Any) -> Verdict:
    """Judge a total latency by the proved optimum."""
    return judge_total(
        number(answer),
        optimal(THREE),
        right_because="The third request fits beside request 0 at once, and is gone before it "
        "matters: it delays nobody.",
        above="What does request 0 hold in round 2, and how much room is left for the third?",
    )


@exercise("02.2", asks="a function (instance, horizon) that returns the Pyomo model")
def makespan_model(answer: Any) -> Verdict:
    """Judge a model builder by the optima of its models on small instances."""
    if not callable(answer):
        raise Unread(f"{short(answer)}, which is no function")
    tiny = {"n": 3, "kv_capacity": 9}
    drawn = [make("arrival-model-1", seed=seed, settings=tiny) for seed in range(3)]
    for tried in (TWO, *drawn):
        horizon = int(tried.arrival.max() + tried.output.sum())
        found = _value_of(answer, tried, horizon)
        if isinstance(found, str):
            return wrong(found)
        wanted = optimal(tried, objective="makespan")
        if not near(found, wanted, 1e-6):
            requests = list(
                zip(
                    tried.arrival.tolist(),
                    tried.prompt.tolist(),
                    tried.output.tolist(),
                    strict=True,
                )
            )
            hint = (
                "It is too small: must the new variable be as large as each completion?"
                if found < wanted
                else "It is too large: is the old objective out, and the new one minimised?"
            )
            return wrong(
                f"On the requests (a, s, o) = {requests} with M = {tried.gpu.kv_capacity} the "
                f"model's optimum is {found:g}, and the smallest makespan is {wanted:g}. {hint}"
            )
    return right(
        "Its optimum is the smallest makespan on four instances. A maximum in an objective that "
        "is minimised needs one variable and a row per request, and no big-M."
    )


def _value_of(
    build: Callable[[Instance, int], Any], instance: Instance, horizon: int
) -> float | str:
    """Return the optimum of a student's model, or what is wrong with it."""
    try:
        model = build(instance, horizon)
    except Exception as error:  # whatever a student's code raises is said, and is no error of ours
        return f"The function raises {type(error).__name__}: {error}"
    try:
        found = solve_model(model)
    except (BatchprophetError, ValueError, RuntimeError, AttributeError, TypeError) as error:
        return f"The model cannot be solved ({type(error).__name__}: {error})."
    return "The model has no solution." if found.objective is None else found.objective


@exercise("02.3", asks="six shares, 1 − LP bound / optimum for n = 3, …, 8")
def missing_shares(answer: Any) -> Verdict:
    """Judge the relative distance of the LP bound from the optimum, size by size."""
    shares = listed(answer, len(SIZES))
    larger = eight()
    for size, share in zip(SIZES, shares, strict=True):
        part = larger.take(range(size))
        wanted = 1 - optimum_of(build_model(part), relax=True) / optimal(part)
        if near(share, 100 * wanted) and not near(share, wanted):
            return wrong("Shares are between 0 and 1; these look like percentages.")
        if not near(share, wanted):
            return wrong(
                f"For n = {size} the share {share:.4f} is another one than that of the LP bound "
                "(solve_model with relax=True) and the optimum (bp.solve) of the same requests."
            )
    return right(
        "It grows with n: there is more to average out, and slices of more requests to use."
    )


#: Statements of the fourth exercise, by letter, with what is to be said of each.
STATEMENTS = {
    "a": (False, "the solver's word is what is to be verified, within tolerances of its own"),
    "b": (True, "a schedule that an independent checker has accepted"),
    "c": (True, "a value recomputed from the schedule, in integers"),
    "d": (False, "a gap of 1e-4, HiGHS's default, leaves room for a better schedule"),
    "e": (True, "a bound, relaxed by the tolerance and rounded up, that equals the value"),
}


@exercise("02.4", asks="the letters of the facts that together prove it")
def what_proves_optimality(answer: Any) -> Verdict:
    """Judge a set of statements."""
    if isinstance(answer, str):  # "bce", or "b, c and e"
        words = [word for word in re.split(r"[\s,]+", answer) if word not in ("", "and")]
        answer = [letter for word in words for letter in word]
    chosen = names(answer, STATEMENTS)
    for letter in sorted(chosen):
        needed, why = STATEMENTS[letter]
        if not needed:
            return wrong(f"{letter} proves nothing here: {why}.")
    more = sum(needed for needed, _ in STATEMENTS.values()) - len(chosen)
    if more:
        return wrong(
            f"These are needed, and so are {more} more: optimality is a statement on a schedule, "
            "on its value, and on a bound."
        )
    return right(
        "A verified schedule, its value in integers, and a bound that equals it: then no schedule "
        "is better, whatever happened in floating point."
    )
