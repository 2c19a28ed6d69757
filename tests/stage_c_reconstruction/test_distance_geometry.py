"""Points meet the distances that they are made from, and stems tell their hand."""

import dataclasses

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import C1, O5
from rna_predict.contracts import EDGES, Embeddings, MotifHit, Provenance, TemplateHit, TemplateHits
from rna_predict.contracts.loops import decompose
from rna_predict.energy.pose import Bodies, Pose, each_alone
from rna_predict.energy.priors import believed_pairs
from rna_predict.energy.stems import stem_bodies
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.formats.dot_bracket import to_dot_bracket
from rna_predict.formats.structure import read_structure
from rna_predict.geometry.frames import base_frame
from rna_predict.geometry.nucleotide import NucleotideShape, nucleotide_shape
from rna_predict.geometry.superpose import rmsd
from rna_predict.stage_c_reconstruction.chain import draw, grow, step_frames
from rna_predict.stage_c_reconstruction.distance_geometry import (
    Known,
    TemplateFrames,
    classical_scaling,
    expected_distances,
    laid_onto,
    points_from_distances,
    template_frames,
)
from rna_predict.stage_c_reconstruction.stage import reconstruct

CENTRES = np.array([3.5 + k for k in range(48)])
MIRROR = torch.tensor([1.0, 1.0, -1.0])


def embeddings_of(sequence: str, points_L3: np.ndarray, atoms: str = "C1'", spread: float = 0.7) -> Embeddings:
    """Embeddings that know the distances to 0.7 Å, those beyond 50 Å as far."""
    length = len(sequence)
    gap_LL = np.clip(np.linalg.norm(points_L3[:, None] - points_L3, axis=-1), None, CENTRES[-1])
    logits_LLB = -0.5 * ((gap_LL[..., None] - CENTRES) / spread) ** 2
    logits_LLB = np.maximum(logits_LLB - np.log(np.exp(logits_LLB).sum(-1, keepdims=True)), np.log(1e-8))
    return Embeddings(
        id="probe",
        sequence=sequence,
        provenance=Provenance(method="test", package_version="0"),
        inputs_LI=np.zeros((length, 0), dtype=np.float32),
        single_LS=np.zeros((length, 1), dtype=np.float32),
        pair_LLZ=np.zeros((length, length, 1), dtype=np.float32),
        distogram_GLLB=logits_LLB[None].astype(np.float32),
        distogram_atoms=[atoms],
        distogram_bins="wide",
        conformer_seed=0,
        channels=[],
    )


@dataclasses.dataclass(frozen=True)
class Native:
    """A chain of the PDB and what stage C has before it begins."""

    sequence: str
    brackets: str
    partner_L: np.ndarray
    xyz_LA3: np.ndarray
    mask_LA: np.ndarray
    c1_L3: np.ndarray
    pose: Pose
    shape: NucleotideShape
    bodies: Bodies


@pytest.fixture(scope="module")
def native(chains_dir, inputs):
    """`native("1ehz_A")`, its pose grown from the prior table's torsions with the stems in place."""

    def read(name: str) -> Native:
        structure = read_structure(chains_dir / f"{name}.pdb.gz")
        partner_L = np.full(structure.length, -1)
        for i, j in annotate_pairs(structure).canonical:
            if j - i > 3:
                partner_L[i], partner_L[j] = j, i
        brackets = to_dot_bracket(partner_L)
        _, _, torsions = inputs(structure.sequence, brackets)
        phase, amplitude = (
            torch.from_numpy(each.copy()) for each in (torsions.pucker_phase_L, torsions.pucker_amplitude_L)
        )
        shape = nucleotide_shape(structure.sequence, phase, amplitude)
        chain = draw(torsions, 2, 0.0, torch.Generator())
        rotation, origin = grow(structure.sequence, decompose(partner_L), step_frames(shape, chain))
        assert structure.mask_LA[:, C1].all()
        return Native(
            sequence=structure.sequence,
            brackets=brackets,
            partner_L=partner_L,
            xyz_LA3=structure.xyz_LA3,
            mask_LA=structure.mask_LA,
            c1_L3=structure.xyz_LA3[:, C1],
            pose=Pose(rotation_SL33=rotation, origin_SL3=origin, torsion_SL4=chain.own_SL4),
            shape=shape,
            bodies=stem_bodies(partner_L),
        )

    return read


@pytest.fixture(scope="module")
def trna(native) -> Native:
    return native("1ehz_A")


@pytest.fixture(scope="module")
def points_SL3(trna) -> torch.Tensor:
    points = points_from_distances(embeddings_of(trna.sequence, trna.c1_L3), 2, torch.Generator().manual_seed(0))
    assert points is not None
    return points


def away(points_SL3: torch.Tensor, native_L3: np.ndarray) -> torch.Tensor:
    """Å rms after superposition, of each sample; a mirror image stays one."""
    target_L3 = torch.from_numpy(native_L3).to(points_SL3)
    return torch.stack([rmsd(points_L3, target_L3) for points_L3 in points_SL3])


def test_exact_distances_give_the_points_back():
    rng = np.random.default_rng(0)
    points_L3 = rng.normal(size=(30, 3)) * [20, 9, 4]
    distance_LL = np.linalg.norm(points_L3[:, None] - points_L3, axis=-1)
    found_L3 = classical_scaling(distance_LL)
    np.testing.assert_allclose(np.linalg.norm(found_L3[:, None] - found_L3, axis=-1), distance_LL, atol=1e-6)


def test_what_is_only_known_to_be_far_is_as_far_as_the_way_there():
    """Four atoms on a line at 0, 30, 70 and 76 Å: beyond 50 Å nothing is known."""
    points_L3 = np.array([[0.0, 0, 0], [30.0, 0, 0], [70.0, 0, 0], [76.0, 0, 0]])
    logits_LLB = torch.from_numpy(embeddings_of("ACGU", points_L3, spread=0.4).distogram_GLLB[0].copy())
    found_LL = expected_distances(logits_LLB, EDGES["wide"])
    expected = np.abs(points_L3[:, None, 0] - points_L3[:, 0])
    np.testing.assert_allclose(found_LL, expected, atol=0.2)
    np.testing.assert_array_equal(found_LL.diagonal(), 0)


def test_a_trna_s_points_have_its_distances(trna, points_SL3):
    gap_LL = np.linalg.norm(trna.c1_L3[:, None] - trna.c1_L3, axis=-1)
    pairs = np.triu_indices(len(gap_LL), 1)
    assert gap_LL.max() > 60, "not all of them are told"
    for points_L3 in points_SL3:
        off = (torch.cdist(points_L3, points_L3).numpy() - gap_LL)[pairs]
        assert np.sqrt((off**2).mean()) < 1.0
    mirrored = away(points_SL3 * MIRROR, trna.c1_L3)
    assert torch.minimum(away(points_SL3, trna.c1_L3), mirrored).max() < 1.5
    assert (points_SL3[0] - points_SL3[1]).abs().max() > 1e-3, "samples are drawn"


def test_stems_tell_the_hand_whichever_the_points_have(trna, points_SL3):
    """The C1' atoms of a tRNA and of its mirror image are 11 Å apart."""
    hands = []
    for given_SL3 in (points_SL3, points_SL3 * MIRROR):
        pose = laid_onto(given_SL3, trna.pose, trna.shape, trna.bodies)
        hands.append(pose.atoms(trna.shape)[:, :, C1])
        right, wrong = away(hands[-1], trna.c1_L3), away(hands[-1] * MIRROR, trna.c1_L3)
        assert right.max() < 2.0
        assert wrong.min() > 8.0
    assert away(trna.pose.atoms(trna.shape)[:, :, C1], trna.c1_L3).min() > 10.0, "before they were laid onto points"


def frames_of(trna, without: slice) -> TemplateFrames:
    """The tRNA as a template of itself, some residues left out."""
    mask_L = torch.ones(len(trna.sequence), dtype=torch.bool)
    mask_L[without] = False
    xyz_LA3, mask_LA = torch.from_numpy(trna.xyz_LA3).float(), torch.from_numpy(trna.mask_LA)
    frame, _ = base_frame(xyz_LA3, mask_LA, trna.sequence)
    return TemplateFrames(frame=frame, c1_L3=xyz_LA3[:, C1], mask_L=mask_L)


def test_a_template_tells_the_hand_where_there_are_no_stems(trna, points_SL3):
    alone = each_alone(len(trna.sequence))
    template = frames_of(trna, slice(30, 40))
    for given_SL3 in (points_SL3, points_SL3 * MIRROR):
        pose = laid_onto(given_SL3, trna.pose, trna.shape, alone, template)
        found = pose.atoms(trna.shape)[:, :, C1]
        assert away(found, trna.c1_L3).max() < 1.5
        assert away(found[:, template.mask_L], trna.c1_L3[template.mask_L.numpy()]).max() < 0.3


def test_what_a_template_has_lies_as_it_does_there(trna, points_SL3):
    """Base by base, however far off the points are; what it lacks stays at its points."""
    template = frames_of(trna, slice(30, 40))
    noise_SL3 = 3 * torch.randn(points_SL3.shape, generator=torch.Generator().manual_seed(3))
    given_SL3 = points_SL3 + noise_SL3
    pose = laid_onto(given_SL3, trna.pose, trna.shape, trna.bodies, template)
    there = template.mask_L
    centre_L3 = template.frame.origin[there].double()
    for origin_L3, rotation_L33 in zip(pose.origin_SL3.double(), pose.rotation_SL33, strict=True):
        torch.testing.assert_close(
            torch.cdist(origin_L3[there], origin_L3[there]), torch.cdist(centre_L3, centre_L3), atol=1e-2, rtol=0
        )
        turn_L33 = rotation_L33[there] @ template.frame.rotation[there].mT
        torch.testing.assert_close(turn_L33, turn_L33[:1].expand_as(turn_L33), atol=1e-3, rtol=0)
    free = pose.atoms(trna.shape)[:, 32:38, C1]
    off = [torch.minimum(*((free - each[:, 32:38]).norm(dim=-1).amax(1) for each in (given_SL3, given_SL3 * MIRROR)))]
    assert torch.stack(off).max() < 1e-2


def test_only_a_template_that_is_worth_it_begins_the_assembly(trna):
    embeddings = embeddings_of(trna.sequence, trna.c1_L3)
    assert Known(embeddings=embeddings).template is None
    assert template_frames(Known(embeddings=embeddings)) is None
    for worth, expected in ((0.44, None), (0.46, 0)):
        known = Known(embeddings=embeddings, templates=hits_of(trna, worth))
        assert known.template == expected
        assert (template_frames(known) is None) == (expected is None)
    found = template_frames(known)
    own = frames_of(trna, slice(0, 0))
    torch.testing.assert_close(found.frame.rotation, own.frame.rotation, atol=1e-3, rtol=0)
    assert found.mask_L.all()


def hits_of(trna, worth: float) -> TemplateHits:
    length = len(trna.sequence)
    shares = dict.fromkeys(("identity", "query_identity", "coverage", "score", "pair_agreement"), 1.0)
    hit = TemplateHit(
        id="1ehz_A", cluster="", date="", length=length, expected_tm=worth, letters=trna.sequence, **shares
    )
    return TemplateHits(
        id="probe",
        sequence=trna.sequence,
        provenance=Provenance(method="test", package_version="0"),
        xyz_KLA3=trna.xyz_LA3[None].astype(np.float32),
        mask_KLA=trna.mask_LA[None],
        mask_KL=np.ones((1, length), dtype=bool),
        position_KL=np.arange(length, dtype=np.int32)[None],
        linked_KL=np.ones((1, length - 1), dtype=bool),
        hits=(hit,),
    )


def test_pairs_that_the_distances_contradict_are_left_out(trna):
    """All of the native's stay; one between residues 40 Å apart goes."""
    wrong_L = trna.partner_L.copy()
    gap = np.linalg.norm(trna.c1_L3[19] - trna.c1_L3[34])
    assert (gap > 30, wrong_L[19], wrong_L[34]) == (True, -1, -1)
    wrong_L[19], wrong_L[34] = 34, 19
    found_L = believed_pairs(wrong_L, embeddings_of(trna.sequence, trna.c1_L3))
    assert (trna.partner_L >= 0).sum() >= 40
    np.testing.assert_array_equal(found_L, trna.partner_L)
    assert wrong_L[19] == 34, "what came in is left alone"
    kept_L = believed_pairs(wrong_L, embeddings_of(trna.sequence, trna.c1_L3, "P"))
    np.testing.assert_array_equal(kept_L, wrong_L)


def test_stems_stay_whole_and_nucleotides_rigid(trna, points_SL3):
    """Bodies move as one, from O5' on: oxygens of a phosphate lie as the residue before it does."""
    before = trna.pose.atoms(trna.shape)
    pose = laid_onto(points_SL3, trna.pose, trna.shape, trna.bodies)
    after = pose.atoms(trna.shape)
    sizes = torch.bincount(trna.bodies.body_L)
    assert sizes.max() >= 10
    for body in range(trna.bodies.count):
        member = trna.bodies.body_L == body
        own, moved = (each[:, member][:, :, O5 : C1 + 1].flatten(1, 2) for each in (before, after))
        torch.testing.assert_close(torch.cdist(moved, moved), torch.cdist(own, own), atol=2e-2, rtol=0)
    turned = torch.linalg.det(pose.rotation_SL33)
    torch.testing.assert_close(turned, torch.ones_like(turned), atol=1e-4, rtol=0)


def test_the_same_seed_gives_the_same_points(trna):
    embeddings = embeddings_of(trna.sequence[:20], trna.c1_L3[:20])
    first, again, other = (
        points_from_distances(embeddings, 2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert torch.equal(first[0], other[0]), "the first sample has no noise"
    assert not torch.equal(first[1], other[1])


def test_there_are_no_points_without_four_residues_or_distances_of_c1():
    points_L3 = np.array([[0.0, 0, 0], [5, 0, 0], [9, 4, 0], [12, 7, 3]])
    generator = torch.Generator().manual_seed(0)
    assert points_from_distances(embeddings_of("ACG", points_L3[:3]), 1, generator) is None
    assert points_from_distances(embeddings_of("ACGU", points_L3, "P"), 1, generator) is None
    found = points_from_distances(embeddings_of("ACGU", points_L3), 1, generator)
    assert found is not None
    off = torch.cdist(found[0], found[0]) - torch.cdist(*[torch.from_numpy(points_L3).float()] * 2)
    assert off.abs().max() < 0.5


def test_stage_c_builds_what_the_distances_say(native, inputs, quick):
    """A pseudoknot's loops, which its pairs alone leave open; the molecule stays one."""
    knot = native("1l2x_A")
    rna = inputs(knot.sequence, knot.brackets)
    config = dataclasses.replace(quick, distance_weight=0.1)
    told = reconstruct(*rna, config, embeddings_of(knot.sequence, knot.c1_L3))
    alone = reconstruct(*rna, config)
    off = [float(away(torch.tensor(model.xyz_LA3[None, :, C1]), knot.c1_L3)[0]) for model in (told, alone)]
    assert off[0] < 2.0
    assert off[1] > off[0] + 1.0
    report = geometry_report(told.structure())
    assert (report.faults, report.bonds.breaks) == ("", 0)
    assert report.bonds.bond_max < 0.03


def test_a_known_loop_is_built_as_it_is_known(trna, inputs, quick):
    """The T loop of a tRNA on its own stem, with hardly any distances: all its atoms, stem and loop."""
    own = slice(48, 65)
    letters, brackets = trna.sequence[own], "(((((.......)))))"
    rna = inputs(letters, brackets)
    vague = embeddings_of(letters, trna.c1_L3[own], spread=12.0)
    with_loop = loops_of(letters, trna.xyz_LA3[own], trna.mask_LA[own], slice(4, 13))
    off = []
    for templates in (with_loop, loops_of(letters, trna.xyz_LA3[own], trna.mask_LA[own], slice(0, 0))):
        model = reconstruct(*rna, quick, vague, templates)
        off.append(float(away(torch.tensor(model.xyz_LA3[None, 4:13, C1]), trna.c1_L3[own][4:13])[0]))
        assert geometry_report(model.structure()).faults == ""
    assert off[0] < 1.2
    assert off[1] > off[0] + 0.5


def loops_of(sequence: str, xyz_LA3: np.ndarray, mask_LA: np.ndarray, own: slice) -> TemplateHits:
    """A record without templates, with one known loop or none."""
    length, residue_N = len(sequence), np.arange(len(sequence), dtype=np.int32)[own]
    shares = dict.fromkeys(("similarity", "agreement", "expected_lddt"), 0.9)
    hit = MotifHit(id="1ehz_A", kind="hairpin", start=0, size=len(residue_N), letters=sequence[own], **shares)
    return TemplateHits(
        id="probe",
        sequence=sequence,
        provenance=Provenance(method="test", package_version="0"),
        xyz_KLA3=np.zeros((0, length, *xyz_LA3.shape[1:]), dtype=np.float32),
        mask_KLA=np.zeros((0, *mask_LA.shape), dtype=bool),
        mask_KL=np.zeros((0, length), dtype=bool),
        position_KL=np.zeros((0, length), dtype=np.int32),
        linked_KL=np.zeros((0, length - 1), dtype=bool),
        motif_residue_N=residue_N,
        motif_xyz_NA3=xyz_LA3[own].astype(np.float32),
        motif_mask_NA=mask_LA[own],
        motif_linked_N=np.arange(len(residue_N)) < len(residue_N) - 1,
        motifs=(hit,) if len(residue_N) else (),
    )


def test_helices_of_the_rna_itself_are_taken_over(trna, inputs, quick):
    """With its own structure as template a tRNA's helices come out as they are; with another RNA's they are A-form."""
    rna = inputs(trna.sequence, trna.brackets)
    embeddings = embeddings_of(trna.sequence, trna.c1_L3, spread=3.0)
    own = hits_of(trna, 0.9)
    other = dataclasses.replace(own, hits=(own.hits[0]._replace(identity=0.7),))
    paired = np.flatnonzero(trna.partner_L >= 0)
    stem = paired[(paired < 7) | (paired > 64)]  # the acceptor
    off = []
    for templates in (own, other):
        model = reconstruct(*rna, quick, embeddings, templates)
        off.append(float(away(torch.tensor(model.xyz_LA3[None, stem, C1]), trna.c1_L3[stem])[0]))
        assert Known(embeddings=embeddings, templates=templates).same_molecule == (templates is own)
    assert off[0] < 0.5
    assert off[1] > off[0] + 0.1
