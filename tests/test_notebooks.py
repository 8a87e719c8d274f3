"""Every notebook runs from start to end, is committed executed, and is made like the others."""

import re

import nbformat
import pytest

import batchprophet as bp
from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PICTURES = {"image/png", "image/svg+xml"}
LARGEST = 400_000  # bytes

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]


def prose(path):
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def is_solution(cell):
    return "solution" in cell.metadata.get("tags", [])


def test_there_are_twelve_in_order():
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{number:02}_" for number in range(1, 13)]


@each_notebook
# The kernel's own machinery: sockets and event loops that are closed a little late.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_notebook_runs(path, tmp_path):
    from nbclient import NotebookClient

    NotebookClient(
        read(path), timeout=180, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()


@each_notebook
def test_notebook_is_committed_executed(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs)
    assert any(PICTURES & set(output.get("data", {})) for output in outputs)
    assert path.stat().st_size < LARGEST


@each_notebook
def test_no_output_is_a_wall(path):
    for cell in code_cells(path):
        text = "".join(output.get("text", "") for output in cell.outputs)
        assert len(text.splitlines()) <= 25, cell.source


@each_notebook
def test_notebook_has_all_its_parts(path):
    first, *_ = read(path).cells
    assert first.source.startswith("# ")
    assert "**What you will learn.**" in first.source
    assert "**What you need.**" in first.source
    assert "| symbol | meaning |" in first.source
    text = prose(path)
    for part in ("## By hand", "## Exercises", "**References.**"):
        assert part in text or (part == "## By hand" and "by hand" in text), part
    assert "$$" in text  # the model's equations, beside the code


@each_notebook
def test_every_exercise_has_a_hidden_solution_that_was_run(path):
    exercises = re.findall(r"(?m)^(\d)\. ", prose(path).split("## Exercises")[1])
    solutions = re.findall(r"<summary>Solution to exercise (\d)</summary>", prose(path))
    hidden = [cell for cell in code_cells(path) if is_solution(cell)]
    assert 3 <= len(solutions) <= 5
    assert exercises[: len(solutions)] == solutions
    assert len(hidden) == len(solutions)
    assert all(cell.metadata["jupyter"]["source_hidden"] for cell in hidden)
    assert all(cell.outputs for cell in hidden)


@each_notebook
def test_every_solution_was_checked_and_found_right(path):
    hidden = [cell for cell in code_cells(path) if is_solution(cell)]
    for key, cell in zip(bp.teach.exercises(path.name[:2]), hidden, strict=True):
        assert cell.source.splitlines()[-1].startswith(f'bp.teach.check("{key}", ')
        shown = cell.outputs[-1].data["text/plain"]
        assert shown.startswith(f"{key}: right. "), shown


@each_notebook
def test_what_a_notebook_needs_comes_before_it(path):
    needed = re.search(r"\*\*What you need\.\*\*(.*?)\n\n", read(path).cells[0].source, re.DOTALL)
    before = re.findall(r"\]\((\d\d)_\w+\.ipynb\)", needed[1])
    assert all(number < path.name[:2] for number in before)
    assert before or "Nothing of this course" in needed[1]


@each_notebook
def test_pictures_are_drawn_by_the_package(path):
    # What draws is documented and tested; a notebook says what is drawn.
    for cell in code_cells(path):
        assert not re.findall(r"\bax\.(?!get)\w+\(|\bplt\.", cell.source), cell.source


@each_notebook
def test_a_request_holds_a_wedge_whatever_the_page(path):
    assert not re.findall(r"\bramps?\b", prose(path))


@each_notebook
def test_the_first_code_cell_installs_the_package_where_it_is_missing(path):
    first = code_cells(path)[0]
    assert 'find_spec("batchprophet") is None' in first.source
    assert "%pip install" in first.source


@each_notebook
def test_links_lead_to_notebooks_and_pages(path):
    text = prose(path)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (path.parent / target).exists(), target
    for page in re.findall(r"`(docs/[\w/-]+\.md)`", text):
        assert (ROOT / page).exists(), page
