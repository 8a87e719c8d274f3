"""The course as students and teachers use it, made from the notebooks.

    python docs/course.py build/course

writes, for each notebook NAME, ``student/NAME.ipynb`` (no solutions and no outputs, a cell for each
answer with its check), ``slides/NAME.html`` (opened in a browser, arrow keys turn them) and
``handout/NAME.html`` (to be printed, with room for answers). Each file needs nothing but itself.
"""

from __future__ import annotations

import base64
import copy
import html
import math
import re
import struct
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat
import networkx as nx
from latex2mathml.converter import convert
from markdown import Markdown
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from subscripts import indexed, with_subscripts

import batchprophet as bp
from batchprophet.pictures import palette
from batchprophet.pictures.svg import to_svg

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
STYLES = Path(__file__).parent / "assets"

#: A folded solution, in a cell of Markdown.
DETAILS = re.compile(r"<details>.*?</details>\s*", re.DOTALL)

#: What each kind of file is called, and how its name ends.
KINDS = {"student": "ipynb", "slides": "html", "handout": "html"}


def notebook_paths() -> list[Path]:
    """All notebooks, in order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def read(path: Path) -> Any:
    """Read a notebook."""
    return nbformat.read(path, as_version=4)


def tags(cell: Any) -> list[str]:
    """Tags of a cell."""
    return list(cell.metadata.get("tags", []))


def title(path: Path) -> str:
    """Title of a notebook."""
    return str(read(path).cells[0].source.splitlines()[0].removeprefix("# "))


def needs(path: Path) -> list[Path]:
    """The notebooks that one builds on: those that its first cell links after "What you need"."""
    found = re.search(
        r"\*\*What you need\.\*\*(.*?)(\n\n|$)", read(path).cells[0].source, re.DOTALL
    )
    assert found, f"{path.name} does not say what it needs"
    return [NOTEBOOKS / name for name in re.findall(r"\]\((\d\d_\w+\.ipynb)\)", found[1])]


def made(path: Path) -> dict[str, str]:
    """Return the files made of a notebook, by kind."""
    return {"student": student(path), "slides": slides(path), "handout": handout(path)}


def dependences() -> str:
    """Return a picture of which notebook builds on which, as an ``<svg>`` element."""
    paths = notebook_paths()
    graph: Any = nx.DiGraph((before, path) for path in paths for before in needs(path))
    graph.add_nodes_from(paths)
    assert nx.is_directed_acyclic_graph(graph)
    column = {
        path: x for x, layer in enumerate(nx.topological_generations(graph)) for path in layer
    }
    place: dict[Path, tuple[int, int]] = {}
    for path in paths:  # beside the first notebook that it builds on, or in a row of its own
        rows = {y for _, y in place.values()}
        first = place[needs(path)[0]][1] if needs(path) else max(rows, default=-1) + 1
        found = [(column[path], y) for y in range(first, len(paths) * 2)]
        place[path] = next(each for each in found if _free(each, place, needs(path)))
    height = max(y for _, y in place.values()) + 1
    figure = palette.picture(7.2, 0.2 + 0.62 * height)
    ax = figure.add_subplot()
    boxes = {}
    for path in paths:
        words = "\n".join(textwrap.wrap(f"{int(path.name[:2])} {title(path)}", 22))
        box = {"boxstyle": "round,pad=0.4", "facecolor": "none", "edgecolor": palette.WAITING}
        boxes[path] = ax.text(
            *place[path], words, ha="center", va="center", fontsize=palette.TINY,
            color=palette.INK, bbox=box,
        )  # fmt: skip
    ax.set_xlim(-0.55, max(column.values()) + 0.55)
    ax.set_ylim(height - 0.5, -0.5)
    ax.axis("off")
    for before, after in graph.edges:  # from box to box: each is cut off where it enters one
        ends = {"patchA": boxes[before].get_bbox_patch(), "patchB": boxes[after].get_bbox_patch()}
        bend = -0.15 if place[after][1] - place[before][1] > 1 else 0  # around what lies between
        arrow = {"arrowstyle": "->", "color": palette.INK, "shrinkA": 0, "shrinkB": 0, **ends}
        arrow["connectionstyle"] = f"arc3,rad={bend}"
        ax.annotate("", xy=place[after], xytext=place[before], arrowprops=arrow)
    words = "; ".join(
        f"{int(path.name[:2])} builds on "
        + (", ".join(str(int(each.name[:2])) for each in needs(path)) or "none")
        for path in paths
    )
    return to_svg(figure, name="course", description=f"What builds on what. {words}.")


def _free(here: tuple[int, int], place: dict[Path, tuple[int, int]], before: list[Path]) -> bool:
    """Whether a box may stand somewhere: no other one does, and no arrow runs through a box."""
    arrows = [(place[each], here) for each in before]
    arrows += [(place[a], place[b]) for b in place for a in needs(b)]
    boxes = [*place.values(), here]
    return here not in place.values() and not any(
        x0 < x < x1 and abs(y0 + (y1 - y0) * (x - x0) / (x1 - x0) - y) < 0.45
        for (x0, y0), (x1, y1) in arrows
        for x, y in boxes
    )


# Students' notebooks.


def student(path: Path) -> str:
    """Return a notebook without solutions and outputs, with a cell for each answer."""
    notebook = copy.deepcopy(read(path))
    cells: list[Any] = []
    for cell in without_solutions(notebook.cells):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("execution", None)
        cells.append(cell)
        if "## Exercises" in cell.source:
            cells += answer_cells(path)
    notebook.cells = cells
    notebook.metadata.pop("widgets", None)
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook)) + "\n"


def without_solutions(cells: list[Any]) -> Iterator[Any]:
    """All cells but the solutions."""
    for cell in cells:
        if "solution" in tags(cell):
            continue
        if cell.cell_type == "markdown":
            cell.source = DETAILS.sub("", cell.source)
            if not cell.source.strip():
                continue
        yield cell


def answer_cells(path: Path) -> list[Any]:
    """A cell for the answer to each exercise, and its check."""
    number = path.name[:2]
    cells = []
    for key, asks in bp.teach.exercises(number).items():
        cell = nbformat.v4.new_code_cell(
            f'# Exercise {int(key[3:])}: {asks}.\nanswer = ...\nbp.teach.check("{key}", answer)'
        )
        cell.id = f"answer-{key.replace('.', '-')}"
        cell.metadata["tags"] = ["answer"]
        cells.append(cell)
    return cells


# Pages of one file.


def to_html(source: str) -> str:
    """Return Markdown as HTML, formulas as MathML, and links to notebooks as their words."""
    source = re.sub(r"\[([^\]]+)\]\(\d\d_\w+\.ipynb\)", r"\1", source)
    arithmatex = {"pymdownx.arithmatex": {"generic": True}}
    extensions = ["tables", "pymdownx.arithmatex", "pymdownx.superfences"]
    converter = Markdown(extensions=extensions, extension_configs=arithmatex)
    return mathml(converter.convert(with_subscripts(source)))


def mathml(page_html: str) -> str:
    """Replace each formula of a page by MathML."""

    def converted(found: re.Match[str]) -> str:
        tex = html.unescape(found["tex"]).strip()
        tex = tex.replace("{aligned}", "{split}")  # the converter's name for it
        block = tex.startswith(r"\[")
        return convert(tex[2:-2].strip(), display="block" if block else "inline")

    pattern = r'<(?P<tag>span|div) class="arithmatex">(?P<tex>.*?)</(?P=tag)>'
    return re.sub(pattern, converted, page_html, flags=re.DOTALL)


#: A slide: lines of code in its height, and columns of code in its width and in half of it.
HIGH, WIDE, HALF = 32, 146, 71

#: A piece of a code cell: source, what was printed, or a picture (the bytes of its file).
Piece = tuple[str, Any]


def pieces(cell: Any) -> list[Piece]:
    """Divide a code cell: its source at blank lines, what it printed, what it drew.

    A function that is higher than a slide is divided at the statements of its body.
    """
    found: list[Piece] = []
    for part in re.split(r"(?<=\n\n)(?=\S)", cell.source):
        body = re.split(r"(?<=\n)(?=    \S)", part) if part.count("\n") >= HIGH else [part]
        found += [("source", each) for each in body]
    text, pictures = "", []
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            pictures.append(("drawn", base64.b64decode(data["image/png"])))
        elif "application/vnd.jupyter.widget-view+json" not in data:
            text += output.get("text") or data.get("text/plain", "") + "\n"
    return found + ([("printed", text.rstrip())] if text.strip() else []) + pictures


def code_html(parts: list[Piece]) -> str:
    """Return pieces of a code cell, in their order."""
    made = []
    for kind, group in groupby(parts, key=lambda piece: piece[0]):
        contents = [content for _, content in group]
        if kind == "source":
            made.append(highlight("".join(contents), PythonLexer(), HtmlFormatter()))
        elif kind == "printed":
            made += [f'<pre class="output">{html.escape(text)}</pre>' for text in contents]
        else:
            encoded = [base64.b64encode(picture).decode() for picture in contents]
            made += [
                f'<img alt="Picture drawn by the code" src="data:image/png;base64,{each}">'
                for each in encoded
            ]
    return "".join(made)


def page(name: str, kind: str, body: str, script: str = "") -> str:
    """Return a page that needs no other file."""
    style = (STYLES / f"{kind}.css").read_text("utf-8")
    colours = HtmlFormatter(style="default").get_style_defs(".highlight")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(name)}</title>\n<style>\n{colours}\n{style}</style>\n</head>\n"
        f"<body>\n{body}\n{f'<script>{script}</script>' if script else ''}\n</body>\n</html>\n"
    )


def shown_cells(path: Path) -> list[Any]:
    """The cells of a notebook that are shown in class: no installation, no solutions."""
    cells = without_solutions(copy.deepcopy(read(path).cells))
    return [cell for cell in cells if "install" not in tags(cell) and cell.source.strip()]


def slides(path: Path) -> str:
    """Return a notebook as slides: one per section, and per further cell of code in it.

    Code with its outputs goes on in the next slide where it is higher than one.
    """
    made: list[tuple[str, str, str]] = []  # heading, words, code with its outputs
    heading = title(path)
    for cell in shown_cells(path):
        if cell.cell_type == "code":
            beside = bool(made) and not made[-1][2]
            first, *others = fitting(cell, beside=beside)
            made[-1:] = [(*made[-1][:2], first)] if beside else [*made[-1:], (heading, "", first)]
            made += [(heading, "", code) for code in others]
            continue
        for part in re.split(r"(?m)^(?=## )", cell.source):
            found = re.match(r"#+ (.*)\n?", part)
            if found:
                heading, part = found[1], part[found.end() :]
            if part.strip():
                made.append((heading, to_html(part), ""))
    body = "\n".join(
        f'<section class="{"both" if words and code else "one"}">{heading_html(name, number)}'
        f'<div class="words">{words}</div><div class="code">{code}</div>'
        f'<footer>{html.escape(title(path))} <button data-step="-1">‹</button>'
        f'{number} / {len(made)}<button data-step="1">›</button></footer></section>'
        for number, (name, words, code) in enumerate(made, start=1)
    )
    return page(title(path), "slides", body, (STYLES / "slides.js").read_text("utf-8"))


def fitting(cell: Any, *, beside: bool) -> list[str]:
    """Divide a code cell and its outputs by slides; the first part may be beside words."""
    by_slide: list[list[Piece]] = [[]]
    for piece in pieces(cell):
        wide = HALF if beside and len(by_slide) == 1 else WIDE
        if by_slide[-1] and sum(height(each, wide) for each in [*by_slide[-1], piece]) > HIGH:
            by_slide.append([])
        by_slide[-1].append(piece)
    return [code_html(parts) for parts in by_slide]


def height(piece: Piece, wide: int) -> float:
    """Return the height of a piece of code, in lines of code of so many columns."""
    kind, content = piece
    if kind == "drawn":
        across, down = struct.unpack(">II", content[16:24])  # in the file's header
        return 1.5 + min(24, 0.45 * wide * down / across)  # a column is 0.45 as wide as a line high
    lines = sum(max(1, math.ceil(len(line) / wide)) for line in content.splitlines())
    return lines + (1.5 if kind == "printed" else 0)


def heading_html(name: str, number: int) -> str:
    """Return the heading of a slide: that of the first one is the title."""
    level = "h1" if number == 1 else "h2"
    return f"<{level}>{to_html(name)[3:-4]}</{level}>"


def handout(path: Path) -> str:
    """Return a notebook as a text to be printed, with room for the answers."""
    parts: list[str] = []
    for cell in shown_cells(path):
        if cell.cell_type == "code":
            parts.append(f'<div class="cell">{code_html(pieces(cell))}</div>')
            continue
        parts.append(to_html(cell.source))
        if "## Exercises" in cell.source:
            for key, asks in bp.teach.exercises(path.name[:2]).items():
                said = indexed(re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(asks)))
                parts.append(f'<div class="answer"><b>{int(key[3:])}</b> {said}</div>')
    number = int(path.name[:2])
    head = f'<p class="head">batchprophet, notebook {number}<span>Name:</span></p>'
    return page(title(path), "handout", head + "\n".join(parts))


def write(folder: Path) -> list[Path]:
    """Write all files of the course into a folder."""
    written = []
    for path in notebook_paths():
        for kind, content in made(path).items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            target = folder / kind / f"{path.stem}.{KINDS[kind]}"
            target.write_text(content, "utf-8")
            written.append(target)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/course.py FOLDER")
    files = write(Path(sys.argv[1]))
    print(
        f"wrote {len(files)} files to {sys.argv[1]}: student/*.ipynb, slides/*.html, handout/*.html"
    )
