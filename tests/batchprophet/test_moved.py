"""Old names of modules: importable, with a warning, and the very same module."""

import importlib
import subprocess
import sys

import pytest

from batchprophet.moved import MOVED


@pytest.mark.parametrize("old", sorted(MOVED))
def test_an_old_name_gives_the_module_in_its_new_place(old):
    with pytest.warns(DeprecationWarning, match=f"batchprophet.{MOVED[old]}"):
        module = importlib.import_module(f"batchprophet.{old}")
    assert module is importlib.import_module(f"batchprophet.{MOVED[old]}")
    del sys.modules[f"batchprophet.{old}"]


def test_what_is_inside_a_folder_has_moved_with_it():
    code = (
        "from batchprophet.online.policies.mc_sf import McSf as old;"
        "from batchprophet.online.mixed.policies.mc_sf import McSf as new;"
        "assert old is new"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_no_old_name_hides_a_module():
    for old in MOVED:
        place = f"batchprophet.{old}".rpartition(".")
        parent = importlib.import_module(place[0])
        spec = importlib.machinery.PathFinder.find_spec(
            f"batchprophet.{old}", getattr(parent, "__path__", None)
        )
        assert spec is None or spec.loader is None  # a folder that is left, without any source
