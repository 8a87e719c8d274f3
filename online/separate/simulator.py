"""Run a policy of separate batching on an instance, batch by batch."""

from __future__ import annotations

import numpy as np

from ...models.instance import Instance
from ...models.separate.problem import require_separate
from ...models.separate.schedule import SeparateSchedule
from ..lengths import Told
from ..protocol import session
from ..simulation import ask, begin_run
from .policy import REGISTRY, SeparatePolicy
from .state import SeparateState, require_upper_ends


def simulate_separate(
    instance: Instance,
    policy: SeparatePolicy | str,
    *,
    seed: int = 0,
    compiled: bool = True,
) -> SeparateSchedule:
    """Run an online policy of separate batching and return its schedule.

    Parameters
    ----------
    instance : Instance
        Any batch-time law, any batch limits.
    policy : SeparatePolicy or str
        A policy, or its specification ``NAME[:key=value,…]``.
    seed : int
        ≥ 0; the same seed gives the same schedule. Predictions and the policy's own draws come
        from separate streams of it.
    compiled : bool
        Let a policy that has compiled code use it; the schedule is the same without.

    Returns
    -------
    SeparateSchedule
        A feasible schedule that serves every request.

    Raises
    ------
    InputError
        If the instance's times leave exact arithmetic, the policy or seed is invalid, or lengths
        are predicted too short.
    PolicyError
        If the policy decides what the rules do not allow.
    DoesNotFinish
        If the policy idles forever.

    Notes
    -----
    The policy is asked whenever a batch has ended, when a request arrives while the GPU idles, and
    when it wants to be (`BatchDecision.wake_at`); never while no request waits or runs.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> [batch.kind for batch in simulate_separate(instance, "prefill-first").batches]
    ['prompt', 'token', 'prompt', 'token', 'token']
    """
    made, told, rng = prepare(instance, policy, seed)
    run_compiled = getattr(made, "run_compiled", None)
    if compiled and run_compiled is not None:
        schedule: SeparateSchedule | None = run_compiled(instance, told)
        if schedule is not None:
            return schedule
    state, player = SeparateState(instance, made, told), session(made)
    while not state.finished:
        state.arrive()
        state.apply(ask(player, state.observe(), rng, state.where))
    return state.schedule()


def prepare(
    instance: Instance, policy: SeparatePolicy | str, seed: int
) -> tuple[SeparatePolicy, Told, np.random.Generator]:
    """Check what a simulation is given; return policy, told lengths and the policy's generator."""
    require_separate(instance)
    made, told, rng = begin_run(instance, REGISTRY, policy, seed)
    require_upper_ends(instance, told)
    return made, told, rng
