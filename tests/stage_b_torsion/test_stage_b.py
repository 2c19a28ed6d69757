"""Stage B's baseline: chemistry of its torsions and distances, and its contract."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.chemistry.torsions import A_FORM_DEGREES, TORSIONS
from rna_predict.contracts import DISTOGRAM_EDGES, Adjacency, Embeddings, RnaSequence, Torsions
from rna_predict.errors import ConfigError, ContractError, InputError
from rna_predict.formats.structure import read_structure
from rna_predict.geometry.numpy_measures import measure_torsions, wrap
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.features import PAIR_CHANNELS, SINGLE_CHANNELS
from rna_predict.stage_b_torsion.priors_score import median_distance
from rna_predict.stage_b_torsion.stage import predict_torsions

HAIRPIN = ("GGGCACCGGAAACGGUGCCC", "((((((((....))))))))")
GNRA_NATIVE = "3e5c_A"
"""Chain of a validation cluster; its hairpin loop GAAA lies in GCGGAAACGC."""


def apart_degrees(first, second):
    return np.degrees(np.abs(wrap(np.asarray(first, dtype=np.float64) - second)))


@pytest.fixture(scope="module")
def hairpin(make_input):
    rna, adjacency = make_input(*HAIRPIN)
    return predict_torsions(rna, adjacency, StageBConfig(backend="prior-table"))


def test_stem_torsions_are_a_form(hairpin):
    torsions, _ = hairpin
    a_form = np.radians([A_FORM_DEGREES[name] for name in TORSIONS])
    interior = [2, 3, 4, 5, 14, 15, 16, 17]
    off = apart_degrees(torsions.angle_L7[interior], a_form)
    assert off.max() < 20
    assert off.mean() < 6
    phase = np.degrees(torsions.pucker_phase_L[interior])
    assert (np.abs(phase - 18) < 12).all(), "C3'-endo"
    assert np.degrees(torsions.pucker_amplitude_L[interior]) == pytest.approx(40, abs=6)


def test_certainty_is_higher_in_stems_than_in_large_loops(make_input):
    rna, adjacency = make_input("GGGCACC" + "AUCAUGACUAUCA" + "GGUGCCC", "(((((((.............)))))))")
    kappa = predict_torsions(rna, adjacency, StageBConfig(backend="prior-table"))[0].concentration_L7
    assert np.median(kappa[2:6, 3]) > 2 * np.median(kappa[9:18, 3])


def test_gnra_tetraloop_has_a_real_ones_torsions(hairpin, chains_dir):
    native = read_structure(chains_dir / f"{GNRA_NATIVE}.pdb.gz")
    start = native.sequence.index("GGAAAC") + 1
    angle_L7, mask_L7 = measure_torsions(native.xyz_LA3, native.mask_LA, native.sequence, native.linked_L)
    assert mask_L7[start : start + 4].all()
    loop = hairpin[0].angle_L7[8:12]
    off = apart_degrees(loop, angle_L7[start : start + 4])
    a_form = np.radians([A_FORM_DEGREES[name] for name in TORSIONS])
    assert off.max() < 30
    assert off.mean() < 12
    assert np.degrees(loop[1, 0]) == pytest.approx(165, abs=15), "the turn: α of the second residue is trans"
    assert off.mean() < 0.6 * apart_degrees(a_form, angle_L7[start : start + 4]).mean()


def test_uncg_tetraloop_has_its_syn_guanine(make_input):
    rna, adjacency = make_input("GGGCACCUUCGGGUGCCC", "(((((((....)))))))")
    torsions = predict_torsions(rna, adjacency, StageBConfig(backend="prior-table"))[0]
    chi = np.degrees(torsions.angle_L7[:, 6])
    assert abs(chi[10]) < 90, "G of UUCG is syn"
    assert (np.abs(chi[[7, 9, 3, 4]]) > 90).all(), "the others are anti"
    assert np.degrees(torsions.pucker_phase_L[[8, 9]]) == pytest.approx(162, abs=30), "second and third are C2'-endo"


def test_distances_of_a_stem_are_those_of_a_helix(hairpin):
    median_LL = median_distance(hairpin[1].distogram_GLLB[0])
    assert median_LL[1, 18] == pytest.approx(10.6, abs=0.4), "C1'-C1' of a pair"
    assert median_LL[1, 2] == pytest.approx(5.5, abs=0.4)
    assert median_LL[1, 4] == pytest.approx(15.0, abs=0.7)
    assert median_LL[1, 17] == pytest.approx(13.8, abs=0.7), "widens towards the 3' side of the partner strand"
    assert median_LL[2, 18] == pytest.approx(7.9, abs=0.7), "and narrows across the minor groove"
    np.testing.assert_allclose(np.exp(hairpin[1].distogram_GLLB).sum(axis=-1), 1, atol=5e-3)


def test_distances_grow_with_the_path_and_end_beyond_the_last_bin(make_input):
    rna, adjacency = make_input("G" * 10 + "A" * 80, "." * 90)
    median_LL = median_distance(
        predict_torsions(rna, adjacency, StageBConfig(backend="prior-table"))[1].distogram_GLLB[0]
    )
    assert median_LL[0, 1] < median_LL[0, 2] < median_LL[0, 3]
    assert median_LL[0, 60] > DISTOGRAM_EDGES[-1]


def test_another_matching_changes_both_results(make_input):
    letters = "GGGGAAAACCCCAAAACCCC"
    first = predict_torsions(*make_input(letters, "((((....))))........"), StageBConfig(backend="prior-table"))
    second = predict_torsions(*make_input(letters, "((((............))))"), StageBConfig(backend="prior-table"))
    for one, other in zip(first, second, strict=True):
        assert one.digest() != other.digest()
        assert one.provenance.inputs["a_adjacency"] != other.provenance.inputs["a_adjacency"]
    assert not np.array_equal(first[0].angle_L7, second[0].angle_L7)
    for name in ("single_LS", "pair_LLZ", "distogram_GLLB"):
        assert not np.array_equal(getattr(first[1], name), getattr(second[1], name)), name


def test_another_probability_alone_changes_the_embeddings(make_input):
    rna, adjacency = make_input(*HAIRPIN)
    weaker = Adjacency(
        id=rna.id,
        sequence=rna.sequence,
        provenance=adjacency.provenance,
        probability_LL=adjacency.probability_LL * np.float32(0.5),
        partner_L=adjacency.partner_L,
    )
    first, second = (predict_torsions(rna, one, StageBConfig(backend="prior-table"))[1] for one in (adjacency, weaker))
    assert first.pair_LLZ[0, -1, PAIR_CHANNELS.index("pair_probability")] == pytest.approx(0.9)
    assert second.pair_LLZ[0, -1, PAIR_CHANNELS.index("pair_probability")] == pytest.approx(0.45)
    column = SINGLE_CHANNELS.index("unpaired_probability")
    assert second.single_LS[0, column] == pytest.approx(0.55)
    assert first.single_LS[0, column] == pytest.approx(0.1)


def test_channels_say_what_they_hold(hairpin):
    embeddings = hairpin[1]
    assert embeddings.channels == list(PAIR_CHANNELS)
    assert embeddings.single_LS.shape[1] == len(SINGLE_CHANNELS)
    value = dict(zip(PAIR_CHANNELS, embeddings.pair_LLZ[0, 19], strict=True))
    assert value["paired"] == value["same_stem"] == 1
    assert value["same_loop"] == value["stacked_on_pair"] == value["stacked"] == 0
    assert value["separation"] == pytest.approx(19 / 32)
    assert (value["separation_13_32"], value["separation_5_12"]) == (1, 0)
    assert dict(zip(PAIR_CHANNELS, embeddings.pair_LLZ[0, 18], strict=True))["stacked_on_pair"] == 1
    assert dict(zip(PAIR_CHANNELS, embeddings.pair_LLZ[8, 9], strict=True))["same_loop"] == 1
    assert dict(zip(PAIR_CHANNELS, embeddings.pair_LLZ[3, 2], strict=True))["separation"] == pytest.approx(-1 / 32)


@settings(max_examples=40, deadline=None)
@given(pick=st.data())
def test_every_structure_gives_valid_and_repeatable_records(pick, folded_rna):
    rna, adjacency = pick.draw(folded_rna)
    torsions, embeddings = predict_torsions(rna, adjacency, StageBConfig(backend="prior-table"))
    again = predict_torsions(rna, adjacency, StageBConfig(backend="prior-table"))
    assert (torsions.digest(), embeddings.digest()) == (again[0].digest(), again[1].digest())
    assert not torsions.mask_L7[0, 0]
    assert not torsions.mask_L7[-1, 4:6].any()
    assert torsions.mask_L7.sum() == 7 * rna.length - 3
    assert not torsions.angle_L7[~torsions.mask_L7].any()
    assert (torsions.angle_L7 > -np.pi).all()
    np.testing.assert_array_equal(embeddings.distogram_GLLB, embeddings.distogram_GLLB.transpose(0, 2, 1, 3))
    assert embeddings.distogram_GLLB[0, 0, 0].argmax() == 0


def test_records_name_their_path_and_survive_the_disk(hairpin, tmp_path):
    torsions, embeddings = hairpin
    assert torsions.provenance.method == "prior-table"
    assert torsions.provenance.weights == "none", "a table of statistics is not learned weights"
    assert len(torsions.provenance.inputs["prior_table"]) == 64
    torsions.save(tmp_path / "b_torsions.safetensors")
    embeddings.save(tmp_path / "b_embeddings.safetensors")
    assert Torsions.load(tmp_path / "b_torsions.safetensors").digest() == torsions.digest()
    assert Embeddings.load(tmp_path / "b_embeddings.safetensors").channels == list(PAIR_CHANNELS)


def test_refusals_name_the_reason(make_input):
    rna, adjacency = make_input(*HAIRPIN)
    with pytest.raises(ConfigError, match="prior-table"):
        StageBConfig(backend="rnn")
    with pytest.raises(InputError, match="max_length 10"):
        predict_torsions(rna, adjacency, StageBConfig(max_length=10))
    with pytest.raises(ContractError, match="Run stage_a again"):
        predict_torsions(RnaSequence(id="other", sequence=rna.sequence), adjacency, StageBConfig(backend="prior-table"))
    with pytest.raises(ContractError, match="no such prior table"):
        predict_torsions(rna, adjacency, StageBConfig(prior_table="nowhere.safetensors"))
