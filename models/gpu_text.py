"""The GPU as commands, studies and public functions take it: batch limits and a batch-time law."""

from __future__ import annotations

from .batch_time import AffineTime, BatchTime, ConstantTime, UnitTime
from .continuous.gpus import MEASURED
from .errors import InputError
from .instance import Gpu, Instance

#: Keys of each law, with what their values are.
_LAWS: dict[str, tuple[tuple[str, ...], type]] = {
    "unit": ((), int),
    "constant": (("prompt", "token"), int),
    "affine": (("c0", "c1", "c2", "c3"), float),
}

#: Keys that may be left out.
_OPTIONAL: dict[str, tuple[str, ...]] = {"affine": ("c0_prompt",)}

#: Milliseconds of the affine law's time unit.
MICROSECOND = 0.001


def parse_batch_time(text: str) -> BatchTime:
    """Parse ``unit``, ``constant:prompt=3,token=1`` or ``affine:c0=…,c1=…,c2=…,c3=…``.

    The affine law may have an intercept of its own for batches of prompts, ``c0_prompt=…``. The
    name of a measured GPU (`models.continuous.gpus`) is its affine law.

    Raises
    ------
    InputError
        If there is no such law, a key is missing, unknown or given more than once, or a value is
        not a number or out of range.

    Examples
    --------
    >>> parse_batch_time("constant:prompt=4,token=1")
    ConstantTime(prompt=4, token=1)
    >>> parse_batch_time("h100")
    AffineTime(c0=5.64, c1=0.0127, c2=0.0135, c3=4.5e-05, c0_prompt=None)
    """
    if not isinstance(text, str):
        raise InputError(f"batch_time: expected a string, found {text!r}")
    name, _, rest = text.strip().partition(":")
    if name in MEASURED and not rest:
        return MEASURED[name].law
    if name not in _LAWS:
        raise InputError(
            f"batch_time: expected one of {', '.join(_LAWS)}, or a measured GPU ("
            f"{', '.join(MEASURED)}); found {name!r}"
        )
    keys, kind = _LAWS[name]
    values: dict[str, int | float] = {}
    for part in rest.split(",") if rest else []:
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key not in (*keys, *_OPTIONAL.get(name, ())) or key in values:
            raise InputError(f"batch_time: {name} takes {_form(name)}, found {part.strip()!r}")
        try:
            values[key] = kind(value)
        except ValueError as error:
            noun = "an integer" if kind is int else "a number"
            raise InputError(f"batch_time: {key}: expected {noun}, found {value!r}") from error
    if not set(keys) <= set(values):
        raise InputError(f"batch_time: {name} takes {_form(name)}, found {rest!r}")
    if name == "unit":
        return UnitTime()
    return ConstantTime(**values) if name == "constant" else AffineTime(**values)  # type: ignore[arg-type]  # integers for the first


def length_of_round(batch_time: str, round_ms: float | None) -> float | None:
    """Return the milliseconds of a round, which is a microsecond under the affine law."""
    if not isinstance(parse_batch_time(batch_time), AffineTime):
        return round_ms
    if round_ms not in (None, MICROSECOND):
        raise InputError(
            f"round_ms: the affine law counts microseconds: expected {MICROSECOND}, "
            f"found {round_ms:g}"
        )
    return MICROSECOND


def with_gpu(
    instance: Instance,
    *,
    batch_time: str = "unit",
    prompt_batch_requests: int | None = None,
    prompt_batch_tokens: int | None = None,
    token_batch_requests: int | None = None,
    max_num_seqs: int | None = None,
    max_num_batched_tokens: int | None = None,
    block_size: int = 1,
    chunked_prefill: bool = True,
) -> Instance:
    """Return an instance whose GPU has these limits and this law; times keep their numbers.

    Raises
    ------
    InputError
        If a limit is out of range, or there is no such law.

    Examples
    --------
    >>> small = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    >>> with_gpu(small, token_batch_requests=8).gpu.token_batch_requests
    8
    """
    gpu = Gpu(
        kv_capacity=instance.gpu.kv_capacity,
        prompt_batch_requests=prompt_batch_requests,
        prompt_batch_tokens=prompt_batch_tokens,
        token_batch_requests=token_batch_requests,
        running_requests=max_num_seqs,
        batch_tokens=max_num_batched_tokens,
        kv_block=block_size,
        chunked_prefill=chunked_prefill,
        batch_time=parse_batch_time(batch_time),
    )
    return instance.replace(gpu=gpu)


def _form(name: str) -> str:
    keys = ",".join(f"{key}=…" for key in _LAWS[name][0])
    keys += "".join(f"[,{key}=…]" for key in _OPTIONAL.get(name, ()))
    return f"{name}:{keys}" if keys else "no values"
