"""One way from a user's letters to A C G U, for FASTA, sample sheet and command line."""

import re
from collections import Counter

from rna_predict.chemistry.chains import CHAIN_SEPARATOR
from rna_predict.chemistry.residues import RESIDUES
from rna_predict.contracts import RnaSequence
from rna_predict.contracts.sequence import rna_of_text
from rna_predict.errors import ConfigError, ContractError, InputError
from rna_predict.formats.modified_residues import parent_of_name
from rna_predict.formats.reading import Notice

AMBIGUOUS = {
    **{"N": "A", "R": "A", "M": "A", "W": "A", "D": "A", "H": "A", "V": "A"},
    **{"Y": "C", "S": "C", "B": "C"},
    **{"K": "G"},
}
"""IUPAC letters and what `map` takes: of the bases that the letter stands for, the first in the order A C G U."""

POLICIES = ("refuse", "map")
PAIR_CHANNELS = 128
"""c_z of the largest profile (AF3)."""

_PROTEIN_ONLY = frozenset("EFILPQZJOX")
_NAMED = re.compile(r"\[([^][]*)\]|\(([^()]*)\)")
"""A nucleotide by its name, as `[PSU]`, or as `(PSU)` in sequences of the PDB."""

_BLANKS = re.compile(r"[ \t\r\n]+")


def normalise_sequence(text: str, ambiguous: str = "refuse") -> tuple[str, list[Notice]]:
    """Turn a user's sequence into A C G U, with `&` between chains.

    Blanks, tabs and line ends go; lower case becomes upper case and T becomes U, counted in notices. A modified
    nucleotide by its name, `[PSU]` or `(PSU)`, becomes its parent, with a notice. Chains of a
    complex are parted by `&` or `+`. IUPAC letters are refused, or with `map` replaced as `AMBIGUOUS` says. Nothing
    else is accepted.

    Returns:
        The sequence and what was converted.

    Raises:
        InputError: empty, or a letter that is not taken, with its 1-based position (blanks not counted).
        ConfigError: another policy than `POLICIES`.
    """
    if ambiguous not in POLICIES:
        raise ConfigError(f"ambiguous: {ambiguous!r} is not one of {', '.join(POLICIES)}")
    letters = _BLANKS.sub("", text).replace("+", CHAIN_SEPARATOR)
    letters, named = _parents_of_named(letters)
    if not letters:
        raise InputError("the sequence is empty. Give at least one nucleotide.")
    if not letters.isascii():
        _refuse(letters, ambiguous)
    sequence = letters.upper()
    notices = named + _notices_of_case_and_t(letters, sequence)
    sequence = sequence.replace("T", "U")
    if ambiguous == "map":
        sequence, mapped = _map_ambiguous(sequence)
        notices += mapped
    if set(sequence) - {*RESIDUES, CHAIN_SEPARATOR}:
        _refuse(letters, ambiguous)
    return sequence, notices


def checked_sequence(id: str, text: str, ambiguous: str = "refuse") -> tuple[RnaSequence, list[Notice]]:
    """`normalise_sequence` for a named RNA; the id must be safe as a file name and in a shell.

    Raises:
        InputError: naming the id, for an unsafe id or a refused sequence.
    """
    try:
        sequence, notices = normalise_sequence(text, ambiguous)
        record = rna_of_text(id, sequence)
    except ContractError as error:
        raise InputError(str(error)) from error
    return record, [Notice(kind=n.kind, message=n.message, id=id) for n in notices]


def _parents_of_named(letters: str) -> tuple[str, list[Notice]]:
    """The letters with each `[NAME]` replaced by its parent, and a notice that counts them.

    Raises:
        InputError: a name that is not known, with its place.
    """
    parts: list[str] = []
    counts: Counter[str] = Counter()
    end = 0
    for found in _NAMED.finditer(letters):
        parts.append(letters[end : found.start()])
        end = found.end()
        name = found[1] if found[1] is not None else found[2]
        parent = name if name in set(RESIDUES) else parent_of_name(name)
        if parent is None:
            raise InputError(
                f"{found[0][:20]!a} at position {sum(map(len, parts)) + 1} is no nucleotide that is known. Write the "
                "name of the PDB's component dictionary, as [PSU], or the unmodified letter."
            )
        parts.append(parent)
        counts[f"{name} → {parent}"] += name != parent
    counts = +counts
    if not counts:
        return "".join(parts) + letters[end:], []
    listed = ", ".join(f"{number} {name}" for name, number in counts.items())
    message = f"{counts.total()} modified nucleotides are predicted as their parents: {listed}"
    return "".join(parts) + letters[end:], [Notice(kind="modified_residue", message=message)]


def _notices_of_case_and_t(letters: str, sequence: str) -> list[Notice]:
    notices: list[Notice] = []
    lower = sum(1 for before, after in zip(letters, sequence, strict=True) if before != after)
    if lower:
        notices.append(Notice(kind="lower_case", message=f"{lower} lower-case letters read as upper case"))
    thymine = sequence.count("T")
    if thymine and "U" in sequence:
        message = f"the sequence mixes {thymine} T with {sequence.count('U')} U; each T is read as U"
        notices.append(Notice(kind="t_and_u", message=message))
    elif thymine:
        notices.append(Notice(kind="t_to_u", message=f"{thymine} T read as U"))
    return notices


def _map_ambiguous(sequence: str) -> tuple[str, list[Notice]]:
    found = sorted(set(sequence) & AMBIGUOUS.keys())
    if not found:
        return sequence, []
    total = sum(sequence.count(letter) for letter in found)
    if 2 * total > len(sequence):
        raise InputError(
            f"{total} of {len(sequence)} letters are ambiguous; this is no RNA to predict. Give the sequence itself."
        )
    counts = ", ".join(f"{sequence.count(letter)} {letter} → {AMBIGUOUS[letter]}" for letter in found)
    return sequence.translate(str.maketrans(AMBIGUOUS)), [
        Notice(kind="ambiguous", message=f"ambiguous letters replaced: {counts}")
    ]


def _refuse(letters: str, ambiguous: str) -> None:
    """Raise InputError for the first letter that is not taken."""
    allowed = {*"ACGUTacgut", CHAIN_SEPARATOR}
    if ambiguous == "map":
        allowed |= AMBIGUOUS.keys() | {letter.lower() for letter in AMBIGUOUS}
    wrong = [(position, letter) for position, letter in enumerate(letters, start=1) if letter not in allowed]
    position, letter = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    raise InputError(
        f"{letter!r} at position {position}{more} is not one of A C G U T. {_remedy(letters, letter, ambiguous)}"
    )


def _remedy(letters: str, letter: str, ambiguous: str) -> str:
    if len(_PROTEIN_ONLY & set(letters.upper())) > 2:
        return "This looks like a protein; only RNA is predicted."
    if letter in "/|:;,":
        return f"Chains that are predicted together are parted by {CHAIN_SEPARATOR}."
    if letter in "Ψψ":
        return "Write [PSU] for pseudouridine; it is predicted as U, and a notice says so."
    if letter in "-.~":
        return "Remove the gaps."
    if letter.upper() in AMBIGUOUS and ambiguous == "refuse":
        return f"Put in the base, or set ambiguous=map to take {AMBIGUOUS[letter.upper()]} for it."
    return "Correct or remove it."


def pair_memory_gb(length: int, pair_channels: int = PAIR_CHANNELS) -> float:
    """GB (1e9 bytes) that the arrays over residue pairs take: L² · (4 + 4 · c_z + 256) bytes.

    Per pair: the pair probability (float32, 4), the pair representation (c_z float32) and 64 distogram logits
    (float32, 256). This is what must be held at once; a network's intermediate results come on top.
    """
    return length**2 * (4 + 4 * pair_channels + 256) / 1e9


def check_length(sequence: str, limit: int, pair_channels: int = PAIR_CHANNELS) -> None:
    """Refuse a sequence longer than `limit` before anything of its size squared is allocated.

    Raises:
        InputError: with the length and the memory that the pair arrays would take (`pair_memory_gb`).
    """
    length = len(sequence)
    if length > limit:
        raise InputError(
            f"{length} nt is more than the limit of {limit} nt: its pair arrays alone would take about "
            f"{pair_memory_gb(length, pair_channels):.1f} GB. Cut the sequence, or raise the limit on a larger machine."
        )
