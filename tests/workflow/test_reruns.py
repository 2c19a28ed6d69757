"""What a change reruns. The rules run a stand-in, so that the workflow alone is under test."""

import fcntl

LAST = ("stage_c_reconstruction", "stage_d_diffusion", "export_prediction")
WHOLE = ("prepare_input", "stage_a_adjacency", "templates", "stage_b_torsion", *LAST)


def test_only_a_real_change_reruns_and_only_what_it_touches(workflow):
    workflow.stand_in()
    folder = workflow.folder / "config"
    (folder / "stage_c" / "default.yaml").write_text("first: 1\n")
    workflow.run("--cores", "2")
    assert len(list((workflow.folder / "results" / "preds").iterdir())) == 6

    (folder / "samples.tsv").touch()
    (folder / "stage_c" / "default.yaml").write_text("# a comment\nfirst: 1\n")
    assert workflow.planned() == {}

    assert workflow.planned("--forcerun", "stage_c_reconstruction", "--", "results/preds/hairpin.pdb") == dict.fromkeys(
        LAST, 1
    )

    (folder / "stage_c" / "default.yaml").write_text("first: 2\n")
    assert workflow.planned() == {"resolve_config": 1, "all": 1} | dict.fromkeys(LAST, 3)
    workflow.run("--cores", "2")

    rows = (folder / "samples.tsv").read_text()
    (folder / "samples.tsv").write_text(rows.replace("GGGCUUCGGCCC", "GGGCUUCGGCCA") + "new\tACGUACGUACGU\t\n")
    assert workflow.planned() == {"all": 1} | dict.fromkeys(WHOLE, 2)


def test_one_failing_rna_does_not_stop_the_others(workflow):
    workflow.stand_in()
    workflow.samples("failing ACGUACGUACGU", "one ACGUACGUACGU", "two ACGUACGUACGA")
    text = workflow.run("--cores", "1", "--retries", "1", code=1)
    assert "failing: failed on purpose" in text
    made = {path.name for path in (workflow.folder / "results" / "preds").iterdir()}
    assert made == {"one.pdb", "one.cif", "two.pdb", "two.cif"}
    logs = {path.name for path in (workflow.folder / "results" / "logs" / "failing").glob("stage_c*.attempt*")}
    assert logs == {f"stage_c_reconstruction.log.attempt{number}" for number in (1, 2)}


def test_until_a_stage_makes_no_later_file_and_a_given_structure_is_an_input(workflow):
    workflow.stand_in()
    (workflow.folder / "x.dbn").write_text("((....))")
    workflow.samples("one ACGUACGU x.dbn")
    workflow.run("--cores", "1", "--until", "stage_b_torsion")
    made = {path.name for path in (workflow.folder / "results" / "stages" / "one").iterdir()}
    stage_b = {"b_torsions.safetensors", "b_embeddings.safetensors"}
    stage_a = {"a_adjacency.safetensors", "a_adjacency.dbn", "a_family.a3m", "a_family.json"}
    templates = {"t_templates.safetensors", "t_templates.json"}
    assert made == {"sequence.fasta"} | stage_a | templates | stage_b
    asked = (workflow.folder / "results" / "stages" / "one" / "a_adjacency.dbn").read_text()
    assert "--given=one=x.dbn" in asked
    assert "--threads 1" in asked
    (workflow.folder / "x.dbn").write_text("(......)")
    assert workflow.planned("--until", "stage_a_adjacency") == {"stage_a_adjacency": 1}


def test_reactivities_are_an_input_of_stage_a_alone(workflow):
    workflow.stand_in()
    (workflow.folder / "x.shape").write_text("0.1")
    sheet = "id\tsequence\tstructure\treactivity\none\tACGUACGU\t\tx.shape\n"
    (workflow.folder / "config" / "samples.tsv").write_text(sheet)
    workflow.run("--cores", "1", "--until", "stage_b_torsion")
    stages = workflow.folder / "results" / "stages" / "one"
    assert "--reactivity=one=x.shape" in (stages / "a_adjacency.dbn").read_text()
    assert "reactivity" not in (stages / "b_torsions.safetensors").read_text()
    (workflow.folder / "x.shape").write_text("0.2")
    assert workflow.planned("--until", "stage_a_adjacency") == {"stage_a_adjacency": 1}


def test_a_second_run_refuses_while_one_writes_and_a_dead_one_holds_nothing(workflow):
    workflow.stand_in()
    results = workflow.folder / "results"
    results.mkdir()
    with (results / ".running").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        text = workflow.run("--cores", "1", "results/stages/hairpin/sequence.fasta", code=1)
        assert "results: another run is writing there" in text
        assert not (results / "stages").exists()
        assert workflow.planned()["all"] == 1
    workflow.run("--cores", "1", "results/stages/hairpin/sequence.fasta")
    assert (results / "stages" / "hairpin" / "sequence.fasta").is_file()


def test_weights_and_an_alignment_are_inputs_of_the_stages_that_read_them(workflow):
    workflow.stand_in()
    weights, alignment = workflow.folder / "w.safetensors", workflow.folder / "x.a3m"
    weights.write_text("first")
    alignment.write_text(">one\nACGUACGU\n")
    workflow.configure(weights="w.safetensors")
    (workflow.folder / "config" / "samples.tsv").write_text("id\tsequence\tmsa\none\tACGUACGU\tx.a3m\n")
    workflow.run("--cores", "1")
    stages = workflow.folder / "results" / "stages" / "one"
    assert "--msa=one=x.a3m" in (stages / "b_torsions.safetensors").read_text()
    resolved = {name: (workflow.folder / "results" / "config" / f"stage_{name}.yaml").read_text() for name in "abcd"}
    assert ["--weights=w.safetensors" in resolved[name] for name in "abcd"] == [False, True, False, True]
    weights.write_text("second")
    rest = dict.fromkeys(("stage_b_torsion", *LAST), 1)
    assert workflow.planned() == {"all": 1} | rest
    workflow.run("--cores", "1")
    workflow.configure(weights="other.safetensors")
    (workflow.folder / "other.safetensors").write_text("second")
    assert workflow.planned() == {"resolve_config": 2, "all": 1} | rest
