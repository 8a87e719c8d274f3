"""Exercises of notebook 11: unknown lengths."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ...api import make, simulate
from ...models.instance import Gpu, Instance
from ...online.mixed import NonClairvoyantOptimum
from ..answers import kind, near, number
from ..verdict import Unread, Verdict, exercise, right, wrong

#: KV capacities of the second exercise, and the cost that counts as none.
CAPACITIES, SMALL = (36, 72, 144), 1.05


@exercise("11.1", asks="the least expected total latency without lengths, in rounds")
def least_without_lengths(answer: Any) -> Verdict:
    """Judge an expectation by dynamic programming over what is known."""
    found = number(answer)
    law = [0.5, 0, 0.5]
    best = float(NonClairvoyantOptimum(n=2, prompt=6, law=law, kv_capacity=12).value)
    in_hindsight = (3 + 5 + 5 + 9) / 4
    if near(found, in_hindsight):
        return wrong("That is the mean in hindsight, when the shorter may go first.")
    if found < best:
        return wrong(f"No policy without lengths has {found:g}. Is the round counted that is lost?")
    if not near(found, best):
        return wrong(
            f"There is a policy with less than {found:g}. After one token: what does it cost to go "
            "on, and what to try the other one?"
        )
    return right(
        "First come, first served has it: to go on costs 2·2 + 2, to try the other one 2 + ½·3 + "
        "½·(2·2 + 3), which is more. A lost round is not worth it for two."
    )


@cache
def cost_of_noise(kv_capacity: int) -> float:
    """Return the mean of the latency with noise:0.5 over that with exact lengths."""
    found = []
    for seed in range(16):
        settings = {"n": 14, "kv_capacity": 36, "rate": 1.0}
        drawn = make("arrival-model-2", seed=seed, settings=settings)
        larger = drawn.replace(gpu=Gpu(kv_capacity=kv_capacity))
        noisy, exact = (
            simulate(larger, policy, seed=1).metrics.total_latency
            for policy in ("mc-sf:lengths=noise:0.5", "mc-sf")
        )
        found.append(noisy / exact)
    return float(np.mean(found))


@exercise("11.2", asks="one KV capacity of 36, 72 and 144")
def memory_for_which_errors_do_not_matter(answer: Any) -> Verdict:
    """Judge a capacity by what errors cost there."""
    found = number(answer)
    if found not in CAPACITIES:
        return wrong(f"{found:g} is none of the capacities 36, 72 and 144.")
    cost = cost_of_noise(int(found))
    if cost >= SMALL:
        return wrong(f"With M = {found:g} the errors still cost {cost - 1:.0%}.")
    if found > CAPACITIES[0] and cost_of_noise(int(found) // 2) < SMALL:
        return wrong("Errors cost less than 5 % there, and with half of the memory, too.")
    return right(f"They cost {cost - 1:.1%} there: few requests wait at all, with any prediction.")


@cache
def chat() -> Instance:
    """Return the notebook's conversation, in which prompts tell outputs."""
    rng = np.random.default_rng(4)
    n = 120
    question = rng.random(n) < 0.5
    return Instance(
        gpu=Gpu(kv_capacity=48),
        arrival=np.sort(rng.integers(0, 290, n)),
        prompt=np.where(question, rng.integers(1, 4, n), rng.integers(8, 13, n)),
        output=np.where(question, rng.integers(12, 19, n), rng.integers(1, 4, n)),
    )


def worth_of_bins(instance: Instance) -> float:
    """Return the latency with one bin of prompts over that with four."""
    one, four = (
        simulate(instance, f"smallest-volume:lengths=bins:{k}").metrics.total_latency
        for k in (1, 4)
    )
    return float(one / four)


@exercise("11.3", asks="a bp.Instance, chat with half of its prompts exchanged")
def prompts_that_mislead(answer: Any) -> Verdict:
    """Judge an instance: the same arrivals and outputs, and half of the prompts of others."""
    if not isinstance(answer, Instance):
        raise Unread(kind(answer))
    told = chat()
    if answer.n != told.n or (answer.arrival != told.arrival).any():
        return wrong("The requests are to arrive as in `chat`.")
    if (answer.output != told.output).any():
        return wrong("The outputs have changed; only prompts are to be exchanged.")
    changed = float((answer.prompt != told.prompt).mean())
    if not 0.3 <= changed <= 0.55:
        return wrong(
            f"{changed:.0%} of the prompts have changed. Half of the requests get one of another "
            "request, which now and then is as long."
        )
    if not set(answer.prompt.tolist()) <= set(told.prompt.tolist()):
        return wrong("Some prompts are of no request of `chat`.")
    before, after = worth_of_bins(told), worth_of_bins(answer)
    return right(
        f"One bin has {after:.2f} times the latency of four bins now, and had {before:.2f} times "
        "before: where prompts mislead, there is less to be learnt from them."
    )
