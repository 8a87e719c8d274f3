"""Prove a schedule optimal, or find a better one: A* label setting with dominance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ....models.instance import Instance, IntArray
from ....models.separate.columns import earlier_jobs
from ....models.separate.problem import Problem, separate_problem
from ....models.separate.schedule import Kind, SeparateSchedule, columns_of
from ...limits import Budget
from ..bounds.profile_costs import CostTable
from ..bounds.profile_prices import ProfilePrices
from ..bounds.profiles import Profiles
from .expansion import EXHAUSTED, FULL, expand
from .gpu_path_lookahead import PathTable, no_path
from .labels import BY_TIME, EXPANSIONS, HEAP, Labels, add_label, empty_labels, enlarged
from .lookahead import TABLES, Lookahead, bound_alone, least_times
from .states import name_in_order, pack, packing_of, sorted_problem, unpack
from .workspace import LAST_LABEL, LATENCY, NEVER, StateSpace, empty_workspace

#: Labels that are kept at most (a power of 2), and room for at first.
MOST_LABELS, FIRST_LABELS = 2**24, 2**15

#: Token batches of up to this many running requests are enumerated, and this many sets of prompts
#: per state.
MOST_RUNNING, MOST_PROMPT_SETS = 16, 200_000

#: Most requests where the path bound guides the search, and most that may run then: a bit each.
MOST_GUIDED, MOST_BITS = 60, 60

#: Expansions between two looks at the clock.
SLICE = 200

#: Successors of a label are added at once if their bound exceeds its own by less than this.
WINDOW = 4

Found = Callable[[SeparateSchedule, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exhaustive search came to.

    Attributes
    ----------
    schedule : SeparateSchedule
        The best schedule: the one given, or a better one.
    latency : int
        Its total latency.
    bound : int
        Lower bound on the total latency; equal to `latency` if the search was complete.
    complete : bool
        Whether the schedule is proved optimal.
    expanded : int
        Labels expanded.
    """

    schedule: SeparateSchedule
    latency: int
    bound: int
    complete: bool
    expanded: int


def is_applicable(instance: Instance) -> bool:
    """Whether the sets of requests that a state's batches may hold can be enumerated.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> is_applicable(Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4]))
    True
    """
    return _most_running(instance) <= MOST_RUNNING and _prompt_sets(instance) <= MOST_PROMPT_SETS


def may_be_guided(instance: Instance) -> bool:
    """Whether the search is worth its time where the bound by the GPU's path guides it.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> may_be_guided(Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4]))
    True
    """
    return instance.n <= MOST_GUIDED and _most_running(instance) <= MOST_BITS


def _most_running(instance: Instance) -> int:
    """Most requests that can hold KV at once: the smallest ones, just after their prompts."""
    held = np.cumsum(np.sort(instance.prompt + 1))
    return int(np.searchsorted(held, instance.gpu.kv_capacity, side="right"))


def _prompt_sets(instance: Instance) -> int:
    most = min(separate_problem(instance).B_P, _most_running(instance))
    return sum(math.comb(instance.n, k) for k in range(1, most + 1))


def search_states(
    instance: Instance,
    schedule: SeparateSchedule,
    *,
    kept: int = 0,
    prices: Sequence[ProfilePrices] = (),
    path: PathTable | None = None,
    time_limit: float = math.inf,
    work_limit: int | None = None,
    stop: Callable[[], bool] | None = None,
    found: Found | None = None,
    known: Callable[[], int] | None = None,
) -> Outcome:
    """Search the states of an instance in order of a lower bound until the best is proved.

    Parameters
    ----------
    instance : Instance
        The instance; any law, any limits, but few enough requests (`is_applicable`, or with `path`
        `may_be_guided`).
    schedule : SeparateSchedule
        A feasible schedule: only better ones are searched for.
    kept : int
        Only among schedules that begin with this many of its batches; the bound is on these.
    prices : sequence of ProfilePrices
        Prices for a stronger lookahead, of this instance, up to `lookahead.TABLES` of them: the
        first for all states, others for those from a stage on. More may be added while the search
        goes on.
    path : PathTable, optional
        Costs to go of the GPU's path, for schedules no worse than the one given.
    time_limit : float
        Seconds.
    work_limit : int, optional
        Labels to expand; with it the clock is not looked at.
    stop : callable, optional
        Asked now and then whether to end.
    found : callable, optional
        Called with the best schedule and the lower bound, when either improves.
    known : callable, optional
        Total latency of a schedule that others have found meanwhile: only better ones count.

    Returns
    -------
    Outcome
        The best schedule, and how far the bound got.

    See Also
    --------
    beam : A heuristic search of the same states.
    search.tail_search.improve_tail : The same search behind the first batches of a schedule.

    Examples
    --------
    >>> import numpy as np
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.separate.search.encoding import plain_encoding
    >>> from batchprophet.solvers.separate.search.schedule_builder import schedule_of
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[3, 3])
    >>> one_by_one = schedule_of(instance, plain_encoding(np.array([0, 1]), 2, wait=9))
    >>> outcome = search_states(instance, one_by_one)
    >>> outcome.latency, outcome.bound, outcome.complete
    (7, 7, True)
    """
    run = _Run(instance, schedule, prices, path, kept=kept)
    complete = run.go_on_until_done(Budget(time_limit, work_limit, stop), found, known)
    return Outcome(
        schedule=run.schedule,
        latency=run.latency,
        bound=run.latency if complete else run.bound,
        complete=complete,
        expanded=run.expanded,
    )


def beam(
    instance: Instance,
    schedule: SeparateSchedule,
    width: int,
    *,
    prices: Sequence[ProfilePrices] = (),
    time_limit: float = math.inf,
    work_limit: int | None = None,
    stop: Callable[[], bool] | None = None,
) -> tuple[SeparateSchedule, int]:
    """Search the states level by level, of each time only those of least bound.

    Parameters
    ----------
    instance, schedule, prices, time_limit, work_limit, stop
        As in `search_states`.
    width : int
        States expanded per time, ≥ 1.

    Returns
    -------
    schedule : SeparateSchedule
        The one given, or a better one.
    expanded : int
        Labels expanded.

    See Also
    --------
    search_states : The exhaustive search.
    """
    run = _Run(instance, schedule, prices, None, width=width)
    run.go_on_until_done(Budget(time_limit, work_limit, stop), None, None)
    return run.schedule, run.expanded


class _Run:
    """One search: its labels, its limit, the best schedule."""

    def __init__(
        self,
        instance: Instance,
        schedule: SeparateSchedule,
        prices: Sequence[ProfilePrices],
        path: PathTable | None,
        *,
        width: int = 0,
        kept: int = 0,
    ) -> None:
        self._instance, self._prices, self._path = instance, prices, path
        self._kept = schedule.columns.first(kept)
        self._kept_ends = schedule.ends(instance)[:kept]
        self._arrivals = int(instance.arrival.sum())
        self._problem, self._order = sorted_problem(separate_problem(instance))
        self._packing = packing_of(self._problem)
        self._width = width
        self._states = self._look_up_tables()
        self._space = empty_workspace(
            self._problem,
            self._packing,
            _most_running(instance),
            int(schedule.completion(instance).sum()),
        )
        self.schedule = schedule
        self._labels = self._first_labels()
        self.bound = int(self._labels.bound[0]) - self._arrivals

    def _look_up_tables(self) -> StateSpace:
        """Make the search look ahead in the tables that there are now."""
        self._tables = self._tables_now()
        return StateSpace(
            problem=self._problem,
            packing=self._packing,
            lookahead=_lookahead(self._problem, self._order, self._prices, self._path),
            has_rules=self._problem.law.is_constant,
            last_arrival=int(self._instance.arrival.max()),
            window=WINDOW if self._path is not None else NEVER // 2,
        )

    def _tables_now(self) -> tuple[int, ...]:
        return tuple(id(table) for table in self._prices)

    @property
    def latency(self) -> int:
        """Total latency of the best schedule."""
        return int(self._space.limit[LATENCY]) - self._arrivals

    def _first_labels(self) -> Labels:
        labels = empty_labels(FIRST_LABELS, self._packing.words, self._packing.bar_words)
        labels.size[BY_TIME] = self._width > 0
        space = self._space
        tokens, time, cost = self._begin()
        bound = cost + int(bound_alone(self._problem, self._states.lookahead, tokens, time))
        name_in_order(self._packing, tokens, space.barred, space.tied)
        pack(self._packing, tokens, space.barred, space.state, space.bars)
        add_label(labels, space.state, space.bars, np.uint64(0), time, cost, bound, -1)
        return labels

    def _begin(self) -> tuple[IntArray, int, int]:
        """Tokens, the time and Σ completions of the complete, after the batches that are kept."""
        who, ends = self._kept.member, self._kept_ends
        tokens = np.bincount(who, minlength=self._instance.n)
        complete = earlier_jobs(who) + 1 == self._instance.output[who]
        cost = int(ends[self._kept.batch[complete]].sum())
        time = int(ends[-1] if ends.size else self._problem.arrival.min())
        return tokens[self._order], time, cost

    @property
    def expanded(self) -> int:
        """Labels expanded so far."""
        return int(self._labels.size[EXPANSIONS])

    def go_on_until_done(
        self, budget: Budget, found: Found | None, known: Callable[[], int] | None
    ) -> bool:
        """Expand labels until none is left that counts, or the budget or the room is spent.

        Returns whether none is left.
        """
        limit = self._space.limit
        while not budget.is_spent:
            before = self.expanded
            if self._tables != self._tables_now():
                self._states = self._look_up_tables()
            if known is not None:
                limit[LATENCY] = min(limit[LATENCY], known() + self._arrivals)
            ended, news = self._go_on(budget)
            budget.work += self.expanded - before
            if found is not None and news:
                found(self.schedule, self.bound)
            if ended == EXHAUSTED:
                return True
            if ended == FULL and not self._make_room():
                return False
        return False

    def _go_on(self, budget: Budget) -> tuple[int, bool]:
        """Expand labels; say how that ended, and whether there is a better schedule or bound."""
        labels, limit, known = self._labels, self._space.limit, self.bound
        before = int(limit[LATENCY])
        size = SLICE if budget.affords(SLICE) else 1
        ended = expand(self._states, self._space, labels, self._width, size)
        better = limit[LATENCY] < before
        if better:
            self.schedule = self._schedule_of(int(limit[LAST_LABEL]))
        if self._width == 0:
            least = int(labels.bound[labels.heap[0]]) if labels.size[HEAP] else NEVER
            self.bound = max(known, min(least - self._arrivals, self.latency))
        return int(ended), bool(better or self.bound > known)

    def _make_room(self) -> bool:
        """Enlarge the arrays; return whether that is still possible."""
        if 2 * self._labels.time.size > MOST_LABELS:
            return False
        self._labels = enlarged(self._labels)
        return True

    def _schedule_of(self, label: int) -> SeparateSchedule:
        """Follow a label back to the first one, and give its batches to requests."""
        path = []
        while label >= 0:
            path.append(label)
            label = int(self._labels.parent[label])
        states = [self._tokens(label) for label in reversed(path)]
        tokens, _, _ = self._begin()
        batches: list[tuple[Kind, tuple[int, ...]]] = []
        for after in states[1:]:
            prompts, jobs = self._jobs(tokens, after)
            if jobs:
                members = tuple(sorted(int(self._order[i]) for i in jobs))
                batches.append(("prompt" if prompts else "token", members))
        whole = self._kept.followed_by(columns_of(batches))
        return SeparateSchedule.left_shifted(self._instance, whole)

    def _tokens(self, label: int) -> IntArray:
        n = self._problem.prompt.size
        tokens, barred = np.zeros(n, np.int64), np.zeros(n, np.bool_)
        unpack(self._packing, self._labels.state[label], self._labels.bars[label], tokens, barred)
        return tokens

    def _jobs(self, tokens: IntArray, after: IntArray) -> tuple[bool, list[int]]:
        """Whose jobs lead to a state whose equal requests may have exchanged names; do them.

        Sorted falling, the tokens of equal requests differ by 0 or 1 before and after a batch.
        """
        prompts, jobs = False, []
        group = self._packing.group
        for first, end in zip(group[:-1].tolist(), group[1:].tolist(), strict=True):
            members = first + np.argsort(-tokens[first:end], kind="stable")
            for i, then in zip(members.tolist(), after[first:end].tolist(), strict=True):
                if then > tokens[i]:
                    prompts = prompts or tokens[i] == 0
                    tokens[i] += 1
                    jobs.append(i)
        return bool(prompts), jobs


def _lookahead(
    problem: Problem, order: IntArray, prices: Sequence[ProfilePrices], path: PathTable | None
) -> Lookahead:
    prompts, token = least_times(problem)
    space = np.zeros(max(problem.prompt.size, int(problem.output.max())), np.int64)
    if prices:
        profiles = prices[0].profiles
        tables = [each.table._replace(price=each.table.price[order]) for each in prices]
    else:
        profiles, table = _no_profiles(problem)
        tables = [table]
    return Lookahead(
        has_tables=bool(prices),
        profiles=profiles,
        tables=tuple((tables * TABLES)[:TABLES]),
        path=no_path()
        if path is None
        else path._replace(prompt=path.prompt[order], stage=path.stage[order]),
        shortest_prompt=prompts,
        shortest_token=token,
        space=space,
    )


def _no_profiles(problem: Problem) -> tuple[Profiles, CostTable]:
    """Empty tables, for the compiled code's types only."""
    none, square = np.zeros(0, np.int64), np.zeros((0, 0), np.int64)
    profiles = Profiles(
        most=0,
        running=none,
        first_after=none,
        after_token_batch=none,
        outputs=none,
        choice=square,
        after_prompts=np.zeros((0, 0), np.int32),
        rank=none,
        binomial=square,
    )
    return profiles, CostTable(first=0, last=0, price=none, row=none, value=square)
