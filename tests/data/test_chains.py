"""What is measured on one chain, and what a chain may not be."""

import dataclasses

import numpy as np
import pytest

from rna_predict.data.chains import Origin, measure_chain
from rna_predict.errors import ContractError
from rna_predict.formats.structure import read_structure

ORIGIN = Origin(source="x", source_sha256="0", entry="x", chain="A")


@pytest.fixture(scope="module")
def hairpin(chains_dir):
    return read_structure(chains_dir / "17ra_A.pdb.gz")


def measured(structure):
    return measure_chain(structure, np.zeros(structure.length, dtype=bool), ORIGIN)


def test_a_chain_is_linked_only_where_numbers_and_atoms_agree(hairpin):
    assert measured(hairpin).linked_L.all()
    jump_L = hairpin.number_L + 5 * (np.arange(21) > 9)
    assert np.flatnonzero(~measured(dataclasses.replace(hairpin, number_L=jump_L)).linked_L).tolist() == [9]
    apart_LA3 = hairpin.xyz_LA3 + 30.0 * (np.arange(21) > 12)[:, None, None]
    apart_LA3[~hairpin.mask_LA] = 0
    torn = measured(dataclasses.replace(hairpin, xyz_LA3=apart_LA3))
    assert np.flatnonzero(~torn.linked_L).tolist() == [12]
    whole = measured(hairpin)
    lost = whole.torsion_mask_L7 & ~torn.torsion_mask_L7
    assert sorted(map(tuple, np.argwhere(lost).tolist())) == [(12, 4), (12, 5), (13, 0)]  # ε, ζ, and the next α


def test_the_digest_hangs_on_every_field_and_the_content_digest_on_the_structure(made_chain):
    chain = made_chain(12, pairs=((1, 9),))
    changed = {
        "id": "other",
        "xyz_LA3": chain.xyz_LA3 + np.float32(0.001) * chain.mask_LA[..., None],
        "number_L": chain.number_L + 1,
        "torsion_L7": chain.torsion_L7 * np.float32(0.5),
        "torsion_mask_L7": ~chain.torsion_mask_L7,
        "pucker_L2": chain.pucker_L2 * np.float32(0.5),
        "pucker_mask_L": ~chain.pucker_mask_L,
        "partner_L": chain.partner_L[::-1].copy(),
        "pair_P2": chain.pair_P2 + np.int32(1),
        "pair_class": ("tHS",),
        "linked_L": ~chain.linked_L,
        "elsewhere_L": ~chain.elsewhere_L,
        "origin": dataclasses.replace(chain.origin, date="2000-01-01"),
    }
    content = {name for name in changed if name in ("xyz_LA3", "number_L")}
    for name, value in changed.items():
        other = dataclasses.replace(chain, **{name: value})
        assert other.digest() != chain.digest(), name
        assert (other.content_digest() != chain.content_digest()) == (name in content), name


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("xyz_LA3", lambda value: value.astype(np.float64)),
        ("xyz_LA3", lambda value: value[:-1]),
        ("xyz_LA3", lambda value: np.where(value == value.max(), np.nan, value)),
        ("linked_L", lambda value: np.append(value, True)),
        ("pair_P2", lambda value: value[:, :1]),
        ("partner_L", lambda value: value.astype(np.int64)),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(made_chain, name, change):
    chain = made_chain(12, pairs=((1, 9),))
    with pytest.raises(ContractError, match=name):
        dataclasses.replace(chain, **{name: change(getattr(chain, name))})
