"""TorsionBERT from a folder: the tokens and numbers of the `transformers` library, the right residues, safe reading."""

import itertools
import json
import math
import os
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from rna_predict.chemistry.torsions import A_FORM_DEGREES, TORSIONS
from rna_predict.errors import ConfigError, InputError, WeightsError
from rna_predict.geometry.torsions import pucker
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.fit_torsions import concentration
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_b_torsion.torsion_values import END_CONCENTRATION
from rna_predict.stage_b_torsion.torsionbert import (
    ANGLES,
    MORE_ANGLES,
    RIBOSE_AMPLITUDE,
    predict_angles,
    pucker_of,
    read_torsionbert,
    read_vocabulary,
    tokenise,
)

HERE = Path(__file__).parent
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map("".join, itertools.product("ATCG", repeat=3))]
"""DNABERT's vocabulary of 3-mers, in its own order of letters."""
SEQUENCES = ("GCA", "UUUU", "GGGCUUCGGCCC", "ACGUACGUUGCAUGCAA", "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGG")
HAIRPIN = ("GGGCACCGGAAACGGUGCCC", "((((((((....))))))))")
WIDTH, HIDDEN, REGRESSOR, LAYERS = 128, 96, 48, 2


def tiny_tensors(outputs: int) -> dict[str, torch.Tensor]:
    """Random tensors under the names of a TorsionBERT checkpoint."""
    shapes = {
        "dnabert.embeddings.word_embeddings.weight": (69, WIDTH),
        "dnabert.embeddings.position_embeddings.weight": (512, WIDTH),
        "dnabert.embeddings.token_type_embeddings.weight": (2, WIDTH),
        "dnabert.pooler.dense.weight": (WIDTH, WIDTH),
        "dnabert.pooler.dense.bias": (WIDTH,),
        "regressor.1.weight": (REGRESSOR, WIDTH),
        "regressor.1.bias": (REGRESSOR,),
        "regressor.3.weight": (outputs, REGRESSOR),
        "regressor.3.bias": (outputs,),
    }
    norms = ["dnabert.embeddings.LayerNorm", "regressor.0"]
    for layer in range(LAYERS):
        stem = f"dnabert.encoder.layer.{layer}."
        matrices = {
            **dict.fromkeys([f"attention.self.{name}" for name in ("query", "key", "value")], (WIDTH, WIDTH)),
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (HIDDEN, WIDTH),
            "output.dense": (WIDTH, HIDDEN),
        }
        for name, shape in matrices.items():
            shapes |= {f"{stem}{name}.weight": shape, f"{stem}{name}.bias": shape[:1]}
        norms += [f"{stem}attention.output.LayerNorm", f"{stem}output.LayerNorm"]
    generator = torch.Generator().manual_seed(0)
    tensors = {name: 0.1 * torch.randn(shapes[name], generator=generator) for name in sorted(shapes)}
    for name in norms:
        tensors[f"{name}.weight"] = 1 + 0.1 * torch.randn(WIDTH, generator=generator)
        tensors[f"{name}.bias"] = 0.1 * torch.randn(WIDTH, generator=generator)
    tensors["dnabert.embeddings.position_ids"] = torch.arange(512)[None]
    return tensors


def write_folder(path, tensors, outputs, name="pytorch_model.bin"):
    """A folder as Hugging Face holds it."""
    path.mkdir(parents=True)
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    config = {"model_type": "rna_torsionbert", "k": 3, "num_classes": outputs, "hidden_size": REGRESSOR}
    (path / "config.json").write_text(json.dumps(config))
    if name.endswith(".bin"):
        torch.save(tensors, path / name)
    else:
        save_file(tensors, path / name)
    return path


@pytest.fixture(scope="module", params=[18, 32])
def folder(request, tmp_path_factory):
    """A tiny TorsionBERT, of the release with 9 angles and of the one with 16."""
    outputs = request.param
    return write_folder(tmp_path_factory.mktemp("hf") / str(outputs), tiny_tensors(outputs), outputs)


@pytest.fixture
def own(folder, tmp_path):
    """A copy of it that a test may damage."""
    return shutil.copytree(folder, tmp_path / "own")


def golden(name):
    return json.loads((HERE / name).read_text())


def with_angles(folder, wanted):
    """The folder with a head that gives the same angles to every token: a bias on zero weights."""
    tensors = torch.load(folder / "pytorch_model.bin")
    names = ANGLES if len(tensors["regressor.3.bias"]) == 18 else MORE_ANGLES
    vector = [f for name in names for f in (math.cos(wanted.get(name, 0.5)), math.sin(wanted.get(name, 0.5)))]
    tensors["regressor.3.weight"].zero_()
    tensors["regressor.3.bias"].copy_(torch.atanh(0.9 * torch.tensor(vector)))
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder


def config_of(folder, **changes):
    words = {"backend": "prior-table", "torsions": "torsionbert", "torsionbert": str(folder), "device": "cpu"}
    return StageBConfig(**words | changes)


def test_tokens_are_those_of_the_transformers_library(folder):
    vocabulary = read_vocabulary(folder)
    expected = golden("torsionbert_tokens.json")["tokens"]
    assert set(expected) == set(SEQUENCES)
    for sequence, ids in expected.items():
        assert tokenise(sequence, vocabulary) == ids
    assert tokenise("UUUU", vocabulary) == [2, vocabulary["TTT"], vocabulary["TTT"], 3]


def test_outputs_are_those_of_the_transformers_library(tmp_path):
    found = read_torsionbert(write_folder(tmp_path / "hf", tiny_tensors(18), 18))
    for sequence, rows in golden("torsionbert_outputs.json")["outputs"].items():
        vectors = predict_angles(sequence, found)
        assert list(vectors) == list(ANGLES)
        ours = torch.cat([vectors[name] for name in ANGLES], dim=-1)
        assert len(ours) == len(sequence) - 2
        assert (ours - torch.tensor(rows)[1:-1]).abs().max() < 1e-5
        assert len(rows) == 3 or torch.tensor(rows)[1:-1].std(dim=0).median() > 0.05, "golden rows differ"


@pytest.mark.slow
def test_outputs_are_those_of_the_installed_transformers_library(folder):
    pytest.importorskip("transformers")
    theirs = runpy.run_path(str(HERE / "make_torsionbert_golden.py"))["theirs"]
    found = read_torsionbert(folder)
    tensors = torch.load(folder / "pytorch_model.bin")
    sequence = SEQUENCES[-1]
    expected = theirs(tensors, tokenise(sequence, found.vocabulary), 2 * len(found.angles))[0, 1:-1]
    ours = torch.cat(list(predict_angles(sequence, found).values()), dim=-1)
    assert (ours - expected).abs().max() < 1e-5


def test_a_row_is_its_token_s_first_residue_and_the_ends_come_from_the_prior_table(folder, make_input):
    rna, adjacency = make_input(*HAIRPIN)
    torsions, embeddings = predict_torsions(rna, adjacency, config_of(folder))
    prior, same = predict_torsions(rna, adjacency, StageBConfig(backend="prior-table"))
    vectors = predict_angles(rna.sequence, read_torsionbert(folder))
    for column, name in enumerate(TORSIONS):
        cosine, sine = vectors[name].unbind(-1)
        defined = torsions.mask_L7[:-2, column]
        assert len(cosine) == rna.length - 2
        np.testing.assert_allclose(
            torsions.angle_L7[:-2, column][defined], torch.atan2(sine, cosine).numpy()[defined], atol=1e-5
        )
    np.testing.assert_array_equal(torsions.angle_L7[-2:], prior.angle_L7[-2:])
    assert (torsions.concentration_L7[-2:] <= END_CONCENTRATION).all()
    assert (torsions.concentration_L7[-2:, :4] > 0).all()
    np.testing.assert_array_equal(torsions.pucker_phase_L[-2:], prior.pucker_phase_L[-2:])
    np.testing.assert_array_equal(torsions.pucker_amplitude_L, prior.pucker_amplitude_L)
    np.testing.assert_array_equal(torsions.mask_L7, prior.mask_L7)
    assert embeddings.digest() == same.digest(), "the pair representation is not TorsionBERT's"


def test_angles_come_out_as_they_went_in(own, make_input):
    wanted = {name: math.radians((A_FORM_DEGREES[name] + 180) % 360 - 180) for name in TORSIONS}
    rna, adjacency = make_input(*HAIRPIN)
    torsions, _ = predict_torsions(rna, adjacency, config_of(with_angles(own, wanted)))
    found = torsions.angle_L7[1:-2]
    np.testing.assert_allclose(found, np.tile([wanted[name] for name in TORSIONS], (len(found), 1)), atol=1e-4)
    expected = concentration(np.array(0.9))
    np.testing.assert_allclose(torsions.concentration_L7[1:-2], expected, rtol=1e-3)
    assert expected == pytest.approx(5.3, abs=0.2), "κ of a mean resultant length of 0.9, Fisher 1993"


def test_a_short_vector_is_an_uncertain_angle(own, make_input):
    tensors = torch.load(own / "pytorch_model.bin")
    tensors["regressor.3.weight"].zero_()
    tensors["regressor.3.bias"].fill_(0.05)
    torch.save(tensors, own / "pytorch_model.bin")
    rna, adjacency = make_input(*HAIRPIN)
    torsions, _ = predict_torsions(rna, adjacency, config_of(own))
    assert torsions.angle_L7[2, 0] == pytest.approx(math.pi / 4, abs=1e-5)
    assert 0.1 < torsions.concentration_L7[2, 0] < 0.2


def test_pseudotorsions_change_nothing(own, make_input):
    rna, adjacency = make_input(*HAIRPIN)
    first, _ = predict_torsions(rna, adjacency, config_of(own))
    tensors = torch.load(own / "pytorch_model.bin")
    tensors["regressor.3.bias"][14 : 22 if len(tensors["regressor.3.bias"]) > 18 else 18] += 1.0
    torch.save(tensors, own / "pytorch_model.bin")
    second, _ = predict_torsions(rna, adjacency, config_of(own))
    assert first.digest() == second.digest()
    assert first.provenance.weights != second.provenance.weights


def test_the_pucker_is_that_of_the_ring_torsions_where_they_are_predicted():
    phase = torch.tensor([18.0, 162.0, -100.0]).deg2rad()
    nu_L5 = RIBOSE_AMPLITUDE * torch.cos(
        phase[:, None] + torch.deg2rad(torch.tensor([-288.0, -144.0, 0.0, 144.0, 288.0]))
    )
    assert torch.rad2deg(pucker(nu_L5)[0] - phase).abs().max() < 1e-3, "the test's own ring torsions"

    def vectors(nu):
        return {f"v{k}": torch.stack([nu[:, k].cos(), nu[:, k].sin()], dim=-1) for k in range(5)}

    found, length = pucker_of(vectors(nu_L5))
    torch.testing.assert_close(found, phase)
    torch.testing.assert_close(length, torch.ones(3))
    found, length = pucker_of(vectors(0.5 * nu_L5))
    torch.testing.assert_close(found, phase)
    torch.testing.assert_close(length, torch.full((3,), 0.5))
    assert pucker_of({"alpha": torch.zeros(3, 2)}) is None


def test_provenance_names_the_path_and_the_weights(folder, make_input):
    rna, adjacency = make_input(*HAIRPIN)
    torsions, embeddings = predict_torsions(rna, adjacency, config_of(folder))
    assert torsions.provenance.method == "torsionbert, the last two residues from the prior table"
    assert torsions.provenance.weights == read_torsionbert(folder).sha256
    assert set(torsions.provenance.inputs) == {"a_adjacency", "prior_table"}
    assert (embeddings.provenance.method, embeddings.provenance.weights) == ("prior-table", "none")


def test_both_kinds_of_file_are_the_same_model(folder, tmp_path):
    tensors = torch.load(folder / "pytorch_model.bin")
    outputs = len(tensors["regressor.3.bias"])
    other = write_folder(tmp_path / "safe", tensors, outputs, "model.safetensors")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    (other / "vocab.txt").unlink()
    (other / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    first, second = read_torsionbert(folder), read_torsionbert(other)
    assert (first.sha256, first.vocabulary) == (second.sha256, second.vocabulary)
    for name, vector in predict_angles(SEQUENCES[2], first).items():
        assert torch.equal(vector, predict_angles(SEQUENCES[2], second)[name])


def test_a_changed_file_is_read_again(own, make_input):
    rna, adjacency = make_input(*HAIRPIN)
    first, _ = predict_torsions(rna, adjacency, config_of(own))
    with_angles(own, {})
    second, _ = predict_torsions(rna, adjacency, config_of(own))
    assert not np.array_equal(first.angle_L7, second.angle_L7)


@pytest.mark.parametrize(("length", "fits"), [(2, False), (3, True), (512, True), (513, False)])
def test_the_lengths_that_it_reads(folder, make_input, length, fits):
    rna, adjacency = make_input("G" * length, "." * length)
    if fits:
        torsions, _ = predict_torsions(rna, adjacency, config_of(folder))
        assert torsions.length == length
    else:
        with pytest.raises(InputError, match=f"RNAs of 3 to 512 nt, found {length} nt"):
            predict_torsions(rna, adjacency, config_of(folder))


class Code:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_pickle_with_code_is_refused_and_nothing_runs(own, tmp_path):
    mark = tmp_path / "mark"
    torch.save({"dnabert": Code(mark)}, own / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin: refused"):
        read_torsionbert(own)
    assert not mark.exists()
    torch.load(own / "pytorch_model.bin", weights_only=False)
    assert mark.exists(), "the test's own pickle does what it threatens"


def test_code_in_the_folder_is_not_run(own, tmp_path, make_input):
    mark = tmp_path / "mark"
    for name in ("rna_torsionbert_model.py", "rna_torsionbert_config.py", "__init__.py"):
        (own / name).write_text(f"import os\nos.mkdir({str(mark)!r})\n")
    config = json.loads((own / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "rna_torsionbert_model.RNATorsionBERTModel"}
    (own / "config.json").write_text(json.dumps(config))
    predict_torsions(*make_input(*HAIRPIN), config_of(own))
    assert not mark.exists()


def drop(name):
    return lambda path: (path / name).unlink()


def rewrite(change):
    def edit(path):
        tensors = torch.load(path / "pytorch_model.bin")
        change(tensors)
        torch.save(tensors, path / "pytorch_model.bin")

    return edit


def words(change):
    return lambda path: (path / "vocab.txt").write_text("\n".join(change(list(WORDS))))


def cut(path):
    content = (path / "pytorch_model.bin").read_bytes()
    (path / "pytorch_model.bin").write_bytes(content[: len(content) // 2])


QUERY = "dnabert.encoder.layer.1.attention.self.query.weight"


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (drop("vocab.txt"), r"holds neither vocab\.txt nor tokenizer\.json"),
        (drop("pytorch_model.bin"), r"holds neither model\.safetensors nor pytorch_model\.bin"),
        (drop("config.json"), r"config\.json: cannot be read"),
        (lambda p: (p / "config.json").write_text("[]"), r"config\.json: cannot be read"),
        (lambda p: (p / "config.json").write_text('{"k":6,"num_classes":18,"hidden_size":48}'), r"states \{'k': 6"),
        (cut, r"pytorch_model\.bin: not a readable"),
        (words(lambda w: w[:-1]), r"GGG is missing"),
        (words(lambda w: [*w, "AAA"]), r"stands twice"),
        (words(lambda w: [*w[:5], "NNN", *w[5:]]), r"70 tokens, but embeddings of 69"),
        (rewrite(lambda t: t.pop(QUERY)), r"needs query, key and value"),
        (rewrite(lambda t: t.update({QUERY: torch.zeros(3, 3)})), r"needs query, key and value"),
        (rewrite(lambda t: t.pop("regressor.1.bias")), r"1 tensors are missing.*regressor\.1\.bias"),
        (rewrite(lambda t: t.pop("regressor.3.weight")), r"no matrix 'regressor\.3\.weight'"),
        (rewrite(lambda t: t.update(other=torch.zeros(2))), r"unexpected.*other"),
        (rewrite(lambda t: t.update({"regressor.3.weight": torch.zeros(20, REGRESSOR)})), r"20 outputs"),
        (rewrite(lambda t: t["regressor.1.bias"].fill_(math.nan)), r"regressor\.1\.bias: holds NaN"),
        (rewrite(lambda t: [t.pop(k) for k in list(t) if "encoder.layer" in k]), r"no matrix 'layers\.0"),
    ],
)
def test_a_folder_that_is_not_torsionbert_is_refused_by_name(own, damage, named):
    damage(own)
    with pytest.raises(WeightsError, match=named):
        read_torsionbert(own)


def test_settings_that_do_not_go_together_are_refused(tmp_path, make_input):
    with pytest.raises(ConfigError, match="Name the folder exactly where torsions is torsionbert"):
        StageBConfig(torsions="torsionbert")
    with pytest.raises(ConfigError, match="Name the folder exactly where torsions is torsionbert"):
        StageBConfig(torsionbert="somewhere")
    with pytest.raises(WeightsError, match="no such folder"):
        predict_torsions(*make_input(*HAIRPIN), config_of(tmp_path / "nowhere"))
