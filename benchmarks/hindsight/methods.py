"""The methods by name: each gets a `case.Case` and returns a certified solution.

Those of mixed batching are in `mixed_methods`, those of separate batching, whose names begin with
``separate-``, in `separate_methods`. A method that finds no schedule of its own keeps the warm
start.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import mixed_methods
import separate_methods
from case import Case

from batchprophet.models import AffineTime, InputError, Instance, Schedule
from batchprophet.models.mixed import require_mixed
from batchprophet.models.separate import require_separate
from batchprophet.solvers import Solution

#: Methods by name.
METHODS: Mapping[str, Callable[[Case], Solution]] = MappingProxyType(
    {**mixed_methods.METHODS, **separate_methods.METHODS}
)

_SHORT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {**mixed_methods.SHORT, **separate_methods.SHORT}
)

#: What is run where no methods are named.
DEFAULT = "mixed"


def model_of(method: str) -> str:
    """Return the regime of a method: "mixed" or "separate"."""
    return "separate" if method in separate_methods.METHODS else "mixed"


def first_schedule(instance: Instance, model: str) -> Schedule:
    """Return the best list schedule of a regime: what every method starts from."""
    if model == "separate":
        return separate_methods.first_schedule(instance)
    return mixed_methods.first_schedule(instance)


def require_suitable(instance: Instance, methods: Sequence[str]) -> None:
    """Refuse an instance that one of the methods does not take.

    Raises
    ------
    InputError
        If mixed batching cannot express it, or batch times depend on the composition and a method
        takes the unit and the constant law only.
    """
    for method in methods:
        if model_of(method) == "mixed":
            require_mixed(instance)
            continue
        require_separate(instance)
        affine = isinstance(instance.gpu.batch_time, AffineTime)
        if affine and method not in separate_methods.ANY_LAW:
            raise InputError(
                f"--methods: {method} takes the unit and the constant law, found the affine law "
                f"in {instance.name!r}; use {', '.join(separate_methods.ANY_LAW)}"
            )


def parse_methods(text: str) -> list[str]:
    """Parse a list of methods separated by commas.

    Raises
    ------
    InputError
        If a method is unknown, the methods are of two regimes, or CP-SAT is asked for and not
        installed.
    """
    names = list(dict.fromkeys(_full_names(text)))
    if len(set(map(model_of, names))) > 1:
        raise InputError(
            "--methods: expected methods of one regime (those of separate batching begin with "
            f"separate-), found {text!r}"
        )
    if any(map(is_cp_sat, names)) and importlib.util.find_spec("ortools") is None:
        raise InputError(
            "--methods: CP-SAT needs ortools, which is not installed; install the extra "
            '"batchprophet[benchmarks]" or leave cp-sat out of --methods'
        )
    return names


def is_cp_sat(method: str) -> bool:
    """Whether a method is one of CP-SAT's."""
    return "cp-sat" in method


def _full_names(text: str) -> Iterator[str]:
    for word in text.split(","):
        name = word.strip()
        if name not in METHODS and name not in _SHORT:
            known = ", ".join([*_SHORT, *METHODS])
            raise InputError(f"--methods: expected some of {known}; found {name!r}")
        yield from _SHORT.get(name, (name,))
