"""What of a gemmi chain is RNA: conformers, residue names, and which residues are bound into the strand."""

from dataclasses import dataclass, field

import gemmi
import numpy as np

from rna_predict.chemistry.residues import ATOMS, RESIDUES
from rna_predict.formats.modified_residues import parent_table

DNA_NAMES = frozenset({"DA", "DC", "DG", "DT", "DU", "DI", "DN", "T"})
LINK = 2.5
"""Å; O3' and P nearer than this are bound (ideal 1.607), farther the strand is broken (facts: relax splits here)."""

_OLD_NAMES = {"O1P": "OP1", "O2P": "OP2", "O3P": "OP3"}

# Pseudouridine and its kin are bound to the ribose by C5. Turning the ring by half a turn about C1'...N3 puts every
# atom where uridine has one: C5 → N1, C4(O4) → C2(O2), C2(O2) → C4(O4), N1 → C5.
_C_GLYCOSIDE = {"C5": "N1", "N1": "C5", "C4": "C2", "C2": "C4", "O4": "O2", "O2": "O4"}


@dataclass(slots=True)
class Nucleotide:
    """One residue of a chain, conformer chosen, atom names modern.

    Attributes:
        kind: `rna`, `modified`, `dna`, `unknown` (perhaps a nucleotide) or `other` (water, ion, ligand, amino acid).
        parent: A C G U for `rna` and `modified`, else empty.
        atoms: heavy atoms by name, Å.
    """

    name: str
    number: int
    insertion: str
    kind: str
    parent: str
    atoms: dict[str, np.ndarray] = field(default_factory=dict)
    duplicate: str = ""

    @property
    def label(self) -> str:
        """Name and number for messages, e.g. `PSU 39` or `C 20A`."""
        return f"{self.name} {self.number}{self.insertion}"

    def kept(self) -> dict[str, np.ndarray]:
        """Atoms under the names of the parent's slots; what the parent does not have is left out."""
        names = _C_GLYCOSIDE if self._is_c_glycoside() else {}
        slots = ATOMS[self.parent]
        return {names.get(k, k): xyz for k, xyz in self.atoms.items() if names.get(k, k) in slots}

    def _is_c_glycoside(self) -> bool:
        if self.kind != "modified" or self.parent != "U" or not {"C1'", "C5", "N1"} <= self.atoms.keys():
            return False
        to_c5 = np.linalg.norm(self.atoms["C1'"] - self.atoms["C5"])
        return bool(to_c5 < 1.8 and to_c5 < np.linalg.norm(self.atoms["C1'"] - self.atoms["N1"]))


def nucleotides(chain: gemmi.Chain) -> list[Nucleotide]:
    """All residues of a chain in file order, classified; modified and unknown ones only as far as names tell."""
    groups: dict[tuple[int, str, str], list[gemmi.Residue]] = {}
    for residue in chain:
        # Under one number, residues of different names are conformers only where all their atoms have altlocs.
        name = "" if all(atom.has_altloc() for atom in residue) else residue.name
        groups.setdefault((residue.seqid.num or 0, residue.seqid.icode.strip(), name), []).append(residue)
    return [_nucleotide(key[:2], group) for key, group in groups.items()]


def _nucleotide(key: tuple[int, str], group: list[gemmi.Residue]) -> Nucleotide:
    """One position; several residues under one number (microheterogeneity) are conformers of each other."""
    weights: dict[str, float] = {}
    for residue in group:
        for atom in residue:
            if atom.has_altloc():
                weights[atom.altloc] = weights.get(atom.altloc, 0.0) + atom.occ
    best = min(weights, key=lambda letter: (-weights[letter], letter)) if weights else ""
    chosen = next((r for r in group if any(a.altloc == best for a in r)), group[0]) if best else group[0]
    name = chosen.name.strip().upper()
    kind, parent = classify(name)
    result = Nucleotide(name, key[0], key[1], kind, parent)
    if kind != "other":
        _fill(result, chosen, best)
    return result


def _fill(result: Nucleotide, residue: gemmi.Residue, best: str) -> None:
    """Take each heavy atom once: without altloc, else from the best conformer, else from the fullest other."""
    rank: dict[str, tuple[int, float]] = {}
    seen: set[tuple[str, str]] = set()
    for atom in residue:
        if atom.element.is_hydrogen:
            continue
        name = atom.name.strip().upper().replace("*", "'")
        name = _OLD_NAMES.get(name, name)
        altloc = atom.altloc if atom.has_altloc() else ""
        if (name, altloc) in seen:
            result.duplicate = name
        seen.add((name, altloc))
        order = (0 if altloc in ("", best) else 1, -atom.occ)
        if name not in rank or order < rank[name]:
            rank[name] = order
            result.atoms[name] = np.array(atom.pos.tolist())


def classify(name: str) -> tuple[str, str]:
    """Kind and parent letter of a residue name (see `Nucleotide`)."""
    if name in RESIDUES:
        return "rna", name
    if name in DNA_NAMES:
        return "dna", ""
    parent = parent_table().get(name)
    if parent:
        return "modified", parent
    known = gemmi.find_tabulated_residue(name)
    if known.found() and not known.is_nucleic_acid() and name != "UNK":
        return "other", ""
    return "unknown", ""


def bound_into_strand(residues: list[Nucleotide]) -> np.ndarray:
    """bool [n]: whether O3' or P of each residue is bound to another residue of the list (`LINK`)."""
    missing = np.full(3, np.nan)
    o3 = np.array([r.atoms.get("O3'", missing) for r in residues]).reshape(-1, 3)
    p = np.array([r.atoms.get("P", r.atoms.get("PA", missing)) for r in residues]).reshape(-1, 3)
    bound = np.zeros(len(residues), dtype=bool)
    for i, residue in enumerate(residues):
        if residue.kind in ("modified", "unknown"):
            to_next = np.linalg.norm(p - o3[i], axis=1)
            to_previous = np.linalg.norm(o3 - p[i], axis=1)
            to_next[i] = to_previous[i] = np.inf
            bound[i] = bool((to_next < LINK).any() or (to_previous < LINK).any())
    return bound
