"""What is written is read back; what is not exactly the format is refused in one clear line."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchprophet.models import files
from batchprophet.models.batch_time import AffineTime, ConstantTime, UnitTime
from batchprophet.models.disk import write_atomically
from batchprophet.models.errors import InputError
from batchprophet.models.files import instance_file
from batchprophet.models.files.instance_file import encode_instance, read_instance, write_instance
from batchprophet.models.files.solution_file import read_schedule, schedule_record
from batchprophet.models.files.writing import write_json
from batchprophet.models.instance import NO_DEADLINE, Gpu, Instance
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from batchprophet.models.separate.schedule import Batch, SeparateSchedule
from batchprophet.solvers.certificates.file import read_certificate
from tests.strategies import instances, schedules
from tests.tiny_separate import random_schedule, tiny_separate

DOCUMENT = {
    "format": "batchprophet-instance",
    "version": 1,
    "name": "by hand",
    "gpu": {"kv_capacity": 9},
    "requests": [
        {"arrival": 0, "prompt": 3, "output": 4},
        {"arrival": 2, "prompt": 1, "output": 2},
    ],
}


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_round_trip(data, tmp_path_factory):
    plain = data.draw(instances())
    n = plain.n
    law = data.draw(
        st.sampled_from(
            [UnitTime(), ConstantTime(prompt=3, token=1), AffineTime(c0=9.82, c1=0.1, c2=0, c3=0)]
        )
    )
    value = st.floats(0, 1e6)
    low = data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    wider = [x and x + data.draw(st.integers(0, 3)) for x in low]
    instance = plain.replace(
        gpu=Gpu(kv_capacity=plain.gpu.kv_capacity, token_batch_requests=4, batch_time=law),
        reward=data.draw(st.lists(value, min_size=n, max_size=n)),
        weight=data.draw(st.lists(value, min_size=n, max_size=n)),
        penalty=data.draw(st.lists(value, min_size=n, max_size=n)),
        deadline=[NO_DEADLINE if x == 0 else x for x in low],
        predicted_low=low,
        predicted_high=wider,
        id=[f"request {i} ü" for i in range(n)],
        label=[data.draw(st.sampled_from(["", "chat", "code"])) for _ in range(n)],
        horizon=data.draw(st.none() | st.integers(1, 99)),
        provenance={"seed": 3, "from": ["a", None]},
    )
    path = tmp_path_factory.mktemp("files") / "instance.json"
    write_instance(instance, path)
    again = read_instance(path)
    # A file says nothing where nothing differs: all-default columns come back as absent.
    if not any(low):
        instance = instance.replace(predicted_low=None, predicted_high=None, deadline=None)
    if instance.label is not None and not any(instance.label):
        instance = instance.replace(label=None)
    assert again == instance
    assert encode_instance(again) == path.read_bytes()


def test_the_documented_form_is_read(tmp_path):
    path = tmp_path / "instance.json"
    document = DOCUMENT | {
        "gpu": {
            "kv_capacity": 47, "prompt_batch_requests": None, "prompt_batch_tokens": None,
            "token_batch_requests": None, "batch_time": {"law": "unit"},
        },
        "requests": [
            {"id": "r0", "arrival": 0, "prompt": 3, "output": 12, "reward": 1.0, "class": "chat",
             "weight": 2, "penalty": 0.5, "deadline": 40, "predicted": [10, 14]},
            {"arrival": 1, "prompt": 3, "output": 12, "predicted": 9},
        ],
        "horizon": 60,
    }  # fmt: skip
    path.write_text(json.dumps(document))
    assert read_instance(path) == Instance(
        gpu=Gpu(kv_capacity=47), arrival=[0, 1], prompt=[3, 3], output=[12, 12], weight=[2, 1],
        penalty=[0.5, 1], deadline=[40, NO_DEADLINE], predicted_low=[10, 9],
        predicted_high=[14, 9], id=["r0", "r1"], label=["chat", ""], horizon=60, name="by hand",
    )  # fmt: skip


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_schedule_round_trip(data, tmp_path_factory):
    instance = data.draw(instances())
    schedule = data.draw(schedules(instance))
    path = tmp_path_factory.mktemp("files") / "schedule.json"
    write_json({"model": "mixed", "schedule": schedule_record(schedule)}, path)
    assert read_schedule(path, instance) == schedule


def test_many_requests_are_written_piece_by_piece(tmp_path, monkeypatch):
    instance = Instance(
        gpu=Gpu(kv_capacity=9), arrival=range(7), prompt=[1] * 7, output=[2] * 7, weight=range(7)
    )
    whole = encode_instance(instance)
    monkeypatch.setattr(instance_file, "_PIECE", 3)
    write_instance(instance, tmp_path / "instance.json")
    assert (tmp_path / "instance.json").read_bytes() == whole
    assert read_instance(tmp_path / "instance.json") == instance


def with_request(**changes):
    return DOCUMENT | {"requests": [DOCUMENT["requests"][0] | changes]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "expected a batchprophet-instance file, found an empty file"),
        ("[]", "expected a JSON object, found an array"),
        ('{"format": ', "line 1, column 12: not valid JSON (Expecting value)"),
        ('{"format": "x", "format": "y"}',
         "not valid JSON (key 'format' appears more than once in one object)"),
        (DOCUMENT | {"format": "other"}, "format: expected 'batchprophet-instance', found 'other'"),
        (DOCUMENT | {"version": 2}, "version: expected 1, found 2"),
        (DOCUMENT | {"version": True}, "version: expected 1, found True"),
        ({"version": 1}, "object missing required field format"),
        (DOCUMENT | {"colour": 1}, "object contains unknown field colour"),
        (DOCUMENT | {"requests": []}, "requests: expected at least one request, found none"),
        (
            with_request(promt=3),
            "requests[0]: object contains unknown field promt; did you mean prompt?",
        ),
        (with_request(prompt=3.0), "requests[0].prompt: expected int, found 3.0"),
        (with_request(prompt=True), "requests[0].prompt: expected int, found true"),
        (with_request(prompt="3"), 'requests[0].prompt: expected int, found "3"'),
        (with_request(prompt=float("nan")), "not valid JSON (numbers must be finite, found NaN)"),
        (
            with_request(reward=float("inf")),
            "not valid JSON (numbers must be finite, found Infinity)",
        ),
        (
            with_request(arrival=2**70),
            "requests[0].arrival: expected an integer from 0 to 2^62, found "
            "1180591620717411303424",
        ),
        (
            json.dumps(with_request(reward=7)).replace("7", "1e999"),
            "requests[0].reward: expected a finite number, found a larger one",
        ),
        (with_request(predicted=[3, 2]), "requests[0].predicted: expected 1 ≤ low ≤ high, found "
         "(3, 2)"),
        (
            with_request(predicted=[3]),
            "requests[0].predicted: expected array of length 2, found [3]",
        ),
        (
            DOCUMENT | {"gpu": {"kv_capacity": 9, "batch_time": {"law": "cubic"}}},
            "gpu.batch_time.law: expected unit, constant or affine, found 'cubic'",
        ),
        (
            DOCUMENT | {"gpu": {"kv_capacity": None}},
            "gpu.kv_capacity: expected int, found null",
        ),
    ],
)  # fmt: skip
def test_refusals(document, message, tmp_path):
    path = tmp_path / "instance.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(InputError) as refused:
        read_instance(path)
    assert str(refused.value) == f"{path}: {message}"


def test_a_key_that_stands_twice_among_many_is_refused_at_once(tmp_path):
    # The same check of instances and certificates, in linear time: minutes if it were quadratic.
    keys = [f"k{i}" for i in range(200_000)]
    path = tmp_path / "many.json"
    path.write_text("{" + ",".join(f'"{key}":0' for key in [*keys, keys[-1]]) + "}")
    began = time.perf_counter()
    for read in (files.read_instance, read_certificate):
        with pytest.raises(InputError, match=r"key 'k199999' appears more than once in one object"):
            read(path)
    assert time.perf_counter() - began < 20


def test_bytes_that_are_not_text(tmp_path):
    path = tmp_path / "instance.json"
    path.write_bytes(b'{"format":\n"\xff"}')
    with pytest.raises(InputError, match="line 2: expected UTF-8 text, found byte 0xff"):
        read_instance(path)


def test_a_schedule_of_another_instance(tmp_path):
    path = tmp_path / "schedule.json"
    path.write_text('{"model": "mixed", "schedule": {"start": [0]}}')
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    with pytest.raises(InputError) as refused:
        read_schedule(path, instance)
    assert str(refused.value) == (
        f"{path}: schedule.start: expected 2 starts, one per request of 'instance', found 1"
    )


def separate_document(batch):
    whole = {"kind": "prompt", "start": 0, "requests": [0, 1]} | batch
    return {"model": "separate", "schedule": {"batches": [whole]}}


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_separate_schedule_round_trip(tmp_path_factory, seed):
    instance = tiny_separate(seed)
    schedule = random_schedule(instance, seed)
    path = tmp_path_factory.mktemp("files") / "schedule.json"
    write_json({"model": "separate", "schedule": schedule_record(schedule)}, path)
    assert read_schedule(path, instance) == schedule


def test_batches_may_come_in_any_order_and_violate_rules(tmp_path):
    late, early = Batch("token", 5, (1, 1)), Batch("prompt", -2, ())
    path = tmp_path / "schedule.json"
    record = schedule_record(SeparateSchedule([late, early]))
    record["batches"].reverse()
    write_json({"model": "separate", "schedule": record}, path)
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    assert read_schedule(path, instance).batches == (early, late)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"model": "best", "schedule": {}},
            "model: expected mixed, separate or continuous, found 'best'",
        ),
        ({"schedule": {"batches": []}}, "object missing required field model"),
        ({"model": "separate"}, "object missing required field schedule"),
        (
            {"model": "separate", "schedule": {"start": [0, 4]}},
            "schedule: object contains unknown field start",
        ),
        (
            {"model": "mixed", "schedule": {"batches": []}},
            "schedule: object contains unknown field batches",
        ),
        (
            separate_document({"kind": "decode"}),
            "schedule.batches[0].kind: invalid enum value 'decode'",
        ),
        (
            separate_document({"end": 3}),
            "schedule.batches[0]: object contains unknown field end",
        ),
        (
            separate_document({"requests": [0, 2]}),
            "schedule.batches[0].requests[1]: expected a request from 0 to 1 of 'instance', "
            "found 2",
        ),
        (
            separate_document({"requests": [-1]}),
            "schedule.batches[0].requests[0]: expected a request from 0 to 1 of 'instance', "
            "found -1",
        ),
        (
            separate_document({"requests": [1.0]}),
            "schedule.batches[0].requests[0]: expected int, found 1.0",
        ),
        (
            separate_document({"start": 2**62}),
            "schedule.batches[0].start: expected a time below 2^62, found 4611686018427387904",
        ),
    ],
)
def test_separate_schedules_that_are_refused(document, message, tmp_path):
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    path = tmp_path / "schedule.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as refused:
        read_schedule(path, instance)
    assert str(refused.value) == f"{path}: {message}"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "kept.json"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_into_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        write_atomically(tmp_path / "missing" / "file.json", b"new")


def test_evicted_runs_are_ordered():
    later, earlier = Eviction(0, 5, 6), Eviction(1, 2, 4)
    assert MixedSchedule([7, 7], [later, earlier]).evicted == (earlier, later)
