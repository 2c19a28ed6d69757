"""The documentation site builds without a warning, and its reference pages are those that the code makes."""

import subprocess
import sys

import pytest

from rna_predict.cli.reference import reference_pages


@pytest.fixture(scope="module")
def pages(root):
    """The reference pages as the code makes them."""
    return reference_pages(root / "workflow" / "schemas")


@pytest.mark.parametrize("name", ["commands.md", "settings.md", "workflow.md"])
def test_the_reference_is_what_the_code_makes(root, pages, name):
    written = (root / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == pages[name], "run `rna-predict config reference` and commit docs/reference"


def test_the_reference_has_every_command_and_setting(pages):
    import dataclasses

    from rna_predict.config import STAGE_CONFIGS, stage_config_class

    for command in (
        "predict",
        "train",
        "verify",
        "doctor",
        "stage-a",
        "weights convert",
        "templates build",
        "bench run",
    ):
        assert f"## rna-predict {command}\n" in pages["commands.md"]
    for option in ("--ambiguous", "--reactivity", "--config-dir", "--json", "--until-missing"):
        assert (f"`{option}`" in pages["commands.md"]) == (option != "--until-missing")
    for stage in STAGE_CONFIGS:
        section = pages["settings.md"].split(f"## {stage}\n")[1].split("\n## ")[0]
        for field in dataclasses.fields(stage_config_class(stage)):
            assert f"| `{field.name}` |" in section
    assert "| `stage_d: choice` |" in pages["workflow.md"]
    assert "| `msa` |" in pages["workflow.md"]


def test_the_site_builds_without_a_warning(root, tmp_path):
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", tmp_path / "trees"]
    result = subprocess.run([*words, root / "docs", tmp_path / "site"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    site = tmp_path / "site"
    assert "rna-predict doctor" in (site / "reference" / "commands.html").read_text()
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    for page in ("tutorial", "howto", "explanation", "outputs", "faults", "decisions/0001-exact-nucleotides"):
        assert f"{page}.html" in pages
