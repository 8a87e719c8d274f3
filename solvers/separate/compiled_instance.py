"""The batch-time law, compiled; what takes it is a `Problem`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from ...models.durations import Durations
from ...models.separate.problem import Problem, separate_problem

#: The types that numba declares know no generic functions.
_compiled: Callable[[Callable[..., Any]], Callable[..., int]] = njit(cache=True, nogil=True)

prompt_time = _compiled(Durations.prompt_batch)
token_time = _compiled(Durations.token_batch)

#: The problem by the names that it had.
Machine = Problem
machine_of = separate_problem
