"""How often the audit doubts clean logs, sees what is wrong, and covers the true coefficients.

    python -m benchmarks.audit.power --count 100 --out power.jsonl

Logs are made by an engine of the tests' own, which shares no code with the package's simulators
(`tests/engine_simulator.py`, `tests/synthetic_logs.py`): 200 requests each, laws measured on GPUs
varied by up to 25 %, batch times that vary by 0, 2 or 5 %. Each line of the file is one log; logs
that are in it are not made again, so a study can be stopped and gone on with. Intervals are those
of Clopper and Pearson (95 %).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scipy.stats import beta

from tests.synthetic_logs import CASES, named, record

COEFFICIENTS = ("c0", "c1", "c2", "c3")


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return what a file has; a last line that was cut off is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def interval(seen: int, of: int) -> str:
    """Return a share's interval of 95 %, in percent."""
    low = beta.ppf(0.025, seen, of - seen + 1) if seen else 0.0
    high = beta.ppf(0.975, seen + 1, of - seen) if seen < of else 1.0
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def tables(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the tables, in Markdown."""
    yield "| logs | number | explained | 95 % interval | cause named |"
    yield "|---|---|---|---|---|"
    for case in CASES:
        mine = [line for line in lines if line["case"] == case]
        if mine:
            explained = sum(line["explained"] for line in mine)
            cause = "–" if not CASES[case][1] else f"{sum(map(named, mine))}"
            yield (
                f"| {case} | {len(mine)} | {explained} | {interval(explained, len(mine))} "
                f"| {cause} |"
            )
    clean = [line["inside"] for line in lines if line["case"] == "clean"]
    if clean:
        yield ""
        yield "| coefficient | within its interval | of | 95 % interval |"
        yield "|---|---|---|---|"
        counts = [(name, sum(row[k] for row in clean)) for k, name in enumerate(COEFFICIENTS)]
        for name, seen in [*counts, ("all four", sum(map(all, clean)))]:
            yield f"| {name} | {seen} | {len(clean)} | {interval(seen, len(clean))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="logs of each case")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--cases", default=",".join(CASES), help="some of the cases")
    parser.add_argument("--out", type=Path, help="lines that are kept and gone on with")
    arguments = parser.parse_args()
    lines = [] if arguments.out is None else lines_of(arguments.out)
    known = {(line["case"], line["seed"]) for line in lines}
    begun = time.process_time()
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.count):
        for case in arguments.cases.split(","):
            if (case, seed) in known:
                continue
            line = record(case, seed)
            lines.append(line)
            if arguments.out is not None:
                with arguments.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
    print("\n".join(tables(lines)))
    print(f"\n{time.process_time() - begun:.0f} s of processor time for logs not known before")


if __name__ == "__main__":
    main()
