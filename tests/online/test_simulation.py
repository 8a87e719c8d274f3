"""What a policy raises: its own faults are said, an interrupt goes on up."""

import numpy as np
import pytest

from batchprophet.models.errors import PolicyError
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
