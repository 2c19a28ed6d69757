"""The page as a file: what it holds, that none of it is taken for markup, and what a large one leaves out."""

import base64
import gzip
import json
import re

import numpy as np
import pytest

from rna_predict.chemistry.residues import C4
from rna_predict.cli.report import ids_of
from rna_predict.contracts import RnaSequence
from rna_predict.errors import ConfigError, InputError
from rna_predict.formats.models import read_ensemble
from rna_predict.report.details import Entry, entry_of_missing
from rna_predict.report.model_details import averaged, contacts
from rna_predict.report.outcome import Missing
from rna_predict.report.page import Limits, page, within

HAIRPIN = "GGGCUUCGGCCC"


@pytest.fixture(scope="module")
def blocks(page_file) -> dict[str, str]:
    """The page's blocks by id."""
    found = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', page_file.read_text())
    return dict(found)


@pytest.fixture(scope="module")
def model(blocks):
    """`model(number, rank)` of the page, unpacked."""
    return lambda number, rank: json.loads(gzip.decompress(base64.b64decode(blocks[f"model-{number}-{rank}"])))


def test_the_rows_say_what_became_of_each_rna(blocks, markup):
    rows = json.loads(blocks["report"])["rows"]
    assert [(row["id"], row["status"]) for row in rows] == [
        ("alpha", "done"),
        ("beta", "done"),
        ("gamma", "failed"),
        ("delta", "unfinished"),
        ("epsilon", "unfinished"),
    ]
    alpha, beta, gamma, delta, epsilon = rows
    assert (alpha["nt"], alpha["models"], alpha["seconds"], alpha["peak_mb"]) == (12, 3, 7.8, 332.0)
    assert (beta["template"], beta["tm"], beta["seconds"]) == ("9xyz_A", 0.66, None)
    assert alpha["clash"] > 5  # a hairpin's torsions alone close no stem
    assert (gamma["stage"], gamma["reason"]) == ("stage_a_adjacency", markup)
    assert (delta["stage"], "was killed" in delta["reason"]) == ("stage_c_reconstruction", True)
    assert "no log" in epsilon["reason"]


def test_files_that_cannot_be_read_are_named_and_the_rest_is_shown(blocks):
    panel = json.loads(gzip.decompress(base64.b64decode(blocks["panel-0"])))
    assert [made["stage"] for made in panel["made"]] == [
        "A base pairs",
        "B torsions",
        "C reconstruction",
        "D diffusion",
    ]
    assert "t_templates.safetensors: no such file" in panel["notices"][0]
    assert "b_embeddings.safetensors: no such file" in panel["notices"][-1]


def test_without_a_sheet_the_results_say_which_rnas_there_are(tmp_path):
    """With batches an RNA's own log is that of `export_prediction`; other folders with logs are no RNAs."""
    for name in ("logs/one/prepare_input.log", "logs/two/export_prediction.log.attempt1", "logs/batches/b/stage_a.log"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    (tmp_path / "stages" / "three").mkdir(parents=True)
    assert ids_of(tmp_path, None) == ["one", "three", "two"]
    with pytest.raises(InputError, match="holds no RNA"):
        ids_of(tmp_path / "logs", None)


def test_atoms_and_confidence_are_those_of_the_results(model, results):
    folder = results / "stages/alpha"
    rna = RnaSequence(id="alpha", sequence=HAIRPIN)
    ensemble = read_ensemble(folder / "d_models.cif", folder / "d_confidence.json", rna)
    for rank in range(3):
        held, structure = model(0, rank), ensemble.structure(rank)
        xyz_N3 = np.cumsum(np.reshape(held["xyz"], (-1, 3)), axis=0) / 1000
        np.testing.assert_allclose(xyz_N3, structure.xyz_LA3[structure.mask_LA], atol=1e-4)
        b_N = np.cumsum(held["b"]) / 100
        np.testing.assert_allclose(b_N, ensemble.models[rank].plddt_LA[structure.mask_LA], atol=0.0051)
        np.testing.assert_allclose(np.reshape(held["pae"], (12, 12)) / 10, ensemble.models[rank].pae_LL, atol=0.051)
    assert (model(0, 2)["breaks"], model(0, 0)["breaks"]) == ([5], [])


def test_models_are_laid_on_the_best_which_lies_across_the_screen(model, results):
    rna = RnaSequence(id="alpha", sequence=HAIRPIN)
    folder = results / "stages/alpha"
    ensemble = read_ensemble(folder / "d_models.cif", folder / "d_confidence.json", rna)
    laid = []
    for rank in range(2):
        motion = np.array(model(0, rank)["onto"])
        rotation_33, shift_3 = motion[:9].reshape(3, 3), motion[9:]
        assert np.linalg.det(rotation_33) == pytest.approx(1, abs=1e-4)
        laid.append(ensemble.structure(rank).xyz_LA3[:, C4] @ rotation_33.T + shift_3)
    np.testing.assert_allclose(laid[0], laid[1], atol=0.01)
    spread = laid[0].std(axis=0)
    assert spread[0] > spread[1] > spread[2]
    np.testing.assert_allclose(laid[0].mean(axis=0), 0, atol=0.01)
    assert laid[0][0, 0] < laid[0][-1, 0]


def test_torsions_are_degrees_and_undefined_at_the_ends(model):
    torsions = model(0, 0)["torsions"]
    alpha, zeta = torsions[0], torsions[5]
    assert len(torsions) == 8
    assert (alpha[0], zeta[-1]) == (None, None)
    assert all(0 <= value < 360 for value in alpha[1:])


def test_contacts_are_near_in_space_and_far_in_sequence(results):
    folder = results / "stages/beta"
    ensemble = read_ensemble(folder / "d_models.cif", folder / "d_confidence.json")
    structure = ensemble.structure(0)
    found = {tuple(pair) for pair in contacts(structure).tolist()}
    for i in range(structure.length):
        for j in range(i + 4, structure.length):
            one, other = (structure.xyz_LA3[k][structure.mask_LA[k]] for k in (i, j))
            nearest = np.linalg.norm(one[:, None] - other, axis=-1).min()
            assert ((i, j) in found) == (nearest <= 5.0)
    assert all(j - i >= 4 for i, j in found)


def test_a_large_pae_is_averaged_over_blocks():
    values = np.arange(405.0)[:, None] + np.zeros(405)
    cells, width = averaged(values)
    assert (cells.shape, width) == ((135, 135), 3)
    np.testing.assert_allclose(cells[:, 0], np.arange(135) * 3 + 1)
    assert averaged(values[:200, :200])[1] == 1
    assert averaged(values[:401, :401])[0][-1, 0] == pytest.approx(399.5)


def test_what_users_wrote_ends_no_block_and_starts_none(page_file, markup):
    text = page_file.read_text()
    assert markup not in text
    assert "<img" not in text
    assert "window.hacked=2</script>" not in text


def test_the_page_names_no_address_that_a_browser_would_fetch(page_file):
    text = re.sub(r"<script[^>]*>.*?</script>", "", page_file.read_text(), flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)=["']?(?!#|data:)[^"' >]+""", text)
    assert "default-src 'none'" in text


def test_equal_results_give_an_equal_page():
    entries = [entry_of_missing(Missing(id="one", stage="", reason="none"))]
    assert page(entries, "A < B") == page(entries, "A < B")
    assert "<title>A &lt; B</title>" in page(entries, "A < B")


def entry(id: str, panel: int, models: int) -> Entry:
    """A panel of so many bytes and two models of so many."""
    return Entry(row={"id": id, "status": "done"}, panel="p" * panel, models=("m" * models,) * 2)


def test_a_large_page_keeps_the_best_models_then_the_first_rnas_and_says_so():
    entries = [entry("one", 100, 400), entry("two", 100, 400)]
    everything = within(entries, Limits(megabytes=1800e-6))
    assert ([len(one.models) for one in everything.entries], everything.notices) == ([2, 2], ())
    best = within(entries, Limits(megabytes=1100e-6))
    assert [len(one.models) for one in best.entries] == [1, 1]
    assert "only the best model" in best.notices[0]
    first = within(entries, Limits(megabytes=600e-6))
    assert [bool(one.panel) for one in first.entries] == [True, False]
    assert "1 of 2 RNAs, from two on" in first.notices[1]


def test_nothing_to_report_and_no_room_are_refused():
    with pytest.raises(InputError, match="no RNA to report"):
        page([], "title")
    with pytest.raises(ConfigError, match="megabytes: 0"):
        Limits(megabytes=0)
