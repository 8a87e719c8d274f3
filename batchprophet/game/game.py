"""The game, as `play` returns it: solved levels, and the page that they are played on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arguments.outputs import PathLike
from ..models.disk import write_atomically
from .level import SolvedLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """Levels with what is proved of each, ready to be played.

    Attributes
    ----------
    levels : tuple of SolvedLevel
        In the order of the page.
    """

    levels: tuple[SolvedLevel, ...]

    def __repr__(self) -> str:
        return f"Game({self.summary()!r})"

    def summary(self) -> str:
        """Return how many levels there are, and of how many the optimum is proved."""
        proved = sum(each.comparison.solution.status == "optimal" for each in self.levels)
        if len(self.levels) == 1:
            return "1 level, " + ("its optimum proved" if proved else "its optimum not proved")
        which = "all" if proved == len(self.levels) else f"{proved}"
        return f"{len(self.levels)} levels, {which} with a proved optimum"

    def to_record(self) -> dict[str, Any]:
        """Return the data of the page."""
        return {"levels": [each.to_record() for each in self.levels]}

    def html(self, *, command: str = "batchprophet.play(…)") -> str:
        """Return the page: it needs no other file, and nothing from the network."""
        from ..report.page import Origin
        from .page import render

        return render(self, Origin.today(command=command))

    def save(self, path: PathLike, *, command: str = "batchprophet.play(…)") -> Path:
        """Write the page atomically and return its file.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        write_atomically(path, self.html(command=command).encode())
        return Path(path)
