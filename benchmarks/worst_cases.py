"""Worst cases of every policy, and the adversary of order √n: the figures of docs/worst-cases.md.

    python benchmarks/worst_cases.py search mc-sf     # minutes; docs/worst-cases/mc-sf-*.json
    python benchmarks/worst_cases.py search-separate hysteresis
    python benchmarks/worst_cases.py table            # rechecks all witnesses there
    python benchmarks/worst_cases.py picture          # docs/pictures/worst-cases.png

Searches are limited by candidates and seeded, so they give the same witnesses on every machine.
"""

import re
import sys
from pathlib import Path
from typing import Any

from batchprophet.models import ConstantTime, Gpu
from batchprophet.online.adversary import find_worst_case, recheck, write_witness
from batchprophet.online.mixed import built_in_policies, play_sqrt_adversary
from batchprophet.online.separate import BUILT_IN
from batchprophet.pictures import palette

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

#: The same for separate batching, and its GPU.
SEPARATE_SIZES = ((4, 8, 8, 1500), (6, 12, 12, 2000), (8, 20, 20, 1500))
LIMITS = {
    "prompt_batch_requests": 4,
    "prompt_batch_tokens": 12,
    "token_batch_requests": 4,
    "batch_time": ConstantTime(prompt=2, token=1),
}
SEPARATE = tuple(name for name in BUILT_IN if name != "bayes")

#: A policy that solves hindsight problems itself takes a fifth of a second for a candidate.
DELIBERATE = {"bayes": ((4, 8, 8, 600), (6, 12, 12, 600))}

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
        if not path.exists() and (not sizes or str(n) in sizes):
            _search(path, policy, n=n, kv_capacity=M, span=span, work_limit=candidates)


def search_separate(policy: str) -> None:
    """Search in all sizes of separate batching; what is there is kept."""
    for n, M, span, candidates in SEPARATE_SIZES:
        path = _path(policy, n, M, span, "-separate")
        if not path.exists():
            gpu = Gpu(kv_capacity=M, **LIMITS)
            limits = {"n": n, "kv_capacity": M, "span": span, "work_limit": candidates}
            _search(path, policy, model="separate", gpu=gpu, **limits)


def _search(path: Path, policy: str, **limits: Any) -> None:
    worst = find_worst_case(policy, **limits)
    unfinished = worst.unfinished is not None
    print(path.stem, f"{worst.seconds:.0f} s", "does not finish" if unfinished else "", flush=True)
    if worst.witness is not None:
        write_witness(worst.witness, path)


def _path(policy: str, n: int, M: int, span: int, regime: str = "") -> Path:
    name = re.sub("[^a-z0-9]+", "-", policy)
    return WITNESSES / f"{name}-n{n}-M{M}{'' if span else '-at-once'}{regime}.json"


def table() -> None:
    """Print the worst ratio of each policy and size, everything checked anew."""
    _table(ATTACKED, [size[:3] for size in SIZES])
    _table(SEPARATE, [size[:3] for size in SEPARATE_SIZES], "-separate")


def _table(policies: tuple[str, ...], sizes: list[tuple[int, int, int]], regime: str = "") -> None:
    heads = [f"n ≤ {n}, M = {M}{'' if span else ', all at 0'}" for n, M, span in sizes]
    print("| policy |" + "".join(f" {head} |" for head in heads))
    print("|---|" + "---|" * len(sizes))
    for policy in policies:
        cells = (_cell(_path(policy, *size, regime)) for size in sizes)
        print(f"| `{policy}` |" + "".join(f" {cell} |" for cell in cells))


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
    words = {"search": search, "search-separate": search_separate}
    (words | {"table": table, "picture": picture})[word](*rest)
