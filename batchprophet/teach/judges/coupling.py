"""Exercises of notebook 5: regret and the compensated coupling."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ...online.coupling import BayesSelector, ClosedForm
from ...online.coupling.compensation import Account, compensation, run_account
from ...online.packing import PackingProblem
from ..answers import listed, near, number
from ..verdict import Unread, Verdict, exercise, right, wrong

PROBLEM = PackingProblem(
    horizon=40, budgets=(20,), uses=((1, 1, 1, 1),), chances=(2, 3, 3, 2), rewards=(10, 6, 3, 1)
)

#: Sample paths over which the fourth exercise averages.
PATHS = 200


class Hindsight:
    """The best offers that fit, of those from a period on."""

    exact = True

    @staticmethod
    def value(t: int, S: Any, path: Any) -> int:
        """Return V_off(t, S) on the path."""
        (left,), _ = S
        return sum(sorted((int(PROBLEM.rewards[j]) for j in path[t:]), reverse=True)[:left])


class Fluid:
    """The fluid value as a potential."""

    exact = False
    value = staticmethod(PROBLEM.fluid_to_go)


def path() -> Any:
    """Return the notebook's sample path."""
    return PROBLEM.draw(np.random.default_rng(15))


def bayes() -> BayesSelector[Any, Any]:
    """Return the selector with the fluid estimate."""
    return BayesSelector(ClosedForm(PROBLEM.fluid_scores))


def never(t: int, S: Any, rng: np.random.Generator) -> bool:
    """Reject all."""
    return False


def account(rule: Any, potential: Any, seed: int = 0) -> Account[Any]:
    """Return the account of a rule on the notebook's path."""
    return run_account(PROBLEM, potential, rule, path(), np.random.default_rng(seed))


@exercise("05.1", asks="a dictionary {True: …, False: …} of the two compensations in period 0")
def first_compensations(answer: Any) -> Verdict:
    """Judge the compensations of both actions in the first period."""
    if not isinstance(answer, Mapping) or set(answer) != {True, False}:
        raise Unread("no dictionary with the keys True and False")
    ω = path()
    S = PROBLEM.initial_state(ω)
    for action in (True, False):
        wanted = float(compensation(PROBLEM, Hindsight, 0, action, S, ω))
        found = number(answer[action])
        if found < 0:
            return wrong(
                f"{found:g} is negative: then doing {action} and the best after it would beat the "
                "best of all."
            )
        if not near(found, wanted):
            return wrong(
                f"The compensation of {action} is not {found:g}. It is V_off now, less the reward "
                "of the action and V_off in the state after it."
            )
    return right(
        "V_off is the maximum over all continuations, and one of them begins with this action: so "
        "neither is negative, and one of them is zero."
    )


@exercise(
    "05.2", asks="two numbers, the residual and the smallest compensation with the fluid value"
)
def fluid_potential(answer: Any) -> Verdict:
    """Judge the account of the selector with the fluid value as the potential."""
    residual, least = listed(answer, 2)
    found = account(bayes(), Fluid)
    wanted = min(float(each.compensation) for each in found.decisions)
    if abs(residual) > 1e-6:
        return wrong(
            f"The sum telescopes for every potential that ends at zero; a residual of {residual:g} "
            "says that it is not the same potential in all periods."
        )
    if least >= 0:
        return wrong(
            f"{least:g} is not negative. With V_off none would be; take problem.fluid_to_go as the "
            "value, and the smallest of all decisions."
        )
    if not near(least, wanted):
        return wrong(f"The smallest is not {least:g}: take the account of `bayes` on `path`.")
    return right(
        "The identity still holds, to the last unit. Lost is the sign: an outcome may be better "
        "than its mean, so a compensation may be negative, and is no price any more."
    )


@exercise("05.3", asks="two numbers, the regret of `never` and in how many periods it is paid")
def never_pays(answer: Any) -> Verdict:
    """Judge the account of the rule that rejects all."""
    regret, periods = listed(answer, 2)
    found = account(never, Hindsight)
    if not near(regret, float(found.regret)):
        return wrong(
            f"`never` earns nothing. What does hindsight earn on `path`, and is it {regret:g}?"
        )
    if periods == PROBLEM.horizon:
        return wrong("Not in all periods: while a seat is left for it, an offer costs little.")
    if periods != len(found.disagreements):
        return wrong(f"Not in {periods:g}. Count the account's `disagreements`.")
    return right(
        "A rejected offer costs what it is worth more than the best one that moves up in its "
        "place. At the end none moves up, and the last offers are paid in full."
    )


@cache
def late_share() -> float:
    """Return the share of the selector's regret that arises in the last quarter."""
    late = total = 0.0
    rule = bayes()
    for seed in range(PATHS):
        rng = np.random.default_rng(seed)
        found = run_account(PROBLEM, Hindsight, rule, PROBLEM.draw(rng), rng)
        total += float(found.regret)
        late += sum(float(d.compensation) for d in found.decisions if d.t >= 30)
    return late / total


@exercise("05.4", asks="a share between 0 and 1")
def share_in_the_last_quarter(answer: Any) -> Verdict:
    """Judge a share, up to the randomness of another set of paths."""
    share = number(answer)
    if 1 < share <= 100:
        return wrong("A share is between 0 and 1; this looks like a percentage.")
    if abs(share - 0.25) < 0.05:
        return wrong("That would be an even spread over time. Add up where d.t >= 30, over paths.")
    if abs(share - late_share()) > 0.08:
        return wrong(
            f"Over {PATHS} paths another share arises there. Sum the compensations with d.t >= 30, "
            "and the regrets, over at least a hundred paths; then divide."
        )
    return right(
        "Most of it: an early difference from hindsight can be made good by later offers, and then "
        "it costs nothing."
    )
