"""The conformance suite: the rules that every online policy must keep, tried on instances.

Run it on your own policy: ``check_policy("my_package.my_module:MyPolicy")`` lists what it finds;
an empty list means that the policy conforms on all instances tried. What is particular to a regime
(how it simulates, what its decisions say) stands in a `Suite`.
"""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.errors import DoesNotFinish, InputError, PolicyError
from ..models.instance import Instance
from ..models.regime import Schedule
from ..models.regimes import check
from .mixed.policy import Policy
from .protocol import session
from .regime import OnlineRegime
from .regimes import model_of, regime
from .separate.policy import SeparatePolicy

#: What a policy decided, and when: comparable entries, the time first.
Entry = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that a policy does not keep.

    Attributes
    ----------
    rule : str
        ``"description"``, ``"pickle"``, ``"decisions"``, ``"feasible"``, ``"seed"``,
        ``"compiled"``, ``"look-ahead"`` or ``"mutation"``.
    message : str
        What was seen, in one sentence.
    """

    rule: str
    message: str


def check_policy(
    policy: str | Policy | SeparatePolicy | type,
    *,
    model: str | None = None,
    trials: int = 30,
    seed: int = 0,
) -> list[Finding]:
    """List the rules that a policy does not keep; an empty list means that it conforms.

    Parameters
    ----------
    policy : str or Policy or SeparatePolicy or type
        A specification ``NAME[:key=value,…]`` (or ``module:Class``), a policy, or a policy class
        whose options have defaults.
    model : {"mixed", "separate"}, optional
        The regime; if left out, what the policy says itself, or the first that has its name.
    trials : int
        Random instances to try, ≥ 1.
    seed : int
        ≥ 0; draws the instances and seeds the simulations.

    Returns
    -------
    list of Finding
        What is wrong with its description, then the first break of each other rule.

    Raises
    ------
    InputError
        If `policy` cannot be made into a policy of the regime, or an argument is out of range.

    Notes
    -----
    The rules: it has a name, a summary, a source and a docstring; it survives pickling; its
    decisions are allowed and its schedules feasible by the independent checker, or it ends in the
    typed `DoesNotFinish`; the same seed gives the same schedule, on a second run and from a copy;
    its compiled code, if it has any, gives the schedule of its decisions; what it decides up to a
    time does not change when later requests change or disappear; and it leaves the instance alone.

    Examples
    --------
    >>> check_policy("mc-sf:skip=true", trials=3)
    []
    >>> check_policy("hysteresis:high=2", model="separate", trials=3)
    []
    """
    if trials < 1:
        raise InputError(f"trials: expected at least 1, found {trials}")
    rules = regime(model_of(policy) if model is None else model)
    made = rules.registry.make(policy() if isinstance(policy, type) else policy)
    seen: dict[str, Finding] = {}
    rng = np.random.default_rng(seed)
    for trial in range(trials):
        instance = rules.random_instance(rng)
        for finding in _on_instance(rules, made, instance, trial, rng):
            seen.setdefault(finding.rule, finding)
    return [*_describes_itself(made), *seen.values()]


def _describes_itself(policy: Any) -> Iterator[Finding]:
    kind = type(policy)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", policy.name):
        yield Finding(
            "description", f"name: expected lower-case words with hyphens, found {policy.name!r}"
        )
    for field in ("summary", "source"):
        text = getattr(policy, field)
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            yield Finding("description", f"{field}: expected one line of text, found {text!r}")
    # A dataclass without a docstring is given its signature as one.
    if not kind.__doc__ or kind.__doc__.startswith(f"{kind.__name__}("):
        yield Finding("description", f"{kind.__name__} has no docstring")
    try:
        pickle.loads(pickle.dumps(policy))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        yield Finding("pickle", f"{kind.__name__} does not pickle: {error}")


def _on_instance(
    rules: OnlineRegime, policy: Any, instance: Instance, seed: int, rng: np.random.Generator
) -> Iterator[Finding]:
    before = copy.deepcopy(instance)
    first = _outcome(rules, instance, policy, seed)
    if isinstance(first, Finding):
        yield first
        return
    if not isinstance(first, str):
        violations = check(instance, first)
        if violations:
            yield Finding("feasible", violations[0].message)
    for again in (policy, copy.deepcopy(policy)):
        if _outcome(rules, instance, again, seed) != first:
            yield Finding("seed", "two simulations with the same seed differ")
    if _outcome(rules, instance, policy, seed, compiled=False) != first:
        yield Finding("compiled", "the compiled code and decide make different schedules")
    yield from _looks_ahead(rules, policy, instance, seed, rng)
    if instance != before:
        yield Finding("mutation", "the instance has changed")


def _outcome(
    rules: OnlineRegime, instance: Instance, policy: Any, seed: int, *, compiled: bool = True
) -> Schedule | str | Finding:
    """Return the schedule, why there is none, or what is wrong."""
    try:
        schedule: Schedule = rules.simulate(instance, policy, seed=seed, compiled=compiled)
    except DoesNotFinish as reason:
        return str(reason)
    except PolicyError as error:
        return Finding("decisions", str(error))
    return schedule


def _looks_ahead(
    rules: OnlineRegime, policy: Any, instance: Instance, seed: int, rng: np.random.Generator
) -> Iterator[Finding]:
    """Change and remove what arrives after a random time: decisions up to it must stay."""
    t = int(rng.choice(instance.arrival))
    futures = [instance, _other_future(instance, t, rng), _no_future(instance, t)]
    # Where the future is gone a policy may stall or cycle for good, so compare what all reached.
    logs = [_decisions(rules, policy, future, seed) for future in futures]
    reached = min(t, *(last for _, last in logs))
    pasts = [[entry for entry in log if entry[0] <= reached] for log, _ in logs]
    schedules = [_outcome(rules, future, policy, seed) for future in futures]
    begun = [
        rules.begun(schedule, t)
        for schedule in schedules
        if isinstance(schedule, rules.rules.schedule)
    ]
    if any(past != pasts[0] for past in pasts) or any(runs != begun[0] for runs in begun):
        yield Finding("look-ahead", f"changing what arrives after {t} changes decisions up to it")


def _other_future(instance: Instance, t: int, rng: np.random.Generator) -> Instance:
    later = instance.arrival > t
    M, n = instance.gpu.kv_capacity, instance.n
    longest = min(M - 1, instance.gpu.prompt_batch_tokens or M)
    prompt = np.where(later, rng.integers(1, longest, size=n, endpoint=True), instance.prompt)
    output = np.where(later, rng.integers(1, M - prompt, endpoint=True), instance.output)
    return instance.replace(
        arrival=np.where(later, t + rng.integers(1, 30, size=n), instance.arrival),
        prompt=prompt,
        output=output,
        predicted_low=output,
        predicted_high=output,
    )


def _no_future(instance: Instance, t: int) -> Instance:
    return instance.take(np.flatnonzero(instance.arrival <= t))


class _Recorder:
    """A policy that asks another one and writes down what it decides, and when."""

    def __init__(self, rules: OnlineRegime, policy: Any) -> None:
        self._rules, self._policy, self._player = rules, policy, session(policy)
        self.log: list[Entry] = []
        self.last = -1

    def __getattr__(self, name: str) -> object:
        if name in ("run_compiled", "session"):
            raise AttributeError(name)
        return getattr(self._policy, name)

    def decide(self, observation: Any, rng: np.random.Generator) -> Any:
        decision = self._player.decide(observation, rng)
        self.last = observation.time
        entry = self._rules.decided(decision)
        if entry:
            self.log.append((observation.time, *entry))
        return decision


def _decisions(
    rules: OnlineRegime, policy: Any, instance: Instance, seed: int
) -> tuple[list[Entry], int]:
    """Return the non-empty decisions, and the last time of one (2^62 where it finishes)."""
    recorder = _Recorder(rules, policy)
    outcome = _outcome(rules, instance, recorder, seed, compiled=False)
    return recorder.log, recorder.last if isinstance(outcome, (str, Finding)) else 2**62
