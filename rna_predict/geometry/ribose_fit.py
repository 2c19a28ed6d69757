"""Fit the ring polynomials of `ribose`: `python -m rna_predict.geometry.ribose_fit`, about 10 s on one core.

A five-membered ring with five fixed bonds has four degrees of freedom: phase, amplitude and two more. The fit spends
those two, the bond angles at C2' and C3', so that all five ring angles stay as near as they can to the crystal
values (Gelbin et al. 1996) at every phase; ω, the swing of O4' about the axis C1'-C4', then has to meet the phase.
All three become polynomials in (τm cos P, τm sin P), which are smooth and periodic by construction.
"""

import json
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from rna_predict.chemistry.ideal import RING_ANGLES_C2_ENDO, RING_ANGLES_C3_ENDO
from rna_predict.geometry.numpy_measures import PUCKER_SCALE, angle, dihedral
from rna_predict.geometry.ribose_ring import RING_FILE, place_ring

DEGREE_ANGLE, DEGREE_SWING = 6, 7
PHASES = np.radians(np.arange(0, 360, 10.0))
AMPLITUDES = np.radians([2.0, 6, 10, 14, 18, 22, 26, 30, 33, 36, 38, 40, 42, 45, 48, 51, 54])
SLACK = 3.0
"""Degrees beyond the range between the C2'-endo and C3'-endo values at which the penalty reaches 1."""


def monomials(x: np.ndarray, y: np.ndarray, degree: int) -> np.ndarray:
    """Every x^i y^j with i + j ≤ degree, [..., n], i rising slowest."""
    return np.stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=-1)


class RingFit:
    """Residuals of the ring over a grid of phases and amplitudes."""

    def __init__(self) -> None:
        amplitude, phase = (g.ravel() for g in np.meshgrid(AMPLITUDES, PHASES, indexing="ij"))
        self.x, self.y = amplitude * np.cos(phase), amplitude * np.sin(phase)
        self.basis = [monomials(self.x, self.y, d) for d in (DEGREE_ANGLE, DEGREE_ANGLE, DEGREE_SWING)]
        self.sizes = np.cumsum([b.shape[1] for b in self.basis])[:-1]
        low, high = np.array(RING_ANGLES_C3_ENDO), np.array(RING_ANGLES_C2_ENDO)
        self.middle, self.half = (low + high) / 2, np.abs(high - low) / 2 + SLACK
        # straight line between the two puckers: C3'-endo at P = 18°, C2'-endo at 162°
        share = (1 + np.cos(phase) / np.cos(np.radians(18)))[:, None] / 2
        self.target = share * low + (1 - share) * high
        usual = (amplitude >= np.radians(26)) & (amplitude <= np.radians(48))
        self.weight = np.where(usual, 1.0, 0.15)
        off = np.degrees(np.arccos(np.abs(np.cos(phase)))) - 18
        near = np.exp(-((off / 20) ** 2)) * np.exp(-((np.degrees(amplitude) - 38) ** 2) / 50)
        self.pull = 0.05 + near

    def start(self) -> np.ndarray:
        """Planar ring, swinging with -y."""
        parts = [np.zeros(b.shape[1]) for b in self.basis]
        parts[0][0], parts[1][0], parts[2][1] = np.radians(103), np.radians(103), -1.0
        return np.concatenate(parts)

    def residuals(self, coefficients: np.ndarray) -> np.ndarray:
        """Steep penalty on angles off their range, a soft pull to the target, a stiff one to the phase."""
        split = np.split(coefficients, self.sizes)
        c2, c3, swing = (b @ c for b, c in zip(self.basis, split, strict=True))
        ring = place_ring(np, self.x, c2, c3, swing)
        angles, sine = ring_angles(ring), phase_sine(ring)
        steep = np.abs((angles - self.middle) / self.half) ** 7 * self.weight[:, None]
        soft = 0.3 * (angles - self.target) * (self.weight * self.pull)[:, None]
        return np.concatenate([steep.ravel(), soft.ravel(), 300 * (sine - self.y) * self.weight**0.3])


def ring_angles(ring: dict[str, np.ndarray]) -> np.ndarray:
    """Ring angles [..., 5] in degrees, at C2', C3', C4', O4', C1'."""
    order = ["C1'", "C2'", "C3'", "C4'", "O4'"]
    corners = [(order[k - 1], order[k], order[(k + 1) % 5]) for k in (1, 2, 3, 4, 0)]
    return np.degrees(np.stack([angle(ring[a], ring[b], ring[c]) for a, b, c in corners], axis=-1))


def phase_sine(ring: dict[str, np.ndarray]) -> np.ndarray:
    """τm sin P of the ring, (ν4+ν1-ν3-ν0) / scale."""
    order = ["C4'", "O4'", "C1'", "C2'", "C3'"]
    nu = [dihedral(*(ring[order[(k + j) % 5]] for j in range(4))) for k in range(5)]
    return (nu[4] + nu[1] - nu[3] - nu[0]) / PUCKER_SCALE


def fit() -> dict[str, list[float]]:
    """Coefficients by name, in the order of `monomials`."""
    problem = RingFit()
    solution = least_squares(problem.residuals, problem.start(), max_nfev=200)
    names = ("angle_c2", "angle_c3", "swing_o4")
    parts = np.split(solution.x, problem.sizes)
    return {name: [round(float(v), 10) for v in part] for name, part in zip(names, parts, strict=True)}


def write(path: Path = RING_FILE) -> None:
    """Fit and write the coefficients beside this module."""
    path.write_text(json.dumps(fit(), indent=1) + "\n")


if __name__ == "__main__":
    write()
