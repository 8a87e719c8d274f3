"""Worst cases of continuous batching: ratios to the brute-force optimum; witnesses recheck."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from batchprophet.cli import run
from batchprophet.models.batch_time import AffineTime
from batchprophet.models.continuous.problem import require_continuous
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu
from batchprophet.models.regimes import check
from batchprophet.online.adversary.moves import neighbour
from batchprophet.online.adversary.shrink import shrink
from batchprophet.online.adversary.space import Space, default_span
from batchprophet.online.adversary.witness import Witness, recheck, write_witness
from batchprophet.online.adversary.worst_case import find_worst_case
from batchprophet.online.continuous.judge import judge_continuous
from tests.brute_force_continuous import brute_force_continuous

LAW = AffineTime(c0=0.005, c1=0.001, c2=0.002, c3=0.0005)
GPUS = (
    Gpu(kv_capacity=6),
    Gpu(kv_capacity=6, running_requests=2, batch_tokens=4),
    Gpu(kv_capacity=6, kv_block=2, batch_tokens=5, chunked_prefill=False),
    Gpu(kv_capacity=6, batch_tokens=3, batch_time=LAW),
)


@pytest.mark.parametrize("gpu", GPUS)
def test_the_ratio_is_that_to_the_optimum_by_brute_force(gpu):
    space, rng = Space(n=3, kv_capacity=6, span=4, gpu=gpu), np.random.default_rng(2)
    ratios = []
    for _ in range(8):
        instance = neighbour(space.draw(rng), space, rng)
        require_continuous(instance)
        optimum, _ = brute_force_continuous(instance)
        for policy in ("orca", "decode-first"):
            judged = judge_continuous(instance, policy)
            assert judged.proved
            assert judged.ratio == judged.most == Fraction(judged.cost, optimum)
            assert judged.certificate().bound == optimum
            assert not check(instance, judged.hindsight)
            assert not check(instance, judged.schedule)
            filtered = judge_continuous(instance, policy, above=1.05)
            assert (filtered is None) == (judged.ratio < 1.05)
            ratios.append(judged.ratio)
    assert max(ratios) > 1


@pytest.mark.parametrize("block", [1, 4])
def test_draws_and_moves_stay_in_the_space_and_limits_vary(block):
    gpu = Gpu(kv_capacity=10, running_requests=4, kv_block=block)
    space = Space(n=5, kv_capacity=10, span=7, gpu=gpu, vary_limits=True)
    rng = np.random.default_rng(1)
    instance = space.draw(rng)
    running, tokens = set(), set()
    for _ in range(400):
        instance = neighbour(instance, space, rng)
        require_continuous(instance)
        running.add(instance.gpu.running_requests)
        tokens.add(instance.gpu.batch_tokens)
    assert running == {1, 2, 3, 4}
    assert {None, 1, 10} <= tokens


def test_without_chunks_prompts_fit_a_batch_and_its_tokens_do_not_vary():
    gpu = Gpu(kv_capacity=10, batch_tokens=4, chunked_prefill=False)
    space = Space(n=5, kv_capacity=10, span=7, gpu=gpu, vary_limits=True)
    rng = np.random.default_rng(3)
    instance = space.draw(rng)
    for _ in range(200):
        instance = neighbour(instance, space, rng)
        assert instance.gpu.batch_tokens == 4
        assert instance.prompt.max() <= 4


def test_a_space_of_microseconds_has_a_span_of_batches():
    gpu = Gpu(kv_capacity=12, batch_time=AffineTime(c0=5.0, c1=0.1, c2=0.1, c3=0.01))
    assert default_span(12, gpu) == 12 * 5110  # c0 + c2 + c3 in microseconds
    assert Space(n=2, kv_capacity=12, span=2 * 10**6, gpu=gpu).counts_microseconds
    with pytest.raises(InputError, match="span: expected from 0 to 1000000, found 2000000"):
        Space(n=2, kv_capacity=12, span=2 * 10**6)
    with pytest.raises(InputError, match="block_size: expected at most the KV capacity of 12"):
        Space(n=2, kv_capacity=12, span=2, gpu=Gpu(kv_capacity=12, kv_block=13))


def test_shrinking_gives_up_limits_and_lowers_times_by_powers_of_two():
    gpu = Gpu(kv_capacity=9, batch_time=AffineTime(c0=50.0, c1=1.0, c2=1.0, c3=0.0))
    space = Space(n=3, kv_capacity=9, span=10**6, gpu=gpu, vary_limits=True)
    own = Gpu(kv_capacity=9, running_requests=1, batch_tokens=8, batch_time=gpu.batch_time)
    instance = space.instance([0, 30_000], [1, 1], [5, 1], gpu=own)
    looked = []

    def judged(candidate, above):
        looked.append(candidate)
        return judge_continuous(candidate, "vllm", above=above)

    worst = judged(instance, 0.0)
    target = Fraction(11, 10)
    assert worst.ratio >= target
    small = shrink(worst, space, judged, at_least=target, stop=lambda: False).instance
    assert small.n == 2
    assert small.gpu.running_requests == 1  # without it the second request is served beside
    assert small.gpu.batch_tokens is None
    assert len(looked) < 400  # one by one it would take 30,000 steps


def test_same_seed_same_witness_and_it_rechecks(tmp_path):
    gpu = Gpu(kv_capacity=8, running_requests=2)
    options = {"model": "continuous", "n": 4, "kv_capacity": 8, "gpu": gpu, "work_limit": 80}
    for name in ("first", "again"):
        found = find_worst_case("vllm", **options)
        write_witness(found.witness, tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    verdict = recheck(tmp_path / "first")
    assert verdict.holds
    assert verdict.interval[0] == verdict.interval[1] == found.witness.judged.ratio > Fraction(3, 2)


def test_many_requests_get_an_interval_with_a_certificate(tmp_path):
    space = Space(n=30, kv_capacity=40, span=5, gpu=Gpu(kv_capacity=40, batch_tokens=9))
    judged = judge_continuous(space.draw(np.random.default_rng(5)), "vllm")
    assert judged.instance.n > 16  # too many for the exhaustive search
    assert judged.bound < judged.value <= judged.cost
    assert judged.certificate().bound == judged.bound
    write_witness(Witness(policy="vllm", judged=judged), tmp_path / "witness.json")
    assert recheck(tmp_path).holds


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("continuous")
    words = (
        "adversary --model continuous --policy orca --n 4 --kv-capacity 8 --max-num-seqs 3 "
        "--max-num-batched-tokens 7 --block-size 2 --work-limit 60 --out"
    )
    assert run([*words.split(), str(out)]) == 0
    return out


def test_the_command_saves_what_the_other_commands_check(folder, capsys):
    assert run(["adversary", "--recheck", str(folder)]) == 0
    assert "the witness holds: orca costs" in capsys.readouterr().out
    record = json.loads((folder / "witness.json").read_text())
    assert record["cost"] > 1.2 * record["hindsight"]
    paths = [str(folder / f"{name}.json") for name in ("instance", "solution", "policy")]
    assert run(["check", *paths[:2]]) == 0
    assert run(["check", paths[0], paths[2]]) == 0
    bound = str(folder / "certificate.json")
    assert run(["check", *paths[:2], "--bound", bound]) == 0
    assert "bound verified" in capsys.readouterr().out
    gpu = json.loads((folder / "instance.json").read_text())["gpu"]
    assert (gpu["running_requests"], gpu["batch_tokens"], gpu["kv_block"]) == (3, 7, 2)


@pytest.mark.parametrize(
    ("key", "change", "code", "fault"),
    [
        ("cost", lambda cost: cost + 1, 1, "cost: orca costs"),
        ("hindsight", lambda value: value - 1, 1, "hindsight: the schedule costs"),
        ("hindsight_batches", lambda batches: batches[1:], 1, "hindsight schedule: "),
        ("hindsight_batches", lambda batches: [["x"]], 2, "hindsight_batches: Expected `object`"),
        (
            "hindsight_batches",
            lambda batches: [{"start": 0, "decode": [9]}],
            2,
            "schedule.batches[0].decode[0]: expected a request from 0 to",
        ),
        ("gpu", lambda gpu: gpu | {"kv_capacity": "x"}, 2, "gpu: Expected `int`"),
        ("model", lambda model: "both", 2, "or none, found 'both'"),
        ("certificate", lambda made: made | {"bound": made["bound"] + 1}, 1, "certificate: "),
        ("certificate", lambda made: made | {"bound": 0}, 2, "expected a bound of at least 1"),
        ("policy", lambda policy: "least-work", 1, "cost: least-work costs"),
    ],
)
def test_a_tampered_witness_is_caught(folder, tmp_path, capsys, key, change, code, fault):
    record = json.loads((folder / "witness.json").read_text())
    record[key] = change(record[key])
    (tmp_path / "witness.json").write_text(json.dumps(record))
    assert run(["adversary", "--recheck", str(tmp_path)]) == code
    captured = capsys.readouterr()
    assert fault in captured.out + captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model mixed --max-num-seqs 3", "--max-num-seqs takes --model continuous, found 3"),
        ("--model separate --no-chunked-prefill", "--no-chunked-prefill takes --model continuous"),
        ("--model mixed --vary-limits", "--vary-limits takes --model continuous"),
        (
            "--model continuous --token-batch-requests 3",
            "--token-batch-requests takes --model separate, found 3",
        ),
        (
            "--model mixed --batch-time affine:c0=1,c1=1,c2=1,c3=1",
            "--batch-time takes --model separate or continuous",
        ),
        (
            "--model continuous --batch-time constant:prompt=1,token=1",
            "continuous batching takes the affine or the unit law",
        ),
    ],
)
def test_options_of_another_regime_are_refused(words, message, capsys):
    assert run(["adversary", "--policy", "mc-sf", *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_there_must_be_limits_to_vary(tmp_path, capsys):
    gpu = Gpu(kv_capacity=10)
    with pytest.raises(InputError, match=r"^vary_limits: expected a limit up to which to vary it"):
        find_worst_case(
            "vllm", model="continuous", n=3, kv_capacity=10, gpu=gpu, vary_limits=True, work_limit=1
        )
    words = ["adversary", "--policy", "vllm", "--model", "continuous", "--vary-limits"]
    assert run([*words, "--out", str(tmp_path / "w")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "found neither" in line
