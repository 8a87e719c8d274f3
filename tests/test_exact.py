"""The exact method: proofs against exhaustive search, and what it promises about limits."""

import numpy as np

from batchprophet.models.feasibility import check_mixed
from batchprophet.solvers.bounds.configuration import configuration_prices
from batchprophet.solvers.exact.proof import prove
from batchprophet.solvers.list_schedule import list_schedule

from .brute_force import brute_force
from .strategies import random_instance


def latency(instance, schedule):
    return int((schedule.completion(instance) - instance.arrival).sum())


def proof(instance, work=40, **limits):
    schedule = list_schedule(instance, instance.arrival)
    return prove(
        instance, schedule, configuration_prices(instance, schedule, work_limit=work), **limits
    )


def agrees_with_brute_force(rng):
    n = int(rng.integers(1, 8))
    instance = random_instance(rng, n, capacity=(4, 16), last_arrival=int(rng.integers(0, 9)))
    if n > 1 and rng.random() < 0.5:  # equal requests
        rows = rng.integers(0, n, size=n)
        instance = instance.replace(prompt=instance.prompt[rows], output=instance.output[rows])
    best, _ = brute_force(instance)
    # Few steps leave a wide gap: the search has work to do.
    outcome = proof(instance, work=int(rng.integers(1, 60)))
    assert outcome.complete
    assert outcome.bound == best == latency(instance, outcome.schedule)
    assert not check_mixed(instance, outcome.schedule)
    return outcome.nodes


def test_tiny_instances_agree_with_brute_force():
    rng = np.random.default_rng(1)
    assert sum(agrees_with_brute_force(rng) for _ in range(60)) > 600
