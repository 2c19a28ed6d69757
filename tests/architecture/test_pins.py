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


@pytest.mark.parametrize(("environment", "extras"), [("rna-predict", []), ("train", ["train"]), ("relax", ["relax"])])
def test_the_conda_environments_repeat_the_pins(root, pins, environment, extras):
    conda = yaml.safe_load((root / "envs" / f"{environment}.yaml").read_text())["dependencies"]
    listed = {canonicalize_name(n): v for n, _, v in (line.partition("==") for line in conda[-1]["pip"])}
    assert {name: pins[name] for name in listed} == listed
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + [one for extra in extras for one in project["optional-dependencies"][extra]]
    needed = {canonicalize_name(Requirement(text).name) for text in declared}
    assert set(listed) == {name for name in needed if not name.startswith("snakemake")}


def test_every_rule_has_an_environment_with_what_it_imports(root):
    """Datasets, training and tracking need the extra `train`, relaxing `relax`; the stages do without."""
    needs = {}
    for path in sorted((root / "workflow" / "rules").glob("*.smk")):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            command = re.search(r"python -m rna_predict (\S+)", rule)
            needs[command[1]] = re.search(r"envs/(\S+)\.yaml", rule)[1]
    assert {name for name, found in needs.items() if found == "train"} == {"dataset", "train", "db"}, needs
    assert {name for name, found in needs.items() if found == "relax"} == {"relax"}, needs


def test_the_version_is_the_same_everywhere(root):
    from rna_predict import __version__

    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"] == __version__
    assert yaml.safe_load((root / "CITATION.cff").read_text())["version"] == __version__
    assert f"## [{__version__}]" in (root / "CHANGELOG.md").read_text()
