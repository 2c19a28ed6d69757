"""Features of an RNA against Protenix's own featuriser, run on a small component dictionary made from biotite's."""

import os
import sys
import types

import numpy as np
import pytest
import torch

from rna_predict.chemistry.conformers import reference_conformers
from rna_predict.contracts import RnaSequence
from rna_predict.formats.alignment import read_alignment
from rna_predict.nn.featurise import AlignmentRows, featurise

os.environ.setdefault("LAYERNORM_TYPE", "torch")
pytest.importorskip("protenix", reason="the oracle is not installed: pip install --no-deps protenix==2.0.0")

SEQUENCE = "GGCAUUAGCA"
SEED = 11

A3M = (
    """>q
GGCAUUAGCA
>deleted
GGCaaAU--GCA
>again
GGCAUUAGCA
>many
"""
    + f"GG{'a' * 200}CAUUAR-A\n>short\n----UUAG--\n"
)


def small_dictionary():
    """The four components as Protenix reads them from components.cif."""
    from biotite.structure.info import get_from_ccd
    from biotite.structure.io.pdbx import CIFBlock, CIFCategory, CIFFile

    blocks = {}
    for letter in "ACGU":
        categories = {}
        for name in ("chem_comp", "chem_comp_atom", "chem_comp_bond"):
            stored = get_from_ccd(name, letter)
            categories[name] = CIFCategory({key: stored[key].as_array(str) for key in stored})
        blocks[letter] = CIFBlock(categories)
    return CIFFile(blocks)


def molecules():
    """The four components as Protenix keeps them, with our conformer in the place of its own."""
    from biotite.interface.rdkit import to_mol
    from biotite.structure import info

    made = {}
    for letter, conformer in reference_conformers().items():
        atoms = info.residue(letter)
        positions = dict(zip(conformer.atoms, conformer.position_A3, strict=True))
        atoms.coord = np.array([positions.get(name, (0, 0, 0)) for name in atoms.atom_name], dtype=np.float32)
        molecule = to_mol(atoms)
        molecule.atom_map = {str(name): k for k, name in enumerate(atoms.atom_name)}
        molecule.ref_conf_id = 0
        molecule.ref_mask = np.ones(len(atoms), dtype=bool)
        made[letter] = molecule
    return made


def draws(count):
    """The shifts and turns that featurise draws."""
    from scipy.spatial.transform import Rotation

    shifts, turns = (np.random.default_rng(child) for child in np.random.SeedSequence(SEED).spawn(2))
    return shifts.uniform(-1, 1, (count, 3)), Rotation.from_quat(turns.standard_normal((count, 4)))


@pytest.fixture(scope="module")
def oracle():
    """What Protenix makes of an RNA: its features with and without an alignment, its shifts and turns being ours."""
    from protenix.data.core import ccd, featurizer

    with pytest.MonkeyPatch.context() as patch:  # a protein language model that the import wants and nothing here uses
        patch.setitem(sys.modules, "esm", types.SimpleNamespace(FastaBatchedDataset=None, pretrained=None))
        from protenix.data.inference.json_to_feature import SampleDictToFeatures
    from protenix.data.msa.msa_featurizer import InferenceMSAFeaturizer
    from protenix.utils import geometry

    cached = [ccd.biotite_load_ccd_cif, ccd.get_component_atom_array, ccd.get_one_letter_code, ccd.get_mol_type]
    cached.append(ccd.get_ccd_ref_info)
    shift, turn = draws(len(SEQUENCE))
    order = iter(range(len(SEQUENCE)))

    def ours(points, apply_augmentation, centralize):
        k = next(order)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(np.random, "uniform", lambda low, high, size: shift[k] * high)
            patch.setattr(geometry, "Rotation", types.SimpleNamespace(random=lambda: turn[k]))
            return geometry.random_transform(points, apply_augmentation=apply_augmentation, centralize=centralize)

    with pytest.MonkeyPatch.context() as patch:
        for function in cached:
            function.cache_clear()
        dictionary = small_dictionary()
        patch.setattr(ccd, "biotite_load_ccd_cif", lambda: dictionary)
        patch.setattr(ccd, "_ccd_rdkit_mols", molecules())
        patch.setattr(featurizer, "random_transform", ours)
        entity = {"sequence": SEQUENCE, "count": 1}
        features, atoms, _ = SampleDictToFeatures({"sequences": [{"rnaSequence": entity}]}).get_feature_dict()
        made = InferenceMSAFeaturizer.make_msa_feature
        alone = made([{"rnaSequence": entity}], atoms, msa_pair_as_unpair=True)
        aligned = made([{"rnaSequence": {**entity, "unpairedMsa": A3M}}], atoms, msa_pair_as_unpair=True)
    for function in cached[1:]:
        function.cache_clear()
    return features, alone, aligned


@pytest.fixture(scope="module")
def ours():
    return featurise(SEQUENCE, seed=SEED)


def test_tokens_are_those_of_protenix(oracle, ours):
    theirs, _, _ = oracle
    torch.testing.assert_close(torch.nn.functional.one_hot(ours.restype_BL[0], 32).float(), theirs["restype"])
    torch.testing.assert_close(ours.residue_index_BL[0], theirs["residue_index"])
    torch.testing.assert_close(ours.distogram_atom_BL[0], theirs["distogram_rep_atom_mask"].nonzero()[:, 0])
    assert not theirs["token_bonds"].any()  # so that the networks need no such input
    assert len({theirs[key].unique().numel() for key in ("asym_id", "entity_id", "sym_id")}) == 1


def test_atoms_are_those_of_protenix(oracle, ours):
    theirs, _, _ = oracle
    torch.testing.assert_close(ours.atom_token_BA[0], theirs["atom_to_token_idx"])
    torch.testing.assert_close(ours.atom_rank_BA[0], theirs["atom_to_tokatom_idx"])
    torch.testing.assert_close(ours.ref_element_BA[0] - 1, theirs["ref_element"].argmax(-1))
    torch.testing.assert_close(ours.ref_name_BA4[0], theirs["ref_atom_name_chars"].argmax(-1))
    torch.testing.assert_close(ours.ref_charge_BA[0], theirs["ref_charge"].float())
    torch.testing.assert_close(ours.atom_token_BA[0], theirs["ref_space_uid"])
    assert theirs["ref_mask"].all()


def test_conformers_are_moved_as_protenix_moves_them(oracle, ours):
    theirs, _, _ = oracle
    torch.testing.assert_close(ours.ref_pos_BA3[0], theirs["ref_pos"], atol=2e-6, rtol=0)


def assert_same_rows(ours, theirs):
    torch.testing.assert_close(ours.alignment.residue_BML[0], torch.from_numpy(theirs["msa"]).long())
    counts = torch.from_numpy(theirs["deletion_matrix"]).float()
    torch.testing.assert_close(ours.alignment.deletion_BML[0], counts)
    assert ours.alignment.mask_BM.all()
    torch.testing.assert_close(ours.profile_BLT[0], torch.from_numpy(theirs["profile"]))
    torch.testing.assert_close(ours.deletion_mean_BL[0], torch.from_numpy(theirs["deletion_mean"]).float())


def test_without_an_alignment_the_query_stands_twice(oracle, ours):
    _, alone, _ = oracle
    assert alone["msa"].shape == (2, len(SEQUENCE))
    assert_same_rows(ours, alone)


def test_an_a3m_gives_the_rows_counts_and_profile_of_protenix(oracle, tmp_path):
    _, _, aligned = oracle
    path = tmp_path / "q.a3m"
    path.write_text(A3M)
    alignment, _ = read_alignment(path, RnaSequence(id="q", sequence=SEQUENCE))
    rows = AlignmentRows(residue_ML=alignment.residue_ML, deletion_ML=alignment.deletion_ML)
    features = featurise(SEQUENCE, seed=SEED, alignment=rows)
    assert aligned["msa"].shape == (5, len(SEQUENCE))
    assert aligned["deletion_matrix"].max() == 127  # of 200: cut off
    assert features.deletion_mean_BL.max() == 50  # of 200 in one of four rows: not cut off
    assert_same_rows(features, aligned)
