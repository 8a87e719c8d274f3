"""What students get: no solution, a checked cell for each answer, pages that stand alone."""

import json
import re
import sys
from functools import cache

import nbformat
import pytest

import batchprophet as bp
from tests.browser import Browser, program
from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@cache
def course():
    """The module that makes the course, which is beside the pages."""
    pytest.importorskip("latex2mathml")
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import course as found
    finally:
        sys.path.pop(0)
    return found


def solutions(path):
    """Code and words of a notebook's solutions."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell.source for cell in cells if "solution" in cell.metadata.get("tags", [])]
    words = [
        found
        for cell in cells
        if cell.cell_type == "markdown"
        for found in re.findall(r"</summary>\s*(.*?)\s*</details>", cell.source, re.DOTALL)
    ]
    assert len(code) == len(words) >= 3
    return code, words


@each_notebook
def test_a_student_version_has_no_solution_and_a_cell_for_each_answer(path):
    text = course().student(path)
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    everything = "\n".join(cell.source for cell in notebook.cells)
    code, words = solutions(path)
    for each in [*code, *words]:
        assert each not in everything
    own = {line for source in code for line in source.splitlines() if "teach.check" in line}
    assert own
    assert not own & set(everything.splitlines())
    assert "<details" not in everything
    assert "solution" not in json.dumps([cell.metadata for cell in notebook.cells])
    answers = [cell for cell in notebook.cells if "answer" in cell.metadata.get("tags", [])]
    keys = list(bp.teach.exercises(path.name[:2]))
    assert [re.search(r'check\("(.*?)", answer\)', cell.source)[1] for cell in answers] == keys
    assert all("answer = ...\n" in cell.source for cell in answers)
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code_cells)
    kept = [
        cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code" and "solution" not in cell.metadata.get("tags", [])
    ]
    assert [cell.source for cell in code_cells if cell not in answers] == kept


def test_an_answer_cell_says_what_it_expects_before_there_is_an_answer():
    notebook = nbformat.reads(course().student(NOTEBOOKS[5]), as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith("# Exercise 2")]
    found = {}
    exec(cell.source.replace("bp.teach", "found = bp.teach"), {"bp": bp}, found)
    asks = bp.teach.exercises("06")["06.2"]
    assert repr(found["found"]).replace("\n", " ") == (
        f"06.2: not yet. No answer so far; expected {asks}."
    )


@each_notebook
def test_slides_and_hand_outs_need_nothing_but_themselves(path):
    made = course()
    _, words = solutions(path)
    for page in (made.slides(path), made.handout(path)):
        assert not re.findall(r'(?:src|href)="(?!data:)', page)
        assert "@import" not in page
        assert "url(" not in page
        assert "arithmatex" not in page
        assert "<math" in page
        for each in words:
            plain = re.split(r"[$`*\n<>&_\"']", each)  # what no markup changes
            assert max(plain, key=len) not in page


@each_notebook
def test_slides_are_numbered_and_a_hand_out_has_room_for_each_answer(path):
    slides, handout = course().slides(path), course().handout(path)
    total = slides.count("<section")
    assert 8 < total < 60
    assert [int(n) for n in re.findall(rf"(\d+) / {total}<", slides)] == [*range(1, total + 1)]
    assert handout.count('<div class="answer">') == len(bp.teach.exercises(path.name[:2]))
    assert "@page" in handout


#: Parts of slides that would have to be scrolled, which a projector and paper do not.
HIDDEN = """[...document.querySelectorAll("section")].flatMap((slide, k) => {
  document.querySelector(".here").classList.remove("here");
  slide.classList.add("here");
  return [...slide.querySelectorAll(".words, .code")]
    .filter(e => e.scrollHeight > e.clientHeight + 2 || e.scrollWidth > e.clientWidth + 2)
    .map(e => [k + 1, e.className, e.scrollHeight, e.clientHeight]);
})"""


@pytest.mark.skipif(program() is None, reason="needs Chromium")
def test_each_slide_fits_on_the_screen_and_a_hand_out_on_a_phone(tmp_path):
    slides, handout = tmp_path / "slides.html", tmp_path / "handout.html"
    with Browser() as browser:
        for path in NOTEBOOKS:
            slides.write_text(course().slides(path), "utf-8")
            browser.screen(1280, 720)
            browser.open(slides)
            assert browser.evaluate(HIDDEN) == [], path
            handout.write_text(course().handout(path), "utf-8")
            browser.screen(390, 844, mobile=True)
            browser.open(handout)
            assert browser.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_slides_divide_code_between_functions_and_lose_nothing():
    path = NOTEBOOKS[1]
    made = course()
    (cell,) = [cell for cell in made.shown_cells(path) if "def branch_and_bound" in cell.source]
    parts = made.pieces(cell)
    assert "".join(content for kind, content in parts if kind == "source") == cell.source
    shown = made.fitting(cell, beside=True)
    assert len(shown) > 1
    text = "".join(re.sub(r"<[^>]+>|\s", "", part) for part in shown)
    whole = re.sub(r"<[^>]+>|\s", "", made.code_html(parts))
    assert text == whole


def test_code_in_a_hand_outs_answers_is_code():
    assert "regret of <code>never</code>" in course().handout(NOTEBOOKS[4])


def test_the_order_of_the_course_has_no_circle():
    paths = course().notebook_paths()
    assert paths == NOTEBOOKS
    for path in paths:
        assert all(before in paths and before < path for before in course().needs(path))
    picture = course().dependences()
    assert picture.startswith('<svg role="img"')
    assert "11 builds on 9" in picture
    assert "12 builds on 2" in picture


def test_the_command_writes_all_files(tmp_path):
    written = course().write(tmp_path)
    assert len(written) == 3 * len(NOTEBOOKS)
    assert {path.parent.name for path in written} == {"student", "slides", "handout"}
    assert all(path.stat().st_size > 5000 for path in written)
