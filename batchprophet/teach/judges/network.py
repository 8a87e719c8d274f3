"""Exercises of notebook 4: separate batching, a path through a network."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from ...api import simulate
from ...models.batch_time import ConstantTime
from ...models.instance import Gpu, Instance
from ...models.separate.timeline import timeline
from ..answers import listed, number
from ..runs import instance_of
from ..verdict import Unread, Verdict, exercise, right, wrong
from .optimum import optimal

if TYPE_CHECKING:
    from ...models.separate.schedule import SeparateSchedule

#: Output lengths and prompt-batch times of the first two exercises.
OUTPUTS, TIMES = range(1, 7), range(1, 6)


def pair(output: int) -> Instance:
    """Return the two requests by hand, where b has that many tokens."""
    gpu = Gpu(
        kv_capacity=20, prompt_batch_requests=2, token_batch_requests=3,
        batch_time=ConstantTime(prompt=3, token=1),
    )  # fmt: skip
    return instance_of(gpu, arrival=[0, 2], prompt=[2, 2], output=[3, output], id=["a", "b"])


def four(tau_P: int = 3) -> Instance:
    """Return the four requests of the notebook, where a prompt batch takes so many slots."""
    gpu = Gpu(
        kv_capacity=14, prompt_batch_requests=2, token_batch_requests=3,
        batch_time=ConstantTime(prompt=tau_P, token=1),
    )  # fmt: skip
    return instance_of(
        gpu, name="four", arrival=[0, 1, 2, 4], prompt=[3, 1, 2, 1], output=[3, 4, 2, 3]
    )


@exercise("04.1", asks="a list of those outputs o_b from 1 to 6 for which prompt-first has less")
def outputs_for_which_prompt_first_is_better(answer: Any) -> Verdict:
    """Judge a set of output lengths by both rules' totals."""
    if isinstance(answer, (str, bytes)) or not hasattr(answer, "__len__"):
        raise Unread(f"{answer!r}, which is no list")
    found = set(listed(list(answer), len(answer)))
    if strange := found - set(OUTPUTS):
        return wrong(f"{min(strange):g} is none of the outputs 1 to 6.")
    for o in OUTPUTS:
        prompt_first, tokens_first = (
            int(simulate(pair(o), rule, model="separate").metrics.total_latency)
            for rule in ("prefill-first", "decode-first")
        )
        if (o in found) and prompt_first >= tokens_first:
            return wrong(
                f"For o_b = {o} prompt-first has {prompt_first}, and tokens-first {tokens_first}."
            )
        if (o not in found) and prompt_first < tokens_first:
            return wrong(f"Look again at o_b = {o}: by how much is a later, and b earlier?")
    return right(
        "Prompt-first makes a wait for a whole prompt batch, and b earlier by the tokens of a "
        "only: with one request that waits and one that decodes it never pays."
    )


@cache
def optima() -> list[float]:
    """Return the optimal totals for each time of a prompt batch."""
    return [optimal(four(tau_P), model="separate") for tau_P in TIMES]


@exercise("04.2", asks="five numbers, the optimal totals for τ_P = 1, …, 5")
def totals_by_prompt_time(answer: Any) -> Verdict:
    """Judge the optima of the four requests."""
    found = listed(answer, len(TIMES))
    for tau_P, value, wanted in zip(TIMES, found, optima(), strict=True):
        if value < wanted:
            return wrong(f"τ_P = {tau_P}: no schedule has {value:g}, which is below the bound.")
        if value > wanted:
            return wrong(
                f"τ_P = {tau_P}: a schedule has less than {value:g}. Solve with "
                'model="separate"; does the GPU of your instance have this time?'
            )
    return right(
        "It grows about in proportion. Look at the first batch of each optimum: where prompt "
        "batches are long, hindsight leaves the GPU idle in slot 0, and no policy that does not "
        "know of b would."
    )


@exercise("04.3", asks="two numbers, the optimum of separate batching and that of mixed batching")
def separate_and_mixed(answer: Any) -> Verdict:
    """Judge both optima without limits and with batches of one slot."""
    separate, mixed = listed(answer, 2)
    plain = four().replace(gpu=Gpu(kv_capacity=14))
    if separate < mixed:
        return wrong(
            "Separate batching cannot have less: a GPU that may mix can run each of its schedules."
        )
    if separate != optimal(plain, model="separate"):
        return wrong(
            f"{separate:g} is not the optimum of separate batching. The GPU is "
            "Gpu(kv_capacity=14), without limits and with batches of one slot."
        )
    if mixed != optimal(plain):
        return wrong(f"{mixed:g} is not the optimum of mixed batching of the same instance.")
    return right(
        "The loss is the price of separate batching: a prompt job and a token job still need two "
        "slots."
    )


@exercise("04.4", asks="the most KV tokens that decode-first's schedule holds at any time")
def most_tokens_held(answer: Any) -> Verdict:
    """Judge the largest memory of a schedule, which is at the end of a batch."""
    found = number(answer)
    instance = four()
    schedule = simulate(instance, "decode-first", model="separate").schedule
    time = timeline(instance, cast("SeparateSchedule", schedule))
    if found == int(time.kept.max()) != int(time.held.max()):
        return wrong(
            "That is what is held after a batch, when the requests that complete in it have gone. "
            "What was held just before?"
        )
    if found != int(time.held.max()):
        return wrong(
            f"It is not {found:g}. Read it off the KV picture: which batch ends with the most?"
        )
    return right(
        "Memory grows during a batch, and is released after it. So the ends of the batches are the "
        "only times at which it can be too much, and a row for each is enough."
    )
