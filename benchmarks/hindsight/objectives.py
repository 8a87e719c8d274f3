"""Objectives other than the total latency, at the published scale: the engine beside the MILP.

    python benchmarks/hindsight/objectives.py --seeds 100 102 --seconds 60

Weights, and rewards, are drawn from 1 to 10; what is done by the last arrival plus 60 % of the time
that all KV areas take at full memory earns its reward; deadlines are 60 rounds after the arrivals.

Columns: model, seed, n, M, objective; schedule, bound and gap in % of the engine, then of the MILP.
"""

from __future__ import annotations

import argparse

import numpy as np

from batchprophet import with_latency_limit
from batchprophet.models import Instance
from batchprophet.models.families import make_instance
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.mixed import load_compiled_code

OBJECTIVES = ("weighted", "tardiness", "makespan", "reward")


def drawn(model: int, seed: int) -> Instance:
    """Return an instance with what the objectives ask for."""
    instance = make_instance(f"arrival-model-{model}", seed=seed)
    rng = np.random.default_rng(seed)
    area = float(instance.volume.sum()) / instance.gpu.kv_capacity
    return with_latency_limit(
        instance.replace(
            weight=rng.integers(1, 11, instance.n),
            reward=rng.integers(1, 11, instance.n),
            horizon=int(instance.arrival.max() + 0.6 * area),
        ),
        60,
    )


def figures(instance: Instance, objective: str, seconds: float) -> list[object]:
    """Schedule, bound and gap of the engine and of the MILP."""
    if objective == "reward":  # with a deadline, too, a reward would depend on both
        instance = instance.replace(deadline=None)
    row: list[object] = []
    for formulation in ("auto", "dense"):
        found = solve(instance, objective=objective, time_limit=seconds, formulation=formulation)
        gap = "–" if found.gap is None else f"{100 * found.gap:.1f}"
        row += [f"{float(found.objective):g}", f"{float(found.bound or 0):g}", gap]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=[100, 102], help="first and last")
    parser.add_argument("--models", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--objectives", nargs="+", default=OBJECTIVES, choices=OBJECTIVES)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    load_compiled_code(make_instance("arrival-model-1", seed=1, settings={"n": 8}), paths=False)
    for seed in range(options.seeds[0], options.seeds[1] + 1):
        for model in options.models:
            instance = drawn(model, seed)
            head = [model, seed, instance.n, instance.gpu.kv_capacity]
            for objective in options.objectives:
                row = figures(instance, objective, options.seconds)
                print(*head, objective, *row, sep="\t", flush=True)


if __name__ == "__main__":
    main()
