"""Checks of answers: each accepts what is right, refuses plausible errors, and says why."""

from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
import pytest

import batchprophet as bp
from batchprophet.models.separate.timeline import timeline
from batchprophet.teach.judges import competitive, hindsight, network, own_policy, unknown_lengths
from batchprophet.teach.judges.optimum import FOUR, TWO
from tests.brute_force import brute_force

check = bp.teach.check


def instance(kv_capacity, requests):
    """An instance of (arrival, prompt, output)."""
    arrival, prompt, output = zip(*requests, strict=True)
    return bp.Instance(
        gpu=bp.Gpu(kv_capacity=kv_capacity), arrival=arrival, prompt=prompt, output=output
    )


WIDE = instance(9, [(0, 8, 1), (0, 1, 2), (0, 1, 2), (0, 1, 2)])
LOSES_WORK = instance(9, [(0, 1, 4), (0, 1, 4), (0, 4, 4), (0, 4, 1)])

#: Right answers by exercise, found in the notebooks' solutions, and wrong ones with what is said.
ANSWERS = {
    "01.1": (
        ["mc-sf", "mc-benchmark", "smallest-volume", "shortest-total", "sorted-f", "vllm"],
        [(["mc-sf"], "5 more of the rules"), (["alpha-beta", "mc-sf"], "alpha-beta has a total")],
    ),
    "01.2": (18, [(16, "At M = 16"), (20, "smaller capacity"), (17, "none of the capacities")]),
    "01.3": (WIDE, [(FOUR, "four at 0"), (FOUR.replace(arrival=[0] * 4), "mc-sf is optimal")]),
    "01.4": (
        (7, 9),
        [((77, 9), "in token-rounds"), ((77 / 12, 9), "rounded"), ((7, 8), "smallest makespan")],
    ),
    "02.1": (9, [(7, "below the proved bound"), (10, "less than 10")]),
    "02.4": (["b", "c", "e"], [("abc", "a proves nothing"), (["b", "c"], "1 more")]),
    "03.1": (
        (0.5, 0.5, 0.5),
        [
            ((1, 1, 0), "edge of 1 and 2"),
            ((0.3, 0.3, 0.3), "clique as well"),
            ((2, 0, 0), "0 and 1"),
        ],
    ),
    "03.2": ((0, 1), [((8, 7), "difference of optimum"), ((0, 0), "For M = 10")]),
    "03.3": (0, [(102.033, "the bound itself"), (1, "another amount")]),
    "03.4": (
        (2, 8),
        [((1, 8), "lose"), ((3, 8), "nothing is cut off"), ((2, 7), "bound is not 7")],
    ),
    "04.1": ([], [([1], "For o_b = 1 prompt-first has 12")]),
    "04.2": ((15, 22, 29, 35, 41), [((15, 22, 29, 34, 41), "no schedule has 34")]),
    "04.3": ((15, 12), [((12, 15), "cannot have less"), ((16, 12), "separate batching")]),
    "05.1": (
        {True: 3, False: 0},
        [({True: -1, False: 0}, "negative"), ({True: 0, False: 0}, "True")],
    ),
    "05.2": ((0, -4.7), [((1, -4.7), "telescopes"), ((0, 0), "not negative")]),
    "05.3": ((144, 28), [((144, 40), "Not in all periods"), ((0, 28), "earns nothing")]),
    "05.4": (0.74, [(74, "percentage"), (0.25, "even spread"), (0.5, "another share")]),
    "06.1": (
        (10.67, 6.86, 6.0),
        [((6.4, 5.33, 4.0), "three slots"), ((10.67, 6.86, 5.0), "Type 3")],
    ),
    "06.2": (8, [(10, "work in every slot"), (20, "which slots")]),
    "06.3": (8, [(64, "variance"), (80, "standard deviations")]),
    "07.1": (239, [(248, "round of the proof"), (100, "worse round"), (300, "whole round")]),
    "07.2": (700.3, [(1229, "foresees"), (900, "keep")]),
    "07.3": (2, [(3, "With 3 narrow"), (1, "one more as well"), (0, "no number")]),
    "07.4": (LOSES_WORK, [(instance(9, [(0, 1, 1)] * 4), "evicts nobody"), (FOUR, "M = 12")]),
    "08.1": (
        (1.318, 1.025, 1.529, 1.183),
        [((1 / 1.318, 1, 1, 1), "mc-sf over"), ((1.318, 1.025, 1.529, 1), "240 s")],
    ),
    "08.2": (5.711, [(11.42, "25 ms, not 50"), (228.4, "in rounds"), (12.685, "rounds of 50")]),
    "08.3": (7637 / 7611, [(7637, "divide it"), (1.1, "Not 1.1")]),
    "08.4": (
        {"shared prefixes": "down", "rounds that take longer": "up", "users who leave": "either"},
        [
            ({"prefix cache": "down", "weather": "up"}, "weather"),
            ({"prefix cache": "maybe"}, "Which way"),
            ({"prefix cache": "down", "shared prompts": "down"}, "1 of three"),
        ],
    ),
    "09.3": (FOUR, [(TWO, "whenever it fits is optimal")]),
    "09.4": (148, [(159, "mc-sf's"), (140, "below the optimum"), (150, "seed 0")]),
    "10.1": (30_748, [(15_000, "told the audit"), (30_000, "estimate"), (12, "Seen")]),
    "10.2": (29_968, [(30_000, "does not know"), (25_000, "far from")]),
    "11.1": (6, [(5.5, "in hindsight"), (6.5, "less than 6.5"), (5, "No policy")]),
    "12.1": (7, [(6, "210 tokens"), (8, "fit, too"), (0, "no number of rounds")]),
    "12.2": (
        [0, *np.cumsum([9, 10, 10, 10] * 10)[:39].tolist()],
        [
            (list(range(0, 400, 10)), "has 9400"),
            (list(range(40)), "does not fit"),
            ([0.5] * 40, "whole rounds"),
        ],
    ),
    "12.3": (10, [(5, "in step"), (30, "larger numbers"), (61, "no number of requests")]),
    "11.2": (144, [(36, "still cost 32%"), (72, "still cost"), (100, "none of the")]),
}


@pytest.mark.parametrize("exercise", ANSWERS)
def test_what_is_right_is_accepted_and_what_is_wrong_refused(exercise):
    right, errors = ANSWERS[exercise]
    found = check(exercise, right)
    assert found, found
    for error, says in errors:
        refused = check(exercise, error)
        assert not refused, error
        assert says.lower() in refused.message.lower()


def test_every_exercise_has_a_check():
    counts = [len(bp.teach.exercises(f"{number:02}")) for number in range(1, 13)]
    assert counts == [4] * 9 + [3, 3, 3]


def test_answers_of_another_kind_are_no_errors():
    for exercise, asks in bp.teach.exercises().items():
        assert not check(exercise)
        assert check(exercise).message == f"No answer so far; expected {asks}."
        for strange in (None, "?", object(), True, [[1]], {"a": 1}):
            assert not check(exercise, strange)


def test_an_unknown_exercise_is_bad_input():
    with pytest.raises(bp.InputError, match=r"expected one of 02\.1, .*02\.4, found '02\.9'"):
        check("02.9", 1)
    with pytest.raises(bp.InputError, match=r"such as '02\.3', found 'two'"):
        check("two", 1)
    with pytest.raises(bp.InputError, match="expected a notebook from 01 to 12, found '13'"):
        bp.teach.exercises("13")


def test_feedback_is_true_iff_right_and_reads_as_text():
    found = check("06.2", 8)
    assert found.right
    assert repr(found).startswith("06.2: right. ")
    assert max(map(len, repr(check("07.1", 100)).splitlines())) <= 92


def test_instances_that_would_take_long_are_refused_at_once():
    assert "more than 60 rounds" in check("01.3", instance(99, [(0, 1, 40), (50, 1, 1)])).message
    many = instance(9, [(0, 1, 1)] * 9)
    assert "one of 9 requests" in check("01.3", many).message


def test_the_optimum_of_three_is_that_of_enumeration():
    assert brute_force(hindsight.THREE)[0] == 9


def starts_model(instance, horizon):
    """The MILP of the notebook, without an objective."""
    a, s, o = (v.tolist() for v in (instance.arrival, instance.prompt, instance.output))
    model = pyo.ConcreteModel()
    model.I = pyo.RangeSet(0, instance.n - 1)
    model.STARTS = pyo.Set(initialize=[(i, t) for i in model.I for t in range(a[i], horizon + 1)])
    model.x = pyo.Var(model.STARTS, domain=pyo.Binary)
    model.once = pyo.Constraint(
        model.I, rule=lambda m, i: sum(m.x[i, t] for t in range(a[i], horizon + 1)) == 1
    )

    def memory(m, t):
        held = [(s[i] + t - k) * m.x[i, k] for i, k in m.STARTS if k < t <= k + o[i]]
        return sum(held) <= instance.gpu.kv_capacity if held else pyo.Constraint.Skip

    model.memory = pyo.Constraint(pyo.RangeSet(1, horizon + max(o)), rule=memory)
    model.C = pyo.Var()
    model.last = pyo.Objective(expr=model.C)
    return model


def with_ends(instance, horizon, *, first_only=False):
    model = starts_model(instance, horizon)
    o = instance.output.tolist()
    requests = [0] if first_only else list(model.I)
    model.ends = pyo.Constraint(
        requests,
        rule=lambda m, i: sum((t + o[i]) * m.x[j, t] for j, t in m.STARTS if j == i) <= m.C,
    )
    return model


def test_a_model_is_judged_by_its_optima():
    assert check("02.2", with_ends)
    too_small = check("02.2", lambda *given: with_ends(*given, first_only=True))
    assert "It is too small" in too_small.message
    assert "raises ZeroDivisionError" in check("02.2", lambda *given: 1 / 0).message
    assert "cannot be solved" in check("02.2", lambda *given: None).message


def test_letters_may_be_written_as_one_likes():
    for answer in ("bce", "b, c, e", "b, c and e", ("e", "c", "b")):
        assert check("02.4", answer)
    assert "found 'f', which is none of" in check("02.4", "b, f").message
    assert "; found 3, which is no function" in check("02.2", 3).message
    assert check("10.3", 3).message.endswith("; found an int.")


def test_shares_are_those_of_the_bounds():
    values = {3: (48.73, 51), 4: (57.88, 60), 5: (76.64, 82), 6: (89.87, 98), 7: (91.87, 100)}
    shares = [1 - bound / optimum for bound, optimum in [*values.values(), (102.03, 112)]]
    assert check("02.3", shares)
    assert "percentages" in check("02.3", [100 * share for share in shares]).message
    assert "For n = 8" in check("02.3", [*shares[:-1], 0.5]).message


def test_the_most_tokens_are_counted_before_they_are_released():
    made = network.four()
    time = timeline(made, bp.simulate(made, "decode-first", model="separate").schedule)
    assert check("04.4", int(time.held.max()))
    assert not check("04.4", int(time.held.max()) + 1)
    assert "just before" in check("04.4", int(time.kept.max())).message


@pytest.mark.slow
def test_regret_grows_with_the_horizon_where_memory_binds():
    assert check("06.4", 3233.1 / 857.1)
    assert "√T" in check("06.4", 2).message
    assert "constant" in check("06.4", 1).message


def test_the_game_of_the_check_is_that_of_the_notebook():
    adversary = bp.Instance(
        gpu=bp.Gpu(kv_capacity=256), arrival=[0] + [248] * 128, prompt=[1] * 129,
        output=[255] + [1] * 128,
    )  # fmt: skip
    assert competitive._cost_of_start(0, 248, 128) == 1229
    assert bp.simulate(adversary, "mc-sf").metrics.total_latency == 1229


def test_without_waiting_is_the_least_of_the_busy_schedules():
    # By hand: long first, b at 1, then c and d as early as they fit; no order gets below 23.
    assert own_policy.least_without_waiting(FOUR) == 23
    assert own_policy.least_without_waiting(TWO) == brute_force(TWO)[0] == 7
    rng = np.random.default_rng(0)
    for _ in range(10):
        tiny = instance(9, rng.integers(1, 4, (3, 3)).tolist())
        assert own_policy.least_without_waiting(tiny) >= brute_force(tiny)[0]


@dataclass(frozen=True)
class OneAtATime:
    """Conforms, knows no lengths, and evicts nobody."""

    name = "one-at-a-time"
    summary = "one request at a time"
    source = "this test"
    length_kinds = ("none",)

    def decide(self, observation, rng):
        idle = observation.waiting and not observation.running
        return bp.Decision(start=(observation.waiting[0].index,) if idle else ())


def test_policies_are_judged_by_what_they_do():
    assert check("09.1", own_policy.ByScore(stop=True))
    assert "still skips" in check("09.1", own_policy.ByScore()).message
    assert "give an object" in check("09.1", own_policy.ByScore).message
    assert "never evicts" in check("09.2", OneAtATime()).message
    assert "may be told lengths" in check("09.2", own_policy.ByScore()).message
    assert "without a method" in check("09.2", 3).message


def test_exchanged_prompts_are_of_other_requests():
    told = unknown_lengths.chat()
    rng = np.random.default_rng(1)
    swapped = np.where(rng.random(told.n) < 0.5, told.prompt, told.prompt[rng.permutation(told.n)])
    assert check("11.3", told.replace(prompt=swapped))
    assert "0% of the prompts" in check("11.3", told).message
    assert "outputs have changed" in check("11.3", told.replace(output=told.output + 1)).message
    strange = np.where(np.arange(told.n) % 2, told.prompt, 20)
    assert "of no request" in check("11.3", told.replace(prompt=strange)).message


def test_an_audit_is_judged_by_its_law(tmp_path):
    settings = {"gpu": "a100", "n": 40, "rate": 9.0, "kv_capacity": 30_000}
    served = bp.make("continuous-conversation", seed=4, settings=settings)
    path = bp.teach.write_log(tmp_path / "log.jsonl", served)
    limits = {"kv_capacity": 30_000, "max_num_seqs": 256, "max_num_batched_tokens": 2048}
    law = served.gpu.batch_time
    audits = {
        factor: bp.audit(
            path, **limits, block_size=16, time_limit=0,
            batch_time=",".join(
                f"{'affine:' * (k == 0)}c{k}={factor * getattr(law, f'c{k}')}" for k in range(4)
            ),
        )
        for factor in (1, 2, 3)
    }  # fmt: skip
    assert check("10.3", audits[2])
    assert "the true one" in check("10.3", audits[1]).message
    assert "not twice" in check("10.3", audits[3]).message


def test_a_trace_is_the_same_each_time(tmp_path):
    first, second = (bp.teach.trace_like(tmp_path / name, n=20) for name in ("a.csv", "b.csv"))
    assert first.read_bytes() == second.read_bytes()
    assert bp.convert(first, round_ms=50, kv_capacity=16_384).instance.n == 20
