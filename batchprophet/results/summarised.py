"""Comparisons on several instances in one table: what each policy amounts to over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..models.errors import InputError
from ..models.service import is_maximised
from ..online.statistics.intervals import Interval
from ..online.statistics.ratios import RatioFigures, ratio_figures
from ..report.sentences import SERVICE_PHRASES
from ..report.table import HINDSIGHT, JUDGED, ratio_text
from .goodput import limit_unit
from .shown import Shown

if TYPE_CHECKING:
    from pandas import DataFrame

    from ..models.objectives import Exact
    from .compared import Compared


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySummary:
    """What one policy, or hindsight, amounts to over several instances.

    Attributes
    ----------
    policy : str
        Its specification, or `HINDSIGHT`.
    instances, finished : int
        Instances that it was run on, and those of them on which it finishes.
    wins : int
        Instances on which no policy has a better value; ties count for each. Of hindsight those on
        which no policy is better.
    proved : int
        Instances on which its value is proved optimal.
    to_best, to_bound : RatioFigures or None
        Of its value to the best known, and to the proved bound, over the instances on which it
        finishes and the ratio exists; None where there is no such instance.
    maximised : bool
        Whether the worst ratio is the least.
    goodput : float or None
        Mean share of the requests within the limits, over the instances on which it finishes; None
        without limits, and where it finishes on none.
    limited : bool
        Whether there are limits.
    """

    policy: str
    instances: int
    finished: int
    wins: int
    proved: int
    to_best: RatioFigures | None
    to_bound: RatioFigures | None
    maximised: bool = False
    goodput: float | None = None
    limited: bool = False

    def worst(self, figures: RatioFigures) -> float:
        """Return the worst of ratios: the greatest, or of what is maximised the least."""
        return figures.least if self.maximised else figures.greatest

    def interval(self, figures: RatioFigures) -> Interval | None:
        """Return the 95 % interval of a mean ratio, cut off at 1, which no ratio crosses."""
        found = figures.mean_of_ratios_t
        if found is None:
            return None
        if self.maximised:
            return Interval(max(0.0, found.low), min(1.0, found.high))
        return Interval(max(1.0, found.low), found.high)

    def cells(self) -> tuple[str, ...]:
        """Return the cells as text, one per entry of `Summarised.columns`."""
        finished = f"{self.finished} of {self.instances}"
        best, bound = self._texts(self.to_best), self._texts(self.to_bound)
        interval = None if self.to_best is None else self.interval(self.to_best)
        ends = "" if interval is None else interval_text(interval)
        share = ("" if self.goodput is None else f"{self.goodput:.1%}",) * self.limited
        return (self.policy, finished, str(self.wins), *share, best[0], ends, *best[1:], *bound)

    def _texts(self, figures: RatioFigures | None) -> tuple[str, str, str]:
        if figures is None:
            return ("", "", "")
        found = figures.mean_of_ratios, figures.median, self.worst(figures)
        return (ratio_text(found[0]), ratio_text(found[1]), ratio_text(found[2]))

    def to_record(self) -> dict[str, Any]:
        """Return it as an object for JSON; null where there is nothing to tell."""
        return {
            "policy": self.policy,
            "instances": self.instances,
            "finished": self.finished,
            "wins": self.wins,
            "proved_optimal": self.proved,
            **({"mean_goodput": self.goodput} if self.limited else {}),
            "ratio_to_best": self._figures_record(self.to_best),
            "ratio_to_bound": self._figures_record(self.to_bound),
        }

    def _figures_record(self, figures: RatioFigures | None) -> dict[str, Any] | None:
        if figures is None:
            return None
        interval = self.interval(figures)
        return {
            "instances": figures.count,
            "mean": figures.mean_of_ratios,
            "mean_interval_95": None if interval is None else [*interval],
            "median": figures.median,
            "worst": self.worst(figures),
            "ratio_of_means": figures.ratio_of_means,
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class Summarised(Shown):
    """Comparisons on several instances in one table.

    Attributes
    ----------
    compared : tuple of Compared
        One an instance, of the same regime, objective and latency limits.
    """

    compared: tuple[Compared, ...]

    def __post_init__(self) -> None:
        kinds = {(each.comparison.model, each.comparison.objective_name) for each in self.compared}
        if len(kinds) != 1:
            found = ", ".join(sorted(f"{model} batching by {name}" for model, name in kinds))
            raise InputError(
                "compared: expected comparisons of one regime by one objective, found "
                f"{found or 'none'}"
            )
        if len({each.slo for each in self.compared}) != 1:
            raise InputError("compared: expected comparisons with the same latency limits")

    @property
    def model(self) -> str:
        """The regime."""
        return self.compared[0].comparison.model

    @property
    def objective_name(self) -> str:
        """What all are judged by."""
        return self.compared[0].comparison.objective_name

    @property
    def name(self) -> str:
        """How many instances there are, in words."""
        n = len(self.compared)
        return f"{n} instance{'s' if n > 1 else ''}, {self.model} batching"

    def columns(self) -> Mapping[str, str]:
        """Return the headings of the table, with what each figure means."""
        judged = JUDGED[self.objective_name][0]
        bound = "upper" if is_maximised(self.objective_name) else "lower"
        best = f"{judged} divided by that of the best schedule known"
        proved = f"{judged} divided by the proved {bound} bound"
        slo = self.compared[0].slo
        unit = limit_unit(self.compared[0].instance).unit
        share = "mean share of the requests within"
        return {
            "policy": "the hindsight schedule knows the future; policies do not",
            "finished": "instances on which it finishes; the figures are over these",
            "wins": "instances on which no policy has a better value; ties count for each",
            **({} if slo is None else {"goodput": f"{share} {slo.text(unit)}"}),
            "mean / best": f"mean of {best}",
            "95 % interval": "of this mean by Student's t, the instances being a sample",
            "median / best": f"median of {best}",
            "worst / best": f"worst of {best}",
            "mean / bound": f"mean of {proved}",
            "median / bound": f"median of {proved}",
            "worst / bound": f"worst of {proved}",
        }

    def rows(self) -> list[PolicySummary]:
        """Return hindsight, then the policies: more finished first, then the better mean ratio."""
        values = [_values(each) for each in self.compared]
        shares = [each.goodputs() for each in self.compared]
        names = dict.fromkeys(name for each in values for name in each)
        sign = -1 if is_maximised(self.objective_name) else 1
        made = [
            replace(
                self._row(name, values),
                goodput=_mean([each[name].share for each in shares if name in each]),
                limited=self.compared[0].slo is not None,
            )
            for name in names
        ]

        def place(row: PolicySummary) -> tuple[bool, int, float]:
            mean = 0.0 if row.to_best is None else row.to_best.mean_of_ratios
            return row.policy != HINDSIGHT, row.instances - row.finished, sign * mean

        return sorted(made, key=place)

    def _row(self, name: str, values: Sequence[Mapping[str, Exact | None]]) -> PolicySummary:
        maximised = is_maximised(self.objective_name)
        best, bound, finished, wins, proved = [], [], 0, 0, 0
        for each, known in zip(self.compared, values, strict=True):
            value = known.get(name)
            if value is None:
                continue
            finished += 1
            proved += value == each.comparison.bound
            others = [x for x in _of_policies(known) if x is not None]
            ahead = any(x > value if maximised else x < value for x in others)
            wins += not ahead
            if each.comparison.best_known:
                best.append((value, each.comparison.best_known))
            if each.comparison.bound:
                bound.append((value, each.comparison.bound))
        return PolicySummary(
            policy=name,
            instances=sum(name in known for known in values),
            finished=finished,
            wins=wins,
            proved=proved,
            to_best=_figures(best),
            to_bound=_figures(bound),
            maximised=maximised,
        )

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return self.name, [*self.columns()], [row.cells() for row in self.rows()]

    def summary(self) -> str:
        """Return the table and its reading as text."""
        cells = [tuple(self.columns()), *(row.cells() for row in self.rows())]
        widths = [max(len(row[c]) for row in cells) for c in range(len(cells[0]))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in cells
        ]
        return "\n".join([self.name, *lines, *self.reading()])

    def reading(self) -> list[str]:
        """Return what the table shows, sentence by sentence."""
        rows, n = self.rows(), len(self.compared)
        proved = sum(each.comparison.proved for each in self.compared)
        name = self.objective_name
        judged = SERVICE_PHRASES.get(name) or JUDGED[name][0]
        sentences = [f"The optimal {judged} is proved on {proved} of {n} instances."]
        policies = [row for row in rows if row.policy != HINDSIGHT]
        whole = [row for row in policies if row.finished == row.instances and row.to_best]
        if whole and whole[0].to_best is not None:
            sentences.append(_best_sentence(whole[0], whole[0].to_best, n))
        sentences += [
            f"{row.policy} does not finish on {row.instances - row.finished} of {row.instances} "
            "instances; its figures are over the others."
            for row in policies
            if 0 < row.finished < row.instances
        ]
        sentences += [
            f"{row.policy} finishes on no instance." for row in policies if not row.finished
        ]
        return sentences

    def to_record(self) -> dict[str, Any]:
        """Return the summary as the object that ``--json`` prints."""
        return {
            "model": self.model,
            "objective": self.objective_name,
            "instances": [each.instance.name for each in self.compared],
            "proved": sum(each.comparison.proved for each in self.compared),
            "policies": [row.to_record() for row in self.rows()],
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record a policy, for data frames and CSV."""
        made = []
        for row in self.rows():
            record = row.to_record()
            cells: dict[str, Any] = {"model": self.model, "objective": self.objective_name}
            cells |= {key: record[key] for key in record if not key.startswith("ratio")}
            for end, figures in (("best", row.to_best), ("bound", row.to_bound)):
                interval = None if figures is None else row.interval(figures)
                cells |= {
                    f"mean_ratio_to_{end}": figures and figures.mean_of_ratios,
                    f"mean_ratio_to_{end}_low": interval and interval.low,
                    f"mean_ratio_to_{end}_high": interval and interval.high,
                    f"median_ratio_to_{end}": figures and figures.median,
                    f"worst_ratio_to_{end}": figures and row.worst(figures),
                }
            made.append(cells)
        return made

    def to_frame(self) -> DataFrame:
        """Return one row a policy, with the figures of the table.

        Raises
        ------
        InputError
            If pandas is not installed (``batchprophet[frames]``).
        """
        from ..models.frames import frame

        made = self.records()
        return frame({name: [cells[name] for cells in made] for name in made[0]})


def summarise(compared: Sequence[Compared]) -> Summarised:
    """Put comparisons on several instances into one table.

    Parameters
    ----------
    compared : sequence of Compared
        At least one, all of one regime and one objective.

    Returns
    -------
    Summarised
        For each policy mean, median and worst ratio to the best known schedule and to the bound,
        wins, and instances on which it does not finish.

    Raises
    ------
    InputError
        If there is none, or they differ in regime or objective.

    See Also
    --------
    batchprophet.study : Many instances, in parallel, with caching and paired comparisons.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> one = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> two = bp.Instance(gpu=gpu, arrival=[0, 0], prompt=[7, 1], output=[2, 1])
    >>> policies = "mc-sf,mc-benchmark"
    >>> found = bp.summarise([bp.compare(each, policies=policies) for each in (one, two)])
    >>> [(row.policy, row.wins, row.to_best.mean_of_ratios) for row in found.rows()]
    [('hindsight', 2, 1.0), ('mc-sf', 2, 1.0), ('mc-benchmark', 1, 1.125)]
    """
    return Summarised(compared=tuple(compared))


def summaries(compared: Sequence[Compared]) -> list[Summarised]:
    """Return a summary for each regime of comparisons, in their order."""
    models = dict.fromkeys(each.comparison.model for each in compared)
    return [
        summarise([each for each in compared if each.comparison.model == model]) for model in models
    ]


def interval_text(interval: Interval) -> str:
    """Return an interval of ratios as text.

    Examples
    --------
    >>> interval_text(Interval(1.0, 1.04551))
    '1.000 to 1.046'
    """
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _values(compared: Compared) -> dict[str, Exact | None]:
    """Values by name; None where a policy does not finish. References are none."""
    comparison = compared.comparison
    known: dict[str, Exact | None] = {HINDSIGHT: comparison.hindsight_value}
    return known | {each.policy: comparison.value(each) for each in comparison.results}


def _of_policies(values: Mapping[str, Exact | None]) -> list[Exact | None]:
    return [value for name, value in values.items() if name != HINDSIGHT]


def _figures(pairs: Sequence[tuple[Exact, Exact]]) -> RatioFigures | None:
    """Figures of ratios; None where there are none."""
    if not pairs:
        return None
    return ratio_figures(
        [float(Fraction(value)) for value, _ in pairs],
        [float(Fraction(reference)) for _, reference in pairs],
    )


def _mean(shares: Sequence[float]) -> float | None:
    return sum(shares) / len(shares) if shares else None


def _best_sentence(row: PolicySummary, figures: RatioFigures, n: int) -> str:
    interval = row.interval(figures)
    ends = "" if interval is None else f" (95 % interval {interval_text(interval)})"
    bound = row.to_bound
    far = "" if bound is None else f", and {ratio_text(bound.mean_of_ratios)} to the bound"
    return (
        f"Of the policies that finish everywhere {row.policy} is the best: its mean ratio is "
        f"{ratio_text(figures.mean_of_ratios)} to the best schedule known{ends}{far}; it wins on "
        f"{row.wins} of {n}."
    )
