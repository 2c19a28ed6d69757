"""Most populated torsions of each residue context: one mode of all seven torsions together, shrunk to broader contexts.

Torsions are multi-modal and correlated: the mean of two rotamers is neither. In each context the native with the most
neighbours under a kernel on the torus is taken, and the circular mean of its neighbourhood. The broader context's mode
takes part as if `shrinkage` clusters had shown it, so that few observations do not outvote many.
"""

from dataclasses import dataclass

import numpy as np

from rna_predict.stage_b_torsion.contexts import residue_keys
from rna_predict.stage_b_torsion.natives import NativeChain

MAX_CONCENTRATION = 500.0
CANDIDATES = 300
"""At most this many natives of a context are tried as its mode."""
NEIGHBOURS = 2000
"""At most this many natives of a context count as neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsionFit:
    """Settings; the defaults were chosen by four-fold cross-validation over training clusters (decision 0003)."""

    bandwidth: float = 0.2
    """Kernel exp((mean cos Δ - 1) / bandwidth); larger values go from the mode to the mean."""
    shrinkage: float = 4.0
    """Weight of the broader context's mode, in clusters."""
    min_clusters: int = 3
    """Contexts seen in fewer clusters are left to the broader context."""
    seed: int = 0
    """Of the choice of candidates and neighbours in large contexts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What a context is given: angles as in `NativeChain.angle_L9` and mean resultant lengths around them."""

    angle_9: np.ndarray
    resultant_8: np.ndarray


@dataclass(slots=True)
class _Sample:
    """Observations of one context."""

    angle_N9: list[np.ndarray]
    weight_N: list[float]
    clusters: set[str]
    parent: str


def fit_torsions(chains: list[NativeChain], settings: TorsionFit) -> dict[str, Mode]:
    """The mode of every context that enough clusters show."""
    samples = _collect(chains)
    rng = np.random.default_rng(settings.seed)
    modes: dict[str, Mode] = {}
    for key in sorted(samples, key=lambda name: (_depth(samples, name), name)):
        sample = samples[key]
        enough = len(sample.clusters) >= settings.min_clusters
        if not sample.parent:
            modes[key] = _mode(sample, None, settings, rng)
        elif enough and sample.parent in modes:
            modes[key] = _mode(sample, modes[sample.parent], settings, rng)
    return modes


def _collect(chains: list[NativeChain]) -> dict[str, _Sample]:
    samples: dict[str, _Sample] = {}
    for chain in chains:
        for keys, angle_9 in zip(residue_keys(chain.sequence, chain.loops), chain.angle_L9, strict=True):
            if np.isnan(angle_9).all():
                continue
            for key, parent in zip(keys, (*keys[1:], ""), strict=True):
                sample = samples.setdefault(key, _Sample([], [], set(), parent))
                sample.angle_N9.append(angle_9)
                sample.weight_N.append(chain.weight)
                sample.clusters.add(chain.cluster)
    return samples


def _depth(samples: dict[str, _Sample], key: str) -> int:
    depth = 0
    while samples[key].parent:
        key = samples[key].parent
        depth += 1
    return depth


def _mode(sample: _Sample, parent: Mode | None, settings: TorsionFit, rng: np.random.Generator) -> Mode:
    angle_N9, weight_N = np.stack(sample.angle_N9), np.array(sample.weight_N)
    if parent is not None:
        angle_N9 = np.concatenate([angle_N9, parent.angle_9[None]])
        weight_N = np.append(weight_N, settings.shrinkage)
    kernel_N = weight_N * _kernel_at_densest(angle_N9[:, :7], weight_N, settings, rng)
    seen_N9 = ~np.isnan(angle_N9)
    value_N9 = np.where(seen_N9, angle_N9, 0.0)
    turn_N8 = np.where(seen_N9[:, :8], np.exp(1j * value_N9[:, :8]), 0)
    angle_8 = np.angle((turn_N8 * kernel_N[:, None]).sum(axis=0))
    amplitude = (value_N9[:, 8] * kernel_N).sum() / max((seen_N9[:, 8] * kernel_N).sum(), 1e-12)
    along_8 = (np.where(seen_N9[:, :8], np.cos(value_N9[:, :8] - angle_8), 0) * weight_N[:, None]).sum(axis=0)
    resultant_8 = along_8 / np.maximum((seen_N9[:, :8] * weight_N[:, None]).sum(axis=0), 1e-12)
    return Mode(angle_9=np.append(angle_8, amplitude), resultant_8=resultant_8)


def _kernel_at_densest(
    angle_N7: np.ndarray, weight_N: np.ndarray, settings: TorsionFit, rng: np.random.Generator
) -> np.ndarray:
    """Kernel [N] around the observation with the highest density; torsions that one of two lacks do not count."""
    count = len(angle_N7)
    seen_N7 = ~np.isnan(angle_N7)
    turn_N7 = np.where(seen_N7, np.exp(1j * np.where(seen_N7, angle_N7, 0.0)), 0)
    seen_N7 = seen_N7.astype(np.float64)
    tried, near = np.arange(count), np.arange(count)
    if count > CANDIDATES:
        tried = np.sort(rng.choice(count, CANDIDATES, replace=False, p=weight_N / weight_N.sum()))
    if count > NEIGHBOURS:
        near = np.sort(rng.choice(count, NEIGHBOURS, replace=False))
    shared = np.maximum(seen_N7[tried] @ seen_N7[near].T, 1)
    mean_cos = np.real(turn_N7[tried].conj() @ turn_N7[near].T) / shared
    kernel = np.exp((mean_cos - 1) / settings.bandwidth)
    whole = np.where(seen_N7[tried].sum(axis=1) >= 6, 1.0, 0.2)  # prefer natives that have their torsions
    best = int(np.argmax((kernel * weight_N[near]).sum(axis=1) * whole))
    kernel_N = np.zeros(count)
    kernel_N[near] = kernel[best]
    return kernel_N


def concentration(resultant: np.ndarray) -> np.ndarray:
    """Von Mises κ whose mean resultant length is `resultant`, 0 to `MAX_CONCENTRATION`.

    Source: the approximation of Fisher, Statistical Analysis of Circular Data (1993), section 4.5.5.
    """
    r = np.clip(resultant, 0.0, 0.9999)
    low = 2 * r + r**3 + 5 * r**5 / 6
    middle = -0.4 + 1.39 * r + 0.43 / (1 - r)
    high = 1 / np.maximum(r**3 - 4 * r**2 + 3 * r, 1e-9)
    return np.minimum(np.where(r < 0.53, low, np.where(r < 0.85, middle, high)), MAX_CONCENTRATION)
