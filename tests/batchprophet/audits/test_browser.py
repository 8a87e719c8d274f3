"""The report in a real browser: sizes, light and dark, hover, sorting, picking, no network."""

from __future__ import annotations

import re

import pytest

import batchprophet as bp
from batchprophet.audits.audited import FILES
from tests.batchprophet.audits.conftest import served
from tests.browser import Browser, program

pytestmark = pytest.mark.skipif(program() is None, reason="needs Chromium")

#: Sizes of a desktop and of a phone, in pixels.
DESKTOP, PHONE = (1200, 800), (390, 844)

ENTER = ("Enter", 13)


@pytest.fixture(scope="module")
def page(audited, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    audited.save(folder)
    with Browser() as browser:
        browser.screen(*DESKTOP)
        browser.open(folder / FILES[-1])
        yield browser


def column(page, k):
    """The cells of a column of the table of requests, from the top down."""
    return page.evaluate(
        f"[...document.querySelectorAll('#requests tbody tr')].map(row => row.cells[{k}].innerText)"
    )


#: The least contrast of text with the page, by tag and class, and the page's own lightness.
CONTRAST = """(() => {
  const part = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(part);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const page = light(getComputedStyle(document.body).backgroundColor), found = {};
  const texts = "p, h1, h2, dt, dd, th, td, caption span, figcaption, b, svg text, .axis span";
  for (const e of document.querySelectorAll(texts)) {
    const { fill, color } = getComputedStyle(e);
    const own = light(e instanceof SVGElement ? fill : color);
    const ratio = (Math.max(own, page) + .05) / (Math.min(own, page) + .05);
    const key = e.tagName + "." + (e.getAttribute("class") || "");
    found[key] = Math.min(found[key] || 99, ratio);
  }
  return [found, page];
})()"""

#: What stands out of the window and is in no box that scrolls.
OUTSIDE = """[...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll, details"))
  .map(e => [e.getBoundingClientRect(), e.outerHTML.slice(0, 80)])
  .filter(([b]) => b.left < -1 || b.right > innerWidth + 1).map(([, text]) => text)"""


def boxes(page, selector):
    """Left, right, top and bottom of elements."""
    return page.evaluate(
        f"[...document.querySelectorAll({selector!r})].map(e => e.getBoundingClientRect())"
        ".map(b => [b.left, b.right, b.top, b.bottom])"
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_nothing_is_cut_off_and_all_text_can_be_read(page, size, dark):
    page.screen(*size, mobile=size is PHONE, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate(OUTSIDE) == []
    contrast, background = page.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast
    assert (background < 0.1) == dark


def test_labels_of_the_interval_do_not_cover_each_other(page):
    for size in (DESKTOP, PHONE):
        page.screen(*size, mobile=size is PHONE)
        labels = boxes(page, ".axis .tick span")
        assert len(labels) == 4
        for i, (left, right, top, bottom) in enumerate(labels):
            for other in labels[:i]:
                apart = right <= other[0] or other[1] <= left or bottom <= other[2]
                assert apart or other[3] <= top


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_tables_scroll_in_their_own_boxes_and_keep_their_first_column(page, size):
    page.screen(*size, mobile=size is PHONE)
    page.evaluate("document.querySelector('#requests').parentElement.scrollLeft = 200")
    box, head = (boxes(page, each)[0][0] for each in (".tall", "#requests th"))
    moved = page.evaluate("document.querySelector('#requests').parentElement.scrollLeft")
    assert (moved > 0) == (size is PHONE)
    assert head - box <= 2
    page.evaluate("document.querySelector('#requests').parentElement.scrollLeft = 0")


def test_hovering_tells_the_values_under_the_mouse(page):
    page.screen(*DESKTOP)
    for picture, unit in (("latency", " %"), ("ttft", " %"), ("running", ""), ("kv", "")):
        said = []
        for x in (0.3, 0.9):
            page.hover(f"#{picture} svg", x)
            said.append(page.evaluate(f"document.querySelector('#{picture} ~ .at').innerText"))
        names = r"engine ([\d.]+k?)UNIT(?:, simulated [\d.]+k?UNIT)?, best [\d.]+k?UNIT"
        at = [re.fullmatch(r"([\d.]+) s: " + names.replace("UNIT", unit), text) for text in said]
        assert all(at), said
        assert float(at[0][1]) < float(at[1][1])
    shares = page.evaluate("document.querySelector('#latency ~ .at').innerText")
    assert 90 <= float(re.search(r"engine ([\d.]+) %", shares)[1]) <= 100
    assert page.evaluate("document.querySelectorAll('svg line[visibility=visible]').length") == 1


def test_headings_sort_up_and_down(page, audited):
    page.screen(*DESKTOP)
    lost = [float(cell) for cell in column(page, 7)]
    assert lost == sorted(lost, reverse=True)
    page.click("#requests th:nth-child(2) button")
    prompts = [int(cell.replace(",", "")) for cell in column(page, 1)]
    assert prompts == sorted(audited.audit.log.prompt.tolist(), reverse=True)
    page.click("#requests th:nth-child(2) button")
    assert column(page, 1)[0] == f"{min(prompts):,}"
    assert page.evaluate("document.querySelector('[aria-sort]').innerText").startswith("prompt")
    page.click("#requests th:nth-child(1) button")
    assert column(page, 0)[:3] == ["bench-0", "bench-1", "bench-2"]  # not bench-10


def test_a_request_is_picked_and_marked_by_mouse_and_by_key(page):
    page.screen(*DESKTOP)
    marks = "[...document.querySelectorAll('.chart svg g')].map(g => g.children.length)"
    row = "#requests tbody tr:nth-child(3)"
    page.click(row)
    name = page.evaluate("document.querySelector('tr.picked th').innerText")
    assert page.evaluate("document.getElementById('picked').innerText").startswith(f"{name}: arr")
    assert page.evaluate(marks) == [2, 1, 3, 3, 3]
    page.click("#requests th:nth-child(3) button")
    assert page.evaluate("document.querySelector('tr.picked th').innerText") == name
    page.click("tr.picked")
    assert page.evaluate(marks) == [0] * 5
    page.evaluate(f"document.querySelector({row!r}).focus()")
    page.press(*ENTER)
    assert page.evaluate("document.querySelectorAll('tr.picked').length") == 1
    assert page.evaluate(marks) == [2, 1, 3, 3, 3]


def test_the_knobs_are_drawn_beside_their_table(page, audited):
    drawn = page.evaluate("document.querySelector('#knobs svg').textContent")
    for name, *_, change, _ in audited.knob_rows():
        assert name in drawn
        assert change in drawn
    page.screen(*DESKTOP)
    lefts = [left for left, *_ in boxes(page, ".beside > *")]
    assert lefts[0] < lefts[1]


def test_the_page_asks_for_nothing_and_has_no_errors(page):
    assert page.requested() == []
    assert page.complaints() == []


def test_the_page_of_a_log_that_is_not_explained(page, tmp_path):
    slow = "affine:c0=19.64,c1=0.0884,c2=0.0732,c3=1.9e-4"
    doubted = bp.audit(
        served(30), kv_capacity=20_000, max_num_seqs=4, batch_time=slow, time_limit=0
    )
    assert not doubted.explained
    page.open(doubted.save(tmp_path))
    assert "nothing is claimed" in page.evaluate("document.querySelector('.doubt').innerText")
    assert page.evaluate("document.querySelector('.axis')") is None
    assert len(column(page, 0)) == 30
    assert page.complaints() == []
