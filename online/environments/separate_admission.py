"""The environment of admission to a separate-batching GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction

import numpy as np

from ...models.families.setting import Setting
from .admission.acceptance import RULES
from .admission.account import account, segment_edges
from .admission.bound import hindsight
from .admission.clairvoyant import clairvoyant
from .admission.law import CRITICAL, KV_BINDING, PROTOTYPE, AdmissionLaw
from .admission.simulation import run_admission
from .admission.work import Work, request_work
from .environment import EnvironmentKind, Outcome, Replicate
from .list_setting import ListSetting

#: Named parameter sets.
CASES: Mapping[str, AdmissionLaw] = {
    "prototype": PROTOTYPE,
    "kv-binding": KV_BINDING,
    "critical": CRITICAL,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdmissionEnvironment:
    """Admission to a separate-batching GPU (docs/model.md §3, §4).

    Parameters
    ----------
    law : AdmissionLaw
        Types, rates, GPU.
    work : Work
        Its units of work.
    clairvoyant : bool
        Whether regret is measured against the clairvoyant schedule instead of the bound. The
        identity is that of the bound, which is a constant away on each path: one more part,
        "bound beyond the clairvoyant schedule", which is negative.
    """

    law: AdmissionLaw
    work: Work
    clairvoyant: bool = False

    name = "separate-admission"
    policies = RULES
    horizons = (1000, 10_000, 100_000)

    def benchmark(self, horizon: int) -> str:
        """Say what regret is measured against."""
        if self.clairvoyant:
            return "clairvoyant schedule (feasible; the hindsight optimum earns at least as much)"
        return "aggregated hindsight bound (no schedule earns more)"

    def experiment(self, horizon: int, policies: Sequence[str]) -> Replicate:
        """Prepare replications at a horizon."""

        def replicate(rng: np.random.Generator) -> Mapping[str, Outcome]:
            arrivals = self.law.draw(horizon, rng)
            uniforms = rng.random(int(arrivals.sum()))
            known = hindsight(self.law, self.work, arrivals)
            edges = segment_edges(horizon, known)
            outcomes = {}
            for policy in policies:
                counts = run_admission(self.law, self.work, arrivals, policy, uniforms, edges)
                outcomes[policy] = account(self.law, self.work, known, edges, counts)
            if not self.clairvoyant:
                return outcomes
            best = clairvoyant(self.law, self.work, arrivals, edges).earned(self.law)
            return {name: _against(outcome, best) for name, outcome in outcomes.items()}

        return replicate


def _against(outcome: Outcome, value: int) -> Outcome:
    """Measure against a schedule's value instead of the bound's."""
    beyond = Fraction(value) - Fraction(outcome.hindsight)
    return replace(
        outcome,
        hindsight=value,
        by_part={**outcome.by_part, "bound beyond the clairvoyant schedule": float(beyond)},
        by_time=outcome.by_time + float(beyond) / outcome.by_time.size,
        smallest=outcome.smallest,
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
        law=law, work=request_work(law), clairvoyant=benchmark == "clairvoyant"
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
    source="docs/model.md §3 (admission version), §4",
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
            choices=("bound", "clairvoyant"),
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
