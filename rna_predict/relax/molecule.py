"""A structure as OpenMM holds it, and back: hydrogens come and go, 5' phosphates wait outside.

OL3 ends a strand with O5'-H; there is no residue that begins with a phosphate. P, OP1 and OP2 of each strand's first
residue are therefore left out. They stand still, as do the three atoms that they hang on (O5', C5', C4'), so that they
fit where they were; other residues feel them as obstacles. (Put back on atoms that had moved by 0.2 Å, a phosphate
landed up to 1.5 Å away, in its neighbours.)
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rna_predict.chemistry.residues import ATOMS, BONDS, C4, C5, O3, O5, OP1, OP2, SLOT, P, element
from rna_predict.contracts import Structure
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import InputError
from rna_predict.geometry.numpy_measures import linked_in_space

if TYPE_CHECKING:
    from openmm.app import Topology

PHOSPHATE = (P, OP1, OP2)

NM = 0.1
"""Nanometres in an Å."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Molecule:
    """What OpenMM is given of a structure.

    Attributes:
        structure: all of it.
        first_L: bool [L], the residue begins a strand, so its phosphate waits outside.
        inside_LA: bool [L, MAX_ATOMS], atoms that are in the topology, in its order.
        topology: of the heavy atoms, a chain for each strand.
    """

    structure: Structure
    first_L: np.ndarray
    inside_LA: np.ndarray
    topology: "Topology"

    @property
    def nm_N3(self) -> np.ndarray:
        """Positions of the topology's atoms, nanometres."""
        return self.structure.xyz_LA3[self.inside_LA] * NM

    @property
    def outside(self) -> list[tuple[int, int]]:
        """Residue and slot of each atom of the phosphates that wait outside."""
        mask_LA = self.structure.mask_LA
        return [(int(i), slot) for i in np.flatnonzero(self.first_L) for slot in PHOSPHATE if mask_LA[i, slot]]

    @property
    def standing(self) -> list[int]:
        """Indices in the topology of O5', C5' and C4' that a 5' phosphate hangs on."""
        index_LA = np.cumsum(self.inside_LA.reshape(-1)).reshape(self.inside_LA.shape) - 1
        return [int(index_LA[i, slot]) for i in sorted({i for i, _ in self.outside}) for slot in (O5, C5, C4)]

    def with_positions(self, nm_N3: np.ndarray) -> Structure:
        """The structure with its heavy atoms at new positions, nanometres."""
        xyz_LA3 = self.structure.xyz_LA3.copy()
        xyz_LA3[self.inside_LA] = nm_N3 / NM
        return Structure(
            id=self.structure.id,
            sequence=self.structure.sequence,
            xyz_LA3=xyz_LA3,
            mask_LA=self.structure.mask_LA,
            number_L=self.structure.number_L,
            breaks=self.structure.breaks,
        )


def molecule_of(structure: Structure) -> Molecule:
    """Cut a structure into its strands, where numbers jump or O3'-P is wider than 2.5 Å.

    Raises:
        InputError: a residue lacks an atom that the force field needs.
    """
    from openmm.app import Element, Topology

    linked_L = structure.linked_L & linked_in_space(structure.xyz_LA3, structure.mask_LA)
    first_L = np.concatenate([[True], ~linked_L])
    inside_LA = full_mask(structure.sequence)
    inside_LA[:, PHOSPHATE] &= ~first_L[:, None]
    _check_whole(structure, inside_LA)
    topology = Topology()
    chain, atoms = None, {}
    for i, letter in enumerate(structure.sequence):
        chain = topology.addChain(str(i)) if first_L[i] else chain
        residue = topology.addResidue(letter, chain, str(structure.number_L[i]))
        for slot in np.flatnonzero(inside_LA[i]):
            name = ATOMS[letter][slot]
            atoms[i, int(slot)] = topology.addAtom(name, Element.getBySymbol(element(name)), residue)
        for one, other in BONDS[letter]:
            ends = [atoms.get((i, SLOT[letter][name])) for name in (one, other)]
            if None not in ends:
                topology.addBond(*ends)
        if not first_L[i]:
            topology.addBond(atoms[i - 1, O3], atoms[i, P])
    return Molecule(structure=structure, first_L=first_L, inside_LA=inside_LA, topology=topology)


def _check_whole(structure: Structure, needed_LA: np.ndarray) -> None:
    missing = np.argwhere(needed_LA & ~structure.mask_LA)
    if len(missing):
        i, slot = missing[0]
        letter = structure.sequence[i]
        raise InputError(
            f"{structure.id}: {letter} {structure.number_L[i]} lacks {ATOMS[letter][slot]} (and {len(missing) - 1} "
            "more atoms are missing); only whole molecules can be relaxed."
        )
