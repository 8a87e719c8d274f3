"""The Bayes selector by closed form and by K sampled futures, on the same paths.

    python benchmarks/coupling/sampled.py [--horizon 100] [--paths 10] [--samples 1,4,16]

The sampled one draws K futures at every arrival, solves the aggregated hindsight problem of each
from the present state (accepted work first), and takes the action that most of them vote for (or of
least mean compensation). What cannot be completed is rejected and the GPU's control is the same for
all. Mean regret to the aggregated bound.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from batchprophet.online.coupling import BayesSelector, FormulaOracle, SampledHindsight
from batchprophet.online.separate.admission import (
    CASES,
    REJECT,
    SETTLE,
    AdmissionProblem,
    as_path,
    hindsight,
    request_workloads,
    run_admission,
)


def main(arguments: argparse.Namespace) -> None:
    law, T = CASES[arguments.case], arguments.horizon
    work = request_workloads(law)
    problem = AdmissionProblem(law=law, workloads=work, horizon=T)
    drawn = []
    for seed in range(arguments.paths):
        rng = np.random.default_rng([seed, T])
        arrivals = law.draw(T, rng)
        drawn.append((arrivals, rng.random(int(arrivals.sum()))))
    bounds = [float(hindsight(law, work, arrivals).value) for arrivals, _ in drawn]
    for rule in ("bayes", "accept-all"):
        values = [
            run_admission(law, work, a, rule, u, np.array([0, T])).earned(law) for a, u in drawn
        ]
        report(rule, bounds, values, 0.0)
    for score in ("vote", "compensation"):
        for samples in map(int, arguments.samples.split(",")):
            oracle = FormulaOracle(problem.aggregated, exact=False)
            select = BayesSelector(
                SampledHindsight(problem=problem, oracle=oracle, samples=samples, score=score)  # type: ignore[arg-type]
            )
            began = time.process_time()
            values = [run(problem, select, arrivals) for arrivals, _ in drawn]
            seconds = (time.process_time() - began) / sum(int(a.sum()) for a, _ in drawn)
            report(f"sampled, K = {samples}, {score}", bounds, values, seconds)


def run(problem: AdmissionProblem, select: BayesSelector, arrivals: np.ndarray) -> int:  # type: ignore[type-arg]
    path, rng = as_path(arrivals), np.random.default_rng(0)
    S, t, earned = problem.initial_state(path), 0, 0
    while not S.settled:
        if S.time == problem.horizon:
            action = SETTLE
        elif any(S.pending):
            action = select(t, S, rng) if problem.completes(S) else REJECT
        else:
            action = problem.control(S)
        earned += problem.reward(t, action, S, path)
        S, t = problem.next_state(t, action, S, path), t + 1
    return earned


def report(name: str, bounds: list[float], values: list[int], seconds: float) -> None:
    regret = np.array(bounds) - values
    error = regret.std(ddof=1) / np.sqrt(regret.size)
    timing = f"{1000 * seconds:>10.1f} ms per arrival" if seconds else ""
    print(f"{name:<30}{regret.mean():>8.1f} ± {1.96 * error:.1f}{timing}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare estimates of P[Q].")
    parser.add_argument("--horizon", type=int, default=100)
    parser.add_argument("--paths", type=int, default=10)
    parser.add_argument("--samples", default="1,4,16")
    parser.add_argument("--case", choices=tuple(CASES), default="prototype")
    main(parser.parse_args())
