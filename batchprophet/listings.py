"""What there is to choose from: policies, and families with their settings."""

from __future__ import annotations

from typing import Any

from . import console


def show_policies(*, as_json: bool) -> None:
    """Print name, known lengths, summary and source of every registered policy."""
    from .online.policy import registered_policies

    policies: dict[str, Any] = registered_policies()  # classes with the attributes of a Policy
    records = [
        {
            "name": name,
            "lengths": list(policy.length_kinds),
            "summary": policy.summary,
            "source": policy.source,
        }
        for name, policy in policies.items()
    ]
    if as_json:
        console.print_json({"policies": records})
        return
    cells = [[r["name"], ", ".join(r["lengths"]), r["summary"], r["source"]] for r in records]
    console.print_table("", ["policy", "knows of lengths", "what it does", "source"], cells)


def show_families(*, as_json: bool) -> None:
    """Print every family of instances: description, source, settings."""
    from .models.families import FAMILIES

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
