"""The documentation site: every command, output and link on it, and a build without warnings."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.browser import Browser, program
from tests.pages import FENCE, OUTPUT, run_page, same_but_for_time
from tests.paths import ROOT

DOCS = ROOT / "docs"
EXECUTED = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
#: Pages with commands or code that no test runs. (The front page has the README's two commands.)
NOT_EXECUTED = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if page not in EXECUTED
    and page.name != "index.md"
    and re.search(r"^(?:    (?:batchprophet|python) |```)", page.read_text("utf-8"), re.M)
]


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_outputs_on_the_page_are_what_its_commands_print(page, tmp_path):
    # `python -m tests.pages docs/tutorial.md` writes them anew.
    outputs = list(run_page(page.read_text("utf-8"), tmp_path))
    assert outputs
    for shown, found in outputs:
        assert same_but_for_time(shown) == same_but_for_time(found)


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_every_block_on_an_executed_page_is_of_a_known_kind(page):
    # A fence that is misspelt would be passed over in silence.
    for found in FENCE.finditer(page.read_text("utf-8")):
        info = found["info"].strip()
        assert "title=" in info or info in ("console", "python", "sh", OUTPUT), info


def test_pages_that_are_not_executed_say_so():
    assert DOCS / "coupling.md" in NOT_EXECUTED
    for page in NOT_EXECUTED:
        assert "not executed by the tests" in page.read_text("utf-8"), page.name


def test_references_to_the_model_lead_to_sections():
    # Code, tests and pages cite pages of docs/model by name and number of section.
    cited = []
    for path in repository_texts():
        text = " ".join(re.sub(r"(?m)^ *#:? ?", " ", path.read_text("utf-8")).split())
        found = re.findall(r"model/(\w+\.md)`?((?:[,;]? (?:and )?§\d+(?:[-–]\d+)?)*)", text)
        cited += [(path, page, re.findall(r"\d+", sections)) for page, sections in found]
        assert not re.search(r"(?<![\w/])model\.md", text), path
    assert len(cited) > 40
    for path, page, sections in cited:
        headings = re.findall(r"(?m)^## (\d+)\.", (DOCS / "model" / page).read_text("utf-8"))
        assert set(sections) <= set(headings), (path, page, sections)


def test_files_that_pages_name_are_there():
    for page in repository_texts(".md"):
        if page.name == "CHANGELOG.md":  # names of their time
            continue
        for name in re.findall(
            r"`((?:models|solvers|online|batchprophet|tests|benchmarks)/[a-z_\d/]+\.\w+)`",
            page.read_text("utf-8"),
        ):
            assert (ROOT / name).exists(), (page.name, name)


def repository_texts(*endings):
    """Sources, pages and notebooks of the repository."""
    folders = ("batchprophet", "models", "solvers", "online", "tests", "docs", "benchmarks")
    paths = [
        path for folder in (*folders, "notebooks", "studies") for path in (ROOT / folder).rglob("*")
    ]
    wanted = endings or (".py", ".md", ".ipynb", ".toml")
    return [path for path in (*paths, *ROOT.glob("*.md")) if path.suffix in wanted]


def test_only_times_are_blanked_out():
    one = "  seconds   0.41\n  mc-sf   24   6.00   1.26   0.0003\n  bound  19"
    assert same_but_for_time(one) == same_but_for_time(one.replace("0.41", "3.5"))
    assert same_but_for_time(one) == same_but_for_time(one.replace("0.0003", "0.02"))
    assert same_but_for_time(one) != same_but_for_time(one.replace("19", "20"))
    assert same_but_for_time(one) != same_but_for_time(one.replace("1.26", "1.27"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the built site; a warning fails the build."""
    if shutil.which("mkdocs", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("needs the extra [docs]")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    # The variable keeps the theme's advertisement quiet, which is no warning of the build.
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class _Links(HTMLParser):
    """Where a page leads, what it shows, and the anchors it has."""

    def __init__(self):
        super().__init__()
        self.targets, self.anchors = [], set()

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.targets.append(value)
            if name in ("id", "name") and value:
                self.anchors.add(value)


def read_links(path):
    parser = _Links()
    parser.feed(path.read_text("utf-8"))
    return parser


def test_every_local_link_leads_to_a_page_and_an_anchor(site):
    pages = {path: read_links(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 20
    broken = []
    for path, links in pages.items():
        for target in links.targets:
            where, _, anchor = unquote(target).partition("#")
            if re.match(r"[a-z]+:", where):
                continue
            leads_to = (path.parent / where).resolve() if where else path
            if leads_to.is_dir():
                leads_to /= "index.html"
            known = leads_to.exists() and (
                not anchor or leads_to not in pages or anchor in pages[leads_to].anchors
            )
            if not known:
                broken.append((path.name, target))
    assert not broken


def test_pages_need_nothing_from_the_network(site):
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        assert not re.findall(r'<(?:script|img)[^>]+src="https?://[^"]+', text), path
        assert not re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="https?:', text), path


def test_formulas_are_mathml(site):
    assert "<math" in (site / "notebooks" / "02_hindsight_optimum.html").read_text("utf-8")
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        assert 'class="arithmatex"' not in text, path
        assert "<mi>&</mi>" not in text, f"{path}: a formula's environment was not understood"
        assert "<mi>s</mi><mi>u</mi><mi>b</mi>" not in text, f"{path}: tags within a formula"


def without_code(page):
    """Return the text of a page as read, code and formulas left out."""
    kinds = "pre|code|script|style|math"
    text = re.sub(rf"<({kinds})\b.*?</\1>", "", page.read_text("utf-8"), flags=re.DOTALL)
    return re.sub(r"<[^>]+>", "", text)


def test_no_formula_is_shown_as_it_was_typed(site):
    assert "a<sub>i</sub> ≥ 0" in (site / "model/index.html").read_text("utf-8")
    for page in site.rglob("*.html"):
        for typed in (r"\b[^\W\d_]_\w", r"[\w)\]]_\{", r"\)_\w", r"\\frac", r"\$\$"):
            assert not re.findall(typed, without_code(page)), (page, typed)


def test_texts_name_pages_by_their_titles(site):
    for page in site.rglob("*.html"):
        if page.name not in (
            "python.html",
            "milp.html",
        ):  # docstrings are for readers of the code as well
            assert not re.findall(r"[\w-]+\.md\b", without_code(page)), page


def test_parameters_that_share_a_line_have_their_own_types(site):
    python = re.sub(r"<[^>]+>", "", (site / "reference" / "python.html").read_text("utf-8"))
    convert = re.sub(r"\s+", " ", python.split("batchprophet.api.convert")[-1].split("Returns")[0])
    assert "round_ms (float | None, default: None )" in convert
    assert "columns (str | Mapping[str, str] | None, default: None )" in convert


def test_pictures_open(site):
    pages = [page.read_text("utf-8") for page in site.rglob("*.html")]
    shown = sum(len(re.findall(r'<img [^>]*src="[^":]+\.png"', page)) for page in pages)
    assert shown > 40
    assert shown == sum(len(re.findall(r'<a class="picture" href="[^"]+\.png"', p)) for p in pages)


def test_headings_go_down_one_level_at_a_time_and_pictures_are_described(site):
    for page in set(site.rglob("*.html")) - {site / "game.html", site / "404.html"}:
        text = page.read_text("utf-8")
        levels = [int(level) for level in re.findall(r"<h([1-6])\b", text)]
        assert levels.count(1) == 1, page
        assert levels[0] == 1, page
        assert all(b <= a + 1 for a, b in pairwise(levels)), page
        for picture in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r'alt="[^"]+"', picture), (page, picture[:200])


def test_commands_are_set_as_code(site):
    # An indented command after a list would be a paragraph of its last item.
    for page in site.rglob("*.html"):
        assert not re.findall(r"<p>(?:batchprophet|python) .*--.*", page.read_text("utf-8")), page


def test_columns_of_outputs_are_not_broken_and_sentences_are(site):
    table = (site / "how-to/my-table.html").read_text("utf-8")
    columns = re.findall(r'<span class="columns">(.*?)</span>', table)
    assert any("within limits" in line for line in columns)
    assert any("mc-sf" in line for line in columns)
    assert any("────" in line for line in columns)
    assert not any("The optimum is proved" in line for line in columns)
    solved = (site / "how-to/my-constraint.html").read_text("utf-8")
    assert "  certified    157" in solved  # a sentence beside its name
    assert not re.search(r'class="columns">[^\n]*  certified  ', solved)


def test_only_commands_are_set_as_commands(site):
    # A comment of LaTeX that a command prints begins like the prompt of another shell.
    page = (site / "how-to/my-table.html").read_text("utf-8")
    assert '<span class="go">% arrival-model-1-seed3-n=6</span>' in page
    assert set(re.findall(r'<span class="gp">(.*?)</span>', page)) == {"$ "}


def test_short_cells_of_tables_keep_figures_and_units_together(site):
    page = (site / "separate-benchmark.html").read_text("utf-8")
    assert "<td>0.0\u00a0%</td>" in page or '">0.0\u00a0%</td>' in page
    assert not re.search(r"<td[^>]*>[\d.]+ %</td>", page)


#: Parts of a page that stand out of the window, and code of little contrast with its ground.
UNREADABLE = """(() => {
  const part = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = {};
  const light = colour => known[colour] ??= (() => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(part);
    return .2126 * r + .7152 * g + .0722 * b;
  })();
  const ground = e => {
    const own = e ? getComputedStyle(e).backgroundColor : "white";
    return own.endsWith(", 0)") ? ground(e.parentElement) : own;
  };
  const found = new Set();
  if (document.documentElement.scrollWidth > innerWidth) found.add("wider than the window");
  for (const e of document.querySelectorAll(".highlight pre span[class]")) {
    const own = getComputedStyle(e).color, [a, b] = [light(own), light(ground(e))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (e.textContent.trim() && ratio < 4.5) found.add(`${e.className}: ${own}`);
  }
  return [...found];
})()"""


@pytest.mark.slow
@pytest.mark.skipif(program() is None, reason="needs Chromium")
@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_a_phone_and_code_can_be_read(site, dark):
    pages = sorted(set(site.rglob("*.html")) - {site / "game.html", site / "404.html"})
    with Browser() as browser:
        browser.screen(390, 844, mobile=True, dark=dark)
        for page in pages:
            browser.open(page)
            assert browser.evaluate(UNREADABLE) == [], page


def test_the_course_is_there_to_be_downloaded(site):
    page = (site / "notebooks/02_hindsight_optimum.html").read_text("utf-8")
    for kind, ending in (
        ("student", "ipynb"),
        ("teacher", "ipynb"),
        ("slides", "html"),
        ("handout", "html"),
    ):
        assert f"../course/{kind}/02_hindsight_optimum.{ending}" in page
        assert len(list((site / "course" / kind).iterdir())) == len(
            list((ROOT / "notebooks").glob("*.ipynb"))
        )
    with zipfile.ZipFile(site / "course/class.zip") as archive:
        assert len(archive.namelist()) == 2 * len(list((ROOT / "notebooks").glob("*.ipynb")))
    course = (site / "notebooks/index.html").read_text("utf-8")
    assert "6 builds on 5, 4" in course  # the picture, in words


def test_the_reference_has_every_public_name_and_command(site):
    import typer

    import batchprophet as bp
    from batchprophet.cli import app

    python = (site / "reference" / "python.html").read_text("utf-8")
    for name in set(bp.__all__) - {"__version__", "teach"} | set(bp.teach.__all__):
        assert re.search(rf'id="batchprophet\.[\w.]*\.{name}"', python), name
    line = (site / "reference" / "command-line.html").read_text("utf-8")
    for name in typer.main.get_command(app).commands:
        assert f'id="{name}"' in line, name


def test_search_works_in_pages_opened_from_the_file_system(site):
    # Browsers load no JSON and start no worker from there: the index is a script, and a frame of
    # our own stands in for the worker.
    declared, _, index = (site / "search/search_index.js").read_text("utf-8").partition("=")
    assert declared.strip() == "var __index"
    assert {page["location"] for page in json.loads(index)["docs"]} >= {"tutorial.html"}
    alone = {site / "game.html", *(site / "course").rglob("*.html")}  # pages without search
    for path in set(site.rglob("*.html")) - alone:
        (shim,) = re.findall(r'<script src="([^"]*iframe-worker[^"]*)"', path.read_text("utf-8"))
        if path.name != "404.html":
            assert (path.parent / shim).resolve() == (site / "assets/iframe-worker.js").resolve()
