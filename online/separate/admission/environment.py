"""The environment of admission to a separate-batching GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from ....models.errors import InputError
from ....models.families.setting import Setting
from ...environments.environment import EnvironmentKind, Outcome, Replicate
from ...environments.list_setting import ListSetting
from .acceptance import RULES
from .bound import hindsight
from .clairvoyant import clairvoyant
from .exact import optimal_reward
from .law import CRITICAL, KV_BINDING, PROTOTYPE, AdmissionLaw
from .regret_account import account, segment_edges
from .simulation import run_admission
from .workloads import Workloads, request_workloads

Against = Literal["bound", "clairvoyant", "exact"]

#: What regret may be measured against, with what is said of it.
BENCHMARKS: Mapping[Against, str] = {
    "bound": "aggregated hindsight bound (no schedule earns more)",
    "clairvoyant": "clairvoyant schedule (feasible; the hindsight optimum earns at least as much)",
    "exact": "hindsight optimum (exact, by the S1 admission MILP)",
}

#: Horizons, in slots, up to which the MILP of one path is solved in some seconds.
LONGEST_EXACT = 40

#: Named parameter sets.
CASES: Mapping[str, AdmissionLaw] = {
    "prototype": PROTOTYPE,
    "kv-binding": KV_BINDING,
    "critical": CRITICAL,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdmissionEnvironment:
    """Admission to a separate-batching GPU (docs/model/coupling.md §3).

    Parameters
    ----------
    law : AdmissionLaw
        Types, rates, GPU.
    workloads : Workloads
        Its units of work.
    against : {"bound", "clairvoyant", "exact"}
        What regret is measured against: the aggregated bound, the best of many schedules that know
        the path, or the hindsight optimum (short horizons). Compensations are those of the bound,
        which is a constant away from the other two on each path: one more part, which is not
        positive.
    """

    law: AdmissionLaw
    workloads: Workloads
    against: Against = "bound"

    name = "separate-admission"
    policies = RULES

    @property
    def horizons(self) -> tuple[int, ...]:
        """Horizons by default."""
        return (10, 20, 30) if self.against == "exact" else (1000, 10_000, 100_000)

    def benchmark(self, horizon: int) -> str:
        """Say what regret is measured against."""
        return BENCHMARKS[self.against]

    def experiment(self, horizon: int, policies: Sequence[str]) -> Replicate:
        """Prepare replications at a horizon.

        Raises
        ------
        InputError
            If the horizon is too long for the exact benchmark.
        """
        if self.against == "exact" and horizon > LONGEST_EXACT:
            raise InputError(
                f"benchmark exact: expected horizons of at most {LONGEST_EXACT} slots, found "
                f"{horizon}"
            )

        def replicate(rng: np.random.Generator) -> Mapping[str, Outcome]:
            arrivals = self.law.draw(horizon, rng)
            uniforms = rng.random(int(arrivals.sum()))
            known = hindsight(self.law, self.workloads, arrivals)
            edges = segment_edges(horizon, known)
            outcomes = {}
            for policy in policies:
                counts = run_admission(self.law, self.workloads, arrivals, policy, uniforms, edges)
                outcomes[policy] = account(self.law, self.workloads, known, edges, counts)
            if self.against == "bound":
                return outcomes
            if self.against == "exact":
                value = optimal_reward(self.law, arrivals)
            else:
                value = clairvoyant(self.law, self.workloads, arrivals, edges).earned(self.law)
            return {name: _against(outcome, value) for name, outcome in outcomes.items()}

        return replicate


def _against(outcome: Outcome, value: int) -> Outcome:
    """Measure against another value than the bound's: one more part, spread over all time."""
    beyond = Fraction(value) - Fraction(outcome.hindsight)
    return replace(
        outcome,
        hindsight=value,
        by_part={**outcome.by_part, "bound beyond the benchmark": float(beyond)},
        by_time=outcome.by_time + float(beyond) / outcome.by_time.size,
    )


def _build(case: str, benchmark: str, **given: object) -> AdmissionEnvironment:
    """Take a named case, and replace what is given."""
    names = {field.name for field in fields(AdmissionLaw)}
    changes = {key: value for key, value in given.items() if value is not None}
    assert changes.keys() <= names, "settings have the names of the law's fields"
    if "reward" in changes and "penalty" not in changes:
        changes["penalty"] = None  # follows the reward
    law = replace(CASES[case], **changes)  # type: ignore[arg-type]  # checked by the class
    return AdmissionEnvironment(
        law=law,
        workloads=request_workloads(law),
        against=benchmark,  # type: ignore[arg-type]  # one of the setting's choices
    )


def _limit(name: str, description: str) -> Setting:
    return Setting(
        name=name,
        kind="integer",
        description=f"{description}; that of the case by default",
        low=1,
        high=10**7,
    )


def _lengths(name: str, description: str, low: int = 1) -> ListSetting:
    return ListSetting(name=name, kind="integers", description=description, low=low, high=10**4)


SEPARATE_ADMISSION_KIND = EnvironmentKind(
    name="separate-admission",
    description="accept or reject at arrival, complete by T on a separate-batching GPU",
    source="docs/model/separate.md §1 (admission), docs/model/coupling.md §3",
    settings=(
        Setting(
            name="case",
            kind="choice",
            description="named parameters, changed by the other settings",
            default="prototype",
            choices=tuple(CASES),
        ),
        Setting(
            name="benchmark",
            kind="choice",
            description="what regret is measured against",
            default="bound",
            choices=tuple(BENCHMARKS),
        ),
        ListSetting(name="rates", kind="numbers", description="arrivals per slot, by type"),
        _lengths("prompt", "prompt lengths by type, in tokens"),
        _lengths("output", "output lengths by type, in tokens"),
        _lengths("reward", "rewards by type"),
        _lengths("penalty", "penalties by type; the rewards by default", low=0),
        _limit("prompt_batch_requests", "B_P"),
        _limit("prompt_batch_tokens", "C_P"),
        _limit("token_batch_requests", "B_D"),
        _limit("kv_capacity", "M, in tokens"),
        _limit("prompt_time", "τ_P, in slots"),
        _limit("token_time", "τ_D, in slots"),
    ),
    build=_build,
)
