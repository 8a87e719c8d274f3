"""Comparison tables for papers, wikis and other tools: LaTeX, Markdown, CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..models.csv_text import escape, write_csv
from ..models.errors import InputError
from ..models.files.writing import json_number
from ..models.shown import alternatives, suggestion

if TYPE_CHECKING:
    from ..results.compared import Compared
    from ..results.summarised import Summarised
    from .table import Row

#: What a table can be written as.
FORMATS = ("latex", "markdown", "csv")

#: What LaTeX takes for something else.
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "−": "$-$",
    "…": r"\dots{}",
}

#: What Markdown takes for something else in a table's cell.
_MARKDOWN = {sign: f"\\{sign}" for sign in "\\|*_`<["}


def require_format(name: str) -> None:
    """Refuse what is not one of `FORMATS`.

    Raises
    ------
    InputError
        As said.
    """
    if name not in FORMATS:
        raise InputError(
            f"table: expected {alternatives(FORMATS)}, found {name!r}{suggestion(name, FORMATS)}"
        )


def formatted(comparisons: Sequence[Compared], form: str) -> str:
    r"""Return comparisons as one text: a table each, or for CSV one table of all.

    Parameters
    ----------
    comparisons : sequence of Compared
        At least one.
    form : {"latex", "markdown", "csv"}
        LaTeX needs the package booktabs. CSV has all figures, in the batch-time law's unit.

    Returns
    -------
    str
        Ends in a line feed.

    Raises
    ------
    InputError
        If there is no such format.

    Examples
    --------
    >>> import batchprophet as bp
    >>> gpu = bp.Gpu(kv_capacity=9)
    >>> instance = bp.Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2], name="two")
    >>> text = formatted([bp.compare(instance, policies="mc-sf")], "csv")
    >>> [line.split(",")[:4] for line in text.splitlines()[1:]]
    [['two', 'mixed', 'hindsight', 'optimal'], ['two', 'mixed', 'mc-sf', '']]
    """
    require_format(form)
    if form == "csv":
        return _csv(comparisons)
    write = _latex if form == "latex" else _markdown
    return "\n".join(
        write(each.instance.name, [*each.columns()], [row.cells() for row in each.rows()])
        for each in comparisons
    )


def formatted_summaries(summaries: Sequence[Summarised], form: str) -> str:
    """Return summaries of comparisons as one text, as `formatted` does comparisons.

    Parameters
    ----------
    summaries : sequence of Summarised
        At least one.
    form : {"latex", "markdown", "csv"}
        CSV has one table of all.

    Raises
    ------
    InputError
        If there is no such format.
    """
    require_format(form)
    if form == "csv":
        return _csv_of([record for each in summaries for record in each.records()])
    write = _latex if form == "latex" else _markdown
    return "\n".join(
        write(each.name, [*each.columns()], [row.cells() for row in each.rows()])
        for each in summaries
    )


def comparison_records(rows: Sequence[Row], *, instance: str, model: str) -> list[dict[str, Any]]:
    """Return one record a schedule, with all of its figures in the batch-time law's unit.

    Parameters
    ----------
    rows : sequence of Row
        The table.
    instance, model : str
        What stands in each record, so that several comparisons can be joined.

    Returns
    -------
    list of dict
        Names instance, model, policy, verdict, objective, value, ratio_to_best, ratio_to_bound,
        seconds, goodput where limits are given, and the figures, which a policy that does not
        finish has not.
    """
    made: list[dict[str, Any]] = []
    for row in rows:
        cells: dict[str, Any] = {
            "instance": instance,
            "model": model,
            "policy": row.policy,
            "verdict": row.verdict,
            "objective": row.objective,
            "value": json_number(row.exact),
            "ratio_to_best": row.ratio_to_best,
            "ratio_to_bound": row.ratio_to_bound,
            "seconds": row.seconds,
        }
        if row.limited:
            cells["goodput"] = None if row.goodput is None else row.goodput.share
        made.append(cells | ({} if row.metrics is None else asdict(row.metrics)))
    return made


def names_in(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names that records have, in the order in which they come.

    Examples
    --------
    >>> names_in([{"a": 1}, {"b": 2, "a": 3}])
    ['a', 'b']
    """
    return list(dict.fromkeys(name for record in records for name in record))


def _csv(comparisons: Sequence[Compared]) -> str:
    records = [
        record
        for each in comparisons
        for record in comparison_records(
            each.rows(), instance=each.instance.name, model=each.comparison.model
        )
    ]
    return _csv_of(records)


def _csv_of(records: Sequence[Mapping[str, Any]]) -> str:
    names = names_in(records)
    rows = [[_cell(record.get(name)) for name in names] for record in records]
    return write_csv([names, *rows])


def _cell(value: Any) -> Any:
    return escape(value) if isinstance(value, str) else value


def _latex(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(_replaced(cell, _LATEX) for cell in cells) + r" \\"

    return "\n".join(
        [
            f"% {' '.join(title.split())}",
            rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
            r"\toprule",
            line(columns),
            r"\midrule",
            line(rows[0]),
            r"\midrule",
            *map(line, rows[1:]),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _markdown(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(_replaced(' '.join(cell.split()), _MARKDOWN) for cell in cells)} |"

    rule = f"|---|{'--:|' * (len(columns) - 1)}"
    heading = f"**{_replaced(' '.join(title.split()), _MARKDOWN)}**"
    return "\n".join([heading, "", line(columns), rule, *map(line, rows), ""])


def _replaced(text: str, signs: Mapping[str, str]) -> str:
    return "".join(signs.get(sign, sign) for sign in text)
