"""The price of separate batching: how much latency is lost because no batch holds both kinds.

It is the least total latency of separate batching over that of a *mixing GPU*, whose batches may
hold prompt and token jobs together and know no limits but the KV capacity. A batch of the mixing
GPU takes one round under the unit law; under the constant law the larger of τ_P (if it reads
prompts) and τ_D (if it gives tokens); under the affine law ``c0 + c1·p + c2·d + c3·kv``, with c0
paid once. The price is at least 1: mixing is never forced.

The mixing GPU's optimum is known from two sides.

*From below*, by mixed batching in rounds as long as the shortest batch ρ, arrivals rounded down.
Its optimum in time units, ``Σ (ρ·C_i − a_i)``, is at most that of any GPU whose batches take at
least ρ, mixed or not. Proof: batches end at least ρ apart, hence in different rounds ``⌊end / ρ⌋``.
Run request i in the o_i rounds up to ``C_i = ⌊c_i / ρ⌋``: since o_i batches end from ``a_i + ρ``
on, it does not start before ``⌊a_i / ρ⌋``, and ``ρ·C_i ≤ c_i``. In round R it holds
``s_i + o_i − (C_i − R)`` tokens. At most one batch ends in each of the rounds R + 1 … C_i, so at
the last batch end up to round R the other GPU holds at least as many for i, and no more than M in
all.

*From above*, by a schedule that it can run: Orca's (`orca.Orca`), and where all batches take
equally long (the unit law, or τ_P = τ_D) and arrivals are whole rounds, the mixed schedule of those
rounds. In that case, with both optima proved, the price is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...models.batch_time import AffineTime
from ...models.durations import batch_durations
from ...models.instance import Gpu, Instance
from ...models.objectives import Exact
from ...solvers.solution import Solution


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedSide:
    """The instance as mixed batching takes it: rounds as long as the shortest batch, no limits.

    Attributes
    ----------
    instance : Instance
        Unit-time law, arrivals in rounds, rounded down.
    round : int
        Length ρ of a round, in the separate instance's time unit.
    offset : int
        ``Σ (ρ·a_i' − a_i)``, with arrivals a' in rounds: latencies in the separate instance's time
        unit are ``ρ · latency in rounds + offset``.
    equal : bool
        Whether every batch of the separate instance takes ρ, and every arrival is a whole round:
        then the mixing GPU can run a mixed schedule as it is.
    """

    instance: Instance
    round: int
    offset: int
    equal: bool

    def latency(self, rounds: Exact) -> Exact:
        """Total latency in the separate instance's time unit, of one in rounds."""
        return self.round * rounds + self.offset


def mixed_side(instance: Instance) -> MixedSide:
    """Return the mixed side of an instance.

    The shortest batch is that of one job: of the shortest prompt, or of a token that reads the
    smallest KV cache.

    Examples
    --------
    >>> from batchprophet.models.batch_time import ConstantTime
    >>> gpu = Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=3, token=2))
    >>> side = mixed_side(Instance(gpu=gpu, arrival=[0, 5], prompt=[3, 1], output=[4, 2]))
    >>> side.round, side.instance.arrival.tolist(), side.latency(10), side.equal
    (2, [0, 2], 19, False)
    """
    law, shortest = batch_durations(instance), int(instance.prompt.min())
    times = {law.prompt_batch(shortest)}
    if int(instance.output.max()) > 1:
        times.add(law.token_batch(1, shortest + 1))
    length = min(times)
    arrival = instance.arrival // length
    offset = int((length * arrival - instance.arrival).sum())
    mixed = instance.replace(
        gpu=Gpu(kv_capacity=instance.gpu.kv_capacity),
        arrival=arrival,
        deadline=None,
        horizon=None,
        name=f"{instance.name} (mixed)",
    )
    varies = isinstance(instance.gpu.batch_time, AffineTime) or len(times) > 1
    return MixedSide(instance=mixed, round=length, offset=offset, equal=not varies and offset == 0)


def dropped(instance: Instance) -> tuple[str, ...]:
    """Return what the mixed side leaves out of the instance, by name."""
    law = instance.gpu.batch_time.name
    return (*instance.gpu.batch_limits, *(() if law == "unit" else (f"batch_time ({law} law)",)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of separate batching on one instance, as an interval that holds it.

    Attributes
    ----------
    separate : Solution
        Hindsight under separate batching.
    side : MixedSide
        The instance as mixed batching takes it.
    mixed : Solution
        Hindsight of the mixed side.
    orca : int
        Total latency of Orca on the mixing GPU.
    time_unit : str
        The separate instance's time unit.
    dropped : tuple of str
        What the mixed side leaves out of the instance.
    """

    separate: Solution[Any]
    side: MixedSide
    mixed: Solution[Any]
    orca: int
    time_unit: str
    dropped: tuple[str, ...]

    @property
    def mixing_bound(self) -> Exact | None:
        """Lower bound on the mixing GPU's total latency."""
        bound = self.mixed.lower_bound
        return None if bound is None else self.side.latency(bound)

    @property
    def mixing_value(self) -> Exact:
        """Total latency of the best schedule known of the mixing GPU, which need not mix."""
        known: list[Exact] = [self.orca, self.separate.objective]
        if self.side.equal:
            known.append(self.side.latency(self.mixed.objective))
        return min(known)

    @property
    def low(self) -> float:
        """The price is at least this: the separate bound over what the mixing GPU can do, or 1."""
        bound = self.separate.lower_bound
        ratio = None if bound is None else _ratio(bound, self.mixing_value)
        return 1.0 if ratio is None else max(1.0, ratio)

    @property
    def high(self) -> float | None:
        """The price is at most this: the separate schedule over the mixing GPU's bound."""
        bound = self.mixing_bound
        return None if bound is None else _ratio(self.separate.objective, bound)

    @property
    def exact(self) -> bool:
        """Whether the interval is a point."""
        return self.high == self.low

    def to_record(self) -> dict[str, Any]:
        """Return the price as the object that ``--json`` prints."""
        bound = self.mixing_bound
        return {
            "low": self.low,
            "high": self.high,
            "mixing_latency": float(self.mixing_value),
            "mixing_bound": None if bound is None else float(bound),
            "orca": self.orca,
            "round": self.side.round,
            "equal_times": self.side.equal,
            "dropped": list(self.dropped),
        }


def _ratio(value: Exact, reference: Exact) -> float | None:
    return float(Fraction(value) / Fraction(reference)) if reference > 0 else None
