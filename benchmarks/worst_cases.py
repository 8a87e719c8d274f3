"""Worst cases of every policy, and the adversary of order √n: the figures of docs/worst-cases.md.

    python benchmarks/worst_cases.py search mc-sf     # minutes; docs/worst-cases/mc-sf-*.json
    python benchmarks/worst_cases.py table            # rechecks all witnesses there
    python benchmarks/worst_cases.py picture          # docs/pictures/worst-cases.png

Searches are limited by candidates and seeded, so they give the same witnesses on every machine.
"""

import re
import sys
from pathlib import Path

from batchprophet import palette
from batchprophet.online.adversary.adaptive import play_sqrt_adversary
from batchprophet.online.adversary.witness import recheck, write_witness
from batchprophet.online.adversary.worst_case import find_worst_case
from batchprophet.online.policy import built_in_policies

DOCS = Path(__file__).resolve().parents[1] / "docs"
WITNESSES = DOCS / "worst-cases"

#: Most requests, KV capacity, latest arrival, candidates.
SIZES = (
    (4, 8, 8, 2000),
    (6, 12, 12, 4000),
    (10, 20, 20, 3000),
    (16, 40, 40, 1500),
    (8, 16, 0, 2000),
)

#: A policy that solves hindsight problems itself takes seconds for a candidate.
DELIBERATE = {"bayes": ((6, 12, 12, 60),)}

#: Policies of the table: those of the package, and one that goes on after what does not fit.
ATTACKED = (*built_in_policies(), "mc-sf:skip=true")

#: Policies that the adversary of order √n is played against, and its KV capacities.
PLAYED = ("mc-sf", "sorted-f", "alpha-greedy")
CAPACITIES = (16, 64, 256, 1024, 4096, 16384)


def search(policy: str, *sizes: str) -> None:
    """Search in all sizes, or in those of some numbers of requests; what is there is kept."""
    WITNESSES.mkdir(exist_ok=True)
    for n, M, span, candidates in DELIBERATE.get(policy, SIZES):
        path = _path(policy, n, M, span)
        if path.exists() or (sizes and str(n) not in sizes):
            continue
        worst = find_worst_case(policy, n=n, kv_capacity=M, span=span, work_limit=candidates)
        unfinished = worst.unfinished is not None
        print(policy, n, M, f"{worst.seconds:.0f} s", "does not finish" if unfinished else "")
        if worst.witness is not None:
            write_witness(worst.witness, path)


def _path(policy: str, n: int, M: int, span: int) -> Path:
    name = re.sub("[^a-z0-9]+", "-", policy)
    return WITNESSES / f"{name}-n{n}-M{M}{'' if span else '-at-once'}.json"


def table() -> None:
    """Print the worst ratio of each policy and size, everything checked anew."""
    sizes = [size[:3] for size in SIZES]
    heads = [f"n ≤ {n}, M = {M}{'' if span else ', all at 0'}" for n, M, span in sizes]
    print("| policy |" + "".join(f" {head} |" for head in heads))
    print("|---|" + "---|" * len(sizes))
    for policy in ATTACKED:
        print(f"| `{policy}` |" + "".join(f" {_cell(_path(policy, *size))} |" for size in sizes))


def _cell(path: Path) -> str:
    if not path.exists():
        return "–"
    found = recheck(path)
    if not found.holds:
        raise SystemExit(f"{path}: {found.faults}")
    low, high = map(float, found.interval)
    return f"{low:.3f}" if low == high else f"{low:.3f} – {high:.3f}"


def picture() -> None:
    figure = palette.picture(7.2, 3.6)
    ax = figure.add_subplot()
    for policy, marker, (colour, dash) in zip(PLAYED, "osx", palette.LINES, strict=False):
        plays = [play_sqrt_adversary(policy, M) for M in CAPACITIES]
        n = [play.instance.n for play in plays]
        ratios = [float(play.ratio) for play in plays]
        style = {"color": colour, "linestyle": dash, "marker": marker, "fillstyle": "none"}
        ax.plot(n, ratios, label=policy, linewidth=1.2, **style)
        for play in plays:
            interval = f"{float(play.ratio):.2f} - {float(play.cost / play.bound):.2f}"
            print(policy, play.instance.n, interval, flush=True)
    ax.plot(n, [0.135 * x**0.5 for x in n], color=palette.INK, linestyle=":", label="0.135·√n")
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(n, [f"{each:,}" for each in n])
    ax.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
    ax.minorticks_off()
    palette.dress(ax, x_label="requests n", y_label="cost / hindsight, at least")
    palette.legend(ax)
    figure.savefig(DOCS / "pictures" / "worst-cases.png", dpi=110, facecolor="white")


if __name__ == "__main__":
    word, *rest = sys.argv[1:]
    {"search": search, "table": table, "picture": picture}[word](*rest)
