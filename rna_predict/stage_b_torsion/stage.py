"""Stage B: torsions with their certainty, the pair representation, and the distogram."""

import dataclasses
from collections.abc import Callable

import numpy as np

from rna_predict import __version__
from rna_predict.contracts import Adjacency, Embeddings, Provenance, RnaSequence, Torsions, digest_of, require_same_rna
from rna_predict.errors import InputError
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.contexts import residue_keys
from rna_predict.stage_b_torsion.features import PAIR_CHANNELS, pair_features, single_features
from rna_predict.stage_b_torsion.pair_graph import PairGraph, pair_codes, pair_graph
from rna_predict.stage_b_torsion.prior_table import PriorTable, load_table

BYTES_PER_PAIR = 4 * (64 + len(PAIR_CHANNELS)) + 40
"""Distogram, pair channels, and the graph's relations with their intermediate results."""


def predict_torsions(sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig) -> tuple[Torsions, Embeddings]:
    """Predict torsions and embeddings of one RNA from its sequence and stage A's result.

    Raises:
        ContractError: the adjacency belongs to another sequence, or the prior table cannot be used.
        InputError: longer than `max_length`.
    """
    require_same_rna(sequence, adjacency)
    if sequence.length > config.max_length:
        need = BYTES_PER_PAIR * sequence.length**2 / 1e9
        raise InputError(
            f"{sequence.id}: {sequence.length} nt is longer than stage_b.max_length {config.max_length}; the "
            f"embeddings would need about {need:.1f} GB. Raise max_length, or split the sequence."
        )
    return BACKENDS[config.backend](sequence, adjacency, config)


def _from_prior_table(sequence: RnaSequence, adjacency: Adjacency, config: StageBConfig) -> tuple[Torsions, Embeddings]:
    """Torsions and distances looked up by secondary-structure context; no learned weights."""
    table, table_hash = load_table(config.prior_table)
    graph = pair_graph(adjacency.partner_L)
    provenance = Provenance(
        method="prior-table",
        package_version=__version__,
        inputs={"a_adjacency": adjacency.digest(), "prior_table": table_hash},
        config=digest_of(dataclasses.asdict(config)),
    )
    torsions = _torsions(sequence, graph, table, provenance)
    embeddings = Embeddings(
        id=sequence.id,
        sequence=sequence.sequence,
        provenance=provenance,
        inputs_LI=np.zeros((sequence.length, 0), dtype=np.float32),
        single_LS=single_features(adjacency, graph.loops),
        pair_LLZ=pair_features(adjacency, graph),
        distogram_LL64=distogram(graph, table),
        distogram_atoms="C1'",
        channels=list(PAIR_CHANNELS),
    )
    return torsions, embeddings


Backend = Callable[[RnaSequence, Adjacency, StageBConfig], tuple[Torsions, Embeddings]]

BACKENDS: dict[str, Backend] = {"prior-table": _from_prior_table}
"""Backends by the name in `StageBConfig.backend`; a learned one takes its place here."""


def _torsions(sequence: RnaSequence, graph: PairGraph, table: PriorTable, provenance: Provenance) -> Torsions:
    row_L = table.torsion_rows(residue_keys(sequence.sequence, graph.loops))
    mask_L7 = np.ones((sequence.length, 7), dtype=bool)
    mask_L7[0, 0] = False
    mask_L7[-1, 4:6] = False
    pucker_L3 = table.pucker_K3[row_L].astype(np.float32)
    return Torsions(
        id=sequence.id,
        sequence=sequence.sequence,
        provenance=provenance,
        angle_L7=np.where(mask_L7, table.angle_K7[row_L], 0).astype(np.float32),
        mask_L7=mask_L7,
        concentration_L7=np.where(mask_L7, table.concentration_K7[row_L], 0).astype(np.float32),
        pucker_phase_L=np.ascontiguousarray(pucker_L3[:, 0]),
        pucker_amplitude_L=np.ascontiguousarray(pucker_L3[:, 1]),
        pucker_concentration_L=np.ascontiguousarray(pucker_L3[:, 2]),
    )


def distogram(graph: PairGraph, table: PriorTable) -> np.ndarray:
    """float32 [L, L, 64], log-probabilities of the C1'-C1' distance, symmetric."""
    row_LL = table.distance_row_C[pair_codes(graph)]
    logits_LL64 = table.log_probability_N64.astype(np.float32)[row_LL]
    logits_LL64.flags.writeable = False  # the largest array of all: a record takes it without a copy
    return logits_LL64
