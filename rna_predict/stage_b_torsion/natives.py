"""Chains of known structure as the prior table sees them: pairs, torsions, C1' atoms, and a weight."""

import csv
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rna_predict.chemistry.residues import C1, SLOT
from rna_predict.contracts import Structure
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.contracts.loops import LoopDecomposition, decompose
from rna_predict.errors import InputError
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.formats.structure import read_structure
from rna_predict.geometry.numpy_measures import linked_in_space, measure_pucker, measure_torsions

logger = logging.getLogger(__name__)

PAIRING_ATOM = {"A": "N1", "G": "N1", "C": "N3", "U": "N3"}
CONTACT = 3.6
"""Å between `PAIRING_ATOM`s of two chains, below which a residue is taken as paired with the other chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeChain:
    """One chain.

    Attributes:
        id: id in the index.
        cluster: sequence cluster; chains of one cluster share a weight of 1.
        weight: 1 / number of the cluster's chains in use.
        sequence: letters of the residues present.
        partner_L: int [L], canonical pairs within the chain.
        loops: their decomposition.
        angle_L9: radians, α … χ, pucker phase, pucker amplitude; NaN where undefined or not to be learned from.
        c1_L3: Å, C1' atoms; NaN where missing or not to be learned from.
        segment_L: int [L], rises at each break of the chain.
    """

    id: str
    cluster: str
    weight: float
    sequence: str
    partner_L: np.ndarray
    loops: LoopDecomposition
    angle_L9: np.ndarray
    c1_L3: np.ndarray
    segment_L: np.ndarray


def index_rows(index_csv: Path, split: str) -> list[dict[str, str]]:
    """Rows of one split of the index (columns id, pdb_id, cluster80, split).

    Raises:
        InputError: a column is missing, or no row has this split.
    """
    with index_csv.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {"id", "pdb_id", "cluster80", "split"} - set(reader.fieldnames or ())
        if missing:
            raise InputError(f"{index_csv}: column {sorted(missing)[0]!r} is missing from the index")
        rows = [row for row in reader if row["split"] == split]
    if not rows:
        raise InputError(f"{index_csv}: no row has split {split!r}")
    return rows


def read_natives(chains_dir: Path, rows: list[dict[str, str]]) -> list[NativeChain]:
    """Read `<id>.pdb.gz` of every row; chains without a canonical pair of their own are left out.

    Those are strands of duplexes and single strands bound to something else: their secondary structure says nothing.
    Residues that pair with another chain of the same entry, and loops that hold a break, are masked.

    Raises:
        InputError: a file is missing or unreadable, or no chain is left.
    """
    structures = {row["id"]: read_structure(chains_dir / f"{row['id']}.pdb.gz", id=row["id"]) for row in rows}
    by_entry: dict[str, list[str]] = {}
    for row in rows:
        by_entry.setdefault(row["pdb_id"], []).append(row["id"])
    matched = {name: _matching(structure) for name, structure in structures.items()}
    kept = [row for row in rows if (matched[row["id"]] >= 0).any()]
    if not kept:
        raise InputError(f"{chains_dir}: none of {len(rows)} chains has a canonical pair within itself")
    sizes = Counter(row["cluster80"] for row in kept)
    chains = []
    for row in kept:
        others = [structures[name] for name in by_entry[row["pdb_id"]] if name != row["id"]]
        weight = 1 / sizes[row["cluster80"]]
        chains.append(_native(row, structures[row["id"]], matched[row["id"]], others, weight))
    logger.info("%d of %d chains in %d clusters have pairs of their own", len(kept), len(rows), len(sizes))
    return chains


def _matching(structure: Structure) -> np.ndarray:
    partner_L = np.full(structure.length, -1, dtype=np.int32)
    for i, j in annotate_pairs(structure).canonical:
        if j - i > MIN_LOOP:
            partner_L[i], partner_L[j] = j, i
    return partner_L


def _native(
    row: dict[str, str], structure: Structure, partner_L: np.ndarray, others: list[Structure], weight: float
) -> NativeChain:
    loops = decompose(partner_L)
    linked_L = structure.linked_L & linked_in_space(structure.xyz_LA3, structure.mask_LA)
    angle_L7, mask_L7 = measure_torsions(structure.xyz_LA3, structure.mask_LA, structure.sequence, linked_L)
    phase_L, amplitude_L, ring_L = measure_pucker(structure.xyz_LA3, structure.mask_LA, structure.sequence)
    pucker_L2 = np.where(ring_L[:, None], np.column_stack([phase_L, amplitude_L]), np.nan)
    angle_L9 = np.column_stack([np.where(mask_L7, angle_L7, np.nan), pucker_L2])
    c1_L3 = np.where(structure.mask_LA[:, C1, None], structure.xyz_LA3[:, C1], np.nan)
    foreign_L = _paired_elsewhere(structure, others) & (partner_L < 0)
    angle_L9[foreign_L | _broken_loops(loops, linked_L)] = np.nan
    c1_L3[foreign_L] = np.nan
    return NativeChain(
        id=row["id"],
        cluster=row["cluster80"],
        weight=weight,
        sequence=structure.sequence,
        partner_L=partner_L,
        loops=loops,
        angle_L9=angle_L9,
        c1_L3=c1_L3,
        segment_L=np.concatenate([[0], np.cumsum(~linked_L)]),
    )


def _pairing_atoms(structure: Structure) -> np.ndarray:
    slots = [SLOT[letter][PAIRING_ATOM[letter]] for letter in structure.sequence]
    rows = np.arange(structure.length)
    return np.where(structure.mask_LA[rows, slots][:, None], structure.xyz_LA3[rows, slots], np.nan)


def _paired_elsewhere(structure: Structure, others: list[Structure]) -> np.ndarray:
    """bool [L], True where another chain's pairing atom is near and that chain is not a copy in the same place."""
    own_L3 = _pairing_atoms(structure)
    foreign_L = np.zeros(structure.length, dtype=bool)
    for other in others:
        gap_LM = np.linalg.norm(own_L3[:, None] - _pairing_atoms(other), axis=-1)
        copy = np.nanmean(np.nan_to_num(gap_LM, nan=np.inf).min(axis=1) < 1.0) > 0.5
        if not copy:
            foreign_L |= (gap_LM < CONTACT).any(axis=1)
    return foreign_L


def _broken_loops(loops: LoopDecomposition, linked_L: np.ndarray) -> np.ndarray:
    """bool [L], True in loops that hold a break: their size is not what it seems."""
    ends = np.flatnonzero(~linked_L)
    broken = np.unique(np.concatenate([loops.loop_L[ends], loops.loop_L[ends + 1]]))
    return np.isin(loops.loop_L, broken[broken >= 0])
