"""Markdown tables of a study's summary: how policies compare, for each source.

    python benchmarks/study/tables.py DIR/summary.json

Every figure is an interval where some optimum is not proved.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

HINDSIGHT = "hindsight"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("summary", type=Path)
    options = parser.parse_args()
    groups = json.loads(options.summary.read_text(encoding="utf-8"))["groups"]
    for place in dict.fromkeys((group["source"], group["limit"]) for group in groups):
        here = [group for group in groups if (group["source"], group["limit"]) == place]
        hindsight = next(group for group in here if group["policy"] == HINDSIGHT)
        proved = f"{hindsight['proved']} of {hindsight['instances']}"
        print(f"**{place[0]}**, {place[1]}: optimum proved on {proved} instances\n")
        policies = [group for group in here if group["policy"] != HINDSIGHT]
        print(ratios(policies), end="\n\n")


def ratios(groups: list[dict[str, Any]]) -> str:
    columns = ["policy", "finished", "mean of ratios", "95 %", "ratio of means", "best", "worst"]
    rows = [
        [
            f"`{group['policy']}`",
            f"{group['finished']} of {group['instances']}",
            ends(group, "mean_of_ratios"),
            confidence(group),
            ends(group, "ratio_of_means"),
            ends(group, "least"),
            ends(group, "greatest"),
            str(group["optimal"]),
        ]
        for group in groups
    ]
    return table([*columns, "proved optimal"], rows)


def ends(group: dict[str, Any], name: str) -> str:
    low, high = group["low"], group["high"]
    if low is None:
        return ""
    first = f"{low[name]:.3f}"
    if high is None:
        return f"≥ {first}"
    last = f"{high[name]:.3f}"
    return first if first == last else f"{first} – {last}"


def confidence(group: dict[str, Any]) -> str:
    """From the lower end of the lower interval to the upper end of the upper one (Student)."""
    low, high = group["low"], group["high"]
    if low is None or high is None or low["mean_of_ratios_t"] is None:
        return ""
    return f"[{low['mean_of_ratios_t'][0]:.3f}, {high['mean_of_ratios_t'][1]:.3f}]"


def table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
