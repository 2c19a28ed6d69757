"""Two small families in Stockholm, and the library that is made of them."""

import random
from pathlib import Path

import pytest

from rna_predict.families.build import BuildSettings, build_library
from rna_predict.families.library import FamilyLibrary
from rna_predict.families.seeds import read_seeds

KNOT = "GGCACCUCUAGCUUCGGCUAGAUGCCUUUUAGG"
"""Consensus of RF90001, with a pseudoknot: see `KNOT_STRUCTURE`."""
KNOT_STRUCTURE = "((((AAA<<<<<____>>>>>:))))____aaa"
HAIRPIN = "GACUGCAGGAUCCUUACGGAUCCUGCAGUC"
HAIRPIN_STRUCTURE = "((((((((((((______))))))))))))"

CHANGES = {"A": "U", "U": "A", "C": "G", "G": "C"}


def family(accession: str, name: str, consensus: str, structure: str, rows: int = 12) -> str:
    """A Stockholm record whose rows keep pairs but not letters; column 5 of the file is an insertion of row 1."""
    partner: dict[int, int] = {}
    opened: dict[str, list[int]] = {}
    for n, mark in enumerate(structure):
        if mark in "(<A":
            opened.setdefault(mark, []).append(n)
        elif mark in ")>a":
            other = opened[{")": "(", ">": "<", "a": "A"}[mark]].pop()
            partner[n], partner[other] = other, n
    generator = random.Random(accession)
    lines = ["# STOCKHOLM 1.0", f"#=GF AC {accession}", f"#=GF ID {name}", f"#=GF DE {name} family", "#=GF TP Gene;"]
    for row in range(rows):
        letters = list(consensus)
        for n in range(len(letters)):
            if row and partner.get(n, n) >= n and generator.random() < 0.25:
                other = partner.get(n)
                letters[n] = CHANGES[letters[n]]
                if other is not None:
                    letters[other] = CHANGES[letters[other]]
        text = "".join(letters)
        lines.append(f"row{row}/1-{len(text)} {text[:5] + ('A' if row == 1 else '-') + text[5:]}")
    lines.append(f"#=GC SS_cons {structure[:5]}.{structure[5:]}")
    lines.append(f"#=GC RF {consensus[:5]}.{consensus[5:]}")
    return "\n".join([*lines, "//", ""])


@pytest.fixture(scope="session")
def seeds_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stockholm file with two families, the later accession first."""
    path = tmp_path_factory.mktemp("seeds") / "Rfam.seed"
    records = [
        family("RF90002", "Hairpin", HAIRPIN, HAIRPIN_STRUCTURE),
        family("RF90001", "Knot", KNOT, KNOT_STRUCTURE),
    ]
    path.write_text("".join(records))
    return path


@pytest.fixture(scope="session")
def library(seeds_file: Path) -> FamilyLibrary:
    """The two families as a library."""
    return build_library(read_seeds(seeds_file), BuildSettings(release="Rfam test"), {"licence": "CC0-1.0"})
