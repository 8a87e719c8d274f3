"""Exercises of notebook 6: constant regret on a GPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ...online.environments import make_environment
from ...online.regret import measure_regret
from ..answers import listed, near, number
from ..verdict import Verdict, exercise, right, wrong


def densities(prompt_time: int) -> list[float]:
    """Return the reward per slot of each type, if a prompt batch takes so many slots."""
    law: Any = make_environment("separate-admission").law  # type: ignore[attr-defined]
    work = prompt_time / 8 + (np.array(law.output) - 1) / 16
    return [float(each) for each in np.array(law.reward) / work]


@exercise("06.1", asks="three densities, reward per slot of the types 1, 2 and 3")
def densities_with_short_prompts(answer: Any) -> Verdict:
    """Judge the densities for prompt batches of one slot."""
    found = listed(answer, 3)
    for j, (value, wanted, before) in enumerate(
        zip(found, densities(1), densities(3), strict=True), start=1
    ):
        if near(value, before, 0.01):
            return wrong(f"Type {j}: {value:g} is its density with prompt batches of three slots.")
        if not near(value, wanted, 0.01):
            return wrong(
                f"Type {j}: not {value:g}. Its work is a prompt's share of a batch, 1/8 slot, and "
                "its token jobs' shares, 1/16 slot each; its density is reward over work."
            )
    return right(
        "The order is the same, and type 1, whose work was mostly its prompt, leads by more."
    )


def most_served(arrivals: list[int]) -> int:
    """Serve one request per slot while there are some: a server that never rests."""
    waiting = served = 0
    for arriving in arrivals:
        waiting += arriving
        served += min(waiting, 1)
        waiting -= min(waiting, 1)
    return served


@exercise("06.2", asks="how many of the twenty requests can be served at most")
def served_at_most(answer: Any) -> Verdict:
    """Judge a count by serving slot by slot."""
    found = number(answer)
    wanted = most_served([0, 0, 10, 0, 0, 0, 0, 10, 0, 0])
    if found == 10:
        return wrong("Ten slots are not ten requests: is there work in every slot?")
    if found != wanted:
        return wrong(f"Not {found:g}. In which slots is there work, and in which is there none?")
    return right("The slots before the first arrival are lost, and no later one brings them back.")


@exercise("06.3", asks="one number, the factor")
def growth_of_deviations(answer: Any) -> Verdict:
    """Judge the growth of the standard deviation of a sum of coin flips, from 100 to 6,400."""
    found = number(answer)
    deviation = [float(np.sqrt(T / 4)) for T in (100, 6400)]
    wanted = deviation[1] / deviation[0]
    if near(found, 64, 0.05):
        return wrong("By that factor the variance grows, and the mean.")
    if not near(found, wanted, 0.07):
        return wrong("Draw many sums of each length, and compare their standard deviations.")
    return right(
        "It grows like √T. Accepting with a fixed probability is such a sum, and nothing corrects "
        "it: too many are displaced or pay a penalty, too few leave the GPU idle."
    )


@cache
def binding_regrets() -> tuple[float, float]:
    """Return the selector's regret at two horizons where the KV cache binds."""
    binding = make_environment("separate-admission", {"case": "kv-binding"})
    found = measure_regret(binding, policies=["bayes"], horizons=[1000, 4000], replications=4)
    short, long = (float(row.regret) for row in found.rows)
    return short, long


@exercise("06.4", asks="one number, the regret at T = 4,000 over that at T = 1,000")
def growth_where_memory_binds(answer: Any) -> Verdict:
    """Judge a ratio of regrets, up to the randomness of other paths."""
    found = number(answer)
    short, long = binding_regrets()
    if near(found, 1, 0.2):
        return wrong("Then it would be constant, as without the KV cache. Measure both horizons.")
    if near(found, 2, 0.2):
        return wrong("That would be growth like √T. Measure both horizons.")
    if not near(found, long / short, 0.15):
        return wrong(
            "Measured here is another ratio: policies=['bayes'], horizons=[1000, 4000], "
            "and divide the second row's regret by the first one's."
        )
    return right(
        "Four times the horizon, about four times the regret: a share of all is missing, whoever "
        "decides. So it is the bound that cannot be reached; it does not know that the KV cache is "
        "held during prompt batches."
    )
