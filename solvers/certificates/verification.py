"""Verify a certificate: recompute what its proof gives, and compare it with the claim."""

from __future__ import annotations

from dataclasses import dataclass

from ...models.errors import InputError
from ...models.instance import Instance
from ...models.objectives import MAXIMISED, Exact, value_step
from ..rounding import round_bound
from .certificate import Certificate
from .clock import Clock, OutOfTime
from .digest import instance_digest


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
        The bound that the proof gives, before rounding; None if it was not recomputed.
    seconds : float
        Time that the verification took.
    """

    verified: bool
    reason: str
    proved: Exact | None
    seconds: float


def verify(
    certificate: Certificate,
    instance: Instance,
    *,
    value: Exact | None = None,
    time_limit: float | None = None,
) -> Verification:
    """Recompute the bound of a certificate, without the solver that found it.

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
    try:
        clock.check()
        proved = certificate.proof.bound(instance, objective, clock)
    except OutOfTime:
        reason = f"not verified within the time limit of {time_limit:g} s"
        return Verification(verified=False, reason=reason, proved=None, seconds=clock.seconds)
    rounded = round_bound(proved, value_step(instance, objective), maximised)
    verified = rounded <= claim if maximised else rounded >= claim
    side = "least" if maximised else "most"
    reason = (
        f"the proof gives {rounded}"
        if verified
        else f"the proof gives {rounded} at {side}, not the bound {claim} that is claimed"
    )
    return Verification(verified=verified, reason=reason, proved=proved, seconds=clock.seconds)


def _require_same_data(certificate: Certificate, instance: Instance) -> None:
    expected = instance_digest(instance, certificate.objective_name, certificate.model)
    if certificate.digest != expected:
        raise InputError(
            f"digest: expected {expected[:12]}… of {instance.name!r}, found "
            f"{certificate.digest[:12]}…: the certificate is another instance's"
        )
