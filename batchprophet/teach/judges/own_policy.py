"""Exercises of notebook 9: write your own policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from ...api import make, simulate
from ...models.errors import BatchprophetError
from ...models.instance import Instance
from ...online import check_policy
from ...online.mixed import Decision, Observation, RequestView
from ..answers import instance as read_instance
from ..answers import kind, number
from ..runs import figures, starts
from ..verdict import Unread, Verdict, exercise, right, wrong
from .optimum import optimal

#: A request as (prompt, output, start).
Run = tuple[int, int, int]


def fits(runs: list[Run], t: int, M: int) -> bool:
    """Whether runs never hold more than M tokens after time t: the future check."""
    for end in sorted({k + o for _, o, k in runs}):
        held = sum(s + end - k for s, o, k in runs if k < end <= k + o)
        if end > t and held > M:
            return False
    return True


def _run(view: RequestView, t: int) -> Run:
    assert view.planned is not None
    return view.prompt, view.planned, t if view.start is None else view.start


@dataclass(frozen=True)
class ByScore:
    """Start requests in order of √s · o with the future check; `stop` at the first that fails."""

    stop: bool = False

    name: ClassVar[str] = "by-score"
    summary: ClassVar[str] = "smallest √s · o first, with the future check"
    source: ClassVar[str] = "notebook 9"
    length_kinds: ClassVar[tuple[str, ...]] = ("exact",)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Start what fits, in order."""
        t = observation.time
        running = [_run(view, t) for view in observation.running]
        start = []
        for view in sorted(observation.waiting, key=_score):
            if fits([*running, _run(view, t)], t, observation.kv_capacity):
                running.append(_run(view, t))
                start.append(view.index)
            elif self.stop:
                break
        return Decision(start=tuple(start))


def _score(view: RequestView) -> tuple[float, int]:
    assert view.planned is not None
    return view.prompt**0.5 * view.planned, view.index


@cache
def tested() -> tuple[Instance, ...]:
    """Return instances on which a policy that skips and one that stops differ."""
    settings = {"n": 8, "kv_capacity": 24}
    return tuple(make("arrival-model-1", seed=seed, settings=settings) for seed in range(4))


def _require_policy(answer: Any) -> None:
    if isinstance(answer, type):
        raise Unread(f"the class {answer.__name__}: give an object of it, {answer.__name__}()")
    if not callable(getattr(answer, "decide", None)):
        raise Unread(f"{kind(answer)} without a method `decide`")


def _first_fault(policy: Any) -> str | None:
    """Return what the conformance suite finds first; None if the policy conforms."""
    try:
        faults = check_policy(policy)
    except BatchprophetError as error:
        return str(error)
    return f"{faults[0].rule}: {faults[0].message}" if faults else None


@exercise("09.1", asks="a policy, such as ByScoreStop()")
def stops_at_the_first(answer: Any) -> Verdict:
    """Judge a policy by the schedules that it makes on four instances."""
    _require_policy(answer)
    for instance in tested():
        try:
            begun = starts(instance, answer)
        except BatchprophetError as error:
            return wrong(f"It cannot be simulated: {error}")
        wanted = starts(instance, ByScore(stop=True))
        if begun == wanted:
            continue
        if begun == starts(instance, ByScore()):
            return wrong("It still skips: a request that does not fit must end the loop.")
        i = next(i for i, (k, w) in enumerate(zip(begun, wanted, strict=True)) if k != w)
        return wrong(
            f"On {instance.name}, seed {tested().index(instance)}, request {i} starts at "
            f"{begun[i]}, and not when the first that does not fit ends each round's starts."
        )
    if fault := _first_fault(answer):
        return wrong(f"The conformance suite finds {fault}")
    return right(
        "It stops at the first that does not fit. Skipping lets a request with a worse score pass, "
        "which then holds the memory that the better one waits for."
    )


@exercise("09.2", asks="a policy, such as Blind()")
def knows_no_lengths(answer: Any) -> Verdict:
    """Judge a policy by what it is told, and by the conformance suite."""
    _require_policy(answer)
    kinds = tuple(getattr(answer, "length_kinds", ()))
    if kinds != ("none",):
        return wrong(f"It may be told lengths: its length_kinds are {kinds}, and not ('none',).")
    if fault := _first_fault(answer):
        return wrong(f"The conformance suite finds {fault}")
    evictions = sum(figures(each, answer).evictions for each in tested())
    if not evictions:
        return wrong(
            "It conforms, and never evicts: it leaves so much room that nothing overflows. Start "
            "whatever fits in the next round, and evict when the memory overflows."
        )
    return right(
        f"It conforms, with {evictions} evictions on four instances. That the oldest request is "
        "kept is what ensures progress."
    )


@exercise("09.3", asks="a bp.Instance of at most five requests on which waiting pays")
def waiting_pays(answer: Any) -> Verdict:
    """Judge an instance: every schedule that never waits on purpose must miss the optimum."""
    made = read_instance(answer, most=5)
    best, busy = optimal(made), least_without_waiting(made)
    if busy <= best:
        return wrong(
            f"A schedule that starts something whenever it fits is optimal here ({best:g}). Let a "
            "long request come first, and short ones just after it."
        )
    return right(
        f"Whoever starts something whenever it fits has {busy} at least, and {best:g} is possible: "
        "it pays to wait for requests that have not arrived."
    )


def least_without_waiting(instance: Instance) -> int:
    """Return the least total latency of the schedules that start something whenever it fits.

    Examples
    --------
    >>> from .optimum import FOUR
    >>> least_without_waiting(FOUR), optimal(FOUR)
    (23, 19.0)
    """
    a, s, o = (each.tolist() for each in (instance.arrival, instance.prompt, instance.output))
    M = instance.gpu.kv_capacity

    def least(t: int, running: tuple[Run, ...], waiting: frozenset[int]) -> int:
        if not waiting:
            return 0
        alive = [run for run in running if run[2] + run[1] > t]
        here = [i for i in sorted(waiting) if a[i] <= t]
        values: list[int] = [
            sum(t + o[i] - a[i] for i in chosen)
            + least(t + 1, (*alive, *((s[i], o[i], t) for i in chosen)), waiting - set(chosen))
            for chosen in maximal(t, alive, here)
        ]
        return min(values)

    def maximal(t: int, alive: list[Run], here: list[int]) -> Iterator[tuple[int, ...]]:
        """Sets of requests to start that leave out none that would still fit."""
        for bits in range(1 << len(here)):
            chosen = tuple(i for place, i in enumerate(here) if bits >> place & 1)
            runs = [*alive, *((s[i], o[i], t) for i in chosen)]
            others = (i for i in here if i not in chosen)
            if fits(runs, t, M) and not any(fits([*runs, (s[i], o[i], t)], t, M) for i in others):
                yield chosen

    return least(min(a), (), frozenset(range(instance.n)))


@exercise("09.4", asks="the total latency of bayes on the board's first instance")
def bayes_on_the_first(answer: Any) -> Verdict:
    """Judge a total latency by simulating the selector."""
    found = number(answer)
    first = make("arrival-model-1", seed=0, settings={"n": 7, "kv_capacity": 24})
    best = optimal(first)
    if found < best:
        return wrong(f"{found:g} is below the optimum, which is proved.")
    if found == simulate(first, "mc-sf").metrics.total_latency:
        return wrong("That is mc-sf's.")
    if found != simulate(first, "bayes").metrics.total_latency:
        return wrong(f"Not {found:g}: simulate 'bayes' on the instance of seed 0 with 7 requests.")
    return right(
        "The optimum on this one. The price is many hindsight solutions for each decision; the "
        "sampled futures come from what has arrived so far."
    )
