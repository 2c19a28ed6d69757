"""Parents of modified RNA residues, from the PDB chemical component dictionary (CCD, CC0).

`modified_residues.json` was written by `python -m rna_predict.formats.modified_residues` with biotite's copy of the
CCD; a test compares the two. Rule: every component of a type `RNA …` that has a ribose (C1' to C4', O4') and whose
parent follows from, in this order, the CCD's parent (deoxy parents and T count as their ribose letter), the CCD's
one-letter code, the base's exocyclic atoms (N6 A, O6 G, N4 C, O4 U).
"""

import json
import re
import sys
from functools import cache
from importlib.resources import files

from rna_predict.chemistry.residues import RESIDUES

TABLE = "modified_residues.json"

ALIASES: dict[str, str] = {
    # Inosine pairs as guanosine and shares its atoms but N2.
    "I": "G",
    # 5' nucleotides of transcripts: the CCD does not class them as RNA links.
    **{"GTP": "G", "GDP": "G", "ATP": "A", "ADP": "A", "CTP": "C", "CDP": "C", "UTP": "U", "UDP": "U"},
    **{"G5P": "G", "5GP": "G", "AMP": "A", "C5P": "C", "U5P": "U"},
    # Amber (RNA.OL3 and older) and CHARMM names of the four residues and of the chain's ends.
    **{f"R{letter}{end}": letter for letter in RESIDUES for end in ("", "3", "5", "N")},
    **{f"{letter}{end}": letter for letter in RESIDUES for end in ("3", "5", "N")},
    **{"ADE": "A", "CYT": "C", "GUA": "G", "URA": "U"},
}
"""Names outside the CCD's RNA components that stand for one of the four residues when bound into a chain."""

_LETTER = {"A": "A", "C": "C", "G": "G", "U": "U", "T": "U", "DA": "A", "DC": "C", "DG": "G", "DU": "U", "DT": "U"}
_EXOCYCLIC = {"N6": "A", "O6": "G", "N4": "C", "O4": "U"}
_RIBOSE = {"C1'", "C2'", "C3'", "C4'", "O4'"}


@cache
def parent_table() -> dict[str, str]:
    """Parent letter (A C G U) of each modified residue name, aliases included."""
    text = files("rna_predict.formats").joinpath(TABLE).read_text(encoding="utf-8")
    return json.loads(text) | ALIASES


MODOMICS = {"D": "U", "Y": "U", "Ym": "U", "T": "U", "I": "G", "m1I": "G", "Im": "G", "Q": "G", "yW": "G"}
"""Short names of MODOMICS whose last letter is not the parent's."""

_SHORT = re.compile(r"[a-z0-9,]*([ACGU])m?")


def parent_of_name(name: str) -> str | None:
    """Parent letter (A C G U) of a modified nucleotide, None for an unknown name.

    Args:
        name: of the PDB's component dictionary (`PSU`, `5MC`, `H2U`), or a short name of MODOMICS (`m1A`, `Um`,
            `mnm5s2U`, `D`), whose capital letter is the parent.
    """
    found = parent_table().get(name) or MODOMICS.get(name)
    if found is None and (short := _SHORT.fullmatch(name)):
        return short[1]
    return found


def table_from_ccd() -> dict[str, str]:
    """The table as the CCD gives it now; needs biotite (extra `test`) and about 1 GB for some seconds."""
    from biotite.structure.info.ccd import get_ccd

    ccd = get_ccd()
    component, atom = ccd["chem_comp"], ccd["chem_comp_atom"]
    atoms: dict[str, set[str]] = {}
    for name, atom_name in zip(atom["comp_id"].as_array(), atom["atom_id"].as_array(), strict=True):
        atoms.setdefault(str(name), set()).add(str(atom_name))
    columns = ("id", "type", "mon_nstd_parent_comp_id", "one_letter_code")
    table: dict[str, str] = {}
    for name, kind, parent, letter in zip(*(component[column].as_array(str) for column in columns), strict=True):
        names = atoms.get(str(name), set())
        if not kind.upper().startswith("RNA") or not names >= _RIBOSE or name in (*RESIDUES, "N"):
            continue
        found = _LETTER.get(parent) or _LETTER.get(letter) or _from_base(names)
        if found:
            table[str(name)] = found
    return dict(sorted(table.items()))


def _from_base(names: set[str]) -> str | None:
    letters = {letter for name, letter in _EXOCYCLIC.items() if name in names}
    return letters.pop() if len(letters) == 1 else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(table_from_ccd(), indent=0) + "\n")
