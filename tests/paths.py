"""Where things are, for tests at any depth."""

from pathlib import Path

#: The repository.
ROOT = Path(__file__).resolve().parents[1]

#: Small files in every trace format.
DATA = ROOT / "tests" / "data"

#: Real traces, which are not part of the repository.
SHARED = ROOT.parent / "shared" / "data"
