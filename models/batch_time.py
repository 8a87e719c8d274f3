"""Batch-time laws: how long the GPU takes for one batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from .errors import InputError

#: In milliseconds: what is no longer than this rounds to no time at all.
HALF_PICOSECOND = 5e-10


@dataclass(frozen=True, slots=True)
class UnitTime:
    """Every batch takes one round, whatever it holds ("stable environment").

    Times are rounds. The law of mixed batching (model/mixed.md §1; arXiv 2502.07115, §2); under
    separate batching it means ``τ_P = τ_D = 1``.

    Examples
    --------
    >>> UnitTime().time_unit
    'round'
    """

    name: ClassVar[str] = "unit"
    time_unit: ClassVar[str] = "round"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantTime:
    """A prompt batch takes τ_P slots and a token batch τ_D slots, whatever they hold.

    Parameters
    ----------
    prompt : int
        τ_P ≥ 1, in slots.
    token : int
        τ_D ≥ 1, in slots.

    Raises
    ------
    InputError
        If a time is not an integer of at least 1.

    Examples
    --------
    >>> ConstantTime(prompt=3, token=1).prompt
    3
    """

    prompt: int
    token: int

    name: ClassVar[str] = "constant"
    time_unit: ClassVar[str] = "slot"

    def __post_init__(self) -> None:
        for field, value in (("prompt", self.prompt), ("token", self.token)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**12:
                raise InputError(
                    f"gpu.batch_time.{field}: expected an integer from 1 to 10^12, found {value!r}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class AffineTime:
    """A batch takes ``c0 + c1·p + c2·d + c3·kv`` milliseconds (docs/model/index.md §1).

    A batch of prompts only takes ``c0_prompt + c1·p`` where it has an intercept of its own.

    ``p`` is the number of new prompt tokens, ``d`` the number of token jobs and ``kv`` the number
    of KV tokens read. Durations are rounded up to whole microseconds and arrivals are whole
    microseconds, so that times stay integers.

    Parameters
    ----------
    c0 : float
        Milliseconds per batch, > 5·10⁻¹⁰: coefficients count in whole picoseconds, rounded.
    c1, c2, c3 : float
        Milliseconds per prompt token, per token job, per KV token read; each ≥ 0.
    c0_prompt : float, optional
        Milliseconds per batch of prompts only, in place of c0, > 5·10⁻¹⁰. Measured intercepts of
        prompt and token batches differ by 2 to 19 times (arXiv 2606.00516).

    Raises
    ------
    InputError
        If a coefficient is not a finite number in its range.

    Examples
    --------
    >>> AffineTime(c0=9.82, c1=0.0442, c2=0.0366, c3=9.4e-5).time_unit
    'microsecond'
    """

    c0: float
    c1: float
    c2: float
    c3: float
    c0_prompt: float | None = None

    name: ClassVar[str] = "affine"
    time_unit: ClassVar[str] = "microsecond"

    def __post_init__(self) -> None:
        own = () if self.c0_prompt is None else ("c0_prompt",)
        for field in ("c0", "c1", "c2", "c3", *own):
            value = getattr(self, field)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < 0 or value > 1e9:
                raise InputError(
                    f"gpu.batch_time.{field}: expected a number of milliseconds from 0 to 10^9, "
                    f"found {value!r}"
                )
            object.__setattr__(self, field, float(value))
        for field in ("c0", *own):
            value = getattr(self, field)
            if value <= HALF_PICOSECOND:
                raise InputError(
                    f"gpu.batch_time.{field}: expected more than half a picosecond, 5e-10 ms (a "
                    f"batch takes time, and whole picoseconds count), found {value:g}"
                )

    @property
    def intercept_of_prompts(self) -> float:
        """Milliseconds per batch of prompts only: c0_prompt, or c0 where there is none."""
        return self.c0 if self.c0_prompt is None else self.c0_prompt


BatchTime = UnitTime | ConstantTime | AffineTime
