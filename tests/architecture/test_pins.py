"""The pinned versions stand in three files and agree."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def pins(root):
    """Version by canonical name, from envs/constraints.txt; torch from the Makefile."""
    lines = (root / "envs" / "constraints.txt").read_text().splitlines()
    found = {canonicalize_name(n): v for n, _, v in (line.partition("==") for line in lines if line[:1] not in "#")}
    return found | {"torch": re.findall(r"^TORCH \?= torch==(\S+)$", (root / "Makefile").read_text(), re.M)[0]}


def test_every_declared_dependency_is_pinned_inside_its_range(root, pins):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    for text in declared:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), text


def test_the_conda_environment_repeats_the_pins(root, pins):
    conda = yaml.safe_load((root / "envs" / "rna-predict.yaml").read_text())["dependencies"]
    listed = {canonicalize_name(n): v for n, _, v in (line.partition("==") for line in conda[-1]["pip"])}
    assert {name: pins[name] for name in listed} == listed
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needed = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    assert set(listed) == {name for name in needed if not name.startswith("snakemake")}


def test_the_version_is_the_same_everywhere(root):
    from rna_predict import __version__

    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"] == __version__
    assert yaml.safe_load((root / "CITATION.cff").read_text())["version"] == __version__
    assert f"## [{__version__}]" in (root / "CHANGELOG.md").read_text()
