"""Draw what knowing output lengths is worth, from the tables of the studies (docs/predictions.md).

    python docs/pictures/draw_lengths.py out-mixed out-azure out-logs

draws lengths.png: for each kind of requests and of knowledge, the policy that is best in the mean,
as the interval of its mean ratio to the optimum.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

from batchprophet.pictures import palette

FOLDER = Path(__file__).parent

#: What is told, with the words for it; ``fcfs`` is vLLM's rule.
KINDS = {
    "exact": "exact",
    "noise:0.2": "error 0.2",
    "noise:0.5": "error 0.5",
    "noise:1": "error 1",
    "none": "nothing",
    "fcfs": "nothing, vLLM's rule",
}

#: By kind: the ends of the ratio's interval, and the policy.
Best = dict[str, tuple[float, float, str]]


def best_policies(folders: list[str]) -> dict[str, Best]:
    """By requests and kind of knowledge, the policy with the least mean ratio."""
    ratios = defaultdict(list)
    for folder in folders:
        with Path(folder, "results.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["policy"] == "hindsight" or row["outcome"] != "done":
                    continue
                source = row["source"].split(" start=")[0]
                kind = "fcfs" if row["policy"] == "vllm" else row["predictions"]
                ends = float(row["ratio_low"]), float(row["ratio_high"])
                ratios[source, kind, row["policy"]].append(ends)
    found: dict[str, Best] = defaultdict(dict)
    for (source, kind, policy), ends in ratios.items():
        low, high = (mean(values) for values in zip(*ends, strict=True))
        if kind in KINDS and low < found[source].get(kind, (float("inf"),))[0]:
            found[source][kind] = low, high, policy
    return found


def draw(found: dict[str, Best]) -> palette.Picture:
    """One panel for each kind of requests."""
    columns = 2
    rows = -(-len(found) // columns)
    figure = palette.picture(7.2, 1.75 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for ax, (source, kinds) in zip(axes, found.items(), strict=False):
        shown = [kind for kind in KINDS if kind in kinds]
        for y, kind in enumerate(reversed(shown)):
            low, high, policy = kinds[kind]
            colour = palette.LOST if kind == "fcfs" else palette.PROMPT
            ax.plot([low, high], [y, y], color=colour, linewidth=4, solid_capstyle="butt")
            if kind != "fcfs":
                ax.text(high, y, f" {policy}", va="center", fontsize=palette.SMALL)
        ax.axvline(1, color=palette.INK, linewidth=0.8)
        ax.set_yticks(range(len(shown)), [KINDS[kind] for kind in reversed(shown)])
        ax.set_xlim(0.97, 1.28 * max(high for _, high, _ in kinds.values()) - 0.27)
        ax.set_title(source, fontsize=palette.TEXT, loc="left")
        palette.dress(ax, x_label="mean latency over the best possible", y_label="")
    for ax in axes[len(found) :]:
        ax.remove()
    return figure


if __name__ == "__main__":
    draw(best_policies(sys.argv[1:])).savefig(FOLDER / "lengths.png", dpi=110, facecolor="white")
