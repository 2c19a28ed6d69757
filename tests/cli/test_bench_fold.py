"""The benchmark of models: which targets it takes, what it counts, and that one failure is no one else's."""

import csv
import dataclasses
import json
import os
import shutil
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import numpy as np
import pytest

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.cli import fold_paths
from rna_predict.cli.bench_fold import DIED, list_jobs, paths_of, run_jobs
from rna_predict.cli.fold_figures import cell, differences, figures_of, length_bin, pooled_pearson
from rna_predict.cli.fold_paths import a_form, native_pairs, threaded
from rna_predict.cli.fold_rows import ABOUT, MEASURES, Job, Outcome, failed
from rna_predict.cli.fold_targets import Target, read_targets
from rna_predict.contracts import Ensemble, Model, Provenance, RnaSequence, TemplateHits
from rna_predict.contracts.structure import Structure
from rna_predict.contracts.templates import TemplateHit
from rna_predict.errors import ConfigError, InputError, PredictionError
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.formats.pdb import write_pdb
from rna_predict.formats.structure import read_structure
from rna_predict.pipeline import PipelineConfig

HAIRPIN = RnaSequence(id="h", sequence="GGGCUUCGGCCC")
WHOLE, OTHER = "17ra_A", "1i6u_D"


@pytest.fixture
def natives(chains_dir, tmp_path):
    """Two natives and a file that is none."""
    folder = tmp_path / "natives"
    folder.mkdir()
    for name in (WHOLE, OTHER):
        shutil.copy(chains_dir / f"{name}.pdb.gz", folder)
    (folder / "broken.pdb").write_text("no structure\n")
    return folder


@pytest.fixture
def exact(natives, monkeypatch):
    """Stands in for the four stages: first the native itself, then the A-form chain; what it was given is kept."""
    given_to = []

    def predict(sequence, config, given):
        given_to.append((sequence.id, given))
        native = read_structure(natives / f"{sequence.id}.pdb.gz")
        strand = a_form(sequence)
        xyz_LA3 = np.where(native.mask_LA[..., None], native.xyz_LA3, 0.0)
        lost_LA = strand.mask_LA & ~native.mask_LA
        xyz_LA3[lost_LA] = strand.xyz_LA3[lost_LA] + 200
        models = tuple(_model(xyz, rank) for rank, xyz in enumerate((xyz_LA3, strand.xyz_LA3)))
        ensemble = Ensemble(
            id=sequence.id,
            sequence=sequence.sequence,
            provenance=Provenance(method="exact", package_version="0"),
            confidence_kind="heuristic",
            models=models,
        )
        templates = SimpleNamespace(hits=[hit("9xyz_A", 0.5)] if sequence.id == OTHER else [])
        adjacency = SimpleNamespace(partner_L=np.full(sequence.length, -1))
        return SimpleNamespace(ensemble=ensemble, adjacency=adjacency, templates=templates)

    monkeypatch.setattr(fold_paths, "predict", predict)
    return given_to


def hit(id, identity, letters=""):
    return TemplateHit(
        id=id,
        cluster="",
        date="",
        length=30,
        identity=identity,
        query_identity=identity,
        coverage=0.5,
        score=0.5,
        pair_agreement=1.0,
        expected_tm=0.4,
        letters=letters,
    )


def _model(xyz_LA3, rank):
    length = len(xyz_LA3)
    plddt_L = np.linspace(40, 90, length, dtype=np.float32)
    return Model(
        xyz_LA3=xyz_LA3.astype(np.float32),
        plddt_LA=np.repeat(plddt_L[:, None], MAX_ATOMS, axis=1),
        pae_LL=np.ones((length, length), dtype=np.float32),
        pde_LL=np.ones((length, length), dtype=np.float32),
        ptm=0.5,
        ranking_score=1.0 - rank,
        seed=7 + rank,
        terms={},
    )


def last_line(result):
    return json.loads(result.out.splitlines()[-1])


def row(id, path="default", pairs="predicted", **values):
    """A scored row of 30 nt, its measures None unless given."""
    head = {"set": "s", "id": id, "path": path, "pairs": pairs, "nt": 30, "cluster": id, "status": "scored"}
    return head | {"reason": None} | dict.fromkeys(ABOUT) | dict.fromkeys(MEASURES) | values


def outcome(row, plddt=(), lddt=()):
    return Outcome(
        row=row, residue_N=np.arange(len(plddt)), plddt_N=np.array(plddt, float), lddt_N=np.array(lddt, float)
    )


def test_the_native_scores_full_marks_and_its_figures_stand_on_one_line(run, natives, exact, tmp_path):
    result = run("bench", "fold", natives, "--baselines", "a_form", "--out", tmp_path / "out")
    assert result.code == 0, result.err
    found = last_line(result)
    assert (found["targets"], found["scored"], found["failed"]) == (3, 2, 1)
    assert (found["tm"], found["lddt"], found["inf_wc"]) == (1.0, 1.0, 1.0)
    assert found["rmsd"] == pytest.approx(0, abs=1e-4)
    assert found["lddt_average"] < 0.9
    assert found["lddt_best_of_5"] == found["tm_best_of_5"] == 1.0
    assert list(found["paths"]) == ["default/predicted", "default/native", "a_form"]
    assert found["sets"]["natives"] == found["paths"]
    assert found["paths"]["a_form"]["inf_wc"] == 0.0
    assert found["paths"]["a_form"]["tm"] < 0.4
    assert found["paths"]["a_form"]["plddt_pearson"] is None
    gap = found["differences"]["default/predicted - a_form"]
    assert gap["scored"] == 2
    assert gap["tm"][0] == pytest.approx(1 - found["paths"]["a_form"]["tm"], abs=1e-5)
    assert [one["id"] for one in found["failures"]] == ["broken"] * 3
    assert "0 atoms" in found["failures"][0]["reason"]
    scored = [one for one in found["rows"] if one["status"] == "scored"]
    assert all(one["seconds"] is not None for one in scored)
    assert scored[0]["seeds"] == [7, 8]
    assert [(one["template"], one["template_identity"]) for one in scored[:2]] == [(None, None), ("9xyz_A", 0.5)]
    assert {name: part["scored"] for name, part in found["templates"]["default/native"].items()} == {
        "with": 1,
        "without": 1,
    }
    assert "natives broken (default, native): " in result.out


def test_each_kind_of_pairs_is_given_to_stage_a(run, natives, exact):
    assert run("bench", "fold", natives, "--pairs", "native").code == 0
    given = dict(exact)
    native = read_structure(natives / f"{WHOLE}.pdb.gz")
    expected = {place for pair in annotate_pairs(native).canonical for place in pair}
    assert set(np.flatnonzero(given[WHOLE].partner_L >= 0)) == expected
    exact.clear()
    assert run("bench", "fold", natives, "--pairs", "predicted").code == 0
    assert [one for _, one in exact] == [None, None]


def test_models_rows_residues_and_plots_are_written(run, natives, exact, tmp_path):
    out = tmp_path / "out"
    found = last_line(run("bench", "fold", natives, "--pairs", "predicted", "--baselines", "a_form", "--out", out))
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    models = {
        f"models/natives/default_predicted/{name}.{end}" for name in (WHOLE, OTHER) for end in ("cif", "json", "pdb")
    }
    models |= {f"models/natives/a_form/{name}.pdb" for name in (WHOLE, OTHER)}
    plots = {f"{name}.svg" for name in ("tm", "lddt", "inf_wc", "rmsd", "plddt_default_predicted")}
    assert written == models | plots | {"rows.csv", "residues.csv"}
    rows = list(csv.DictReader((out / "rows.csv").open()))
    assert [(one["id"], one["status"]) for one in rows] == [(one["id"], one["status"]) for one in found["rows"]]
    residues = list(csv.DictReader((out / "residues.csv").open()))
    assert {one["lddt"] for one in residues} == {"1.0000"}
    assert sum(one["id"] == WHOLE for one in residues) == 21
    for name in plots:
        assert ET.fromstring((out / name).read_text()).tag.endswith("svg")
    assert "17ra_A, 21 nt, default/predicted: 1.000" in (out / "tm.svg").read_text()
    assert "broken, not read" in (out / "tm.svg").read_text()


def test_a_prediction_that_goes_wrong_fails_its_target_alone(run, natives, exact, monkeypatch):
    right = fold_paths.predict

    def predict(sequence, config, given):
        if sequence.id == OTHER:
            raise RuntimeError("out\nof luck")
        return right(sequence, config, given)

    monkeypatch.setattr(fold_paths, "predict", predict)
    found = last_line(run("bench", "fold", natives, "--pairs", "predicted"))
    assert (found["scored"], found["failed"], found["tm"]) == (1, 2, 1.0)
    assert {one["id"]: one["reason"] for one in found["failures"]}[OTHER] == "RuntimeError: out of luck"


def test_nothing_scored_is_exit_code_1_and_a_wrong_name_2(run, natives, tmp_path):
    empty, table = tmp_path / "empty", tmp_path / "t.csv"
    table.write_text(f"id\n{WHOLE}\n")
    empty.mkdir()
    (empty / "x.pdb").write_text("nothing\n")
    result = run("bench", "fold", empty)
    assert result.code == 1
    assert last_line(result)["tm"] is None
    for words, named in (
        (("--pairs", "all,x"), "'all'"),
        (("--baselines", "best"), "a_form, template, assembly"),
        (("--config", "stage_d.modls=3"), "modls"),
        (("--chain", "x"), "ID=CHAIN"),
        (("--pairs", ""), "nothing to predict"),
        (("--max-length", "5", "--targets", table), "0 targets (1 longer than --max-length 5)"),
    ):
        result = run("bench", "fold", natives, *words)
        assert result.code == 2
        assert named in result.err


def test_a_table_picks_targets_and_clusters(natives, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(f"id,cluster\n{WHOLE},c1\n")
    targets, left_out = read_targets([natives], table, {}, 0)
    assert [(one.id, one.cluster, one.set) for one in targets] == [(WHOLE, "c1", "natives")]
    assert left_out == 0
    table.write_text("id\nnowhere\n")
    with pytest.raises(InputError, match="nowhere"):
        read_targets([natives], table, {}, 0)
    table.write_text("name\nx\n")
    with pytest.raises(InputError, match="no column id"):
        read_targets([natives], table, {}, 0)
    with pytest.raises(InputError, match="Rename one"):
        read_targets([natives, natives], None, {}, 0)
    targets, left_out = read_targets([natives], None, {}, 30)
    assert [one.id for one in targets] == [WHOLE, "broken"]
    assert left_out == 1


def test_a_single_file_is_a_set_of_one(natives):
    targets, _ = read_targets([natives / f"{WHOLE}.pdb.gz"], None, {}, 0)
    assert [one.id for one in targets] == [WHOLE]


def test_native_pairs_stand_at_the_places_of_the_sequence(chains_dir):
    native = read_structure(chains_dir / f"{WHOLE}.pdb.gz")
    sequence = RnaSequence(id="x", sequence=native.sequence)
    whole = native_pairs(native, sequence)
    assert whole
    longer = RnaSequence(id="x", sequence="AAAA" + native.sequence + "A")
    assert native_pairs(native, longer) == [(i + 4, j + 4) for i, j in whole]
    kept = np.arange(native.length) != 8
    gapped = Structure(
        id="x",
        sequence="".join(np.array(list(native.sequence))[kept]),
        xyz_LA3=native.xyz_LA3[kept],
        mask_LA=native.mask_LA[kept],
        number_L=native.number_L[kept],
    )
    assert set(native_pairs(gapped, sequence)) <= set(whole)
    assert all(8 not in pair for pair in native_pairs(gapped, sequence))
    with pytest.raises(InputError):
        native_pairs(native, HAIRPIN)


def test_a_failed_target_is_counted_and_in_no_mean():
    job = Job(
        target=Target(set="s", id="c", native=None, sequence="", cluster="c"),
        path="default",
        pairs="predicted",
        config=PipelineConfig(),
        models=None,
        threads=1,
    )
    found = cell([outcome(row("a", tm=0.2, lddt=None)), outcome(row("b", tm=0.4)), failed(job, "no\nluck")])
    assert (found["targets"], found["scored"], found["failed"]) == (3, 2, 1)
    assert found["tm"] == pytest.approx(0.3)
    assert (found["tm_n"], found["lddt"], found["lddt_n"]) == (2, None, 0)
    assert found["tm_interval"][0] < 0.3 < found["tm_interval"][1]


def test_differences_are_of_the_same_targets():
    first = [outcome(row("a", tm=0.5)), outcome(row("b", tm=0.9)), outcome(row("c"))]
    other = [outcome(row("a", "x", tm=0.2)), outcome(row("c", "x", tm=0.1))]
    found = differences({"one": first, "two": other})["one - two"]
    assert found["scored"] == 2
    assert found["tm"][0] == pytest.approx(0.3)
    assert found["lddt"][0] is None


def test_the_pooled_correlation_is_that_of_all_residues():
    rng = np.random.default_rng(0)
    parts = [(rng.uniform(40, 90, n), rng.uniform(0, 1, n)) for n in (7, 12, 30)]
    found = pooled_pearson([outcome(row(str(n)), *part) for n, part in enumerate(parts)])
    plddt, true = (np.concatenate(side) for side in zip(*parts, strict=True))
    assert found["plddt_pearson_pooled"] == pytest.approx(np.corrcoef(plddt, true)[0, 1])
    assert found["plddt_bias"] == pytest.approx(plddt.mean() / 100 - true.mean())
    low, high = found["plddt_pearson_pooled_interval"]
    assert low < found["plddt_pearson_pooled"] < high
    assert pooled_pearson([outcome(row("a"), [50, 50], [0.2, 0.4])])["plddt_pearson_pooled"] is None


def test_lengths_have_bins():
    assert [length_bin(nt) for nt in (1, 49, 50, 399, 400)] == ["000-049", "000-049", "050-099", "200-399", "400+"]
    rows = [outcome(row("a", nt=20, tm=0.1)), outcome(row("b", nt=250, tm=0.5))]
    lengths = figures_of(rows)["lengths"]["default/predicted"]
    assert {name: values["tm"] for name, values in lengths.items()} == {"000-049": 0.1, "200-399": 0.5}


def test_the_baseline_assembly_has_no_learned_part():
    paths = paths_of(["assembly", "a_form"], None, ["stage_d.steps=3"], ["stage_d.seed=4"])
    assert paths["a_form"] is paths["default"]
    assert paths["default"].stage_d.steps == 3
    assert paths["default"].templates.enabled
    assert not paths["assembly"].templates.enabled
    assert (paths["assembly"].stage_d.steps, paths["assembly"].stage_d.seed) == (6, 4)
    assert (paths["assembly"].stage_b.backend, paths["assembly"].stage_d.backend) == ("prior-table", "analytic")
    with pytest.raises(ConfigError):
        paths_of([], None, ["stage_x.steps=3"], [])


def hits_of(native, kept):
    """The native's own atoms on some of its residues, as a template."""
    mask_LA = native.mask_LA & kept[:, None]
    return TemplateHits(
        id=native.id,
        sequence=native.sequence,
        provenance=Provenance(method="templates", package_version="0"),
        xyz_KLA3=np.where(mask_LA[..., None], native.xyz_LA3, 0.0)[None].astype(np.float32),
        mask_KLA=mask_LA[None],
        mask_KL=kept[None],
        position_KL=np.where(kept, np.arange(native.length), -1)[None].astype(np.int32),
        linked_KL=(kept[:-1] & kept[1:])[None],
        hits=(hit("9xyz_A", 1.0, native.sequence),),
    )


def test_a_template_alone_is_scored_on_the_whole_rna(run, natives, monkeypatch):
    native = read_structure(natives / f"{OTHER}.pdb.gz")
    kept = np.arange(native.length) < 27

    def find(adjacency, config):
        whole = hits_of(native, kept)
        none = {
            name: getattr(whole, name)[:0] for name in ("xyz_KLA3", "mask_KLA", "mask_KL", "position_KL", "linked_KL")
        }
        return whole if adjacency.id == OTHER else dataclasses.replace(whole, hits=(), **none)

    monkeypatch.setattr(fold_paths, "find_templates", find)
    assert threaded(hits_of(native, kept)).number_L.tolist() == list(range(1, 28))
    monkeypatch.setattr(fold_paths, "predict", lambda *_: (_ for _ in ()).throw(PredictionError("not asked for")))
    words = ("--pairs", "predicted", "--baselines", "template")
    found = last_line(run("bench", "fold", natives, *words, "--config", "stage_a.backend=viennarna"))
    cell = found["paths"]["template/predicted"]
    assert (cell["scored"], cell["failed"]) == (1, 2)
    assert 0.6 < cell["tm"] <= 27 / 36 + 0.01
    assert {one["reason"] for one in found["failures"] if one["path"] == "template"} >= {
        f"{OTHER}: no template was found"
    }


class Deadly:
    """Settings that end the process that reads them."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_process_that_dies_ends_no_other_target(tmp_path):
    for name in ("a", "b"):
        write_pdb(a_form(RnaSequence(id=name, sequence=HAIRPIN.sequence)), tmp_path / f"{name}.pdb")
    targets, _ = read_targets([tmp_path], None, {}, 0)
    jobs = list_jobs(targets, {"a_form": PipelineConfig()}, ["predicted"], None, 1)
    deadly = Job(target=targets[0], path="default", pairs="predicted", config=Deadly(), models=None, threads=1)
    found = run_jobs([jobs[0], deadly, jobs[1]], cores=2)
    assert [one.row["status"] for one in found] == ["scored", "failed", "scored"]
    assert found[1].row["reason"] == DIED
    assert found[0].row["tm"] == pytest.approx(1.0, abs=1e-4)


def test_a_real_prediction_is_scored(run, tmp_path):
    natives = tmp_path / "natives"
    natives.mkdir()
    write_pdb(a_form(HAIRPIN), natives / "h.pdb")
    quick = ("stage_c.starts=2", "stage_c.kept=1", "stage_d.steps=3")
    words = [word for setting in quick for word in ("--config", setting)]
    found = last_line(run("bench", "fold", natives, "--pairs", "predicted", "--models", "2", *words))
    assert (found["scored"], found["breaks"], found["faulty_models"]) == (1, 0.0, 0.0)
    assert 0 < found["lddt"] < 1
    assert list(found["how"].values()) == [1]
    assert len(set(found["rows"][0]["seeds"])) == 2
    assert found["peak_gb"] > 0.05
