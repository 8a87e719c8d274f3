"""Documentation pages as programs: files that they show, commands and Python code with outputs."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

#: A fenced block: its information string and its body.
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
OUTPUT = "{.text .output}"


class Block(NamedTuple):
    """A fenced block of a page."""

    info: str
    body: str


def blocks(text):
    return [Block(found["info"].strip(), found["body"]) for found in FENCE.finditer(text)]


def run_page(text, folder):
    """Yield (shown, found) for each output on a page, run from top to bottom in a folder."""
    names, printed = {}, ""
    for block in blocks(text):
        if title := re.search(r'title="([^"]+)"', block.info):
            (folder / title[1]).write_text(block.body, encoding="utf-8")
        elif block.info == "console":
            yield block.body, run_console(block.body, folder)
        elif block.info == "python":
            printed = run_python(block.body, folder, names)
        elif block.info == OUTPUT:
            yield block.body, printed


def run_console(body, folder):
    """Return the block as it should be: each command with what it prints now."""
    shown = []
    for line in body.splitlines():
        if line.startswith("$ "):
            shown += [line, *run_command(line[2:], folder)]
    return "\n".join(shown) + "\n"


def run_command(command, folder):
    words = command.split()
    assert words[0] == "batchprophet", command
    environment = os.environ | {"COLUMNS": "118", "NO_COLOR": "1", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "batchprophet", *words[1:]],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stdout
    lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
    return [*lines, f"exit code {done.returncode}"] if done.returncode else lines


def run_python(code, folder, names):
    printed = io.StringIO()
    sys.path.insert(0, str(folder))
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed), mpl.rc_context():
            exec(code, names)
    finally:
        sys.path.remove(str(folder))
    return printed.getvalue()


def same_but_for_time(text):
    """Blank out what depends on the machine's speed: times on the clock, and widths they take."""
    text = re.sub(r"(seconds\s+)[\d.]+", r"\1TIME", text)
    # On small instances it depends on the machine what proves the optimum first.
    text = re.sub(r"path graphs|exhaustive search|configuration prices", "PROOF", text)
    text = re.sub(r"path-search|exhaustive-search|configuration-prices", "PROOF", text)
    text = re.sub(r"(?m)^( {1,2}\S.*?)\s+\d+\.\d+$", r"\1 TIME", text)
    text = re.sub(r"(?m)& \d+\.\d+ \\\\$", r"& TIME", text)  # the last cell of a row in LaTeX
    text = re.sub(r"[─\-]{3,}", "---", text)
    return re.sub(r"[ \t]+", " ", text)


def fill(path: Path):
    """Write the outputs on a page as they are now (run it when a command's output changes)."""
    import tempfile

    text = path.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for shown, found in run_page(text, Path(folder)):
            fence = "```console\n" if shown.startswith("$ ") else f"```{OUTPUT}\n"
            assert fence + shown in text, shown
            text = text.replace(f"{fence}{shown}```", f"{fence}{found}```", 1)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        fill(Path(name))
