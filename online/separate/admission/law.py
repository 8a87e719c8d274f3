"""The law of an admission problem: types of requests, their arrivals, and the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ....models.errors import InputError
from ....models.instance import Gpu, Instance, IntArray

#: In the place of a limit that there is not, for compiled code.
UNLIMITED = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLaw:
    """Requests of a few types that arrive at a separate-batching GPU (docs/model/coupling.md §3).

    In every slot t = 0 … T − 1 a Poisson number of requests of each type arrives. Each is accepted
    or rejected for good at once. A request that is accepted and complete by T earns its reward;
    one that is accepted and not complete costs its penalty.

    Parameters
    ----------
    rates : tuple of Fraction
        Mean arrivals per slot by type, > 0.
    prompt, output : tuple of int
        s_j ≥ 1 and o_j ≥ 1, in tokens.
    reward : tuple of int
        r_j ≥ 1.
    penalty : tuple of int or None
        ≥ 0; r_j where it is None.
    prompt_batch_requests, token_batch_requests : int
        B_P and B_D ≥ 1.
    prompt_batch_tokens, kv_capacity : int or None
        C_P and M; None where there is no limit.
    prompt_time, token_time : int
        τ_P and τ_D ≥ 1, in slots.

    Raises
    ------
    InputError
        If a value is out of range, lengths differ, or a type can never run.

    Examples
    --------
    >>> PROTOTYPE.types, PROTOTYPE.longest
    (3, 13)
    """

    rates: tuple[Fraction, ...]
    prompt: tuple[int, ...]
    output: tuple[int, ...]
    reward: tuple[int, ...]
    penalty: tuple[int, ...] | None = None
    prompt_batch_requests: int = 8
    token_batch_requests: int = 16
    prompt_batch_tokens: int | None = None
    kv_capacity: int | None = None
    prompt_time: int = 3
    token_time: int = 1

    def __post_init__(self) -> None:
        if self.penalty is None:
            object.__setattr__(self, "penalty", self.reward)
        for name in ("prompt", "output", "reward", "penalty"):
            values = getattr(self, name)
            least = 0 if name == "penalty" else 1
            if len(values) != len(self.rates) or any(value < least for value in values):
                raise InputError(
                    f"{name}: expected {len(self.rates)} integers of at least {least}, one per "
                    f"rate, found {', '.join(map(str, values))}"
                )
        if not self.rates or min(self.rates) <= 0:
            raise InputError(f"rates: expected numbers above 0, found {self.rates}")
        for j, (s, o) in enumerate(zip(self.prompt, self.output, strict=True)):
            if self.kv_capacity is not None and s + o > self.kv_capacity:
                raise InputError(
                    f"type {j + 1}: can never run, prompt + output = {s + o} tokens exceed "
                    f"kv_capacity {self.kv_capacity}"
                )
            if self.prompt_batch_tokens is not None and s > self.prompt_batch_tokens:
                raise InputError(
                    f"type {j + 1}: can never run, its prompt of {s} tokens exceeds "
                    f"prompt_batch_tokens {self.prompt_batch_tokens}"
                )

    @property
    def types(self) -> int:
        """Number of types."""
        return len(self.rates)

    @property
    def longest(self) -> int:
        """Longest output."""
        return max(self.output)

    @property
    def penalties(self) -> tuple[int, ...]:
        """Penalty by type."""
        assert self.penalty is not None, "set at construction"
        return self.penalty

    def draw(self, horizon: int, rng: np.random.Generator) -> IntArray:
        """Draw arrivals by slot and type, shape (T, K)."""
        rates = np.array([float(rate) for rate in self.rates])
        return rng.poisson(rates, size=(horizon, self.types))

    def instance(self, arrivals: IntArray, name: str = "separate-admission") -> Instance:
        """Return a path as an `Instance`: requests by slot, then type.

        Parameters
        ----------
        arrivals : ndarray of int64, shape (T, K)
            Arrivals by slot and type; at least one.
        name : str
            Its name.

        Raises
        ------
        InputError
            If nothing arrives.
        """
        from ....models.batch_time import ConstantTime

        T = arrivals.shape[0]
        slot, kind = (np.repeat(x.ravel(), arrivals.ravel()) for x in np.indices(arrivals.shape))
        M = self.kv_capacity
        if M is None:  # never binds: everything at once fits
            M = int((np.array(self.prompt) + self.output)[kind].sum()) + 1
        return Instance(
            name=name,
            gpu=Gpu(
                kv_capacity=M,
                prompt_batch_requests=self.prompt_batch_requests,
                prompt_batch_tokens=self.prompt_batch_tokens,
                token_batch_requests=self.token_batch_requests,
                batch_time=ConstantTime(prompt=self.prompt_time, token=self.token_time),
            ),
            arrival=slot,
            prompt=np.array(self.prompt)[kind],
            output=np.array(self.output)[kind],
            reward=np.array(self.reward)[kind],
            penalty=np.array(self.penalties)[kind],
            horizon=T,
        )


def _law(rates: str, **fields: object) -> AdmissionLaw:
    return AdmissionLaw(
        rates=tuple(Fraction(rate) for rate in rates.split()),
        **fields,  # type: ignore[arg-type]  # checked by the class
    )


#: The instance of docs/model/coupling.md §3: overloaded (1.21), no KV or prompt-token limit.
PROTOTYPE = _law("1/2 2/5 3/5", prompt=(1, 1, 1), output=(5, 13, 7), reward=(4, 6, 3))

#: KV binds: every type holds more KV per token job than M / B_D.
KV_BINDING = _law(
    "1/2 3/10 3/10",
    prompt=(24, 30, 36),
    output=(5, 13, 7),
    reward=(4, 9, 5),
    kv_capacity=320,
)

#: The prototype's types with just as much work as there is time: load 1.
CRITICAL = _law("1/2 2/5 19/60", prompt=(1, 1, 1), output=(5, 13, 7), reward=(4, 6, 3))
