"""What a policy raises: its own faults are said, an interrupt goes on up."""

import numpy as np
import pytest

from batchprophet.models.errors import PolicyError
from batchprophet.online.mixed import RequestView
from batchprophet.online.simulation import ask


class Raises:
    """A policy whose decision raises something, or is interrupted in compiled code."""

    name = "raises"

    def __init__(self, error):
        self.error = error

    def decide(self, observation, rng):
        if isinstance(self.error, KeyboardInterrupt):
            # What numba makes of an interrupt that comes while compiled code runs.
            raise SystemError("returned a result with an exception set") from self.error
        raise self.error


def test_an_interrupt_in_compiled_code_is_no_fault_of_the_policy():
    with pytest.raises(KeyboardInterrupt):
        ask(Raises(KeyboardInterrupt()), None, np.random.default_rng(0), "policy raises at 3")


def test_a_fault_of_the_policy_says_where():
    expected = r"^policy raises at 3: decide raised ZeroDivisionError \(of mine\) in "
    with pytest.raises(PolicyError, match=expected):
        ask(
            Raises(ZeroDivisionError("of mine")),
            None,
            np.random.default_rng(0),
            "policy raises at 3",
        )


def test_what_a_view_has_is_said_where_something_else_was_asked_of_it():
    class Asks:
        name = "asks"

        def decide(self, observation, rng):
            return observation.output

    view = RequestView(index=0, arrival=0, prompt=3)
    expected = r"has no attribute 'output'\) in test_simulation\.py, line \d+; it has arrival, .*"
    with pytest.raises(PolicyError, match=expected + "longest, planned, "):
        ask(Asks(), view, np.random.default_rng(0), "policy asks at 0")
    with pytest.raises(PolicyError, match=r"line \d+$"):  # nothing of ours
        ask(Asks(), 3, np.random.default_rng(0), "policy asks at 0")
