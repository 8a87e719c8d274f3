"""What MkDocs cannot do by itself: notebooks, the reference, and formulas without scripts.

- `on_startup`: lays the package's sources out as one tree, where the reference is read from.
- `on_config`: puts notebooks, and pages that the navigation does not name, where they belong.
- `on_files`: adds a page for each notebook (its committed outputs, not executed again), what
  `course` makes of it to be downloaded, the command line's help, the list of modules, and the page
  to play with.
- `on_page_markdown`: lists the notebooks on the course's first page, links pages by their titles,
  and sets subscripts as such.
- `on_page_content`: turns TeX into MathML, so that pages need nothing from the network; lets each
  picture lead to its file; keeps columns of outputs, and figures in tables, from being broken.
"""

from __future__ import annotations

import ast
import base64
import io
import re
import shutil
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import course
from course import notebook_paths
from mkdocs.structure.files import File
from subscripts import indexed, prose, with_subscripts

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "build" / "sources"

#: The page to play with, and the archive for a class, as they are in the site.
GAME = "game.html"
ARCHIVE = "course/class.zip"

#: Characters of a cell that is not broken if it has a figure.
SHORT_CELL = 14


def on_startup(command: str, dirty: bool) -> None:
    """Lay out the sources before the site is built."""
    lay_out_sources()


def on_config(config: Any) -> Any:
    """Give each notebook, and each page that has none, its place in the navigation."""
    for section in config["nav"]:
        for name, pages in section.items():
            if name == "Course":
                pages += [f"notebooks/{path.stem}.md" for path in notebook_paths()]
            if name == "Measured":
                pages += unplaced_pages(config["nav"])
    return config


def unplaced_pages(nav: list[dict[str, list[str]]]) -> list[str]:
    """Pages in docs/ that no section of the navigation names."""
    placed = {page for section in nav for pages in section.values() for page in pages}
    return sorted({path.name for path in (ROOT / "docs").glob("*.md")} - placed)


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages and the notebooks' pictures."""
    made: dict[str, str | bytes] = {
        "reference/command-line.md": command_line_page(),
        "reference/python.md": python_page(),
        "reference/milp.md": milp_page(),
        "reference/modules.md": modules_page(),
        GAME: game_page(),
    }
    for path in notebook_paths():
        made |= notebook_page(path)
    made |= downloads()
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Add the list of notebooks, and the way to the game; link pages by their titles."""
    if page.file.src_uri == "notebooks/index.md":
        archive = f"[one archive](../{ARCHIVE})"
        markdown = (
            markdown.replace(f"one archive, `{ARCHIVE}` of the site,", archive) + course_list()
        )
    if page.file.src_uri == "how-to/play.md":
        markdown = markdown.replace("![", f"[**Play it here.**](../{GAME})\n\n![", 1)
    markdown = named_pages(markdown, up="../" * page.file.src_uri.count("/"))
    return with_subscripts(markdown)


def on_page_content(page_html: str, page: Any, config: Any, files: Any) -> str:
    """Replace each formula by MathML."""
    if page.file.src_uri in ("reference/python.md", "reference/milp.md"):  # docstrings come as HTML
        parts = re.split(r"(<(pre|code)\b.*?</\2>|<[^>]+>)", page_html, flags=re.DOTALL)
        page_html = "".join(
            part if position % 3 else indexed(part)
            for position, part in enumerate(parts)
            if position % 3 < 2 and part
        ).replace("path - like", "path-like")  # griffe reads a subtraction
    page_html = re.sub(r"<td.*?</td>", lambda cell: cell[0].replace("\\|", "|"), page_html)
    page_html = unbroken_columns(only_dollars(page_html))
    return enlargeable(course.mathml(whole_figures(page_html)))


def only_dollars(page_html: str) -> str:
    """Set as output what looks like another shell's prompt: ours are all dollars."""

    def output(found: re.Match[str]) -> str:
        return f'<span class="go">{re.sub("<[^>]+>", "", found["line"])}</span>'

    return re.sub(r'(?P<line><span class="gp">[%#] *</span>.*?)(?=\n|</code>)', output, page_html)


def unbroken_columns(page_html: str) -> str:
    """Mark the lines of outputs that have columns: these are scrolled, all others may be broken.

    Outputs are lines without colours. A line with columns has two gaps, or is a rule; a line with
    one gap names a value, which may be a sentence.
    """

    def marked(line: str) -> str:
        plain = re.fullmatch(r'(?:<span class="go">)?(?P<text>[^<]*)(?:</span>)?', line)
        aligned = plain and re.search(r"\S {2,}\S+.* {2,}\S|^ *[─-]{4,}", plain["text"])
        return f'<span class="columns">{line}</span>' if aligned else line

    def block(found: re.Match[str]) -> str:
        return found["before"] + "\n".join(marked(line) for line in found["code"].split("\n"))

    blocks = r"(?P<before><pre[^>]*>(?:<span></span>)?<code[^>]*>)(?P<code>.*?)(?=</code></pre>)"
    return re.sub(blocks, block, page_html, flags=re.DOTALL)


def whole_figures(page_html: str) -> str:
    """Keep a figure in a short cell of a table together with its unit, or its interval."""

    def whole(found: re.Match[str]) -> str:
        text = found["text"]
        short = len(text) <= SHORT_CELL and re.search(r"\d", text)
        return found["before"] + (text.replace(" ", "\u00a0") if short else text)

    return re.sub(r"(?P<before><td[^>]*>)(?P<text>[^<]+)(?=</td>)", whole, page_html)


def enlargeable(page_html: str) -> str:
    """Let each picture lead to its file: a phone shows it small, a tap shows it whole."""
    picture = r'<img (?![^>]*class=)[^>]*src="(?P<file>[^":]+\.(?:png|svg))"[^>]*/?>'
    return re.sub(picture, r'<a class="picture" href="\g<file>">\g<0></a>', page_html)


def named_pages(markdown: str, up: str) -> str:
    """Link pages by their titles where a text names their files."""

    def titled(found: re.Match[str]) -> str:
        path = ROOT / "docs" / (found["link"] or found["file"])
        if not path.exists():
            return found[0]
        title = re.search(r"(?m)^# (.*)$", path.read_text("utf-8"))
        assert title, f"{path} has no title"
        return f"[{title[1]}]({found['link'] or up + found['file']})"

    link, file = r"\[[\w/-]+\.md\]\((?P<link>[\w/-]+\.md)\)", r"(?P<file>\w[\w/-]*\.md)\b"
    names = rf"{link}|(?<!\]\()(?<![\w/-])(?:docs/)?{file}"
    unquoted = re.sub(r"`(docs/[\w/-]+\.md)`", r"\1", markdown)
    return prose(unquoted, lambda part: re.sub(names, titled, part))


def lay_out_sources() -> None:
    """Copy the rooms to where the package's names say they are."""
    shutil.rmtree(SOURCES, ignore_errors=True)
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    for package, folder in sorted(table["package-dir"].items()):
        shutil.copytree(
            ROOT / folder,
            SOURCES.joinpath(*package.split(".")),
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )


def modules() -> list[str]:
    """Names of all modules that have a page in the reference."""
    paths = (path for path in SOURCES.rglob("*.py") if path.name != "__main__.py")
    names = (".".join(path.relative_to(SOURCES).with_suffix("").parts) for path in paths)
    return sorted(name.removesuffix(".__init__") for name in names)


def first_sentence(module: str) -> str:
    """Return the first line of a module's docstring."""
    folder = SOURCES.joinpath(*module.split("."))
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    found = re.match(r'"""(.*?)("""|\n)', path.read_text("utf-8"))
    return found[1].strip() if found else ""


def game_page() -> str:
    """Make the page to play with, solved now: one level takes all the time that it gets."""
    import batchprophet as bp

    return bp.play(time_limit=30).html(command="batchprophet play")


def modules_page() -> str:
    """List every module with its first sentence, by room."""
    lines = [
        "# The modules",
        "",
        "Imports point one way: `models` ← `solvers` ← `online` ← `batchprophet`. Each module's",
        "docstring has the definitions, the proofs and the sources; this is their index.",
    ]
    for room in ("models", "solvers", "online", ""):
        prefix = f"batchprophet.{room}." if room else "batchprophet."
        lines += ["", f"## {prefix.rstrip('.')}", "", "| module | what it is |", "|---|---|"]
        for name in modules():
            own = name.startswith(prefix) and (room or name.count(".") == 1)
            if own and (says := first_sentence(name)):
                short = name.removeprefix(prefix)
                lines.append(f"| `{short}` | {says.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def python_page() -> str:
    """Document every public name, where its module defines it."""
    import batchprophet

    stub = ast.parse(Path(batchprophet.__file__).with_suffix(".pyi").read_text("utf-8"))
    lines = [
        "# Python",
        "",
        "```python",
        "import batchprophet as bp",
        "```",
        "",
        "Every name below is `bp.NAME`, or `bp.teach.NAME`. What the command line does are the",
        "functions of `batchprophet.api`.",
        "",
    ]
    by_module: dict[str, list[str]] = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            names = [each.name for each in node.names]
            if node.module is None:  # rooms that are public by their own names
                for name in names:
                    by_module |= room_names(name)
            else:
                by_module.setdefault(node.module, []).extend(names)
    for module in sorted(by_module, key=lambda m: (m != "verbs", m)):
        for name in sorted(by_module[module]):
            lines += [f"::: batchprophet.{module}.{name}", ""]
    return "\n".join(lines)


def room_names(room: str) -> dict[str, list[str]]:
    """Public names of a room of the package, by the modules that define them."""
    stub = ast.parse((ROOT / "batchprophet" / room / "__init__.pyi").read_text("utf-8"))
    found: dict[str, list[str]] = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            module = found.setdefault(f"{room}.{node.module}", [])
            module.extend(each.name for each in node.names)
    return found


#: What builds, solves and reads back the MILPs.
MILP_NAMES = (
    *(
        f"models.{regime}.milp.{name}"
        for regime in ("mixed", "separate", "continuous")
        for name in (
            "formulation.build_model",
            "from_variables.decode",
            f"horizon.latest_{'starts' if regime == 'mixed' else 'completions'}",
            f"{'from_variables' if regime == 'mixed' else 'warm_start'}.set_start",
        )
    ),
    "solvers.highs.solve_model",
    "solvers.highs.HighsResult",
    "solvers.extended.solve_extended",
    "solvers.constrained.Constrained",
    "solvers.exported.exported",
    "solvers.exported.Exported",
    "models.extension.extended",
    "models.extension.Extension",
    "models.solver_solutions.reading.read_values",
)


def milp_page() -> str:
    """Document the MILPs in Python: to build, to solve, and to read back."""
    lines = [
        "# The MILPs in Python",
        "",
        "How they are used, and what the parts of the models mean: how-to/my-constraint.md.",
        "",
    ]
    for name in MILP_NAMES:
        lines += [f"::: batchprophet.{name}", ""]
    return "\n".join(lines)


def command_line_page() -> str:
    """Document every command from what it says of itself."""
    import typer

    from batchprophet.cli import app

    group = typer.main.get_command(app)
    lines = [
        "# The command line",
        "",
        "Exit code 0: done; 1: the answer is no; 2: bad input or usage, said in one line.",
        "`--json` prints machine-readable output wherever a table is printed.",
        "",
    ]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        context = typer.Context(command, info_name=name)
        words = " ".join(command.collect_usage_pieces(context))
        lines += [f"## {name}", "", (command.help or "").strip(), ""]
        lines += ["```text", f"batchprophet {name} {words}", "```", ""]
        rows = [record for p in command.params if (record := p.get_help_record(context))]
        if rows:
            lines += ["| option | meaning |", "|---|---|"]
            lines += [f"| `{cell(option)}` | {cell(says)} |" for option, says in rows]
            lines.append("")
    return "\n".join(lines)


def cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def downloads() -> dict[str, str | bytes]:
    """The course's files, by their places in the site, and an archive for a class."""
    made: dict[str, str | bytes] = {}
    for path in notebook_paths():
        for kind, content in course.made(path).items():
            made[f"course/{kind}/{path.stem}.{course.KINDS[kind]}"] = content
        made[f"course/teacher/{path.name}"] = path.read_text("utf-8")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in sorted(made.items()):
            if name.startswith(("course/student/", "course/handout/")):
                entry = zipfile.ZipInfo(name.removeprefix("course/"))  # of no date: the same bytes
                file.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return made | {ARCHIVE: archive.getvalue()}


def files_of(path: Path, up: str) -> str:
    """Links to what is made of a notebook."""
    stem = path.stem
    return " · ".join(
        f"[{words}]({up}course/{kind}/{stem}.{ending})"
        for words, kind, ending in (
            ("student notebook", "student", "ipynb"),
            ("with solutions", "teacher", "ipynb"),
            ("slides", "slides", "html"),
            ("hand-out", "handout", "html"),
        )
    )


def course_list() -> str:
    """List the notebooks by the first paragraph of each, and say what each builds on."""
    lines = ["", f'<div class="course-order">{course.dependences()}</div>', ""]
    for number, path in enumerate(notebook_paths(), start=1):
        first = course.read(path).cells[0].source
        learn = re.search(r"\*\*What you will learn\.\*\*(.*?)(\n\n|$)", first, re.DOTALL)
        says = " ".join(learn[1].split()) if learn else ""
        lines += [f"{number}. [{course.title(path)}]({path.stem}.md). {says}", ""]
        before = [str(int(each.name[:2])) for each in course.needs(path)]
        after = f"Builds on {' and '.join(before)}. " if before else "Builds on none. "
        lines += [f"    {after}{files_of(path, '../')}", ""]
    return "\n".join(lines)


def notebook_page(path: Path) -> dict[str, str | bytes]:
    """Turn a notebook into a page and its pictures, by their places in the site."""
    made: dict[str, str | bytes] = {}
    lines: list[str] = []
    for number, each in enumerate(course.read(path).cells):
        if each.cell_type == "markdown":
            text = markdown_cell(each.source)
            if number == 0:
                heading, _, rest = text.partition("\n")
                text = f"{heading}\n\n*To run or to print:* {files_of(path, '../')}\n{rest}"
            lines += [text, ""]
            continue
        if not each.source.strip() or "install" in each.metadata.get("tags", []):
            continue
        body, pictures = code_cell(each, f"{path.stem}-{number}")
        made |= {f"notebooks/{name}": content for name, content in pictures.items()}
        if "solution" in each.metadata.get("tags", []):
            body = ['??? example "Solution in code"', "", *(f"    {line}" for line in body)]
        lines += [*body, ""]
    made[f"notebooks/{path.stem}.md"] = "\n".join(lines)
    return made


def markdown_cell(source: str) -> str:
    """Let Markdown inside of details be Markdown, and notebooks' links be pages' links."""
    source = source.replace("<details>", '<details markdown="1">')
    return re.sub(r"\]\((\d\d_\w+)\.ipynb\)", r"](\1.md)", source)


def code_cell(each: Any, name: str) -> tuple[list[str], dict[str, bytes]]:
    """Return the lines of a code cell with its outputs, and its pictures by name."""
    source = [line for line in each.source.splitlines() if not line.startswith("# @title")]
    lines = ["```python", *source, "```", ""]
    pictures: dict[str, bytes] = {}
    for position, output in enumerate(joined_streams(each.outputs)):
        data = output.get("data", {})
        if "image/png" in data:
            picture = f"{name}-{position}.png"
            pictures[picture] = base64.b64decode(data["image/png"])
            lines += [f"![Picture drawn by the code above]({picture})", ""]
            continue
        text = output.get("text") or data.get("text/plain", "")
        if "application/vnd.jupyter.widget-view+json" in data:
            text = ""
        if text.strip():
            lines += ["```{.text .output}", *text.rstrip().splitlines(), "```", ""]
    return lines, pictures


def joined_streams(outputs: list[Any]) -> list[Any]:
    """Join what was printed in several pieces: where one piece ends is a matter of speed."""
    joined: list[Any] = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1] = {**joined[-1], "text": joined[-1]["text"] + output.text}
        else:
            joined.append(output)
    return joined
