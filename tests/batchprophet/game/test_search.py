"""The page's search against exhaustive search, and its account of moves against the identity."""

from __future__ import annotations

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.game.level import built_in_levels
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from tests.batchprophet.game.javascript import NODE, level, run
from tests.brute_force import brute_force
from tests.strategies import random_instance

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")

FROM_THE_START = """({ level, most }) =>
  search(level, REGIMES[level.regime].first(level), most === undefined ? {} : { most })"""

FROM_A_STATE = """({ level, seed }) => {
  const random = n => { seed = (seed * 48271) % 2147483647; return seed % n; };
  const play = new Play(level, "all");
  for (let k = random(8); k > 0 && !play.over; k--) {
    const move = random(2) ? { what: "next" } : { what: "start", i: random(level.requests.length) };
    if (!play.refusal(move)) play.make(move);
  }
  return { state: play.state, ...search(level, play.state) };
}"""

ACCOUNT = """({ level, seed }) => {
  const random = n => { seed = (seed * 48271) % 2147483647; return seed % n; };
  const { start } = search(level, REGIMES.mixed.first(level));
  level.best.start = start;
  const play = new Play(level, "all");
  while (!play.over) {
    const i = random(level.requests.length);
    const move = random(3) === 0 ? { what: "next" } : { what: "start", i };
    if (!play.refusal(move)) play.make(move);
  }
  play.finish();
  const costs = play.moves.map((_, j) => play.cost(j));
  const changes = costs.map(each => each.changes.reduce((sum, [, later]) => sum + later, 0));
  return { total: play.total(), costs: costs.map(({ low, high }) => [low, high]), changes,
           whole: play.cost(0, play.moves.length) };
}"""


def tiny(seed, most=5):
    rng = np.random.default_rng(seed)
    return random_instance(rng, int(rng.integers(1, most + 1)), capacity=(4, 10), last_arrival=5)


def least(instance, t, start):
    """Least total latency of a schedule that continues a state: every set, round by round."""
    M, n = instance.gpu.kv_capacity, instance.n
    a, s, o = (c.tolist() for c in (instance.arrival, instance.prompt, instance.output))
    end, best = t + max(a) + sum(o), [None]

    def held(at, r):
        return sum(s[i] + r - k for i, k in enumerate(at) if k is not None and k < r <= k + o[i])

    def fits(at, k):
        return all(held(at, r) <= M for r in range(k + 1, k + max(o) + 1))

    def go(at, t, i):
        sofar = sum((max(t, a[j]) if k is None else k) + o[j] - a[j] for j, k in enumerate(at))
        if best[0] is not None and sofar >= best[0]:
            return
        if None not in at:
            best[0] = sofar
        elif i == n:
            if t < end:
                go(at, t + 1, 0)
        else:
            if at[i] is None and a[i] <= t:
                started = [*at[:i], t, *at[i + 1 :]]
                if fits(started, t):
                    go(started, t, i + 1)
            go(at, t, i + 1)

    go(list(start), t, 0)
    return best[0]


def test_the_optimum_of_tiny_instances_is_that_of_exhaustive_search():
    drawn = [tiny(seed) for seed in range(300)]
    found = run(FROM_THE_START, [{"level": level(each)} for each in drawn])
    searched = 0
    for instance, each in zip(drawn, found, strict=True):
        assert each["proved"]
        assert each["value"] == each["bound"] == brute_force(instance)[0]
        assert check_mixed(instance, MixedSchedule(each["start"])) == []
        searched += each["work"] > 0
    assert searched > 100  # not only lists that meet their bound


def test_the_least_that_is_left_is_that_of_exhaustive_search():
    drawn = [tiny(seed) for seed in range(1000, 1300)]
    jobs = [{"level": level(each), "seed": k + 1} for k, each in enumerate(drawn)]
    begun = 0
    for instance, each in zip(drawn, run(FROM_A_STATE, jobs), strict=True):
        t, start = each["state"]["t"], each["state"]["start"]
        assert each["proved"]
        assert each["value"] == least(instance, t, start)
        assert check_mixed(instance, MixedSchedule(each["start"])) == []
        fixed = [(k, found) for k, found in zip(start, each["start"], strict=True)]
        assert all(found == k if k is not None else found >= t for k, found in fixed)
        begun += any(k is not None for k in start) and None in start
    assert begun > 80


def test_a_search_that_runs_out_of_work_says_so_and_its_bound_holds():
    drawn = [tiny(seed, most=7) for seed in range(2000, 2100)]
    short = 0
    for most in (0, 20, 100):
        jobs = [{"level": level(each), "most": most} for each in drawn]
        full = run(FROM_THE_START, [{"level": level(each)} for each in drawn])
        for exact, each in zip(full, run(FROM_THE_START, jobs), strict=True):
            assert each["bound"] <= exact["value"] <= each["value"]
            assert each["proved"] == (each["bound"] == each["value"])
            short += not each["proved"]
    assert short > 50


def test_what_moves_cost_adds_up_to_the_distance_from_the_optimum():
    drawn = [tiny(seed) for seed in range(3000, 3200)]
    best = [brute_force(each)[0] for each in drawn]
    jobs = [
        {"level": level(each, value=value), "seed": k + 1}
        for k, (each, value) in enumerate(zip(drawn, best, strict=True))
    ]
    lost = 0
    for value, each in zip(best, run(ACCOUNT, jobs), strict=True):
        assert all(low == high >= 0 for low, high in each["costs"])
        assert sum(low for low, _ in each["costs"]) == each["total"] - value
        assert [low for low, _ in each["costs"]] == each["changes"]
        assert each["whole"]["low"] == each["whole"]["high"] == each["total"] - value
        lost += each["total"] - value
    assert lost > 300


def test_the_page_finds_the_package_s_optimum_of_every_level():
    levels = [each.instance for each in built_in_levels("mixed")]
    found = run(FROM_THE_START, [{"level": level(each)} for each in levels])
    for instance, each in zip(levels, found, strict=True):
        solution = bp.solve(instance, time_limit=60).solution
        assert solution.status == "optimal"
        assert each["proved"]
        assert each["value"] == solution.objective


def test_forty_requests_are_answered_with_an_interval():
    instance = random_instance(np.random.default_rng(9), 40, capacity=(30, 30), last_arrival=20)
    (found,) = run(FROM_THE_START, [{"level": level(instance)}])
    assert check_mixed(instance, MixedSchedule(found["start"])) == []
    assert found["bound"] < found["value"]
    assert not found["proved"]
