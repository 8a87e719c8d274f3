"""How far the exact method proves optima: prefixes of the two arrival models, one line each.

    python benchmarks/hindsight/exact.py --n 12 16 --seeds 100 129
    python benchmarks/hindsight/exact.py --n 20 25 --method paths --seconds 5 15 120

Columns: model, seed, n, M; value of the schedule handed over and of the best one; bound of the
prices and bound proved; whether it is optimal; states or nodes expanded; CPU seconds of the
schedule, the prices and the proof. CPU time is of the whole process, after compilation. With
``--n 0`` instances have the size that their law draws.
"""

from __future__ import annotations

import argparse
import itertools
import time
from fractions import Fraction

from batchprophet.models import InputError, Instance
from batchprophet.models.families import make_instance
from batchprophet.models.mixed import MixedSchedule
from batchprophet.solvers.mixed.bounds import configuration_prices
from batchprophet.solvers.mixed.exact import prove
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.path_graphs import prove_by_paths
from batchprophet.solvers.mixed.search import improve_schedule

METHODS = {"states": prove, "paths": prove_by_paths}


def latency(instance: Instance, schedule: MixedSchedule) -> int:
    return int((schedule.completion(instance) - instance.arrival).sum())


def solve(instance: Instance, method: str, seconds: tuple[float, float, float]) -> list[object]:
    """Schedule, prices, proof: the columns from the values on."""
    clock = [time.process_time()]
    schedule = list_schedule(instance, instance.volume, skip=True)
    schedule = improve_schedule(instance, schedule, time_limit=seconds[0])
    clock.append(time.process_time())
    prices = configuration_prices(instance, schedule, time_limit=seconds[1])
    clock.append(time.process_time())
    outcome = METHODS[method](instance, schedule, prices, time_limit=seconds[2])
    clock.append(time.process_time())
    spent = [f"{after - before:.1f}" for before, after in itertools.pairwise(clock)]
    priced: Fraction = prices.bound
    return [
        latency(instance, schedule),
        latency(instance, outcome.schedule),
        f"{float(priced):.1f}",
        outcome.bound,
        "optimal" if outcome.complete else "open",
        outcome.nodes,
        *spent,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, nargs="+", default=[12])
    parser.add_argument("--seeds", type=int, nargs=2, default=[100, 129], help="first and last")
    parser.add_argument("--models", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--seconds",
        type=float,
        nargs=3,
        default=[2.0, 10.0, 60.0],
        help="time limits of the schedule, the prices and the proof",
    )
    parser.add_argument("--method", choices=METHODS, default="states", help="of the proof")
    options = parser.parse_args()
    warm_up = make_instance("arrival-model-1", seed=0, settings={"n": 6})
    solve(warm_up, options.method, (0.1, 0.1, 1.0))
    print(
        "model seed n M given best priced bound verdict states search prices proof".replace(
            " ", "\t"
        )
    )
    proved = total = 0
    for n in options.n:
        for seed in range(options.seeds[0], options.seeds[1] + 1):
            for model in options.models:
                name = f"arrival-model-{model}"
                try:
                    instance = make_instance(name, seed=seed, settings={"n": n} if n else {})
                except InputError as error:
                    print(f"# {name}, seed {seed}: {error}")
                    continue
                row = solve(instance, options.method, tuple(options.seconds))
                print(model, seed, instance.n, instance.gpu.kv_capacity, *row, sep="\t", flush=True)
                total += 1
                proved += row[4] == "optimal"
    print(f"# proved optimal: {proved} of {total}")


if __name__ == "__main__":
    main()
