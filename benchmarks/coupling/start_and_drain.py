"""How much of the regret to the aggregated bound no schedule can avoid: start-up and drain.

    python benchmarks/coupling/start_and_drain.py [--horizons 20,30,40] [--paths 5]

On short paths: the aggregated bound less the optimum of the LP relaxation of the S1 admission MILP
(proved to be unavoidable), less what the MILP proves and what it finds within its time limit (the
hindsight optimum where both are equal), less the clairvoyant schedule's reward, and less that of
the Bayes selector.
"""

from __future__ import annotations

import argparse

import numpy as np

from batchprophet.models.separate.milp import build_model
from batchprophet.online.separate.admission import (
    CASES,
    hindsight,
    request_workloads,
    run_admission,
)
from batchprophet.online.separate.admission.clairvoyant import clairvoyant
from batchprophet.solvers import Status, solve_model

COLUMNS = ("horizon", "paths", "LP", "MILP bound", "MILP found", "proved", "clairvoyant", "bayes")


def main(arguments: argparse.Namespace) -> None:
    law = CASES[arguments.case]
    work = request_workloads(law)
    print("aggregated bound less …, means over the paths")
    print("".join(f"{name:>13}" for name in COLUMNS))
    for T in map(int, arguments.horizons.split(",")):
        found, proved = [], 0
        for seed in range(arguments.paths):
            rng = np.random.default_rng([seed, T])
            arrivals = law.draw(T, rng)
            uniforms, edges = rng.random(int(arrivals.sum())), np.array([0, T])
            model = build_model(law.instance(arrivals), objective="reward")
            relaxed = solve_model(model, relax=True)
            result = solve_model(
                model, absolute_gap=0.5, time_limit=arguments.time_limit, threads=1
            )
            proved += result.status is Status.OPTIMAL
            bayes = run_admission(law, work, arrivals, "bayes", uniforms, edges).earned(law)
            best = clairvoyant(law, work, arrivals, edges).earned(law)
            bound = float(hindsight(law, work, arrivals).value)
            found_by_milp = 0.0 if result.objective is None else result.objective
            values = (relaxed.objective, result.bound, found_by_milp, best, bayes)
            found.append([bound - float(value) for value in values])  # type: ignore[arg-type]
        lp, proof, own, best_gap, bayes_gap = np.mean(found, axis=0)
        print(
            f"{T:>13}{arguments.paths:>13}{lp:>13.1f}{proof:>13.1f}{own:>13.1f}{proved:>13}"
            f"{best_gap:>13.1f}{bayes_gap:>13.1f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure what start-up and drain must cost.")
    parser.add_argument("--horizons", default="20,30,40")
    parser.add_argument("--paths", type=int, default=5)
    parser.add_argument("--case", choices=tuple(CASES), default="prototype")
    parser.add_argument("--time-limit", type=float, default=60.0)
    main(parser.parse_args())
