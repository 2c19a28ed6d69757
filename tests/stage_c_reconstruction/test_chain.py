"""Traces from torsions: the same relations as NeRF's chain has, stems exactly as ideal ones."""

import math

import numpy as np
import pytest
import torch

from rna_predict.chemistry.torsions import A_FORM_DEGREES
from rna_predict.contracts import TORSION_FIELDS
from rna_predict.contracts.loops import decompose
from rna_predict.contracts.structure import full_mask
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.geometry.dihedral import wrap
from rna_predict.geometry.frames import Frame, base_frame
from rna_predict.geometry.helix import at, relative, stem_frames
from rna_predict.geometry.nucleotide import nucleotide_shape
from rna_predict.stage_c_reconstruction.chain import ChainTorsions, complete_angles, draw, grow, step_frames
from rna_predict.stage_c_reconstruction.nerf import build_from_torsions

SEQUENCE = "GAUCGUAC"


def chain_of(angle_L7: torch.Tensor) -> ChainTorsions:
    column = {name: angle_L7[None, :, k] for k, name in enumerate(TORSION_FIELDS)}
    own = torch.stack([column[name] for name in ("chi", "gamma", "beta", "alpha")], dim=-1)
    return ChainTorsions(own_SL4=own, link_SL2=torch.stack([column["epsilon"], column["zeta"]], dim=-1))


def nerf_steps(angle_L7: torch.Tensor, phase: torch.Tensor, amplitude: torch.Tensor) -> Frame:
    xyz = build_from_torsions(SEQUENCE, angle_L7, phase, amplitude)
    frame, _ = base_frame(xyz, torch.from_numpy(full_mask(SEQUENCE)), SEQUENCE)
    return relative(at(frame, slice(0, -1)), at(frame, slice(1, None)))


def puckers() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    phase = np.radians(rng.choice([18.0, 162.0], len(SEQUENCE)))
    return torch.from_numpy(phase), torch.full((len(SEQUENCE),), math.radians(38.0), dtype=torch.float64)


def angles(spread: float) -> torch.Tensor:
    a_form = torch.tensor([A_FORM_DEGREES[name] for name in TORSION_FIELDS], dtype=torch.float64).deg2rad()
    noise = torch.from_numpy(np.random.default_rng(2).normal(size=(len(SEQUENCE), 7))) * spread
    return wrap(a_form + noise)


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0])
def test_steps_between_bases_are_those_of_nerf(spread):
    phase, amplitude = puckers()
    expected = nerf_steps(angles(spread), phase, amplitude)
    shape = nucleotide_shape(SEQUENCE, phase, amplitude)
    found = step_frames(shape, chain_of(angles(spread)))
    assert (found.origin[0] - expected.origin).norm(dim=-1).max() < 0.05
    assert (found.rotation[0] - expected.rotation).abs().max() < 0.01


def test_a_form_torsions_make_an_a_form_step():
    sequence = "GCGC"
    phase = torch.full((4,), math.radians(14.0), dtype=torch.float64)
    shape = nucleotide_shape(sequence, phase, torch.full((4,), math.radians(38.0), dtype=torch.float64))
    found = step_frames(shape, chain_of(angles(0.0)[:4]))
    first, _ = stem_frames(sequence, "CGCG")
    ideal = relative(at(first, slice(0, -1)), at(first, slice(1, None)))
    assert (found.origin[0] - ideal.origin).norm(dim=-1).max() < 1.5
    assert (found.rotation[0] * ideal.rotation).sum((-1, -2)).min() > 1 + 2 * math.cos(math.radians(20))


def test_missing_torsions_are_a_form_and_know_nothing(inputs):
    _, _, torsions = inputs("GGGCUUCGGCCC", "((((....))))")
    angle, concentration = complete_angles(torsions)
    ends = [(0, "alpha"), (11, "epsilon"), (11, "zeta")]
    for residue, name in ends:
        column = TORSION_FIELDS.index(name)
        assert math.degrees(angle[residue, column].item()) % 360 == pytest.approx(A_FORM_DEGREES[name], abs=1e-3)
        assert concentration[residue, column] == 0
    inside = torch.from_numpy(torsions.mask_L7.copy())
    assert torch.equal(angle[inside], torch.from_numpy(torsions.angle_L7.copy())[inside])
    assert torch.equal(concentration[inside], torch.from_numpy(torsions.concentration_L7.copy())[inside])


def test_draws_spread_as_the_concentrations_say_around_the_means(inputs):
    _, _, torsions = inputs("GGGCUUCGGCCC", "((((....))))")
    angle, concentration = complete_angles(torsions)

    def drawn(samples: int, spread: float, seed: int) -> ChainTorsions:
        return draw(torsions, samples, spread, torch.Generator().manual_seed(seed))

    chain = drawn(4000, 1.0, 0)
    for column, name in enumerate(("chi", "gamma", "beta", "alpha")):
        k = TORSION_FIELDS.index(name)
        values = chain.own_SL4[..., column]
        torch.testing.assert_close(values.mean(0), angle[:, k], atol=0.06, rtol=0)
        expected = 1 / (concentration[:, k] + 2.0).sqrt()
        torch.testing.assert_close(values.std(0), expected, atol=0.0, rtol=0.06)
    mean = drawn(1, 0.0, 0)
    torch.testing.assert_close(mean.link_SL2[0], angle[:, 4:6])
    assert torch.equal(drawn(3, 1.0, 5).own_SL4, drawn(3, 1.0, 5).own_SL4)
    assert not torch.equal(drawn(3, 1.0, 5).own_SL4, drawn(3, 1.0, 6).own_SL4)
    still = drawn(3, 0.0, 5)
    torch.testing.assert_close(still.own_SL4[2], still.own_SL4[0])
    wide = drawn(4000, 2.0, 0).own_SL4 - mean.own_SL4
    torch.testing.assert_close(wide, 2 * (chain.own_SL4 - mean.own_SL4), atol=1e-4, rtol=0)


KNOT = ("GGCGAACCCUAACGCCAAAUAAGGGA", "((((..[[[...))))......]]].")


def grown(sequence: str, brackets: str, samples: int = 2) -> tuple[Frame, Frame]:
    """Frames of the trace, and the steps that it was grown by."""
    length = len(sequence)
    rng = np.random.default_rng(3)
    phase = torch.full((length,), 0.3, dtype=torch.float64)
    shape = nucleotide_shape(sequence, phase, torch.full((length,), 0.66, dtype=torch.float64))
    chain = ChainTorsions(
        own_SL4=torch.from_numpy(rng.uniform(-3, 3, (samples, length, 4))),
        link_SL2=torch.from_numpy(rng.uniform(-3, 3, (samples, length, 2))),
    )
    steps = step_frames(shape, chain)
    return grow(sequence, decompose(np.asarray(from_dot_bracket(brackets))), steps), steps


def test_growth_lays_stems_and_pseudoknots_exactly_as_ideal_ones():
    sequence, brackets = KNOT
    frames, _ = grown(sequence, brackets)
    partner = np.asarray(from_dot_bracket(brackets))
    loops = decompose(partner)
    assert len(loops.stems) == 1
    assert len(loops.pseudoknots) == 1
    for stem in (*loops.stems, *loops.pseudoknots):
        five = list(range(stem.i, stem.i + stem.length))
        three = [stem.j - k for k in range(stem.length)]
        ideal = stem_frames("".join(sequence[k] for k in five), "".join(sequence[k] for k in three))
        for sample in range(2):
            own = Frame(frames.rotation[sample], frames.origin[sample])
            root = at(own, five[0])
            for residues, strand in ((five, ideal[0]), (three, ideal[1])):
                seen = relative(root, at(own, torch.tensor(residues)))
                expected = relative(at(ideal[0], 0), strand)
                torch.testing.assert_close(seen.origin, expected.origin, atol=1e-9, rtol=0)
                torch.testing.assert_close(seen.rotation, expected.rotation, atol=1e-9, rtol=0)


def test_growth_follows_the_steps_where_it_is_free():
    sequence, brackets = KNOT
    frames, steps = grown(sequence, brackets)
    own = relative(
        Frame(frames.rotation[:, :-1], frames.origin[:, :-1]), Frame(frames.rotation[:, 1:], frames.origin[:, 1:])
    )
    free = [3, 4, 5, 8, 9, 10, 15, 16, 17, 18, 19, 20, 24]  # the next residue is laid down by this one
    torch.testing.assert_close(own.origin[:, free], steps.origin[:, free], atol=1e-9, rtol=0)
    torch.testing.assert_close(own.rotation[:, free], steps.rotation[:, free], atol=1e-9, rtol=0)
    assert (frames.origin[0] - frames.origin[1]).norm(dim=-1).max() > 1.0
    torch.testing.assert_close(torch.linalg.det(frames.rotation), torch.ones(2, len(sequence), dtype=torch.float64))
