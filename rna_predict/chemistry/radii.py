"""Van der Waals radii of heavy atoms, and which atoms can bind hydrogen to each other."""

VDW_RADIUS: dict[str, float] = {"C": 1.70, "N": 1.55, "O": 1.52, "P": 1.80}
"""Å, Bondi, J. Phys. Chem. 68 (1964) 441, table I. Hydrogens are not added to the radius of their heavy atom."""

CLASH_OVERLAP = 0.4
"""Å by which two spheres may overlap before they clash; Word et al., J. Mol. Biol. 285 (1999) 1711 (MolProbity)."""

HYDROGEN_BOND_ALLOWANCE = 0.3
"""Å by which a donor and an acceptor may come closer than other atoms before they clash.

Probe (Word et al., J. Mol. Biol. 285 (1999) 1711) lets the polar hydrogen (1.00 Å) and the acceptor (1.40 Å) overlap
by 0.6 Å and calls 0.4 Å more a clash: hydrogen to acceptor under 1.40 Å, in a straight bond 2.36-2.40 Å between the
heavy atoms, against 2.64-2.70 Å for the same atoms by Bondi's radii and 0.4 Å alone.
"""

DONORS: dict[str, frozenset[str]] = {
    "A": frozenset({"O2'", "N6"}),
    "C": frozenset({"O2'", "N4"}),
    "G": frozenset({"O2'", "N1", "N2"}),
    "U": frozenset({"O2'", "N3"}),
}
"""Heavy atoms that carry a polar hydrogen (neutral bases; 3' and 5' end hydroxyls left out)."""

ACCEPTORS: dict[str, frozenset[str]] = {
    residue: frozenset({"OP1", "OP2", "O5'", "O4'", "O3'", "O2'"}) | base
    for residue, base in {
        "A": frozenset({"N1", "N3", "N7"}),
        "C": frozenset({"O2", "N3"}),
        "G": frozenset({"O6", "N3", "N7"}),
        "U": frozenset({"O2", "O4"}),
    }.items()
}
"""Heavy atoms with a free electron pair that a hydrogen can point at."""
