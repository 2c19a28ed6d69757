"""Where labels of a structure drawing go: beside their residue, clear of everything else."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from rna_predict.report.frame import text_width

DIRECTIONS = 24
GAPS = (2.0, 7.0, 13.0, 20.0, 30.0)
"""Distances between a label and its residue's disc that are tried."""

REACH = 110.0
"""How far from its residue a label can meet something, besides its own size."""

CLEAR = 9.0
"""Distance from everything beyond which more room is no better."""

OVERLAP, NEAR, OUTWARD = 4.0, 0.35, 2.5
"""What it costs to lie on something and to be away, and what the side away from the neighbourhood earns, against
room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A label before it has its place.

    Attributes:
        text: what it says.
        residue: 0-based index.
        size: font size.
        toward: unit vector to the side where it should stand; None for the side away from the neighbourhood.
    """

    text: str
    residue: int
    size: float
    toward: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text that belongs to a residue.

    Attributes:
        text: what it says.
        residue: 0-based index.
        size: font size.
        x: middle.
        y: middle.
    """

    text: str
    residue: int
    size: float
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What labels keep off.

    Attributes:
        xy_L2: the residues' middles.
        radius_L: of their discs.
        links_N22: lines, by their two ends.
    """

    xy_L2: np.ndarray
    radius_L: np.ndarray
    links_N22: np.ndarray


def place_labels(labels: list[Wanted], around: Surroundings) -> list[Label]:
    """Put each label where it is clear of residues, lines and the labels before it, and near.

    Args:
        labels: the most important first.
        around: what they keep off.
    """
    points_N2 = np.concatenate([around.xy_L2, _points_along(around.links_N22)])
    radius_N = np.concatenate([around.radius_L, np.ones(len(points_N2) - len(around.radius_L))])
    tree = KDTree(points_N2)
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    placed: list[Label] = []
    for label in labels:
        residue, half = label.residue, half_size(label.text, label.size)
        away = np.repeat(np.array(GAPS) + around.radius_L[residue] + 0.75 * label.size, DIRECTIONS)
        moves = np.tile(rays, (len(GAPS), 1)) * away[:, None]
        places = around.xy_L2[residue] + moves
        close = tree.query_ball_point(around.xy_L2[residue], REACH + 2 * label.size)
        room = (box_distance(places, half, points_N2[close]) - radius_N[close]).min(axis=1)
        if placed:
            halves_N2 = np.array([half_size(other.text, other.size) for other in placed])
            middles_N2 = np.array([[other.x, other.y] for other in placed])
            room = np.minimum(room, box_distance(places, halves_N2 + half, middles_N2).min(axis=1))
        side = _outward(around.xy_L2, residue) if label.toward is None else np.array(label.toward)
        room = np.where(room < 0, OVERLAP * room, np.minimum(room, CLEAR))
        worth = room - NEAR * away + OUTWARD * (moves @ side / away)
        x, y = (float(value) for value in places[int(np.argmax(worth))])
        placed.append(Label(text=label.text, residue=residue, size=label.size, x=x, y=y))
    return placed


def half_size(text: str, size: float) -> tuple[float, float]:
    """Half of a label's width and height."""
    return text_width(text, size) / 2, 0.4 * size


def box_distance(places_P2: np.ndarray, half: np.ndarray | tuple[float, float], points_N2: np.ndarray) -> np.ndarray:
    """Distance [P, N] of boxes around places to points; zero where a point lies within.

    Args:
        places_P2: middles of the boxes.
        half: half of their width and height, [2], or [N, 2] where each point has its own.
        points_N2: the points.
    """
    apart = np.maximum(np.abs(places_P2[:, None] - points_N2) - half, 0.0)
    return np.hypot(apart[..., 0], apart[..., 1])


def _points_along(links_N22: np.ndarray) -> np.ndarray:
    """Five points within each line, [5N, 2]."""
    shares = np.linspace(0, 1, 7)[1:-1, None, None]
    return (links_N22[:, 0] * (1 - shares) + links_N22[:, 1] * shares).reshape(-1, 2)


def _outward(xy_L2: np.ndarray, residue: int) -> np.ndarray:
    """Unit vector away from the middle of the nearest residues, zero where there are none."""
    apart = xy_L2[residue] - xy_L2
    nearest = np.argsort((apart**2).sum(axis=1), kind="stable")[1:9]
    mean = apart[nearest].mean(axis=0) if len(nearest) else np.zeros(2)
    norm = float(np.linalg.norm(mean))
    return mean / norm if norm > 0 else np.zeros(2)
