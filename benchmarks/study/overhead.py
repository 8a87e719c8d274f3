"""Overhead of the study runner over its cells' own time, at 10,000 small cells.

    python benchmarks/study/overhead.py [--seeds 2000] [--jobs 1] [--work 300]

Each seed makes one instance of arrival model 1 with six requests, solved within a work limit and
run by four policies: five cells. With one process, what the runner adds is the wall-clock time
less the sum of the cells' own: starting the process, handing cells out, keeping results, writing
the table. With more, the cells' time is divided by their number.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from batchprophet.online.study.engine import LocalProcesses
from batchprophet.online.study.reading import read_study
from batchprophet.online.study.runner import run_cells
from batchprophet.online.study.store import Store
from batchprophet.online.study.table import result_rows, write_results
from batchprophet.online.study.work import metadata_version

STUDY = """
name = "overhead"
seeds = {{ first = 1, count = {seeds} }}
policies = ["mc-sf", "mc-benchmark", "sorted-f", "vllm"]
instances = [{{ family = "arrival-model-1", settings = {{ n = 6 }} }}]
limits = [{{ work = {work} }}]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--work", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.toml").write_text(STUDY.format(seeds=options.seeds, work=options.work))
        begin, cpu = time.perf_counter(), time.process_time()
        engine = LocalProcesses(options.jobs)  # first, as the command line does
        study = read_study(folder / "study.toml")
        cells = study.cells()
        with Store(folder, version=metadata_version("batchprophet")) as store:
            results = run_cells(cells, store, engine)
        write_results(folder / "results.csv", result_rows(study, results))
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    own = sum(result.seconds for result in results.values()) / options.jobs
    print(f"{len(cells):,} cells, {1000 * own * options.jobs / len(cells):.2f} ms each")
    print(f"wall-clock {wall:.2f} s, cells {own:.2f} s, runner's own CPU {cpu:.2f} s")
    print(f"overhead {wall - own:.2f} s = {(wall - own) / own:.2%}")


if __name__ == "__main__":
    main()
