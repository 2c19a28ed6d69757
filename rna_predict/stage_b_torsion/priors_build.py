"""Compute the prior table from chains of known structure: `rna-predict priors build`."""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from rna_predict import __version__
from rna_predict.contracts import digest_of
from rna_predict.stage_b_torsion.fit_distances import DistanceFit, fit_distances
from rna_predict.stage_b_torsion.fit_torsions import TorsionFit, concentration, fit_torsions
from rna_predict.stage_b_torsion.natives import NativeChain, index_rows, read_natives
from rna_predict.stage_b_torsion.prior_table import PriorTable


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorSettings:
    """Settings of both fits."""

    torsions: TorsionFit = field(default_factory=TorsionFit)
    distances: DistanceFit = field(default_factory=DistanceFit)


def build_table(chains_dir: Path, index_csv: Path, split: str = "train") -> PriorTable:
    """Fit the table on one split of an index of chains.

    Args:
        chains_dir: folder with `<id>.pdb.gz`.
        index_csv: table with the columns id, pdb_id, cluster80 and split.
        split: which rows to use.

    Raises:
        InputError: a file is missing or unreadable.
    """
    rows = index_rows(index_csv, split)
    chains = read_natives(chains_dir, rows)
    made_by = {
        "command": f"rna-predict priors build CHAINS_DIR INDEX_CSV --split {split} --out FILE",
        "package_version": __version__,
        "index_sha256": digest_of(index_csv),
        "chains_sha256": _hash_of_chains(chains_dir, [chain.id for chain in chains]),
        "chains": str(len(chains)),
        "clusters": str(len({chain.cluster for chain in chains})),
    }
    return fit_table(chains, PriorSettings(), made_by)


def fit_table(chains: list[NativeChain], settings: PriorSettings, made_by: dict[str, str]) -> PriorTable:
    """Fit torsions and distances and pack them as they are stored."""
    modes = fit_torsions(chains, settings.torsions)
    keys = tuple(sorted(modes))
    angle_K9 = np.stack([modes[key].angle_9 for key in keys])
    kappa_K8 = concentration(np.stack([modes[key].resultant_8 for key in keys]))
    distances = fit_distances(chains, settings.distances)
    return PriorTable(
        keys=keys,
        angle_K7=angle_K9[:, :7].astype(np.float16),
        concentration_K7=kappa_K8[:, :7].astype(np.float16),
        pucker_K3=np.column_stack([angle_K9[:, 7:], kappa_K8[:, 7]]).astype(np.float16),
        level_N=distances.level_N,
        code_N=distances.code_N,
        log_probability_N64=distances.log_probability_N64,
        made_by={**made_by, **{f"{part}.{k}": str(v) for part, d in asdict(settings).items() for k, v in d.items()}},
    )


def _hash_of_chains(chains_dir: Path, names: list[str]) -> str:
    """sha256 over the hashes of the chain files, sorted by id."""
    lines = (f"{name} {digest_of(chains_dir / f'{name}.pdb.gz')}\n" for name in sorted(names))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
