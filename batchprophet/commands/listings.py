"""Lists of policies, and of families with their settings."""

from __future__ import annotations

from typing import Any

from . import console


def show_policies(*, as_json: bool) -> None:
    """Print name, regime, known lengths, summary and source of every registered policy.

    References, which do not obey the rules of the regime that they are shown in, come last.
    """
    from ..online.regimes import REGIMES
    from ..online.separate.orca import Orca

    found: list[tuple[str, str, Any]] = [  # classes with the attributes of a policy
        (name, model, policy)
        for model, regime in REGIMES.items()
        for name, policy in regime.registry.registered().items()
    ]
    found.append((Orca.name, "reference", Orca))
    records = [
        {
            "name": name,
            "model": model,
            "lengths": list(policy.length_kinds),
            "summary": policy.summary,
            "source": policy.source,
        }
        for name, model, policy in found
    ]
    if as_json:
        console.print_json({"policies": records})
        return
    for model in dict.fromkeys(record["model"] for record in records):
        cells = [
            [r["name"], ", ".join(r["lengths"]), r["summary"], r["source"]]
            for r in records
            if r["model"] == model
        ]
        title = f"{model} batching" if model in REGIMES else "reference for separate batching"
        console.print_table(title, ["policy", "known lengths", "rule", "source"], cells)


def show_check(policy: str, *, model: str | None, trials: int, seed: int, as_json: bool) -> bool:
    """Print the rules that a policy does not keep, and return whether it keeps all."""
    from ..online.conformance import check_policy

    findings = check_policy(policy, model=model, trials=trials, seed=seed)
    if as_json:
        found = [{"rule": each.rule, "message": each.message} for each in findings]
        console.print_json({"policy": policy, "trials": trials, "findings": found})
    elif findings:
        print(f"{policy} does not conform:")
        print("\n".join(f"  {each.rule}: {each.message}" for each in findings))
    else:
        print(f"{policy} conforms: {trials} random instances")
    return not findings


def show_families(*, as_json: bool) -> None:
    """Print every family of instances: description, source, settings."""
    from ..models.families import FAMILIES

    if not as_json:
        print("\n\n".join(_family_text(family) for family in FAMILIES.values()))
        return
    records = [
        {
            "name": family.name,
            "description": family.description,
            "source": family.source,
            "settings": [
                {
                    "name": setting.name,
                    "values": setting.range,
                    "default": setting.default,
                    "description": setting.description,
                }
                for setting in family.settings
            ],
        }
        for family in FAMILIES.values()
    ]
    console.print_json({"families": records})


def _family_text(family: Any) -> str:
    lines = [f"{family.name}: {family.description} ({family.source})"]
    for setting in family.settings:
        default = "" if setting.default is None else f", default {setting.default}"
        lines.append(f"  --set {setting.name}=…  {setting.description}: {setting.range}{default}")
    return "\n".join(lines)
