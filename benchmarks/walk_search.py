"""How the bound of separate batching rises with the search that the GPU's path leads.

On one instance of the family ``separate-random``: prices of the path, then the search on one
thread, and for some of the bounds it reached the time that the certificate's own search takes.

    python benchmarks/walk_search.py [SEED [REQUESTS [SECONDS]]]
"""

import sys
import time

from batchprophet.models.families import make_instance
from batchprophet.solvers import solve
from batchprophet.solvers.certificates import Clock
from batchprophet.solvers.separate import load_compiled_code
from batchprophet.solvers.separate.bounds import class_prices, path_prices
from batchprophet.solvers.separate.exact import path_table, search_proof, search_states
from batchprophet.solvers.separate.search import improve_separate

#: Every how many of the bounds reached one is verified.
EVERY = 2


def main(seed, n, seconds):
    load_compiled_code()
    instance = make_instance("separate-random", seed=seed, settings={"n": n})
    schedule = solve(instance, model="separate", time_limit=1).schedule
    schedule = improve_separate(instance, schedule, time_limit=seconds / 2)
    latency = int((schedule.completion(instance) - instance.arrival).sum())
    begin = class_prices(instance, schedule)
    path = path_prices(instance, schedule, begin, time_limit=seconds)
    print(f"{instance.name}: schedule {latency}, class relaxation {begin.bound:.1f}, ", end="")
    print(f"path {float(path.bound):.1f} in {seconds:g} s", flush=True)
    table = path_table(instance, path.prices, begin.end, latency)
    reached, began = {}, time.perf_counter()
    outcome = search_states(
        instance,
        schedule,
        path=table,
        time_limit=seconds,
        found=lambda _, bound: reached.setdefault(bound, time.perf_counter() - began),
    )
    print(f"searched to {outcome.bound} in {time.perf_counter() - began:.1f} s")
    search_proof(instance, table, 1).bound(instance, "latency", Clock(None))  # compiles
    for bound in sorted(reached)[::-EVERY][::-1]:
        began = time.perf_counter()
        assert search_proof(instance, table, bound).bound(instance, "latency", Clock(None)) == bound
        took = time.perf_counter() - began
        print(f"no schedule below {bound}: search {reached[bound]:.1f} s, verifier {took:.1f} s")


if __name__ == "__main__":
    seed, n, seconds = (*map(int, sys.argv[1:]), *(100, 40, 30)[len(sys.argv) - 1 :])
    main(seed, n, seconds)
