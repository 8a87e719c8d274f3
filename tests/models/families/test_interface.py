"""Conformity of all families: determinism, names, provenance, settings, messages."""

import json

import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families import FAMILIES, make_instance
from batchprophet.models.files.instance_file import encode_instance, read_instance, write_instance
from batchprophet.models.instance import Instance

ADVERSARIES = {"sqrt-adversary", "fcfs-breaker", "shortest-output-breaker", "limit-cycle"}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_gives_the_same_bytes(name):
    one, other = (encode_instance(make_instance(name, seed=11)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("name", FAMILIES)
def test_other_seeds_give_other_requests_unless_nothing_is_random(name):
    one, other = (
        make_instance(name, seed=seed).replace(name="", provenance=None) for seed in (1, 2)
    )
    assert (one == other) == (name in ADVERSARIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_instances_say_where_they_come_from_and_can_be_made_again(name, tmp_path):
    instance = make_instance(name, seed=100)
    assert instance.name == f"{name}-seed100"
    made = instance.provenance
    assert made["family"] == name
    again = make_instance(made["family"], seed=made["seed"], settings=made["settings"])
    assert again.replace(name=instance.name) == instance
    write_instance(instance, tmp_path / "instance.json")
    assert read_instance(tmp_path / "instance.json") == instance
    assert json.loads(json.dumps(dict(made))) == made


@pytest.mark.parametrize("name", FAMILIES)
def test_every_setting_is_described_and_takes_its_default_as_text(name):
    family = FAMILIES[name]
    assert family.name == name
    assert family.description
    assert family.source
    assert "\n" not in family.description
    for setting in family.settings:
        assert setting.description
        if setting.default is not None:
            assert setting.read(str(setting.default)) == setting.default


def made_or_refusal(name, settings):
    try:
        return make_instance(name, settings=settings)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_ends_of_every_range_make_an_instance_or_a_clear_error(name):
    small = {} if name in ADVERSARIES else {"n": 2}
    for setting in FAMILIES[name].settings:
        for value in setting.choices or (setting.low, setting.high):
            # 10^7 and more requests are allowed, but not in a test.
            size = setting.name in ("n", "rounds") or (name in ADVERSARIES and setting.name != "b")
            if size and value == setting.high:
                continue
            made = made_or_refusal(name, {**small, setting.name: value})
            assert isinstance(made, Instance) or made.startswith(f"{name}: ")


def test_text_and_values_mean_the_same():
    as_text = make_instance("azure-code", settings={"n": "12", "rate": "2", "lengths": "lognormal"})
    as_values = make_instance("azure-code", settings={"n": 12, "rate": 2, "lengths": "lognormal"})
    assert as_text == as_values
    assert as_text.name == "azure-code-seed0-n=12-rate=2.0-lengths=lognormal"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "arrival-model-3",
            {},
            "family: expected one of arrival-model-1, arrival-model-2, azure-conversation, "
            "azure-code, lognormal-burst, sqrt-adversary, fcfs-breaker, shortest-output-breaker, "
            "limit-cycle, separate-random, separate-conversation, "
            "continuous-random, continuous-conversation; "
            "found 'arrival-model-3'; did you mean arrival-model-2?",
        ),
        (
            "arrival-model-1",
            {"m": 3},
            "arrival-model-1: expected settings among n, kv_capacity, running_requests, "
            "batch_tokens; found 'm'",
        ),
        *[
            (
                "arrival-model-1",
                {"n": value},
                f"arrival-model-1: n: expected an integer from 1 to 100,000,000, found {value!r}",
            )
            for value in ("", "x", "3.0", "1e3", "0", " 3", "9" * 20, 3.0, True, None, 10**30)
        ],
        *[
            (
                "azure-code",
                {"rate": value},
                f"azure-code: rate: expected a number from 0.001 to 1,000,000, found {value!r}",
            )
            for value in ("", "x", "nan", "inf", "-1", "0", float("nan"), True, None)
        ],
        (
            "azure-code",
            {"arrivals": "burst"},
            "azure-code: arrivals: expected one of poisson, mmpp, found 'burst'",
        ),
        (
            "azure-code",
            {"kv_capacity": 8},
            "azure-code: kv_capacity: expected at least about one in a hundred requests of these "
            "lengths to fit, found hardly any that fit in 8",
        ),
        (
            "arrival-model-2",
            {"n": 1000},
            "arrival-model-2: n: expected at most the 46 requests that this seed draws, found "
            "1000; take another seed, more rounds or a higher rate",
        ),
        (
            "fcfs-breaker",
            {"kv_capacity": 10**6, "blocks": 1000},
            "fcfs-breaker: blocks: expected at most 10^8 requests, found 1000 blocks of 500001",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(name, settings, message):
    with pytest.raises(InputError) as caught:
        make_instance(name, settings=settings)
    assert str(caught.value) == message


@pytest.mark.parametrize("seed", [-1, 1.0, True, None, "x"])
def test_seeds_are_integers_of_at_least_zero(seed):
    with pytest.raises(InputError, match=r"^seed: expected an integer from 0 to "):
        make_instance("arrival-model-1", seed=seed)
