"""What is to be scheduled: requests, and the GPU that serves them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from dataclasses import replace as dataclass_replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .batch_time import BatchTime, UnitTime
from .errors import InputError
from .shown import elided, html_table

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

#: Limits that only separate batching has.
SEPARATE_LIMITS = ("prompt_batch_requests", "prompt_batch_tokens", "token_batch_requests")

#: The deadline of a request that has none (the largest 64-bit integer).
NO_DEADLINE = int(np.iinfo(np.int64).max)

#: Times and token counts must fit the exact 64-bit arithmetic of the compiled code:
#: n · (last arrival + Σ output + kv_capacity) stays below this.
ARITHMETIC_LIMIT = 2**62

#: Rewards, weights and penalties each sum up to at most this: their products with times are finite.
LARGEST_SUM = 1e280

#: What no name may have: controls, line ends, halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU: its KV capacity, batch limits and batch-time law.

    Parameters
    ----------
    kv_capacity : int
        M ≥ 2, in tokens.
    prompt_batch_requests : int or None
        B_P ≥ 1, requests in a prompt batch; None for no limit.
    prompt_batch_tokens : int or None
        C_P ≥ 1, prompt tokens in a prompt batch; None for no limit.
    token_batch_requests : int or None
        B_D ≥ 1, requests in a token batch; None for no limit.
    running_requests : int or None
        B ≥ 1, requests that hold a KV cache at once, of continuous batching (vLLM
        ``max_num_seqs``); None for no limit.
    batch_tokens : int or None
        C ≥ 1, prompt tokens and token jobs in a batch of continuous batching (vLLM
        ``max_num_batched_tokens``); None for no limit.
    kv_block : int
        Tokens in a block of KV memory, ≥ 1, under continuous batching: a cache takes whole blocks.
    chunked_prefill : bool
        Whether continuous batching may read a prompt in chunks.
    batch_time : UnitTime or ConstantTime or AffineTime
        The batch-time law.

    Raises
    ------
    InputError
        If a limit is not an integer in its range.

    Examples
    --------
    >>> Gpu(kv_capacity=47).batch_time.name
    'unit'
    """

    kv_capacity: int
    prompt_batch_requests: int | None = None
    prompt_batch_tokens: int | None = None
    token_batch_requests: int | None = None
    running_requests: int | None = None
    batch_tokens: int | None = None
    kv_block: int = 1
    chunked_prefill: bool = True
    batch_time: BatchTime = field(default_factory=UnitTime)

    def __post_init__(self) -> None:
        _require_integer("gpu.kv_capacity", self.kv_capacity, low=2)
        for name in (*SEPARATE_LIMITS, "running_requests", "batch_tokens"):
            if getattr(self, name) is not None:
                _require_integer(f"gpu.{name}", getattr(self, name), low=1)
        _require_integer("gpu.kv_block", self.kv_block, low=1)
        if not isinstance(self.chunked_prefill, bool):
            raise InputError(
                f"gpu.chunked_prefill: expected true or false, found {self.chunked_prefill!r}"
            )

    @property
    def batch_limits(self) -> tuple[str, ...]:
        """Names of the limits of separate batching that are set."""
        return tuple(name for name in SEPARATE_LIMITS if getattr(self, name) is not None)

    @property
    def continuous_limits(self) -> tuple[str, ...]:
        """Names of the limits of continuous batching that are set."""
        blocks = ("kv_block",) if self.kv_block > 1 else ()
        names = ("running_requests", "batch_tokens")
        return (*(name for name in names if getattr(self, name) is not None), *blocks)


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

    def __post_init__(self) -> None:
        self._freeze("arrival", _integers("arrival", self.arrival, None, low=0))
        n = self.arrival.size
        if n == 0:
            raise InputError("requests: expected at least one request, found none")
        self._freeze("prompt", _integers("prompt", self.prompt, n, low=1))
        self._freeze("output", _integers("output", self.output, n, low=1))
        self._check_fits_gpu()
        self._check_arithmetic()
        ones = np.ones(n)
        self._freeze("reward", _numbers("reward", ones if self.reward is None else self.reward, n))
        self._freeze("weight", _numbers("weight", ones if self.weight is None else self.weight, n))
        penalty = self.reward if self.penalty is None else self.penalty
        self._freeze("penalty", _numbers("penalty", penalty, n))
        if self.deadline is not None:
            self._freeze("deadline", _integers("deadline", self.deadline, n, low=0))
        self._check_predictions(n)
        self._check_names(n)
        if self.horizon is not None:
            _require_integer("horizon", self.horizon, low=1)
        if not isinstance(self.name, str):
            raise InputError(f"name: expected a string, found {self.name!r}")
        _require_printable("name", self.name)
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
        self._freeze("predicted_low", _integers("predicted", self.predicted_low, n, low=0))
        self._freeze("predicted_high", _integers("predicted", self.predicted_high, n, low=0))
        low, high = self.predicted_low, self.predicted_high
        wrong = np.flatnonzero((low > high) | ((low == 0) != (high == 0)))
        if wrong.size:
            i = int(wrong[0])
            raise InputError(
                f"requests[{i}].predicted: expected 1 ≤ low ≤ high, "
                f"found [{int(low[i])}, {int(high[i])}]"
            )
        _require_integer("predicted", int(high.max()), low=0)

    def _check_names(self, n: int) -> None:
        if self.id is not None:
            object.__setattr__(self, "id", _strings("id", self.id, n))
            assert self.id is not None
            name, count = Counter(self.id).most_common(1)[0]
            if count > 1:
                first, second = [i for i, other in enumerate(self.id) if other == name][:2]
                raise InputError(
                    f"requests[{second}].id: ids must be unique, found {name!r} again "
                    f"(first in requests[{first}])"
                )
        if self.label is not None:
            object.__setattr__(self, "label", _strings("class", self.label, n))

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
        for column in fields(self):
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
        for column in fields(self):
            mine, theirs = getattr(self, column.name), getattr(other, column.name)
            if isinstance(mine, np.ndarray):
                if not np.array_equal(mine, theirs):
                    return False
            elif mine != theirs:
                return False
        return True

    __hash__ = None  # type: ignore[assignment]  # compared by value, held by arrays

    def __reduce__(self) -> tuple[Any, ...]:
        state = {column.name: getattr(self, column.name) for column in fields(self)}
        if self.provenance is not None:
            state["provenance"] = dict(self.provenance)
        return _rebuild, (state,)


def _rebuild(state: dict[str, Any]) -> Instance:
    return Instance(**state)


def _require_integer(name: str, value: object, *, low: int) -> None:
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not integer or not low <= int(value) < ARITHMETIC_LIMIT:  # type: ignore[call-overload]
        raise InputError(f"{name}: expected an integer from {low} to 2^62, found {_shown(value)}")


def _integers(name: str, values: ArrayLike, n: int | None, *, low: int) -> IntArray:
    """Copy `values` into an int64 array of shape (n,), refusing what is not an integer ≥ low."""
    array = _one_dimensional(name, values, n)
    if array.dtype == object or not np.issubdtype(array.dtype, np.integer):
        for i, value in enumerate(array.tolist()):
            _require_integer(f"requests[{i}].{name}", value, low=low)
    wrong = np.flatnonzero((array < low) | (array > NO_DEADLINE))
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"requests[{i}].{name}: expected an integer of at least {low}, found {array[i]}"
        )
    return array.astype(np.int64, copy=True)


def _numbers(name: str, values: ArrayLike, n: int) -> FloatArray:
    """Copy `values` into a float64 array of shape (n,), refusing what is not finite and ≥ 0."""
    array = _one_dimensional(name, values, n)
    if not np.issubdtype(array.dtype, np.integer) and not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{name}: expected numbers, found values of type {array.dtype}")
    array = array.astype(np.float64, copy=True)
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"requests[{i}].{name}: expected a finite number of at least 0, found {array[i]}"
        )
    with np.errstate(over="ignore"):
        total = float(np.sum(array))
    if total > LARGEST_SUM:
        raise InputError(
            f"{name}: expected numbers whose sum is at most 10^280, so that their products with "
            f"times are finite, found {total:g}"
        )
    return array


def _one_dimensional(name: str, values: ArrayLike, n: int | None) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name}: expected one number per request ({error})") from error
    if array.ndim != 1 or (n is not None and array.size != n):
        expected = "(n,)" if n is None else f"({n},)"
        raise InputError(f"{name}: expected shape {expected}, found {array.shape}")
    return array


def _strings(name: str, values: Sequence[str], n: int) -> tuple[str, ...]:
    strings = tuple(values)
    if len(strings) != n:
        raise InputError(f"{name}: expected {n} strings, found {len(strings)}")
    for i, value in enumerate(strings):
        if not isinstance(value, str):
            raise InputError(f"requests[{i}].{name}: expected a string, found {value!r}")
    if _UNPRINTABLE.search("".join(strings)):
        for i, value in enumerate(strings):
            _require_printable(f"requests[{i}].{name}", value)
    return strings


def _require_printable(where: str, text: str) -> None:
    """Refuse a name that would break a line or steer a terminal."""
    if _UNPRINTABLE.search(text):
        raise InputError(
            f"{where}: expected text without line ends and control characters, found {_shown(text)}"
        )


def _shown(value: object) -> str:
    """Return a value for a message: on one line, and not long."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
