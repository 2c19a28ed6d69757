"""From a sequence, and an alignment where there is one, to the tensors that the networks read.

`featurise` makes one RNA's `Features` (batch of 1), `collate` pads several into one batch. What it does is what
Protenix 2.0 feeds for a chain of RNA (AF3 supplement, table 5): residue 1 of a chain keeps OP3, there are no
hydrogens, and each residue's reference conformer is centred on the atoms that are there, shifted by up to 1 Å along
each axis and turned at random. `slots.to_slots(flat_SA3, features)` and `slots.from_slots(xyz_SLA3, features)` lead
from the flat atoms to the package's atom slots and back.

Rows of the alignment. Protenix puts the query before the alignment's rows, of which it is the first, so public weights
know the query twice, and twice also where there is no alignment; the outer product mean depends on the number of
rows, so both are kept. The profile counts the query once. Deviations: T counts as U, an RNA of 4 nucleotides or fewer
keeps its alignment, and the MSA module takes all rows where Protenix draws some of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from rna_predict.chemistry.chains import split_chains
from rna_predict.chemistry.conformers import FIRST_ONLY, NAME_LENGTH, Conformer, reference_conformers
from rna_predict.chemistry.letters import GAP_ID, letter_ids
from rna_predict.chemistry.residues import CHI_FOURTH, RESIDUES, residue_codes
from rna_predict.errors import ContractError
from rna_predict.nn.architecture import RESTYPES
from rna_predict.nn.features import AlignmentFeatures, Features
from rna_predict.nn.msa import query_alone

MAX_ROWS = 16384
"""Most rows that the MSA module gets, the doubled query included (Protenix)."""

MAX_DELETION = 127
"""Deletions before a column that the MSA module can tell from more; Protenix stores them in int8."""

MAX_SHIFT = 1.0
"""Å along each axis by which a reference conformer is moved off the origin."""

PADDING = {"ref_element_BA": 1}
"""What stands in padded entries where 0 is no value that can occur (an atomic number); elsewhere 0."""

MAX_COMPONENT_ATOMS = 24
"""Heavy atoms of G with OP3, the largest of the four."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentRows:
    """An alignment as plain numbers, the query first, duplicates removed.

    Attributes:
        residue_ML: letters as `chemistry.letters` numbers them.
        deletion_ML: residues deleted before each column, a count.
    """

    residue_ML: np.ndarray
    deletion_ML: np.ndarray


def featurise(
    sequence: str, *, seed: int, alignment: AlignmentRows | None = None, breaks: tuple[int, ...] = ()
) -> Features:
    """Features of one RNA, B = 1, on the CPU, floats in float32.

    Args:
        sequence: letters A C G U.
        seed: not negative; decides how the reference conformers are shifted and turned. A residue is turned the same
            way whatever follows it.
        alignment: its first row must be the sequence, of all chains; None for none.
        breaks: first residue of each chain but the first.

    Raises:
        ContractError: the sequence is empty or has another letter, or the alignment does not fit it.
    """
    try:
        letter_L = letter_ids(sequence)
    except ValueError as error:
        raise ContractError(f"featurise: {error}") from error
    if not len(letter_L):
        raise ContractError("featurise: the sequence is empty")
    rows = _checked(alignment, letter_L)
    profile_LT, deletion_mean_L = _profile(rows)
    atoms = _atoms(sequence, seed, [0, *breaks])
    tokens = {
        "token_mask_BL": np.ones(len(letter_L), dtype=bool),
        "restype_BL": letter_L,
        "profile_BLT": profile_LT,
        "deletion_mean_BL": deletion_mean_L,
        **_chains(split_chains(sequence, breaks)),
    }
    return Features(**{name: _tensor(value) for name, value in (tokens | atoms).items()}, alignment=_stacked(rows))


def _chains(chains: list[str]) -> dict[str, np.ndarray]:
    """Numbers of residues, chains, entities and copies."""
    different = list(dict.fromkeys(chains))
    length = [len(chain) for chain in chains]
    return {
        "residue_index_BL": np.concatenate([np.arange(1, count + 1) for count in length]),
        "chain_BL": np.repeat(np.arange(len(chains)), length),
        "entity_BL": np.repeat([different.index(chain) for chain in chains], length),
        "copy_BL": np.repeat([chains[:k].count(chain) for k, chain in enumerate(chains)], length),
    }


def collate(batch: Sequence[Features]) -> Features:
    """One batch of several, padded to the longest RNA, most atoms and deepest alignment; the masks are False there.

    An RNA without alignment in a batch where another has one gets the query as its one row, which is what the MSA
    module takes for it alone.

    Raises:
        ContractError: the batch is empty.
    """
    if not batch:
        raise ContractError("collate: no features to put together")
    columns = max(one.token_mask_BL.shape[1] for one in batch)
    size = {"L": columns, "A": max(one.atom_mask_BA.shape[1] for one in batch)}
    merged = {}
    for name in (field.name for field in fields(Features) if field.name != "alignment"):
        axis = name.rpartition("_")[2][1]  # the letter after B says what the axis counts
        merged[name] = torch.cat([_padded(getattr(one, name), [size[axis]], PADDING.get(name, 0)) for one in batch])
    aligned = any(one.alignment is not None for one in batch)
    rows = [one.alignment or query_alone(one) for one in batch] if aligned else []
    return Features(**merged, alignment=_collated(rows, columns) if aligned else None)


def _collated(alignments: list[AlignmentFeatures], columns: int) -> AlignmentFeatures:
    depth = max(one.mask_BM.shape[1] for one in alignments)
    return AlignmentFeatures(
        residue_BML=torch.cat([_padded(one.residue_BML, [depth, columns], GAP_ID) for one in alignments]),
        deletion_BML=torch.cat([_padded(one.deletion_BML, [depth, columns], 0) for one in alignments]),
        mask_BM=torch.cat([_padded(one.mask_BM, [depth], 0) for one in alignments]),
    )


def _padded(values: Tensor, sizes: list[int], fill: int) -> Tensor:
    """`values` with its axes after the first filled up to `sizes` at their ends."""
    shape = list(values.shape)
    shape[1 : 1 + len(sizes)] = sizes
    padded = values.new_full(shape, fill)
    padded[tuple(slice(length) for length in values.shape)] = values
    return padded


def _checked(alignment: AlignmentRows | None, letter_L: np.ndarray) -> AlignmentRows:
    if alignment is None:
        return AlignmentRows(residue_ML=letter_L[None], deletion_ML=np.zeros_like(letter_L[None]))
    residue_ML, deletion_ML = alignment.residue_ML, alignment.deletion_ML
    if residue_ML.ndim != 2 or residue_ML.shape != deletion_ML.shape or residue_ML.shape[1] != len(letter_L):
        shapes = f"letters {residue_ML.shape} and deletions {deletion_ML.shape}"
        raise ContractError(f"featurise: the alignment has {shapes}, the sequence {len(letter_L)} residues")
    if not len(residue_ML) or (residue_ML[0] != letter_L).any():
        raise ContractError("featurise: the alignment's first row is not the sequence")
    if residue_ML.max() >= RESTYPES or residue_ML.min() < 0 or deletion_ML.min() < 0:
        raise ContractError(f"featurise: the alignment has a letter outside 0-{RESTYPES - 1} or a negative deletion")
    return alignment


def _profile(rows: AlignmentRows) -> tuple[np.ndarray, np.ndarray]:
    """Share of each letter in each column [L, 32], and the mean deletions before it [L]."""
    depth, length = rows.residue_ML.shape
    count_LT = np.zeros((length, RESTYPES))
    for letter in np.unique(rows.residue_ML):
        count_LT[:, letter] = (rows.residue_ML == letter).sum(axis=0)
    return count_LT / depth, rows.deletion_ML.mean(axis=0)


def _stacked(rows: AlignmentRows) -> AlignmentFeatures:
    """The query, then the alignment's rows, the query again among them."""
    taken = [0, *range(min(len(rows.residue_ML), MAX_ROWS - 1))]
    return AlignmentFeatures(
        residue_BML=_tensor(rows.residue_ML[taken].astype(np.int64)),
        deletion_BML=_tensor(np.minimum(rows.deletion_ML[taken], MAX_DELETION).astype(np.float32)),
        mask_BM=torch.ones(1, len(taken), dtype=torch.bool),
    )


@dataclass(frozen=True, slots=True)
class _ComponentTable:
    """The four components side by side, K = 24 atoms each; rows follow `RESIDUES`, and padding is zero."""

    count_R: np.ndarray
    element_RK: np.ndarray
    charge_RK: np.ndarray
    name_RK4: np.ndarray
    position_RK3: np.ndarray
    distogram_R: np.ndarray


@lru_cache(maxsize=1)
def _component_table() -> _ComponentTable:
    conformers = [reference_conformers()[letter] for letter in RESIDUES]
    atoms = MAX_COMPONENT_ATOMS

    def side_by_side(parts: Iterable[np.ndarray], *width: int) -> np.ndarray:
        columns = list(parts)
        table = np.zeros((len(columns), atoms, *width), dtype=columns[0].dtype)
        for row, column in zip(table, columns, strict=True):
            row[: len(column)] = column
        return table

    return _ComponentTable(
        count_R=np.array([len(one.atoms) for one in conformers]),
        element_RK=side_by_side(one.element_A for one in conformers),
        charge_RK=side_by_side(one.charge_A for one in conformers),
        name_RK4=side_by_side((one.name_A4 for one in conformers), NAME_LENGTH),
        position_RK3=side_by_side((one.position_A3 for one in conformers), 3),
        distogram_R=np.array(
            [_rank(one, CHI_FOURTH[letter]) for letter, one in zip(RESIDUES, conformers, strict=True)]
        ),
    )


def _rank(conformer: Conformer, atom: str) -> int:
    return conformer.atoms.index(atom)


def _atoms(sequence: str, seed: int, firsts: list[int]) -> dict[str, np.ndarray]:
    """The fields that are indexed by atoms, and the distogram atom of each residue."""
    table, code_L = _component_table(), residue_codes(sequence)
    there_LK = np.arange(MAX_COMPONENT_ATOMS) < table.count_R[code_L, None]
    inside_L = ~np.isin(np.arange(len(code_L)), firsts)
    there_LK[inside_L, _rank(reference_conformers()["A"], FIRST_ONLY)] = False
    token_A, rank_A = np.nonzero(there_LK)
    code_A = code_L[token_A]
    index_LK = there_LK.ravel().cumsum().reshape(there_LK.shape) - 1
    return {
        "atom_mask_BA": np.ones(len(token_A), dtype=bool),
        "atom_token_BA": token_A,
        "atom_slot_BA": rank_A - 1,
        "atom_rank_BA": rank_A,
        "ref_pos_BA3": _moved(table.position_RK3[code_L], there_LK, seed)[token_A, rank_A],
        "ref_charge_BA": table.charge_RK[code_A, rank_A].astype(np.float64),
        "ref_element_BA": table.element_RK[code_A, rank_A],
        "ref_name_BA4": table.name_RK4[code_A, rank_A],
        "distogram_atom_BL": index_LK[np.arange(len(code_L)), table.distogram_R[code_L]],
    }


def _moved(position_LK3: np.ndarray, there_LK: np.ndarray, seed: int) -> np.ndarray:
    """Each residue's conformer with its centre at a random point near the origin, turned at random about the origin."""
    weight_LK1 = there_LK[..., None] / there_LK.sum(axis=1)[:, None, None]
    centre_L13 = (position_LK3 * weight_LK1).sum(axis=1, keepdims=True)
    shifts, turns = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    shift_L13 = shifts.uniform(-MAX_SHIFT, MAX_SHIFT, (len(position_LK3), 1, 3))
    turn_L33 = Rotation.from_quat(turns.standard_normal((len(position_LK3), 4))).as_matrix()
    return (position_LK3 - centre_L13 + shift_L13) @ turn_L33.transpose(0, 2, 1)


def _tensor(values: np.ndarray) -> Tensor:
    """With a batch axis of 1; floats become float32."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))[None]
    return tensor.float() if tensor.is_floating_point() else tensor
