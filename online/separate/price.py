"""The price of separate batching: how much latency is lost because no batch holds both kinds.

Mixed batching knows rounds of equal length only, separate batching has times of its own for prompt
and for token batches. So that the two are compared fairly, mixed batching is asked twice on the
same requests, without batch limits:

- with rounds as long as the *shortest* batch that separate batching can run (ρ), arrivals rounded
  down. Its optimum L in time units, ``Σ (ρ·C_i − a_i)``, is at most that of separate batching.
  Proof: batches end at least ρ apart, hence in different rounds ``⌊end / ρ⌋``. Run request i in the
  o_i rounds up to ``C_i = ⌊c_i / ρ⌋``: since o_i batches end from ``a_i + ρ`` on, it does not start
  before ``⌊a_i / ρ⌋``, and ``ρ·C_i ≤ c_i``. In round R it holds ``s_i + o_i − (C_i − R)`` tokens.
  At most one batch ends in each of the rounds R + 1 … C_i, so at the last batch end up to round R
  the separate schedule holds at least as many for i, and no more than M in all.
  The same proof holds against any GPU whose batches may mix and take at least ρ.
- with rounds as long as the *longest* batch, the larger of τ_P and τ_D, arrivals rounded up. A GPU
  that takes τ_P for a batch with prompts and τ_D for one without can run such a schedule, waiting
  out its rounds, so the optimum H is at least that GPU's.

So the least latency of a GPU that may mix lies between L and H, and the price, separate over mixed,
between (bound on separate) / H and separate / (bound on L); it is at least 1, since nobody must
mix. Where τ_P = τ_D, as under the unit law, both rounds are the same, and with proved optima the
price is exact. Under the affine law no batch is the longest, and only the upper end is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...models.batch_time import AffineTime
from ...models.instance import Gpu, Instance
from ...models.objectives import Exact
from ...models.separate.durations import batch_durations
from ...solvers.solution import Solution


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedSide:
    """The instance as mixed batching takes it: rounds of one length, no batch limits.

    Attributes
    ----------
    instance : Instance
        Unit-time law, arrivals in rounds.
    round : int
        Length of a round, in the separate instance's time unit.
    offset : int
        ``Σ (round·a_i' − a_i)``, with arrivals a' in rounds: latencies in the separate instance's
        time unit are ``round · latency in rounds + offset``.

    Examples
    --------
    >>> from batchprophet.models.batch_time import ConstantTime
    >>> gpu = Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=3, token=2))
    >>> instance = Instance(gpu=gpu, arrival=[0, 5], prompt=[3, 1], output=[4, 2])
    >>> side = shortest_rounds(instance)
    >>> side.round, side.instance.arrival.tolist(), side.latency(10)
    (2, [0, 2], 19)
    """

    instance: Instance
    round: int
    offset: int

    def latency(self, rounds: Exact) -> Exact:
        """Total latency in the separate instance's time unit, of one in rounds."""
        return self.round * rounds + self.offset


def shortest_rounds(instance: Instance) -> MixedSide:
    """Return the mixed side whose rounds are as long as the shortest separate batch.

    Under the affine law that is a batch of one job: of the shortest prompt, or of a token that
    reads the smallest KV cache.
    """
    law, shortest = batch_durations(instance), int(instance.prompt.min())
    times = [law.prompt_batch(shortest)]
    if int(instance.output.max()) > 1:
        times.append(law.token_batch(1, shortest + 1))
    return _side(instance, min(times), up=False)


def longest_rounds(instance: Instance) -> MixedSide | None:
    """Return the mixed side whose rounds are as long as the longest batch; None if there is none.

    Examples
    --------
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 5], prompt=[3, 1], output=[4, 2])
    >>> longest_rounds(instance).round
    1
    """
    if isinstance(instance.gpu.batch_time, AffineTime):
        return None
    law = batch_durations(instance)
    has_tokens = int(instance.output.max()) > 1
    return _side(instance, max(law.prompt, law.token if has_tokens else 0), up=True)


def dropped(instance: Instance) -> tuple[str, ...]:
    """Return what the mixed side leaves out of the instance, by name."""
    law = instance.gpu.batch_time.name
    return (*instance.gpu.batch_limits, *(() if law == "unit" else (f"batch_time ({law} law)",)))


def _side(instance: Instance, length: int, *, up: bool) -> MixedSide:
    arrival = -(-instance.arrival // length) if up else instance.arrival // length
    mixed = instance.replace(
        gpu=Gpu(kv_capacity=instance.gpu.kv_capacity),
        arrival=arrival,
        deadline=None,
        horizon=None,
        name=f"{instance.name} (mixed)",
    )
    offset = int((length * arrival - instance.arrival).sum())
    return MixedSide(instance=mixed, round=length, offset=offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of separate batching on one instance, as an interval that holds it.

    Attributes
    ----------
    separate : Solution
        Hindsight under separate batching.
    separate_unit : str
        The separate instance's time unit.
    quick, slow : (MixedSide, Solution)
        Hindsight under mixed batching in rounds as long as the shortest and the longest batch;
        `slow` is `quick` where they are equally long, and None where there is no longest.
    dropped : tuple of str
        What the mixed side leaves out of the instance.
    """

    separate: Solution[Any]
    separate_unit: str
    quick: tuple[MixedSide, Solution[Any]]
    slow: tuple[MixedSide, Solution[Any]] | None
    dropped: tuple[str, ...]

    @property
    def low(self) -> float:
        """The price is at least this: the separate bound over the slow mixed schedule, or 1."""
        if self.slow is None or self.separate.lower_bound is None:
            return 1.0
        side, solution = self.slow
        return max(1.0, _ratio(self.separate.lower_bound, side.latency(solution.objective)) or 1.0)

    @property
    def high(self) -> float | None:
        """The price is at most this: the separate schedule over the quick mixed bound."""
        side, solution = self.quick
        if solution.lower_bound is None:
            return None
        return _ratio(self.separate.objective, side.latency(solution.lower_bound))

    @property
    def equal_times(self) -> bool:
        """Whether all batches take equally long on both sides."""
        return self.slow is not None and self.slow[0].round == self.quick[0].round

    @property
    def exact(self) -> bool:
        """Whether the interval is a point."""
        return self.high == self.low

    def to_record(self) -> dict[str, Any]:
        """Return the price as the object that ``--json`` prints."""
        sides = {"quick": self.quick, "slow": self.slow}
        return {
            "low": self.low,
            "high": self.high,
            "dropped": list(self.dropped),
            "mixed": {
                name: side
                and {
                    "round": side[0].round,
                    "latency": float(side[0].latency(side[1].objective)),
                    "lower_bound": None
                    if side[1].lower_bound is None
                    else float(side[0].latency(side[1].lower_bound)),
                }
                for name, side in sides.items()
            },
        }


def _ratio(value: Exact, reference: Exact) -> float | None:
    return float(Fraction(value) / Fraction(reference)) if reference > 0 else None
