"""docs/file-formats.md has the keys of every kind of proof, and no others."""

import re
import sys

import pytest

from batchprophet.solvers.certificates.registry import PROOF_KINDS
from tests.paths import ROOT

PAGE = ROOT / "docs/file-formats.md"


class KeysKnownError(Exception):
    """Ends the reading of a record, once its keys are known."""


def keys_read(kind: str) -> set[str]:
    """The keys that the reader of a kind requires, beside ``kind``."""
    given = {"kind": kind, "value": 1}
    found: set[str] = set()

    def remember(place: str, record: dict[str, object], expected: tuple[str, ...]) -> None:
        # What is not handed on has been read: a search reads its value, then the prices.
        found.update(expected, set(given) - set(record))
        raise KeysKnownError

    with pytest.MonkeyPatch.context() as patch:
        for name, module in [*sys.modules.items()]:
            if ".certificates." in name and hasattr(module, "require_keys"):
                patch.setattr(module, "require_keys", remember)
        with pytest.raises(KeysKnownError):
            PROOF_KINDS[kind].from_record(given)
    return found - {"kind"}


def rows() -> list[tuple[list[str], list[str]]]:
    """Keys of a proof, and kinds that have them, row by row of the table."""
    found = []
    for line in PAGE.read_text("utf-8").splitlines():
        if not line.startswith("| `proof.") or line.startswith("| `proof.kind`"):
            continue
        _, keys, meaning, _ = line.split(" | ") if line.count(" | ") == 3 else line.split("|", 3)
        named = re.match(r"\s*\(([^)]+)\)", meaning)
        assert named is not None, f"of which kinds? {line}"
        kinds = [each.replace(" ", "-") for each in named[1].split(", ")]
        known = {each.replace(" ", "-"): each for each in PROOF_KINDS}
        assert set(kinds) <= set(known), line
        found.append((re.findall(r"`proof\.(\w+)`", keys), kinds))
    return found


@pytest.mark.parametrize("kind", PROOF_KINDS)
def test_the_keys_of_a_kind_are_those_of_its_reader(kind: str) -> None:
    documented = [key for keys, kinds in rows() if kind in kinds for key in keys]
    assert len(documented) == len(set(documented))
    assert set(documented) == keys_read(kind)


def test_every_kind_is_listed() -> None:
    (line,) = (
        line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `proof.kind`")
    )
    assert set(re.findall(r"`([\w-]+)`", line)) == set(PROOF_KINDS)
    # And in the table of kinds, with its verifier.
    table = (ROOT / "docs/certificates.md").read_text("utf-8")
    assert set(PROOF_KINDS) <= set(re.findall(r"`([a-z-]+)`", table))
