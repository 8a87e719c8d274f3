"""How many seats should be free before prompts are read: what `threshold` computes.

N seats are full. Each token batch takes α_d and completes every member with probability p0, and a
prompt batch of k requests takes α_p; what batches take for their tokens is the same for every k and
left out. Until k = θ·N seats are free, −ln(1 − θ)/p0 token batches pass, so in a cycle of
``α_p − (α_d/p0)·ln(1 − θ)`` there are θ·N requests. This rate is largest where its derivative is 0:

    θ/(1 − θ) + ln(1 − θ) = p0·α_p/α_d.

The left side grows from 0 without end on [0, 1), so there is one such share.
"""

from __future__ import annotations

import math

from numba import njit

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
