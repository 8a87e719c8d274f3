"""Rules and search of the regimes with batches: against the checkers and exhaustive search."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from batchprophet.models.continuous.schedule import Batch as ContinuousBatch
from batchprophet.models.continuous.schedule import ContinuousSchedule
from batchprophet.models.regimes import REGIMES, check, schedule_value
from batchprophet.models.separate.schedule import Batch as SeparateBatch
from batchprophet.models.separate.schedule import SeparateSchedule
from tests.batchprophet.game.javascript import NODE, level, run
from tests.brute_force_continuous import brute_force_continuous
from tests.brute_force_separate import brute_force_separate
from tests.tiny_continuous import tiny_continuous
from tests.tiny_separate import random_laws, tiny_separate

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")


def tiny_separate_of_any_law(seed, most_requests=3):
    return tiny_separate(seed, most_requests=most_requests, law=random_laws(seed))


def separate_schedule(batches):
    """Batches of the page, of one kind each, as a schedule."""
    return SeparateSchedule(
        SeparateBatch(
            "prompt" if batch["prefill"] else "token",
            batch["start"],
            tuple(i for i, _ in batch["prefill"]) or tuple(batch["decode"]),
        )
        for batch in batches
    )


def continuous_schedule(batches):
    """Batches of the page as a schedule."""
    return ContinuousSchedule(
        ContinuousBatch(
            batch["start"],
            tuple((i, tokens) for i, tokens in batch["prefill"]),
            tuple(batch["decode"]),
            tuple(batch["preempt"]),
        )
        for batch in batches
    )


@dataclass(frozen=True)
class Case:
    """A regime: tiny instances, its exhaustive search, and what the checker says of refusals."""

    name: str
    tiny: Any
    brute_force: Any
    schedule: Any
    rules: dict[str, set[str]]
    own: set[str] = field(default_factory=set)
    most_requests: int = 3  # that exhaustive search takes quickly


SEPARATE = Case(
    name="separate",
    tiny=tiny_separate_of_any_law,
    brute_force=brute_force_separate,
    schedule=separate_schedule,
    rules={
        "empty": {"empty-batch"},
        "twice": {"twice"},
        "arrival": {"arrival", "prompt-first"},
        "complete": {"tokens", "prompt-again"},
        "read": {"prompt-again"},
        "unread": {"prompt-first"},
        "prompt-requests": {"prompt-batch-requests"},
        "prompt-tokens": {"prompt-batch-tokens"},
        "token-requests": {"token-batch-requests"},
        "kv": {"kv-capacity"},
    },
    own={"kinds", "whole", "stuck"},
)

CONTINUOUS = Case(
    name="continuous",
    tiny=tiny_continuous,
    brute_force=brute_force_continuous,
    schedule=continuous_schedule,
    rules={
        "empty": {"empty-batch"},
        "twice": {"twice"},
        "arrival": {"arrival", "prompt-first"},
        "complete": {"tokens"},
        "read": {"chunk"},
        "unread": {"prompt-first"},
        "part": {"chunk"},
        "whole": {"whole-prompt"},
        "preempt": {"preempt"},
        "batch-tokens": {"batch-tokens"},
        "seats": {"running-requests"},
        "kv": {"kv-capacity"},
    },
    most_requests=2,
)

CASES = [pytest.param(each, id=each.name) for each in (SEPARATE, CONTINUOUS)]

#: Plays at random: any batch at any time, also those that the rules must refuse. What a batch does
#: has `bad` in a thousand wrong parts.
RANDOM_GAME = """({ level, knows, seed }) => {
  const random = n => { seed = (seed * 48271) % 2147483647; return seed % n; };
  const play = new Play(level, knows), { rules } = play, tried = [], n = level.requests.length;
  const keys = () => level.requests.map((_, i) => [random(1000), i]).sort((a, b) => a[0] - b[0]);
  const order = () => keys().map(([, i]) => i);
  const some = most => order().filter(() => random(most) === 0);
  while (!play.over && tried.length < 400) {
    const { state } = play, style = rules.styles[random(rules.styles.length)];
    let move = random(8) === 0 ? { what: "wait" } : rules.ruled(level, state, order(), style);
    if (move.what === "batch" && random(2)) {
      const left = i => level.requests[i].prompt + state.tokens[i] - state.cache[i];
      const chunk = i => (random(3) ? left(i) : 1 + random(6));
      const reads = random(2), also = random(4) === 0;
      const any = random(2), of = pool => (any ? some(2) : order().filter(i => pool.includes(i)));
      const prompts = of(rules.waiting(level, state)), tokens = of(rules.running(level, state));
      const prefill = reads || also ? prompts.map(i => [i, Math.max(1, chunk(i))]) : [];
      const decode = reads && !also ? [] : tokens;
      const preempt = level.regime === "continuous" ? some(9) : [];
      move = { what: "batch", prefill, decode, preempt };
      if (random(20) === 0) move.decode.push(random(n));
    }
    const refused = play.refusal(move);
    tried.push([state.batches.length, state.t, move, refused]);
    if (!refused) play.make(move);
  }
  const { batches, done } = play.state;
  return { tried, batches, done, over: play.over, total: play.over ? play.total() : 0,
           until: rules.latency(level, play.state, play.state.t) };
}"""


def games(case, knows, count, seed):
    drawn = [case.tiny(1000 * seed + position, most_requests=5) for position in range(count)]
    jobs = [
        {"level": level(each, regime=case.name), "knows": knows, "seed": 7 * position + seed}
        for position, each in enumerate(drawn)
    ]
    return list(zip(drawn, run(RANDOM_GAME, jobs), strict=True))


def violations(case, instance, batches):
    """Rules that some batches violate; requests may be left unserved yet."""
    found = check(instance, case.schedule(batches))
    return [each for each in found if each.rule != "unserved"]


@pytest.mark.parametrize("case", CASES)
def test_batches_are_refused_exactly_where_the_checker_finds_a_violation(case):
    seen = dict.fromkeys([*case.rules, *case.own, None, "wait"], 0)
    for instance, game in games(case, "all", 400, seed=1):
        for done, t, move, refused in game["tried"]:
            if move["what"] == "wait":
                later = [a for a in instance.arrival.tolist() if a > t]
                assert (refused is None) == bool(later)
                seen["wait"] += 1
                continue
            why = refused and refused["why"]
            seen[why] += 1
            if why in case.own:
                SAYS_NO[why](instance, game["batches"][:done], move, refused)
                continue
            found = violations(
                case, instance, [*game["batches"][:done], {"preempt": [], **move, "start": t}]
            )
            if refused is None:
                assert not found
            else:
                assert {each.rule for each in found} & case.rules[why]
                if why == "kv":
                    assert refused["over"] == found[-1].amount
    assert min(seen.values()) >= 5, seen
    assert sum(seen.values()) > 3500


def of_both_kinds(instance, batches, move, refused):
    assert move["prefill"]
    assert move["decode"]


def in_part(instance, batches, move, refused):
    assert any(tokens != instance.prompt[i] for i, tokens in move["prefill"])


def without_a_way_on(instance, batches, move, refused):
    """No order in which the running requests are completed one after another fits."""
    s, o, M = instance.prompt.tolist(), instance.output.tolist(), instance.gpu.kv_capacity
    tokens = [0] * instance.n
    for batch in (*batches, move):
        for i in (*(i for i, _ in batch["prefill"]), *batch["decode"]):
            tokens[i] += 1
    running = {i for i in range(instance.n) if 0 < tokens[i] < o[i]}
    assert not completable(running, tokens, s, o, M)
    assert set(refused["stuck"]) <= running


def completable(running, tokens, s, o, M):
    held = sum(s[i] + tokens[i] for i in running)
    return not running or any(
        held + o[i] - tokens[i] <= M and completable(running - {i}, tokens, s, o, M)
        for i in running
    )


#: What the rules refuse for reasons of their own, by what shows that they are right.
SAYS_NO = {"kinds": of_both_kinds, "whole": in_part, "stuck": without_a_way_on}


@pytest.mark.parametrize("case", CASES)
def test_games_end_in_schedules_that_the_checker_accepts(case):
    ended = 0
    for instance, game in games(case, "all", 300, seed=2):
        if not game["over"]:
            continue
        ended += 1
        schedule = case.schedule(game["batches"])
        assert check(instance, schedule) == []
        assert game["done"] == schedule.completion(instance).tolist()
        assert game["total"] == game["until"] == schedule_value(instance, schedule)
    assert ended > 290


FROM_THE_START = """({ level, most }) => {
  const rules = REGIMES[level.regime];
  return rules.search(level, rules.first(level), most === undefined ? {} : { most });
}"""


@pytest.mark.parametrize("case", CASES)
def test_the_least_total_latency_is_that_of_exhaustive_search(case):
    drawn = [case.tiny(seed, most_requests=case.most_requests) for seed in range(400, 460)]
    searched = 0
    found = run(FROM_THE_START, [{"level": level(each, regime=case.name)} for each in drawn])
    for instance, each in zip(drawn, found, strict=True):
        assert each["proved"]
        assert each["value"] == each["bound"] == case.brute_force(instance)[0]
        schedule = case.schedule(each["batches"])
        assert check(instance, schedule) == []
        assert schedule_value(instance, schedule) == each["value"]
        searched += each["work"] > 0
    assert searched > 8


@pytest.mark.parametrize("case", CASES)
def test_a_search_that_runs_out_of_work_says_so_and_its_bound_holds(case):
    drawn = [case.tiny(seed, most_requests=case.most_requests + 1) for seed in range(600, 620)]
    short = 0
    exact = run(FROM_THE_START, [{"level": level(each, regime=case.name)} for each in drawn])
    for most in (0, 10, 60):
        jobs = [{"level": level(each, regime=case.name), "most": most} for each in drawn]
        for full, each in zip(exact, run(FROM_THE_START, jobs), strict=True):
            assert each["bound"] <= full["value"] <= each["value"]
            assert each["proved"] == (each["bound"] == each["value"])
            short += not each["proved"]
    assert short > 5


ACCOUNT = """({ level, seed }) => {
  const random = n => { seed = (seed * 48271) % 2147483647; return seed % n; };
  const rules = REGIMES[level.regime];
  level.best.batches = rules.search(level, rules.first(level)).batches;
  const play = new Play(level, "all");
  while (!play.over) {
    const now = each => each && each.start === play.state.t;
    const all = [...rules.choices(level, play.state)].filter(now);
    const wait = { what: "wait" }, waits = !play.refusal(wait) && random(4) === 0;
    play.make(waits || !all.length ? wait : { what: "batch", ...all[random(all.length)] });
  }
  const costs = play.moves.map((_, j) => play.cost(j));
  return { total: play.total(), costs: costs.map(({ low, high }) => [low, high]),
           changes: costs.map(each => each.changes.reduce((sum, [, later]) => sum + later, 0)),
           whole: play.cost(0, play.moves.length) };
}"""


@pytest.mark.parametrize("case", CASES)
def test_what_moves_cost_adds_up_to_the_distance_from_the_optimum(case):
    drawn = [case.tiny(seed, most_requests=case.most_requests) for seed in range(700, 740)]
    best = [case.brute_force(each)[0] for each in drawn]
    jobs = [
        {"level": level(each, value=value, regime=case.name), "seed": k + 1}
        for k, (each, value) in enumerate(zip(drawn, best, strict=True))
    ]
    lost = 0
    for value, each in zip(best, run(ACCOUNT, jobs), strict=True):
        assert all(low == high >= 0 for low, high in each["costs"])
        assert sum(low for low, _ in each["costs"]) == each["total"] - value
        assert [low for low, _ in each["costs"]] == each["changes"]
        assert each["whole"]["low"] == each["whole"]["high"] == each["total"] - value
        lost += each["total"] > value
    assert lost > 8


def test_every_regime_of_the_package_is_among_the_cases():
    assert {each.values[0].name for each in CASES} == {*REGIMES} - {"mixed"}
