"""Stage B: torsions with their certainty, the pair representation, and the distogram."""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from rna_predict import __version__
from rna_predict.contracts import Adjacency, Embeddings, Provenance, RnaSequence, Torsions, digest_of, require_same_rna
from rna_predict.contracts.alignment import Alignment
from rna_predict.errors import InputError
from rna_predict.stage_b_torsion.baseline import BYTES_PER_PAIR, prior_embeddings, prior_torsions
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.prior_table import PriorTable, load_table
from rna_predict.stage_b_torsion.torsion_values import TorsionValues, torsionbert_values

if TYPE_CHECKING:
    from rna_predict.stage_b_torsion.trunk_backend import TrunkResult

log = logging.getLogger(__name__)


def predict_torsions(
    sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig, alignment: Alignment | None = None
) -> tuple[Torsions, Embeddings]:
    """Predict torsions and embeddings of one RNA from its sequence and stage A's result.

    `config.backend` makes the embeddings and `config.torsions` the torsions, each by itself.

    Args:
        sequence: the RNA.
        adjacency: its base pairs.
        config: settings.
        alignment: of the RNA's homologs; only the trunk reads it, and a warning says where it is not read.

    Raises:
        ContractError: the adjacency belongs to another sequence, or the prior table cannot be used.
        ConfigError: weights or device cannot be used.
        WeightsError: a weights file is refused.
        InputError: longer than `max_length` (or than TorsionBERT can read), or an alignment of another RNA.
        PredictionError: the trunk gives numbers that are none.
    """
    require_same_rna(sequence, adjacency)
    if alignment is not None and (alignment.id, alignment.sequence) != (sequence.id, sequence.sequence):
        raise InputError(f"{sequence.id}: {alignment.source} aligns {alignment.id}, another RNA. Align to this one.")
    if alignment is not None and config.backend != "trunk":
        log.warning("%s: %s is not read: only stage_b.backend trunk does", sequence.id, alignment.source)
    if sequence.length > config.max_length:
        raise InputError(
            f"{sequence.id}: {sequence.length} nt is longer than stage_b.max_length {config.max_length}; stage B would "
            f"need about {_bytes_needed(sequence, config) / 1e9:.1f} GB. Raise max_length, or split the sequence."
        )
    trunk = _trunk(sequence, adjacency, config, alignment) if config.backend == "trunk" else None
    return _torsions(sequence, adjacency, config, trunk), _embeddings(sequence, adjacency, config, trunk)


def _bytes_needed(sequence: RnaSequence, config: StageBConfig) -> float:
    if config.backend != "trunk":
        return BYTES_PER_PAIR * sequence.length**2
    from rna_predict.stage_b_torsion.trunk_backend import bytes_needed

    return bytes_needed(sequence.length, config)


def _trunk(
    sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig, alignment: Alignment | None
) -> "TrunkResult":
    from rna_predict.stage_b_torsion.trunk_backend import run_trunk

    return run_trunk(sequence, adjacency, config, alignment)


def _embeddings(
    sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig, trunk: "TrunkResult | None"
) -> Embeddings:
    if trunk is not None:
        return trunk.embeddings(sequence, _provenance(config, trunk.method, trunk.inputs, trunk.weights))
    table, inputs = _table(adjacency, config)
    return prior_embeddings(sequence, adjacency, table, _provenance(config, "prior-table", inputs))


def _torsions(
    sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig, trunk: "TrunkResult | None"
) -> Torsions:
    if trunk is not None and trunk.torsions is not None:
        method = f"torsion head of {trunk.method}"
        return trunk.torsions.record(sequence, _provenance(config, method, trunk.inputs, trunk.weights))
    table, inputs = _table(adjacency, config)
    prior = prior_torsions(sequence, adjacency, table)
    if config.torsions == "torsionbert":
        values, weights = _torsionbert(sequence, prior, config)
        method = "torsionbert, the last two residues from the prior table"
        return values.record(sequence, _provenance(config, method, inputs, weights))
    return prior.record(sequence, _provenance(config, "prior-table", inputs))


def _torsionbert(sequence: RnaSequence, prior: TorsionValues, config: StageBConfig) -> tuple[TorsionValues, str]:
    """TorsionBERT's torsions and the hash of its weights."""
    from rna_predict.nn.device import choose_device
    from rna_predict.stage_b_torsion.torsionbert import open_torsionbert, predict_angles

    folder = open_torsionbert(Path(config.torsionbert), choose_device(config.device, "stage_b.device"))
    return torsionbert_values(predict_angles(sequence.sequence, folder), prior), folder.sha256


def _table(adjacency: Adjacency, config: StageBConfig) -> tuple[PriorTable, dict[str, str]]:
    """The prior table, and the digests of what goes in where it is looked up."""
    table, table_hash = load_table(config.prior_table)
    return table, {"a_adjacency": adjacency.digest(), "prior_table": table_hash}


def _provenance(config: StageBConfig, method: str, inputs: dict[str, str], weights: str = "none") -> Provenance:
    return Provenance(
        method=method,
        package_version=__version__,
        inputs=inputs,
        config=digest_of(dataclasses.asdict(config)),
        weights=weights,
    )
