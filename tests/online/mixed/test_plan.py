"""The future check that policies of one's own can use."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from batchprophet.online.conformance import check_policy
from batchprophet.online.mixed import Decision, Plan, simulate
from batchprophet.online.mixed.policy import make_policy
from tests.tiny_instances import tiny_instance


@dataclass(frozen=True)
class ShortestFirst:
    """Shortest output first while the future check passes: MC-SF in four lines."""

    name: ClassVar[str] = "shortest-first"
    summary: ClassVar[str] = "shortest output first"
    source: ClassVar[str] = "a test"
    length_kinds: ClassVar[tuple[str, ...]] = ("exact",)

    def decide(self, observation, rng):
        plan, start = observation.plan(), []
        for view in sorted(observation.waiting, key=lambda view: view.planned):
            if not plan.start(view):
                break
            start.append(view.index)
        return Decision(start=tuple(start))


def test_mc_sf_is_written_with_it():
    for seed in range(120):
        instance = tiny_instance([41, seed], most_requests=8)
        known = simulate(instance, make_policy("mc-sf"), seed=0)
        assert simulate(instance, ShortestFirst(), seed=0).start.tolist() == known.start.tolist()
    assert check_policy(ShortestFirst(), trials=5) == []


@pytest.mark.parametrize("seed", range(60))
def test_it_looks_at_every_round(seed):
    rng = np.random.default_rng(seed)
    runs = [(int(x), int(y)) for x, y in rng.integers(1, 9, (int(rng.integers(1, 6)), 2))]
    kv_capacity, t = int(rng.integers(4, 40)), int(rng.integers(0, 5))
    plan = Plan(kv_capacity, t)
    for prompt, planned in runs[1:]:
        plan.add(prompt, planned)
    most = max(sum(prompt + g for prompt, planned in runs if g <= planned) for g in range(1, 10))
    assert plan.fits(*runs[0]) == (most <= kv_capacity)
