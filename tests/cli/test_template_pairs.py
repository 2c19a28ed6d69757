"""Stage A looks for known structures under the settings of the search for templates, also from the command line."""

from rna_predict.contracts import Adjacency, RnaSequence

PURINE = "CGCUUCAUAUAAUCCUAAUGAUAUGGUUUGGGAGUUUCUACCAAGAGCCUUAAACUCUUGAUUAUGAAGUG"
"""The adenine riboswitch, which the carried library holds."""


def test_stage_a_follows_the_settings_of_the_search(run, tmp_path):
    (tmp_path / "a.yaml").write_text("backend: viennarna\nfamily: 'off'\n")
    (tmp_path / "off.yaml").write_text("enabled: false\n")
    (tmp_path / "other.yaml").write_text("enabld: false\n")
    run("prepare", "--root", tmp_path, f"purine={PURINE}")

    def fold(*options: object) -> Adjacency:
        assert run("stage-a", "--root", tmp_path, "--config", tmp_path / "a.yaml", *options, "purine").code == 0
        path = tmp_path / "purine" / "a_adjacency.safetensors"
        return Adjacency.load(path, RnaSequence(id="purine", sequence=PURINE))

    alone = fold("--templates-config", tmp_path / "off.yaml")
    assert alone.provenance.method == "viennarna"
    told = fold()
    assert told.provenance.method == "viennarna+local+templates"
    assert set(told.pairs) - set(alone.pairs)
    wrong = run("stage-a", "--root", tmp_path, "--templates-config", tmp_path / "other.yaml", "purine")
    assert wrong.code == 2
    assert "enabld" in wrong.err
