"""Verify a certificate: recompute what its proof gives, and compare it with the claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...models.errors import InputError
from ...models.instance import Instance
from ...models.objectives import MAXIMISED, Exact, value_step
from ..rounding import round_bound
from .certificate import Certificate
from .clock import Clock, NotProved
from .digest import instance_digest
from .proof import Proof, Replay
from .registry import RECOMPUTED_KINDS, REPLAYED_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The verdict on a certificate.

    Attributes
    ----------
    verified : bool
        Whether the claim was proved anew.
    reason : str
        Why, in one sentence.
    proved : int, Fraction or None
        The bound that the proof gives, before rounding; None if it gives none, or was not looked
        at.
    seconds : float
        Time that the verification took.
    replayed : bool
        Whether the code that found the bound was run again, for want of an independent verifier.
    """

    verified: bool
    reason: str
    proved: Exact | None
    seconds: float
    replayed: bool = False


def verify(
    certificate: Certificate,
    instance: Instance,
    *,
    value: Exact | None = None,
    time_limit: float | None = None,
    replays: Mapping[str, Replay] | None = None,
) -> Verification:
    """Recompute the bound of a certificate, without the solver that found it.

    Nothing in the certificate is believed: sizes, values and prices are whatever its author liked.

    Parameters
    ----------
    certificate : Certificate
        The certificate.
    instance : Instance
        The instance that it is about.
    value : int or Fraction, optional
        Value of a feasible schedule, which no bound may contradict.
    time_limit : float, optional
        Seconds, ≥ 0.
    replays : mapping from str to callable, optional
        What replays the kinds of proof without an independent verifier, `solvers.replay.REPLAYS`.
        Without it they are not verified.

    Returns
    -------
    Verification
        Verified, or why not.

    Raises
    ------
    InputError
        If the certificate is about other data, its proof is not one of the objective's or cannot
        be recomputed for the instance, or the time limit is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.hindsight import solve
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> certificate = solve(instance).certificate
    >>> verify(certificate, instance, value=7).verified
    True
    >>> from dataclasses import replace
    >>> verify(replace(certificate, bound=8), instance).reason
    'the proof gives 7 at most, not the bound 8 that is claimed'
    """
    if time_limit is not None and not time_limit >= 0:
        raise InputError(f"time_limit: expected at least 0 seconds, found {time_limit!r}")
    _require_same_data(certificate, instance)
    objective = certificate.objective_name
    maximised = objective in MAXIMISED
    clock = Clock(time_limit)
    claim = certificate.bound
    if value is not None and (claim < value if maximised else claim > value):
        reason = f"the bound {claim} contradicts the schedule, whose {objective} is {value}"
        return Verification(verified=False, reason=reason, proved=None, seconds=clock.seconds)
    replayed = certificate.proof.kind in REPLAYED_KINDS
    try:
        with clock:
            clock.check()
            proved = _bound(certificate.proof, instance, objective, clock, replays or {})
    except NotProved as error:
        return Verification(
            verified=False,
            reason=str(error),
            proved=None,
            seconds=clock.seconds,
            replayed=replayed,
        )
    rounded = round_bound(proved, value_step(instance, objective), maximised)
    verified = rounded <= claim if maximised else rounded >= claim
    side = "least" if maximised else "most"
    reason = (
        f"the proof gives {rounded}"
        if verified
        else f"the proof gives {rounded} at {side}, not the bound {claim} that is claimed"
    )
    return Verification(
        verified=verified,
        reason=reason,
        proved=proved,
        seconds=clock.seconds,
        replayed=replayed,
    )


def _bound(
    proof: Proof, instance: Instance, objective: str, clock: Clock, replays: Mapping[str, Replay]
) -> Exact:
    recomputed = RECOMPUTED_KINDS.get(proof.kind)
    if recomputed is not None and type(proof) is recomputed:
        if objective not in proof.objectives:
            raise InputError(f"proof.kind: {proof.kind} proves no bounds on {objective}")
        return proof.bound(instance, objective, clock)
    if proof.kind in replays and type(proof) is REPLAYED_KINDS[proof.kind]:
        return replays[proof.kind](proof, instance, clock)
    raise NotProved(
        f"not verified: a proof of kind {proof.kind} can only be replayed by the code that found it"
    )


def _require_same_data(certificate: Certificate, instance: Instance) -> None:
    expected = instance_digest(instance, certificate.objective_name, certificate.model)
    if certificate.digest != expected:
        raise InputError(
            f"digest: expected {expected[:12]}… of {instance.name!r}, found "
            f"{certificate.digest[:12]}…: the certificate is another instance's"
        )
