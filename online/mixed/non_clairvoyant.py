"""The least mean latency that any policy can have which knows the law of lengths, not the lengths.

For a few equal prompts that are all there at 0 it is found by dynamic programming, as a yardstick:
what it is above hindsight cannot be had without knowing lengths, by any rule however clever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import isclose
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ...models.errors import InputError
from ...models.instance import FloatArray
from ..protocol import RememberingPolicy, Run
from .attained import Attained, tokens_now
from .decision import Decision
from .observation import Observation

#: What is known of a request that has not completed: output tokens that it holds now (−1 while it
#: waits), and the most that it has had in any run. Its length is above the second.
Known = tuple[int, int]

#: All that have not completed, in increasing order: they are interchangeable.
State = tuple[Known, ...]

#: Whether each request of a state is in the next batch.
Batch = tuple[bool, ...]

#: Most states that are looked at.
MOST_STATES = 200_000

_WAITS = -1


class NonClairvoyantOptimum:
    """The best policy for n equal prompts at 0 whose lengths are drawn from a known law.

    What can be known of a request is that its length is above the most tokens g that it has had. In
    each round a set of requests is in the batch, which holds at most M tokens; those that are
    running and not in it are evicted, and begin anew. With n' requests left the expected rest of
    the total latency obeys

        V(state) = n' + min over batches Σ over outcomes P(outcome)·V(next state),  V(()) = 0,

    where a request with g tokens, the most that it has had, completes with its next one with
    probability ``P(o = g + 1 | o > g)``. Lengths known so far never fall, so that states are solved
    in groups of equal knowledge, from the most to the least; within a group nothing is random, and
    its equations are those of a shortest path.

    Parameters
    ----------
    n : int
        Requests, ≥ 1.
    prompt : int
        s ≥ 1, in tokens.
    law : array_like of float, shape (L,)
        Probabilities of the lengths 1, …, L; sum 1, the last above 0.
    kv_capacity : int
        M ≥ s + L, in tokens.

    Attributes
    ----------
    value : float
        Least expected total latency, in rounds.

    Raises
    ------
    InputError
        If an argument is out of range, or there are more than 200,000 states.

    Examples
    --------
    One or six tokens, and room for one request. If the first does not end with one token, to go on
    would cost 2 + 10 + 3.5 rounds in all. It is better to try the other, for 4 + 6 if that ends,
    and else to complete it and begin the first anew, for 4 + 10 + 6.

    >>> optimum = NonClairvoyantOptimum(
    ...     n=2, prompt=5, law=[0.5, 0, 0, 0, 0, 0.5], kv_capacity=11
    ... )
    >>> optimum.value == (2 + 3.5) / 2 + (4 + 6) / 4 + (4 + 10 + 6) / 4
    True

    References
    ----------
    This project; for one server that preempts without loss it is Sevcik, J. ACM 21, 1974.
    """

    def __init__(self, *, n: int, prompt: int, law: ArrayLike, kv_capacity: int) -> None:
        given: FloatArray = np.asarray(law, np.float64)
        _require(n, prompt, given, kv_capacity)
        self._s, self._M = prompt, kv_capacity
        above = np.cumsum(given[::-1])[::-1]  # P(o > g) for g = 0, 1, …
        #: P(o = g + 1 | o > g).
        self._ends = np.divide(given, above, out=np.ones_like(given), where=above > 0)
        first: State = ((_WAITS, 0),) * n
        self._values: dict[State, float] = {(): 0.0}
        self._batches: dict[State, Batch] = {}
        self._solve(self._reachable(first))
        self.value = self._values[first]

    def batch(self, state: State) -> Batch:
        """Return the requests of a state that are in an optimal next batch."""
        return self._batches[state]

    def policy(self) -> OptimalUntold:
        """Return the policy, to be simulated on instances of these requests."""
        return OptimalUntold(self)

    def _batches_of(self, state: State) -> Iterator[Batch]:
        """List the batches that fit in the next round, other than the empty one."""
        sizes = [self._s + max(tokens, 0) + 1 for tokens, _ in state]
        for batch in product((True, False), repeat=len(state)):
            held = sum(size for size, there in zip(sizes, batch, strict=True) if there)
            if 0 < held <= self._M:
                yield batch

    def _outcomes(self, state: State, batch: Batch) -> dict[State, float]:
        """Return the states after a batch, with their probabilities."""
        outcomes: dict[State, float] = {(): 1.0}
        for (tokens, had), there in zip(state, batch, strict=True):
            now = max(tokens, 0) + 1
            if not there:
                follow: dict[State, float] = {((_WAITS, had),): 1.0}
            elif now <= had:
                follow = {((now, had),): 1.0}
            else:
                ends = float(self._ends[had])
                follow = {(): ends, ((now, now),): 1 - ends}
            outcomes = _both(outcomes, follow)
        return outcomes

    def _reachable(self, first: State) -> dict[State, list[tuple[Batch, dict[State, float]]]]:
        """Return all states that can come about, with what each batch leads to."""
        found: dict[State, list[tuple[Batch, dict[State, float]]]] = {}
        stack = [first]
        while stack:
            state = stack.pop()
            if state in found or not state:
                continue
            if len(found) == MOST_STATES:
                raise InputError(
                    f"n: more than {MOST_STATES:,} states; take fewer requests or a shorter law"
                )
            found[state] = [(b, self._outcomes(state, b)) for b in self._batches_of(state)]
            for _, outcomes in found[state]:
                stack.extend(outcomes)
        return found

    def _solve(self, states: dict[State, list[tuple[Batch, dict[State, float]]]]) -> None:
        """Find all values, group by group of equal knowledge."""
        groups: dict[tuple[int, int], list[State]] = {}
        for state in states:
            groups.setdefault((-len(state), sum(had for _, had in state)), []).append(state)
        for key in sorted(groups, reverse=True):
            for state in groups[key]:
                self._values[state] = np.inf
            changed = True
            while changed:
                changed = False
                for state in groups[key]:
                    for batch, outcomes in states[state]:
                        value = len(state) + sum(
                            p * self._values[after] for after, p in outcomes.items()
                        )
                        if value < self._values[state] - 1e-12:
                            self._values[state], self._batches[state] = value, batch
                            changed = True


@dataclass(frozen=True, slots=True)
class OptimalUntold(RememberingPolicy[Observation, Decision]):
    """The policy of `NonClairvoyantOptimum`, for instances of its requests.

    Parameters
    ----------
    optimum : NonClairvoyantOptimum
        What is optimal in each state.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> law = [0.5, 0, 0, 0, 0, 0.5]
    >>> optimum = NonClairvoyantOptimum(n=2, prompt=5, law=law, kv_capacity=11)
    >>> instance = Instance(gpu=Gpu(kv_capacity=11), arrival=[0, 0], prompt=[5, 5], output=[6, 1])
    >>> sorted(simulate(instance, optimum.policy()).completion(instance).tolist())
    [2, 8]
    """

    optimum: NonClairvoyantOptimum

    name: ClassVar[str] = "optimal-untold"
    summary: ClassVar[str] = "least mean latency without lengths, by dynamic programming"
    source: ClassVar[str] = "docs/coupling.md"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def session(self) -> OptimalUntoldRun:
        """Return the policy for one run: it remembers tokens of evicted requests."""
        return OptimalUntoldRun(self)


class OptimalUntoldRun(Run[Observation, Decision]):
    """One run of `OptimalUntold`.

    Parameters
    ----------
    policy : OptimalUntold
        The policy.
    """

    def __init__(self, policy: OptimalUntold) -> None:
        super().__init__(policy)
        self._optimum = policy.optimum
        self._attained = Attained()

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Hold the batch that is optimal in the state."""
        self._attained.look(observation)
        t = observation.time
        here = sorted(
            (
                _WAITS if view.start is None else tokens_now(view, t),
                self._attained.tokens(view.index),
                view.index,
            )
            for view in (*observation.running, *observation.waiting)
        )
        if not here:
            return Decision()
        batch = self._optimum.batch(tuple((tokens, had) for tokens, had, _ in here))
        rows = list(zip(here, batch, strict=True))
        start = [i for (tokens, _, i), there in rows if there and tokens == _WAITS]
        evict = [i for (tokens, _, i), there in rows if not there and tokens != _WAITS]
        return Decision(start=tuple(start), evict=tuple(evict), wake_at=t + 1)


def _both(some: dict[State, float], others: dict[State, float]) -> dict[State, float]:
    """Return the law of two independent parts of a state together."""
    together: dict[State, float] = {}
    for (one, p), (other, q) in product(some.items(), others.items()):
        if p * q > 0:
            state = tuple(sorted((*one, *other)))
            together[state] = together.get(state, 0.0) + p * q
    return together


def _require(n: int, prompt: int, law: FloatArray, kv_capacity: int) -> None:
    """Refuse arguments out of range."""
    for name, value in (("n", n), ("prompt", prompt)):
        if value < 1:
            raise InputError(f"{name}: expected an integer of at least 1, found {value!r}")
    proper = law.ndim == 1 and law.size and np.all(law >= 0) and law[-1] > 0
    if not proper or not isclose(float(law.sum()), 1.0):
        raise InputError("law: expected probabilities of the lengths 1, …, L with sum 1")
    if kv_capacity < prompt + law.size:
        raise InputError(
            f"kv_capacity: expected at least {prompt + law.size}, the longest request with its "
            f"prompt, found {kv_capacity}"
        )
