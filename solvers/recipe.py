"""The contract of a batching regime in this wing, and the recipe that all regimes share.

A solve begins with list schedules and quick bounds. An instance that falls apart is solved block by
block; what is left is for the regime's engine and its MILPs. A regime is a `Recipe`, and a line in
`solvers.regimes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic

from ..models.blocks import blocks
from ..models.errors import InputError
from ..models.instance import Instance
from ..models.objectives import Exact, require_objective
from ..models.regime import Regime, Schedule, ScheduleType
from .best_so_far import BestSoFar
from .blocks import Parts, fall_apart, solve_blocks
from .certificates.proof import RecomputedProof
from .compiled import PHASE
from .extendable import Extendable
from .machines import FirstTokens, Machines
from .progress import Progress
from .relaxation import Relaxation
from .solution import Solution
from .stages import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to solve, as `hindsight.solve` documents it.

    Raises
    ------
    InputError
        If an option is unknown or out of range.

    Examples
    --------
    >>> Options(work_limit=5).seconds
    inf
    """

    objective: str = "latency"
    time_limit: float = 60.0
    work_limit: int | None = None
    threads: int | None = None
    seed: int = 0
    formulation: str = "auto"

    def __post_init__(self) -> None:
        require_objective(self.objective)
        if not self.time_limit >= 0:
            raise InputError(f"time_limit: expected at least 0 seconds, found {self.time_limit!r}")
        if self.work_limit is not None and not 0 <= self.work_limit < 2**31:
            raise InputError(
                f"work_limit: expected from 0 to 2^31 − 1 nodes, found {self.work_limit!r}"
            )

    @property
    def seconds(self) -> float:
        """The time limit; none where work is limited."""
        return math.inf if self.work_limit is not None else self.time_limit

    @property
    def ask_for_milp(self) -> bool:
        """Whether the MILP may be solved, and not the engine for the total latency alone."""
        return self.objective != "latency" or self.formulation != "auto"

    def share(self, part: float) -> Options:
        """Return the options for a part of the work."""
        if self.work_limit is None:
            return self
        return replace(self, work_limit=int(part * self.work_limit))


#: A lower bound and its proof.
Bound = tuple[Exact, RecomputedProof]


def _nothing(*_: Any) -> None:
    """Load or compile nothing."""


def _always() -> bool:
    """Say that all is compiled."""
    return True


def _not_by_itself(_: Options) -> bool:
    """Say that what a solve runs is compiled when it comes to it, or before."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Generic[ScheduleType]):
    """What a regime does in a solve.

    Attributes
    ----------
    rules : Regime
        Its schedules and its checker.
    formulations : tuple of str
        Its MILPs, in the words of ``--formulation``.
    begin : callable
        ``begin(search, known, options)``: list schedules, the known one first, and quick bounds.
    prove : callable
        ``prove(search, options)``: the engine, or the MILP, until bounds and schedules meet.
    parts : callable, optional
        What `blocks.solve_blocks` must know of an instance, or None for it to be solved as a whole;
        without it all are.
    relaxations : tuple of Relaxation
        Other regimes in which its instances can be bounded; `prove` runs their stages.
    bounds : callable, optional
        ``bounds(search, limits)`` yields lower bounds on the total latency, with their proofs, for
        a search that has a schedule, on one thread: what another regime's relaxation asks for.
    machines : callable, optional
        ``machines(instance)``: the machines of which its schedules are schedules.
    first_tokens : callable, optional
        ``first_tokens(instance)``: the same until first tokens.
    load : callable
        Runs the engine on an instance for a moment, so that its code is compiled, or loaded.
    compiled : callable
        Whether the whole engine is compiled: in this process, or in numba's cache.
    compile : callable
        ``compile(instance, announce)`` compiles what an instance needs (None: everything), and
        calls `announce` before it does.
    engine : tuple of str
        Objectives that its engine, which is compiled, is for.
    runs_compiled : callable
        ``runs_compiled(options)``: whether a solve begins with the whole of the compiled code, so
        that it is compiled off the clock, whoever asks for the solve.
    build_model : callable, optional
        ``build_model(instance, objective, formulation)`` returns a MILP, a Pyomo model; "auto" is
        the regime's default form.
    extendable : callable, optional
        ``extendable()`` loads what a caller's constraints on the MILPs need.
    prepare : callable, optional
        ``prepare(instance, options)``, before the clock starts: refuses a formulation that cannot
        express the instance, and loads what a MILP needs.
    """

    rules: Regime[ScheduleType]
    begin: Callable[[BestSoFar[ScheduleType], ScheduleType | None, Options], None]
    prove: Callable[[BestSoFar[ScheduleType], Options], None]
    formulations: tuple[str, ...] = ()
    parts: Callable[[Instance], Parts[ScheduleType] | None] | None = None
    relaxations: tuple[Relaxation, ...] = ()
    bounds: Callable[[BestSoFar[ScheduleType], Limits], Iterator[Bound]] | None = None
    machines: Callable[[Instance], Machines] | None = None
    first_tokens: Callable[[Instance], FirstTokens] | None = None
    load: Callable[[Instance], None] = _nothing
    compiled: Callable[[], bool] = _always
    compile: Callable[[Instance | None, Callable[[], None]], None] = _nothing
    engine: tuple[str, ...] = ("latency",)
    runs_compiled: Callable[[Options], bool] = _not_by_itself
    build_model: Callable[[Instance, str, str], Any] | None = None
    extendable: Callable[[], Extendable[ScheduleType]] | None = None
    prepare: Callable[[Instance, Options], None] | None = None

    def solve(
        self,
        instance: Instance,
        options: Options,
        *,
        warm_start: Schedule | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Solution[ScheduleType]:
        """Solve an instance; a keyboard interrupt returns what is known.

        Raises
        ------
        InputError
            If the regime cannot express the instance, has no such formulation, or the warm start
            is none of its feasible schedules.
        """
        require_among("formulation", options.formulation, ("auto", *self.formulations))
        self.rules.require(instance)
        known = self._warm_start(instance, options, warm_start)
        if self.prepare is not None:
            self.prepare(instance, options)
        search = BestSoFar[ScheduleType](instance, options.objective, options.seconds)
        search.listen = progress
        try:
            self.compile_off_the_clock(search, options)
            self._search(search, known, options)
        except KeyboardInterrupt:
            if search.schedule is None:
                raise
            search.account.append("interrupted")
        return search.solution()

    def compile_off_the_clock(self, search: BestSoFar[Any], options: Options) -> None:
        """Compile what the solve of a search runs, unless that is done, and say so meanwhile."""
        if self.runs_compiled(options) and search.seconds_left > 0 and not self.compiled():
            search.off_the_clock(PHASE, partial(self.compile, search.instance, _nothing))

    def _warm_start(
        self, instance: Instance, options: Options, warm_start: Schedule | None
    ) -> ScheduleType | None:
        if warm_start is None:
            return None
        if not isinstance(warm_start, self.rules.schedule):
            found = getattr(warm_start, "model", type(warm_start).__name__)
            raise InputError(
                f"warm_start: expected a {self.rules.name} schedule, found a {found} one"
            )
        rejects = options.objective == "reward"
        violations = self.rules.check(instance, warm_start, allow_rejected=rejects)
        if violations:
            raise InputError(f"warm_start: expected a feasible schedule: {violations[0].message}")
        return warm_start

    def _search(
        self, search: BestSoFar[ScheduleType], known: ScheduleType | None, options: Options
    ) -> None:
        """Begin, then solve the blocks one by one, or all at once."""
        self.begin(search, known, options)
        if search.proved:
            return
        parts = None if self.parts is None else self.parts(search.instance)
        if parts is None:
            self.prove(search, options)
            return
        groups = blocks(search.instance, parts.work)
        if search.seconds_left == 0 or not fall_apart(search.instance, groups, parts.work):
            self.prove(search, options)
            return

        def solve_block(block: BestSoFar[ScheduleType], known: ScheduleType, share: float) -> None:
            self._search(block, known, options.share(share))

        solve_blocks(search, groups, parts, solve_block)


def require_among(name: str, value: Any, known: Iterable[str]) -> None:
    """Refuse a value that is not one of those known."""
    known = tuple(known)
    if value not in known:
        raise InputError(f"{name}: expected one of {', '.join(known)}; found {value!r}")
