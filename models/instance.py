"""What is to be scheduled: requests, and the GPU that serves them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from dataclasses import replace as dataclass_replace
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .arrays import (
    ARITHMETIC_LIMIT,
    NO_DEADLINE,
    FloatArray,
    IntArray,
    integers,
    numbers,
    require_integer,
    require_printable,
    strings,
)
from .errors import InputError
from .gpu import Gpu
from .shown import elided, html_table

__all__ = ["ARITHMETIC_LIMIT", "NO_DEADLINE", "FloatArray", "Gpu", "Instance", "IntArray"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instance:
    """Requests with their arrivals and lengths, and the GPU that serves them (model/index.md §1).

    Request ``i`` arrives at ``arrival[i]``, reads ``prompt[i]`` tokens in one prompt job, which
    emits output token 1, and then needs ``output[i] − 1`` token jobs. Its KV cache holds
    ``prompt[i] + j`` tokens once output token ``j`` exists, and is freed when the last one is
    done. All columns have shape (n,), are checked once here and are read-only afterwards.

    Parameters
    ----------
    gpu : Gpu
        The GPU.
    arrival : array_like of int, shape (n,)
        a_i ≥ 0, in the batch-time law's unit (rounds, slots or microseconds).
    prompt, output : array_like of int, shape (n,)
        s_i ≥ 1 and o_i ≥ 1 tokens, with ``s_i + o_i ≤ M``.
    reward, weight : array_like of float, shape (n,), optional
        r_i ≥ 0 (earned when done by the horizon) and w_i ≥ 0; 1 by default.
    penalty : array_like of float, shape (n,), optional
        Paid for an accepted request that is not done in time; the reward by default.
    deadline : array_like of int, shape (n,), optional
        Latest completion that earns the reward; `NO_DEADLINE` where there is none.
    predicted_low, predicted_high : array_like of int, shape (n,), optional
        What is predicted of ``output``: an interval of tokens, equal ends for a point; 0 where
        nothing is predicted. Both or neither.
    id, label : sequence of str, optional
        Names (unique; ``r0, r1, …`` by default) and class labels ("" for none).
    horizon : int, optional
        T ≥ 1, for objectives that count what is done by a horizon.
    name : str
        A name for tables.
    provenance : mapping, optional
        Where the instance comes from; kept with it, never read.

    Raises
    ------
    InputError
        If a column has a wrong shape, type or range, or a request can never run.

    Examples
    --------
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> instance.n, int(instance.peak.max())
    (2, 7)
    >>> instance.replace(name="small").name
    'small'
    """

    gpu: Gpu
    arrival: IntArray
    prompt: IntArray
    output: IntArray
    reward: FloatArray = None  # type: ignore[assignment]  # filled at construction
    weight: FloatArray = None  # type: ignore[assignment]  # filled at construction
    penalty: FloatArray = None  # type: ignore[assignment]  # filled at construction
    deadline: IntArray | None = None
    predicted_low: IntArray | None = None
    predicted_high: IntArray | None = None
    id: tuple[str, ...] | None = None
    label: tuple[str, ...] | None = None
    horizon: int | None = None
    name: str = "instance"
    provenance: Mapping[str, Any] | None = None
    _derived: dict[Callable[[Instance], Any], Any] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        self._freeze("arrival", integers("arrival", self.arrival, None, low=0))
        n = self.arrival.size
        if n == 0:
            raise InputError("requests: expected at least one request, found none")
        self._freeze("prompt", integers("prompt", self.prompt, n, low=1))
        self._freeze("output", integers("output", self.output, n, low=1))
        self._check_fits_gpu()
        self._check_arithmetic()
        ones = np.ones(n)
        self._freeze("reward", numbers("reward", ones if self.reward is None else self.reward, n))
        self._freeze("weight", numbers("weight", ones if self.weight is None else self.weight, n))
        penalty = self.reward if self.penalty is None else self.penalty
        self._freeze("penalty", numbers("penalty", penalty, n))
        if self.deadline is not None:
            self._freeze("deadline", integers("deadline", self.deadline, n, low=0))
        self._check_predictions(n)
        self._check_names(n)
        if self.horizon is not None:
            require_integer("horizon", self.horizon, low=1)
        if not isinstance(self.name, str):
            raise InputError(f"name: expected a string, found {self.name!r}")
        require_printable("name", self.name)
        if self.provenance is not None:
            object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    def _freeze(self, name: str, array: IntArray | FloatArray) -> None:
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    def _check_fits_gpu(self) -> None:
        M = self.gpu.kv_capacity
        # prompt > M − output cannot overflow where prompt + output could.
        too_large = np.flatnonzero(self.prompt > M - self.output)
        if too_large.size:
            i = int(too_large[0])
            s, o = int(self.prompt[i]), int(self.output[i])
            raise InputError(
                f"requests[{i}]: prompt + output must be at most gpu.kv_capacity = {M}, "
                f"found {s} + {o} = {s + o}: it can never run"
            )
        C_P = self.gpu.prompt_batch_tokens
        if C_P is not None and int(self.prompt.max()) > C_P:
            i = int(np.flatnonzero(self.prompt > C_P)[0])
            raise InputError(
                f"requests[{i}].prompt: must be at most gpu.prompt_batch_tokens = {C_P}, "
                f"found {int(self.prompt[i])}: it fits in no prompt batch"
            )

    def _check_arithmetic(self) -> None:
        fits_64_bits = int(self.output.max()) * self.n < ARITHMETIC_LIMIT
        total = int(self.output.sum()) if fits_64_bits else sum(self.output.tolist())
        longest = int(self.arrival.max()) + total + self.gpu.kv_capacity
        if self.n * longest >= ARITHMETIC_LIMIT:
            raise InputError(
                "requests: n × (last arrival + Σ output + kv_capacity) must stay below 2^62 for "
                f"exact arithmetic, found {self.n} × {longest}; shift arrivals towards 0 or use a "
                "coarser time unit"
            )
        squares = float(np.square(self.peak.astype(np.float64)).sum())
        if squares >= ARITHMETIC_LIMIT:
            raise InputError(
                "requests: Σ (prompt + output)² must stay below 2^62 for exact arithmetic of KV "
                f"areas, found {squares:.3g}"
            )

    def _check_predictions(self, n: int) -> None:
        if (self.predicted_low is None) != (self.predicted_high is None):
            raise InputError("predicted: predicted_low and predicted_high go together")
        if self.predicted_low is None or self.predicted_high is None:
            return
        self._freeze("predicted_low", integers("predicted", self.predicted_low, n, low=0))
        self._freeze("predicted_high", integers("predicted", self.predicted_high, n, low=0))
        low, high = self.predicted_low, self.predicted_high
        wrong = np.flatnonzero((low > high) | ((low == 0) != (high == 0)))
        if wrong.size:
            i = int(wrong[0])
            raise InputError(
                f"requests[{i}].predicted: expected 1 ≤ low ≤ high, "
                f"found [{int(low[i])}, {int(high[i])}]"
            )
        require_integer("predicted", int(high.max()), low=0)

    def _check_names(self, n: int) -> None:
        if self.id is not None:
            object.__setattr__(self, "id", strings("id", self.id, n))
            assert self.id is not None
            name, count = Counter(self.id).most_common(1)[0]
            if count > 1:
                first, second = [i for i, other in enumerate(self.id) if other == name][:2]
                raise InputError(
                    f"requests[{second}].id: ids must be unique, found {name!r} again "
                    f"(first in requests[{first}])"
                )
        if self.label is not None:
            object.__setattr__(self, "label", strings("class", self.label, n))

    @property
    def n(self) -> int:
        """Number of requests."""
        return int(self.arrival.size)

    @property
    def peak(self) -> IntArray:
        """KV tokens that each request holds in its last round, ``s_i + o_i``, shape (n,)."""
        return self.prompt + self.output

    @property
    def volume(self) -> IntArray:
        """KV area of each request, ``Σ_{j=1..o_i} (s_i + j)``, in token-rounds, shape (n,)."""
        return self.prompt * self.output + self.output * (self.output + 1) // 2

    def request_id(self, i: int) -> str:
        """Name of request `i`."""
        return f"r{i}" if self.id is None else self.id[i]

    def derived(self, derive: Callable[[Instance], T]) -> T:
        """Return what a function gives for this instance, computed at the first call."""
        if derive not in self._derived:
            self._derived[derive] = derive(self)
        found: T = self._derived[derive]
        return found

    def replace(self, **changes: Any) -> Instance:
        """Return a copy with some fields changed, checked anew."""
        return dataclass_replace(self, **changes)

    def take(self, indices: ArrayLike) -> Instance:
        """Return the instance that has only the requests `indices`, in that order.

        Parameters
        ----------
        indices : array_like of int, shape (m,)
            Positions in this instance, m ≥ 1.

        Examples
        --------
        >>> both = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
        >>> both.take([1]).arrival.tolist()
        [2]
        """
        picked = np.asarray(indices, dtype=np.int64)
        changes: dict[str, Any] = {}
        for column in _columns():
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                changes[column.name] = value[picked]
            elif column.name in ("id", "label") and value is not None:
                changes[column.name] = tuple(value[i] for i in picked)
        return self.replace(**changes)

    def __repr__(self) -> str:
        columns = ("arrival", "prompt", "output")
        shown = [f"{name}={elided(getattr(self, name))}" for name in columns]
        return f"Instance(name={self.name!r}, n={self.n}, gpu={self.gpu!r},\n  {', '.join(shown)})"

    def _repr_html_(self) -> str:
        columns = (self.arrival, self.prompt, self.output)
        rows = ([self.request_id(i), *(each[i] for each in columns)] for i in range(self.n))
        title = f"{self.name}: {self.n:,} requests, KV capacity {self.gpu.kv_capacity:,} tokens"
        return html_table(title, ["request", "arrival", "prompt", "output"], self.n, rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Instance):
            return NotImplemented
        for column in _columns():
            mine, theirs = getattr(self, column.name), getattr(other, column.name)
            if isinstance(mine, np.ndarray):
                if not np.array_equal(mine, theirs):
                    return False
            elif mine != theirs:
                return False
        return True

    __hash__ = None  # type: ignore[assignment]  # compared by value, held by arrays

    def __reduce__(self) -> tuple[Any, ...]:
        state = {column.name: getattr(self, column.name) for column in _columns()}
        if self.provenance is not None:
            state["provenance"] = dict(self.provenance)
        return _rebuild, (state,)


def _columns() -> list[Field[Any]]:
    """Fields that an instance is made of."""
    return [each for each in fields(Instance) if each.init]


def _rebuild(state: dict[str, Any]) -> Instance:
    return Instance(**state)
