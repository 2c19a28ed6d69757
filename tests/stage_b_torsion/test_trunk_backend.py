"""The trunk behind stage B: what goes in, what comes out, and what its records say of where it came from."""

import dataclasses
import logging

import numpy as np
import pytest
import torch

from rna_predict.config import resolve_stage_config
from rna_predict.contracts import Embeddings
from rna_predict.errors import ConfigError, InputError, PredictionError, WeightsError
from rna_predict.formats.alignment import read_alignment
from rna_predict.nn import opened as opened_networks
from rna_predict.nn.featurise import featurise
from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.stage_inputs import pair_inputs
from rna_predict.nn.weights import WeightsHeader, open_network, save_weights
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.heads import AMPLITUDE_RANGE
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_b_torsion.trunk import Trunk

HAIRPIN = ("GGGCUUCGGCCC", "((((....))))")
OPEN = "............"
ARRAYS = ("inputs_LI", "single_LS", "pair_LLZ", "distogram_GLLB")


def config_of(**changes):
    return StageBConfig(**{"backend": "trunk", "device": "cpu", "precision": "float32"} | changes)


@pytest.fixture(scope="module")
def rna(make_input):
    return make_input(*HAIRPIN)


@pytest.fixture(scope="module")
def untrained(rna):
    """Torsions and embeddings of nano's starting values."""
    return predict_torsions(*rna, config_of(untrained_profile="nano"))


@pytest.fixture(scope="module")
def tensors():
    """Nano's trunk as training leaves it: nothing is zero any more."""
    module = open_network(Trunk, untrained_profile="nano").module
    generator = torch.Generator().manual_seed(1)
    return {
        key: tensor + 0.05 * torch.randn(tensor.shape, generator=generator)
        for key, tensor in module.state_dict().items()
    }


@pytest.fixture
def weights(tmp_path, tensors):
    """`weights(trained=True, without="torsion_head.")`: a weights file of nano's trunk."""

    def write(name="w.safetensors", trained=True, without="none", **changes):
        kept = {key: tensor for key, tensor in (tensors | changes).items() if not key.startswith(without)}
        header = WeightsHeader(architecture=PROFILES["nano"], trained=trained, source="a test")
        save_weights(tmp_path / name, kept, header)
        return str(tmp_path / name)

    return write


def largest(first, second, names=ARRAYS):
    return {name: np.abs(getattr(first, name) - getattr(second, name)).max() for name in names}


def test_the_record_holds_what_the_module_computes(rna, weights):
    sequence, adjacency = rna
    path = weights()
    _, found = predict_torsions(sequence, adjacency, config_of(weights=path, seed=3))
    module = open_network(Trunk, weights=path).module
    inputs = pair_inputs(adjacency.probability_LL, adjacency.partner_L)
    with torch.no_grad():
        expected = module(featurise(sequence.sequence, seed=3), PROFILES["nano"].cycles, inputs)
        logits = module.distogram(expected.pair_BLLZ)
    torch.testing.assert_close(torch.tensor(found.inputs_LI), expected.inputs_BLI[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.tensor(found.single_LS), expected.single_BLS[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.tensor(found.pair_LLZ), expected.pair_BLLZ[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.tensor(found.distogram_GLLB[0]), logits[0], atol=1e-6, rtol=0)
    assert found.conformer_seed == 3
    assert found.inputs_LI.shape == (12, PROFILES["nano"].c_inputs)
    assert (found.distogram_atoms, found.channels) == (["C4/C2"], [])
    assert np.abs(found.distogram_GLLB).max() > 0.1
    np.testing.assert_allclose(found.distogram_GLLB, found.distogram_GLLB.transpose(0, 2, 1, 3), atol=1e-6)


def test_records_say_untrained_and_so_does_the_log(rna, untrained, caplog, monkeypatch):
    torsions, embeddings = untrained
    assert "trunk, profile nano, 2 cycles, float32" in embeddings.provenance.method
    assert "UNTRAINED random weights" in embeddings.provenance.method
    assert embeddings.provenance.weights == open_network(Trunk, untrained_profile="nano").header.sha256
    assert embeddings.provenance.inputs == {"a_adjacency": rna[1].digest()}
    assert torsions.provenance.method == "prior-table", "the torsions are not the trunk's here"
    assert torsions.provenance.weights == "none"
    monkeypatch.setattr(logging.getLogger("rna_predict"), "propagate", True)
    with caplog.at_level(logging.WARNING):
        predict_torsions(*rna, config_of(untrained_profile="nano"))
    assert "UNTRAINED random weights" in caplog.text


def test_trained_weights_are_named_by_their_hash_and_nothing_says_untrained(rna, weights, caplog, monkeypatch):
    path = weights()
    monkeypatch.setattr(logging.getLogger("rna_predict"), "propagate", True)
    with caplog.at_level(logging.WARNING):
        torsions, embeddings = predict_torsions(*rna, config_of(weights=path, torsions="head"))
    sha256 = open_network(Trunk, weights=path).header.sha256
    for record in (torsions, embeddings):
        assert record.provenance.weights == sha256
        assert "UNTRAINED" not in record.provenance.method
    assert not caplog.records
    stated = weights("untrained.safetensors", trained=False)
    assert "UNTRAINED" in predict_torsions(*rna, config_of(weights=stated))[1].provenance.method


def test_records_survive_the_disk(untrained, tmp_path):
    untrained[1].save(tmp_path / "b.safetensors")
    assert Embeddings.load(tmp_path / "b.safetensors").digest() == untrained[1].digest()


def test_the_same_settings_give_the_same_numbers_and_the_seed_turns_the_conformers(rna, untrained):
    again = predict_torsions(*rna, config_of(untrained_profile="nano"))[1]
    assert again.digest() == untrained[1].digest()
    other = predict_torsions(*rna, config_of(untrained_profile="nano", seed=1))[1]
    assert largest(other, again)["inputs_LI"] > 1e-3


def test_an_untouched_projection_lets_no_adjacency_in_bit_for_bit(rna, untrained, make_input):
    opened = predict_torsions(*make_input(HAIRPIN[0], OPEN), config_of(untrained_profile="nano"))[1]
    assert set(largest(opened, untrained[1]).values()) == {0.0}
    module = open_network(Trunk, untrained_profile="nano").module
    with torch.no_grad():
        without = module(featurise(HAIRPIN[0], seed=0), 2)
    for name, tensor in (("single_LS", without.single_BLS), ("pair_LLZ", without.pair_BLLZ)):
        np.testing.assert_array_equal(getattr(untrained[1], name), tensor[0].numpy())


def test_a_trained_projection_lets_probabilities_and_matching_in(rna, weights, make_input):
    config = config_of(weights=weights())
    base = predict_torsions(*rna, config)[1]
    opened = predict_torsions(*make_input(HAIRPIN[0], OPEN), config)[1]
    weaker = dataclasses.replace(rna[1], probability_LL=rna[1].probability_LL * np.float32(0.5))
    faded = predict_torsions(rna[0], weaker, config)[1]
    matched = dataclasses.replace(rna[1], partner_L=np.full(12, -1, dtype=np.int32))
    unmatched = predict_torsions(rna[0], matched, config)[1]
    for other in (opened, faded, unmatched):
        change = largest(other, base)
        assert change["inputs_LI"] == 0
        assert min(change[name] for name in ("single_LS", "pair_LLZ", "distogram_GLLB")) > 1e-4


def test_an_alignment_changes_the_embeddings_and_is_named(rna, weights, tmp_path):
    sequence, adjacency = rna
    config = config_of(weights=weights())
    file = tmp_path / "x.a3m"
    file.write_text(">q\nGGGCUUCGGCCC\n>r\nGGACUUCGGUCC\n>s\nGG-CGaAAAG-CC\n")
    alignment, _ = read_alignment(file, sequence)
    base = predict_torsions(sequence, adjacency, config)[1]
    found = predict_torsions(sequence, adjacency, config, alignment)[1]
    assert min(largest(found, base).values()) > 1e-4
    assert found.provenance.inputs == {"a_adjacency": adjacency.digest(), "alignment": alignment.digest()}
    other = (dataclasses.replace(sequence, id="other"), dataclasses.replace(adjacency, id="other"))
    with pytest.raises(InputError, match="aligns probe, another RNA"):
        predict_torsions(*other, config, alignment)


def test_an_alignment_that_is_not_read_is_said(rna, tmp_path, caplog, monkeypatch):
    file = tmp_path / "x.a3m"
    file.write_text(">q\nGGGCUUCGGCCC\n>r\nGGACUUCGGUCC\n")
    alignment, _ = read_alignment(file, rna[0])
    monkeypatch.setattr(logging.getLogger("rna_predict"), "propagate", True)
    with caplog.at_level(logging.WARNING):
        found = predict_torsions(*rna, StageBConfig(backend="prior-table"), alignment)
    assert "is not read: only stage_b.backend trunk does" in caplog.text
    assert found[1].digest() == predict_torsions(*rna, StageBConfig(backend="prior-table"))[1].digest()


def test_the_prior_table_s_torsions_do_not_depend_on_the_trunk(rna, untrained):
    baseline = predict_torsions(*rna, StageBConfig(backend="prior-table"))[0]
    assert untrained[0].digest() == baseline.digest()


def test_head_torsions_are_the_head_s_and_keep_the_contract(rna, weights):
    sequence, adjacency = rna
    path = weights()
    torsions, embeddings = predict_torsions(sequence, adjacency, config_of(weights=path, torsions="head"))
    head = open_network(Trunk, weights=path).module.torsion_head
    with torch.no_grad():
        said = head(torch.tensor(embeddings.single_LS)[None])
    mask = torsions.mask_L7
    np.testing.assert_allclose(torsions.angle_L7[mask], said.angle_BL8()[0, :, :7].numpy()[mask], atol=1e-5)
    np.testing.assert_allclose(
        torsions.concentration_L7[mask], said.concentration_BL8[0, :, :7].numpy()[mask], atol=1e-5
    )
    np.testing.assert_allclose(torsions.pucker_phase_L, said.angle_BL8()[0, :, 7].numpy(), atol=1e-5)
    np.testing.assert_allclose(torsions.pucker_concentration_L, said.concentration_BL8[0, :, 7].numpy(), atol=1e-5)
    np.testing.assert_allclose(torsions.pucker_amplitude_L, said.amplitude_BL[0].numpy(), atol=1e-5)
    assert mask.sum() == 7 * 12 - 3
    assert not mask[0, 0]
    assert not mask[-1, 4:6].any()
    assert AMPLITUDE_RANGE[0] <= torsions.pucker_amplitude_L.min()
    assert torsions.provenance.method.startswith("torsion head of trunk, profile nano")
    assert torsions.angle_L7.std() > 0.5


def test_a_head_that_was_never_trained_gives_torsions_only_where_untrained_is_asked_for(rna, weights):
    public = weights("public.safetensors", without="torsion_head.")
    with pytest.raises(ConfigError, match=r"the torsion head of .*public\.safetensors was never trained"):
        predict_torsions(*rna, config_of(weights=public, torsions="head"))
    assert predict_torsions(*rna, config_of(weights=public))[0].provenance.method == "prior-table"
    start = weights("start.safetensors", trained=False)
    with pytest.raises(ConfigError, match="was never trained"):
        predict_torsions(*rna, config_of(weights=start, torsions="head"))
    torsions, _ = predict_torsions(*rna, config_of(untrained_profile="nano", torsions="head"))
    assert "UNTRAINED random weights" in torsions.provenance.method


def test_public_weights_without_our_parts_let_no_adjacency_in(rna, weights, make_input):
    config = config_of(weights=weights("public.safetensors", without="trunk_inputs."))
    first = predict_torsions(*rna, config)[1]
    second = predict_torsions(*make_input(HAIRPIN[0], OPEN), config)[1]
    assert set(largest(first, second).values()) == {0.0}


def test_cycles_count_and_rows_at_once_do_not(rna, weights):
    path = weights()
    base = predict_torsions(*rna, config_of(weights=path))[1]
    same = predict_torsions(*rna, config_of(weights=path, cycles=PROFILES["nano"].cycles))[1]
    more = predict_torsions(*rna, config_of(weights=path, cycles=PROFILES["nano"].cycles + 1))[1]
    assert same.digest() == base.digest()
    assert largest(more, base)["pair_LLZ"] > 1e-3
    assert "3 cycles" in more.provenance.method
    for rows in (1, 5, 12):
        chunked = predict_torsions(*rna, config_of(weights=path, chunk_rows=rows))[1]
        assert max(largest(chunked, base).values()) < 1e-4


def test_bfloat16_is_near_and_named(rna, weights):
    path = weights()
    base = predict_torsions(*rna, config_of(weights=path))[1]
    half = predict_torsions(*rna, config_of(weights=path, precision="bfloat16"))[1]
    for name, change in largest(half, base).items():
        assert 0 < change < 0.15 * np.abs(getattr(base, name)).max(), name
    assert "bfloat16" in half.provenance.method


def test_numbers_that_are_none_are_an_error_not_a_result(rna, weights):
    huge = torch.full((PROFILES["nano"].c_z, PROFILES["nano"].c_s), 3e38)
    path = weights("huge.safetensors", **{"linear_no_bias_zinit1.weight": huge})
    with pytest.raises(PredictionError, match=r"probe: the trunk's \w+ holds NaN or infinity"):
        predict_torsions(*rna, config_of(weights=path))


def test_a_file_is_opened_once_and_again_when_it_changes(rna, weights, tensors, monkeypatch):
    opened = []

    def counting(*arguments, **options):
        opened.append(options)
        return open_network(*arguments, **options)

    monkeypatch.setattr(opened_networks, "open_network", counting)
    config = config_of(weights=weights())
    first = predict_torsions(*rna, config)[1]
    predict_torsions(*rna, config)
    assert len(opened) == 1
    weights(**{"linear_no_bias_zinit1.weight": 2 * tensors["linear_no_bias_zinit1.weight"]})
    second = predict_torsions(*rna, config)[1]
    assert len(opened) == 2
    assert largest(first, second)["pair_LLZ"] > 1e-3
    assert first.provenance.weights != second.provenance.weights


def test_what_cannot_be_run_is_refused_by_its_setting(rna, tmp_path):
    with pytest.raises(WeightsError, match="nowhere"):
        predict_torsions(*rna, config_of(weights=str(tmp_path / "nowhere.safetensors")))
    with pytest.raises(ConfigError, match="profile 'huge': unknown"):
        predict_torsions(*rna, config_of(untrained_profile="huge"))
    with pytest.raises(ConfigError, match=r"stage_b\.device: 'abacus'"):
        predict_torsions(*rna, config_of(untrained_profile="nano", device="abacus"))
    with pytest.raises(InputError, match=r"longer than stage_b\.max_length 11; stage B would need about 0\.3 GB"):
        predict_torsions(*rna, config_of(untrained_profile="nano", max_length=11))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"backend": "trunk"}, "either stage_b.weights .* or stage_b.untrained_profile"),
        ({"backend": "trunk", "weights": "w", "untrained_profile": "nano"}, "found 'w' and 'nano'"),
        (
            {"backend": "prior-table", "weights": "w"},
            r"stage_b\.weights: 'w' is given, but stage_b\.backend is prior-table",
        ),
        ({"backend": "prior-table", "untrained_profile": "nano"}, r"stage_b\.untrained_profile: 'nano' is given"),
        ({"backend": "prior-table", "cycles": 3}, r"stage_b\.cycles: 3 is given"),
        ({"backend": "prior-table", "torsions": "head"}, "head needs stage_b.backend geometry or trunk"),
        ({"torsions": "guess"}, "'guess' is unknown. Use one of: prior-table, head, torsionbert"),
        ({"precision": "half"}, r"stage_b\.precision: 'half' is unknown"),
        ({"chunk_rows": -1}, r"stage_b\.chunk_rows: -1 must not be negative"),
        ({"seed": -1}, r"stage_b\.seed: -1 must not be negative"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        StageBConfig(**settings)


def test_the_shipped_variants_are_what_their_names_say(root):
    folder = root / "config"
    for name in ("nano", "small"):
        found = resolve_stage_config("stage_b", folder, choice=f"untrained_{name}")
        assert found == StageBConfig(backend="trunk", untrained_profile=name)
    found = resolve_stage_config("stage_b", folder, ["weights=w.safetensors"], "trunk")
    assert found == StageBConfig(backend="trunk", weights="w.safetensors")
    with pytest.raises(ConfigError, match="weights"):
        resolve_stage_config("stage_b", folder, choice="trunk")
    assert len(list((folder / "stage_b").glob("*.yaml"))) == 4, "each variant is tested above"
