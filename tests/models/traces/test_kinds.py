"""How files in the wild write numbers and times, and what about them is doubted aloud."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchprophet.cli import run
from batchprophet.models.errors import InputError
from batchprophet.models.traces import convert_trace
from batchprophet.models.traces.clock import LATEST, UNITS, parse_date_time
from tests.paths import SHARED

MAPPED = "arrival=at,prompt=in,output=out"
META = {"kv_cache": {"num_kv_tokens": 41408}}
LOG = (
    '{"request_id": "a", "input_toks": 23, "output_toks": 5, "queued_ts": 536.66}\n'
    '{"request_id": "b", "input_toks": 10, "output_toks": 7, "queued_ts": 536.67}\n'
)


@pytest.fixture
def write(tmp_path):
    def write(text, name="trace.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def convert(path, **choices):
    defaults = {"round_ms": 1000, "kv_capacity": 100, "columns": MAPPED}
    return convert_trace(path, **(defaults | choices))


# ---------------------------------------------------------------- times


@given(nanoseconds=st.integers(0, LATEST - 1))
def test_a_moment_is_the_same_in_every_unit(nanoseconds):
    # By long division, in digits alone.
    for unit, digits in (("s", 9), ("ms", 6), ("us", 3), ("ns", 0)):
        whole, rest = divmod(nanoseconds, 10**digits)
        text = f"{whole}.{rest:0{digits}}" if digits else str(whole)
        assert UNITS[unit].parse(text) == nanoseconds


def test_nanoseconds_are_read_as_such(write):
    path = write("at,in,out\n1700000000000000000,3,4\n1700000003000000000,3,4\n")
    assert convert(path, columns=MAPPED + ",unit=ns").instance.arrival.tolist() == [0, 3]
    # A fraction of a nanosecond is cut off.
    path = write("at,in,out\n0.9,3,4\n3e9,3,4\n")
    assert convert(path, columns=MAPPED + ",unit=ns").instance.arrival.tolist() == [0, 3]


@given(
    moment=st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    minutes=st.integers(-23 * 60, 23 * 60),
    between=st.sampled_from(" T"),
    mark=st.sampled_from(".,"),
    space=st.sampled_from(["", " "]),
    colon=st.sampled_from(["", ":"]),
)
def test_every_way_to_write_a_moment_says_the_same(moment, minutes, between, mark, space, colon):
    # Against the standard library's own calendar.
    zone = timezone(timedelta(minutes=minutes))
    aware = moment.replace(tzinfo=zone)
    expected = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    written = moment.strftime(f"%Y-%m-%d{between}%H:%M:%S{mark}%f").rjust(26, "0")
    assert parse_date_time(f"{written}{space}{sign}{hours:02}{colon}{rest:02}") == expected
    if minutes == 0:
        for name in ("Z", "UTC", "GMT", ""):
            assert parse_date_time(f"{written}{space if name else ''}{name}") == expected
    if rest == 0:
        assert parse_date_time(f"{written}{space}{sign}{hours:02}") == expected


@pytest.mark.parametrize(
    "stamp",
    [
        "2023-11-16 18:15:46,680",
        "2023-11-16 18:15:46.680 UTC",
        "2023-11-16T18:15:46,68Z",
        "2023-11-16 18:15:46.68+0000",
        "2023-11-16 18:15:46.68 +0000 UTC",
        "2023-11-16 20:15:46.68 +0200",
    ],
)
def test_log_times(stamp):
    assert parse_date_time(stamp) == 1_700_158_546_680_000_000


def test_minutes_without_seconds(write):
    path = write(
        "at,in,out\n2023-11-16 18:15,3,4\n2023-11-16T18:16Z,3,4\n2023-11-16 19:17+01,1,1\n"
    )
    columns = MAPPED + ",unit=date"
    assert convert(path, columns=columns).instance.arrival.tolist() == [0, 60, 120]


def test_a_comma_in_a_time_stands_in_quotes(write):
    path = write('at,in,out\n"2023-11-16 18:15:46,5",3,4\n"2023-11-16 18:15:47,5",3,4\n')
    columns = MAPPED + ",unit=date"
    assert convert(path, columns=columns).instance.arrival.tolist() == [0, 1]
    lines = write('{"at": "2023-11-16 18:15:46,5", "in": 3, "out": 4}\n', "trace.jsonl")
    assert convert(lines, columns=columns).instance.n == 1
    # A number is no place for it: 1,234 may be a thousand.
    with pytest.raises(InputError, match=r"expected a finite number of seconds .*, found '1,5'"):
        convert(write('at,in,out\n"1,5",3,4\n'))


# ---------------------------------------------------------------- counts and lines


@given(count=st.integers(1, 10**6), zeros=st.integers(1, 9))
def test_an_integer_may_be_written_with_a_point_and_zeros(tmp_path_factory, count, zeros):
    cell = f"{count}.{'0' * zeros}"
    path = tmp_path_factory.getbasetemp() / "counts.csv"
    path.write_text(f"at,in,out\n0,{cell},{cell}\n")
    assert convert(path, kv_capacity=3 * 10**6).instance.prompt.tolist() == [count]
    path.write_text(f'{{"at": 0, "in": {cell}, "out": {cell}}}\n')
    assert convert(path, kv_capacity=3 * 10**6).instance.output.tolist() == [count]


def test_zero_with_a_point_is_zero(write):
    path = write("at,in,out\n0,0.0,4\n1,3.0,4.00\n")
    assert convert(path, zero="drop").report.dropped == {"zero tokens": 1}


def test_lines_of_blanks_are_no_rows(write):
    path = write('  \nat,in,out,"a note"\n \t \n0,3,4,"two\n\nlines"\n   \n1,3,4,x\n\n \n')
    assert convert(path).instance.arrival.tolist() == [0, 1]
    # What has separators is a row.
    with pytest.raises(InputError, match="line 2: at: expected a finite number of seconds"):
        convert(write("at,in,out\n,,\n"))


# ---------------------------------------------------------------- doubts


def warnings(path, **choices):
    return convert(path, **choices).report.warnings


UNIT = (
    "; if the times are in another unit, map them with --columns "
    "arrival=…,prompt=…,output=…,unit=ms|us|ns"
)


def test_nanoseconds_as_seconds_are_doubted_aloud(write):
    path = write("at,in,out\n0,3,4\n3e9,3,4\n")
    assert warnings(path) == (
        f"the window lasts 95.1 years{UNIT}",
        "column at makes one request in 3,000,000,000 s on average, less than one in ten "
        f"minutes{UNIT}",
    )
    assert warnings(path, columns=MAPPED + ",unit=ns") == ()


def test_a_year_is_not_doubted_and_a_little_more_is(write):
    rows = "".join(f"{300 * i},1,1\n" for i in range(105_193))
    assert warnings(write(f"at,in,out\n{rows}")) == ()  # 31,557,600 s
    assert warnings(write(f"at,in,out\n{rows}31557601,1,1\n")) == (
        f"the window lasts 1.0 years{UNIT}",
    )


def test_ten_minutes_between_requests_are_not_doubted_and_more_are(write):
    assert warnings(write("at,in,out\n0,1,1\n600,1,1\n1200,1,1\n")) == ()
    assert warnings(write("at,in,out\n0,1,1\n600,1,1\n1201,1,1\n")) == (
        f"column at makes one request in 600 s on average, less than one in ten minutes{UNIT}",
    )
    # It is the column that counts: of a dense one, few requests may be taken.
    dense = write("at,in,out\n" + "".join(f"{i},1,1\n" for i in range(4001)))
    assert warnings(dense, every=1000) == ()


def test_a_gap_of_nine_tenths_is_not_doubted_and_a_larger_one_is(write):
    assert warnings(write("at,in,out\n0,1,1\n9,1,1\n10,1,1\n")) == ()
    assert warnings(write("at,in,out\n0,1,1\n1,1,1\n11,1,1\n")) == (
        "one gap, before request 3 of the window, takes 90.9% of it; --start and --count take a "
        "part without it",
    )
    # Between two requests there is one gap: it says nothing.
    assert warnings(write("at,in,out\n0,1,1\n500,1,1\n")) == ()


def test_dates_have_their_unit_and_laws_no_doubt(write):
    path = write("at,in,out\n2020-01-01 00:00,1,1\n2023-01-01 00:00,1,1\n")
    assert warnings(path, columns=MAPPED + ",unit=date") == (
        "the window lasts 3.0 years",
        "column at makes one request in 94,694,400 s on average, less than one in ten minutes",
    )
    lengths = write("num_prefill_tokens,num_decode_tokens\n3,4\n3,4\n3,4\n")
    assert warnings(lengths, columns=None, arrivals="poisson:rate=0.0001") == ()


def test_the_command_warns_on_standard_error(write, tmp_path, capsys):
    path, out = write("at,in,out\n0,3,4\n3e9,3,4\n"), tmp_path / "x.json"
    words = ["convert", str(path), "--columns", MAPPED, "--out", str(out), "--json"]
    assert run([*words, "--round-ms", "1000", "--kv-capacity", "9"]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines()[0] == f"warning: the window lasts 95.1 years{UNIT}"
    assert len(json.loads(captured.out)["warnings"]) == 2


# ---------------------------------------------------------------- nothing is guessed


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ([], "round_ms: expected the milliseconds of a round, found none"),
        (["--kv-capacity", "9"], "round_ms: expected the milliseconds of a round, found none"),
        (["--round-ms", "9"], "kv_capacity: expected the tokens that the KV memory holds, found"),
    ],
)
def test_capacity_and_round_have_no_defaults(write, tmp_path, capsys, given, missing):
    path, out = write("at,in,out\n0,3,4\n"), tmp_path / "x.json"
    assert run(["convert", str(path), "--columns", MAPPED, "--out", str(out), *given]) == 2
    captured = capsys.readouterr()
    assert missing in captured.err
    assert captured.err.count("\n") == 1
    assert not out.exists()


def test_the_affine_law_says_its_round(write, tmp_path, capsys):
    path, out = write("at,in,out\n0,3,4\n0.001,3,4\n"), tmp_path / "x.json"
    words = ["convert", str(path), "--columns", MAPPED, "--out", str(out), "--kv-capacity", "9"]
    assert run([*words, "--batch-time", "affine:c0=1,c1=0,c2=0,c3=0"]) == 0
    assert "times are microseconds" in capsys.readouterr().out
    assert [each["arrival"] for each in json.loads(out.read_text())["requests"]] == [0, 1000]


def test_a_log_says_its_capacity_in_the_file_beside_it(write, tmp_path, capsys):
    log, out = write(LOG, "requests.jsonl"), tmp_path / "x.json"
    meta = write(json.dumps(META), "meta.json")
    words = ["convert", str(log), "--round-ms", "1", "--out"]
    assert run([*words, str(out)]) == 0
    assert "KV capacity 41,408 of meta.json" in capsys.readouterr().out
    assert json.loads(out.read_text())["gpu"]["kv_capacity"] == 41408
    # What is said on the command line counts, and what is read is not written over.
    assert run([*words, str(out), "--kv-capacity", "100"]) == 0
    assert json.loads(out.read_text())["gpu"]["kv_capacity"] == 100
    assert run([*words, str(meta)]) == 2
    assert json.loads(meta.read_text()) == META


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (None, "found none, nor in a meta.json beside the log"),
        ("{}", "found none, nor in a meta.json beside the log"),
        ('{"kv_cache": null}', "found none, nor in a meta.json beside the log"),
        ("[]", "meta.json: the file: expected a JSON object, found list"),
        ('{"kv_cache": 3}', "meta.json: kv_cache: expected a JSON object, found int"),
        ('{"kv_cache": {"num_kv_tokens": true}}', "expected an integer from 2 to 2^62, found True"),
        ('{"kv_cache": {"num_kv_tokens": 1.5}}', "expected an integer from 2 to 2^62, found 1.5"),
        ('{"kv_cache": {"num_kv_tokens": 1}}', "expected an integer from 2 to 2^62, found 1"),
        ("{", "meta.json: not valid JSON"),
        ("[" * 100_000, "meta.json: not valid JSON"),
    ],
)
def test_a_file_beside_the_log_that_says_nothing_or_nonsense(write, meta, message):
    log = write(LOG, "requests.jsonl")
    if meta is not None:
        write(meta, "meta.json")
    with pytest.raises(InputError) as refused:
        convert_trace(log, round_ms=1)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_real_log_says_its_capacity():
    log = SHARED / "engine-logs/vllm-rtx4090-llama-3.1-8b/requests.jsonl"
    if not log.exists():
        pytest.skip("needs a real log, which is not part of the repository")
    converted = convert_trace(log, round_ms=20)
    assert converted.instance.gpu.kv_capacity == 41408
    assert converted.instance.provenance["kv_capacity_from"] == "meta.json"
    assert converted.report.warnings == ()
