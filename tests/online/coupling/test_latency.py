"""Latency environments: the account by best known completions, the rows; separate ``bayes``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from batchprophet.cli import run
from batchprophet.models.batch_time import ConstantTime
from batchprophet.models.errors import DoesNotFinish, InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.regimes import check, schedule_value
from batchprophet.models.separate.schedule import Batch, SeparateSchedule
from batchprophet.online.coupling.best_known import Step, best_known, compensations
from batchprophet.online.coupling.futures import LAWS
from batchprophet.online.coupling.history import History
from batchprophet.online.environments import make_environment
from batchprophet.online.mixed.simulator import simulate
from batchprophet.online.mixed.steps import mixed_steps
from batchprophet.online.regret import measure_regret
from batchprophet.online.separate.conformance import random_instance as random_separate
from batchprophet.online.separate.decision import BatchDecision
from batchprophet.online.separate.hindsight import in_order, make_world
from batchprophet.online.separate.policy import REGISTRY, make_policy, session
from batchprophet.online.separate.simulator import prepare, simulate_separate
from batchprophet.online.separate.state import SeparateState
from batchprophet.online.separate.steps import _Follower, separate_steps
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.random_stream import random_stream
from batchprophet.solvers.separate.compiled_instance import machine_of
from batchprophet.solvers.separate.search.encoding import Encoding, plain_encoding
from batchprophet.solvers.separate.search.list_encodings import encoding_of, first_encodings
from batchprophet.solvers.separate.search.schedule_builder import (
    REJECTED,
    schedule_of,
    total_latency,
    working_space,
)
from tests.brute_force import brute_force
from tests.brute_force_separate import brute_force_separate
from tests.strategies import random_instance
from tests.tiny_separate import tiny_separate

# ---------------------------------------------------------------- the account


def test_what_nobody_knows_is_taken_from_what_follows() -> None:
    steps = [Step(0, "start", None), Step(1, "wait", 9), Step(1, "evict", 12)]
    assert best_known(steps) == 9
    assert compensations(steps, 8).tolist() == [1, 0, 3]


def test_a_run_that_is_its_own_plan_pays_nothing() -> None:
    instance = make_instance("arrival-model-2", seed=1, settings={"n": 9})
    plan = simulate(instance, "mc-sf")
    steps = mixed_steps(instance, plan, plan, 50, random_stream(0))
    assert {step.best for step in steps} == {schedule_value(instance, plan)}


def test_a_wrong_first_start_is_what_it_costs() -> None:
    # M = 6. The long request (1, 5) leaves no room for one of 5 tokens in its last rounds:
    # first 0 then 5 is 5 + 6 = 11; first 5 then 0 is 1 + 6 = 7.
    gpu = Gpu(kv_capacity=6)
    instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[1, 5], output=[5, 1])
    steps = mixed_steps(
        instance, MixedSchedule([0, 5]), MixedSchedule([1, 0]), 20, random_stream(0)
    )
    assert [(step.part, step.best) for step in steps] == [
        ("start", 11),
        ("wait", 11),
        ("start", 11),
    ]
    assert compensations(steps, 7).tolist() == [4, 0, 0]


@pytest.mark.parametrize("policy", ["mc-sf", "mc-benchmark", "vllm", "alpha-beta:alpha=0.1"])
def test_mixed_steps_are_what_schedules_can_reach(policy: str) -> None:
    # With every decision the best known latency is one of a true schedule: at least the optimum,
    # and at the end exactly that of the run, evictions or not.
    rng, evicted = np.random.default_rng(0), 0
    for seed in range(25):
        instance = random_instance(rng, 5, capacity=(8, 14))
        try:
            schedule = simulate(instance, policy, seed=seed)
        except DoesNotFinish:
            continue
        plan = simulate(instance, "mc-sf")
        steps = mixed_steps(instance, schedule, plan, 30, random_stream(seed))
        value, optimum = schedule_value(instance, schedule), brute_force(instance)[0]
        assert steps[-1].best == value
        assert best_known(steps) >= optimum
        paid = compensations(steps, optimum)
        assert paid.min() >= 0
        assert paid.sum() == value - optimum
        evicted += len(schedule.evicted)
    assert evicted > 0 or policy.startswith("mc-")


@pytest.mark.parametrize("policy", REGISTRY.by_default)
def test_separate_steps_are_what_schedules_can_reach(policy: str) -> None:
    idle = 0
    for seed in range(25):
        instance = tiny_separate([9, seed])
        schedule = simulate_separate(instance, policy)
        if seed % 2:  # let the GPU idle once
            schedule = SeparateSchedule(
                Batch(batch.kind, batch.start + 2, batch.requests) for batch in schedule.batches
            )
            idle += 1
        plan = simulate_separate(instance, "full-prompt-batch")
        steps = separate_steps(instance, schedule, plan, 30, random_stream(seed))
        value, optimum = schedule_value(instance, schedule), brute_force_separate(instance)[0]
        assert steps[-1].best == value
        assert best_known(steps) >= optimum
        assert compensations(steps, optimum).min() >= 0
    assert idle > 0


# ---------------------------------------------------------------- the environments


@pytest.mark.parametrize(
    ("name", "settings", "policies"),
    [
        ("mixed-latency", {"family": "arrival-model-1"}, ["bayes", "mc-sf", "vllm"]),
        ("mixed-latency", {"rate": "0.4", "kv_capacity": "20"}, ["bayes", "sorted-f"]),
        ("separate-latency", {"rate": "0.5"}, ["bayes", "prefill-first", "hysteresis"]),
    ],
)
def test_the_identity_holds_and_the_optimum_is_between(
    name: str, settings: dict[str, str], policies: list[str]
) -> None:
    environment = make_environment(name, settings | {"work": "500", "effort": "30"})
    study = measure_regret(environment, policies=policies, horizons=[8], replications=3)
    for row, part in zip(study.rows, study.decompositions, strict=True):
        assert row.identity_residual == 0
        assert isinstance(row.identity_residual, int)
        assert row.smallest_compensation >= 0
        assert row.regret_to_bound is not None
        assert 0 <= row.regret <= row.regret_to_bound
        assert row.regret_per_request is not None
        assert row.regret_per_request <= row.regret
        assert sum(part.by_part.values()) == pytest.approx(row.regret)
        assert part.by_time.sum() == pytest.approx(row.regret)


def test_small_paths_are_proved() -> None:
    environment = make_environment("mixed-latency", {"rate": "0.5", "kv_capacity": "12"})
    study = measure_regret(environment, policies=["mc-sf"], horizons=[6], replications=3)
    assert study.rows[0].regret == study.rows[0].regret_to_bound


def test_rows_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["separate-latency", "--horizons", "6", "--replications", "2", "--set", "work=200"]
    assert run(["regret", *words, "--policies", "bayes,decode-first", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["policy"] for row in rows] == ["bayes", "decode-first"]
    assert {row["identity_residual"] for row in rows} == {0}
    assert rows[0]["benchmark"].startswith("best known schedule")
    assert run(["regret", *words, "--policies", "decode-first"]) == 0
    assert "per request" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"family": "arrival-model-1", "rate": 1}, "mixed-latency: rate: arrival-model-1 has no"),
        ({"family": "azure"}, "family: expected one of arrival-model-1, arrival-model-2"),
        ({"rate": 0}, "rate: expected a number from 0"),
    ],
)
def test_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_environment("mixed-latency", settings)


# ---------------------------------------------------------------- separate bayes


def test_decoding_goes_on_from_any_boundary() -> None:
    # The schedule of a code, cut at each of its boundaries: what is left costs what was left.
    rng = np.random.default_rng(3)
    exact = 0
    for seed in range(40):
        instance = make_instance("separate-random", seed=seed, settings={"n": 7, "span": 9})
        wait, least, most, urgency = (rng.integers(low, 3, 7) for low in (0, 1, 1, 0))
        rules, firm = (wait, least, np.maximum(most, least)), np.zeros(7, np.int64)
        code = Encoding(rng.permutation(7), *rules, urgency, firm)
        schedule = schedule_of(instance, code)
        value = schedule_value(instance, schedule)
        machine, no_log = machine_of(instance), np.zeros(0, np.int64)
        if total_latency(machine, working_space(7), code, float(REJECTED), no_log) > value:
            continue  # a batch could be moved to the left: its boundaries are others
        exact += 1
        follower = _Follower(instance, code, 0, random_stream(0))
        follower.best = value  # so it does not search for another
        ends = schedule.ends(instance).tolist()
        for batch, end in zip(schedule.batches, ends, strict=True):
            assert follower.run(batch, end) == value
    assert exact > 20


def test_a_run_as_planned_costs_what_the_plan_does() -> None:
    for seed in range(10):
        instance = make_instance("separate-random", seed=seed, settings={"n": 7, "span": 9})
        plan = solve(instance, model="separate", work_limit=1000).schedule
        assert isinstance(plan, SeparateSchedule)
        steps = separate_steps(instance, plan, plan, 0, random_stream(0))
        assert {step.best for step in steps} == {schedule_value(instance, plan)}


def test_a_world_goes_on_after_its_own_first_batches_as_it_was_to() -> None:
    # To the end, its cost does not rise; it is what the batches that it did take in all.
    for seed in range(20):
        instance = make_instance("separate-random", seed=seed, settings={"n": 8, "span": 6})
        machine, nobody = machine_of(instance), np.zeros(0, np.int64)
        world = make_world(machine, in_order(nobody, nobody, nobody), int(instance.arrival[0]))
        world.try_codes(code for _, code in first_encodings(machine, np.arange(8), 0))
        world.solve(100, 1.0, random_stream(seed))
        batches = []
        while world.code.order.size or world.begin.running.counts[0]:
            first, before = world.first(), world.cost
            if first.start > world.begin.now:
                world = world.idle(first.start)
            else:
                batches.append(Batch(first.kind, first.start, first.members))
                world = world.after(first.kind, first.members)
            assert world.cost <= before
        schedule = SeparateSchedule(batches)
        assert check(instance, schedule) == []
        assert schedule_value(instance, schedule) == world.cost == world.paid


def test_a_world_goes_on_after_another_batch_too() -> None:
    # What follows is a schedule from there on, so no better than the best one known to be.
    rng = np.random.default_rng(5)
    for seed in range(30):
        instance = tiny_separate([7, seed])
        machine, nobody = machine_of(instance), np.zeros(0, np.int64)
        now = int(instance.arrival.max())
        world = make_world(machine, in_order(nobody, nobody, nobody), now)
        world.try_codes(code for _, code in first_encodings(machine, np.arange(instance.n), now))
        chosen = [int(rng.integers(instance.n))]
        after = world.after("prompt", chosen)
        after.solve(100, 1.0, random_stream(seed))
        assert after.cost >= brute_force_separate(instance)[0]
        assert chosen[0] not in after.code.order
        assert after.begin.now == now + machine.law.prompt_batch(int(machine.prompt[chosen[0]]))


def test_history_learns_the_lengths_of_who_has_gone() -> None:
    instance = random_separate(np.random.default_rng(4))
    instance = instance.replace(
        predicted_low=np.ones(instance.n, np.int64),
        predicted_high=instance.gpu.kv_capacity - instance.prompt,
    )
    policy, told, rng = prepare(instance, "prefill-first:lengths=interval", 0)
    machine, history = SeparateState(instance, policy, told), History()
    while not machine.finished:
        machine.arrive()
        now = machine.observe()
        here = (*now.running, *now.waiting)
        seen = history.look(now.time, now.gpu.kv_capacity, here).arrived
        machine.apply(policy.decide(machine.observe(), rng))
    known = [view for view in seen if view.shortest == view.longest]
    assert len(known) >= instance.n - 2
    assert all(view.longest == instance.output[view.index] for view in known)


class Told:
    """A law that knows the instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def draw(self, observation, rng):  # type: ignore[no-untyped-def]  # a law
        from batchprophet.online.coupling.futures import Future

        later = np.flatnonzero(self.instance.arrival > observation.time)
        later = later[np.argsort(self.instance.arrival[later], kind="stable")]
        columns = (self.instance.arrival, self.instance.prompt, self.instance.output)
        return Future(*(column[later] for column in columns))


def test_knowing_the_future_it_is_nearly_optimal(monkeypatch: pytest.MonkeyPatch) -> None:
    from batchprophet.online.coupling import bayes_policy

    total = best = 0
    for seed in range(25):
        instance = tiny_separate([5, seed])
        laws = {**LAWS, "past": Told(instance)}
        monkeypatch.setattr(bayes_policy, "LAWS", laws)
        schedule = simulate_separate(instance, "bayes:samples=1,effort=200")
        assert check(instance, schedule) == []
        total += int(schedule_value(instance, schedule))
        best += brute_force_separate(instance)[0]
    assert best <= total <= 1.02 * best


def test_it_waits_for_a_request_that_is_sure_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    # τ_P = 9: alone at 0 the first is done at 9 and the second at 18; together at 1 both at 10.
    from batchprophet.online.coupling import bayes_policy

    gpu = Gpu(kv_capacity=40, batch_time=ConstantTime(prompt=9, token=1))
    instance = Instance(gpu=gpu, arrival=[0, 1], prompt=[3, 2], output=[1, 1])
    monkeypatch.setattr(bayes_policy, "LAWS", {**LAWS, "past": Told(instance)})
    policy = session(make_policy("bayes:samples=1,effort=50"))
    _, told, rng = prepare(instance, policy, 0)
    machine = SeparateState(instance, policy, told)
    machine.arrive()
    decision = policy.decide(machine.observe(), rng)
    assert decision == BatchDecision(wake_at=1)
    # Nobody came though it waited: it does not wait again.
    assert policy.decide(machine.observe(), rng) == BatchDecision("prompt", (0,))
    assert simulate_separate(instance, "bayes:samples=1,effort=50").batches == (
        Batch("prompt", 1, (0, 1)),
    )


def test_it_beats_the_rules_where_prompt_batches_are_dear() -> None:
    def total(spec: str) -> int:
        value = 0
        for seed in range(4):
            settings = {"n": 16, "span": 24}
            instance = make_instance("separate-random", seed=seed, settings=settings)
            value += int(schedule_value(instance, simulate_separate(instance, spec, seed=seed)))
        return value

    bayes = total("bayes:samples=3,effort=500")
    assert bayes < total("prefill-first")
    assert bayes < total("shortest-remaining")


def test_code_of_a_schedule_is_followed_without_a_search() -> None:
    instance = make_instance("separate-random", seed=2, settings={"n": 6, "span": 8})
    schedule = schedule_of(instance, plain_encoding(np.arange(6), 6, wait=1, least=2))
    again = schedule_of(instance, encoding_of(instance, schedule))
    steps = separate_steps(instance, again, again, 0, random_stream(0))
    assert steps[0].best is not None
    assert steps[0].best <= schedule_value(instance, again)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("law=poisson", "law: expected one of past, arrival-model-1"),
        ("samples=0", "samples: expected an integer of at least 1, found 0"),
        ("effort=-1", "effort: expected an integer of at least 0, found -1"),
        ("lengths=none", "lengths: expected one of exact, predicted, interval; found 'none'"),
    ],
)
def test_bad_options(options: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_policy(f"bayes:{options}")
