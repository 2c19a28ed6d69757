"""Known structures threaded onto an RNA: the hits of a template search, as atoms of the RNA's own residues."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from rna_predict.chemistry.chains import linked
from rna_predict.chemistry.residues import C1, C3, C4, MAX_ATOMS, RESIDUES
from rna_predict.contracts.record import Record, array
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import ContractError


class TemplateHit(NamedTuple):
    """A library chain that was aligned to the RNA. Shares are in [0, 1]; L counts the RNA's residues.

    Attributes:
        id: the chain's, in its library.
        cluster: sequence cluster that the library puts the chain in, or empty.
        date: day of deposition, YYYY-MM-DD, or empty.
        length: residues of the chain.
        identity: equal letters over aligned columns.
        query_identity: equal letters over L.
        coverage: aligned columns over L.
        score: alignment score over that of the RNA with itself.
        pair_agreement: F1 of the RNA's pairs and the chain's, carried over by the alignment, among aligned residues;
            1 where neither has any.
        expected_tm: expected TM-score (C3', over L) of the threaded residues.
        letters: L letters, the chain's residue that stands for each of the RNA's, `-` for none.
    """

    id: str
    cluster: str
    date: str
    length: int
    identity: float
    query_identity: float
    coverage: float
    score: float
    pair_agreement: float
    expected_tm: float
    letters: str

    @property
    def sentence(self) -> str:
        """One line for logs and headers."""
        return (
            f"{self.id} ({self.length} nt) covers {self.coverage:.0%}, identity {self.identity:.0%}, "
            f"expected TM-score {self.expected_tm:.2f}"
        )


STRETCH = "stretch"
"""Kind of a `MotifHit` that is no loop alone."""


class MotifHit(NamedTuple):
    """A loop of a library chain that stands for one of the RNA's, with the pairs that border it; or a stretch of it.

    Attributes:
        id: the chain's, in its library.
        kind: of the loop, `hairpin`, `internal` (bulges too) or `multiloop`; `stretch` of what reads like the RNA.
        start: where its residues begin in the motifs' arrays.
        size: number of its residues.
        similarity: of the letters, in [0, 1].
        agreement: mean lDDT of the known loop with others of similar letters; of a stretch, the share of its pairs
            that the RNA has; in [0, 1].
        expected_lddt: of these residues.
        letters: `size` letters, the chain's residues.
    """

    id: str
    kind: str
    start: int
    size: int
    similarity: float
    agreement: float
    expected_lddt: float
    letters: str

    @property
    def sentence(self) -> str:
        """One line for logs and headers."""
        return f"{self.kind} of {self.id} ({self.letters}), expected lDDT {self.expected_lddt:.2f}"


class Motif(NamedTuple):
    """A known loop on the RNA.

    Attributes:
        hit: what it is.
        residue_N: int32 [N], the RNA's residues.
        xyz_NA3: float32 [N, MAX_ATOMS, 3], Å, in a coordinate system of its own.
        mask_NA: bool [N, MAX_ATOMS].
        linked_N: bool [N-1], residues n and n + 1 of this list are bound.
    """

    hit: MotifHit
    residue_N: np.ndarray
    xyz_NA3: np.ndarray
    mask_NA: np.ndarray
    linked_N: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateHits(Record):
    """K known structures on one RNA, the highest expected TM-score first, and known loops; K may be 0.

    Each template lies in a coordinate system of its own: nothing is superposed. `provenance.inputs` names
    `a_adjacency`, which the search saw, and `library`.

    Attributes:
        xyz_KLA3: float32 [K, L, MAX_ATOMS, 3], Å, in the slots of the RNA's own residue (`chemistry.residues.ATOMS`):
            phosphate and sugar as the template has them, and the base: the template's own where the letter is the
            same, else the standard base on the template's base frame. 0 where `mask_KLA` is False.
        mask_KLA: bool [K, L, MAX_ATOMS], atoms that are there. Where `mask_KL` holds, the base is complete and
            C1', C3', C4' are there; phosphate and other sugar atoms as far as the experiment saw them.
        mask_KL: bool [K, L], the residue is aligned to a residue of the template that the experiment saw.
        position_KL: int32 [K, L], 0-based position in its chain of the residue that was aligned; -1 where `mask_KL`
            is False.
        linked_KL: bool [K, L-1], residues i and i + 1 lie on neighbours in the template's chain, O3' bound to P: their
            geometry can be taken over as it is.
        hits: what the hits are, in order.
        motif_residue_N: int32 [N], the RNA's residues of all known loops, one loop after the other. A residue of a pair
            between two loops may be in both.
        motif_xyz_NA3: float32 [N, MAX_ATOMS, 3], Å, atoms as in `xyz_KLA3`; each loop lies in a system of its own.
        motif_mask_NA: bool [N, MAX_ATOMS], as `mask_KLA` of residues that are there.
        motif_linked_N: bool [N], the residue is bound to the next one of the list.
        motifs: what the loops are, the highest expected lDDT first.
    """

    VERSION: ClassVar[int] = 2
    SCHEMA: ClassVar[str] = "rna_predict.templates"
    STAGE: ClassVar[str] = "templates"

    xyz_KLA3: np.ndarray = array("float32")
    mask_KLA: np.ndarray = array("bool")
    mask_KL: np.ndarray = array("bool")
    position_KL: np.ndarray = array("int32")
    linked_KL: np.ndarray = array("bool")
    hits: tuple[TemplateHit, ...] = ()
    motif_residue_N: np.ndarray = array("int32", empty=(0,))
    motif_xyz_NA3: np.ndarray = array("float32", empty=(0, MAX_ATOMS, 3))
    motif_mask_NA: np.ndarray = array("bool", empty=(0, MAX_ATOMS))
    motif_linked_N: np.ndarray = array("bool", empty=(0,))
    motifs: tuple[MotifHit, ...] = ()

    def __post_init__(self) -> None:
        """Raise ContractError when shapes, masks, order or a hit break a rule above."""
        Record.__post_init__(self)
        self._check_hits()
        self._check_motifs()
        count, length = len(self.hits), self.length
        self.expect_shape("xyz_KLA3", (count, length, MAX_ATOMS, 3))
        self.expect_shape("mask_KLA", (count, length, MAX_ATOMS))
        self.expect_shape("mask_KL", (count, length))
        self.expect_shape("position_KL", (count, length))
        self.expect_shape("linked_KL", (count, length - 1))
        full_LA = full_mask(self.sequence)
        if (self.mask_KLA & ~(full_LA & self.mask_KL[..., None])).any():
            raise ContractError(f"mask_KLA of {self.id}: an atom of a residue that is not aligned or does not have it")
        base_LA = full_LA & (np.arange(MAX_ATOMS) >= C1)
        needed_LA = base_LA | np.isin(np.arange(MAX_ATOMS), (C3, C4))
        if (self.mask_KL[..., None] & needed_LA & ~self.mask_KLA).any():
            raise ContractError(f"mask_KLA of {self.id}: an aligned residue lacks C1', C3', C4' or an atom of its base")
        if self.xyz_KLA3[~self.mask_KLA].any():
            raise ContractError(f"xyz_KLA3 of {self.id}: an atom that is masked out is not zero")
        if ((self.position_KL == -1) != ~self.mask_KL).any():
            raise ContractError(f"position_KL of {self.id}: must be -1 where, and only where, nothing is aligned")
        linkable_KL = self.mask_KL[:, :-1] & self.mask_KL[:, 1:] & linked(length, self.breaks)
        if (self.linked_KL & ~linkable_KL).any():
            raise ContractError(f"linked_KL of {self.id}: links a residue that is not aligned, or two chains")

    def _check_hits(self) -> None:
        """From a file they come as lists."""
        try:
            hits = tuple(TemplateHit(*one) for one in self.hits)
        except TypeError as error:
            raise ContractError(f"hits of {self.id}: {error}") from error
        shares = ("identity", "query_identity", "coverage", "pair_agreement", "expected_tm")
        for hit in hits:
            if not all(0 <= getattr(hit, name) <= 1 for name in shares):
                raise ContractError(f"hits of {self.id}: {hit.id} has a share outside [0, 1]")
            if len(hit.letters) != self.length or set(hit.letters) - {*RESIDUES, "-"}:
                raise ContractError(f"hits of {self.id}: the letters of {hit.id} are not {self.length} of {RESIDUES}-")
        expected = [hit.expected_tm for hit in hits]
        if expected != sorted(expected, reverse=True):
            raise ContractError(f"hits of {self.id}: not in the order of their expected TM-scores")
        object.__setattr__(self, "hits", hits)

    def _check_motifs(self) -> None:
        """From a file they come as lists."""
        try:
            motifs = tuple(MotifHit(*one) for one in self.motifs)
        except TypeError as error:
            raise ContractError(f"motifs of {self.id}: {error}") from error
        total = sum(motif.size for motif in motifs)
        self.expect_shape("motif_residue_N", (total,))
        self.expect_shape("motif_xyz_NA3", (total, MAX_ATOMS, 3))
        self.expect_shape("motif_mask_NA", (total, MAX_ATOMS))
        self.expect_shape("motif_linked_N", (total,))
        start = 0
        for motif in motifs:
            letters_fit = len(motif.letters) == motif.size and not set(motif.letters) - set(RESIDUES)
            if motif.start != start or motif.size < 2 or not letters_fit:
                raise ContractError(f"motifs of {self.id}: {motif.id} at {motif.start} is not {motif.size} residues")
            if not all(0 <= value <= 1 for value in (motif.similarity, motif.agreement, motif.expected_lddt)):
                raise ContractError(f"motifs of {self.id}: {motif.id} has a share outside [0, 1]")
            own_N = self.motif_residue_N[start : start + motif.size]
            if len(set(own_N.tolist())) < motif.size or own_N.min() < 0 or own_N.max() >= self.length:
                raise ContractError(
                    f"motif_residue_N of {self.id}: {motif.id} names a residue twice or one that is none"
                )
            start += motif.size
        full_NA = full_mask(self.sequence)[self.motif_residue_N]
        if (self.motif_mask_NA & ~full_NA).any() or self.motif_xyz_NA3[~self.motif_mask_NA].any():
            raise ContractError(f"motif_mask_NA of {self.id}: an atom that its residue lacks, or one not at zero")
        expected = [motif.expected_lddt for motif in motifs]
        if expected != sorted(expected, reverse=True):
            raise ContractError(f"motifs of {self.id}: not in the order of their expected lDDT")
        object.__setattr__(self, "motifs", motifs)

    @property
    def count(self) -> int:
        """K, number of hits."""
        return len(self.hits)

    @property
    def any(self) -> bool:
        """Whether anything was found."""
        return bool(self.hits or self.motifs)

    @property
    def known_loops(self) -> list[Motif]:
        """The known loops with their arrays, the most trusted first."""
        found = []
        for hit in self.motifs:
            own = slice(hit.start, hit.start + hit.size)
            found.append(
                Motif(
                    hit=hit,
                    residue_N=self.motif_residue_N[own],
                    xyz_NA3=self.motif_xyz_NA3[own],
                    mask_NA=self.motif_mask_NA[own],
                    linked_N=self.motif_linked_N[own][:-1],
                )
            )
        return found
