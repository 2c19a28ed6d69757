"""Faults 10 and 11: structure files that are damaged or odd, and the two formats of one structure."""

import gzip
import json
import math

import pytest

NATIVE = "1duh_A"


def native_text(chains_dir) -> str:
    return gzip.decompress((chains_dir / f"{NATIVE}.pdb.gz").read_bytes()).decode()


def edited(text: str, change) -> str:
    """The PDB with `change(number, line)` for each of its ATOM lines; None leaves one out."""
    lines, number = [], 0
    for line in text.splitlines():
        if line.startswith("ATOM"):
            number += 1
        lines.append(change(number, line) if line.startswith("ATOM") else line)
    return "\n".join(line for line in lines if line is not None) + "\n"


def at(which: int, change):
    return lambda number, line: change(line) if number == which else line


def second_place(number: int, line: str) -> str:
    """The residue of the first atoms stands in two places; the second, rarer one is far off."""
    if number > 20:
        return line
    far = f"{float(line[30:38]) + 40:8.3f}"
    return f"{line[:16]}A{line[17:54]}  0.80{line[60:]}\n{line[:16]}B{line[17:30]}{far}{line[38:54]}  0.20{line[60:]}"


FAULTS = {
    "nan": (at(30, lambda line: line[:30] + "     nan" + line[38:]), "unreadable_prediction", "nan"),
    "far": (at(30, lambda line: line[:30] + "   1.0e8" + line[38:]), "unreadable_prediction", "1e+08"),
    "twice": (at(30, lambda line: f"{line}\n{line}"), "unreadable_prediction", "occurs twice"),
    "bare": (lambda number, line: None if line[12:16].strip() in ("P", "OP1", "OP2", "C4'") else line, "scored", ""),
    "altlocs": (second_place, "scored", ""),
    "inserted": (lambda number, line: line[:26] + "A" + line[27:], "scored", ""),
}
"""A change of each atom of a native, the status of the result, and what the reason says."""


def with_unknown(text: str) -> str:
    """A residue in the middle of the strand by a name that is no nucleotide's."""
    numbers = [line[22:26] for line in text.splitlines() if line.startswith("ATOM")]
    middle = numbers[len(numbers) // 2]
    return edited(text, lambda _, line: line[:17] + "ZZZ" + line[20:] if line[22:26] == middle else line)


WHOLE = {
    "unknown": (with_unknown, "unreadable_prediction", "no known nucleotide"),
    "html": (lambda text: "<html>404</html>\n", "unreadable_prediction", "HTML"),
    "no atoms": (lambda text: "REMARK\nEND\n", "unreadable_prediction", "0 atoms"),
    "one atom": (lambda text: edited(text, lambda number, line: line if number == 1 else None), "scored", ""),
}


@pytest.mark.parametrize("fault", [*FAULTS, *WHOLE])
def test_fault_10_structures(run, chains_dir, tmp_path, fault):
    text = native_text(chains_dir)
    change, status, said = FAULTS[fault] if fault in FAULTS else WHOLE[fault]
    content = edited(text, change) if fault in FAULTS else change(text)
    preds, natives = tmp_path / "preds", tmp_path / "natives"
    for folder in (preds, natives):
        folder.mkdir()
    (natives / "x.pdb").write_text(text)
    (preds / "x.pdb").write_text(content)
    result = run("evaluate", preds, natives)
    figures = json.loads(result.out.splitlines()[-1], parse_constant=lambda word: pytest.fail(f"{word} in the figures"))
    assert figures["targets"] == 1
    assert figures[status] == 1, result.out
    assert said in result.out
    assert result.code == (0 if status == "scored" else 1)
    assert all(math.isfinite(value) for value in figures.values() if isinstance(value, float))


def test_fault_11_pdb_and_mmcif(run, predicted, tmp_path):
    """Coordinates, B-factors and every measure of a prediction are those of its other format."""
    import numpy as np

    from rna_predict.formats.structure import read_structure
    from rna_predict.formats.structure_file import read_b_factors

    structures = {}
    for suffix in ("pdb", "cif"):
        folder = tmp_path / suffix
        folder.mkdir()
        (folder / f"hairpin.{suffix}").write_bytes((predicted / f"hairpin.{suffix}").read_bytes())
        structures[suffix] = read_structure(folder / f"hairpin.{suffix}")
    pdb, cif = structures["pdb"], structures["cif"]
    assert (pdb.sequence, pdb.length) == (cif.sequence, 12)
    assert np.array_equal(pdb.mask_LA, cif.mask_LA)
    assert np.array_equal(pdb.xyz_LA3, cif.xyz_LA3)
    b = {suffix: read_b_factors(tmp_path / suffix / f"hairpin.{suffix}", structures[suffix]) for suffix in structures}
    assert np.array_equal(b["pdb"], b["cif"])
    figures = [json.loads(run("geometry", *sorted((tmp_path / s).iterdir())).out.splitlines()[-1]) for s in structures]
    assert figures[0] == figures[1]
    scored = run("evaluate", tmp_path / "pdb", tmp_path / "cif")
    means = json.loads(scored.out.splitlines()[-1])
    assert (means["rmsd"], means["lddt"], means["mcq"]) == (pytest.approx(0, abs=1e-9), 1.0, pytest.approx(0, abs=1e-5))
