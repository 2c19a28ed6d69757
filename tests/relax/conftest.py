"""A native to relax, and the same with noise on every atom."""

import dataclasses

import numpy as np
import pytest

from rna_predict.formats.structure import read_structure


@pytest.fixture(scope="session")
def native(chains_dir):
    """17ra_A, 21 nt by NMR, with its 5' end as deposited."""
    return read_structure(chains_dir / "17ra_A.pdb.gz")


@pytest.fixture(scope="session")
def rough(native):
    """The native with 0.1 Å of noise on every atom."""
    noise = np.random.default_rng(1).normal(0, 0.1, native.xyz_LA3.shape) * native.mask_LA[..., None]
    return dataclasses.replace(native, xyz_LA3=native.xyz_LA3 + noise)
