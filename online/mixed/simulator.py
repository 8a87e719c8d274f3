"""Run a policy on an instance, event by event."""

from __future__ import annotations

import numpy as np

from ...models.errors import InputError, PolicyError
from ...models.instance import Instance
from ...models.mixed.problem import require_mixed
from ...models.mixed.schedule import MixedSchedule
from ..lengths import Told, is_told_anew
from ..protocol import session
from ..simulation import ask, begin_run
from ..termination import IDLE_WAKE_UPS, stalls
from .decision import NEXT_EVENT, Decision
from .policy import REGISTRY, Policy
from .state import MixedState


def simulate(
    instance: Instance,
    policy: Policy | str,
    *,
    seed: int = 0,
    model: str = "mixed",
    compiled: bool = True,
) -> MixedSchedule:
    """Run an online policy and return its schedule.

    Parameters
    ----------
    instance : Instance
        Unit-time law; no batch limits but those on a round.
    policy : Policy or str
        A policy, or its specification ``NAME[:key=value,…]``.
    seed : int
        ≥ 0; the same seed gives the same schedule. Predictions and the policy's own draws come
        from separate streams of it.
    model : {"mixed"}
        The batching regime.
    compiled : bool
        Let a policy that has compiled code use it; the schedule is the same without.

    Returns
    -------
    MixedSchedule
        A feasible schedule, with evicted runs if the policy evicts.

    Raises
    ------
    InputError
        If the instance is not one of mixed batching, or the policy or seed is invalid.
    PolicyError
        If the policy decides what the rules do not allow.
    DoesNotFinish
        If the policy would go on forever.

    Notes
    -----
    The policy is asked at every boundary with an arrival or a completion, before a round that
    would overflow, and when it wants to be (`Decision.wake_at`).

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> simulate(instance, "mc-sf").start.tolist()
    [0, 3]
    """
    policy, told, rng = prepare(instance, policy, seed, model)
    run_compiled = getattr(policy, "run_compiled", None)
    if compiled and run_compiled is not None and not is_told_anew(policy):
        schedule: MixedSchedule | None = run_compiled(instance, told, rng)
        if schedule is not None:
            return schedule
    return _run_events(MixedState(instance, policy, told), session(policy), rng)


def prepare(
    instance: Instance, policy: Policy | str, seed: int, model: str
) -> tuple[Policy, Told, np.random.Generator]:
    """Check what a simulation is given; return policy, told lengths and the policy's generator."""
    if model != MixedSchedule.model:
        raise InputError(f"model: expected {MixedSchedule.model!r}, found {model!r}")
    require_mixed(instance)
    return begin_run(instance, REGISTRY, policy, seed)


def _run_events(state: MixedState, policy: Policy, rng: np.random.Generator) -> MixedSchedule:
    t, idle = 0, 0
    while True:
        state.advance(t)
        if state.finished:
            return state.schedule()
        decision = ask(policy, state.observe(), rng, state.where)
        state.apply(decision)
        idle = require_life(state, policy.name, decision, idle)
        t = _next_boundary(state, policy.name, decision)


def require_life(state: MixedState, name: str, decision: Decision, idle: int) -> int:
    """Raise `DoesNotFinish` if nothing will ever happen; else count idle wake-ups in a row."""
    if state.running or state.next_arrival is not None or decision.evict or not state.waiting:
        return 0
    if decision.wake_at is None or decision.wake_at >= NEXT_EVENT or idle >= IDLE_WAKE_UPS:
        raise stalls(name, state.first_waiting, state.time)
    return idle + 1


def _next_boundary(state: MixedState, name: str, decision: Decision) -> int:
    """First boundary at which something happens or the policy wants to be asked."""
    wake_at = decision.wake_at
    if wake_at is None:
        wake_at = state.time + 1 if state.waiting else NEXT_EVENT
    if wake_at <= state.time:
        raise PolicyError(
            f"policy {name} at round {state.time}: wake_at must be a later round, found {wake_at}"
        )
    events = (state.next_arrival, state.next_completion, state.next_overflow)
    return min(wake_at, *(event for event in events if event is not None), NEXT_EVENT)
