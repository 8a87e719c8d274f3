"""The page's rules against the independent checker, over thousands of random moves."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.instance import Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.metrics import measure
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from tests.batchprophet.game.javascript import NODE, level, run
from tests.strategies import random_instance

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")

#: Plays at random: any request at any time, also those that the rules must refuse.
RANDOM_GAME = """({ level, knows, seed }) => {
  const random = n => { seed = (seed * 48271) % 2147483647; return seed % n; };
  const play = new Play(level, knows), tried = [];
  while (!play.over) {
    if (random(3) === 0) { play.make({ what: "next" }); continue; }
    const i = random(level.requests.length), { t, start } = play.state;
    const refused = play.refusal({ what: "start", i });
    tried.push([t, i, start, refused]);
    if (!refused) play.make({ what: "start", i });
  }
  const waited = play.rules.latency(level, play.state, play.state.t);
  play.finish();
  const { start, lost } = play.state, moves = play.moves.length;
  return { tried, start, lost, total: play.total(), moves, waited, states: play.states.length };
}"""


def games(knows, count, seed):
    rng = np.random.default_rng(seed)
    drawn = [random_instance(rng, int(rng.integers(1, 9))) for _ in range(count)]
    jobs = [
        {"level": level(each), "knows": knows, "seed": position + 1}
        for position, each in enumerate(drawn)
    ]
    return list(zip(drawn, run(RANDOM_GAME, jobs), strict=True))


def part(instance, requests):
    """The instance of some of the requests alone."""
    return Instance(
        gpu=instance.gpu,
        arrival=instance.arrival[requests],
        prompt=instance.prompt[requests],
        output=instance.output[requests],
    )


def tokens(instance, starts, held_in):
    """KV tokens in a round, by the definition."""
    return sum(
        int(instance.prompt[i]) + held_in - k
        for i, k in starts.items()
        if k < held_in <= k + int(instance.output[i])
    )


def test_starts_are_refused_exactly_where_the_checker_finds_a_violation():
    seen = {"now": 0, "later": 0, "arrival": 0, "started": 0, None: 0}
    for instance, game in games("all", 400, seed=1):
        for t, i, before, refused in game["tried"]:
            why = refused and refused["why"]
            seen[why] += 1
            starts = {j: k for j, k in enumerate(before) if k is not None}
            if why == "started":
                assert refused["at"] == starts[i]
                continue
            assert i not in starts
            starts[i] = t
            chosen = list(starts)
            found = check_mixed(part(instance, chosen), MixedSchedule([*starts.values()]))
            if refused is None:
                assert not found
            elif why == "arrival":
                assert refused["at"] == instance.arrival[i] == t + found[0].amount
                assert found[0].rule == "arrival"
            else:
                assert found[0].rule == "kv-capacity"
                assert found[0].time == refused["round"]
                assert (why == "now") == (refused["round"] == t + 1)
                assert refused["held"] == tokens(instance, starts, refused["round"])
                assert refused["over"] == refused["held"] - instance.gpu.kv_capacity
    assert min(seen.values()) > 100, seen
    assert sum(seen.values()) > 5000


def test_games_end_in_schedules_that_the_checker_accepts():
    for instance, game in games("all", 400, seed=2):
        schedule = MixedSchedule(game["start"])
        assert check_mixed(instance, schedule) == []
        assert game["total"] == measure(instance, schedule).total_latency
        assert game["lost"] == []


def test_hidden_lengths_end_in_feasible_schedules_with_their_evictions():
    evictions = 0
    for instance, game in games("prompts", 400, seed=3):
        schedule = MixedSchedule(game["start"], [Eviction(*run) for run in game["lost"]])
        assert check_mixed(instance, schedule) == []
        metrics = measure(instance, schedule)
        assert game["total"] == game["waited"] == metrics.total_latency
        evictions += metrics.evictions
    assert evictions > 200


def test_only_the_last_started_is_evicted_and_only_where_the_next_round_overflows():
    for instance, game in games("prompts", 300, seed=4):
        o = instance.output.tolist()
        runs = [(k, i, k + o[i]) for i, k in enumerate(game["start"])]
        runs += [(k, i, end) for i, k, end in game["lost"]]
        for position, (i, k, end) in enumerate(game["lost"]):
            gone = {tuple(run) for run in game["lost"][: position + 1]}
            # Runs in round `end + 1` but for those that start after the eviction, and what left.
            kept = [run for run in runs if run[0] < end and run[2] > end]
            later = [(a, j, b) for j, a, b in game["lost"] if b == end and (j, a, b) not in gone]
            running = {j: a for a, j, _ in {*kept, *later}}
            assert all((a, j) <= (k, i) for j, a in running.items())
            held = sum(int(instance.prompt[j]) + end + 1 - a for j, a in running.items())
            own = int(instance.prompt[i]) + end + 1 - k
            assert held + own > instance.gpu.kv_capacity


def test_hidden_lengths_refuse_what_overflows_the_next_round_and_nothing_else():
    for instance, game in games("prompts", 300, seed=5):
        for t, i, before, refused in game["tried"]:
            starts = {j: k for j, k in enumerate(before) if k is not None}
            if i in starts or instance.arrival[i] > t:
                assert refused["why"] in ("started", "arrival")
                continue
            held = tokens(instance, starts | {i: t}, t + 1)
            assert (refused is not None) == (held > instance.gpu.kv_capacity)
            if refused:
                assert (refused["why"], refused["round"], refused["held"]) == ("now", t + 1, held)


FITS = """({ level, start, t, i }) => REGIMES.mixed.fits(level, { t, start, lost: [] }, i)"""


def test_fits_is_the_first_boundary_that_the_checker_accepts():
    jobs = [
        (instance, {"level": level(instance), "start": before, "t": t, "i": i})
        for instance, game in games("all", 60, seed=6)
        for t, i, before, refused in game["tried"]
        if refused and refused["why"] in ("now", "later")
    ]
    assert len(jobs) > 100
    found = run(FITS, [job for _, job in jobs])
    for (instance, job), k in zip(jobs, found, strict=True):
        starts = {j: at for j, at in enumerate(job["start"]) if at is not None}
        for at in range(job["t"], k + 1):
            chosen = part(instance, [*starts, job["i"]])
            violations = check_mixed(chosen, MixedSchedule([*starts.values(), at]))
            assert (violations == []) == (at == k)


def test_undo_gives_the_state_before_and_hides_what_was_seen():
    script = """({ level, knows }) => {
      const play = new Play(level, knows), seen = [];
      play.make({ what: "start", i: play.rules.waiting(level, play.state)[0] });
      seen.push(play.undoable().what);
      play.make({ what: "next" });
      seen.push(play.undoable() && play.undoable().what);
      if (play.undoable()) { play.undo(); play.undo(); }
      seen.push(play.states.length, play.state.start.every(k => k === null));
      return seen;
    }"""
    instance = random_instance(np.random.default_rng(7), 5)
    known, hidden = run(
        script, [{"level": level(instance), "knows": k} for k in ("all", "arrived")]
    )
    assert known == ["start", "next", 1, True]
    assert hidden == ["start", None, 3, False]
