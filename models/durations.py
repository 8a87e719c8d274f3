"""How long a batch takes, in whole time units, for every law."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple, TypeVar

from .batch_time import AffineTime, ConstantTime, UnitTime
from .errors import InputError
from .instance import Instance, IntArray

#: Affine durations are computed in picoseconds, of which a microsecond has this many.
PICOSECONDS = 10**6

#: Numerators of durations must fit the exact 64-bit arithmetic of the compiled code.
NUMERATOR_LIMIT = 2**62


#: One batch, or an array of batches.
Amount = TypeVar("Amount", int, IntArray)


class Durations(NamedTuple):
    """Batch times as integers: what a batch takes is a quotient, rounded up.

    A prompt batch of p prompt tokens takes ``⌈(prompt + per_prompt_token·p) / divisor⌉`` and a
    token batch of d token jobs that read kv KV tokens
    ``⌈(token + per_token_job·d + per_kv_token·kv) / divisor⌉`` time units: rounds, slots or
    microseconds. Numbers only: compiled code takes it, and its methods can be compiled.

    Attributes
    ----------
    prompt, token : int
        What every batch of the kind takes.
    per_prompt_token, per_token_job, per_kv_token : int
        What its content adds; all 0 under the unit and the constant law.
    divisor : int
        1, or `PICOSECONDS` under the affine law.

    Examples
    --------
    >>> law = durations(ConstantTime(prompt=3, token=1))
    >>> law.prompt_batch(100), law.token_batch(8, 4000)
    (3, 1)
    >>> law = durations(AffineTime(c0=9.82, c1=0.0442, c2=0.0366, c3=9.4e-5))
    >>> law.prompt_batch(100), law.token_batch(8, 4000)  # 9.82 + 4.42 ms; 9.82 + .2928 + .376 ms
    (14240, 10489)
    """

    prompt: int
    token: int
    per_prompt_token: int
    per_token_job: int
    per_kv_token: int
    divisor: int

    @property
    def is_constant(self) -> bool:
        """Whether batches take the same time whatever they hold."""
        return not (self.per_prompt_token or self.per_token_job or self.per_kv_token)

    def prompt_batch(self, p: Amount) -> Amount:
        """Time of a prompt batch of p prompt tokens."""
        return -(-(self.prompt + self.per_prompt_token * p) // self.divisor)

    def batch(self, p: int, d: int, kv: int) -> int:
        """Time of a batch of both: p prompt tokens, d token jobs that read kv KV tokens."""
        work = (self.token if d else self.prompt) + self.per_prompt_token * p
        return -(-(work + self.per_token_job * d + self.per_kv_token * kv) // self.divisor)

    def token_batch(self, d: Amount | int, kv: Amount) -> Amount:
        """Time of a token batch of d token jobs that read kv KV tokens."""
        work = self.token + self.per_token_job * d + self.per_kv_token * kv
        return -(-work // self.divisor)


def durations(law: UnitTime | ConstantTime | AffineTime) -> Durations:
    """Return a law's batch times; affine coefficients are rounded to whole picoseconds."""
    if isinstance(law, UnitTime):
        return Durations(1, 1, 0, 0, 0, 1)
    if isinstance(law, ConstantTime):
        return Durations(law.prompt, law.token, 0, 0, 0, 1)
    numbers = (law.intercept_of_prompts, law.c0, law.c1, law.c2, law.c3)
    c0_prompt, c0, c1, c2, c3 = (round(Fraction(repr(c)) * 10**9) for c in numbers)
    return Durations(c0_prompt, c0, c1, c2, c3, PICOSECONDS)


def batch_durations(instance: Instance) -> Durations:
    """Return the batch times of an instance's GPU.

    Raises
    ------
    InputError
        If a batch of all requests would take longer than exact 64-bit arithmetic can tell, or the
        instance's batches one after another.
    """
    law = durations(instance.gpu.batch_time)
    n, p, kv = instance.n, int(instance.prompt.sum()), int(instance.peak.sum())
    largest = law.prompt + law.token + law.per_prompt_token * p + law.per_token_job * n
    largest += law.per_kv_token * kv
    batches = n + int(instance.output.sum())
    if largest >= NUMERATOR_LIMIT or -(-largest // law.divisor) * batches >= NUMERATOR_LIMIT:
        raise InputError(
            f"gpu.batch_time: expected batch times whose sums stay below 2^62, found "
            f"{instance.gpu.batch_time} for {n} requests of {instance.name!r}"
        )
    return law
