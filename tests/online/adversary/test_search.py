"""Worst cases: moves stay in the space, ratios are true, witnesses are minimal and recheck."""

from __future__ import annotations

import json
import sys
from fractions import Fraction

import numpy as np
import pytest

from batchprophet.cli import run
from batchprophet.models.batch_time import AffineTime, ConstantTime
from batchprophet.models.errors import DoesNotFinish, InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.regimes import check
from batchprophet.online.adversary.moves import neighbour
from batchprophet.online.adversary.search import Hunt
from batchprophet.online.adversary.shrink import shrink
from batchprophet.online.adversary.space import Space
from batchprophet.online.adversary.witness import Witness, recheck, write_witness
from batchprophet.online.adversary.worst_case import find_worst_case
from batchprophet.online.judged import POLICY_SEED
from batchprophet.online.mixed.adaptive_adversaries import play_sqrt_adversary, play_staircase
from batchprophet.online.mixed.judge import judge
from batchprophet.online.mixed.simulator import simulate
from batchprophet.online.separate.judge import judge_separate
from tests.brute_force import brute_force
from tests.brute_force_separate import brute_force_separate
from tests.paths import ROOT

WITNESSES = sorted((ROOT / "docs" / "worst-cases").glob("*.json"))


def test_draws_and_moves_stay_in_the_space():
    space, rng = Space(n=5, kv_capacity=9, span=7), np.random.default_rng(1)
    instance = space.draw(rng)
    sizes = set()
    for _ in range(500):
        instance = neighbour(instance, space, rng)
        assert 1 <= instance.n <= 5
        assert instance.arrival.min() == 0
        assert instance.arrival.max() <= 7
        assert instance.arrival.tolist() == sorted(instance.arrival.tolist())
        assert instance.peak.max() <= 9  # so says Instance, too
        sizes.add(instance.n)
    assert sizes == {1, 2, 3, 4, 5}


def test_the_ratio_is_that_to_the_optimum_by_brute_force():
    space, rng = Space(n=4, kv_capacity=7, span=3), np.random.default_rng(2)
    for _ in range(20):
        instance = space.draw(rng)
        judged = judge(instance, "mc-benchmark")
        optimum, _ = brute_force(instance)
        assert judged.proved
        assert judged.ratio == judged.most == Fraction(judged.cost, optimum)
        assert not check_mixed(instance, judged.hindsight)


def test_the_filter_drops_only_ratios_below_it():
    space, rng = Space(n=5, kv_capacity=9, span=5), np.random.default_rng(3)
    dropped = 0
    for _ in range(40):
        instance = space.draw(rng)
        whole, filtered = judge(instance, "mc-sf"), judge(instance, "mc-sf", above=1.1)
        if filtered is None:
            dropped += 1
            assert whole.ratio < 1.1
        else:
            assert filtered.ratio == whole.ratio
    assert 0 < dropped < 40


def test_a_large_instance_gets_an_interval():
    # Thirty requests are too many for the exhaustive search: the ratio is an interval.
    judged = judge(make_instance("arrival-model-1", seed=5, settings={"n": 30}), "mc-benchmark")
    assert judged.bound < judged.value
    assert 1 <= judged.ratio < judged.most


def test_shrinking_keeps_the_ratio_and_leaves_nothing_to_drop():
    space = Space(n=6, kv_capacity=12, span=12)
    # One wide request ahead of four narrow ones; a last request, alone, adds to both costs.
    instance = space.instance([0, 0, 0, 0, 0, 9], [11, 1, 1, 1, 1, 2], [1, 2, 2, 2, 2, 3])

    def judged(instance, above):
        return judge(instance, "mc-sf", above=above)

    worst = judged(instance, 0.0)
    small = shrink(worst, space, judged, at_least=worst.ratio, stop=lambda: False)
    assert small.ratio >= worst.ratio
    assert small.instance.n < 6
    for i in range(small.instance.n):
        rest = np.delete(np.arange(small.instance.n), i)
        assert judged(small.instance.take(rest), 0.0).ratio < worst.ratio


def test_mc_sf_pays_more_than_1_3_times_the_optimum_on_six_requests():
    worst = find_worst_case("mc-sf", n=6, kv_capacity=12, work_limit=600)
    judged = worst.witness.judged
    assert judged.proved
    assert judged.ratio >= Fraction(13, 10)
    assert judged.instance.n <= 6


def test_same_seed_same_witness_and_the_target_ends_the_search(tmp_path):
    first, again = (
        find_worst_case("vllm", n=5, kv_capacity=9, work_limit=200, seed=4) for _ in range(2)
    )
    for name, found in (("first", first), ("again", again)):
        write_witness(found.witness, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    short = find_worst_case("vllm", n=5, kv_capacity=9, work_limit=200, target=Fraction(101, 100))
    assert short.candidates < 200
    assert short.witness.judged.ratio >= Fraction(101, 100)


def test_an_interrupt_keeps_what_was_found():
    def interrupt(witness):
        raise KeyboardInterrupt

    worst = find_worst_case("mc-sf", n=5, kv_capacity=9, work_limit=500, found=interrupt)
    assert worst.interrupted
    assert worst.witness is not None
    assert worst.candidates < 500


def test_an_instance_that_the_policy_does_not_finish_is_kept():
    def cycles(instance, above):
        raise DoesNotFinish("for ever")

    space = Space(n=3, kv_capacity=5, span=2)
    hunt = Hunt(space=space, judge=cycles, found=lambda worst: None)
    hunt.run(np.random.default_rng(0), lambda: hunt.candidates >= 5)
    assert hunt.worst is None
    assert isinstance(hunt.unfinished, Instance)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "n: expected from 1 to 1000, found 0"),
        ({"kv_capacity": 1}, "kv_capacity: expected from 2 to 1000000, found 1"),
        ({"span": -1}, "span: expected from 0 to 1000000, found -1"),
        ({"time_limit": 0.0}, "time_limit: expected more than 0 seconds, found 0.0"),
        ({"work_limit": 0}, "work_limit: expected at least 1 candidate, found 0"),
        ({"seed": -1}, "seed: expected an integer of at least 0, found -1"),
    ],
)
def test_bad_limits_are_refused(changes, message):
    with pytest.raises(InputError) as refusal:
        find_worst_case("mc-sf", **changes)
    assert str(refusal.value) == message


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("adversary")
    words = "adversary --policy mc-sf --n 5 --kv-capacity 9 --work-limit 150 --out"
    assert run([*words.split(), str(out)]) == 0
    return out


def test_the_command_saves_what_the_other_commands_check(folder, capsys):
    assert run(["adversary", "--recheck", str(folder)]) == 0
    assert "the witness holds: mc-sf costs" in capsys.readouterr().out
    paths = [str(folder / f"{name}.json") for name in ("instance", "solution", "certificate")]
    assert run(["check", *paths[:2], "--bound", paths[2]]) == 0
    assert run(["check", paths[0], str(folder / "policy.json")]) == 0
    record = json.loads((folder / "witness.json").read_text())
    assert f"latency   {record['cost']}" in capsys.readouterr().out.rpartition("feasible")[2]


@pytest.mark.parametrize(
    ("key", "change", "fault"),
    [
        ("cost", lambda cost: cost + 1, "cost: mc-sf costs"),
        ("hindsight", lambda value: value - 1, "hindsight: the schedule costs"),
        ("hindsight_start", lambda start: [0] * len(start), "hindsight schedule: KV capacity"),
        ("policy", lambda policy: "mc-benchmark", "cost: mc-benchmark costs"),
        (
            "certificate",
            lambda certificate: certificate | {"bound": certificate["bound"] + 1},
            "certificate: the bound",
        ),
    ],
)
def test_a_tampered_witness_is_caught(folder, tmp_path, capsys, key, change, fault):
    record = json.loads((folder / "witness.json").read_text())
    record[key] = change(record[key])
    (tmp_path / "witness.json").write_text(json.dumps(record))
    assert run(["adversary", "--recheck", str(tmp_path)]) == 1
    assert fault in capsys.readouterr().out


def test_another_instance_is_not_the_certificate_s(folder, tmp_path, capsys):
    record = json.loads((folder / "witness.json").read_text())
    record["requests"][0][0] += 1
    (tmp_path / "witness.json").write_text(json.dumps(record))
    assert run(["adversary", "--recheck", str(tmp_path)]) == 2
    assert "the certificate is another instance's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected either --policy NAME or --recheck PATH"),
        (["--policy", "mc-sf", "--target", "x"], "target: expected a ratio like 1.3 or 13/10"),
        (["--policy", "mc-sf", "--target", "1/2"], "target: expected a ratio of at least 1"),
        (["--recheck", "nowhere.json"], "nowhere.json: cannot be read"),
        (
            ["--policy", "mc-sf", "--token-batch-requests", "4"],
            "adversary: --token-batch-requests takes --model separate, found 4",
        ),
        (
            ["--policy", "mc-sf", "--model", "x"],
            "model: expected 'mixed', 'separate' or 'continuous', found 'x'",
        ),
        (["--policy", "mc-sf", "--model", "separate"], "policy of separate batching: expected one"),
    ],
)
def test_bad_usage_is_refused(words, message, capsys):
    assert run(["adversary", *words]) == 2
    assert message in capsys.readouterr().err


SEPARATE_GPU = Gpu(
    kv_capacity=12,
    prompt_batch_tokens=8,
    token_batch_requests=2,
    batch_time=ConstantTime(prompt=2, token=1),
)


def test_under_separate_batching_the_ratio_is_that_to_the_optimum_by_brute_force():
    space, rng = Space(n=3, kv_capacity=7, span=4, gpu=SEPARATE_GPU), np.random.default_rng(2)
    above_one = 0
    for seed in range(30):
        instance = neighbour(space.draw(rng), space, rng)
        assert instance.prompt.max() <= 6
        for policy in ("prefill-first", "full-prompt-batch"):
            judged = judge_separate(instance, policy)
            optimum, _ = brute_force_separate(instance)
            assert judged.proved, seed
            assert judged.ratio == judged.most == Fraction(judged.cost, optimum)
            assert not check(instance, judged.hindsight)
            assert not check(instance, judged.schedule)
            above_one += judged.ratio > 1
            filtered = judge_separate(instance, policy, above=1.05)
            assert (filtered is None) == (judged.ratio < 1.05)
    assert above_one > 10


def test_many_requests_under_separate_batching_get_an_interval():
    instance = make_instance("separate-random", seed=1, settings={"n": 40})
    judged = judge_separate(instance, "prefill-first")
    assert judged.bound < judged.value < judged.cost


@pytest.fixture(scope="module")
def separate_folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("separate")
    words = (
        "adversary --model separate --policy full-prompt-batch --n 5 --kv-capacity 9 "
        "--batch-time constant:prompt=2,token=1 --prompt-batch-tokens 8 --token-batch-requests 2 "
        "--work-limit 150 --out"
    )
    assert run([*words.split(), str(out)]) == 0
    return out


def test_the_command_finds_worst_cases_of_separate_batching(separate_folder, capsys):
    assert run(["adversary", "--recheck", str(separate_folder)]) == 0
    assert "the witness holds: full-prompt-batch costs" in capsys.readouterr().out
    record = json.loads((separate_folder / "witness.json").read_text())
    assert record["cost"] > 1.3 * record["hindsight"]
    paths = [str(separate_folder / f"{name}.json") for name in ("instance", "solution", "policy")]
    assert run(["check", *paths[:2]]) == 0
    assert run(["check", paths[0], paths[2]]) == 0
    assert record["certificate"]["proof"]["kind"] == "walk-search"
    bound = str(separate_folder / "certificate.json")
    assert run(["check", *paths[:2], "--bound", bound]) == 0
    assert "bound verified" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "change", "code", "fault"),
    [
        ("cost", lambda cost: cost + 1, 1, "cost: full-prompt-batch costs"),
        ("hindsight", lambda value: value - 1, 1, "hindsight: the schedule costs"),
        ("hindsight_batches", lambda batches: batches[1:], 1, "hindsight schedule: "),
        ("hindsight_batches", lambda batches: [["x", 0, [0]]], 2, "expected kind, start and requ"),
        ("hindsight_batches", lambda batches: [["token", 0, [9]]], 2, "expected requests below"),
        ("certificate", lambda made: made | {"bound": made["bound"] + 1}, 1, "certificate: "),
        ("certificate", lambda made: made | {"bound": 0}, 2, "expected a bound of at least 1"),
        ("gpu", lambda gpu: gpu | {"kv_capacity": "x"}, 2, "gpu: Expected `int`"),
        ("model", lambda model: "both", 2, "model: expected 'separate' or 'continuous' or none"),
    ],
)
def test_a_tampered_witness_of_separate_batching_is_caught(
    separate_folder, tmp_path, capsys, key, change, code, fault
):
    record = json.loads((separate_folder / "witness.json").read_text())
    record[key] = change(record[key])
    (tmp_path / "witness.json").write_text(json.dumps(record))
    assert run(["adversary", "--recheck", str(tmp_path)]) == code
    captured = capsys.readouterr()
    assert fault in captured.out + captured.err


def rechecked(record, folder, capsys):
    (folder / "witness.json").write_text(json.dumps(record))
    code = run(["adversary", "--recheck", str(folder)])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_bound_on_separate_batching_proves_nothing_of_mixed(tmp_path, capsys):
    """Here the optimum of separate batching is 7, that of mixed batching 6."""
    gpu = Gpu(kv_capacity=40)
    instance = Instance(gpu=gpu, arrival=[0, 1], prompt=[3, 1], output=[4, 2])
    separate, mixed = judge_separate(instance, "prefill-first"), judge(instance, "mc-sf")
    assert (separate.bound, mixed.bound) == (7, 6)
    record = Witness(policy="mc-sf", judged=mixed).to_record()
    record["certificate"] = separate.certificate().to_record()
    code, text = rechecked(record, tmp_path, capsys)
    assert code == 2
    assert "certificate: expected one of mixed batching" in text


def test_under_affine_batch_times_the_search_is_run_again(tmp_path, capsys):
    """The verifier's walk has no affine batch times."""
    gpu = Gpu(kv_capacity=9, batch_time=AffineTime(c0=0.001, c1=0.0005, c2=0.0005, c3=0.0))
    instance = Instance(gpu=gpu, arrival=[0, 0, 1], prompt=[2, 5, 1], output=[4, 1, 2])
    judged = judge_separate(instance, "prefill-first")
    assert judged.certificate() is None
    record = Witness(policy="prefill-first", judged=judged).to_record()
    assert rechecked(record, tmp_path, capsys)[0] == 0
    code, text = rechecked(record | {"bound": judged.bound + 1}, tmp_path, capsys)
    assert code == 1
    assert "bound: the search proves" in text
    code, text = rechecked(record | {"proof": {"kind": "none"}}, tmp_path, capsys)
    assert code == 2
    assert "proof.kind: expected" in text


def test_a_witness_of_one_s_own_policy_is_rechecked_from_its_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "of_this_folder.py").write_text(
        "from batchprophet.online.mixed.policies.mc_sf import McSf\n\n\n"
        "class Mine(McSf):\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [place for place in sys.path if place])
    judged = judge(Instance(gpu=Gpu(kv_capacity=5), arrival=[0], prompt=[1], output=[3]), "mc-sf")
    record = Witness(policy="of_this_folder:Mine", judged=judged).to_record()
    code, text = rechecked(record, tmp_path, capsys)
    assert code == 0, text
    assert "the witness holds: of_this_folder:Mine costs 3" in text


def test_the_sqrt_adversary_doubles_the_ratio_with_four_times_the_memory():
    # Ω(√n): the policy's cost grows like M^1.5, the optimum like M.
    small, large = (play_sqrt_adversary("mc-sf", M) for M in (1024, 16384))
    assert large.ratio > 3 * small.ratio
    again = simulate(large.instance, "mc-sf", seed=POLICY_SEED)
    assert again.start[0] == large.b
    assert large.bound <= large.value


@pytest.mark.parametrize("path", WITNESSES, ids=lambda path: path.stem)
def test_the_published_witnesses_hold(path):
    assert recheck(path).holds


def test_one_request_alone_has_ratio_one():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    judged = judge(instance, "mc-sf")
    assert (judged.cost, judged.value, judged.bound) == (4, 4, 4)


def blocked_line(n):
    """A long request, a wide one that just does not fit beside it, and n − 2 small ones; M = 2n."""
    M = 2 * n
    few, small = [0, 1], n - 2
    return Instance(
        gpu=Gpu(kv_capacity=M),
        arrival=[*few, *[2] * small],
        prompt=[1, M - 3, *[1] * small],
        output=[M - 1, 1, *[1] * small],
    )


@pytest.mark.parametrize("n", [6, 16, 64])
def test_the_ratio_of_mc_sf_grows_with_n(n):
    # Hindsight starts the long request a round later; then the wide one fits beside it, and the
    # small ones after it: 2n + 1·1 + (n − 2)·1 = 3n − 1. MC-SF stops at the wide one till round
    # M − 1: all but the long one wait for about M rounds.
    instance = blocked_line(n)
    hindsight = MixedSchedule([1, 1, *[2] * (n - 2)])
    assert not check_mixed(instance, hindsight)
    optimum = int((hindsight.completion(instance) - instance.arrival).sum())
    assert optimum == 3 * n - 1
    starts = simulate(instance, "mc-sf").start
    assert (starts[1:] >= 2 * n - 1).all()
    cost = int((starts + instance.output - instance.arrival).sum())
    assert cost > 0.6 * n * optimum
    skipping = simulate(instance, "mc-sf:skip=true")
    assert int((skipping.completion(instance) - instance.arrival).sum()) < 2 * optimum


@pytest.mark.parametrize("policy", ["mc-sf", "mc-sf:skip=true", "sorted-f", "vllm"])
def test_the_staircase_costs_every_policy_that_does_not_evict_a_factor_of_order_n(policy):
    # The policy pays more than (n − 1)(3n/2 − 2), hindsight at most b + M + n − 1.
    n = 40
    play = play_staircase(policy, n)
    M = play.instance.gpu.kv_capacity
    assert play.instance.n == n
    assert play.cost > (n - 1) * (3 * n / 2 - 2)
    assert play.value <= play.b + M + n - 1
    assert play.ratio > Fraction(3, 10) * n
