"""`rna-predict bench reconstruction`: nerf timed beside a sequential NeRF and mp-nerf, and its drift on natives.

Times are medians of wall time in milliseconds after warm-up, on the threads given to `rna-predict bench` (one by
default). nerf is timed as the stage runs it: from the `Torsions` contract to float32 coordinates, in float64.
The sequential NeRF runs the same internal coordinates atom by atom on plain Python floats (no array overhead), and
both must give the same coordinates. mp-nerf (proteins only) is timed on its own folding step alone.
"""

import importlib.util
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from rna_predict import __version__
from rna_predict.chemistry.residues import (
    ATOMS,
    BASE_N_SLOT,
    C1,
    C2,
    C3,
    C4,
    C5,
    MAX_ATOMS,
    O2,
    O3,
    O4,
    O5,
    OP1,
    OP2,
    RESIDUES,
    P,
)
from rna_predict.chemistry.torsions import A_FORM_DEGREES, C3_ENDO_PHASE_DEGREES, TORSIONS
from rna_predict.cli.shared_natives import natives_folder
from rna_predict.contracts import Provenance, RnaSequence, Structure, Torsions
from rna_predict.errors import InputError, PredictionError
from rna_predict.formats.structure import read_structure
from rna_predict.geometry.internal import (
    ALPHA,
    BETA,
    EPSILON,
    GAMMA,
    REFERENCES,
    ZETA,
    InternalCoordinates,
    ideal_internal,
    measure_internal,
)
from rna_predict.geometry.nerf import atom_dihedrals, build
from rna_predict.geometry.superpose import rmsd
from rna_predict.geometry.torsions import measure_pucker
from rna_predict.stage_c_reconstruction.nerf import MAX_AMPLITUDE, rebuild

LENGTHS = (10, 30, 100, 300, 1000, 2000, 4000)
RUNS = 41
DRIFT_CHAINS = ("8cf8_A", "8cf1_A", "3igi_A", "6t3k_A", "4fb0_A")
"""Natives of 389 to 485 nt without a break, below `<shared>/data/rna3d/chains`."""
DRIFT_WINDOWS = (5, 10, 20, 50, 100, 200, 380)

PLACING_ORDER = (O5, P, OP1, OP2, O4, O3, C2, O2, C1, *range(BASE_N_SLOT, MAX_ATOMS))
"""Every slot after those that it is placed from."""

Point = tuple[float, float, float]


def run() -> tuple[list[dict[str, object]], dict[str, object]]:
    """Rows by length, and the figures for the JSON line."""
    drift, drift_note = drift_by_length()
    rows: list[dict[str, object]] = []
    timed: dict[int, tuple[float, float, float]] = {}
    for length in LENGTHS:
        sequence, torsions = helix_with_noise(length)
        wall, cpu = median_ms(lambda s=sequence, t=torsions: rebuild(s, t), RUNS)
        internal = internal_of(torsions)
        plain, _ = median_ms(lambda i=internal: sequential_nerf(i), 3, warm_up=1)
        check_same(internal)
        timed[length] = (wall, cpu, plain)
        rows.append(
            {"nt": length, "nerf ms": f"{wall:.2f}", "nerf cpu ms": f"{cpu:.2f}", "sequential ms": f"{plain:.1f}"}
        )
        rows[-1]["ratio"] = f"{plain / wall:.1f}"
    mp_nerf_ms, mp_nerf_note = time_mp_nerf(1000)
    wall, cpu, plain = timed[1000]
    figures: dict[str, object] = {
        "ms_1000nt": round(wall, 3),
        "cpu_ms_1000nt": round(cpu, 3),
        "ms_by_length": {str(length): round(values[0], 3) for length, values in timed.items()},
        "sequential_ms_1000nt": round(plain, 1),
        "ratio_sequential": round(plain / wall, 2),
        "mp_nerf_ms_1000": mp_nerf_ms and round(mp_nerf_ms, 2),
        "ratio_mp_nerf": mp_nerf_ms and round(mp_nerf_ms / wall, 2),
        "mp_nerf_note": mp_nerf_note,
        **drift,
        "drift_note": drift_note,
        "threads": torch.get_num_threads(),
    }
    return rows, figures


def median_ms(call: Callable[[], object], runs: int, warm_up: int = 5) -> tuple[float, float]:
    """Median wall time and median CPU time of this thread, ms; on a busy machine only the second is steady."""
    for _ in range(warm_up):
        call()
    wall, cpu = [], []
    for _ in range(runs):
        wall_start, cpu_start = time.perf_counter(), time.thread_time()
        call()
        wall.append(time.perf_counter() - wall_start)
        cpu.append(time.thread_time() - cpu_start)
    return 1e3 * statistics.median(wall), 1e3 * statistics.median(cpu)


def helix_with_noise(length: int, seed: int = 0) -> tuple[RnaSequence, Torsions]:
    """A random sequence with A-form torsions and 10° of noise."""
    rng = np.random.default_rng(seed)
    sequence = RnaSequence(id=f"bench{length}", sequence="".join(rng.choice(list(RESIDUES), length)))
    mask = np.ones((length, 7), dtype=bool)
    mask[0, ALPHA] = mask[-1, EPSILON] = mask[-1, ZETA] = False
    angle = np.radians([A_FORM_DEGREES[name] for name in TORSIONS]) + rng.normal(0, math.radians(10), (length, 7))
    angle = (np.remainder(angle + np.pi, 2 * np.pi) - np.pi) * mask
    ones = np.ones(length, dtype=np.float32)
    torsions = Torsions(
        id=sequence.id,
        sequence=sequence.sequence,
        provenance=Provenance(method="bench", package_version=__version__),
        angle_L7=angle.astype(np.float32),
        mask_L7=mask,
        concentration_L7=np.ones((length, 7), dtype=np.float32),
        pucker_phase_L=ones * np.float32(math.radians(C3_ENDO_PHASE_DEGREES)),
        pucker_amplitude_L=ones * np.float32(math.radians(38)),
        pucker_concentration_L=ones,
    )
    return sequence, torsions


def internal_of(torsions: Torsions) -> InternalCoordinates:
    """Ideal internal coordinates of the contract's torsions, float64."""
    arrays = (torsions.angle_L7, torsions.pucker_phase_L, torsions.pucker_amplitude_L)
    return ideal_internal(torsions.sequence, *(torch.from_numpy(x.astype(np.float64)) for x in arrays))


def sequential_nerf(internal: InternalCoordinates) -> list[dict[int, Point]]:
    """The same chain atom by atom, from the first residue on: slot → point for each residue."""
    length, bend = internal.length_LA.tolist(), internal.angle_LA.tolist()
    turn, link, torsion = atom_dihedrals(internal).tolist(), internal.link_L3.tolist(), internal.torsion_L7.tolist()
    c3, (cos, sin) = length[0][C3], (math.cos(bend[0][C3]), math.sin(bend[0][C3]))
    first: dict[int, Point] = {C4: (0.0, 0.0, 0.0), C3: (c3, 0.0, 0.0)}
    first[C5] = (length[0][C5] * cos, length[0][C5] * sin, 0.0)
    chain = [first]
    for i in range(len(internal.sequence)):
        atoms = chain[i]
        for slot in PLACING_ORDER:
            if slot not in atoms and slot < len(ATOMS[internal.sequence[i]]):
                a, b, c = REFERENCES[slot]
                atoms[slot] = place(atoms[a], atoms[b], atoms[c], (length[i][slot], bend[i][slot], turn[i][slot]))
        if i + 1 == len(internal.sequence):
            break
        bond, at_o3, at_p = link[i]
        now, then = torsion[i], torsion[i + 1]
        lengths, bends = length[i + 1], bend[i + 1]
        p = place(atoms[C4], atoms[C3], atoms[O3], (bond, at_o3, now[EPSILON]))
        o5 = place(atoms[C3], atoms[O3], p, (lengths[P], at_p, now[ZETA]))
        c5 = place(atoms[O3], p, o5, (lengths[O5], bends[P], then[ALPHA]))
        c4 = place(p, o5, c5, (lengths[C5], bends[O5], then[BETA]))
        chain.append({P: p, O5: o5, C5: c5, C4: c4, C3: place(o5, c5, c4, (lengths[C3], bends[C3], then[GAMMA]))})
    return chain


def place(a: Point, b: Point, c: Point, internal: tuple[float, float, float]) -> Point:
    """Point d with |cd|, angle b-c-d and dihedral a-b-c-d, by NeRF (Parsons et al. 2005)."""
    length, bend, turn = internal
    x = _unit((c[0] - b[0], c[1] - b[1], c[2] - b[2]))
    z = _unit(_cross((b[0] - a[0], b[1] - a[1], b[2] - a[2]), x))
    y = _cross(z, x)
    sin = math.sin(bend)
    u, v, w = -length * math.cos(bend), length * sin * math.cos(turn), length * sin * math.sin(turn)
    return (
        c[0] + u * x[0] + v * y[0] + w * z[0],
        c[1] + u * x[1] + v * y[1] + w * z[1],
        c[2] + u * x[2] + v * y[2] + w * z[2],
    )


def _cross(a: Point, b: Point) -> Point:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _unit(a: Point) -> Point:
    scale = 1 / math.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])
    return (a[0] * scale, a[1] * scale, a[2] * scale)


def check_same(internal: InternalCoordinates) -> None:
    """Raise PredictionError unless the parallel and the sequential NeRF agree within 1e-6 Å."""
    parallel = build(internal).numpy()
    for i, atoms in enumerate(sequential_nerf(internal)):
        off = np.abs(parallel[i, list(atoms)] - np.array(list(atoms.values()))).max()
        if off > 1e-6:
            raise PredictionError(f"residue {i + 1} of {len(parallel)}: parallel and sequential NeRF differ by {off} Å")


def time_mp_nerf(residues: int) -> tuple[float | None, str]:
    """Median ms of mp-nerf's folding step on a protein, or None and the reason."""
    if importlib.util.find_spec("mp_nerf") is None:
        return None, "mp-nerf is not installed; `pip install mp-nerf` into this environment adds its time"
    from mp_nerf.proteins import build_scaffolds_from_scn_angles, protein_fold  # pyright: ignore[reportMissingImports]

    rng = np.random.default_rng(0)
    protein = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), residues))
    angles = torch.from_numpy(rng.uniform(-np.pi, np.pi, (residues, 12)).astype(np.float32))
    angles[:, 3:6] = angles[:, 3:6].abs().clamp(1.8, 2.2)  # columns 3-5 hold bond angles
    scaffolds = build_scaffolds_from_scn_angles(protein, angles, device="cpu")
    ms, _ = median_ms(lambda: protein_fold(**scaffolds), 11, warm_up=2)
    return ms, f"mp-nerf protein_fold alone, {residues} amino-acid residues of 14 atom slots"


def drift_by_length() -> tuple[dict[str, object], str]:
    """How far natives rebuilt with ideal lengths and angles drift, by window length, and from their own exactly."""
    try:
        chains = natives_folder() / "chains"
    except InputError as missing:
        none: dict[str, object] = {"drift_rmsd_by_length": None, "own_internal_rmsd": None}
        return none, str(missing)
    own, windows = [], {length: [] for length in DRIFT_WINDOWS}
    for name in DRIFT_CHAINS:
        native = with_frames(read_structure(chains / f"{name}.pdb.gz"))
        xyz, mask = torch.from_numpy(native.xyz_LA3), torch.from_numpy(native.mask_LA)
        internal = measure_internal(xyz, mask, native.sequence, native.linked_L)
        own.append(rmsd(build(internal)[mask], xyz[mask]).item())
        phase, amplitude, _ = measure_pucker(xyz, mask, native.sequence)
        model = build(ideal_internal(native.sequence, internal.torsion_L7, phase, amplitude.clamp(max=MAX_AMPLITUDE)))
        for length, found in windows.items():
            for start in range(0, native.length - length + 1, max(1, length // 2)):
                part = slice(start, start + length)
                present = mask[part]
                found.append(rmsd(model[part][present], xyz[part][present]).item())
    figures: dict[str, object] = {
        "drift_rmsd_by_length": {str(n): round(statistics.median(found), 3) for n, found in windows.items()},
        "own_internal_rmsd": float(f"{max(own):.1e}"),
    }
    return figures, f"median all-atom RMSD in Å of windows of {', '.join(DRIFT_CHAINS)}, native torsions and puckers"


def with_frames(native: Structure) -> Structure:
    """The native without residues that lack C5', C4' or C3', which are 3' stubs."""
    keep = np.asarray(native.mask_LA[:, [C5, C4, C3]].all(axis=1))
    return Structure(
        id=native.id,
        sequence="".join(letter for letter, kept in zip(native.sequence, keep, strict=True) if kept),
        xyz_LA3=native.xyz_LA3[keep],
        mask_LA=native.mask_LA[keep],
        number_L=native.number_L[keep],
    )
