"""The report: self-contained, true to its numbers, accessible, small."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.metrics import measure
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.online.evaluation import Comparison, PolicyResult
from batchprophet.pictures import panels
from batchprophet.report import sentences as reading
from batchprophet.report import table as tables
from batchprophet.report.page import Origin, render
from batchprophet.results import compared as results
from batchprophet.solvers.solution import certified

ORIGIN = Origin(version="1.2.3", date="2031-02-03", command="batchprophet compare 'a <b>.json'")
#: M = 9, (0, 3, 4) and (2, 1, 2): optimum 7 with starts 0 and 3.
SMALL = Instance(
    gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2], name="small <&>"
)


def result(instance: Instance, policy: str, schedule: MixedSchedule | None) -> PolicyResult:
    return PolicyResult(
        policy=policy,
        schedule=schedule,
        metrics=None if schedule is None else measure(instance, schedule),
        verdict="does not finish: cycles" if schedule is None else "",
        seconds=0.001,
    )


def comparison(bound: int | None = 7, start: tuple[int, int] = (0, 3)) -> Comparison:
    """Hindsight, a policy of value 8, one as good as the optimum, one that does not finish."""
    solution = certified(
        SMALL,
        MixedSchedule(start),
        bounds=() if bound is None else (("by hand", bound),),
        method="by hand",
        seconds=1.5,
    )
    policies = (
        result(SMALL, "late", MixedSchedule([0, 4])),
        result(SMALL, "stuck", None),
        result(SMALL, "good", MixedSchedule([0, 3])),
    )
    return Comparison(instance=SMALL, solution=solution, results=policies)


def report(comparisons: list[Comparison]) -> str:
    """The page on comparisons."""
    return render([results.Compared(comparison=each) for each in comparisons], ORIGIN)


class Page(HTMLParser):
    """What a test asks of a page: its elements, identifiers, and what it would load."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_rows_are_hindsight_then_best_to_worst_then_the_unfinished() -> None:
    rows = tables.rows(comparison())
    assert [row.policy for row in rows] == ["hindsight", "good", "late", "stuck"]
    assert [row.ratio_to_best for row in rows] == [1.0, 1.0, 8 / 7, None]
    assert rows[0].cells()[:2] == ("hindsight (optimal)", "7")
    assert rows[3].cells()[:2] == ("stuck", "does not finish")


def test_ratio_to_bound_is_against_the_bound_not_the_best() -> None:
    # With bound 5 and best known 7: 8/7 of the best, at most 8/5 of the optimum.
    late = tables.rows(comparison(bound=5))[2]
    assert (late.ratio_to_best, late.ratio_to_bound) == (8 / 7, 8 / 5)


@pytest.mark.parametrize(
    ("bound", "sentences"),
    [
        (
            7,
            [
                "The optimum is proved: no schedule has a total latency below 7 rounds.",
                "The best policy here is good, with an optimal schedule.",
                "The worst policy that finishes is late, at 1.1429 times the optimal total "
                "latency.",
                "stuck does not finish: cycles.",
            ],
        ),
        (
            # Interval ends are rounded outwards: 7/6 = 1.16666…, 8/7 = 1.142857…, 8/6 = 1.3333….
            6,
            [
                "The optimum is not known exactly: it lies between 6 and 7 rounds of total latency "
                "(gap 14.29 %).",
                "The best policy here is good, certified to be between 1.0000 and 1.1667 times "
                "optimal.",
                "The worst policy that finishes is late, certified to be between 1.1428 and 1.3334 "
                "times optimal.",
                "stuck does not finish: cycles.",
            ],
        ),
        (
            None,
            [
                "The best schedule found has a total latency of 7 rounds; no lower bound on the "
                "optimum is known.",
                "The best policy here is good, at 1.0000 times the total latency of the best "
                "schedule known; without a bound its ratio to the optimum is not certified.",
                "The worst policy that finishes is late, at 1.1429 times the total latency of the "
                "best schedule known; without a bound its ratio to the optimum is not certified.",
                "stuck does not finish: cycles.",
            ],
        ),
    ],
)
def test_reading_claims_what_is_proved(bound: int | None, sentences: list[str]) -> None:
    assert reading.reading(comparison(bound)) == sentences


def test_policies_that_tie_are_called_neither_best_nor_worst() -> None:
    good = [result(SMALL, name, MixedSchedule([0, 3])) for name in ("a", "b", "c")]
    tied = replace(comparison(), results=tuple(good))
    assert reading.reading(tied)[1:] == [
        "All 3 policies that finish tie, each with an optimal schedule."
    ]


def test_facts_of_an_instance() -> None:
    # KV areas: 4+5+6+7 = 22 and 2+3 = 5, so 27 / 9 = 3 rounds of full memory over a span of 2.
    assert reading.facts(SMALL) == [
        ("requests", "2"),
        ("KV capacity M", "9 tokens"),
        ("prompt lengths", "1 to 3 tokens (median 2, mean 2)"),
        ("output lengths", "2 to 4 tokens (median 3, mean 3)"),
        ("arrivals", "rounds 0 to 2"),
        ("KV work", "3.0 rounds of full memory, 1.50 times the arrival span"),
    ]


def test_provenance_is_said_in_words() -> None:
    provenance = {"family": "by hand", "settings": {"n": 2, "rates": [1, 2]}, "dropped": {}}
    instance = SMALL.replace(provenance=provenance)
    said = [("family", "by hand"), ("settings", "n 2, rates 1, 2"), ("dropped", "none")]
    assert reading.provenance(instance) == said
    assert reading.provenance(SMALL) == []


def test_page_is_wellformed_and_loads_nothing() -> None:
    text = report([comparison()])
    page = Page(text)
    assert page.open == []
    assert not [tag for tag, _ in page.elements if tag in ("script", "link", "img", "iframe")]
    assert "@import" not in text
    for _, attributes in page.elements:
        assert "src" not in attributes
        for key in ("href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith("#")
    for url in re.findall(r"url\(([^)]*)\)", text):
        assert url.startswith("#")


def test_page_is_accessible() -> None:
    page = Page(report([comparison()]))
    assert page.all("html") == [{"lang": "en"}]
    assert all(th.get("scope") in ("col", "row") for th in page.all("th"))
    assert len(page.all("caption")) == 1
    # Mean and p99, waiting times, hindsight, two policies that finish.
    assert len(page.all("svg")) == 6  # waiting times for narrow and for broad screens
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))


def test_every_reference_of_a_picture_is_on_the_page() -> None:
    text = report([comparison()])
    identifiers = set(re.findall(r' id="([^"]+)"', text))
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    assert used
    assert used <= identifiers


def test_page_says_what_it_is_and_escapes_what_it_is_given() -> None:
    text = report([comparison()])
    assert "batchprophet 1.2.3, 2031-02-03" in text
    assert "batchprophet compare &#39;a &lt;b&gt;.json&#39;" in text
    assert "small &lt;&amp;&gt;" in text
    assert "small <&>" not in text
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_same_comparison_same_bytes() -> None:
    assert report([comparison()]) == report([comparison()])


def test_several_instances_are_sections_with_a_list_on_top() -> None:
    text = report([comparison(), comparison(bound=6)])
    page = Page(text)
    assert len(page.all("section")) == 2
    assert [a["href"] for a in page.all("a")] == ["#instance-1", "#instance-2"]
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))


def test_saved_folder_is_complete_and_checks(tmp_path: Path) -> None:
    both = [results.Compared(comparison=each) for each in (comparison(), comparison(bound=6))]
    report = results.save_comparisons(both, tmp_path / "a" / "b", origin=ORIGIN)
    assert report == tmp_path / "a" / "b" / "report.html"
    for number in (1, 2):
        folder = report.parent
        checked = bp.check(folder / f"instance-{number}.json", folder / f"solution-{number}.json")
        assert checked.feasible
        assert checked.values["latency"] == 7


def test_summary_is_the_table_and_its_reading() -> None:
    lines = results.Compared(comparison=comparison()).summary().splitlines()
    assert lines[0] == SMALL.name
    assert lines[1].split("  ")[0] == "policy"
    assert lines[2].startswith("hindsight (optimal)")
    assert "stuck does not finish: cycles." in lines
    assert lines[-1].startswith("No schedule has a 99th percentile of latency below 3.9 rounds; ")


def test_compared_draws_all_schedules_on_the_same_axes() -> None:
    compared = results.Compared(comparison=comparison())
    for figure in (compared.plot_gantt(), compared.plot_kv()):
        assert len(figure.axes) == 3
        assert len({ax.get_xlim() for ax in figure.axes}) == 1
        assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert len(compared.plot_waiting().axes[0].lines) == 3


def test_mean_and_p99_are_drawn_beside_their_bounds() -> None:
    compared = results.Compared(comparison=comparison())
    (ax,) = compared.plot_mean_and_p99().axes
    means = {line.get_label(): line.get_xdata() for line in ax.lines}
    assert list(means) == ["hindsight", "good", "late"]
    solution = compared.solution
    assert means["hindsight"] == [solution.objective / 2]
    spans = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches]
    assert spans[0].x1 == pytest.approx(solution.bound / 2)
    assert spans[1].y1 == pytest.approx(compared.tail_bound)
    assert compared.to_record()["hindsight"]["p99_lower_bound"] == compared.tail_bound


def test_a_schedule_far_off_is_named_and_not_drawn() -> None:
    far = result(SMALL, "far", MixedSchedule([0, 40]))
    both = replace(comparison(), results=(*comparison().results, far))
    (ax,) = results.Compared(comparison=both).plot_mean_and_p99().axes
    assert [line.get_label() for line in ax.lines][-1] == "far (beyond)"
    assert ax.get_ylim()[1] < 40


def test_many_requests_are_counted_on_the_same_axes() -> None:
    n = 1300
    instance = Instance(
        gpu=Gpu(kv_capacity=9), arrival=np.arange(n), prompt=[1] * n, output=[1] * n
    )
    schedules = {"a": MixedSchedule(np.arange(n)), "b": MixedSchedule(np.arange(n) + 50)}
    figure = panels.gantts(instance, schedules)
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    # Fifty wait where one runs: both are to be seen.
    assert {ax.get_yscale() for ax in figure.axes} == {"symlog"}


def random_comparison(n: int, policies: int) -> Comparison:
    """Schedules that are feasible on a huge GPU, as ragged as real ones."""
    rng = np.random.default_rng(n)
    instance = Instance(
        gpu=Gpu(kv_capacity=10**7),
        arrival=np.sort(rng.integers(0, 3 * n, n)),
        prompt=rng.integers(1, 2000, n),
        output=rng.integers(1, 400, n),
        name="random",
    )

    def schedule() -> MixedSchedule:
        return MixedSchedule(instance.arrival + rng.integers(0, 2 * n, n))

    solution = certified(
        instance, MixedSchedule(instance.arrival), bounds=(), method="none", seconds=0.0
    )
    made = tuple(result(instance, f"policy-{k}", schedule()) for k in range(policies))
    return Comparison(instance=instance, solution=solution, results=made)


def test_a_thousand_requests_and_eight_policies_stay_under_two_megabytes() -> None:
    assert len(report([random_comparison(1000, 8)]).encode()) < 2_000_000


def test_twenty_thousand_requests_are_drawn_sensibly() -> None:
    text = report([random_comparison(20_000, 3)])
    assert len(text.encode()) < 1_000_000
    assert "How many requests run (line) and wait (area), over time" in text


@pytest.mark.parametrize(
    ("objective", "heading", "values"),
    [
        ("latency", "total latency", ["7", "7", "8"]),
        ("weighted", "weighted completion", ["9", "9", "10"]),
        ("makespan", "makespan", ["5", "5", "6"]),
        ("reward", "reward", ["2", "2", "1"]),
    ],
)
def test_the_objective_judges_table_and_sentences(
    objective: str, heading: str, values: list[str]
) -> None:
    instance = replace(SMALL, horizon=5)
    policies = tuple(each for each in comparison().results if each.schedule is not None)
    bound = {"latency": 7, "weighted": 9, "makespan": 5, "reward": 2}[objective]
    solution = certified(
        instance,
        MixedSchedule([0, 3]),
        bounds=(("by hand", bound),),
        method="by hand",
        seconds=0.0,
        objective_name=objective,
    )
    judged = results.Compared(
        comparison=Comparison(instance=instance, solution=solution, results=policies)
    )
    assert [*judged.columns()][1] == heading
    assert [row.value for row in judged.rows()] == values
    assert [row.policy for row in judged.rows()] == ["hindsight", "good", "late"]
    beyond = "above" if objective == "reward" else "below"
    unit = "" if objective == "reward" else " rounds"
    first, best, worst = judged.reading()[:3]
    assert first == (
        f"The optimum is proved: no schedule has a {heading} {beyond} {values[0]}{unit}."
    )
    assert best == "The best policy here is good, with an optimal schedule."
    ratio = float(values[2]) / float(values[0])
    assert worst == (
        f"The worst policy that finishes is late, at {ratio:.4f} times the optimal {heading}."
    )
    assert heading in render([judged], ORIGIN)


def test_an_interval_of_the_reward_is_below_its_bound() -> None:
    instance = replace(SMALL, horizon=5)
    solution = certified(
        instance, MixedSchedule([0, 4]), bounds=(("by hand", 3),), method="by hand", seconds=0.0,
        objective_name="reward",
    )  # fmt: skip
    late = comparison().results[0]
    both = Comparison(instance=instance, solution=solution, results=(late,))
    assert reading.reading(both) == [
        "The optimum is not known exactly: it lies between 1 and 3 of reward (gap 200.00 %).",
        "The best policy here is late, certified to be between 0.3333 and 1.0000 times optimal.",
    ]


def test_compare_takes_an_objective() -> None:
    compared = bp.compare(SMALL, policies="mc-sf,vllm", objective="makespan", time_limit=10)
    assert compared.solution.objective_name == "makespan"
    assert compared.rows()[0].value == "5"
    with pytest.raises(bp.InputError, match="objective: expected one of latency, weighted"):
        bp.compare(SMALL, objective="p98")
