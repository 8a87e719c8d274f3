"""How long the MILP of an arrival-model-2 instance takes to build, in both forms.

Run: python benchmarks/milp_build.py [number of seeds]
"""

from __future__ import annotations

import sys
import time

import numpy as np

from batchprophet.models import Gpu, Instance
from batchprophet.models.mixed.milp import FORMULATIONS, build_model
from batchprophet.solvers import compile_model


def arrival_model_2(seed: int) -> Instance:
    """T~U{40..60}, Poisson rate ~U[0.5, 1.5], M~U{30..50}, s~U{1..5}, o~U{1..M−s}."""
    rng = np.random.default_rng(seed)
    rounds, rate, M = rng.integers(40, 61), rng.uniform(0.5, 1.5), int(rng.integers(30, 51))
    arrival = np.repeat(np.arange(rounds), rng.poisson(rate, rounds))
    prompt = rng.integers(1, 6, arrival.size)
    output = [int(rng.integers(1, M - s + 1)) for s in prompt]
    return Instance(gpu=Gpu(kv_capacity=M), arrival=arrival, prompt=prompt, output=output)


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    print(f"{'seed':>4} {'n':>4} {'form':>12} {'columns':>8} {'rows':>6} {'non-zeros':>10} "
          f"{'build s':>8} {'compile s':>9}")  # fmt: skip
    slowest = dict.fromkeys(FORMULATIONS, 0.0)
    for seed in range(seeds):
        instance = arrival_model_2(seed)
        for form in FORMULATIONS:
            began = time.perf_counter()
            model = build_model(instance, formulation=form)
            built = time.perf_counter()
            columns, rows, nonzeros = compile_model(model).sizes
            compiled = time.perf_counter()
            slowest[form] = max(slowest[form], built - began)
            print(f"{seed:>4} {instance.n:>4} {form:>12} {columns:>8} {rows:>6} {nonzeros:>10} "
                  f"{built - began:>8.2f} {compiled - built:>9.2f}")  # fmt: skip
    for form, seconds in slowest.items():
        print(f"slowest build, {form}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
