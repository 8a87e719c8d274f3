"""What a study's table amounts to: ratios and regrets as intervals, pairs, profiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from ...models.objectives import MAXIMISED
from ..statistics.intervals import Interval, quantile_interval, t_interval
from ..statistics.pairs import PairedComparison, compare_pairs
from ..statistics.profiles import Profile, performance_profiles
from ..statistics.ratios import RatioFigures, ratio_figures
from .result import DONE, ENDLESS
from .study import Study
from .table import HINDSIGHT, Row

#: Factors of the best known value at which profiles are written down.
PROFILE_FACTORS = (1.0, 1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 5.0)


class Group(NamedTuple):
    """Rows that differ in their seeds only."""

    source: str
    limit: str
    predictions: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One policy over the seeds of one source, against one hindsight limit.

    The true ratio of each instance lies between value/best known and value/bound (for reward the
    other way round), so that every figure of ratios has a lower and an upper end: the figure of
    the lower ends, and that of the upper ends. They are equal where all optima are proved.

    Attributes
    ----------
    group : Group
        What it is about.
    instances, finished, failed : int
        Cells; figures are over those that finished.
    proved : int
        Finished instances with a proved optimum.
    optimal, best : int
        Instances on which the policy's value is proved optimal, and equals the best known.
    low, high : RatioFigures or None
        Of value/best known, and of value/bound (for reward the other way round); None where none
        finished, or no bound is known.
    median_interval : Interval or None
        Distribution-free 95 % interval of the median of the lower ends.
    regret_low, regret_high : float or None
        Mean of the distance to the best known value, and to the bound.
    regret_low_t, regret_high_t : Interval or None
        Their 95 % intervals.
    """

    group: Group
    instances: int
    finished: int
    failed: int
    proved: int
    optimal: int
    best: int
    low: RatioFigures | None
    high: RatioFigures | None
    median_interval: Interval | None
    regret_low: float | None
    regret_high: float | None
    regret_low_t: Interval | None
    regret_high_t: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """What a study's table amounts to.

    Attributes
    ----------
    study : str
        Its name.
    groups : tuple of Summary
        In the table's order.
    pairs : dict of Group to PairedComparison
        Each policy against the study's first policy that takes the same predictions, on the
        instances on which both finish; in the objective's unit, less is better (reward negated).
    profiles : dict of Group to Profile
        Costs of each policy over the best known; not for reward.
    """

    study: str
    groups: tuple[Summary, ...]
    pairs: dict[Group, PairedComparison]
    profiles: dict[Group, Profile]

    def to_record(self) -> dict[str, Any]:
        """Return it as an object for JSON."""
        return {
            "study": self.study,
            "groups": [_group_record(summary) for summary in self.groups],
            "pairs": [group._asdict() | asdict(pair) for group, pair in self.pairs.items()],
            "profiles": [
                group._asdict()
                | {"within": {f"{factor:g}": profile.at(factor) for factor in PROFILE_FACTORS}}
                for group, profile in self.profiles.items()
            ],
        }


def summarise(study: Study, rows: Sequence[Row]) -> StudySummary:
    """Summarise a study's table.

    Parameters
    ----------
    study : Study
        The study.
    rows : sequence of Row
        Its table.

    Examples
    --------
    >>> from .source import Source
    >>> source = Source(kind="family", origin="arrival-model-1", label="a")
    >>> study = Study(name="small", sources=(source,), seeds=(1, 2), policies=("mc-sf",))
    >>> def row(seed, value, bound):
    ...     return Row(source="a", seed=seed, limit="", predictions="default", policy="mc-sf",
    ...         outcome="done", value=value, best_known=10, bound=bound, figures={}, reason="",
    ...         ratio=(Fraction(value, 10), Fraction(value, bound)))
    >>> summary = summarise(study, [row(1, 10, 10), row(2, 12, 8)]).groups[0]
    >>> summary.low.mean_of_ratios, summary.high.mean_of_ratios, summary.proved, summary.optimal
    (1.1, 1.25, 1, 1)
    """
    maximised = study.objective in MAXIMISED
    grouped: dict[Group, list[Row]] = {}
    for row in rows:
        grouped.setdefault(_group(row), []).append(row)
    return StudySummary(
        study=study.name,
        groups=tuple(_summary(group, members) for group, members in grouped.items()),
        pairs=_pairs(grouped, maximised),
        profiles={} if maximised else _profiles(grouped),
    )


def _group(row: Row) -> Group:
    return Group(row.source, row.limit, row.predictions, row.policy)


def _summary(group: Group, rows: Sequence[Row]) -> Summary:
    done = [row for row in rows if row.value is not None]
    low = _figures(done, 0)
    high = low if all(row.proved for row in done) else _figures(done, 1)
    ends = [_regret(row) for row in done]
    near = [least for least, _ in ends]
    far = [most for _, most in ends if most is not None]
    complete = bool(far) and len(far) == len(near)
    lower_ends = [float(row.ratio[0]) for row in done if row.ratio[0] is not None]
    return Summary(
        group=group,
        instances=len(rows),
        finished=len(done),
        failed=sum(row.outcome not in (DONE, ENDLESS) for row in rows),
        proved=sum(row.proved for row in done),
        optimal=sum(row.bound is not None and row.value == row.bound for row in done),
        best=sum(row.value == row.best_known for row in done),
        low=low,
        high=high,
        median_interval=quantile_interval(lower_ends, 0.5) if lower_ends else None,
        regret_low=sum(near) / len(near) if near else None,
        regret_high=sum(far) / len(far) if complete else None,
        regret_low_t=t_interval(near),
        regret_high_t=t_interval(far) if complete else None,
    )


def _figures(rows: Sequence[Row], end: int) -> RatioFigures | None:
    """Figures of one end of the ratios; None unless every row has it."""
    values, references = [], []
    for row in rows:
        ratio = row.ratio[end]
        if row.value is None or not ratio:
            return None
        values.append(float(row.value))
        references.append(float(Fraction(row.value) / ratio))
    return ratio_figures(values, references) if values else None


def _regret(row: Row) -> tuple[float, float | None]:
    """Distances to the best known value and to the bound."""
    assert row.value is not None
    assert row.best_known is not None
    far = None if row.bound is None else abs(float(row.value - row.bound))
    return abs(float(row.value - row.best_known)), far


def _pairs(grouped: dict[Group, list[Row]], maximised: bool) -> dict[Group, PairedComparison]:
    sign = -1.0 if maximised else 1.0
    first: dict[tuple[str, str, str], list[Row]] = {}
    found = {}
    for group, rows in grouped.items():
        if group.policy == HINDSIGHT:
            continue
        place = group.source, group.limit, group.predictions
        if place not in first:
            first[place] = rows
            continue
        both = [
            (sign * float(mine.value), sign * float(theirs.value))
            for mine, theirs in zip(rows, first[place], strict=True)
            if mine.value is not None and theirs.value is not None
        ]
        if both:
            found[group] = compare_pairs([a for a, _ in both], [b for _, b in both])
    return found


def _profiles(grouped: dict[Group, list[Row]]) -> dict[Group, Profile]:
    found: dict[Group, Profile] = {}
    for place in dict.fromkeys((group.source, group.limit) for group in grouped):
        here = {
            group: rows
            for group, rows in grouped.items()
            if (group.source, group.limit) == place and group.policy != HINDSIGHT
        }
        columns = zip(*here.values(), strict=True)
        known = [all(row.best_known for row in column) for column in columns]
        if not any(known):
            continue
        kept = {group: _known(rows, known) for group, rows in here.items()}
        some = next(iter(kept.values()))
        best = [float(row.best_known) for row in some if row.best_known is not None]
        costs = {
            str(number): [None if row.value is None else float(row.value) for row in rows]
            for number, rows in enumerate(kept.values())
        }
        profiles = performance_profiles(costs, best)
        found |= dict(zip(kept, profiles.values(), strict=True))
    return found


def _known(rows: Sequence[Row], known: Iterable[bool]) -> list[Row]:
    return [row for row, keep in zip(rows, known, strict=True) if keep]


def _group_record(summary: Summary) -> dict[str, Any]:
    record = asdict(summary)
    del record["group"]
    return summary.group._asdict() | record
