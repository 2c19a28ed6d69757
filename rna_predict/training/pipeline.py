"""The networks of stages B and D as one pipeline that is trained as it predicts: pairs, trunk, heads, denoiser, judge.

What a prediction writes to files between the stages stays in memory here. Gradients go where a file would stop them in
one place alone: the denoiser's loss reaches the trunk through its representations, as AF3 trains. The torsions that
stage D is told are those of the torsion head without their gradient: that head learns from the torsion loss.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rna_predict.data.examples import Example
from rna_predict.errors import WeightsError
from rna_predict.nn.adapters import Adapters
from rna_predict.nn.features import Features, Representations
from rna_predict.nn.msa import MSAStack
from rna_predict.nn.pairformer import PairformerBlock
from rna_predict.nn.stage_inputs import StageInputs, TorsionInputs
from rna_predict.nn.weights import Network, WeightsHeader, open_network
from rna_predict.stage_b_torsion.heads import TorsionPrediction
from rna_predict.stage_b_torsion.loss import NativeTorsions, base_pair_loss, distogram_loss, torsion_losses
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.bonds import all_bonds
from rna_predict.stage_d_diffusion.confidence_loss import confidence_losses
from rna_predict.stage_d_diffusion.loss import NativeAtoms, diffusion_losses, training_noise
from rna_predict.stage_d_diffusion.network import DiffusionModel
from rna_predict.stage_d_diffusion.sampler import Af3Settings, SeededDraws, af3_schedule, rotation_of, sample
from rna_predict.training.config import LossSettings, TrainConfig
from rna_predict.training.stream import seed_of

LENGTH_WEIGHT = 0.02
"""Of the raw torsion vectors' lengths beside their directions (AF2, Algorithm 27)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The random numbers of one batch, all made of its seed.

    Attributes:
        seed: of the batch in its run.
        cycles: recycling cycles of the trunk.
        judged: whether a sample is rolled out for the confidence head.
    """

    seed: int
    cycles: int
    judged: bool

    def generator(self, what: str) -> torch.Generator:
        """A generator on the CPU for one purpose, so that a seed means the same on every device."""
        return torch.Generator().manual_seed(seed_of(self.seed, what))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkOutputs:
    """What the trunk and its heads make of a batch.

    Attributes:
        representations: of the trunk.
        distogram_BLL64: logits.
        torsions: of the torsion head.
        pairs_BLL: log-odds of base pairs.
    """

    representations: Representations
    distogram_BLL64: Tensor
    torsions: TorsionPrediction
    pairs_BLL: Tensor


class Pipeline(nn.Module):
    """Trunk and diffusion model on the same weights.

    Attributes:
        trunk: stage B's network.
        diffusion: stage D's.
        header: of the weights that they started from.
        head_torsions: whether stage D is told the head's torsions, else those of the examples (prior table).
    """

    def __init__(self, trunk: Network, diffusion: Network, head_torsions: bool) -> None:
        super().__init__()
        self.trunk = cast(Trunk, trunk.module)
        self.diffusion = cast(DiffusionModel, diffusion.module)
        self.header: WeightsHeader = trunk.header
        self.head_torsions = head_torsions

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """Both; their plain keys together are those of the weights file."""
        return self.trunk, self.diffusion

    def terms(self, settings: LossSettings) -> dict[str, float]:
        """Losses by name with their weights."""
        return loss_terms(settings)

    def run_trunk(self, features: Features, stages: StageInputs, cycles: int) -> TrunkOutputs:
        """Stage B: the trunk reads stage A's pairs (and templates), not what comes after it."""
        found = self.trunk(features, cycles, stages.only(self.trunk.trunk_inputs.kinds))
        found = Representations(
            inputs_BLI=found.inputs_BLI.float(), single_BLS=found.single_BLS.float(), pair_BLLZ=found.pair_BLLZ.float()
        )
        return TrunkOutputs(
            representations=found,
            distogram_BLL64=self.trunk.distogram(found.pair_BLLZ),
            torsions=self.trunk.torsion_head(found.single_BLS),
            pairs_BLL=self.trunk.pair_head(found.pair_BLLZ),
        )

    def condition(self, found: TrunkOutputs, stages: StageInputs) -> Representations:
        """What stage D reads: stages A, B and C enter the pair representation."""
        stages = stages.only(self.diffusion.diffusion_inputs.kinds)
        if self.head_torsions and stages.torsions is not None:
            stages = replace(stages, torsions=_told(found.torsions, stages.torsions))
        pair_BLLZ = self.diffusion.diffusion_inputs(found.representations.pair_BLLZ, stages)
        return replace(found.representations, pair_BLLZ=pair_BLLZ)

    def losses(self, example: Example, settings: LossSettings, draws: Draws) -> dict[str, Tensor]:
        """Every loss by name, unweighted, of one batch; `weighted` adds them up.

        Raises:
            InputError: an RNA of the batch has nothing that a loss could look at.
        """
        found = self.run_trunk(example.features, example.stages, draws.cycles)
        with torch.autocast(found.distogram_BLL64.device.type, enabled=False):  # the trunk alone runs in bfloat16
            return self._losses(example, settings, draws, found)

    def _losses(self, example: Example, settings: LossSettings, draws: Draws, found: TrunkOutputs) -> dict[str, Tensor]:
        losses = self.trunk_losses(example, settings, found)
        if settings.diffusion or (settings.confidence and draws.judged):
            share = settings.trunk_share
            read = self.condition(
                replace(found, representations=_held_back(found.representations, share)), example.stages
            )
            if settings.diffusion:
                losses |= self.diffusion_losses(example, settings, read, draws)
            if settings.confidence and draws.judged:
                losses |= self.confidence_losses(example, settings, read, draws)
        return losses

    def trunk_losses(self, example: Example, settings: LossSettings, found: TrunkOutputs) -> dict[str, Tensor]:
        """Losses of what is read off the trunk; that of pairs is left out where no RNA has a place that says anything.

        Raises:
            InputError: an RNA of the batch shows no pair of distogram atoms, or no torsion.
        """
        losses: dict[str, Tensor] = {}
        if settings.distogram:
            losses["distogram"] = distogram_loss(found.distogram_BLL64, example.point_BL3, example.point_mask_BL)
        if settings.torsions:
            losses |= torsion_terms(found.torsions, example.torsions)
        if settings.pairs:
            # A piece shorter than a hairpin, or one whose partners are all elsewhere, says nothing about pairing.
            rows_B = example.pair_mask_BLL.flatten(1).any(1)
            if bool(rows_B.any()):
                masks = (example.paired_BLL[rows_B], example.pair_mask_BLL[rows_B])
                losses["pairs"] = base_pair_loss(found.pairs_BLL[rows_B], *masks)
        return losses

    def diffusion_losses(
        self, example: Example, settings: LossSettings, read: Representations, draws: Draws
    ) -> dict[str, Tensor]:
        """Losses of the denoiser on `settings.copies` noised copies of each native.

        Raises:
            InputError: fewer than two atoms of an RNA were seen.
        """
        generator = draws.generator("noise")
        clean_BSA3 = moved_copies(example, settings.copies, generator)
        noise = (settings.noise_mean, settings.noise_spread)
        sigma_BS = training_noise(tuple(clean_BSA3.shape[:2]), generator, *noise).to(clean_BSA3.device)
        noise_BSA3 = torch.randn(clean_BSA3.shape, generator=generator).to(clean_BSA3.device)
        noisy_BSA3 = clean_BSA3 + sigma_BS[..., None, None] * noise_BSA3
        guess_BSA3 = self.diffusion.diffusion_module(noisy_BSA3, sigma_BS, example.features, read)
        bonds = all_bonds(example.features) if settings.bond else None
        parts = diffusion_losses(guess_BSA3, sigma_BS, example.atoms, bonds)
        losses = {"diffusion_mse": parts.mse, "smooth_lddt": parts.smooth_lddt}
        return losses | ({"bond": parts.bond} if settings.bond else {})

    def confidence_losses(
        self, example: Example, settings: LossSettings, read: Representations, draws: Draws
    ) -> dict[str, Tensor]:
        """Losses of the confidence head on one sample of each RNA, made without a gradient (AF3 section 4.3.5).

        Raises:
            InputError: an RNA of the batch shows no whole frame.
        """
        parts: list[dict[str, Tensor]] = []
        for k, (features, native, alone) in enumerate(_singles(example, read)):
            seeds = [seed_of(draws.seed, "rollout", k)]
            sample_SA3 = self.samples(features, alone, seeds, settings.rollout_steps)
            logits = self.diffusion.confidence_head(features, alone, sample_SA3[None])
            found = confidence_losses(logits, features, sample_SA3[None], native)
            parts.append({name: getattr(found, name) for name in ("plddt", "pae", "pde", "resolved")})
        return {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}

    @torch.no_grad()
    def samples(
        self, features: Features, read: Representations, seeds: Sequence[int], steps: int
    ) -> Float[Tensor, "s a 3"]:
        """Models of one RNA, Å, by plain Euler steps from noise down AF3's schedule, without a gradient.

        Args:
            features: of one RNA, nothing padded.
            read: what `condition` made.
            seeds: one for each sample.
            steps: levels of the schedule.
        """
        module = self.diffusion.diffusion_module
        conditions = module.conditions(features, read)
        schedule = af3_schedule(Af3Settings(steps=steps, churn=0.0, step_scale=1.0))

        def denoise(noisy_SA3: Tensor, sigma: float, /) -> Tensor:
            sigma_BS = torch.full((1, 1), sigma, device=noisy_SA3.device)
            return module(noisy_SA3[None], sigma_BS, features, read, conditions)[0]

        start_SA3 = torch.zeros(len(seeds), features.atom_mask_BA.shape[1], 3, device=read.pair_BLLZ.device)
        draws = SeededDraws([torch.Generator().manual_seed(seed) for seed in seeds])
        return sample(denoise, start_SA3, schedule, draws)


def loss_terms(settings: LossSettings) -> dict[str, float]:
    """The losses that are computed, and their weights (AF3 eq. 15, with torsions and pairs beside)."""
    groups = (
        (settings.diffusion, ("diffusion_mse", "smooth_lddt")),
        (settings.diffusion * settings.bond, ("bond",)),
        (settings.distogram, ("distogram",)),
        (settings.torsions, ("torsion_direction", "torsion_length", "torsion_concentration", "pucker_amplitude")),
        (settings.pairs, ("pairs",)),
        (settings.confidence, ("plddt", "pae", "pde", "resolved")),
    )
    return {name: weight for weight, names in groups for name in names if weight}


def weighted(losses: dict[str, Tensor], settings: LossSettings) -> Tensor:
    """The sum that is trained on."""
    return weighted_sum(losses, loss_terms(settings))


def weighted_sum(losses: dict[str, Tensor], terms: dict[str, float]) -> Tensor:
    """The losses that are there, by their weights."""
    return torch.stack([weight * losses[name] for name, weight in terms.items() if name in losses]).sum()


def torsion_terms(found: TorsionPrediction, native: NativeTorsions) -> dict[str, Tensor]:
    """The losses of a torsion head by name.

    Raises:
        InputError: an RNA has no defined angle.
    """
    parts = torsion_losses(found, native)
    return {
        "torsion_direction": parts.direction,
        "torsion_length": LENGTH_WEIGHT * parts.length,
        "torsion_concentration": parts.concentration,
        "pucker_amplitude": parts.amplitude,
    }


def build_pipeline(config: TrainConfig) -> Pipeline:
    """Open the networks and put on them what the config trains; everything else is frozen.

    Raises:
        ConfigError: groups or modules do not fit the network.
        WeightsError: the weights file is refused, or nothing is trained.
    """
    weights, profile = config.network.weights, config.network.untrained_profile
    trunk, diffusion = (
        open_network(build, weights=weights, untrained_profile=profile) for build in (Trunk, DiffusionModel)
    )
    for network in (trunk, diffusion):
        part = config.adapters.part_of(network.module)
        Adapters(network.module).add(part, seed=config.trainer.seed)
    pipeline = Pipeline(trunk, diffusion, config.network.torsions == "head")
    if not any(parameter.requires_grad for parameter in pipeline.parameters()):
        raise WeightsError("adapters: no group and no module is named: nothing would be trained.")
    pipeline.train()  # networks are opened to evaluate, and Lightning leaves each module in the mode that it has
    if not config.network.dropout:
        for block in pipeline.modules():
            if isinstance(block, (PairformerBlock, MSAStack)):
                block.dropout = 0.0
    return pipeline


def moved_copies(example: Example, copies: int, generator: torch.Generator) -> Float[Tensor, "b s a 3"]:
    """Copies of the natives, centred, turned and shifted at random (AF3 Algorithm 19), Å.

    Atoms that were not seen stand in the middle of what was seen of their residue (or of the RNA): the denoiser meets
    them in every sample, and at the origin they would tell it where the centre is.
    """
    filled_BA3 = filled(example.atoms, example.features)
    batch = len(filled_BA3)
    quaternion_BS4 = torch.randn(batch, copies, 4, generator=generator)
    shift_BS13 = torch.randn(batch, copies, 1, 3, generator=generator)
    rotation_BS33 = rotation_of(quaternion_BS4).to(filled_BA3.device)
    return filled_BA3[:, None] @ rotation_BS33.mT + shift_BS13.to(filled_BA3.device)


def filled(atoms: NativeAtoms, features: Features) -> Float[Tensor, "b a 3"]:
    """Native coordinates around their mean, atoms that were not seen in the middle of their residue's."""
    seen_BA1 = atoms.mask_BA[..., None].to(atoms.xyz_BA3.dtype)
    xyz_BA3 = torch.where(atoms.mask_BA[..., None], atoms.xyz_BA3, 0.0)
    centred_BA3 = (xyz_BA3 - xyz_BA3.sum(1, keepdim=True) / seen_BA1.sum(1, keepdim=True)) * seen_BA1
    length = features.token_mask_BL.shape[1]
    index_BA3 = features.atom_token_BA[..., None].expand_as(centred_BA3)
    total_BL3 = centred_BA3.new_zeros(len(centred_BA3), length, 3).scatter_add(1, index_BA3, centred_BA3)
    count_BL3 = torch.zeros_like(total_BL3).scatter_add(1, index_BA3, seen_BA1.expand_as(centred_BA3))
    middle_BA3 = (total_BL3 / count_BL3.clamp(min=1)).gather(1, index_BA3)
    return torch.where(atoms.mask_BA[..., None], centred_BA3, middle_BA3)


def _held_back(found: Representations, share: float) -> Representations:
    """The same values, of whose gradient only a share goes on."""
    if share == 1:
        return found
    parts = {each.name: getattr(found, each.name) for each in fields(Representations)}
    return Representations(**{name: x.detach() + share * (x - x.detach()) for name, x in parts.items()})


def _told(head: TorsionPrediction, known: TorsionInputs) -> TorsionInputs:
    """The head's torsions as stage B writes them for stage D: directions and concentrations where a torsion exists."""
    angle_BL8 = head.angle_BL8().detach().float()
    return TorsionInputs(
        sincos_BL82=torch.stack([angle_BL8.sin(), angle_BL8.cos()], dim=-1),
        mask_BL8=known.mask_BL8,
        concentration_BL8=head.concentration_BL8.detach().float(),
    )


def _singles(example: Example, read: Representations) -> Iterator[tuple[Features, NativeAtoms, Representations]]:
    """Each RNA of a batch by itself, nothing padded: a sampler centres all atoms, and padded ones would count."""
    features, atoms = example.features, example.atoms
    sizes = zip(features.token_mask_BL.sum(1).tolist(), features.atom_mask_BA.sum(1).tolist(), strict=True)
    for k, (residues, count) in enumerate(sizes):
        row, size = slice(k, k + 1), {"L": residues, "A": count}
        names = [each.name for each in fields(Features) if each.name != "alignment"]
        cut = {name: getattr(features, name)[row, : size[name.rpartition("_")[2][1]]] for name in names}
        yield (
            Features(**cut),
            NativeAtoms(xyz_BA3=atoms.xyz_BA3[row, :count], mask_BA=atoms.mask_BA[row, :count]),
            Representations(
                inputs_BLI=read.inputs_BLI[row, :residues],
                single_BLS=read.single_BLS[row, :residues],
                pair_BLLZ=read.pair_BLLZ[row, :residues, :residues],
            ),
        )
