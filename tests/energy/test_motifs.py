"""Relations of known loops: nothing to pay where the bases lie as in the loop, more the farther they are off."""

import numpy as np
import pytest
import torch

from rna_predict.contracts import MotifHit, Provenance, TemplateHits
from rna_predict.energy.motifs import REACH, motif_relations
from rna_predict.energy.relations import joined, relation_energy
from rna_predict.geometry.frames import Frame, base_frame
from rna_predict.templates.library import open_library
from rna_predict.templates.motifs import rings


@pytest.fixture(scope="module")
def known():
    """A hairpin loop of the adenine riboswitch on itself: the chain, its frames, the templates."""
    library = open_library("")
    place = next(n for n, row in enumerate(library.rows) if row.id == "1y26_X")
    row, atoms = library.rows[place], library.atoms(place)
    ring = next(ring for ring in rings(row.sequence, row.partner_L) if ring.shape[0] == "hairpin")
    frame, _ = base_frame(torch.from_numpy(atoms.xyz_LA3), torch.from_numpy(atoms.mask_LA), row.sequence)
    length, size = len(row.sequence), len(ring.residue_N)

    def templates(expected: float) -> TemplateHits:
        hit = MotifHit(
            id=row.id,
            kind="hairpin",
            start=0,
            size=size,
            similarity=1.0,
            agreement=1.0,
            expected_lddt=expected,
            letters=ring.letters,
        )
        return TemplateHits(
            id="probe",
            sequence=row.sequence,
            provenance=Provenance(method="templates", package_version="0"),
            xyz_KLA3=np.zeros((0, length, 23, 3), dtype=np.float32),
            mask_KLA=np.zeros((0, length, 23), dtype=bool),
            mask_KL=np.zeros((0, length), dtype=bool),
            position_KL=np.zeros((0, length), dtype=np.int32),
            linked_KL=np.zeros((0, length - 1), dtype=bool),
            motif_residue_N=ring.residue_N.astype(np.int32),
            motif_xyz_NA3=atoms.xyz_LA3[ring.residue_N],
            motif_mask_NA=atoms.mask_LA[ring.residue_N],
            motif_linked_N=np.append(atoms.linked_L[ring.residue_N[:-1]], False),
            motifs=(hit,),
        )

    return row, frame, ring, templates


def energy(frame: Frame, relations, shift: float = 0.0, residue: int = 0) -> float:
    origin_SL3 = frame.origin[None].clone()
    origin_SL3[0, residue, 0] += shift
    return float(relation_energy(Frame(frame.rotation[None], origin_SL3), relations, 1.0))


def test_a_loop_as_it_is_known_costs_nothing(known):
    row, frame, ring, templates = known
    relations = motif_relations(templates(0.9), row.partner_L, 12.0, frame.origin)
    assert energy(frame, relations) < 1e-3
    inner = int(ring.residue_N[3])
    costs = [energy(frame, relations, shift, inner) for shift in (0.3, 1.0, 3.0)]
    assert 0.1 < costs[0] < costs[1] < costs[2]
    outside = int(np.setdiff1d(np.arange(len(row.sequence)), ring.residue_N)[0])
    assert energy(frame, relations, 9.0, outside) < 1e-3


def test_only_bases_that_are_near_and_not_held_otherwise(known):
    row, frame, ring, templates = known
    relations = motif_relations(templates(0.9), row.partner_L, 12.0, frame.origin)
    first, second = relations.first.numpy(), relations.second.numpy()
    assert len(first) > 5
    assert (second - first > 1).all()
    assert not (row.partner_L[first] == second).any()
    assert np.isin(np.concatenate([first, second]), ring.residue_N).all()
    gap = (frame.origin[relations.first] - frame.origin[relations.second]).norm(dim=-1)
    assert gap.max() <= REACH


@pytest.mark.parametrize(("expected", "share"), [(0.5, 0.0), (0.675, 0.5), (0.95, 1.0)])
def test_weight_grows_with_what_the_loop_is_worth(known, expected, share):
    row, frame, _, templates = known
    relations = motif_relations(templates(expected), row.partner_L, 12.0, frame.origin)
    assert relations.weight_N.numpy() == pytest.approx(np.full(len(relations.weight_N), 12.0 * share), abs=1e-4)


def test_joined_energies_add_up(known):
    row, frame, ring, templates = known
    one = motif_relations(templates(0.9), row.partner_L, 12.0, frame.origin)
    none = motif_relations(templates(0.9), row.partner_L, 0.0, frame.origin)
    inner = int(ring.residue_N[3])
    assert energy(frame, joined(one, none, one), 1.0, inner) == pytest.approx(2 * energy(frame, one, 1.0, inner))
