"""The prior table: torsions and distances of the training chains by context, looked up with back-off.

It is a table of means and concentrations computed by `rna-predict priors build`, not learned weights.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from rna_predict.contracts import DISTOGRAM_EDGES, atomic_path
from rna_predict.errors import ContractError
from rna_predict.stage_b_torsion.pair_graph import CODES, LEVELS, back_off

SCHEMA = "rna_predict.prior_table"
VERSION = "1"
CARRIED = "prior_table.safetensors"
"""Name of the table that the package carries, beside this file."""
HEADER = "prior_table"
"""Name of the one metadata entry."""
BINS = len(DISTOGRAM_EDGES) + 1


@dataclass(frozen=True, kw_only=True)
class PriorTable:
    """Torsions by residue context and distance distributions by pair context.

    Attributes:
        keys: residue contexts (`contexts.residue_keys`).
        angle_K7: float16, radians in (-π, π], columns `TORSION_FIELDS`.
        concentration_K7: float16, von Mises κ.
        pucker_K3: float16, phase in radians, amplitude in radians, κ of the phase.
        level_N: uint8, level of each pair context (`pair_graph.back_off`).
        code_N: int32, its code at that level.
        log_probability_N64: float16, natural logarithm, over the bins of `DISTOGRAM_EDGES`.
        made_by: the command, its settings and the hashes of its inputs.
    """

    keys: tuple[str, ...]
    angle_K7: np.ndarray
    concentration_K7: np.ndarray
    pucker_K3: np.ndarray
    level_N: np.ndarray
    code_N: np.ndarray
    log_probability_N64: np.ndarray
    made_by: dict[str, str]

    def __post_init__(self) -> None:
        """Raise ContractError when shapes disagree, a value is not finite, or a last-resort context is missing."""
        contexts, pairs = len(self.keys), len(self.code_N)
        shapes = {
            "angle_K7": (contexts, 7),
            "concentration_K7": (contexts, 7),
            "pucker_K3": (contexts, 3),
            "level_N": (pairs,),
            "log_probability_N64": (pairs, BINS),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise ContractError(f"prior table: {name} must be finite {shape}, found {value.shape}")
        if not {"P", "U"} <= set(self.keys):
            raise ContractError("prior table: the contexts P and U are missing. Build it from more chains.")
        reaches = set(self.code_N[self.level_N == LEVELS - 1].tolist())
        if reaches != set(back_off(np.arange(CODES))[-1].tolist()):
            raise ContractError("prior table: pair contexts do not cover every reach. Build it from more chains.")

    def torsion_rows(self, residue_keys: list[tuple[str, ...]]) -> np.ndarray:
        """int64 [L], row of the most specific context of each residue that the table holds."""
        row = {key: index for index, key in enumerate(self.keys)}
        return np.array([next(row[key] for key in keys if key in row) for keys in residue_keys], dtype=np.int64)

    @cached_property
    def distance_row_C(self) -> np.ndarray:
        """int16 [CODES], row of the most specific pair context for every code of `pair_graph.pair_codes`."""
        rows = np.full(CODES, -1, dtype=np.int16)
        for level, code in reversed(list(enumerate(back_off(np.arange(CODES))))):
            here = np.flatnonzero(self.level_N == level)
            here = here[np.argsort(self.code_N[here])]
            known = self.code_N[here]
            if not len(known):
                continue
            place = np.minimum(np.searchsorted(known, code), len(known) - 1)
            hit = known[place] == code
            rows[hit] = here[place[hit]]
        return rows

    def save(self, path: Path) -> None:
        """Write the table, whole or not at all."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        arrays["keys"] = np.frombuffer("\n".join(self.keys).encode(), dtype=np.uint8)
        header = {"schema": SCHEMA, "version": VERSION, "made_by": self.made_by, "sha256": _content_hash(arrays)}
        # One entry: safetensors writes several in any order, and equal tables shall be equal files.
        metadata = {HEADER: json.dumps(header, sort_keys=True)}
        with atomic_path(path) as temporary:
            temporary.write_bytes(to_safetensors(arrays, metadata=metadata))


_ARRAYS = ("angle_K7", "concentration_K7", "pucker_K3", "level_N", "code_N", "log_probability_N64")


def load_table(path: str = "") -> tuple[PriorTable, str]:
    """The table at `path`, or the one that the package carries, and the sha256 of its file.

    Raises:
        ContractError: missing, foreign, or damaged.
    """
    file = Path(path) if path else Path(str(resources.files("rna_predict.stage_b_torsion") / CARRIED))
    if not file.is_file():
        raise ContractError(
            f"{file}: no such prior table. Give stage_b.prior_table a file of `rna-predict priors build`."
        )
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return _load(str(file), digest), digest


@lru_cache(maxsize=4)
def _load(path: str, digest: str) -> PriorTable:
    again = "Make it again with `rna-predict priors build`."
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ContractError(f"{path}: not a readable prior table ({error}). {again}") from error
    found = (header.get("schema"), header.get("version"))
    if found != (SCHEMA, VERSION) or set(arrays) != {*_ARRAYS, "keys"}:
        raise ContractError(
            f"{path}: expected {SCHEMA} version {VERSION}, found {found[0]} version {found[1]}. {again}"
        )
    if _content_hash(arrays) != header.get("sha256"):
        raise ContractError(f"{path}: the content does not match its hash; the file {digest[:12]} is damaged. {again}")
    keys = tuple(arrays.pop("keys").tobytes().decode().split("\n"))
    for value in arrays.values():
        value.flags.writeable = False
    return PriorTable(keys=keys, made_by=header["made_by"], **arrays)


def _content_hash(arrays: dict[str, np.ndarray]) -> str:
    state = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        state.update(f"{name}{value.dtype}{value.shape}".encode())
        state.update(value.tobytes())
    return state.hexdigest()
