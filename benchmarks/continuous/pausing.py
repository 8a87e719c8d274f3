"""What pausing and dropping are worth: optima of tiny instances with and without them.

    python -m benchmarks.continuous.pausing [--count 40] [--no-token-budget] [--laws unit whole]

Exhaustive search (`tests/brute_force_continuous.py`) on random instances of three requests
(`tests/tiny_continuous.py`), for each kind of law. A paused request keeps its cache and skips
batches; a dropped one loses it and reads its prompt and its tokens again. Gains are in total
latency: of pausing over neither, of dropping over pausing alone. The seed is that of the largest
gain, for `instance_of`.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np

from batchprophet.models import AffineTime, Instance, UnitTime
from tests.brute_force_continuous import brute_force_continuous
from tests.tiny_continuous import LAWS, continuous_law, tiny_continuous

#: Laws as they are measured: to read a cache again never takes less than a token job.
DEAR_PROMPTS = "dear prompts"


def instance_of(kind: str, seed: int, budget: bool = True) -> Instance:
    """The random instance of a seed; `budget`: with its token budget, if it has one."""
    instance = tiny_continuous(seed, law=law_of(kind, seed))
    if budget:
        return instance
    return instance.replace(gpu=dataclasses.replace(instance.gpu, batch_tokens=None))


def law_of(kind: str, seed: int) -> UnitTime | AffineTime:
    """A law of `tests.tiny_continuous`, or one with c1 ≥ c2 + c3, in whole microseconds."""
    rng = np.random.default_rng([41, seed])
    if kind != DEAR_PROMPTS:
        return continuous_law(rng, kind)
    c0, more, c2, c3 = rng.integers([2, 0, 0, 0], [9, 3, 3, 3]).tolist()
    return AffineTime(c0=c0 / 1000, c1=(c2 + c3 + more) / 1000, c2=c2 / 1000, c3=c3 / 1000)


def gains_of(instance: Instance) -> tuple[float, float]:
    """What pausing gains over neither, and dropping over pausing alone."""
    neither = brute_force_continuous(instance, skipping=False, drops=False)[0]
    pausing = brute_force_continuous(instance, drops=False)[0]
    both = brute_force_continuous(instance)[0]
    return 1 - pausing / neither, 1 - both / pausing


def row(kind: str, count: int, budget: bool) -> str:
    """A row of the table: how many instances gain, their mean gain, the most, and its seed."""
    gains: list[tuple[float, float]] = []
    seeds: list[int] = []
    seed = 0
    while len(seeds) < count:
        instance = instance_of(kind, seed, budget)
        if instance.n == 3:
            gains.append(gains_of(instance))
            seeds.append(seed)
        seed += 1
    cells = [kind]
    for column in np.array(gains).T:
        helped = column[column > 0]
        cells.append(f"{helped.size} of {count}")
        if not helped.size:
            cells += ["–", "–"]
            continue
        most = f"{100 * column.max():.1f} % (seed {seeds[int(column.argmax())]})"
        cells += [f"{100 * helped.mean():.1f} %", most]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="instances for each law")
    parser.add_argument("--no-token-budget", action="store_true", help="no limit on batch tokens")
    parser.add_argument("--laws", nargs="+", default=[*LAWS, DEAR_PROMPTS])
    arguments = parser.parse_args()
    print(
        "| law | pausing helps | mean gain there | most | dropping helps | mean gain there | most |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind in arguments.laws:
        print(row(kind, arguments.count, not arguments.no_token_budget), flush=True)


if __name__ == "__main__":
    main()
