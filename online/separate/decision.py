"""What a policy of separate batching answers: the next batch, or that the GPU idles."""

from __future__ import annotations

from dataclasses import dataclass

from ...models.separate.schedule import Kind


@dataclass(frozen=True, slots=True)
class BatchDecision:
    """What the GPU does from this boundary on.

    Attributes
    ----------
    kind : {"prompt", "token"} or None
        Kind of the batch that starts now; None to idle.
    requests : tuple of int
        Whose jobs it holds, by index: waiting requests in a prompt batch, running ones in a token
        batch. Their order in a prompt batch is their order among the running.
    wake_at : int or None
        While idle: when to be asked again if no request arrives before; None for not
        before the next arrival.

    Examples
    --------
    >>> BatchDecision("prompt", (2, 0)).kind
    'prompt'
    """

    kind: Kind | None = None
    requests: tuple[int, ...] = ()
    wake_at: int | None = None
