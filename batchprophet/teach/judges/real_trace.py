"""Exercises of notebook 8: from a log of requests to a certified interval."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ...api import convert, simulate
from ...models.instance import Instance
from ..answers import listed, near, number
from ..logs import trace_like
from ..verdict import Unread, Verdict, exercise, right, wrong

#: Starts of the windows of the first exercise, in seconds.
STARTS = (30, 120, 180, 240)


@cache
def window(start: int = 60, round_ms: float = 50) -> Instance:
    """Return thirty requests of the notebook's trace."""
    with tempfile.TemporaryDirectory() as folder:
        path = trace_like(Path(folder) / "trace.csv")
        return convert(path, start=start, count=30, round_ms=round_ms, kv_capacity=16_384).instance


@cache
def total(policy: str, start: int = 60, round_ms: float = 50) -> int:
    """Return a policy's total latency on a window, in rounds."""
    return int(simulate(window(start, round_ms), policy).metrics.total_latency)


@exercise(
    "08.1", asks="four ratios, mc-benchmark over mc-sf in the windows from 30, 120, 180, 240 s"
)
def ratios_of_windows(answer: Any) -> Verdict:
    """Judge the ratios of two policies in four windows."""
    for start, ratio in zip(STARTS, listed(answer, len(STARTS)), strict=True):
        wanted = total("mc-benchmark", start) / total("mc-sf", start)
        if near(ratio, 1 / wanted) and not near(ratio, wanted):
            return wrong(f"From {start} s: that is mc-sf over mc-benchmark.")
        if not near(ratio, wanted):
            return wrong(
                f"From {start} s the ratio is not {ratio:.3f}. Convert with start={start}, "
                "count=30, round_ms=50 and the notebook's M (and with TRACE = None)."
            )
    return right(
        "Tens of percent between windows of one trace: one window says little. Take many, compare "
        "the policies on each, and look at the interval of the mean."
    )


@exercise("08.2", asks="the mean latency of mc-sf with rounds of 25 ms, in seconds")
def seconds_with_shorter_rounds(answer: Any) -> Verdict:
    """Judge a mean latency in seconds."""
    found = number(answer)
    rounds = total("mc-sf", round_ms=25) / window(round_ms=25).n
    if near(found, rounds, 0.01):
        return wrong("That is the mean in rounds. How long is a round now?")
    if near(found, rounds * 0.05, 0.01):
        return wrong("These rounds last 25 ms, not 50.")
    if near(found, total("mc-sf") / window().n * 0.05, 0.01):
        return wrong("That is the mean with rounds of 50 ms.")
    if not near(found, rounds * 0.025, 0.01):
        return wrong(
            f"Not {found:g} s. Convert again with round_ms=25, simulate, and turn rounds into "
            "seconds."
        )
    return right(
        "Less than half: a token takes a round whatever it lasts, so all is served twice as fast, "
        "while arrivals stay where they were. The load has halved."
    )


@exercise(
    "08.3", asks="one ratio, the total latency with an error of 0.5 over that with exact lengths"
)
def cost_of_predictions(answer: Any) -> Verdict:
    """Judge what predictions cost on the window."""
    found = number(answer)
    predicted = total("mc-sf:lengths=predicted,error=0.5")
    if near(found, predicted, 0.001):
        return wrong("That is the total; divide it by the total with exact lengths.")
    if not near(found, predicted / total("mc-sf"), 0.001):
        return wrong(
            f"Not {found:.4f}. Simulate mc-sf:lengths=predicted,error=0.5 on `window`, and mc-sf."
        )
    return right(
        "Next to nothing here: the order by output length is disturbed a little, and the future "
        "check assumes too much memory, which costs some rounds."
    )


#: What the conversion leaves out, by words that tell it.
SUBJECTS = {
    "batch times": ("batch time", "round", "longer", "slow", "prefill", "long prompt"),
    "shared prefixes": ("prefix", "share", "reuse"),
    "users who react": ("leave", "cancel", "wait", "abandon", "follow", "closed", "think", "retry"),
    "chunks of prompts": ("chunk",),
    "seats": ("seat", "limit", "max_num"),
    "preemption that keeps tokens": ("preempt", "swap", "recompute"),
    "several GPUs": ("gpu", "replica", "parallel", "router"),
    "speculative decoding": ("specul",),
}

#: Directions that an answer may name.
DIRECTIONS = {"up", "down", "either"}


@exercise(
    "08.4", asks="a dictionary of three things that are left out, each 'up', 'down' or 'either'"
)
def left_out(answer: Any) -> Verdict:
    """Judge three subjects by their words; directions must be said, and are to be discussed."""
    if not isinstance(answer, Mapping) or not all(isinstance(each, str) for each in answer):
        raise Unread("no dictionary with words as keys")
    undirected = [each for each, way in answer.items() if way not in DIRECTIONS]
    if undirected:
        return wrong(f"Which way does “{undirected[0]}” move the ratio: up, down, or either?")
    subjects: set[str] = set()
    for thing in answer:
        found = [
            subject
            for subject, words in SUBJECTS.items()
            if any(word in thing.lower() for word in words)
        ]
        if not found:
            return wrong(
                f"“{thing}” is not on this check's list, which may be at fault: discuss it in "
                "class. Compare the page on limits (docs/limits.md)."
            )
        subjects.add(found[0])
    if len(subjects) < 3:
        return wrong(
            f"{len(subjects)} of three things, by subject: {', '.join(sorted(subjects))}. What do "
            "users do that a list of arrivals does not show, and what does a GPU do?"
        )
    return right(
        "All three are left out. Longer rounds let rules lose more that read prompts eagerly; "
        "shared prefixes leave more memory, so that the order matters less; users who wait for an "
        "answer make arrivals depend on the policy."
    )
