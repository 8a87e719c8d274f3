"""Run a policy on an instance, event by event."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from ...models.errors import InputError, PolicyError
from ...models.instance import Instance
from ...models.mixed.problem import require_mixed
from ...models.mixed.schedule import MixedSchedule
from ..lengths import Told, told_lengths
from ..termination import IDLE_WAKE_UPS, stalls
from .decision import NEXT_EVENT, Decision
from .policy import Policy, make_policy, session
from .state import Machine


@runtime_checkable
class CompiledPolicy(Policy, Protocol):
    """A policy that can also run whole instances as compiled code."""

    def run_compiled(
        self, instance: Instance, told: Told, rng: np.random.Generator
    ) -> MixedSchedule | None:
        """Return the schedule that `decide` would make, or None where only `decide` can."""
        ...


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
        Unit-time law, no batch limits.
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
        If the instance is not one of mixed batching, or the policy or seed is no good.
    PolicyError
        If the policy decides what the rules do not allow.
    DoesNotFinish
        If the policy would go on for ever.

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
    if compiled and isinstance(policy, CompiledPolicy):
        schedule = policy.run_compiled(instance, told, rng)
        if schedule is not None:
            return schedule
    return _run_events(Machine(instance, policy, told), session(policy), rng)


def prepare(
    instance: Instance, policy: Policy | str, seed: int, model: str
) -> tuple[Policy, Told, np.random.Generator]:
    """Check what a simulation is given; return policy, told lengths and the policy's generator."""
    if model != MixedSchedule.model:
        raise InputError(f"model: expected {MixedSchedule.model!r}, found {model!r}")
    require_mixed(instance)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed: expected an integer of at least 0, found {seed!r}")
    policy = make_policy(policy)
    for_lengths, for_policy = np.random.SeedSequence(int(seed)).spawn(2)
    told = told_lengths(instance, policy, np.random.default_rng(for_lengths))
    return policy, told, np.random.default_rng(for_policy)


def _run_events(machine: Machine, policy: Policy, rng: np.random.Generator) -> MixedSchedule:
    t, idle = 0, 0
    while True:
        machine.advance(t)
        if machine.finished:
            return machine.schedule()
        decision = ask(machine, policy, rng)
        machine.apply(decision)
        idle = require_life(machine, policy.name, decision, idle)
        t = _next_boundary(machine, policy.name, decision)


def ask(machine: Machine, policy: Policy, rng: np.random.Generator) -> Decision:
    """Ask the policy what to do now; whatever goes wrong in it is a `PolicyError` that says where.

    Raises
    ------
    PolicyError
        If `decide` raises.
    """
    observation = machine.observe()
    try:
        return policy.decide(observation, rng)
    except Exception as error:  # a policy of a third party may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise PolicyError(
            f"policy {policy.name} at round {machine.time}: decide raised {type(error).__name__} "
            f"({error}) in {Path(last.filename).name}, line {last.lineno}"
        ) from error


def require_life(machine: Machine, name: str, decision: Decision, idle: int) -> int:
    """Raise `DoesNotFinish` if nothing will ever happen; else count idle wake-ups in a row."""
    if machine.running or machine.next_arrival is not None or decision.evict or not machine.waiting:
        return 0
    if decision.wake_at is None or decision.wake_at >= NEXT_EVENT or idle >= IDLE_WAKE_UPS:
        raise stalls(name, machine.first_waiting, machine.time)
    return idle + 1


def _next_boundary(machine: Machine, name: str, decision: Decision) -> int:
    """First boundary at which something happens or the policy wants to be asked."""
    wake_at = decision.wake_at
    if wake_at is None:
        wake_at = machine.time + 1 if machine.waiting else NEXT_EVENT
    if wake_at <= machine.time:
        raise PolicyError(
            f"policy {name} at round {machine.time}: wake_at must be a later round, found {wake_at}"
        )
    events = (machine.next_arrival, machine.next_completion, machine.next_overflow)
    return min(wake_at, *(event for event in events if event is not None), NEXT_EVENT)
