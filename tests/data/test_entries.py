"""What becomes of each chain of an entry with several: ids, neighbours, refusals."""

from pathlib import Path

import gemmi
import numpy as np
import pytest

from rna_predict.data.entries import Limits, SourceFile, read_group
from rna_predict.data.sources import IndexRow
from rna_predict.formats.structure import read_structure


@pytest.fixture(scope="module")
def duplex(chains_dir: Path, tmp_path_factory) -> Path:
    """The two strands of 165d in one mmCIF file, a copy of the first at the same place, and a free one far away."""
    strands = [gemmi.read_structure(str(chains_dir / f"165d_{name}.pdb.gz"))[0][0] for name in "AB"]
    model = gemmi.Model(1)
    for name, source, shift in (("A", 0, 0.0), ("B", 1, 0.0), ("C", 0, 0.2), ("far", 0, 500.0)):
        chain = model.add_chain(strands[source].clone())
        chain.name = name
        for residue in chain:
            for atom in residue:
                atom.pos += gemmi.Position(shift, 0, 0)
    structure = gemmi.Structure()
    structure.name = "165d"
    structure.add_model(model)
    structure.setup_entities()
    path = tmp_path_factory.mktemp("duplex") / "165d.cif"
    structure.make_mmcif_document().write_file(str(path))
    return path


def test_chains_of_one_file_are_named_after_both_and_see_each_other(duplex, chains_dir):
    reading = read_group([SourceFile(path=duplex, name="165d.cif")], {}, Limits())
    assert [chain.id for chain in reading.chains] == ["165d_A", "165d_B", "165d_C", "165d_far"]
    assert reading.refusals == []
    first, _, copy, far = reading.chains
    alone = read_structure(chains_dir / "165d_A.pdb.gz")
    assert np.allclose(first.xyz_LA3, alone.xyz_LA3, atol=2e-3)
    assert first.elsewhere_L.tolist() == [True, True, False, False, False, False, True, True, False]
    assert copy.elsewhere_L.any()  # paired with B, not with its copy A
    assert not far.elsewhere_L.any()
    assert [chain.origin.entry for chain in reading.chains] == ["165d"] * 4
    assert far.origin.chain == "far"


def test_a_chain_that_is_not_taken_still_counts_as_a_neighbour(chains_dir):
    files = [SourceFile(path=chains_dir / f"1a34_{name}.pdb.gz", name=name) for name in "BC"]
    reading = read_group(files, {}, Limits(min_length=11))
    assert [(one.source, one.kind) for one in reading.refusals] == [("C", "too_short")]
    assert reading.chains[0].elsewhere_L.sum() > 5
    (alone,) = read_group(files[:1], {}, Limits()).chains
    assert not alone.elsewhere_L.any()


def test_the_index_fills_what_the_file_leaves_open(chains_dir):
    row = IndexRow(entry="1ehz", resolution=1.93, method="X-RAY DIFFRACTION", date="2000-02-23")
    file = SourceFile(path=chains_dir / "1ehz_A.pdb.gz", name="x")
    (chain,) = read_group([file], {"1ehz_A": row}, Limits()).chains
    origin = chain.origin
    assert (origin.entry, origin.resolution, origin.method, origin.date) == tuple(
        getattr(row, name) for name in ("entry", "resolution", "method", "date")
    )


def test_a_name_that_is_no_id_and_a_missing_file_are_refused_under_the_reports_name(chains_dir, tmp_path):
    odd = tmp_path / "a;touch P.pdb.gz"
    odd.write_bytes((chains_dir / "17ra_A.pdb.gz").read_bytes())
    files = [SourceFile(path=odd, name="odd"), SourceFile(path=tmp_path / "nosuch.pdb", name="nosuch.pdb")]
    reading = read_group(files, {}, Limits())
    assert [(one.source, one.kind) for one in reading.refusals] == [("nosuch.pdb", "unreadable"), ("odd", "bad_name")]
    assert str(tmp_path) not in reading.refusals[0].reason
