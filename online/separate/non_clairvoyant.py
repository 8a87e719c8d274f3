"""The least mean latency that any policy can have which knows the law of arrivals, not the future.

For a few requests whose arrivals and lengths are drawn from a known law it is found by dynamic
programming, as a yardstick: what it is above hindsight cannot be had without knowing what is to
come, by any rule however clever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, combinations_with_replacement
from math import comb, factorial, isclose
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from ...models.batch_time import ConstantTime
from ...models.errors import InputError
from ...models.instance import FloatArray, Gpu
from ..protocol import RememberingPolicy, Run
from .decision import BatchDecision
from .observation import SeparateObservation

#: Output tokens that each request has to go, in increasing order.
Tokens = tuple[int, ...]

#: Slot, requests that are to come, the outputs of those that wait, and what those that run have to
#: go.
State = tuple[int, int, Tokens, Tokens]

#: A kind of batch and what its members have to go; no kind to idle for a slot.
Action = tuple[Literal["prompt", "token"] | None, Tokens]

#: Most states that are looked at.
MOST_STATES = 400_000


class ArrivalOptimum:
    """The best policy for n requests that arrive independently and uniformly in slots 0 … T.

    Outputs are drawn from a known law, and told when a request arrives; prompts are all alike, and
    KV memory binds nowhere. A prompt batch of up to B_P requests takes τ_P, a token batch of up to
    B_D takes τ_D. With k requests present the expected rest of the total latency obeys

        V(state) = min over batches E[Σ over its slots of k + V(state after it)],

    where of the r requests that are to come each arrives in the next slot with probability
    1/(T − t). Batches are as full as they may be: reading a prompt, or emitting a token, sooner in
    a batch that takes as long anyway leaves all choices that there were.

    Parameters
    ----------
    n : int
        Requests, ≥ 1.
    last : int
        T ≥ 0, in slots.
    law : array_like of float, shape (L,)
        Probabilities of the outputs 1, …, L; sum 1.
    gpu : Gpu
        With a batch-time law of constant times and both limits on requests; M at least what all
        requests hold.

    Attributes
    ----------
    n : int
        Requests.
    value : float
        Least expected total latency, in slots.

    Raises
    ------
    InputError
        If an argument is out of range, or there are more than 400,000 states.

    Examples
    --------
    Two requests of one token arrive at 0 or 1, prompts take 2, two at a time. If one comes alone at
    0, it may begin, 2 for it and 3 for the other, or wait, 3 and 2; else both take 2.

    >>> from batchprophet.models.batch_time import ConstantTime
    >>> gpu = Gpu(
    ...     kv_capacity=99, prompt_batch_requests=2, token_batch_requests=2,
    ...     batch_time=ConstantTime(prompt=2, token=1),
    ... )
    >>> ArrivalOptimum(n=2, last=1, law=[1.0], gpu=gpu).value == (4 + 4) / 4 + 5 / 2
    True

    References
    ----------
    This project; docs/coupling.md.
    """

    def __init__(self, *, n: int, last: int, law: ArrayLike, gpu: Gpu) -> None:
        given: FloatArray = np.asarray(law, np.float64)
        _require(n, last, given, gpu)
        assert isinstance(gpu.batch_time, ConstantTime)
        self.n, self._last, self._law = n, last, given
        self._B_P, self._B_D = gpu.prompt_batch_requests or n, gpu.token_batch_requests or n
        self._slots = {"prompt": gpu.batch_time.prompt, "token": gpu.batch_time.token, None: 1}
        self._values: dict[State, float] = {}
        self._actions: dict[State, Action] = {}
        self.value = sum(
            p * self._value((0, n - len(new), new, ())) for new, p in self._arriving(-1, n)
        )

    def action(self, state: State) -> Action:
        """Return what is optimal in a state in which some request is present."""
        self._value(state)
        return self._actions[self._settled(state)]

    def policy(self) -> OptimalUntold:
        """Return the policy, to be simulated on instances of these requests."""
        return OptimalUntold(self)

    def _arriving(self, t: int, r: int) -> tuple[tuple[Tokens, float], ...]:
        """Return what may arrive in slot t + 1 of r requests to come, with probabilities."""
        p = 1 / (self._last - t)
        found = []
        for m in range(r + 1):
            chance = comb(r, m) * p**m * (1 - p) ** (r - m)
            if chance > 0:
                found += [(new, chance * q) for new, q in _outputs(m, tuple(self._law.tolist()))]
        return tuple(found)

    def _value(self, state: State) -> float:
        """Return the expected rest of the total latency."""
        state = self._settled(state)
        if not any(state[1:]):
            return 0.0
        if state not in self._values:
            if len(self._values) >= MOST_STATES:
                raise InputError(
                    f"n: more than {MOST_STATES:,} states; take fewer requests or a shorter law"
                )
            best = np.inf
            for action in self._choices(state):
                value = self._after(state, action)
                if value < best - 1e-12:
                    best, self._actions[state] = value, action
            self._values[state] = best
        return self._values[state]

    def _settled(self, state: State) -> State:
        """Return the state as it is kept: when all have come, time plays no part."""
        return state if state[1] else (self._last, *state[1:])

    def _choices(self, state: State) -> Iterator[Action]:
        """List the batches, and to idle while some are to come."""
        _, r, waiting, running = state
        if waiting:
            size = min(len(waiting), self._B_P)
            yield from (("prompt", some) for some in sorted(set(combinations(waiting, size))))
        if running:
            size = min(len(running), self._B_D)
            yield from (("token", some) for some in sorted(set(combinations(running, size))))
        if r:
            yield None, ()

    def _after(self, state: State, action: Action) -> float:
        """Return the expected latency of an action's slots and of the rest."""
        t, r, waiting, running = state
        kind, members = action
        here = len(waiting) + len(running)
        if kind == "prompt":
            waiting = _without(waiting, members)
        elif kind == "token":
            running = _without(running, members)
        back = tuple(o - 1 for o in members if o > 1)
        cost, ways = 0.0, {(r, waiting): 1.0}
        for slot in range(self._slots[kind]):
            cost += sum(p * (here + r - left) for (left, _), p in ways.items())
            ways = self._next(t + slot, ways)
        end, after = t + self._slots[kind], tuple(sorted((*running, *back)))
        return cost + sum(
            p * self._value((end, left, some, after)) for (left, some), p in ways.items()
        )

    def _next(
        self, t: int, ways: dict[tuple[int, Tokens], float]
    ) -> dict[tuple[int, Tokens], float]:
        """Let requests arrive in slot t + 1."""
        found: dict[tuple[int, Tokens], float] = {}
        for (left, waiting), p in ways.items():
            for new, q in self._arriving(t, left) if left else (((), 1.0),):
                key = left - len(new), tuple(sorted((*waiting, *new)))
                found[key] = found.get(key, 0.0) + p * q
        return found


@dataclass(frozen=True, slots=True)
class OptimalUntold(RememberingPolicy[SeparateObservation, BatchDecision]):
    """The policy of `ArrivalOptimum`, for instances of its requests; it is told their lengths.

    Parameters
    ----------
    optimum : ArrivalOptimum
        What is optimal in each state.

    Examples
    --------
    >>> from batchprophet.models.instance import Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> gpu = Gpu(
    ...     kv_capacity=99, prompt_batch_requests=2, token_batch_requests=2,
    ...     batch_time=ConstantTime(prompt=2, token=1),
    ... )
    >>> optimum = ArrivalOptimum(n=3, last=2, law=[0.5, 0.5], gpu=gpu)
    >>> instance = Instance(gpu=gpu, arrival=[0, 1, 1], prompt=[1] * 3, output=[1, 2, 1])
    >>> schedule = simulate_separate(instance, optimum.policy())
    >>> [(batch.kind, batch.start, batch.requests) for batch in schedule.batches]
    [('prompt', 0, (0,)), ('prompt', 2, (1, 2)), ('token', 4, (1,))]
    """

    optimum: ArrivalOptimum

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "optimal-untold"
    summary: ClassVar[str] = "least mean latency by the law of arrivals, by dynamic programming"
    source: ClassVar[str] = "docs/coupling.md"
    length_kinds: ClassVar[tuple[str, ...]] = ("exact",)

    def session(self) -> OptimalUntoldRun:
        """Return the policy for one run: it counts who has come."""
        return OptimalUntoldRun(self)


class OptimalUntoldRun(Run[SeparateObservation, BatchDecision]):
    """One run of `OptimalUntold`.

    Parameters
    ----------
    policy : OptimalUntold
        The policy.
    """

    model: ClassVar[str] = "separate"

    def __init__(self, policy: OptimalUntold) -> None:
        super().__init__(policy)
        self._optimum = policy.optimum
        self._seen: set[int] = set()

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Do what is optimal in the state."""
        t = observation.time
        self._seen.update(view.index for view in (*observation.waiting, *observation.running))
        waiting = sorted((view.planned, view.index) for view in observation.waiting)
        running = sorted((view.remaining, view.index) for view in observation.running)
        state = (
            t,
            self._optimum.n - len(self._seen),
            tuple(o for o, _ in waiting),
            tuple(left for left, _ in running),
        )
        kind, members = self._optimum.action(state)
        if kind is None:
            return BatchDecision(wake_at=t + 1)
        left, batch = list(members), []
        for tokens, i in waiting if kind == "prompt" else running:
            if tokens in left:
                left.remove(tokens)
                batch.append(i)
        return BatchDecision(kind, tuple(sorted(batch)))


@lru_cache(maxsize=256)
def _outputs(m: int, law: tuple[float, ...]) -> tuple[tuple[Tokens, float], ...]:
    """Return the outputs of m requests in increasing order, with probabilities."""
    found = []
    for tokens in combinations_with_replacement(range(1, len(law) + 1), m):
        ways, p = factorial(m), 1.0
        for o in set(tokens):
            ways //= factorial(tokens.count(o))
            p *= law[o - 1] ** tokens.count(o)
        if p > 0:
            found.append((tokens, ways * p))
    return tuple(found)


def _without(tokens: Tokens, members: Tokens) -> Tokens:
    """Return what is left of a multiset, both in increasing order."""
    left = list(tokens)
    for o in members:
        left.remove(o)
    return tuple(left)


def _require(n: int, last: int, law: FloatArray, gpu: Gpu) -> None:
    """Refuse arguments out of range."""
    for name, value, low in (("n", n, 1), ("last", last, 0)):
        if value < low:
            raise InputError(f"{name}: expected an integer of at least {low}, found {value!r}")
    proper = law.ndim == 1 and law.size and np.all(law >= 0)
    if not proper or not isclose(float(law.sum()), 1.0):
        raise InputError("law: expected probabilities of the outputs 1, …, L with sum 1")
    if not isinstance(gpu.batch_time, ConstantTime):
        raise InputError(
            f"gpu: expected a batch-time law of constant times, found {gpu.batch_time.name}"
        )
