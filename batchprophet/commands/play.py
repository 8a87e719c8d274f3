"""The command `play`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..arguments.outputs import require_outputs
from . import console
from .options import Seed, Threads

Level = Annotated[
    Path | None,
    typer.Argument(
        metavar="[INSTANCE]",
        help="An instance.json, at most 40 requests; the built-in levels by default.",
    ),
]
Regime = Annotated[
    str | None,
    typer.Option(
        "--model",
        "--regime",
        metavar="mixed|separate|continuous",
        help="Batching regime: of INSTANCE, mixed by default; or of the levels, all by default.",
    ),
]


def play(
    instance: Level = None,
    model: Regime = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write the page here.")] = Path(
        "play.html"
    ),
    time_limit: Annotated[
        float,
        typer.Option(
            metavar="S",
            help="Seconds for proving the optimum of all levels; where it is not enough, the page "
            "shows an interval.",
        ),
    ] = 30.0,
    threads: Threads = None,
    seed: Seed = 0,
) -> None:
    """Make a page on which you are the scheduler: beat the policies, reach the proved optimum."""
    from ..game import api

    require_outputs([("--out", out)], [("INSTANCE", instance)])
    with console.live_progress("play") as progress:
        game = api.play(
            instance,
            model=model,
            time_limit=time_limit,
            threads=threads,
            seed=seed,
            progress=progress,
        )
    game.save(out, command=console.command_line())
    print(f"wrote {out}: {game.summary()}; open it in a browser, it needs no network")
