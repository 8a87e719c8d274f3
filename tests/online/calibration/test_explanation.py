"""Whether a model explains a log: clean logs are not doubted, others are, or the cause is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batchprophet.models.engine_logs.log import EngineLog
from batchprophet.models.engine_logs.reading import read_engine_log
from batchprophet.online.calibration.errors import held_out
from batchprophet.online.calibration.explanation import Explanation, explain
from batchprophet.online.calibration.fit import fit_law
from batchprophet.online.calibration.replay import Engine, replay
from batchprophet.online.calibration.signs import most_kv, off_beat, overtaking
from batchprophet.online.engine import EngineLimits
from tests.engine_simulator import EngineUnderTest, log_of, requests
from tests.paths import SHARED

#: Laws measured on GPUs, in milliseconds.
LAWS = (
    (9.82, 0.0442, 0.0366, 9.4e-5),
    (5.64, 0.0127, 0.0135, 4.5e-5),
    (13.67, 0.0984, 0.0504, 1.88e-4),
    (13.29, 0.0399, 0.0289, 7.99e-5),
    (8.95, 0.0875, 0.058, 2.88e-4),
)
COUNT = 40


def drawn(seed: int, *, loaded: bool = False):
    """An engine of a random law and random limits, and requests; with a queue if `loaded`."""
    rng = np.random.default_rng(seed)
    law = tuple(c * rng.uniform(0.8, 1.25) for c in LAWS[seed % len(LAWS)])
    engine = EngineUnderTest(
        law,
        kv=int(rng.choice([12_000, 24_000, 48_000])),
        seats=int(rng.choice([8, 16] if loaded else [16, 32, 64, 128])),
        budget=int(rng.choice([512, 2048])),
        jitter=(0.0, 0.02, 0.05)[seed % 3],
        rng=rng,
    )
    rate = rng.uniform(3, 9) * (2.5 if loaded else 1)
    return engine, requests(200, rate, rng), rng


def judged(engine: EngineUnderTest, log: EngineLog) -> Explanation:
    limits = EngineLimits(
        kv_capacity=engine.kv,
        max_num_seqs=engine.seats,
        max_num_batched_tokens=engine.budget,
        block_size=engine.block,
    )
    model = Engine(regime="continuous", rule="vllm", limits=limits)
    played = replay(log, model, fit_law(log, model).law)
    return explain(log, model, played, held_out(log, model, played), seen=False)


def clean(seed):
    engine, jobs, _ = drawn(seed, loaded=seed % 2 == 1)
    engine.serve(jobs)
    return judged(engine, log_of(jobs))


def shortest_first(seed):
    engine, jobs, _ = drawn(seed, loaded=True)
    engine.rank = (lambda j: j.output) if seed % 2 else (lambda j: j.prompt)
    engine.serve(jobs)
    return judged(engine, log_of(jobs))


def last_come_first_served(seed):
    engine, jobs, _ = drawn(seed, loaded=True)
    engine.rank = lambda j: -j.at
    engine.serve(jobs)
    return judged(engine, log_of(jobs))


def prompts_apart(seed):
    engine, jobs, _ = drawn(seed)
    engine.prompts_first, engine.budget = True, 8192
    engine.serve(jobs)
    return judged(engine, log_of(jobs))


def two_replicas(seed):
    engine, jobs, _ = drawn(seed)
    engine.serve(jobs[::2])
    engine.serve(jobs[1::2])
    return judged(engine, log_of(jobs))


def failed_requests(seed):
    engine, jobs, rng = drawn(seed)
    engine.serve(jobs)
    kept = [job for job in jobs if rng.random() > 0.2]
    log = log_of(kept)
    return judged(engine, replace(log, failed=len(jobs) - len(kept)))


def client_delay(seed):
    engine, jobs, rng = drawn(seed)
    engine.serve(jobs)
    mean = rng.uniform(150, 1000)
    for job in jobs:
        job.at -= round(1000 * (mean if seed % 2 else mean * rng.exponential()))
    return judged(engine, log_of(jobs))


#: Of `COUNT` logs, how many at most may be explained (at least, for clean ones), and the causes.
CASES = {
    clean: ("at least", 38, set()),
    shortest_first: ("at most", 2, {"rule"}),
    last_come_first_served: ("at most", 2, {"rule"}),
    prompts_apart: ("at most", 5, {"rule"}),  # near critical load noise hides the difference
    two_replicas: ("at most", 2, {"rule", "replicas", "memory"}),
    failed_requests: ("at most", 0, {"failed"}),
    client_delay: ("at most", 2, {"delay", "rule"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_power_and_false_alarms(case):
    found = [case(seed) for seed in range(COUNT)]
    explained = sum(each.explained for each in found)
    side, bar, causes = CASES[case]
    assert explained >= bar if side == "at least" else explained <= bar
    named = [bool({sign.cause for sign in each.signs} & causes) for each in found if causes]
    assert sum(named) >= 0.8 * len(named)


def test_a_clean_log_is_explained_and_a_delayed_one_is_not():
    assert clean(0).explained
    late = client_delay(1)
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
