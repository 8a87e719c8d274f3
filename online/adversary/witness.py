"""A worst case as a file that anyone can check: instance, policy, costs, certificate."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ...models.disk import read_input, write_atomically
from ...models.errors import DoesNotFinish, InputError
from ...models.instance import Instance
from ...models.regimes import check, schedule_value
from ...models.strict import refuse_repeated_keys
from ...solvers.certificates.certificate import Certificate
from ...solvers.certificates.strict import (
    array,
    integer,
    integers,
    require_keys,
    require_object,
    shown,
    text,
)
from ...solvers.certificates.verification import verify
from ...solvers.replay import REPLAYS
from ..judged import POLICY_SEED, Judged
from ..regimes import regime
from ..registry import UNNAMED
from .regimes import RECORDS

FORMAT = "batchprophet-witness"
VERSION = 1

_KEYS = (
    "format",
    "version",
    "batchprophet",
    "policy",
    "policy_seed",
    "requests",
    "cost",
    "hindsight",
)

#: What proves the bound: a certificate, or where there is none a search to run again.
_CERTIFIED, _RERUN = ("certificate",), ("bound", "proof")


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """The claim that a policy costs so much on an instance whose optimum is so small.

    Attributes
    ----------
    policy : str
        The policy's specification; its draws have the seed `POLICY_SEED`.
    judged : Judged
        The instance, both schedules, and what proves the optimum.
    """

    policy: str
    judged: Judged

    def to_record(self) -> dict[str, Any]:
        """Return the witness as the object that is written to files."""
        judged, instance = self.judged, self.judged.instance
        columns = (instance.arrival.tolist(), instance.prompt.tolist(), instance.output.tolist())
        record: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "batchprophet": version("batchprophet"),
        }
        written = RECORDS[judged.model]
        record |= {} if judged.model == UNNAMED else {"model": judged.model}
        record |= {"policy": self.policy, "policy_seed": POLICY_SEED}
        record |= written.gpu_to(instance.gpu)
        record |= {
            "requests": [list(row) for row in zip(*columns, strict=True)],
            "cost": judged.cost,
            "hindsight": judged.value,
        }
        record |= written.schedule_to(judged.hindsight)
        certificate = judged.certificate()
        if certificate is None:
            assert judged.replay is not None, "without a certificate a search is run again"
            return record | {"bound": judged.bound, "proof": judged.replay.to_record()}
        return record | {"certificate": certificate.to_record()}


def write_witness(witness: Witness, path: str | os.PathLike[str]) -> None:
    """Write a witness, atomically; the same witness gives the same bytes."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(value)}" for key, value in witness.to_record().items()
    ]
    write_atomically(path, ("{\n  " + ",\n  ".join(lines) + "\n}\n").encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """The verdict on a witness.

    Attributes
    ----------
    policy : str
        The policy.
    instance : Instance
        The instance.
    cost : int or None
        The policy's total latency, simulated again; None if it does not finish.
    value : int
        Total latency of the hindsight schedule, recomputed; 0 if it breaks a rule.
    bound : int
        The bound that the witness claims.
    faults : tuple of str
        What does not hold, one sentence each; empty if everything does.
    """

    policy: str
    instance: Instance
    cost: int | None
    value: int
    bound: int
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything that the witness says was found again."""
        return not self.faults

    @property
    def interval(self) -> tuple[Fraction, Fraction] | None:
        """The ratio, from below and from above; equal where the optimum is proved."""
        if self.cost is None or self.value == 0:
            return None
        return Fraction(self.cost, self.value), Fraction(self.cost, self.bound)


def recheck(path: str | os.PathLike[str], *, time_limit: float | None = None) -> Recheck:
    """Check a witness file: simulate, check the hindsight schedule, verify the bound.

    Parameters
    ----------
    path : path-like
        A file of `write_witness`, or the folder that has it as ``witness.json``.
    time_limit : float, optional
        Seconds for verifying the certificate.

    Returns
    -------
    Recheck
        What was found, and every claim that does not hold.

    Raises
    ------
    InputError
        If the file cannot be read as a witness, or names a policy that there is not.

    Examples
    --------
    >>> import tempfile
    >>> from .worst_case import find_worst_case
    >>> worst = find_worst_case("mc-sf", n=4, kv_capacity=6, work_limit=50)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_witness(worst.witness, Path(folder) / "witness.json")
    ...     recheck(folder).holds
    True
    """
    file = Path(path) / "witness.json" if Path(path).is_dir() else Path(path)
    content = read_input(file)
    try:
        return _recheck(_decode(content), time_limit)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _recheck(record: dict[str, Any], time_limit: float | None) -> Recheck:
    model, policy = record.get("model", UNNAMED), text("policy", record["policy"])
    instance = _instance(record, model)
    claimed_cost = integer("cost", record["cost"], low=1)
    claimed_value = integer("hindsight", record["hindsight"], low=1)
    hindsight = RECORDS[model].schedule_of(record, instance)
    faults = [f"hindsight schedule: {each.message}" for each in check(instance, hindsight)]
    value = 0 if faults else int(schedule_value(instance, hindsight, "latency"))
    cost, verdict = _simulated(instance, policy, model)
    if cost is None:
        faults.append(verdict)
    elif cost != claimed_cost:
        faults.append(f"cost: {policy} costs {cost}, not the {claimed_cost} that is claimed")
    if value and value != claimed_value:
        faults.append(f"hindsight: the schedule costs {value}, not the {claimed_value} claimed")
    if "certificate" in record:
        known = None if faults else value
        bound = _verify(record, instance, model, known, time_limit, faults)
    else:
        bound = _search_again(record, instance, model, hindsight, faults)
    return Recheck(
        policy=policy,
        instance=instance,
        cost=cost,
        value=value,
        bound=bound,
        faults=tuple(faults),
    )


def _verify(
    record: dict[str, Any],
    instance: Instance,
    model: str,
    value: int | None,
    time_limit: float | None,
    faults: list[str],
) -> int:
    """Verify the certificate, which must be of the witness's regime; return its bound."""
    certificate = Certificate.from_record(require_object("certificate", record["certificate"]))
    if certificate.objective_name != "latency" or not isinstance(certificate.bound, int):
        raise InputError("certificate: expected one of the total latency")
    if certificate.model != model:
        raise InputError(f"certificate: expected one of {model} batching")
    if certificate.bound < 1:
        raise InputError("certificate: expected a bound of at least 1, found 0")
    verification = verify(
        certificate, instance, value=value, time_limit=time_limit, replays=REPLAYS
    )
    if not verification.verified:
        faults.append(f"certificate: {verification.reason}")
    return certificate.bound


def _search_again(
    record: dict[str, Any], instance: Instance, model: str, hindsight: Any, faults: list[str]
) -> int:
    """Run the regime's search again, from the schedule; return the claimed bound.

    For what no certificate proves, and for what an earlier version wrote.
    """
    claimed = integer("bound", record["bound"], low=1)
    stored = require_object("proof", record["proof"])
    rerun = RECORDS[model].rerun
    if stored.get("kind") != rerun.kind:
        raise InputError(f"proof.kind: expected {rerun.kind!r}, found {shown(stored.get('kind'))}")
    proof = rerun.from_record(stored)
    if not faults:
        found = proof.bound(instance, hindsight)
        if found < claimed:
            faults.append(f"bound: the search proves {found}, not the {claimed} that is claimed")
    return claimed


def _simulated(instance: Instance, policy: str, model: str) -> tuple[int | None, str]:
    """Cost of the policy, whose schedule the checker has accepted; or why it has none."""
    try:
        schedule = regime(model).simulate(instance, policy, seed=POLICY_SEED)
    except DoesNotFinish as error:
        return None, f"cost: {policy} does not finish ({error})"
    violations = check(instance, schedule)
    if violations:
        return None, f"cost: {policy} made an infeasible schedule: {violations[0].message}"
    return int(schedule_value(instance, schedule, "latency")), ""


def _instance(record: dict[str, Any], model: str) -> Instance:
    rows = [
        integers(f"requests[{i}]", row, low=0)
        for i, row in enumerate(array("requests", record["requests"]))
    ]
    for i, row in enumerate(rows):
        if len(row) != 3:
            raise InputError(f"requests[{i}]: expected arrival, prompt, output; found {row}")
    arrival, prompt, output = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    gpu = RECORDS[model].gpu_of(record)
    return Instance(gpu=gpu, arrival=arrival, prompt=prompt, output=output, name="worst case")


def _decode(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=refuse_repeated_keys)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON ({error})") from error
    record = dict(require_object("witness", document))
    for key, expected in (("format", FORMAT), ("version", VERSION), ("policy_seed", POLICY_SEED)):
        if record.get(key, expected) != expected:
            raise InputError(f"{key}: expected {expected!r}, found {shown(record.get(key))}")
    model = record.get("model", UNNAMED)
    if not isinstance(model, str) or model not in RECORDS or record.get("model") == UNNAMED:
        known = " or ".join(repr(name) for name in RECORDS if name != UNNAMED)
        raise InputError(f"model: expected {known} or none, found {shown(model)}")
    written = RECORDS[model]
    rerun = written.rerun is not None and "certificate" not in record
    require_keys("", record, (*_KEYS, *written.keys, *(_RERUN if rerun else _CERTIFIED)))
    return record
