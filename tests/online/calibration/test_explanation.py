"""Whether a model explains a log: clean logs are not doubted, others are, or the cause is named."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.engine_logs.log import EngineLog
from batchprophet.models.engine_logs.reading import read_engine_log
from batchprophet.online.calibration.replay import replay
from batchprophet.online.calibration.signs import (
    expected_together,
    most_kv,
    off_beat,
    overtaking,
    together,
)
from tests.engine_simulator import log_of
from tests.paths import SHARED
from tests.synthetic_logs import CASES, drawn, judged, model_of, named, record

#: Logs of each case, and how many at most may be explained (at least, for clean ones). The study
#: with more of them is benchmarks/audit/power.py.
COUNT = 20
EXPLAINED = {
    "clean": ("at least", 18),
    "prompts apart": ("at most", 1),
    "last come first served": ("at most", 1),
    "shortest first": ("at most", 1),
    "two replicas": ("at most", 1),
    "20 % failed": ("at most", 0),
    "client delay": ("at most", 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_power_and_false_alarms(case):
    lines = [record(case, seed) for seed in range(COUNT)]
    explained = sum(line["explained"] for line in lines)
    side, bar = EXPLAINED[case]
    assert explained >= bar if side == "at least" else explained <= bar
    if case != "clean":
        assert sum(map(named, lines)) >= 0.9 * COUNT
    else:  # each true coefficient is within its interval of about 95 %
        assert np.mean([line["inside"] for line in lines], axis=0).min() >= 0.85


def explained(case, seed):
    return judged(*CASES[case][0](seed)).explanation


def test_a_clean_log_is_explained_and_a_delayed_one_is_not():
    assert explained("clean", 0).explained
    late = explained("client delay", 1)
    assert not late.explained
    assert "delay" in {sign.cause for sign in late.signs}


def test_tokens_of_two_engines_are_off_the_beat_of_one():
    # On one engine tokens come together or at least a batch apart, so never less.
    for seed in range(6):
        engine, jobs, _ = drawn(seed, loaded=seed % 2 == 1)
        engine.serve(jobs)
        shortest = 800 * engine.law[0]  # jitter makes batches shorter
        assert off_beat(log_of(jobs), shortest)[0] == 0
        engine, jobs, _ = drawn(seed)
        engine.serve(jobs[::2])
        engine.serve(jobs[1::2])
        off, every = off_beat(log_of(jobs), shortest)
        assert off > 0.01 * every


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared logs")
def test_real_engines_keep_their_beat_and_the_order_of_arrival():
    paths = [*SHARED.glob("engine-logs/vllm-*/requests.jsonl"), *SHARED.glob("engine-logs/*/*.exp")]
    assert len(paths) == 8
    for path in paths:
        log = read_engine_log(path)
        assert off_beat(log, 13_000.0)[0] <= 1  # of 200 to 800; two replicas have 2 % or more
        assert not overtaking(log, log.first_token, 30_000.0).any()


def batches_of(engine, jobs):
    engine.serve(jobs)
    log = log_of(jobs)
    first, last = log.first_token, log.last_token
    return log, together(first, last, 200 * engine.law[0])


def test_prompts_in_batches_of_their_own_never_end_with_tokens():
    # Each such batch emits first tokens only, and these are nobody's last: outputs are 2 or more.
    for seed in range(6):
        engine, jobs, _ = drawn(seed)
        _, shared = batches_of(engine, jobs)
        assert shared >= 5
        engine, jobs, _ = drawn(seed)
        engine.prompts_first, engine.budget = True, 8192  # whole prompts
        assert batches_of(engine, jobs)[1] == 0


def test_last_tokens_that_come_with_first_ones_are_as_many_as_expected():
    seen = expected = 0.0
    for seed in range(12):
        engine, jobs, _ = drawn(seed, loaded=seed % 2 == 1)
        engine.jitter = 0.0
        log, shared = batches_of(engine, jobs)
        c0, c1, c2, c3 = engine.law
        played = replay(log, model_of(engine), AffineTime(c0=c0, c1=c1, c2=c2, c3=c3))
        seen += shared
        expected += expected_together(log, played.times)
    assert seen == pytest.approx(expected, rel=0.15)  # some 250: the standard deviation is 6 %


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared logs")
def test_real_engines_mix_prompts_and_tokens_or_never_do():
    for path in SHARED.glob("engine-logs/vllm-*/requests.jsonl"):
        log = read_engine_log(path)
        assert together(log.first_token, log.last_token, 3000.0) >= 10
    for path in SHARED.glob("engine-logs/*/*.exp"):
        log = read_engine_log(path)
        assert together(log.first_token, log.last_token, 3000.0) == 0


def test_who_overtakes_whom():
    log = EngineLog(
        name="a", format="-", arrival=[0, 100, 200], first_token=[900, 500, 950],
        last_token=[900, 500, 950], prompt=[1, 1, 1], output=[1, 1, 1],
    )  # fmt: skip
    assert overtaking(log, log.first_token, 50.0).tolist() == [False, True, False]
    assert not overtaking(log, log.first_token, 150.0).any()  # they arrive at about the same time


def test_kv_of_a_log_is_that_of_the_requests_between_their_tokens():
    # After output token g a request holds s + g − 1 tokens: at most 10 + 4 here.
    log = EngineLog(
        name="a", format="-", arrival=[0], first_token=[1000], last_token=[5000], prompt=[10],
        output=[5],
    )  # fmt: skip
    assert most_kv(log) == 14
