"""A regular wheel, installed in a new environment, does the main job from another folder."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy
import pytest

from batchprophet.models.families import make_instance
from batchprophet.models.files.instance_file import read_instance
from tests.paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # Built from a copy: setuptools reuses `build/lib`, where modules of the past would linger.
    left_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder / "source", ignore=left_out)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    subprocess.run([*build, folder / "source"], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_one_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top_level = {name.split("/")[0] for name in names}
    assert top_level == {"batchprophet", wheel.name.split("-py3")[0] + ".dist-info"}
    assert "batchprophet/models/instance.py" in names
    assert "batchprophet/report/templates/report.html" in names
    assert "batchprophet/py.typed" in names
    assert "batchprophet/solvers/library/data/catalogue.json" in names


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    """Run a script of a new environment that has the wheel, from a folder elsewhere."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run(
        [scripts / "python", "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True
    )
    # The dependencies are those of this environment; an editable install in it stays invisible,
    # since .pth files count in site folders only.
    site_packages = Path(numpy.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(site_packages), "PYTHONWARNINGS": "error"}
    environment.pop("VIRTUAL_ENV", None)

    def run(script, *words, folder):
        done = subprocess.run(
            [scripts / script, *words],
            cwd=folder, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import batchprophet.solvers.solution as s; print(s.__file__)"
    found = run("python", "-c", where, folder=home)
    assert Path(found.strip()).is_relative_to(home)
    return run


def test_the_wheel_makes_instances_and_lists_policies(run, tmp_path):
    run("batchprophet", "make", "arrival-model-1", "--out", "made.json", folder=tmp_path)
    assert read_instance(tmp_path / "made.json") == make_instance("arrival-model-1", seed=0)
    assert "mc-sf" in run("batchprophet", "policies", folder=tmp_path)


@pytest.mark.slow  # compiles everything anew
def test_the_wheel_runs_the_demo(run, tmp_path):
    assert "hindsight (optimal)" in run("batchprophet", "demo", "--out", "demo", folder=tmp_path)
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
