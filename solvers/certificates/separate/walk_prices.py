"""Proofs for separate batching by prices of the GPU's walk, recomputed in plain Python integers.

What is proved, and why, is said in `solvers.separate.bounds.gpu_path_costs`; nothing here is shared
with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ....models.batch_time import AffineTime, ConstantTime, UnitTime
from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ....models.objectives import Exact
from ..clock import Clock
from ..strict import LIMIT, array, integer, integers, require_keys, require_object, shown

#: Times × requests that a proof may have, and prices in all: beyond, it would not fit the memory.
MOST_STATES = 2**24

#: Sizes of prompt batches, by number, requests that run then, and tokens.
MOST_BATCHES = 2**18

#: Largest table of costs to go, times × prompts done × requests running.
LARGEST_TABLE = 2**24

Class = tuple[int, int]
Layer = list[list[int | None]]

#: A cost to go where nothing can follow, in a table; none of the others is so large.
FAR = 2**60
MOST_TO_GO = 2**58


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkPriceProof:
    """The bound that prices of the GPU's walk prove.

    Parameters
    ----------
    scale : int
        Prices are multiples of ``1 / scale``; ≥ 1.
    end : int
        T: requests that are not done by then are late.
    prompt : tuple of int, n of them
        λ of each request.
    kv : tuple of int, one for each time from the first arrival to T
        δ ≥ 0, not rising.
    running : mapping from (int, int) to tuple of int
        Π of each class (h, r), tokens held and token jobs to go, at these times, not rising. Of
        other classes it is 0.

    Raises
    ------
    InputError
        If a number is out of its range, or prices rise.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> proof = WalkPriceProof(scale=1, end=2, prompt=(2, 1), kv=(0, 0, 0), running={})
    >>> proof.bound(instance, "latency", Clock(None))
    Fraction(3, 1)
    """

    scale: int
    end: int
    prompt: tuple[int, ...]
    kv: tuple[int, ...]
    running: Mapping[Class, tuple[int, ...]]

    kind: ClassVar[str] = "walk-prices"
    model: ClassVar[str] = "separate"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def __post_init__(self) -> None:
        if self.scale < 1 or self.end < 0:
            raise InputError("proof: expected a scale ≥ 1 and an end ≥ 0")
        if any(price < 0 for price in self.kv):
            raise InputError("proof.kv: expected prices ≥ 0")
        for place, row in self._rows():
            if any(later > earlier for earlier, later in pairwise(row)):
                raise InputError(f"proof.{place}: expected prices that do not rise")

    def _rows(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield "kv", self.kv
        for (held, to_go), row in self.running.items():
            yield f"running of {held} held, {to_go} to go", row

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound: the cheapest walk, and the prices that every schedule earns."""
        self.require_fit(instance)
        walk = _Walk(self, instance)
        cheapest = walk.cheapest(walk.cost_of_late(), clock)
        assert cheapest is not None
        total = cheapest + sum(self.prompt) - instance.gpu.kv_capacity * self.kv[0]
        return Fraction(total, self.scale)

    def require_fit(self, instance: Instance) -> None:
        """Raise an error unless there is a price for each request, time and class."""
        if isinstance(instance.gpu.batch_time, AffineTime):
            raise InputError(
                "proof: prices of the walk take the unit and the constant law, found affine"
            )
        times = self.end - int(instance.arrival.min()) + 1
        if len(self.prompt) != instance.n:
            raise InputError(
                f"proof.prompt: expected {instance.n} prices, found {len(self.prompt)}"
            )
        if times < 1 or times * (instance.n + 1) > MOST_STATES:
            raise InputError(f"proof.end: out of range for the instance, found {self.end}")
        tokens = int(instance.output.sum())
        if tokens > MOST_STATES:
            raise InputError(
                f"proof: prices of the walk take at most {MOST_STATES} output tokens, "
                f"found {tokens}"
            )
        for place, row in self._rows():
            if len(row) != times:
                raise InputError(f"proof.{place}: expected {times} prices, found {len(row)}")

    def reordered(self, order: Sequence[int]) -> WalkPriceProof:
        """Return the proof for the requests in an order."""
        return replace(self, prompt=tuple(self.prompt[i] for i in order))

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record; prices that stay are written once."""
        return {
            "kind": self.kind,
            "scale": self.scale,
            "end": self.end,
            "prompt": list(self.prompt),
            "kv": _steps(self.kv),
            "running": [
                {"held": h, "to_go": r, "prices": _steps(row)}
                for (h, r), row in self.running.items()
            ],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> WalkPriceProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "scale", "end", "prompt", "kv", "running"))
        running: dict[Class, tuple[int, ...]] = {}
        room = MOST_STATES
        for c, value in enumerate(array("proof.running", record["running"])):
            place = f"proof.running[{c}]"
            row = require_object(place, value)
            require_keys(f"{place}.", row, ("held", "to_go", "prices"))
            key = (
                integer(f"{place}.held", row["held"], low=1),
                integer(f"{place}.to_go", row["to_go"], low=1),
            )
            if key in running:
                raise InputError(f"{place}: the class {key} appears more than once")
            running[key] = _row(f"{place}.prices", row["prices"], -LIMIT, room)
            room -= len(running[key])
        return cls(
            scale=integer("proof.scale", record["scale"], low=1),
            end=integer("proof.end", record["end"], low=0),
            prompt=tuple(integers("proof.prompt", record["prompt"], low=-LIMIT)),
            kv=_row("proof.kv", record["kv"], 0, MOST_STATES),
            running=running,
        )


class Table(NamedTuple):
    """Costs to go of the GPU's walk, and the limits and times that it keeps.

    Attributes
    ----------
    value : ndarray of int64, shape (S + 1, n + 1, K + 1)
        By time from the first arrival, prompts done and requests that run; `FAR` for none.
    B_P, C_P, B_D, prompt_time, token_time : int
        Limits and times.
    """

    value: IntArray
    B_P: int
    C_P: int
    B_D: int
    prompt_time: int
    token_time: int


def table_of(proof: WalkPriceProof, instance: Instance, value: int, clock: Clock) -> Table:
    """Compute the costs to go for schedules of a total latency below `value`.

    The prices must fit the instance, see `WalkPriceProof.require_fit`.

    Raises
    ------
    InputError
        If the prices or the table are too large, or such a schedule might not be done by their
        end.
    """
    walk = _Walk(proof, instance)
    size = (walk.S + 1) * (walk.n + 1) * (walk.K + 1)
    if size > LARGEST_TABLE:
        raise InputError(
            f"proof: exhaustive search is for at most {LARGEST_TABLE} costs to go (times × "
            f"requests × requests that run), found {size}"
        )
    all_in_time, *late = walk.cost_of_late()
    some_late = walk.cheapest([None, *late], clock)
    earned = sum(proof.prompt) - instance.gpu.kv_capacity * proof.kv[0]
    if some_late is not None and some_late + earned <= (value - 1) * proof.scale:
        raise InputError(
            f"proof.end: expected so late that whoever completes after it makes the total latency "
            f"{value} or more, found {proof.end}"
        )
    layers = [_in_64_bits(each) for each in walk.layers([all_in_time] + [None] * walk.n, clock)]
    return Table(
        value=np.array(layers[::-1]),
        B_P=walk.B_P,
        C_P=walk.C_P,
        B_D=walk.B_D,
        prompt_time=walk.tau_P,
        token_time=walk.tau_D,
    )


def _in_64_bits(layer: Layer) -> IntArray:
    known = [cost for row in layer for cost in row if cost is not None]
    if max(map(abs, known), default=0) > MOST_TO_GO:
        raise InputError(f"proof: exhaustive search is for costs up to {MOST_TO_GO}, found larger")
    return np.array([[FAR if cost is None else cost for cost in row] for row in layer], np.int64)


def _steps(row: Sequence[int]) -> list[list[int]]:
    """Return ``[price, times]`` for each stretch of equal prices."""
    stretches: list[list[int]] = []
    for price in row:
        if stretches and stretches[-1][0] == price:
            stretches[-1][1] += 1
        else:
            stretches.append([price, 1])
    return stretches


def _row(place: str, value: object, low: int, most: int) -> tuple[int, ...]:
    """Prices from the record of `_steps`, at most this many."""
    row: list[int] = []
    for j, stretch in enumerate(array(place, value)):
        numbers = integers(f"{place}[{j}]", stretch, low=low)
        if len(numbers) != 2 or numbers[1] < 1:
            raise InputError(
                f"{place}[{j}]: expected a price and a number of times ≥ 1, found {shown(stretch)}"
            )
        if numbers[1] > most - len(row):
            raise InputError(f"{place}[{j}]: expected at most {MOST_STATES} prices in all")
        row += [numbers[0]] * numbers[1]
    return tuple(row)


class _Walk:
    """The walk's costs, time by time, from the end to the first arrival."""

    def __init__(self, proof: WalkPriceProof, instance: Instance) -> None:
        gpu, n = instance.gpu, instance.n
        self.proof, self.n = proof, n
        self.a, self.s, self.o = (
            column.tolist() for column in (instance.arrival, instance.prompt, instance.output)
        )
        self.begin = min(self.a)
        self.S = proof.end - self.begin
        law = gpu.batch_time
        assert not isinstance(law, AffineTime)
        self.tau_P, self.tau_D = (1, 1) if isinstance(law, UnitTime) else _times(law)
        self.M = gpu.kv_capacity
        self.C_P = gpu.prompt_batch_tokens or sum(self.s)
        self.K = _most(sorted(s + 1 for s, o in zip(self.s, self.o, strict=True) if o > 1), self.M)
        self.B_P = min(gpu.prompt_batch_requests or n, n)
        self.B_D = min(gpu.token_batch_requests or n, n, self.K)
        tracks = [(s + g, o - g) for s, o in zip(self.s, self.o, strict=True) for g in range(1, o)]
        self.members = Counter(tracks)
        self.zero = (0,) * (self.S + 1)

    def price(self, held: int, to_go: int, t: int) -> int:
        """Π of a class at a time."""
        price: int = self.proof.running.get((held, to_go), self.zero)[t]
        return price

    def cost_of_late(self) -> list[int]:
        """Least cost of late requests, by their number."""
        late = sorted(
            (self.proof.end + 1 - a) * self.proof.scale - price
            for a, price in zip(self.a, self.proof.prompt, strict=True)
        )
        return [sum(late[:count]) for count in range(self.n + 1)]

    def cheapest(self, left_out: Sequence[int | None], clock: Clock) -> int | None:
        """Cost of the cheapest walk, in units of 1/scale; None if there is none."""
        *_, first = self.layers(left_out, clock)
        return first[0][0]

    def layers(self, left_out: Sequence[int | None], clock: Clock) -> Iterator[Layer]:
        """Yield the costs to go by (q, k), from the end to the first arrival.

        ``left_out[j]`` is what it costs to end with j late requests, None where that must not be.
        """
        never = None
        costs: dict[int, Layer] = {}
        for t in range(self.S, -1, -1):
            clock.check()
            arrived = sum(a - self.begin <= t for a in self.a)
            jobs = self._jobs(t, clock) if t + self.tau_D <= self.S else {}
            prompts = self._prompts(t, clock) if t + self.tau_P <= self.S else {}
            here: Layer = [[never] * (self.K + 1) for _ in range(self.n + 1)]
            for q in range(arrived + 1):
                clock.check()
                for k in range(min(q, self.K) + 1):
                    here[q][k] = self._cost(costs, t, q, k, arrived, jobs, prompts, left_out)
            costs[t] = here
            costs.pop(t + max(self.tau_P, self.tau_D, 1) + 1, None)
            yield here

    def _cost(
        self,
        costs: Mapping[int, Layer],
        t: int,
        q: int,
        k: int,
        arrived: int,
        jobs: dict[tuple[int, int], int],
        prompts: dict[tuple[int, int], int],
        left_out: Sequence[int | None],
    ) -> int | None:
        scale = self.proof.scale
        ways: list[int] = []
        late = left_out[self.n - q]
        if k == 0 and (q == self.n or t == self.S) and late is not None:
            ways.append(late)
        if t < self.S:
            then = costs[t + 1][q][k]
            if then is not None:
                ways.append(then + k * scale)
        for (m, c), cost in jobs.items():
            if m <= k:
                then = costs[t + self.tau_D][q][k - c]
                if then is not None:
                    ways.append(cost + then + k * self.tau_D * scale)
        for (m, r), cost in prompts.items():
            if q + m <= arrived and k + r <= self.K:
                then = costs[t + self.tau_P][q + m][k + r]
                if then is not None:
                    ways.append(cost + then + k * self.tau_P * scale)
        return min(ways, default=None)

    def _jobs(self, t: int, clock: Clock) -> dict[tuple[int, int], int]:
        """Least cost of a token batch at t by (jobs, completions)."""
        deposit, done = self.proof.kv[t], t + self.tau_D
        lasting, last = [], []
        for (h, r), members in self.members.items():
            clock.check()
            earliest = min(
                a - self.begin + self.tau_P + (h - s - 1) * self.tau_D
                for a, s, o in zip(self.a, self.s, self.o, strict=True)
                if s < h and s + o == h + r
            )
            if not earliest <= t <= self.S - r * self.tau_D:
                continue
            cost = deposit + self.price(h, r, t)
            count = min(members, self.M // (h + 1), self.B_D)
            if r == 1:
                last += [cost - (h + 1) * self.proof.kv[done]] * count
            else:
                lasting += [cost - self.price(h + 1, r - 1, done)] * count
        lasting.sort()
        last.sort()
        return {
            (m, c): sum(last[:c]) + sum(lasting[: m - c])
            for m in range(1, self.B_D + 1)
            for c in range(m + 1)
            if c <= len(last) and m - c <= len(lasting)
        }

    def _prompts(self, t: int, clock: Clock) -> dict[tuple[int, int], int]:
        """Least cost of a prompt batch at t by (prompts, requests that run then)."""
        deposit, done = self.proof.kv[t], t + self.tau_P
        best: dict[tuple[int, int, int], int] = {(0, 0, 0): 0}
        counted = sum(self.s) > self.C_P  # else the tokens of a batch play no part
        for i in range(self.n):
            clock.check()
            a, s, o = self.a[i] - self.begin, self.s[i], self.o[i]
            if not a <= t <= self.S - self.tau_P - (o - 1) * self.tau_D:
                continue
            cost = (done - a) * self.proof.scale - self.proof.prompt[i] + (s + 1) * deposit
            cost -= self.price(s + 1, o - 1, done) if o > 1 else (s + 1) * self.proof.kv[done]
            for (m, r, tokens), before in list(best.items()):
                if m < self.B_P and tokens + s <= self.C_P:
                    key = (m + 1, r + (o > 1), tokens + s if counted else 0)
                    best[key] = min(best.get(key, before + cost), before + cost)
            if len(best) > MOST_BATCHES:
                raise InputError(
                    f"proof: prices of the walk take at most {MOST_BATCHES} prompt batches of "
                    "different sizes"
                )
        options: dict[tuple[int, int], int] = {}
        for (m, r, _), cost in best.items():
            if m:
                options[m, r] = min(options.get((m, r), cost), cost)
        return options


def _times(law: ConstantTime) -> tuple[int, int]:
    return law.prompt, law.token


def _most(sizes: list[int], room: int) -> int:
    """How many of the sizes, the smallest first, fit into the room together."""
    count = 0
    for size in sizes:
        room -= size
        if room < 0:
            break
        count += 1
    return count
