r"""Upper bound on the reward by a horizon: a greedy over nested constraints, O(n²) numbers.

For every time u, what arrives from u on and earns its reward is worked on within [u, T] by the
machine of `works`, which has speed 1: ``Σ_{i: a_i ≥ u} w_i·x_i ≤ T − u`` (the suffix constraints of
model/coupling.md §3; the mixes of `works` are multipliers of its prompt, token and KV rows). Of all
``0 ≤ x_i ≤ 1`` with these the greedy by reward per work earns most: sets of suffixes are nested, so
this is a polymatroid. For another mix the same holds, so the least over the mixes is a bound.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ....models.instance import Instance
from ....models.objectives import latest_completion
from ....models.separate.problem import time_alone
from .workloads import MIXES, works


def reward_bound(instance: Instance) -> Fraction:
    """Return an upper bound on the reward of requests completed by the horizon, in time.

    Parameters
    ----------
    instance : Instance
        An instance with a horizon; any law, any limits.

    Raises
    ------
    InputError
        If the instance has no horizon.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=1, token_batch_requests=1)
    >>> instance = Instance(
    ...     gpu=gpu, arrival=[0, 0, 2], prompt=[1, 1, 1], output=[2, 2, 2], reward=[3, 1, 1],
    ...     horizon=4,
    ... )
    >>> reward_bound(instance)  # work 2 each, in 4 slots, of which 2 after the last arrival
    Fraction(4, 1)
    """
    limit = latest_completion(instance)
    earliest = instance.arrival + time_alone(instance)
    may = np.flatnonzero((earliest <= limit) & (instance.reward > 0))
    if may.size == 0:
        return Fraction(0)
    return min(_greedy(instance.take(may), mix) for mix in MIXES)


def _greedy(instance: Instance, mix: tuple[Fraction, Fraction, Fraction]) -> Fraction:
    """Take the requests by reward per work as far as all suffixes have room."""
    scaled, unit = works(instance, mix)
    reward = [Fraction(repr(r)) for r in instance.reward.tolist()]
    epochs = np.unique(instance.arrival)
    last = int(latest_completion(instance).max())
    room = [(last - u) * unit for u in epochs.tolist()]
    end = np.searchsorted(epochs, instance.arrival, side="right").tolist()
    total = Fraction(0)
    free = [i for i in range(instance.n) if scaled[i] == 0]
    paid = [i for i in range(instance.n) if scaled[i] > 0]
    total += sum((reward[i] for i in free), Fraction(0))
    for i in sorted(paid, key=lambda i: (-reward[i] / scaled[i], i)):
        most = min(room[: end[i]])
        taken = min(scaled[i], most)
        if taken > 0:
            total += reward[i] * Fraction(taken, scaled[i])
            for k in range(end[i]):
                room[k] -= taken
    return total
