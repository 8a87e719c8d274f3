"""What another GPU would have given: a policy on the same requests, one limit changed at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from ...models.batch_time import AffineTime
from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Gpu, Instance
from ...models.objectives import Exact, total_latency
from .policy import ContinuousPolicy
from .simulator import simulate_continuous

#: By how much batches are shorter on a faster GPU.
FASTER = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """What a policy comes to on a changed GPU.

    Attributes
    ----------
    change : str
        What is changed.
    total_latency : int
        In the batch-time law's unit.
    relative : float or None
        The change of what is judged, by default the total latency, relative to the GPU as it is;
        negative is less. None where it was 0 and is not.
    """

    change: str
    total_latency: int
    relative: float | None


def counterfactuals(
    instance: Instance,
    policy: ContinuousPolicy | str,
    *,
    seed: int = 0,
    value: Callable[[Instance, ContinuousSchedule], Exact] | None = None,
) -> list[Counterfactual]:
    """Run a policy with more KV memory, seats and tokens in a batch, and on a faster GPU.

    Parameters
    ----------
    instance : Instance
        One of continuous batching.
    policy : ContinuousPolicy or str
        A policy that finishes on it.
    seed : int
        As in `simulate_continuous`.
    value : callable, optional
        ``value(instance, schedule)``, what is judged; the total latency by default.

    Returns
    -------
    list of Counterfactual
        Only of limits that the GPU has.

    Raises
    ------
    DoesNotFinish
        If the policy does not finish.

    Examples
    --------
    >>> gpu = Gpu(kv_capacity=10, running_requests=8)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[4, 4], output=[5, 5])
    >>> for each in counterfactuals(instance, "orca"):
    ...     print(f"{each.change}: {each.relative:+.1%}")
    KV memory × 2: -33.3%
    seats × 2: +0.0%
    """

    def judged(changed: Instance) -> tuple[int, Exact]:
        schedule = simulate_continuous(changed, policy, seed=seed)
        total = total_latency(changed, schedule.completion(changed))
        return total, total if value is None else value(changed, schedule)

    _, before = judged(instance)
    return [
        Counterfactual(change=change, total_latency=total, relative=_relative(after, before))
        for change, gpu in changed_gpus(instance.gpu)
        for total, after in [judged(instance.replace(gpu=gpu))]
    ]


def _relative(after: Exact, before: Exact) -> float | None:
    if before == 0:
        return 0.0 if after == 0 else None
    return float(Fraction(after) / before - 1)


def changed_gpus(gpu: Gpu) -> Iterator[tuple[str, Gpu]]:
    """Yield GPUs that differ in one thing, by what it is."""
    yield "KV memory × 2", replace(gpu, kv_capacity=2 * gpu.kv_capacity)
    if gpu.running_requests is not None:
        yield "seats × 2", replace(gpu, running_requests=2 * gpu.running_requests)
    if gpu.batch_tokens is not None:
        yield "tokens in a batch × 2", replace(gpu, batch_tokens=2 * gpu.batch_tokens)
    law = gpu.batch_time
    if isinstance(law, AffineTime):
        names = ("c0", "c1", "c2", "c3", "c0_prompt")
        shorter = {
            name: (1 - FASTER) * value
            for name in names
            if (value := getattr(law, name)) is not None
        }
        change = f"batches {100 * FASTER:.0f} % shorter"
        yield change, replace(gpu, batch_time=AffineTime(**shorter))
