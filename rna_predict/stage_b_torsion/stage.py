"""Stage B: torsions with their certainty, the pair representation, and the distogram."""

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from rna_predict import __version__
from rna_predict.contracts import (
    Adjacency,
    Embeddings,
    Provenance,
    RnaSequence,
    TemplateHits,
    Torsions,
    alternatives_of,
    digest_of,
    require_same_rna,
)
from rna_predict.contracts.alignment import Alignment
from rna_predict.contracts.templates import STRETCH
from rna_predict.errors import ConfigError, InputError
from rna_predict.stage_b_torsion.baseline import BYTES_PER_PAIR, prior_embeddings, prior_torsions
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.motif_geometry import motif_torsions, with_motif_distances
from rna_predict.stage_b_torsion.prior_table import PriorTable, load_table
from rna_predict.stage_b_torsion.template_geometry import mixed_distances, template_torsions
from rna_predict.stage_b_torsion.torsion_values import TorsionValues, torsionbert_values

if TYPE_CHECKING:
    from rna_predict.stage_b_torsion.geometry_backend import GeometryResult
    from rna_predict.stage_b_torsion.trunk_backend import TrunkResult

    NetworkResult = GeometryResult | TrunkResult

log = logging.getLogger(__name__)


def predict_torsions(
    sequence: RnaSequence,
    adjacency: Adjacency,
    config: StageBConfig,
    alignment: Alignment | None = None,
    templates: TemplateHits | None = None,
) -> tuple[Torsions, Embeddings]:
    """Predict torsions and embeddings of one RNA from its sequence and stage A's result.

    `config.backend` makes the embeddings and `config.torsions` the torsions, each by itself.

    Args:
        sequence: the RNA.
        adjacency: its base pairs.
        config: settings.
        alignment: of the RNA's homologs; only the trunk reads it, and a warning says where it is not read.
        templates: known structures and loops on the RNA, mixed into distances and torsions; the trunk reads none.

    Returns:
        Torsions and embeddings, with alternatives as the adjacency has them, but not of the trunk, which is costly.

    Raises:
        ContractError: the adjacency or the templates belong to another sequence, or the prior table cannot be used.
        ConfigError: weights or device cannot be used, or TorsionBERT is asked for several chains.
        WeightsError: a weights file is refused.
        InputError: longer than `max_length` (or than TorsionBERT can read), or an alignment of another RNA.
        PredictionError: the trunk gives numbers that are none.
    """
    require_same_rna(sequence, adjacency, *([] if templates is None else [templates]))
    if alignment is not None and (alignment.id, alignment.sequence) != (sequence.id, sequence.sequence):
        raise InputError(f"{sequence.id}: {alignment.source} aligns {alignment.id}, another RNA. Align to this one.")
    if alignment is not None and config.backend != "trunk":
        log.warning("%s: %s is not read: only stage_b.backend trunk does", sequence.id, alignment.source)
    if sequence.breaks and config.torsions == "torsionbert":
        raise ConfigError(
            f"stage_b.torsions: torsionbert reads one chain, {sequence.id} has {len(sequence.chains)}. Use prior-table."
        )
    if sequence.length > config.max_length:
        raise InputError(
            f"{sequence.id}: {sequence.length} nt is longer than stage_b.max_length {config.max_length}; stage B would "
            f"need about {_bytes_needed(sequence, config) / 1e9:.1f} GB. Raise max_length, or split the sequence."
        )
    torsions, embeddings = _predicted(sequence, adjacency, templates, config, alignment)
    if config.backend == "trunk" or not adjacency.alternatives:
        return torsions, embeddings
    structures = alternatives_of(adjacency)
    hits = [None] * len(structures) if templates is None else alternatives_of(templates)
    others = [_predicted(sequence, *each, config, None) for each in zip(structures, hits, strict=True)]
    return (
        dataclasses.replace(torsions, alternatives=tuple(other for other, _ in others)),
        dataclasses.replace(embeddings, alternatives=tuple(other for _, other in others)),
    )


def _predicted(
    sequence: RnaSequence,
    adjacency: Adjacency,
    templates: TemplateHits | None,
    config: StageBConfig,
    alignment: Alignment | None,
) -> tuple[Torsions, Embeddings]:
    """Those of one secondary structure."""
    found = _network(sequence, adjacency, config, alignment)
    known = templates if templates is not None and templates.any and config.reads_templates else None
    return (
        _torsions(sequence, adjacency, config, found, known),
        _with_templates(_embeddings(sequence, adjacency, config, found), known),
    )


def _bytes_needed(sequence: RnaSequence, config: StageBConfig) -> float:
    if config.backend != "trunk":  # the geometry network leaves what is too long for it to the prior table
        return BYTES_PER_PAIR * sequence.length**2
    from rna_predict.stage_b_torsion.trunk_backend import bytes_needed

    return bytes_needed(sequence.length, config)


def _network(
    sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig, alignment: Alignment | None
) -> "NetworkResult | None":
    """What the config's network makes of the RNA; None for the prior table."""
    if config.backend == "geometry":
        if sequence.length > config.geometry_max_length:
            log.warning(
                "%s: %d nt is longer than stage_b.geometry_max_length %d: the prior table gives distances and torsions",
                *(sequence.id, sequence.length, config.geometry_max_length),
            )
            return None
        from rna_predict.stage_b_torsion.geometry_backend import run_geometry

        return run_geometry(sequence, adjacency, config)
    if config.backend == "trunk":
        from rna_predict.stage_b_torsion.trunk_backend import run_trunk

        return run_trunk(sequence, adjacency, config, alignment)
    return None


def _embeddings(
    sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig, found: "NetworkResult | None"
) -> Embeddings:
    if found is not None:
        return found.embeddings(sequence, _provenance(config, found.method, found.inputs, found.weights))
    table, inputs = _table(adjacency, config)
    return prior_embeddings(sequence, adjacency, table, _provenance(config, "prior-table", inputs))


def _with_templates(embeddings: Embeddings, templates: TemplateHits | None) -> Embeddings:
    """The embeddings with distances that known structures have a share in."""
    if templates is None:
        return embeddings
    edges, atoms = embeddings.distogram_edges, embeddings.distogram_atoms
    mixed = mixed_distances(embeddings.distogram_GLLB, edges, atoms, templates)
    mixed = with_motif_distances(mixed, edges, atoms, templates)
    mixed.flags.writeable = False
    return dataclasses.replace(embeddings, distogram_GLLB=mixed, provenance=_told_of(embeddings.provenance, templates))


def _told_of(provenance: Provenance, templates: TemplateHits) -> Provenance:
    """The provenance of what is mixed with templates."""
    whole = f", with {len(templates.hits)} templates ({templates.hits[0].sentence})" if templates.hits else ""
    stretches = sum(motif.kind == STRETCH for motif in templates.motifs)
    counts = {"known loops": len(templates.motifs) - stretches, "known stretches": stretches}
    pieces = "".join(f", with {count} {name}" for name, count in counts.items() if count)
    return dataclasses.replace(
        provenance,
        method=f"{provenance.method}{whole}{pieces}",
        inputs={**provenance.inputs, "templates": templates.digest()},
    )


def _torsions(
    sequence: RnaSequence,
    adjacency: Adjacency,
    config: StageBConfig,
    found: "NetworkResult | None",
    templates: TemplateHits | None,
) -> Torsions:
    values, provenance = _torsion_values(sequence, adjacency, config, found)
    if templates is not None:
        values = motif_torsions(template_torsions(values, templates), templates)
        provenance = _told_of(provenance, templates)
    return values.record(sequence, provenance)


def _torsion_values(
    sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig, found: "NetworkResult | None"
) -> tuple[TorsionValues, Provenance]:
    """Torsions as the config's method gives them, and how they were made."""
    if config.torsions == "head" and found is not None and found.torsions is not None:
        method = f"torsion head of {found.method}"
        return found.torsions, _provenance(config, method, found.inputs, found.weights)
    table, inputs = _table(adjacency, config)
    prior = prior_torsions(sequence, adjacency, table)
    if config.torsions == "torsionbert":
        values, weights = _torsionbert(sequence, prior, config)
        method = "torsionbert, the last two residues from the prior table"
        return values, _provenance(config, method, inputs, weights)
    return prior, _provenance(config, "prior-table", inputs)


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
