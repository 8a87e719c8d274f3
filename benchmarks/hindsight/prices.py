"""How the configuration bound grows with time: prices handed back again and again.

    python benchmarks/hindsight/prices.py --seeds 100 100 --seconds 10 10 20 40

Columns: model, seed, n, M; value of the schedule handed over; then, for each call, the bound and
the steps taken in all.
"""

from __future__ import annotations

import argparse

from batchprophet.models.families import make_instance
from batchprophet.solvers.mixed.bounds import configuration_prices
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.search import improve_schedule


def bounds(model: int, seed: int, seconds: list[float]) -> list[object]:
    """Columns of one instance: a schedule of 5 s, then prices, each call from the last one's."""
    instance = make_instance(f"arrival-model-{model}", seed=seed)
    schedule = list_schedule(instance, instance.volume, skip=True)
    schedule = improve_schedule(instance, schedule, time_limit=5.0)
    value = int((schedule.completion(instance) - instance.arrival).sum())
    row: list[object] = [model, seed, instance.n, instance.gpu.kv_capacity, value]
    prices, steps = None, 0
    for limit in seconds:
        prices = configuration_prices(instance, schedule, begin=prices, time_limit=limit)
        steps += prices.iterations
        row += [f"{float(prices.bound):.1f}", steps]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=[100, 100], help="first and last")
    parser.add_argument("--models", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10.0, 10.0, 20.0, 40.0])
    options = parser.parse_args()
    for seed in range(options.seeds[0], options.seeds[1] + 1):
        for model in options.models:
            print(*bounds(model, seed, options.seconds), sep="\t", flush=True)


if __name__ == "__main__":
    main()
