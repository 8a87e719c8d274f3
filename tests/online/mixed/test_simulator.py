"""Simulators: compiled code, event loop and rounds agree; rules and endings."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from batchprophet.models.batch_time import ConstantTime
from batchprophet.models.errors import DoesNotFinish, InputError, PolicyError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from batchprophet.online.mixed.plain_simulator import simulate_by_round
from batchprophet.online.mixed.policy import NEXT_EVENT, Decision
from batchprophet.online.mixed.simulator import simulate
from tests.strategies import random_instance

SPECS = [
    "mc-sf",
    "mc-sf:skip=true",
    "mc-sf:lengths=predicted,error=0.7",
    "mc-sf:skip=true,lengths=predicted,error=2",
    "mc-benchmark",
    "mc-benchmark:skip=true",
    "mc-benchmark:lengths=predicted,error=3",
    "smallest-volume",
    "smallest-volume:skip=true",
    "smallest-volume:lengths=predicted,error=1",
    "shortest-total",
    "shortest-total:skip=true,lengths=predicted,error=1",
    "sorted-f",
    "sorted-f:lengths=predicted,error=1",
    "alpha-greedy",
    "alpha-greedy:alpha=0.55",
    "alpha-beta",
    "alpha-beta:alpha=0.05,beta=0.6",
    "alpha-beta:alpha=0.3,beta=1",
    "vllm",
    "vllm:max_requests=2",
    "vllm:token_budget=7",
    "vllm:max_requests=3,token_budget=9",
]

#: Lengths from the instance's own predictions, which may be too short or too long.
PREDICTED_SPECS = [
    "mc-sf:lengths=predicted",
    "mc-sf:skip=true,lengths=predicted",
    "mc-benchmark:lengths=predicted",
    "smallest-volume:lengths=predicted",
    "shortest-total:lengths=predicted",
    "sorted-f:lengths=predicted",
]


def outcome(run, instance, spec, seed):
    """The schedule, or why there is none."""
    try:
        return run(instance, spec, seed=seed)
    except DoesNotFinish as reason:
        return str(reason)


def by_events(instance, spec, *, seed):
    return simulate(instance, spec, seed=seed, compiled=False)


def draw(rng, largest_n=9, capacity=(4, 24)):
    return random_instance(
        rng,
        int(rng.integers(1, largest_n + 1)),
        capacity=capacity,
        last_arrival=int(rng.choice([0, 5, 25])),
    )


@pytest.mark.parametrize("spec", SPECS)
def test_compiled_code_event_loop_and_rounds_agree(spec):
    # 23 specifications × 130 instances: about 3,000 triples of schedules, each also checked.
    rng = np.random.default_rng(7)
    for seed in range(130):
        instance = draw(rng)
        compiled = outcome(simulate, instance, spec, seed)
        assert compiled == outcome(by_events, instance, spec, seed)
        assert compiled == outcome(simulate_by_round, instance, spec, seed)
        if isinstance(compiled, MixedSchedule):
            assert check_mixed(instance, compiled) == []


def with_wrong_predictions(rng, instance):
    predicted = rng.integers(1, instance.gpu.kv_capacity, size=instance.n)
    return instance.replace(predicted_low=predicted, predicted_high=predicted)


@pytest.mark.parametrize("spec", PREDICTED_SPECS)
def test_predictions_that_are_too_short_lead_to_evictions_not_to_overflow(spec):
    rng = np.random.default_rng(8)
    evictions = 0
    for seed in range(100):
        instance = with_wrong_predictions(rng, draw(rng, largest_n=7))
        schedule = simulate(instance, spec, seed=seed)
        assert schedule == simulate_by_round(instance, spec, seed=seed)
        assert check_mixed(instance, schedule) == []
        evictions += len(schedule.evicted)
    assert evictions > 0


@pytest.mark.parametrize("spec", ["sorted-f", "sorted-f:lengths=predicted,error=1"])
def test_sorted_f_agrees_with_its_compiled_code_where_many_wait(spec):
    # More than ten waiting requests: the heuristic, which small instances hardly reach.
    rng = np.random.default_rng(9)
    for seed in range(15):
        instance = random_instance(
            rng, int(rng.integers(12, 40)), capacity=(10, 60), last_arrival=int(rng.choice([0, 20]))
        )
        assert simulate(instance, spec, seed=seed) == by_events(instance, spec, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_many_more_instances_agree(spec):
    rng = np.random.default_rng(10)
    for seed in range(250):
        instance = draw(rng, largest_n=14, capacity=(4, 40))
        compiled = outcome(simulate, instance, spec, seed)
        assert compiled == outcome(by_events, instance, spec, seed)
        assert compiled == outcome(simulate_by_round, instance, spec, seed)


def test_batch_limits_and_other_batch_times_are_refused():
    columns = {"arrival": [0], "prompt": [3], "output": [4]}
    limited = Instance(gpu=Gpu(kv_capacity=9, token_batch_requests=2), **columns)
    with pytest.raises(InputError, match="drop token_batch_requests from 'instance'"):
        simulate(limited, "mc-sf")
    slow = Instance(gpu=Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=3, token=1)), **columns)
    with pytest.raises(InputError, match="drop batch_time from 'instance'"):
        simulate_by_round(slow, "mc-sf")


def test_model_and_seed_are_checked():
    with pytest.raises(InputError, match=r"^model: expected 'mixed', found 'separate'$"):
        simulate(pair(), "mc-sf", model="separate")
    with pytest.raises(InputError, match=r"^seed: expected an integer of at least 0, found -1$"):
        simulate(pair(), "mc-sf", seed=-1)


def pair(M=10, prompt=1, output=9, arrival=0):
    """Two equal requests; the second arrives at `arrival`."""
    return Instance(
        gpu=Gpu(kv_capacity=M), arrival=[0, arrival], prompt=[prompt] * 2, output=[output] * 2
    )


@dataclass(frozen=True)
class Scripted:
    """Decides what it was given, by round; nothing elsewhere."""

    name: ClassVar[str] = "scripted"
    summary: ClassVar[str] = "a test"
    source: ClassVar[str] = "a test"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    script: dict[int, Decision] = field(default_factory=dict)
    otherwise: Decision = field(default_factory=Decision)

    def decide(self, observation, rng):
        return self.script.get(observation.time, self.otherwise)


def test_scripted_evictions_are_in_the_schedule():
    # r0 runs in rounds 1-2, is evicted at 2, runs alone from 11, after r1 (2 … 11).
    script = {
        0: Decision(start=(0,)),
        2: Decision(start=(1,), evict=(0,)),
        11: Decision(start=(0,)),
    }
    schedule = simulate(pair(), Scripted(script))
    assert schedule == MixedSchedule([11, 2], [Eviction(0, 0, 2)])
    assert check_mixed(pair(), schedule) == []


REFUSED = [
    ({0: Decision(start=(0, 0))}, "at round 0: starts request r0, which does not wait"),
    ({0: Decision(start=(7,))}, "at round 0: starts request 7, which does not wait"),
    ({0: Decision(evict=(1,))}, "at round 0: evicts request r1, which does not run"),
    (
        {0: Decision(start=(0,)), 1: Decision(start=(0,), evict=(0,))},
        "at round 1: starts request r0, which does not wait",
    ),
    ({0: Decision(wake_at=0)}, "at round 0: wake_at must be a later round, found 0"),
    ({0: (0,)}, r"at round 0: decide must return a Decision, found \(0,\)"),
    # Both hold 1 + t tokens in round t: 2·(1 + 5) = 12 > 10 in round 5, to be prevented at 4.
    (
        {0: Decision(start=(0, 1))},
        "at round 4: round 5 would hold 12 KV tokens, 2 over the capacity 10; "
        "it must evict more or start less",
    ),
]


@pytest.mark.parametrize(("script", "message"), REFUSED)
def test_decisions_against_the_rules_are_refused(script, message):
    with pytest.raises(PolicyError, match=f"^policy scripted {message}$"):
        simulate(pair(), Scripted(script))


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (Decision(start=0), "start must be a tuple of request indices, found 0"),
        (Decision(evict=None), "evict must be a tuple of request indices, found None"),
        (Decision(start=np.array([0])), "start must be a tuple of request indices, found array"),
        (Decision(start=([0],)), "start must be a tuple of request indices, found ([0],)"),
        (Decision(start=(0.0,)), "start must be a tuple of request indices, found (0.0,)"),
        (Decision(start=(True,)), "start must be a tuple of request indices, found (True,)"),
        (Decision(wake_at="3"), "wake_at must be a round or None, found '3'"),
        (Decision(wake_at=2.5), "wake_at must be a round or None, found 2.5"),
    ],
)
def test_decisions_of_other_types_are_refused(decision, message):
    for run in (simulate, simulate_by_round):
        with pytest.raises(PolicyError) as refused:
            run(pair(), Scripted({0: decision}))
        assert str(refused.value).startswith(f"policy scripted at round 0: {message}")


def test_lists_and_numpy_integers_are_as_good_as_tuples_of_integers():
    plain = {0: Decision(start=(0,)), 9: Decision(start=(1,))}
    others = {
        0: Decision(start=[np.int64(0)], evict=[], wake_at=np.int64(4)),
        9: Decision(start=[1]),
    }
    assert simulate(pair(), Scripted(others)) == simulate(pair(), Scripted(plain))


def test_a_policy_that_raises_is_named_with_round_and_line():
    @dataclass(frozen=True)
    class Broken(Scripted):
        def decide(self, observation, rng):
            return {}["a"] if observation.time else Decision(start=(0,))

    for run in (simulate, simulate_by_round):
        with pytest.raises(
            PolicyError,
            match=r"^policy scripted at round \d: decide raised KeyError \('a'\) in "
            r"test_simulator.py, line \d+$",
        ) as refused:
            run(pair(arrival=1), Broken())
        assert isinstance(refused.value.__cause__, KeyError)


def test_starting_beyond_the_capacity_is_refused_at_once():
    # 2·(5 + 1) = 12 > 10 tokens in the first round already.
    with pytest.raises(PolicyError, match="at round 0: round 1 would hold 12 KV tokens, 2 over"):
        simulate(pair(prompt=5, output=5), Scripted({0: Decision(start=(0, 1))}))


def test_a_policy_that_never_starts_anything_stalls():
    with pytest.raises(
        DoesNotFinish,
        match=r"^scripted stalls at round 3: request r0 waits, nothing runs or is to arrive, and "
        r"it starts nothing$",
    ):
        simulate(pair(arrival=3), Scripted())


def test_a_policy_that_wakes_up_for_ever_and_does_nothing_stalls():
    @dataclass(frozen=True)
    class Restless(Scripted):
        def decide(self, observation, rng):
            return Decision(wake_at=observation.time + 1)

    with pytest.raises(DoesNotFinish, match=r"^scripted stalls at round 100000: "):
        simulate(pair(), Restless())


def test_a_policy_may_wait_for_a_time_of_its_own():
    # Nothing happens at 5 but that the policy asked to be woken then.
    script = {0: Decision(start=(0,), wake_at=20), 20: Decision(start=(1,))}
    asleep = Decision(wake_at=20)
    assert simulate(pair(), Scripted(script, asleep)).start.tolist() == [0, 20]


@dataclass(frozen=True)
class Counting(Scripted):
    """Starts the first waiting request when nothing runs, and notes when it was asked."""

    asked: list[int] = field(default_factory=list)
    wake_at: int | None = None

    def decide(self, observation, rng):
        self.asked.append(observation.time)
        start = () if observation.running else tuple(v.index for v in observation.waiting[:1])
        return Decision(start=start, wake_at=self.wake_at)


def test_the_policy_is_asked_when_something_happens_and_while_someone_waits():
    # r0 runs 0-9, r1 9-18. By default every boundary counts while r1 waits (0 … 9, and the last
    # overflow boundary of a lone request is its completion); with NEXT_EVENT events alone do.
    every, events = Counting(), Counting(wake_at=NEXT_EVENT)
    assert simulate(pair(arrival=4), every) == simulate(pair(arrival=4), events)
    assert every.asked == [0, 4, 5, 6, 7, 8, 9]
    assert events.asked == [0, 4, 9]


def test_the_observation_shows_waiting_in_order_of_arrival_and_running_in_order_of_start():
    seen = {}

    @dataclass(frozen=True)
    class Noting(Scripted):
        def decide(self, observation, rng):
            seen[observation.time] = observation
            return super().decide(observation, rng)

    instance = Instance(
        gpu=Gpu(kv_capacity=30), arrival=[2, 0, 0, 2], prompt=[1, 2, 3, 4], output=[3, 9, 9, 3]
    )
    script = {
        0: Decision(start=(2, 1), wake_at=1),
        1: Decision(evict=(2,)),
        2: Decision(start=(3, 2, 0)),
    }
    simulate(instance, Noting(script))
    at_2 = seen[2]
    assert [view.index for view in at_2.waiting] == [2, 0, 3]  # the evicted one is back in place
    assert [(view.index, view.start) for view in at_2.running] == [(1, 0)]
    assert (at_2.kv_use, at_2.kv_next_round) == (2 + 2, 2 + 3)
    assert at_2.waiting[0].longest is None  # told nothing
    assert [view.index for view in seen[5].running] == [1, 2]


def test_a_running_request_that_outlives_its_prediction_is_planned_for_one_token_more():
    seen = []

    @dataclass(frozen=True)
    class Trusting(Scripted):
        length_kinds: ClassVar[tuple[str, ...]] = ("predicted",)

        def decide(self, observation, rng):
            seen.extend((observation.time, view.planned) for view in observation.running)
            return Decision(start=tuple(view.index for view in observation.waiting))

    instance = Instance(
        gpu=Gpu(kv_capacity=9),
        arrival=[0, 1, 2, 3],
        prompt=[1] * 4,
        output=[5, 1, 1, 1],
        predicted_low=[2, 1, 1, 1],
        predicted_high=[2, 1, 1, 1],
    )
    simulate(instance, Trusting())
    # Predicted 2; after 2 and 3 tokens it must have one more to come. The others last one round.
    assert [planned for _, planned in seen] == [2, 3, 4, 5]
