"""Windows, rounds, thinning, load: what a conversion takes, and its account of it."""

import hashlib
import json
import math
from fractions import Fraction

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.files.instance_file import read_instance, write_instance
from batchprophet.models.traces import convert_trace

COLUMNS = "arrival=at,prompt=in,output=out"


@pytest.fixture
def write(tmp_path):
    def write(rows, name="trace.csv", header="at,in,out"):
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]))
        return path

    return write


def convert(path, **choices):
    return convert_trace(
        path, **({"round_ms": 1000, "kv_capacity": 100, "columns": COLUMNS} | choices)
    )


def test_a_window_starts_at_seconds_after_the_first_arrival_and_holds_count_requests(write):
    # Arrivals 10, 11, …, 19; from 10 + 3 s on: 13, 14, 15. Round 0 is the first taken, 13.
    path = write(f"{at},{at},1" for at in range(10, 20))
    converted = convert(path, start=3, count=3)
    assert converted.instance.prompt.tolist() == [13, 14, 15]
    assert converted.instance.arrival.tolist() == [0, 1, 2]
    assert converted.report.dropped == {"before the window": 3}
    assert converted.report.rows_read == 6
    assert converted.instance.name == "trace-start=3-count=3"


def test_nothing_beyond_the_last_request_taken_is_looked_at(write):
    path = write(["1,2,3", "2,3,4", "never looked at"])
    assert convert(path, count=2).report.rows_read == 2
    with pytest.raises(InputError, match="line 4: expected 3 columns"):
        convert(path, count=3)


def test_every_takes_each_kth_request_of_the_window(write):
    path = write(f"{at},{at},1" for at in range(1, 11))
    converted = convert(path, start=1, every=4)
    assert converted.instance.prompt.tolist() == [2, 6, 10]
    assert converted.report.dropped == {"before the window": 1, "between every k-th": 6}


def test_fewer_requests_than_asked_for_are_said_to_be_fewer(write):
    report = convert(write(["1,2,3"]), count=5).report
    assert report.lines() == [
        "trace.csv: 1 row read (format columns-csv)",
        "1 request of 5 asked for taken: 0.000 s, 0 rounds; mean prompt 2.0, mean output 3.0 "
        "tokens",
    ]


def test_oversize_requests_are_dropped_and_counted_when_asked_and_do_not_count(write):
    path = write(["1,2,3", "2,99,2", "3,98,2", "4,1,1"])
    converted = convert(path, oversize="drop", count=2)
    assert converted.instance.prompt.tolist() == [2, 98]
    assert converted.report.lines()[-1] == "1 left out: larger than the GPU"


def test_an_oversize_request_outside_the_window_is_nobodys_business(write):
    path = write(["1,99,99", "2,1,1", "3,99,99"])
    assert convert(path, start=1, count=1).instance.n == 1


def test_zero_tokens_are_dropped_and_counted_only_when_asked(write):
    path = write(["1,2,3", "2,0,3", "3,2,0", "4,1,1"])
    converted = convert(path, zero="drop")
    assert converted.instance.prompt.tolist() == [2, 1]
    assert converted.report.dropped == {"zero tokens": 2}
    with pytest.raises(InputError, match="line 3: in: expected an integer of at least 1"):
        convert(path)


def test_sorting_is_stable_and_makes_the_first_arrival_time_zero(write):
    path = write(["5,1,1", "3,2,1", "5,3,1", "3,4,1"])
    converted = convert(path, sort=True)
    assert converted.instance.prompt.tolist() == [2, 4, 1, 3]
    assert converted.instance.arrival.tolist() == [0, 0, 2, 2]


def test_sorting_many_ties_keeps_their_file_order(write):
    # Prompts are the positions in the file: within each arrival they must increase.
    times = np.random.default_rng(1).integers(0, 5, size=2000).tolist()
    path = write(f"{at},{i},1" for i, at in enumerate(times, start=1))
    instance = convert(path, sort=True, kv_capacity=10_000).instance
    order = sorted(range(2000), key=lambda i: times[i])
    assert instance.prompt.tolist() == [i + 1 for i in order]


def test_equal_arrivals_keep_file_order(write):
    assert convert(write(["5,2,1", "5,1,1"])).instance.prompt.tolist() == [2, 1]


def test_rounds_are_floors_in_exact_arithmetic(write):
    # 0.3 s / 0.1 s is 2.999… in floats; 3 exactly. One nanosecond less is round 2.
    path = write(["0,1,1", "0.299999999,1,1", "0.3,1,1"])
    assert convert(path, round_ms=100).instance.arrival.tolist() == [0, 2, 3]


@pytest.mark.parametrize(("round_ms", "load"), [(50, 1.0), (33.3, 1.37), (0.001, 0.1234567890123)])
def test_load_divides_times(write, round_ms, load):
    # Against the definition in rationals; the last pair needs more than 64 bits on the way.
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.integers(0, 10**12, size=200)).tolist()
    path = write(f"{t // 10**9}.{t % 10**9:09},1,1" for t in times)
    length = Fraction(str(round_ms)) * Fraction(str(load)) / 1000
    expected = [math.floor(Fraction(t - times[0], 10**9) / length) for t in times]
    assert convert(path, round_ms=round_ms, load=load).instance.arrival.tolist() == expected


def test_rounds_beyond_64_bits_are_refused(write):
    with pytest.raises(InputError, match=r"^round_ms: expected rounds that fit in 64 bits"):
        convert(write(["0,1,1", "4e9,1,1"]), round_ms=1e-7)


def test_thinning_keeps_each_request_with_its_probability_and_seed(write):
    # 10,000 Bernoulli(0.3): standard deviation 46; five of them allowed.
    path = write(f"{at},{at % 90 + 1},1" for at in range(10_000))
    kept = convert(path, thin=0.3, seed=7)
    assert abs(kept.instance.n - 3000) < 230
    assert kept.instance == convert(path, thin=0.3, seed=7).instance
    assert kept.instance != convert(path, thin=0.3, seed=8).instance
    assert kept.report.dropped == {"thinned out": 10_000 - kept.instance.n}
    # The reduction: thinning with probability one is no thinning.
    assert convert(path, thin=1.0).instance.n == 10_000


def test_rows_read_are_taken_or_counted_out(write):
    path = write(
        ["1,0,1"] + [f"{at},{97 + at % 5},1" for at in range(200)] + ["300,1,0"],
    )
    report = convert(
        path, start=20, every=2, thin=0.8, oversize="drop", zero="drop", count=60
    ).report
    assert report.rows_read == report.taken + sum(report.dropped.values())
    assert len(report.dropped) == 5


def test_a_mapping_reads_units_ids_and_json(write):
    ms = write(["1500,2,1,b", "1501,3,4,a"], header="at,in,out,who")
    converted = convert(ms, columns=COLUMNS + ",id=who,unit=ms", round_ms=1)
    assert converted.instance.arrival.tolist() == [0, 1]
    assert converted.instance.id == ("b", "a")
    us = write(["7,1,1", "9.5,1,1"])
    assert convert(us, columns=COLUMNS + ",unit=us", round_ms=0.0005).instance.arrival[1] == 5
    date = write(["2024-01-01T00:00:00Z,1,1", "2024-01-01T00:00:01Z,1,1"])
    assert convert(date, columns=COLUMNS + ",unit=date").instance.arrival[1] == 1
    lines = write(['{"at": 1, "in": 2, "out": 3, "who": "x"}'], header="")
    mapping = {"arrival": "at", "prompt": "in", "output": "out", "id": "who"}
    converted = convert(lines, columns=mapping)
    assert converted.instance.id == ("x",)
    assert converted.instance.provenance["columns"] == mapping


def test_quoted_cells_and_line_breaks_within_them_are_read(write):
    path = write(['"a\nb",1,"2",3', 'c,2,"4",5'], header='"the, note",at,in,out')
    assert convert(path).instance.prompt.tolist() == [2, 4]


def test_a_poisson_law_gives_its_rate(tmp_path):
    # 20,000 exponential gaps of mean 0.4 s: their sum is 8,000 s ± 57.
    path = tmp_path / "lengths.csv"
    path.write_text("num_prefill_tokens,num_decode_tokens\n" + "3,4\n" * 20_000)
    choices = {"round_ms": 50, "kv_capacity": 100}
    report = convert_trace(path, arrivals="poisson:rate=2.5,seed=1", **choices).report
    assert abs(report.span_seconds - 8000) < 300
    burst = convert_trace(path, arrivals="burst", **choices)
    assert burst.report.span_seconds == 0
    assert burst.instance.provenance["arrivals"] == "burst"


def test_provenance_names_the_file_by_its_hash_and_survives_the_instance_file(write, tmp_path):
    path = write(["1,2,3", "2,3,4", "3,1,1"])
    instance = convert(path, count=2, load=0.5).instance
    assert instance.provenance["trace"] == "trace.csv"
    # The hash is of the whole file, although the third row was not read.
    assert instance.provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert instance.provenance["rows_read"] == 2
    assert json.loads(json.dumps(dict(instance.provenance))) == instance.provenance
    write_instance(instance, tmp_path / "instance.json")
    assert read_instance(tmp_path / "instance.json") == instance


def test_progress_counts_up_to_the_whole_file(write):
    seen = []
    path = write(f"{at},1,1" for at in range(300_000))
    convert(path, count=1, progress=lambda read, total: seen.append((read, total)))
    size = path.stat().st_size
    assert seen[-1] == (size, size)
    assert [read for read, _ in seen] == sorted(read for read, _ in seen)
    assert len(seen) > 3
