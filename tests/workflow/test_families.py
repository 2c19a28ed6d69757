"""Another library of families: fetched and built where the config says so, and what it changes runs again."""

import pytest

STAGE_A = "results/stages/one/a_family.a3m"
URL = "https://example.org/Rfam.seed.gz"


@pytest.fixture
def one(workflow):
    """One RNA, and a stand-in for the package."""
    workflow.stand_in()
    workflow.samples("one ACGUACGU")
    return workflow


def test_without_a_word_in_the_config_nothing_is_fetched(one):
    assert one.planned("--cores", "1", STAGE_A) == {"resolve_config": 2, "prepare_input": 1, "stage_a_adjacency": 1}


def test_seeds_are_fetched_and_built_before_stage_a(one):
    one.configure(families={"url": URL, "release": "Rfam 15.0"})
    assert one.done("--cores", "1", STAGE_A) == {
        **{"download_families": 1, "build_families": 1},
        **{"resolve_config": 2, "prepare_input": 1, "stage_a_adjacency": 1},
    }
    folder = one.folder / "results"
    assert f"--url {URL}" in (folder / "families" / "Rfam.seed.gz").read_text()
    assert "--release Rfam 15.0" in (folder / "families" / "rfam.safetensors").read_text()
    settings = (folder / "config" / "stage_a.yaml").read_text()
    assert "stage_a.family_library='results/families/rfam.safetensors'" in settings
    assert one.planned("--cores", "1", STAGE_A) == {}


def test_a_library_of_ones_own_is_an_input_of_stage_a(one):
    (one.folder / "own.safetensors").write_text("first")
    one.configure(families={"library": "own.safetensors"})
    assert "build_families" not in one.done("--cores", "1", STAGE_A)
    assert "family_library='own.safetensors'" in (one.folder / "results" / "config" / "stage_a.yaml").read_text()
    (one.folder / "own.safetensors").write_text("second")
    assert one.planned("--cores", "1", STAGE_A) == {"stage_a_adjacency": 1}


@pytest.mark.parametrize(
    "wrong", [{"url": URL}, {"library": "x", "url": URL, "release": "x"}, {"url": "x", "release": "y"}]
)
def test_half_a_section_is_refused(one, wrong):
    one.configure(families=wrong)
    assert "families" in one.run("-n", STAGE_A, code=1)
