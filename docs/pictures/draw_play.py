"""The picture of docs/how-to/play.md, from the page itself: python docs/pictures/draw_play.py.

Needs Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import batchprophet as bp  # noqa: E402
from tests.browser import Browser  # noqa: E402

#: Requests of level 6 that are started, and how many rounds run after each.
MOVES = [("C", 0), ("A", 1), ("E", 0), ("F", 3)]


def main() -> None:
    """Play some moves of level 6 and take a picture of them."""
    with tempfile.TemporaryDirectory() as folder, Browser() as page:
        page.screen(1280, 800)
        page.open(bp.play().save(Path(folder) / "play.html"))
        page.evaluate("$('how').open = false; begin(5); while (play.state.t < 5) go(true)")
        for name, rounds in MOVES:
            page.press(name.lower(), ord(name))
            for _ in range(rounds):
                page.press("ArrowRight", 39)
        page.evaluate(
            "for (const e of document.querySelectorAll('body > header, main > details')) e.remove()"
        )
        page.screenshot(Path(__file__).with_name("play.png"))


if __name__ == "__main__":
    main()
