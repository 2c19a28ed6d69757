"""The prior table: reproducible from its command, better than A-form on held-out chains, refused when damaged."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from rna_predict.chemistry.torsions import TORSIONS
from rna_predict.cli.priors import app
from rna_predict.contracts import DISTOGRAM_EDGES, digest_of
from rna_predict.errors import ContractError, InputError
from rna_predict.stage_b_torsion.fit_distances import distance_bin
from rna_predict.stage_b_torsion.fit_torsions import concentration
from rna_predict.stage_b_torsion.natives import index_rows, read_natives
from rna_predict.stage_b_torsion.prior_table import load_table
from rna_predict.stage_b_torsion.priors_build import PriorSettings, fit_table
from rna_predict.stage_b_torsion.priors_score import score

HELD_OUT = ("1i6u_D", "3e5c_A", "1kh6_A", "5u3g_B")
"""Chains of four validation clusters."""


@pytest.fixture(scope="module")
def held_out(shared_dir):
    rna3d = shared_dir / "data" / "rna3d"
    rows = [row for row in index_rows(rna3d / "index.csv", "validation") if row["id"] in HELD_OUT]
    return read_natives(rna3d / "chains", rows)


@pytest.fixture(scope="module")
def small_index(shared_dir, tmp_path_factory):
    """Twelve short training chains with pairs of their own, one a cluster."""
    rows = index_rows(shared_dir / "data" / "rna3d" / "index.csv", "train")
    chosen = {row["cluster80"]: row for row in rows if 28 <= int(row["length"]) <= 36}
    path = tmp_path_factory.mktemp("index") / "index.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows([chosen[name] for name in sorted(chosen)][:12])
    return path


def test_the_carried_table_is_better_than_a_form_where_it_was_not_fitted(held_out):
    found = score(load_table()[0], held_out)
    assert found["chains"] == 4
    assert found["mcq_table_loop"] < found["mcq_a_form_loop"] - 1
    assert found["mcq_table"] < found["mcq_a_form"]
    assert found["mcq_table_stem"] < 14
    assert found["distance_score"] > 0.55


def test_a_shuffled_table_is_worse(held_out):
    table = load_table()[0]
    order = np.random.default_rng(5).permutation(len(table.keys))
    rows = np.random.default_rng(6).permutation(len(table.code_N))
    shuffled = dataclasses.replace(
        table,
        angle_K7=table.angle_K7[order],
        log_probability_N64=table.log_probability_N64[rows],
    )
    right, wrong = score(table, held_out), score(shuffled, held_out)
    assert wrong["mcq_table_loop"] > right["mcq_table_loop"] + 2
    assert wrong["mcq_table"] > right["mcq_a_form"]
    assert wrong["log_likelihood"] < right["log_likelihood"] - 0.5
    assert wrong["distance_score"] < right["distance_score"] - 0.2


def test_the_command_makes_the_same_table_again(small_index, chains_dir, tmp_path):
    for name in ("first", "second"):
        out = tmp_path / f"{name}.safetensors"
        result = CliRunner().invoke(app, ["build", str(chains_dir), str(small_index), "--out", str(out)])
        assert result.exit_code == 0, result.output
    first, second = (load_table(str(tmp_path / f"{name}.safetensors")) for name in ("first", "second"))
    assert first[1] == second[1]
    assert first[0].made_by["index_sha256"] == digest_of(small_index)
    assert first[0].made_by["torsions.bandwidth"] == "0.2"
    stem = first[0].angle_K7[first[0].keys.index("P/=/=")]
    assert np.degrees(stem[TORSIONS.index("delta")]) == pytest.approx(79, abs=8)


def test_the_score_command_prints_its_figures(small_index, chains_dir):
    arguments = ["score", str(chains_dir), str(small_index), "--split", "train"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout.splitlines()[-1])
    assert 5 < figures["mcq_table"] < figures["mcq_a_form"] < 30


def test_clusters_count_equally_however_many_chains_they_have(held_out):
    one = dataclasses.replace(held_out[0], cluster="a", weight=1.0)
    other = dataclasses.replace(held_out[1], cluster="b", weight=1.0)
    copies = [dataclasses.replace(other, weight=0.25) for _ in range(4)]
    settings = PriorSettings()
    loose = dataclasses.replace(
        settings,
        torsions=dataclasses.replace(settings.torsions, min_clusters=1),
        distances=dataclasses.replace(settings.distances, min_clusters=1),
    )
    first, second = fit_table([one, other], loose, {}), fit_table([one, *copies], loose, {})
    np.testing.assert_allclose(
        np.exp(first.log_probability_N64.astype(float)),
        np.exp(second.log_probability_N64.astype(float)),
        atol=2e-3,
    )
    assert first.keys == second.keys
    turn = np.abs(np.angle(np.exp(1j * (first.angle_K7.astype(float) - second.angle_K7.astype(float)))))
    assert np.degrees(np.median(turn)) < 0.2


def test_concentration_inverts_the_mean_resultant_length_of_von_mises():
    rng = np.random.default_rng(0)
    for kappa in (0.5, 2.0, 10.0, 60.0):
        resultant = np.cos(rng.vonmises(0, kappa, 200_000)).mean()
        assert concentration(np.array([resultant]))[0] == pytest.approx(kappa, rel=0.08)
    assert concentration(np.array([-0.3]))[0] == 0


def test_bins_follow_the_contract():
    gaps = np.array([0.0, DISTOGRAM_EDGES[0] - 0.01, DISTOGRAM_EDGES[0] + 0.01, 100.0])
    np.testing.assert_array_equal(distance_bin(gaps), [0, 0, 1, 63])


def test_the_carried_table_is_small_and_says_where_it_comes_from():
    table, digest = load_table()
    assert len(digest) == 64
    assert table.made_by["command"].startswith("rna-predict priors build")
    assert "--split train" in table.made_by["command"]
    assert int(table.made_by["clusters"]) > 150


def test_a_flipped_byte_and_a_foreign_file_are_refused(tmp_path):
    path = tmp_path / "table.safetensors"
    load_table()[0].save(path)
    whole = path.read_bytes()
    assert load_table(str(path))[0].keys == load_table()[0].keys
    damaged = bytearray(whole)
    damaged[-5] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(ContractError, match=r"damaged|finite"):
        load_table(str(path))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ContractError, match="not a readable prior table"):
        load_table(str(path))


def test_natives_with_pairs_elsewhere_or_a_bad_index_are_not_learned_from(shared_dir, chains_dir, tmp_path):
    rows = [row for row in index_rows(shared_dir / "data" / "rna3d" / "index.csv", "train") if row["id"] == "165d_A"]
    with pytest.raises(InputError, match="canonical pair"):
        read_natives(chains_dir, rows)
    (tmp_path / "index.csv").write_text("id,split\nx,train\n")
    with pytest.raises(InputError, match="cluster80"):
        index_rows(tmp_path / "index.csv", "train")
