"""Stage B without learned weights: torsions and distances looked up by secondary-structure context."""

import numpy as np

from rna_predict.contracts import Adjacency, Embeddings, Provenance, RnaSequence
from rna_predict.contracts.loops import decompose
from rna_predict.stage_b_torsion.contexts import residue_keys
from rna_predict.stage_b_torsion.features import PAIR_CHANNELS, pair_features, single_features
from rna_predict.stage_b_torsion.pair_graph import PairGraph, pair_codes, pair_graph
from rna_predict.stage_b_torsion.prior_table import PriorTable
from rna_predict.stage_b_torsion.torsion_values import TorsionValues

BYTES_PER_PAIR = 4 * (64 + len(PAIR_CHANNELS)) + 40
"""Distogram, pair channels, and the graph's relations with their intermediate results."""


def prior_torsions(sequence: RnaSequence, adjacency: Adjacency, table: PriorTable) -> TorsionValues:
    """The table's torsions of each residue's context."""
    loops = decompose(adjacency.partner_L, sequence.breaks)
    row_L = table.torsion_rows(residue_keys(sequence.sequence, loops, sequence.breaks))
    pucker_L3 = table.pucker_K3[row_L]
    return TorsionValues(
        angle_L7=table.angle_K7[row_L],
        concentration_L7=table.concentration_K7[row_L],
        phase_L=pucker_L3[:, 0],
        amplitude_L=pucker_L3[:, 1],
        phase_concentration_L=pucker_L3[:, 2],
    )


def prior_embeddings(
    sequence: RnaSequence, adjacency: Adjacency, table: PriorTable, provenance: Provenance
) -> Embeddings:
    """Named channels of the secondary structure, and the table's distances between C1' atoms."""
    graph = pair_graph(adjacency.partner_L, sequence.breaks)
    return Embeddings(
        id=sequence.id,
        sequence=sequence.sequence,
        breaks=sequence.breaks,
        provenance=provenance,
        inputs_LI=np.zeros((sequence.length, 0), dtype=np.float32),
        single_LS=single_features(adjacency, graph.loops),
        pair_LLZ=pair_features(adjacency, graph),
        distogram_GLLB=distogram(graph, table)[None],
        distogram_atoms=["C1'"],
        distogram_bins="af3",
        conformer_seed=0,
        channels=list(PAIR_CHANNELS),
    )


def distogram(graph: PairGraph, table: PriorTable) -> np.ndarray:
    """float32 [L, L, 64], log-probabilities of the C1'-C1' distance, symmetric."""
    row_LL = table.distance_row_C[pair_codes(graph)]
    logits_LL64 = table.log_probability_N64.astype(np.float32)[row_LL]
    logits_LL64.flags.writeable = False  # the largest array of all: a record takes it without a copy
    return logits_LL64
