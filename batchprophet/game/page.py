"""The page of the game: one file with levels, rules and all that plays them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from ..report.filled import filled, script_data

if TYPE_CHECKING:
    from ..report.page import Origin
    from .game import Game


def render(game: Game, origin: Origin) -> str:
    """Return the page of a game. The same arguments give the same characters."""
    return filled(
        __package__,
        "play.html",
        title="You are the scheduler",
        origin=origin,
        data=Markup(script_data(game.to_record())),
    )
