"""Orders and limits that searches begin with: those of good policies, told all lengths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....models.continuous.schedule import ContinuousSchedule
from ....models.instance import Instance, IntArray
from ..compiled_instance import CompiledInstance, compiled_instance
from .list_schedule import Rule

#: Prompt tokens in a batch that are tried: less delays those who decode, more reads sooner.
PROMPT_TOKENS = (64, 128, 256, 512)

#: Shares of the GPU's seats, or of the requests, that are tried as admission caps.
SEATS = (1.0, 0.5)


def orders(instance: Instance) -> dict[str, IntArray]:
    """Return orders by name: smaller first, ties by arrival.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> orders(instance)["smallest volume"].tolist()
    [0, 1]
    """
    by = {
        "first come first served": instance.arrival,
        "smallest volume": instance.volume,
        "shortest total": instance.peak,
        "least work": least_work(compiled_instance(instance)),
        "shortest output": instance.output,
        "shortest prompt": instance.prompt,
    }
    found = {name: np.lexsort((instance.arrival, key)) for name, key in by.items()}
    if (instance.weight != instance.weight[0]).any():
        per_weight = instance.volume / np.maximum(instance.weight, 1e-300)
        found["smallest volume per weight"] = np.lexsort((instance.arrival, per_weight))
    if instance.deadline is not None:
        found["earliest deadline"] = np.lexsort((instance.arrival, instance.deadline))
    return found


def least_work(compiled: CompiledInstance) -> IntArray:
    """Work of each request by the batch-time law, without intercepts, shape (n,)."""
    law, s, o = compiled.law, compiled.prompt, compiled.output
    read = (o - 1) * s + (o - 1) * o // 2
    work: IntArray = (
        law.per_prompt_token * s + law.per_token_job * (o - 1) + law.per_kv_token * read
    )
    return work


def simple_rules(instance: Instance) -> Iterator[tuple[str, Rule]]:
    """Yield rules with constant limits, by what they are."""
    numbers = compiled_instance(instance)
    limits = numbers.limits
    fewer = [each for each in PROMPT_TOKENS if each < limits.tokens]
    for name, order in orders(instance).items():
        for share in SEATS:
            seats = max(1, int(share * limits.running))
            for tokens in (*fewer, limits.tokens):
                rule = Rule(order, _one(seats), _one(tokens), 2**62, instance.n)
                limited = f", at most {tokens} prompt tokens" if tokens < limits.tokens else ""
                capped = f", at most {seats} running" if share < 1 else ""
                yield f"{name}{capped}{limited}", rule


def rule_of(instance: Instance, schedule: ContinuousSchedule) -> Rule:
    """Return the rule with the order in which a schedule begins requests, and no limits."""
    begun = schedule.timeline(instance).scheduled
    order = np.lexsort((instance.arrival, begun))
    limits = compiled_instance(instance).limits
    return Rule(order, _one(limits.running), _one(limits.tokens), 2**62, instance.n)


def _one(value: int) -> IntArray:
    return np.array([value], dtype=np.int64)
