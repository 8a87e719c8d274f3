"""The conformance suite passes every registered policy and catches those that break a rule."""

import random
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.online.conformance import check_policy
from batchprophet.online.mixed.policies.mc_sf import McSf
from batchprophet.online.mixed.policy import Decision, registered_policies

VARIANTS = [
    "mc-sf:skip=true",
    "mc-sf:lengths=predicted",
    "mc-sf:lengths=predicted,error=1",
    "mc-sf:lengths=interval",
    "sorted-f:lengths=predicted,error=0.5",
    "a-min:lengths=interval",
    "a-min:lengths=predicted,error=1",
    "class-budget:budget=2,lengths=predicted,error=1",
    "class-budget:lengths=interval",
    "flow-control:budget=0.3",
    "gba:lengths=predicted,error=1",
    "gsa:base=3",
    "wait:threshold=2",
    "wait:lengths=predicted,error=1",
    "nested-wait:threshold=0.4",
    "mlfq:quantum=3",
    "gittins:law=arrival-model-2",
    "alpha-greedy:alpha=0.4",
    "alpha-beta:alpha=0.1,beta=0.5",
    "vllm:max_requests=3,token_budget=30",
    "bayes:samples=2,effort=20,lengths=none",
    "bayes:samples=3,effort=20,lengths=predicted,error=0.5,law=arrival-model-2",
    "bayes:samples=1,effort=0,lengths=interval,law=arrival-model-1",
]


#: Light settings of policies that deliberate.
LIGHT = {"bayes": "bayes:samples=2,effort=30"}


@pytest.mark.parametrize(
    "spec", [*(LIGHT.get(name, name) for name in registered_policies()), *VARIANTS]
)
def test_every_registered_policy_conforms(spec):
    assert check_policy(spec, trials=40) == []


@dataclass(frozen=True)
class OneByOne:
    """Start the first waiting request when nothing runs."""

    name: ClassVar[str] = "one-by-one"
    summary: ClassVar[str] = "one at a time"
    source: ClassVar[str] = "a test"
    length_kinds: ClassVar[tuple[str, ...]] = ("exact",)

    def decide(self, observation, rng):
        return self.choose(observation, observation.waiting, rng)

    def choose(self, observation, waiting, rng):
        if observation.running or not waiting:
            return Decision()
        return Decision(start=(waiting[0].index,))


def rules(policy):
    return {finding.rule for finding in check_policy(policy)}


def test_a_simple_policy_of_a_third_party_conforms():
    assert check_policy(OneByOne) == []


@dataclass(frozen=True)
class Dice(OneByOne):
    """Draw from the generator that it is handed."""

    def choose(self, observation, waiting, rng):
        order = rng.permutation(len(waiting))
        return super().choose(observation, [waiting[j] for j in order], rng)


def test_randomness_from_the_given_generator_conforms():
    assert check_policy(Dice) == []


@dataclass(frozen=True)
class OwnDice(OneByOne):
    """Draw from elsewhere."""

    def choose(self, observation, waiting, rng):
        order = random.sample(range(len(waiting)), len(waiting))
        return super().choose(observation, [waiting[j] for j in order], rng)


def test_randomness_from_elsewhere_is_caught():
    assert "seed" in rules(OwnDice)


class Remembering(OneByOne):
    """Takes every other time the last in the queue, across simulations."""

    def __init__(self):
        object.__setattr__(self, "asked", 0)

    def choose(self, observation, waiting, rng):
        object.__setattr__(self, "asked", self.asked + 1)
        return super().choose(observation, waiting[:: -1 if self.asked % 2 else 1], rng)


def test_memory_across_simulations_is_caught():
    assert "seed" in rules(Remembering)


@dataclass(frozen=True)
class Peeking(OneByOne):
    """Waits for shorter requests of which it could not know: it looks into its caller."""

    def choose(self, observation, waiting, rng):
        frame = sys._getframe()
        while "state" not in frame.f_locals:
            frame = frame.f_back
        instance = frame.f_locals["state"]._instance
        future = instance.output[instance.arrival > observation.time]
        if waiting and np.any(future < waiting[0].longest):
            return Decision()
        return super().choose(observation, waiting, rng)


def test_looking_into_the_future_is_caught():
    assert rules(Peeking) == {"look-ahead"}


@dataclass(frozen=True)
class Overflowing(OneByOne):
    """Starts everything at once."""

    def choose(self, observation, waiting, rng):
        return Decision(start=tuple(view.index for view in waiting))


def test_overflowing_is_caught():
    (finding,) = check_policy(Overflowing)
    assert finding.rule == "decisions"
    assert "over the capacity" in finding.message


@dataclass(frozen=True)
class WrongCompiledCode(McSf):
    """Its compiled code starts everything at its arrival."""

    def run_compiled(self, instance, told, rng):
        return MixedSchedule(instance.arrival)


def test_compiled_code_that_breaks_the_rules_is_caught():
    assert {"compiled", "feasible"} <= rules(WrongCompiledCode)


@dataclass(frozen=True)
class Vandal(McSf):
    """Changes the instance that it runs on."""

    def run_compiled(self, instance, told, rng):
        instance.reward.setflags(write=True)
        instance.reward[0] += 1
        return super().run_compiled(instance, told, rng)


def test_changing_the_instance_is_caught():
    assert rules(Vandal) == {"mutation"}


def test_a_policy_without_description_is_caught():
    @dataclass(frozen=True)
    class Nameless(OneByOne):
        name: ClassVar[str] = "No Name"
        summary: ClassVar[str] = ""

    # A class inside a function does not pickle either, and has no docstring of its own.
    assert [
        (finding.rule, finding.message.split(":")[0]) for finding in check_policy(Nameless)
    ] == [
        ("description", "name"),
        ("description", "summary"),
        ("description", "Nameless has no docstring"),
        ("pickle", "Nameless does not pickle"),
    ]


def test_what_is_no_policy_is_refused():
    with pytest.raises(InputError, match=r"^policy dict: no policy, it lacks name, summary"):
        check_policy(dict)
    with pytest.raises(InputError, match=r"^trials: expected at least 1, found 0$"):
        check_policy(OneByOne, trials=0)
