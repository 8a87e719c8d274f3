"""What there is to choose from: families and policies, as tables."""

from __future__ import annotations

from typing import Any

from . import console


def show_policies(*, as_json: bool) -> None:
    """Print name, known lengths, summary and source of every registered policy."""
    from .online.policy import registered_policies

    records = [
        {
            "name": name,
            "lengths": list(policy.length_kinds),
            "summary": policy.summary,
            "source": policy.source,
        }
        for name, policy in _described(registered_policies())
    ]
    if as_json:
        console.print_json({"policies": records})
        return
    cells = [[r["name"], ", ".join(r["lengths"]), r["summary"], r["source"]] for r in records]
    console.print_table("", ["policy", "knows of lengths", "what it does", "source"], cells)


def _described(policies: dict[str, type]) -> list[tuple[str, Any]]:
    return list(policies.items())
