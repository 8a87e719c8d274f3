"""When a policy would go on forever: it stalls, cycles, or evicts without end."""

from __future__ import annotations

from ..models.errors import DoesNotFinish

#: Wake-ups in a row at which a policy may start nothing while nothing runs and nothing is to come.
IDLE_WAKE_UPS = 100_000


def eviction_budget(n: int) -> int:
    """Evictions that a policy may spend on `n` requests without a single completion."""
    return 10_000 + 100 * n


def stalls(policy: str, request: str, t: int) -> DoesNotFinish:
    """Say that nothing runs, nothing is to arrive, and the policy starts nothing that waits."""
    return DoesNotFinish(
        f"{policy} stalls at round {t}: request {request} waits, nothing runs or is to arrive, "
        "and it starts nothing"
    )


def cycles(policy: str, waiting: int, t: int) -> DoesNotFinish:
    """Say that the same requests wait again with nothing running: a proof for a fixed rule."""
    requests = "request is" if waiting == 1 else "requests are"
    return DoesNotFinish(
        f"{policy} cycles: at round {t} the same {waiting} {requests} evicted once more, "
        "with no completion in between"
    )


def exceeds_budget(policy: str, n: int, t: int) -> DoesNotFinish:
    """Say that the evictions without a completion exceed the budget: evidence, not a proof."""
    return DoesNotFinish(
        f"{policy} makes no headway: by round {t} more than {eviction_budget(n)} evictions "
        "without a completion"
    )
