"""The library: entries verify, whatever is tampered is caught, better ones are kept."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
import zstandard

from batchprophet.cli import run
from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule
from batchprophet.models.errors import InputError
from batchprophet.models.files.instance_file import read_instance
from batchprophet.models.files.writing import write_json
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.regimes import schedule_value
from batchprophet.solvers.certificates.certificate import best_certificate
from batchprophet.solvers.certificates.mixed.combinatorial import CombinatorialBound
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.library.catalogue import DATA, Library
from batchprophet.solvers.library.entry import Entry
from batchprophet.solvers.library.record import Made, Record, read_record, write_record
from batchprophet.solvers.library.submission import submit
from batchprophet.solvers.library.verification import verify_entry
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.separate.bounds.waits_and_stalls import waits_and_stalls

SEARCHED = "separate-random-n8-s1"
CONTINUOUS, BY_PRICES = (
    "continuous-random-n5-l6-s1",
    "continuous-conversation-n20-rate40-m16384-s1",
)
TINY, LARGE, SEPARATE, CERTIFIED = (
    "arrival-model-1-n8-s1",
    "azure-conversation-n1000-rate20-s1",
    "separate-random-n6-s1",
    "separate-conversation-n100-s1",
)


@pytest.fixture
def own(tmp_path):
    return Library(own=tmp_path / "own")


def kept(own, name, **changes):
    """Put a tampered record into the user's copy."""
    own.replace(name, replace(own.record(name), **changes))


def faults(own, name):
    return verify_entry(own, name).faults


def test_the_library_has_all_sizes_and_kinds_in_little_space():
    library = Library()
    assert len(library.entries) >= 55
    assert {entry.model for entry in library.entries.values()} == {
        "mixed",
        "separate",
        "continuous",
    }
    sizes = [entry.n for entry in library.entries.values()]
    assert min(sizes) < 10
    assert max(sizes) == 20_000
    assert {path.name for path in DATA.glob("*.zst")} == {f"{n}.json.zst" for n in library.entries}
    assert sum(path.stat().st_size for path in DATA.iterdir()) <= 5_000_000


def test_every_record_can_be_read_and_is_not_contradictory():
    library = Library()
    for name in library.entries:
        record = library.record(name)
        assert 0 < record.bound <= record.value


@pytest.mark.parametrize("name", [TINY, LARGE, SEPARATE, CERTIFIED, CONTINUOUS, BY_PRICES])
def test_an_entry_of_each_kind_verifies(name):
    assert faults(Library(), name) == ()


def test_a_large_value_is_that_of_the_schedule():
    entry, record = Library().entry(LARGE), Library().record(LARGE)
    assert schedule_value(entry.instance(), record.schedule, "latency") == record.value


@pytest.mark.slow
@pytest.mark.parametrize("name", Library().entries)
def test_every_entry_verifies(name):
    assert faults(Library(), name) == ()


def test_a_tampered_schedule_is_caught(own):
    start = own.record(TINY).schedule.start.copy()
    kept(own, TINY, schedule=MixedSchedule(np.zeros_like(start)))
    (fault, *_) = faults(own, TINY)
    assert fault.startswith("schedule: KV capacity")
    start[0] += 1_000  # feasible, but later
    kept(own, TINY, schedule=MixedSchedule(start))
    (fault,) = faults(own, TINY)
    assert fault.startswith("schedule: its total latency is")
    kept(own, TINY, schedule=MixedSchedule(start[:-1]))
    (fault,) = faults(own, TINY)
    assert "8" in fault  # requests expected


def test_a_tampered_schedule_of_continuous_batching_is_caught(own, tmp_path):
    batches = list(own.record(CONTINUOUS).schedule.batches)
    for tampered, expected in (
        (batches[1:], "schedule: "),
        ([*batches, Batch(10**9, decode=(99,))], "99"),
    ):
        kept(own, CONTINUOUS, schedule=ContinuousSchedule(tampered))
        assert expected in faults(own, CONTINUOUS)[0]
    record = Library().record(CONTINUOUS).to_record()
    for batch, message in (
        ({"start": 0, "decode": [-1]}, "decode[0]: expected a request from 0"),
        ({"start": 0, "prefill": [[0, 0]]}, "expected at least 1 token"),
        ({"start": 0, "kind": "token"}, "schedule: Object contains unknown field `kind`"),
        ({"start": 2**70}, "start"),
    ):
        changed = record | {"schedule": {"batches": [batch]}}
        with pytest.raises(InputError, match=re.escape(message)):
            Record.from_record(changed)


def test_a_better_schedule_of_continuous_batching_is_kept(own):
    entry, record = own.entry(BY_PRICES), own.record(BY_PRICES)
    late = [replace(batch, start=batch.start + 1000) for batch in record.schedule.batches]
    worse = replace(record, schedule=ContinuousSchedule(late), value=record.value + 1000 * entry.n)
    own.replace(BY_PRICES, worse)
    assert faults(own, BY_PRICES) == ()
    accepted = submit(own, BY_PRICES, schedule=record.schedule)
    assert accepted.lines == (f"schedule: total latency {record.value}, before {worse.value}",)
    assert own.record(BY_PRICES).value == record.value


def test_a_tampered_value_is_caught(own):
    record = own.record(TINY)
    kept(own, TINY, value=record.value - 1)
    assert faults(own, TINY) == (
        f"schedule: its total latency is {record.value}, not the {record.value - 1} that is "
        "claimed",
    )


def test_a_tampered_bound_is_caught(own):
    bound = own.record(LARGE).bound
    kept(own, LARGE, bound=bound + 1)
    assert faults(own, LARGE) == (f"bound: {bound + 1} is claimed, the certificate is of {bound}",)
    raised = replace(own.record(LARGE).proof, bound=bound + 1)
    kept(own, LARGE, proof=raised)
    assert faults(own, LARGE) == (
        f"bound: the proof gives {bound} at most, not the bound {bound + 1} that is claimed",
    )


def test_a_bound_above_the_schedule_is_caught(own):
    record = own.record(TINY)
    raised = replace(record.proof, bound=record.value + 1)
    kept(own, TINY, bound=record.value + 1, proof=raised)
    (fault,) = faults(own, TINY)
    assert "contradicts the schedule" in fault


def test_a_tampered_proof_is_caught(own):
    certificate = own.record(LARGE).proof
    cheaper = tuple(price // 2 for price in certificate.proof.prices)
    kept(own, LARGE, proof=replace(certificate, proof=replace(certificate.proof, prices=cheaper)))
    (fault,) = faults(own, LARGE)
    assert fault.startswith("bound: the proof gives")


def test_a_certificate_of_another_instance_is_caught(own):
    other = own.record("arrival-model-1-n8-s2")
    kept(own, TINY, proof=other.proof, bound=other.bound)
    (fault, *_) = faults(own, TINY)
    assert "the certificate is another instance's" in fault


def test_a_tampered_bound_of_separate_batching_is_caught(own):
    record = own.record(SEPARATE)
    more = record.value + 1
    kept(own, SEPARATE, bound=more)
    (fault,) = faults(own, SEPARATE)
    assert fault == f"bound: {more} is claimed, the certificate is of {record.bound}"
    kept(own, SEPARATE, bound=more, proof=replace(record.proof, bound=more))
    (fault,) = faults(own, SEPARATE)
    assert "not the bound" in fault or "contradicts" in fault, fault
    searched = own.record(SEARCHED)
    assert searched.proof.proof.kind == "walk-search"
    bolder = replace(searched.proof.proof, value=searched.value + 1)
    proof = replace(searched.proof, bound=bolder.value, proof=bolder)
    kept(own, SEARCHED, bound=bolder.value, proof=proof)
    (fault,) = faults(own, SEARCHED)
    assert fault.startswith("bound: "), fault


def test_a_damaged_file_is_caught(own):
    path = own.replace(TINY, own.record(TINY))
    path.write_bytes(path.read_bytes()[:-9])
    (fault,) = faults(own, TINY)
    assert fault.startswith(f"{TINY}.json.zst: damaged")
    path.write_bytes(zstandard.compress(b'{"value": 1'))
    (fault,) = faults(own, TINY)
    assert "not valid JSON" in fault


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"digest": "0" * 64}, "digest: expected 000000000000…"),
        ({"source": {"family": "arrival-model-1", "seed": 7, "settings": {"n": 8}}}, "digest:"),
        ({"source": {"family": "nix", "seed": 1, "settings": {}}}, "family: expected one of"),
    ],
)
def test_a_tampered_catalogue_is_caught(tmp_path, change, fault):
    shutil.copytree(DATA, tmp_path / "data")
    path = tmp_path / "data" / "catalogue.json"
    document = json.loads(path.read_text())
    (entry,) = (each for each in document["entries"] if each["name"] == TINY)
    entry.update(change)
    path.write_text(json.dumps(document))
    (found,) = faults(Library(data=tmp_path / "data"), TINY)
    assert found.startswith(fault)


def test_records_and_entries_survive_their_files(tmp_path):
    for name in (TINY, SEPARATE):
        record, entry = Library().record(name), Library().entry(name)
        write_record(record, tmp_path / "record")
        again = read_record(tmp_path / "record")
        assert again.to_record() == record.to_record()
        assert Entry.from_record(entry.to_record()) == entry


def test_an_unknown_key_is_refused():
    record = Library().record(TINY).to_record() | {"colour": 1}
    with pytest.raises(InputError, match="colour: unknown key"):
        Record.from_record(record)


@pytest.fixture
def worse(own):
    """A copy in which the tiny entry has a worse schedule and a worse bound."""
    instance, record = own.entry(TINY).instance(), own.record(TINY)
    schedule = list_schedule(instance, -instance.output)
    weak = best_certificate(
        instance,
        "latency",
        [(int(instance.output.sum()), CombinatorialBound(name="starts at arrival"))],
    )
    value = schedule_value(instance, schedule, "latency")
    assert value > record.value
    assert weak.bound < record.bound
    kept(own, TINY, schedule=schedule, value=value, proof=weak, bound=weak.bound)
    assert faults(own, TINY) == ()
    return own


def test_a_better_schedule_and_bound_are_kept(worse):
    best = Library().record(TINY)
    accepted = submit(worse, TINY, schedule=best.schedule, by="a test")
    assert accepted.lines[0].startswith(f"schedule: total latency {best.value}, before")
    submit(worse, TINY, certificate=best.proof, by="another")
    found = worse.record(TINY)
    assert (found.value, found.bound) == (best.value, best.bound)
    assert (found.schedule_by, found.bound_by) == ("a test", "another")
    assert faults(worse, TINY) == ()


def test_what_is_not_better_or_does_not_hold_is_refused(worse):
    best, before = Library().record(TINY), worse.record(TINY)
    n = worse.entry(TINY).n
    tries = (
        ({}, "expected a schedule, a certificate or both, found neither"),
        ({"schedule": before.schedule}, f"expected a total latency below {before.value}"),
        ({"schedule": MixedSchedule([0] * n)}, "submit: schedule: KV capacity"),
        ({"schedule": Library().record(SEPARATE).schedule}, "expected one of mixed batching"),
        ({"certificate": before.proof}, f"expected a bound above {before.bound}"),
        ({"certificate": replace(before.proof, bound=best.bound)}, "the proof gives"),
        ({"certificate": replace(best.proof, bound=10**6)}, "contradicts the schedule"),
    )
    for submission, message in tries:
        with pytest.raises(InputError, match=message):
            submit(worse, TINY, **submission)
        assert worse.record(TINY).to_record() == before.to_record()


def test_the_commands(worse, tmp_path, capsys):
    mine = ["--library", str(worse.own)]
    assert run(["library", "get", TINY, "--out", str(tmp_path / "got")]) == 0
    got = [str(tmp_path / "got" / f"{n}.json") for n in ("instance", "solution", "certificate")]
    assert read_instance(got[0]).n == 8
    assert run(["check", got[0], got[1], "--bound", got[2]]) == 0
    words = ["library", "submit", TINY, "--schedule", got[1], "--bound", got[2], *mine]
    assert run(words) == 0
    capsys.readouterr()
    assert run(words) == 2
    assert "expected a total latency below" in capsys.readouterr().err
    assert run(["library", "verify", TINY, *mine]) == 0
    assert "1 of 1 verified" in capsys.readouterr().out
    assert run(["library", "list", "--group", "published", "--json", *mine]) == 0
    (listed, *_) = json.loads(capsys.readouterr().out)["entries"]
    assert (listed["name"], listed["own"]) == (TINY, True)


def test_the_command_says_what_does_not_hold(own, capsys):
    kept(own, TINY, value=own.record(TINY).value + 1)
    assert run(["library", "verify", TINY, LARGE, "--library", str(own.own)]) == 1
    printed = capsys.readouterr().out
    assert f"FAULT  {TINY}" in printed
    assert "schedule: its total latency is" in printed
    assert "1 of 2 verified" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["get", "arrival-model-1-n8"], "did you mean arrival-model-1-n8-s"),
        (["list", "--group", "zzz"], "group: expected a part of one of published law"),
        (["submit", TINY], "expected a schedule, a certificate or both"),
    ],
)
def test_bad_usage_is_refused(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["library", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_schedule_of_another_size_is_refused(tmp_path, capsys):
    write_json({"model": "mixed", "schedule": {"start": [0]}}, tmp_path / "one.json")
    words = ["library", "submit", TINY, "--schedule", str(tmp_path / "one.json")]
    assert run([*words, "--library", str(tmp_path / "own")]) == 2
    assert "expected 8 starts" in capsys.readouterr().err
    assert not (tmp_path / "own").exists()


def test_a_certificate_of_separate_batching_can_be_submitted(tmp_path):
    own = Library(own=tmp_path / "own")
    best = own.record(CERTIFIED)
    instance = own.entry(CERTIFIED).instance()
    weak = waits_and_stalls(instance, 0)
    proof = best_certificate(instance, "latency", [(weak.bound, weak.proof)])
    kept(own, CERTIFIED, bound=weak.bound, proof=proof, bound_by="waits-and-stalls")
    submit(own, CERTIFIED, certificate=best.proof, by="a test")
    assert own.record(CERTIFIED).bound == best.bound > weak.bound
    assert faults(own, CERTIFIED) == ()


# ---------------------------------------------------------------- quick proofs, and records' age


@pytest.mark.slow
def test_a_quick_proof_stands_in_for_one_that_takes_long(own, capsys):
    record = own.record(CERTIFIED)
    instance = own.entry(CERTIFIED).instance()
    quick = waits_and_stalls(instance, 0)
    weak = best_certificate(instance, "latency", [(quick.bound, quick.proof)])
    beyond = replace(record.proof, bound=record.bound + 1)
    # The best proof is false here: as a shipped record it is looked at in full only, and the
    # verdict says so; among one's own records a false one is found at once.
    kept(own, CERTIFIED, quick=weak, proof=beyond, bound=record.bound + 1)
    shipped = Library(data=own.own.parent / "shipped")
    shutil.copytree(DATA, shipped.data)
    shutil.copy(own.own / f"{CERTIFIED}.json.zst", shipped.data)
    verdict = verify_entry(shipped, CERTIFIED)
    assert (verdict.faults, verdict.quick) == ((), quick.bound)
    verdict = verify_entry(shipped, CERTIFIED, full=True)
    assert verdict.quick is None
    for fault in (*verdict.faults, *faults(own, CERTIFIED)):
        assert fault.startswith("bound: the proof gives")
    assert len(verdict.faults) == len(faults(own, CERTIFIED)) == 1
    # Nor may a quick one claim more than it proves, or be of another objective.
    kept(own, CERTIFIED, quick=replace(weak, bound=weak.bound + 1))
    assert any(fault.startswith("quick bound: the proof gives") for fault in faults(own, CERTIFIED))
    folder = ["--library", str(own.own)]
    assert run(["library", "verify", CERTIFIED, *folder]) == 1
    assert "quick bound" in capsys.readouterr().out
    kept(own, CERTIFIED, quick=weak, proof=record.proof, bound=record.bound)
    assert run(["library", "verify", CERTIFIED, "--full", *folder]) == 0
    out = own.own / "got"
    assert run(["library", "get", CERTIFIED, "--out", str(out), *folder]) == 0
    assert (out / "certificate-quick.json").exists()
    capsys.readouterr()


def test_a_claim_beyond_the_schedule_is_refused_without_its_proof(own):
    record = own.record(CERTIFIED)
    raised = replace(record.proof, bound=record.value + 1)
    kept(own, CERTIFIED, proof=raised, bound=record.value + 1, quick=record.proof)
    assert faults(own, CERTIFIED)[0] == (
        f"bound: {record.value + 1} contradicts the schedule, whose latency is {record.value}"
    )


def test_records_say_when_and_with_what_they_were_made(own):
    made = Made.now("solve --time-limit 300")
    assert (made.version, len(made.date)) == (version("batchprophet"), 10)
    kept(own, TINY, schedule_made=made, bound_made=made)
    assert own.record(TINY).bound_made == made


def test_records_of_the_first_version_are_read(own):
    record = own.record(TINY).to_record() | {"version": 1}
    for key in ("schedule_made", "bound_made", "quick"):
        del record[key]
    old = Record.from_record(record)
    assert (old.quick, old.bound_made) == (None, Made())
    with pytest.raises(InputError, match=r"^quick: unknown key"):
        Record.from_record(record | {"quick": None})


OPEN = [
    name
    for name, entry in Library().entries.items()
    if not Library().record(name).optimal and entry.n <= 1000
]


@pytest.mark.slow
@pytest.mark.parametrize("name", OPEN)
def test_no_minute_of_solving_beats_a_record_by_a_percent(name):
    entry, record = Library().entry(name), Library().record(name)
    found = solve(entry.instance(), model=entry.model, time_limit=60)
    assert found.objective >= 0.99 * record.value
    assert found.certificate.bound <= 1.01 * record.bound
