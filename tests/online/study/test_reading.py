"""Study files: what is read, and one clear line for everything that is refused."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from batchprophet.api import convert
from batchprophet.cli import run
from batchprophet.models.errors import InputError
from batchprophet.models.families.registry import make_instance
from batchprophet.models.files.instance_file import write_instance
from batchprophet.online.study.cell import PolicyRun
from batchprophet.online.study.reading import read_study
from batchprophet.online.study.source import sources
from tests.paths import ROOT, SHARED

STUDIES = ROOT / "studies"

GOOD = """
name = "good"
seeds = [1, 2]
policies = ["mc-sf", "vllm"]
[[instances]]
family = "arrival-model-1"
settings = { n = [6, 8], kv_capacity = 30 }
[[limits]]
work = 1000
[[limits]]
name = "a minute"
seconds = 60
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text)
    return path


def test_the_grid(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, GOOD))
    assert [source.label for source in study.sources] == [
        "arrival-model-1 n=6 kv_capacity=30",
        "arrival-model-1 n=8 kv_capacity=30",
    ]
    assert [limit.label for limit in study.limits] == ["work=1000", "a minute"]
    cells = study.cells()
    assert len(cells) == 2 * 2 * (2 + 2)
    assert len({cell.key for cell in cells}) == len(cells)
    assert [cell.problem.source.make(cell.problem.seed).n for cell in cells[::8]] == [6, 8]


def test_the_key_of_a_cell_knows_no_names(tmp_path: Path) -> None:
    renamed = GOOD.replace('"a minute"', '"60 s"').replace('name = "good"', 'name = "other"')
    keys = [cell.key for cell in read_study(write(tmp_path, GOOD)).cells()]
    assert keys == [cell.key for cell in read_study(write(tmp_path, renamed)).cells()]


def test_policies_run_with_the_predictions_that_they_take(tmp_path: Path) -> None:
    text = 'predictions = ["noise:0.5", "interval:1", "none"]\n' + GOOD
    runs = read_study(write(tmp_path, text)).policy_runs()
    assert [(run.spec, run.predictions.label) for run in runs] == [
        ("mc-sf:lengths=predicted", "noise:0.5"),
        ("mc-sf:lengths=interval", "interval:1"),
        ("vllm", "none"),
    ]


def test_lengths_told_anew_and_quantiles_are_predictions_too(tmp_path: Path) -> None:
    text = 'predictions = ["hazard", "bins:4", "bins:4:q90"]\n' + GOOD
    text = text.replace('["mc-sf", "vllm"]', '["mc-sf", "bayes:samples=1,effort=1"]')
    runs = read_study(write(tmp_path, text)).policy_runs()
    assert [(run.spec, run.predictions.label) for run in runs] == [
        ("mc-sf:lengths=hazard", "hazard"),
        ("bayes:samples=1,effort=1,lengths=hazard", "hazard"),
        ("mc-sf:lengths=predicted", "bins:4"),
        ("bayes:samples=1,effort=1,lengths=predicted", "bins:4"),
        ("mc-sf:lengths=predicted", "bins:4:q90"),
        ("bayes:samples=1,effort=1,lengths=predicted", "bins:4:q90"),
    ]
    # What is told nothing of lengths is not told them anew either.
    with pytest.raises(InputError, match="vllm takes none of the predictions hazard"):
        read_study(write(tmp_path, 'predictions = ["hazard"]\n' + GOOD))


def test_all_built_in_policies_by_default(tmp_path: Path) -> None:
    text = GOOD.replace('policies = ["mc-sf", "vllm"]\n', "")
    assert "smallest-volume" in read_study(write(tmp_path, text)).policies


def test_files_and_traces_are_known_by_their_content(tmp_path: Path) -> None:
    instance = tmp_path / "five.json"
    write_instance(make_instance("arrival-model-1", seed=1, settings={"n": 5}), instance)
    trace = tmp_path / "trace.csv"
    trace.write_text("at,in,out\n0,3,12\n1,4,1\n2,5,2\n")
    text = """
        name = "files"
        seeds = [1]
        policies = ["mc-sf"]
        [[instances]]
        file = "five.json"
        [[instances]]
        trace = "trace.csv"
        settings = { columns = "arrival=at,prompt=in,output=out", round_ms = 50, kv_capacity = 47,
                     count = [1, 3] }
    """.replace("47,\n", "47,")
    study = read_study(write(tmp_path, text))
    assert [source.make(1).n for source in study.sources] == [5, 1, 3]
    keys = [cell.key for cell in study.cells()]
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in (instance, trace):
        path.rename(moved / path.name)
    elsewhere = read_study(write(moved, text))
    assert [cell.key for cell in elsewhere.cells()] == keys
    (moved / "trace.csv").write_text("at,in,out\n0,3,12\n1,4,1\n2,5,3\n")
    with pytest.raises(InputError, match="expected the file that the study began with"):
        elsewhere.sources[1].make(1)
    assert [cell.key for cell in read_study(moved / "study.toml").cells()][1:] != keys[1:]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "good"', 'nmae = "good"', "nmae: unknown key; known are .*; did you mean name?"),
        ('name = "good"', "", "name: is needed, found none"),
        ('name = "good"', "name = 7", "name: expected a string, found 7"),
        ("seeds = [1, 2]", "seeds = [1, 1]", "seeds: the seed: 1 stands 2 times"),
        ("seeds = [1, 2]", "seeds = [-1]", "seeds: expected integers of at least 0, found -1"),
        ("seeds = [1, 2]", "seeds = [true]", "seeds: expected integers"),
        ("seeds = [1, 2]", "seeds = 3", r"seeds: expected a list of integers or \{first"),
        ("seeds = [1, 2]", "seeds = {first = 1}", "seeds.count: is needed"),
        ("seeds = [1, 2]", "seeds = {first = 1, count = 0}", "seeds.count: expected an integer"),
        ("seeds = [1, 2]", "seeds = {first = 1, count = 2, step = 3}", "seeds.step: unknown key"),
        ('"mc-sf"', '"mcsf"', "policy: expected one of .* did you mean mc-sf?"),
        ('"mc-sf"', '"mc-sf:skpi=true"', "policy mc-sf: unknown option 'skpi'"),
        ('"mc-sf"', '"vllm"', "policies: 'vllm' stands 2 times"),
        ("n = [6, 8]", "m = 6", "instances.0.: arrival-model-1: expected settings among n, .* 'm'"),
        ("n = [6, 8]", "n = [0]", "instances.0.: arrival-model-1: n: expected an integer from 1"),
        ("n = [6, 8]", "n = []", "instances.0..settings.n: expected a value or a list"),
        ("n = [6, 8]", "n = [[6]]", "instances.0..settings.n: expected a value or a list"),
        ('family = "arrival-model-1"', 'family = "no"', "instances.0.: family: expected one of"),
        ('family = "arrival-model-1"', 'file = "no.json"', "no.json: cannot be read"),
        ('family = "arrival-model-1"', "", "expected one of family, trace, file; found none"),
        ('family = "arrival-model-1"', 'family = "a"\nfile = "b"', "found family and file"),
        ("work = 1000", "work = 1.5", "limits.0..work: expected an integer from 0"),
        ("work = 1000", "works = 1000", "limits.0..works: unknown key; .* did you mean work?"),
        ("work = 1000", "work = 1\nseconds = 1", "limits.0.: expected either work or seconds"),
        ("work = 1000", "", "limits.0.: expected either work or seconds"),
        ("seconds = 60", "seconds = 0", "limits.1..seconds: expected a number in"),
        ("seconds = 60", "seconds = nan", "limits.1..seconds: expected a number in"),
        ('name = "good"', 'name = "good"\nmodel = "fused"', "model: expected 'mixed', "),
        ('name = "good"', 'name = "good"\nobjective = "fun"', "objective: expected one of latency"),
        ('name = "good"', 'name = "good"\npredictions = ["over:1"]', "vllm takes none of the pred"),
        (
            '["mc-sf", "vllm"]',
            '["vllm"]\npredictions = ["none", "over:1"]',
            "predictions: no policy of the study takes over:1",
        ),
        (
            '"mc-sf"',
            '"mc-sf:lengths=exact"',
            None,  # it may say so itself, without predictions
        ),
        (
            '["mc-sf", "vllm"]',
            '["mc-sf:lengths=exact"]\npredictions = ["over:1"]',
            "policies: expected no lengths= or error= beside predictions",
        ),
        ("seeds = [1, 2]", "seeds = [1, 2", "expected TOML, found"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    if message is None:
        assert read_study(path)
        return
    with pytest.raises(InputError, match=f"study.toml: .*{message}") as refusal:
        read_study(path)
    assert "\n" not in str(refusal.value)


def test_every_source_takes_a_latency_limit(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    write_instance(make_instance("arrival-model-1", seed=1, settings={"n": 3}), file)
    (tmp_path / "trace.csv").write_text("at,in,out\n0,3,4\n1,2,2\n", "utf-8")
    trace = {
        "columns": "arrival=at,prompt=in,output=out", "round_ms": 500, "kv_capacity": 47,
        "latency_limit": 7,
    }  # fmt: skip
    found = [
        *sources("family", "arrival-model-1", {"n": 3, "latency_limit": [7, 9]}),
        *sources("file", str(file), {"latency_limit": 7}),
        *sources("trace", str(tmp_path / "trace.csv"), trace),
    ]
    for source, limit in zip(found, (7, 9, 7, 7), strict=True):
        made = source.make(1)
        assert made.deadline is not None
        assert (made.deadline - made.arrival).tolist() == [limit] * made.n
    assert len({source.label for source in found}) == 4
    assert found[0].record != found[1].record
    for wrong in (-1, 2.5, "7"):
        with pytest.raises(InputError, match="latency_limit: expected an integer ≥ 0, found"):
            sources("family", "arrival-model-1", {"latency_limit": wrong})


def test_a_trace_needs_rounds_and_capacity(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n0,1,1\n")
    start = 'name = "t"\nseeds = [1]\n[[instances]]\ntrace = "t.csv"\n'
    for settings, message in (
        ("", "settings: expected round_ms, found none"),
        ("round_ms = 5", "settings: expected kv_capacity, found none"),
        ("round_ms = 5, kv_capacity = 1", "kv_capacity"),
        ("rounds = 5", "expected settings among round_ms, .*; found 'rounds'"),
    ):
        text = f"{start}settings = {{ {settings} }}\n" if settings else start
        with pytest.raises(InputError, match=message):
            read_study(write(tmp_path, text))


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.name)
def test_the_studies_that_come_with_the_project_are_good(path: Path, tmp_path: Path) -> None:
    study = read_study(beside_its_traces(path, tmp_path))
    assert study.cells()
    assert study.description
    if path.name == "smoke.toml":
        assert all(limit.work is not None for limit in study.limits)
        assert any(isinstance(cell.job, PolicyRun) for cell in study.cells())


def beside_its_traces(path: Path, folder: Path) -> Path:
    """Put a study where the real traces that it names lie beside it, or skip the test."""
    instances = tomllib.loads(path.read_text(encoding="utf-8"))["instances"]
    names = {Path(table["trace"]).parts[0] for table in instances if "trace" in table}
    for name in names:
        found = next((each for each in SHARED.glob(f"*/{name}")), None)
        if found is None:
            pytest.skip(f"needs the trace {name}, which is not part of the repository")
        (shutil.copytree if found.is_dir() else shutil.copy)(found, folder / name)
    return Path(shutil.copy(path, folder)) if names else path


def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, GOOD.replace("seeds", "sedes"))
    assert run(["study", str(path), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"batchprophet: {path}: sedes: unknown key; known are name, description, model, objective, "
        "seeds, policies, predictions, instances, limits; did you mean seeds?\n"
    )
    assert not (tmp_path / "out").exists()
    path = write(tmp_path, GOOD)
    for words, message in (
        (["--export", "x.json"], "x.json: expected a file that ends in .csv or .parquet"),
        (["--jobs", "2", "--scheduler", "tcp://x:1"], "--jobs: expected without --scheduler"),
    ):
        assert run(["study", str(path), "--out", str(tmp_path / "out"), *words]) == 2
        assert message in capsys.readouterr().err


GPU = """
    name = "t"
    seeds = [1]
    model = "continuous"
    policies = ["vllm"]
    [[instances]]
    trace = "t.csv"
    settings = { batch_time = "a100", kv_capacity = 32, block_size = 16, max_num_seqs = [2, 4],
                 columns = "arrival=at,prompt=in,output=out" }
""".replace("[2, 4],\n", "[2, 4],")


def test_a_trace_may_be_served_by_a_measured_gpu(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("at,in,out\n0,3,12\n0.5,4,1\n")
    study = read_study(write(tmp_path, GPU))
    first, second = (source.make(1) for source in study.sources)
    columns = "arrival=at,prompt=in,output=out"
    told = convert(
        tmp_path / "t.csv", columns=columns, batch_time="a100", kv_capacity=32, block_size=16,
        max_num_seqs=2,
    ).instance  # fmt: skip
    assert first.gpu == told.gpu
    assert first.arrival.tolist() == told.arrival.tolist() == [0, 500_000]
    assert (first.gpu.running_requests, second.gpu.running_requests) == (2, 4)
    assert " max_num_seqs=2 " in study.sources[0].label


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"a100"', '"b100"', "batch_time: expected one of unit, .*; found 'b100'"),
        ('"a100"', "7", "batch_time: expected a string, found 7"),
        ('"a100"', '"a100", round_ms = 5', "round_ms: the affine law counts microseconds"),
        ("[2, 4]", "[2, 0]", "running_requests: expected"),
        ("[2, 4]", '"many"', "running_requests: expected"),
        ("block_size = 16", "chunked_prefill = 3", "chunked_prefill: expected"),
    ],
)
def test_settings_of_a_gpu_that_are_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text("at,in,out\n0,3,12\n")
    assert old in GPU
    with pytest.raises(InputError, match=message):
        read_study(write(tmp_path, GPU.replace(old, new)))
