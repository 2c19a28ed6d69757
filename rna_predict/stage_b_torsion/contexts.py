"""Where a residue stands in its secondary structure, as keys from the most specific to the most general.

The prior table is looked up by these keys. `P` keys are for paired residues, `U` keys for unpaired ones. Whole-loop
keys (one medoid for all residues of a loop) were tried and did not pay: docs/decisions/0003-torsion-prior-table.md.
"""

from rna_predict.chemistry.chains import split_chains
from rna_predict.contracts.loops import LoopDecomposition

BROAD_HAIRPIN = 10
"""Hairpin loops of this many residues and more share their contexts."""
MAX_PLACE = 9
"""Strands up to this length number their residues from the 5' end; longer ones know only both ends."""


def tetraloop_family(loop: str) -> str:
    """Family of a four-residue hairpin loop: GNRA, UNCG, CUUG or `other`."""
    if len(loop) == 4:
        if loop[0] == "G" and loop[2] in "AG" and loop[3] == "A":
            return "GNRA"
        if loop[0] == "U" and loop[2:] == "CG":
            return "UNCG"
        if loop == "CUUG":
            return "CUUG"
    return "other"


def residue_keys(sequence: str, loops: LoopDecomposition, breaks: tuple[int, ...] = ()) -> list[tuple[str, ...]]:
    """Keys of every residue, most specific first; the last one, `P` or `U`, is in every table.

    Args:
        sequence: letters of all chains.
        loops: their places.
        breaks: first residue of each chain but the first; residues see nothing beyond their chain's ends.
    """
    triplets = [f"-{chain}-"[i : i + 3] for chain in split_chains(sequence, breaks) for i in range(len(chain))]
    return [
        _paired(sequence, loops, i, triplet) if loops.stem_L[i] >= 0 else _unpaired(sequence, loops, i, triplet)
        for i, triplet in enumerate(triplets)
    ]


def loop_token(sequence: str, loops: LoopDecomposition, residue: int) -> tuple[str, str]:
    """Fine and coarse name of the loop that an unpaired residue lies in, e.g. `H4GNRA` and `H`, `I2x3` and `I`.

    Multiloops and the external loop are told apart by the length of the residue's own strand.
    """
    loop = loops.loops[int(loops.loop_L[residue])]
    coarse = loop.kind[0].upper()
    if loop.kind == "hairpin":
        start, stop = loop.strands[0]
        family = tetraloop_family(sequence[start:stop]) if loop.size == 4 else ""
        return f"{coarse}{min(loop.size, BROAD_HAIRPIN)}{family}", coarse
    if loop.kind in ("bulge", "internal"):
        sizes = "x".join(str(min(stop - start, 4)) for start, stop in loop.strands)
        return f"{coarse}{sizes}", coarse
    return f"{coarse}{min(int(loops.strand_size_L[residue]), 4)}", coarse


def _side(sequence: str, loops: LoopDecomposition, residue: int, step: int, neighbour: str) -> tuple[str, str]:
    """What lies beside a paired residue: the chain's end `.`, the same stem `=`, another stem `|`, or a loop."""
    other = residue + step
    if neighbour == "-":
        return ".", "."
    if loops.stem_L[other] < 0:
        return loop_token(sequence, loops, other)
    return ("=", "=") if loops.stem_L[other] == loops.stem_L[residue] else ("|", "|")


def _paired(sequence: str, loops: LoopDecomposition, i: int, letters: str) -> tuple[str, ...]:
    """Keys of a paired residue; `letters` are its own with its neighbours', `-` beyond the chain's ends."""
    fine5, coarse5 = _side(sequence, loops, i, -1, letters[0])
    fine3, coarse3 = _side(sequence, loops, i, 1, letters[2])
    letter = sequence[i]
    return (
        f"P/{fine5}/{fine3}/{letters}",
        f"P/{fine5}/{fine3}/{letter}",
        f"P/{fine5}/{fine3}",
        f"P/{coarse5}/{coarse3}*/{letter}",
        f"P/{coarse5}/{coarse3}*",
        "P",
    )


def _unpaired(sequence: str, loops: LoopDecomposition, i: int, letters: str) -> tuple[str, ...]:
    fine, coarse = loop_token(sequence, loops, i)
    from5 = int(loops.position_L[i])
    from3 = int(loops.strand_size_L[i]) - 1 - from5
    exact = str(from5) if loops.strand_size_L[i] <= MAX_PLACE else f"{min(from5, 3)}~{min(from3, 3)}"
    rough = f"{min(from5, 1)}~{min(from3, 1)}"
    letter = sequence[i]
    return (
        f"U/{fine}/{exact}/{letters}",
        f"U/{fine}/{exact}/{letter}",
        f"U/{fine}/{exact}",
        f"U/{coarse}/{rough}*/{letters}",
        f"U/{coarse}/{rough}*/{letter}",
        f"U/{coarse}/{rough}*",
        f"U/{letter}",
        "U",
    )
