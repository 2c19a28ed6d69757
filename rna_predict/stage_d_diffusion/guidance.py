"""Guidance: a learned denoiser's answer brought towards a molecule with closed links, formed stems and no overlaps."""

from dataclasses import dataclass, fields, replace

from jaxtyping import Float
from torch import Tensor

from rna_predict.contracts import Adjacency, Embeddings
from rna_predict.energy.contacts import contact_table
from rna_predict.energy.model import EnergyModel, relax
from rna_predict.energy.pose import each_alone
from rna_predict.energy.priors import distance_priors
from rna_predict.energy.relations import Relations
from rna_predict.energy.stems import stem_relations
from rna_predict.geometry.nucleotide import NucleotideShape
from rna_predict.nn.features import Features
from rna_predict.nn.slots import from_slots, to_slots
from rna_predict.stage_d_diffusion.analytic import HARD, SOFT, SOFT_ABOVE
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.fitting import Molecules, Puckers, fit_molecules, looks_bonded
from rna_predict.stage_d_diffusion.sampler import Denoiser

FINEST = 0.05
"""Å: the denoiser's answer is never believed more closely than this."""


def guiding_energy(
    adjacency: Adjacency, embeddings: Embeddings, shape: NucleotideShape, config: StageDConfig
) -> EnergyModel:
    """Links, overlaps and stage A's stems; stage B's distogram where `guidance_distance_weight` is above zero.

    Unlike the analytic backend's energy it has no terms that keep loops to stage C's model.
    """
    stems = stem_relations(adjacency.sequence, adjacency.partner_L, config.stem_weight, shape.axis_L3)
    return EnergyModel(
        shape=shape,
        table=contact_table(adjacency.sequence, adjacency.breaks),
        stems=stems,
        loops=Relations(**{field.name: getattr(stems, field.name)[:0] for field in fields(stems)}),
        distances=distance_priors(embeddings) if config.guidance_distance_weight else (),
        breaks=adjacency.breaks,
    )


@dataclass(slots=True, kw_only=True)
class GuidedDenoiser:
    """A denoiser whose answer x is replaced, at small noise, by argmin E(y) + |y - x|² / (2σ²) over molecules y.

    This is the analytic denoiser's proximal step with the network's answer in the place of the noisy atoms: a network
    is at least as near to the truth as those, so σ bounds its error. Residues whose atoms look bonded are read off
    them; the others go on from the last answer, laid onto the new one as a rigid body, since atoms that far apart say
    little about their residue. The energy works on the CPU.

    Attributes:
        sequence: letters A C G U.
        denoise: what is guided.
        energy: its terms; the shape is replaced by that of each answer.
        features: order of the flat atoms.
        config: limits, iterations and weights.
        answer: the last answer; None where there is none yet, then the first is read off the atoms throughout.
        puckers: [S, L], of riboses that are not to be recognised and have no last answer.
    """

    sequence: str
    denoise: Denoiser
    energy: EnergyModel
    features: Features
    config: StageDConfig
    puckers: Puckers
    answer: Molecules | None = None

    def __call__(self, noisy_SA3: Float[Tensor, "s a 3"], sigma: float, /) -> Float[Tensor, "s a 3"]:
        """Clean flat atoms, Å."""
        clean_SA3 = self.denoise(noisy_SA3, sigma)
        if sigma > self.config.guidance_below:
            return clean_SA3
        xyz_SLA3 = to_slots(clean_SA3.cpu(), self.features)
        start = self._start(xyz_SLA3)
        weights = replace(
            SOFT if sigma > SOFT_ABOVE else HARD,
            distance=self.config.guidance_distance_weight,
            anchor=1 / (2 * max(sigma, FINEST) ** 2),
        )
        model = replace(self.energy, shape=start.shape)
        bodies = each_alone(xyz_SLA3.shape[1])
        pose = relax(model, start.pose, bodies, [(weights, self.config.guidance_iterations)], xyz_SLA3)
        self.answer = replace(start, pose=pose)
        return from_slots(self.answer.atoms(), self.features).to(clean_SA3)

    def _start(self, xyz_SLA3: Tensor) -> Molecules:
        """Where the minimiser begins."""
        if self.answer is None:
            return fit_molecules(self.sequence, xyz_SLA3, self.puckers)
        last = self.answer.moved_onto(xyz_SLA3)
        bonded_SL = looks_bonded(self.sequence, xyz_SLA3)
        if not bool(bonded_SL.any()):
            return last
        return last.with_residues(bonded_SL, fit_molecules(self.sequence, xyz_SLA3, last.puckers))
