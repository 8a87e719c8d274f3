"""The constants of the engine of separate batching, by which it divides its time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """How the engine divides its time; shares are of the time left.

    Attributes
    ----------
    first_expansions : int
        States that are expanded before anything else: enough for tiny instances.
    first_share, beam_share, stage_share : float
        For annealing beside the first prices, the first beams, and the prices of later stages.
    path_share, profile_share : float
        For the path's prices, and for those of profiles beside the search that the path guides.
    turn_share : float
        For one turn of annealing, where tail searches come between.
    long_share, guide_share : float
        For annealing where no proof is in sight; of the rest, for the prices that guide its beams.
    first_steps, later_steps, path_steps : int
        Steps of the ascent to the first prices, to those of a stage, and to those of the path.
    stages : tuple of float
        Stages: shares of the prompts that are done.
    widths, wider : tuple of int, int
        Widths of the first beams, and how many times wider each later one is.
    stall_steps : int
        Steps from prompt batch to prompt batch per second left: more are not begun.
    """

    first_expansions: int = 3_000
    first_share: float = 0.15
    beam_share: float = 0.08
    stage_share: float = 0.2
    path_share: float = 0.25
    profile_share: float = 0.15
    turn_share: float = 0.15
    long_share: float = 0.75
    guide_share: float = 0.3
    first_steps: int = 40
    later_steps: int = 20
    path_steps: int = 5_000
    stages: tuple[float, ...] = (0.25, 0.6)
    widths: tuple[int, ...] = (30, 300, 1000)
    wider: int = 3
    stall_steps: int = 50_000_000
