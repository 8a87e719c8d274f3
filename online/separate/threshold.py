"""How many seats should be free before prompts are read: what `threshold` computes.

N seats are full. Each token batch takes α_d and completes every member with probability p0, and a
prompt batch of k requests takes α_p; what batches take for their tokens is the same for every k and
left out. Until k = θ·N seats are free, −ln(1 − θ)/p0 token batches pass, so in a cycle of
``α_p − (α_d/p0)·ln(1 − θ)`` there are θ·N requests. This rate is largest where its derivative is 0:

    θ/(1 − θ) + ln(1 − θ) = p0·α_p/α_d.

The left side grows from 0 without end on [0, 1), so there is one such share.

**When mixing wins.** A request has j = 1/p0 token jobs and s prompt tokens. Separate batches take
``(α_p − α_d·j·ln(1 − θ))/(θ·N)`` of intercepts for each request; at the best θ that is
``α_d·j/(N·(1 − θ))``. If prompts are read beside tokens all N seats are always taken, each for
j + 1 batches, which is ``α·(j + 1)/N`` with the intercept α of mixed batches. The rest, w for
separate batches and w' for mixed ones, is what tokens cost. So mixing serves more requests if and
only if

    α·(j + 1)/N + w' < α_d·j/(N·(1 − θ)) + w.

With one law for all batches (α = α_d, w' = w) it does wherever α_p ≥ α_d, since then
``θ/(1 − θ) = p0·α_p/α_d − ln(1 − θ) > p0``. Separate batches win only if mixing makes tokens slower
(w' > w) or batches longer, by more than that. The source has a condition of this kind in closed
form; its text was not at hand beyond the abstract, so this one is derived here, from the cycle
above and from whole prompts in one batch.
"""

from __future__ import annotations

import math

from numba import njit

from ...models.batch_time import AffineTime

#: Halvings of the interval of θ: to the last bit of a double.
HALVINGS = 60


@njit(cache=True, nogil=True)
def best_share(weight: float) -> float:
    """Return θ with ``θ/(1 − θ) + ln(1 − θ) = weight``, in [0, 1).

    Parameters
    ----------
    weight : float
        ``p0·α_p/α_d`` ≥ 0.

    Returns
    -------
    float
        The share of the seats that should be free.

    Examples
    --------
    >>> share = best_share(0.05)
    >>> round(share, 3), round(share / (1 - share) + math.log(1 - share), 6)
    (0.259, 0.05)

    References
    ----------
    arXiv 2606.00516 (threshold-based exclusive batching).
    """
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if middle / (1.0 - middle) + math.log(1.0 - middle) < weight:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def safe_seats(requests: int, peaks: int, M: int) -> int:
    """Return how many requests like those present fit in the KV memory at their peaks.

    Parameters
    ----------
    requests, peaks : int
        How many are present, ≥ 1, and the sum of their s + o.
    M : int
        KV capacity in tokens.

    Examples
    --------
    >>> safe_seats(requests=4, peaks=40, M=125)
    12
    """
    return max(1, M * requests // peaks)


@njit(cache=True, nogil=True)
def best_threshold(seats: int, requests: int, jobs: int, prompt: int, token: int) -> int:
    """Return k = θ·N, rounded, from 1 to N.

    Parameters
    ----------
    seats : int
        N ≥ 1.
    requests, jobs : int
        Requests and their token jobs in all: ``p0 = requests/jobs``.
    prompt, token : int
        α_p and α_d, what a prompt batch and a token batch take whatever they hold.

    Examples
    --------
    Prompts of 10.38 ms and token batches of 4.69 ms, 100 token jobs a request:

    >>> best_threshold(64, requests=1, jobs=100, prompt=10380, token=4690)
    12
    """
    if jobs == 0 or token == 0:
        return seats
    share = best_share(requests / jobs * (prompt / token))
    return max(1, math.floor(share * seats + 0.5))


def separate_time(seats: int, jobs: float, prompt: float, read: float, law: AffineTime) -> float:
    """Return the milliseconds per request of separate batches at saturation, with the best θ.

    Parameters
    ----------
    seats : int
        N ≥ 1.
    jobs, prompt, read : float
        Means of a request: token jobs (more than 0), prompt tokens, and KV tokens that its token
        jobs read in all.
    law : AffineTime
        Of prompt batches and of token batches.

    Examples
    --------
    >>> law = AffineTime(c0=4.69, c1=0.04, c2=0.029, c3=0, c0_prompt=10.38)
    >>> round(separate_time(64, jobs=100, prompt=200, read=0, law=law), 2)
    19.88
    """
    prompt_batch = law.c0 if law.c0_prompt is None else law.c0_prompt
    share = best_share(prompt_batch / (jobs * law.c0)) if law.c0 else 0.0
    return law.c0 * jobs / (seats * (1 - share)) + _of_tokens(jobs, prompt, read, law)


def mixed_time(seats: int, jobs: float, prompt: float, read: float, law: AffineTime) -> float:
    """Return the milliseconds per request of mixed batches at saturation, prompts read whole.

    Parameters are those of `separate_time`; `law` is that of batches that hold both.

    Examples
    --------
    Under the same law mixing serves more; with tokens that are a tenth slower it does not.

    >>> law = AffineTime(c0=4.69, c1=0.04, c2=0.029, c3=0, c0_prompt=10.38)
    >>> round(mixed_time(64, jobs=100, prompt=200, read=0, law=law), 2)
    18.3
    >>> law = AffineTime(c0=5.5, c1=0.044, c2=0.032, c3=0)
    >>> round(mixed_time(64, jobs=100, prompt=200, read=0, law=law), 2)
    20.68
    """
    return law.c0 * (jobs + 1) / seats + _of_tokens(jobs, prompt, read, law)


def _of_tokens(jobs: float, prompt: float, read: float, law: AffineTime) -> float:
    return law.c1 * prompt + law.c2 * jobs + law.c3 * read
