"""What pausing and dropping are worth: optima of tiny instances with and without them.

Exhaustive search (`tests.brute_force_continuous`) on random instances of three requests, for each
kind of law of `tests.tiny_continuous`. A paused request keeps its cache and skips batches; a
dropped one loses it and reads its prompt and its tokens again. Run from the repository:

    python -m studies.pausing 60
"""

from __future__ import annotations

import sys

import numpy as np

from tests.brute_force_continuous import brute_force_continuous
from tests.tiny_continuous import LAWS, continuous_law, tiny_continuous


def worth(kind: str, count: int) -> str:
    """Return a row of the table: shares of instances where it helps, and the mean gain of these."""
    totals = {"pausing": [], "dropping": []}
    tried, seed = 0, 0
    while tried < count:
        law = continuous_law(np.random.default_rng([41, seed]), kind)
        instance = tiny_continuous(seed, law=law)
        seed += 1
        if instance.n < 3:
            continue
        tried += 1
        neither = brute_force_continuous(instance, skipping=False, drops=False)[0]
        pausing = brute_force_continuous(instance, drops=False)[0]
        both = brute_force_continuous(instance)[0]
        totals["pausing"].append(1 - pausing / neither)
        totals["dropping"].append(1 - both / pausing)
    cells = [kind]
    for gains in totals.values():
        helped = [gain for gain in gains if gain > 0]
        cells.append(f"{len(helped)} of {count}")
        cells.append(f"{100 * np.mean(helped):.1f} %" if helped else "–")
        cells.append(f"{100 * max(gains):.1f} %")
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print("| law | pausing helps | mean gain there | most | dropping helps | mean | most |")
    print("|---|---|---|---|---|---|---|")
    for law_kind in LAWS:
        print(worth(law_kind, number), flush=True)
