"""A bound on the optimum of an instance, with its proof."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from ...models.errors import InputError
from ...models.instance import Instance
from ...models.objectives import MAXIMISED, OBJECTIVES, Exact, value_step
from ..rounding import round_bound
from .digest import instance_digest
from .proof import Proof
from .registry import PROOF_KINDS
from .strict import require_keys, require_object, shown, text

FORMAT = "batchprophet-certificate"
VERSION = 1

_KEYS = ("format", "version", "instance", "digest", "model", "objective_name", "bound", "proof")
_FRACTION = re.compile(r"[1-9][0-9]{0,999}/[1-9][0-9]{0,999}")

#: Bounds in files: weights may be large, so these are not held to 64 bits.
_MOST_DIGITS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The claim that no schedule of an instance improves on `bound`, and its proof.

    Attributes
    ----------
    instance_name : str
        Name of the instance.
    digest : str
        Its data, `digest.instance_digest`.
    model : str
        The regime of its proof, "mixed" or "separate".
    objective_name : str
        The objective; `bound` is a lower bound, for the reward an upper bound.
    bound : int or Fraction
        The claim, ≥ 0.
    proof : Proof
        From which `verification.verify` recomputes it.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.certificates.mixed.combinatorial import CombinatorialBound
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> proof = CombinatorialBound(name="starts at arrival")
    >>> certificate = best_certificate(instance, "latency", [(6, proof)])
    >>> certificate.bound
    6
    >>> Certificate.from_record(certificate.to_record()) == certificate
    True
    """

    instance_name: str
    digest: str
    model: str = "mixed"
    objective_name: str
    bound: Exact
    proof: Proof

    def __repr__(self) -> str:
        return (
            f"Certificate({self.instance_name!r}, model={self.model!r}, "
            f"{self.objective_name} bound={self.bound}, proof={self.proof.kind!r})"
        )

    def to_record(self) -> dict[str, Any]:
        """Return the certificate as the object that is written to files."""
        whole = isinstance(self.bound, int)
        return {
            "format": FORMAT,
            "version": VERSION,
            "instance": self.instance_name,
            "digest": self.digest,
            "model": self.model,
            "objective_name": self.objective_name,
            "bound": self.bound if whole else str(self.bound),
            "proof": self.proof.to_record(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Certificate:
        """Read a certificate from a record of `to_record`, and refuse anything else.

        Raises
        ------
        InputError
            If a key is missing or unknown, or a value is of a wrong type or out of range. The
            message names the key.
        """
        for key, expected in (("format", FORMAT), ("version", VERSION)):
            found = record.get(key)
            if found != expected or isinstance(found, (bool, float)):
                raise InputError(f"{key}: expected {expected!r}, found {shown(found)}")
        require_keys("", record, _KEYS)
        digest = text("digest", record["digest"])
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise InputError(f"digest: expected 64 hexadecimal digits, found {shown(digest)}")
        objective = text("objective_name", record["objective_name"])
        if objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise InputError(f"objective_name: expected one of {known}; found {shown(objective)}")
        proof = _read_proof(record["proof"], objective)
        if record["model"] != proof.model:
            raise InputError(f"model: expected {proof.model!r}, found {shown(record['model'])}")
        return cls(
            instance_name=text("instance", record["instance"]),
            digest=digest,
            model=proof.model,
            objective_name=objective,
            bound=_read_bound(record["bound"]),
            proof=proof,
        )


def best_certificate(
    instance: Instance, objective: str, proofs: Iterable[tuple[Exact, Proof]]
) -> Certificate | None:
    """Certify the best of some bounds that have proofs, rounded as solutions do.

    Of equal ones the first; None if there is none.
    """
    best = best_proof(instance, objective, proofs)
    if best is None:
        return None
    return Certificate(
        instance_name=instance.name,
        digest=instance_digest(instance, objective, best[1].model),
        model=best[1].model,
        objective_name=objective,
        bound=best[0],
        proof=best[1],
    )


_Kind = TypeVar("_Kind", bound=Proof)


def best_proof(
    instance: Instance, objective: str, proofs: Iterable[tuple[Exact, _Kind]]
) -> tuple[Exact, _Kind] | None:
    """Return the best of some bounds that have proofs, rounded as solutions do, and its proof."""
    maximised = objective in MAXIMISED
    step = value_step(instance, objective)
    best: tuple[Exact, _Kind] | None = None
    for bound, proof in proofs:
        rounded = round_bound(bound, step, maximised)
        if best is None or (rounded < best[0] if maximised else rounded > best[0]):
            best = rounded, proof
    return best


def _read_bound(value: object) -> Exact:
    """Read an integer, or a fraction in lowest terms as ``"numerator/denominator"``."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 10**_MOST_DIGITS:
            raise InputError(
                f"bound: expected an integer from 0 to 10^{_MOST_DIGITS}, found {shown(value)}"
            )
        return value
    if not isinstance(value, str):
        raise InputError(f"bound: expected an integer or a fraction, found {shown(value)}")
    if _FRACTION.fullmatch(value):
        bound = Fraction(value)
        if str(bound) == value:
            return bound
    raise InputError(
        f"bound: expected an integer or a fraction in lowest terms, found {shown(value)}"
    )


def _read_proof(value: object, objective: str) -> Proof:
    record = require_object("proof", value)
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in PROOF_KINDS:
        known = ", ".join(PROOF_KINDS)
        raise InputError(f"proof.kind: expected one of {known}; found {shown(kind)}")
    proof = PROOF_KINDS[kind]
    if objective not in proof.objectives:
        bounded = ", ".join(proof.objectives)
        raise InputError(f"proof.kind: {kind} proves bounds on {bounded}, not on {objective}")
    return proof.from_record(record)
