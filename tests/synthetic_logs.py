"""Logs of synthetic engines, clean ones and others, and what the audit makes of them.

A case makes a log from a seed. Clean logs have the law, the limits and the rule that the audit is
told; each other case breaks one thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from batchprophet.models.engine_logs.log import EngineLog
from batchprophet.online.calibration.errors import held_out
from batchprophet.online.calibration.explanation import Explanation, explain
from batchprophet.online.calibration.fit import FittedLaw, fit_law
from batchprophet.online.calibration.replay import Engine, replay
from batchprophet.online.engine import EngineLimits
from tests.engine_simulator import EngineUnderTest, log_of, requests

#: Laws measured on GPUs, in milliseconds.
LAWS = (
    (9.82, 0.0442, 0.0366, 9.4e-5),
    (5.64, 0.0127, 0.0135, 4.5e-5),
    (13.67, 0.0984, 0.0504, 1.88e-4),
    (13.29, 0.0399, 0.0289, 7.99e-5),
    (8.95, 0.0875, 0.058, 2.88e-4),
)

#: Requests of a log.
LENGTH = 200

Made = tuple[EngineUnderTest, EngineLog]


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
    return engine, requests(LENGTH, rate, rng), rng


def clean(seed: int) -> Made:
    engine, jobs, _ = drawn(seed, loaded=seed % 2 == 1)
    engine.serve(jobs)
    return engine, log_of(jobs)


def shortest_first(seed: int) -> Made:
    engine, jobs, _ = drawn(seed, loaded=True)
    engine.rank = (lambda j: j.output) if seed % 2 else (lambda j: j.prompt)
    engine.serve(jobs)
    return engine, log_of(jobs)


def last_come_first_served(seed: int) -> Made:
    engine, jobs, _ = drawn(seed, loaded=True)
    engine.rank = lambda j: -j.at
    engine.serve(jobs)
    return engine, log_of(jobs)


def prompts_apart(seed: int) -> Made:
    engine, jobs, _ = drawn(seed)
    engine.prompts_first, engine.budget = True, 8192
    engine.serve(jobs)
    return engine, log_of(jobs)


def two_replicas(seed: int) -> Made:
    engine, jobs, _ = drawn(seed)
    engine.serve(jobs[::2])
    engine.serve(jobs[1::2])
    return engine, log_of(jobs)


def failed_requests(seed: int) -> Made:
    engine, jobs, rng = drawn(seed)
    engine.serve(jobs)
    kept = [job for job in jobs if rng.random() > 0.2]
    return engine, replace(log_of(kept), failed=len(jobs) - len(kept))


def client_delay(seed: int) -> Made:
    engine, jobs, rng = drawn(seed)
    engine.serve(jobs)
    mean = rng.uniform(150, 1000)
    for job in jobs:
        job.at -= round(1000 * (mean if seed % 2 else mean * rng.exponential()))
    return engine, log_of(jobs)


#: The cases, and the causes that name what is wrong.
CASES: dict[str, tuple[Callable[[int], Made], frozenset[str]]] = {
    "clean": (clean, frozenset()),
    "prompts apart": (prompts_apart, frozenset({"rule"})),
    "last come first served": (last_come_first_served, frozenset({"rule"})),
    "shortest first": (shortest_first, frozenset({"rule"})),
    "two replicas": (two_replicas, frozenset({"rule", "replicas", "memory"})),
    "20 % failed": (failed_requests, frozenset({"failed"})),
    "client delay": (client_delay, frozenset({"delay", "rule"})),
}


@dataclass(frozen=True)
class Judged:
    """What the audit makes of a log, and which true coefficients are within their intervals."""

    fit: FittedLaw
    explanation: Explanation
    inside: tuple[bool, ...]


def model_of(engine: EngineUnderTest) -> Engine:
    """The engine as the audit is told: its limits, and the rule of vLLM."""
    limits = EngineLimits(
        kv_capacity=engine.kv,
        max_num_seqs=engine.seats,
        max_num_batched_tokens=engine.budget,
        block_size=engine.block,
    )
    return Engine(regime="continuous", rule="vllm", limits=limits)


def judged(engine: EngineUnderTest, log: EngineLog) -> Judged:
    """Fit the law to a log and judge whether it explains it."""
    model = model_of(engine)
    fit = fit_law(log, model)
    played = replay(log, model, fit.law)
    explanation = explain(log, model, played, held_out(log, model, played), given=False)
    inside = tuple(
        c.low <= true <= c.high for c, true in zip(fit.coefficients, engine.law, strict=True)
    )
    return Judged(fit, explanation, inside)


def record(case: str, seed: int) -> dict[str, Any]:
    """What the audit makes of one log of a case, as a line of a study."""
    make, _ = CASES[case]
    found = judged(*make(seed))
    errors = found.explanation.errors
    return {
        "case": case,
        "seed": seed,
        "explained": found.explanation.explained,
        "causes": sorted({sign.cause for sign in found.explanation.signs}),
        "errors": [errors.mean_latency, errors.median_request, errors.p95_request],
        "inside": list(found.inside),
    }


def named(line: dict[str, Any]) -> bool:
    """Whether the audit named the cause of what is wrong."""
    return not CASES[line["case"]][1].isdisjoint(line["causes"])
