"""Templates follow stage A, which looks for them as well; a library of one's own is an input of both, and a setting."""

import pytest

TEMPLATES = "results/stages/one/t_templates.safetensors"


@pytest.fixture
def one(workflow):
    """One RNA, and a stand-in for the package."""
    workflow.stand_in()
    workflow.samples("one ACGUACGU")
    return workflow


def test_templates_need_stage_a_and_their_settings(one):
    assert one.done("--cores", "1", TEMPLATES) == {
        **{"resolve_config": 2, "prepare_input": 1, "stage_a_adjacency": 1, "templates": 1}
    }
    assert (one.folder / "results/stages/one/t_templates.json").is_file()
    assert "library" not in (one.folder / "results" / "config" / "templates.yaml").read_text()


def test_a_changed_setting_reruns_stage_a_and_the_templates(one):
    one.done("--cores", "1", TEMPLATES)
    one.configure(templates={"overrides": ["max_hits=2"]})
    assert one.planned("--cores", "1", TEMPLATES) == {"resolve_config": 1, "stage_a_adjacency": 1, "templates": 1}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_library_of_ones_own_is_an_input(one, kind):
    library = "own.safetensors" if kind == "file" else "own"
    content = one.folder / library if kind == "file" else one.folder / library / "library.json"
    content.parent.mkdir(exist_ok=True)
    content.write_text("first")
    one.configure(templates={"library": library})
    one.done("--cores", "1", TEMPLATES)
    assert f"templates.library='{library}'" in (one.folder / "results" / "config" / "templates.yaml").read_text()
    content.write_text("second")
    assert one.planned("--cores", "1", TEMPLATES) == {"stage_a_adjacency": 1, "templates": 1}


def test_an_unknown_key_is_refused(one):
    one.configure(templates={"libary": "own"})
    assert "libary" in one.run("-n", TEMPLATES, code=1)
