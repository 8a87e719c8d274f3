"""Run a policy of separate batching on an instance, batch by batch."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from ...models.errors import InputError, PolicyError
from ...models.instance import Instance
from ...models.separate.problem import require_separate
from ...models.separate.schedule import SeparateSchedule
from ..lengths import Told, told_lengths
from .decision import BatchDecision
from .policy import SeparatePolicy, make_policy, session
from .state import SeparateMachine, require_upper_ends


@runtime_checkable
class CompiledSeparatePolicy(SeparatePolicy, Protocol):
    """A policy that can also run whole instances as compiled code."""

    def run_compiled(self, instance: Instance, told: Told) -> SeparateSchedule | None:
        """Return the schedule that `decide` would make, or None where only `decide` can."""
        ...


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
        If the instance's times leave exact arithmetic, the policy or seed is no good, or lengths
        are predicted too short.
    PolicyError
        If the policy decides what the rules do not allow.
    DoesNotFinish
        If the policy idles for ever.

    Notes
    -----
    The policy is asked whenever a batch has ended, when somebody arrives while the GPU idles, and
    when it wants to be (`BatchDecision.wake_at`); never while nobody is present.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> [batch.kind for batch in simulate_separate(instance, "prefill-first").batches]
    ['prompt', 'token', 'prompt', 'token', 'token']
    """
    made, told, rng = prepare(instance, policy, seed)
    if compiled and isinstance(made, CompiledSeparatePolicy):
        schedule = made.run_compiled(instance, told)
        if schedule is not None:
            return schedule
    machine, player = SeparateMachine(instance, made, told), session(made)
    while not machine.finished:
        machine.arrive()
        machine.apply(_ask(machine, player, rng))
    return machine.schedule()


def prepare(
    instance: Instance, policy: SeparatePolicy | str, seed: int
) -> tuple[SeparatePolicy, Told, np.random.Generator]:
    """Check what a simulation is given; return policy, told lengths and the policy's generator."""
    require_separate(instance)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed: expected an integer of at least 0, found {seed!r}")
    made = make_policy(policy)
    for_lengths, for_policy = np.random.SeedSequence(int(seed)).spawn(2)
    told = told_lengths(instance, made, np.random.default_rng(for_lengths))
    require_upper_ends(instance, told)
    return made, told, np.random.default_rng(for_policy)


def _ask(
    machine: SeparateMachine, policy: SeparatePolicy, rng: np.random.Generator
) -> BatchDecision:
    """Ask the policy what to do now; whatever goes wrong in it is a `PolicyError`."""
    observation = machine.observe()
    try:
        return policy.decide(observation, rng)
    except Exception as error:  # a policy of a third party may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise PolicyError(
            f"policy {policy.name} at {machine.time}: decide raised {type(error).__name__} "
            f"({error}) in {Path(last.filename).name}, line {last.lineno}"
        ) from error
