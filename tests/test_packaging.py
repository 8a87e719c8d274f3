"""What the package is installed by says the same everywhere: versions, dependencies, forms."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from tests.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RECIPE = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8")

#: Packages that conda has under another name.
CONDA = {"matplotlib": "matplotlib-base"}


def parts(requirement: str) -> tuple[str, str]:
    """Name and bound of a requirement, without spaces."""
    name, bound = re.fullmatch(r"([\w-]+) *(\S*)", requirement).groups()
    return CONDA.get(name, name), bound


def test_the_conda_recipe_is_that_of_the_project():
    recipe = yaml.safe_load(RECIPE)
    assert recipe["context"]["version"] == PROJECT["version"]
    run = dict(parts(each) for each in recipe["requirements"]["run"])
    assert run.pop("python") == PROJECT["requires-python"]
    assert run == dict(parts(each) for each in PROJECT["dependencies"])
    (entry,) = recipe["build"]["python"]["entry_points"]
    assert entry.split(" = ") == list(*PROJECT["scripts"].items())
    assert recipe["about"]["summary"] == PROJECT["description"]
    assert recipe["about"]["license"] == PROJECT["license"]


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_forms_have_what_the_site_needs(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        return
    assert form["name"]
    assert form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    for field in form["body"]:
        assert field["type"] in {"textarea", "input", "checkboxes"}
        assert field["attributes"]["label"]


def test_the_container_runs_commands_that_there_are():
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert (
        set(re.findall(r"(?m)(?:RUN make|--entrypoint make batchprophet) ([a-z-]+)", text))
        <= targets
    )
    assert {"demo", "test"} <= targets
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ".venv" in ignored  # the image makes its own
