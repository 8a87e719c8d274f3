"""Exercises of notebook 10: audit your server."""

from __future__ import annotations

from typing import Any

from ...audits.audited import Audited
from ..answers import kind, near, number
from ..verdict import Unread, Verdict, exercise, right, wrong

#: KV capacity of the server that wrote the notebook's log, and the fixed time of its batches in ms.
CAPACITY, FIXED_TIME = 30_000, 9.82


@exercise("10.1", asks="how many KV tokens the audit sees held at once, as it says")
def tokens_held_at_once(answer: Any) -> Verdict:
    """Judge a number of tokens by what the server of the log really has."""
    found = number(answer)
    if found == CAPACITY // 2:
        return wrong("That is what you told the audit. What does the log show?")
    if found == CAPACITY:
        return wrong("That is what the server has. What does the audit estimate from the log?")
    if not near(found, CAPACITY, 0.05):
        return wrong(f"Not {found:g}. Read the sentences that begin with “Seen”.")
    return right(
        "Near what the server really has, and more than you said: several replicas, a prefix "
        "cache, or more memory. So the audit explains nothing, and claims nothing."
    )


@exercise("10.2", asks="the KV memory that is fitted, in tokens")
def fitted_memory(answer: Any) -> Verdict:
    """Judge a fitted capacity by the true one."""
    found = number(answer)
    if found == CAPACITY:
        return wrong("That is the true one, which the fit does not know. What does it find?")
    if not near(found, CAPACITY, 0.01):
        return wrong(
            f"{found:g} is far from what the server has. Is kv_capacity left out of the limits, "
            "and nothing else? Then look at `assumed`."
        )
    return right(
        f"It misses by {abs(found / CAPACITY - 1):.2%}. The fit needs a log in which memory is "
        "full at some time; otherwise only a least capacity is said."
    )


@exercise("10.3", asks="what bp.audit returns for the law that is twice as slow")
def audit_of_a_wrong_law(answer: Any) -> Verdict:
    """Judge an audit: it must be with the slow law, which explains nothing."""
    if not isinstance(answer, Audited):
        raise Unread(kind(answer))
    told = answer.audit.law.c0
    if near(told, FIXED_TIME, 0.05):
        return wrong(
            f"This audit's law has c0 = {told:g} ms, the true one. The seller's batches take twice "
            "as long: c0, c1, c2 and c3, passed as batch_time."
        )
    if not near(told, 2 * FIXED_TIME, 0.05):
        return wrong(f"This audit's law has c0 = {told:g} ms, which is not twice the true one.")
    if answer.explained:
        return wrong("It explains the log: are all four numbers of the law doubled?")
    return right(
        "The simulated requests take far longer than the logged ones, so the model does not "
        "explain the log, and `ratio` is None: no interval is claimed from a law that is wrong."
    )
