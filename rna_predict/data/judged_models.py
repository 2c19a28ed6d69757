"""Models of RNAs of known structure, and how right each part of them is: what the quality network learns from.

A folder a chain, with the files of stages A to D as a prediction writes them and `truth.safetensors`, which also has
decoys, the best model made worse; `models.json` lists the chains with cluster and split. `rna-predict dataset models`
makes it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor

from rna_predict.atomic import atomic_path
from rna_predict.chemistry.residues import C1, C3
from rna_predict.contracts import Adjacency, Coordinates, Embeddings, Ensemble, alternatives_of, digest_of
from rna_predict.contracts.structure import full_mask
from rna_predict.data.chains import Chain, model_of, native_of
from rna_predict.data.decoys import decoys
from rna_predict.data.padding import stacked
from rna_predict.errors import ContractError, InputError
from rna_predict.evaluation.correspondence import common, shared_atoms
from rna_predict.evaluation.lddt import lddt
from rna_predict.evaluation.scores import FEWEST_POINTS
from rna_predict.evaluation.tm_score import tm_score
from rna_predict.formats.models import read_ensemble
from rna_predict.stage_d_diffusion.alternative_models import TERM
from rna_predict.stage_d_diffusion.heuristic_confidence import seen_from_sugars
from rna_predict.stage_d_diffusion.quality_features import QualityFeatures, quality_features

MANIFEST, TRUTH = "models.json", "truth.safetensors"
SCHEMA, VERSION = "rna_predict.judged_models", 1
AGAIN = "Make the models again: `rna-predict dataset models`."

KEPT = 2000
"""Models whose features stay in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedChain:
    """A chain in the list, with the numbers of its models and decoys."""

    id: str
    cluster: str
    split: str
    length: int
    models: int
    decoys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityExample:
    """A padded batch of models and what is true of them.

    Attributes:
        ids: of the chains.
        features: what the network reads.
        lddt_BL: 0 to 1; NaN where the native does not say, as in the others.
        pae_BLL: Å, how far C1' of the second residue is off when P, C4', C1' of the first lie on the native's.
        pde_BLL: Å, by how much their C1' distance is off.
        tm_B: TM-score on C3' of the whole model; NaN for a stretch of one.
    """

    ids: tuple[str, ...]
    features: QualityFeatures
    lddt_BL: Float[Tensor, "b l"]
    pae_BLL: Float[Tensor, "b l l"]
    pde_BLL: Float[Tensor, "b l l"]
    tm_B: Float[Tensor, " b"]

    def to(self, device: torch.device | str) -> "QualityExample":
        """The same on a device."""
        return QualityExample(
            ids=self.ids,
            features=self.features.to(device),
            lddt_BL=self.lddt_BL.to(device),
            pae_BLL=self.pae_BLL.to(device),
            pde_BLL=self.pde_BLL.to(device),
            tm_B=self.tm_B.to(device),
        )

    def cut(self, start: int, end: int) -> "QualityExample":
        """A stretch of residues; what is true of them is of the whole model."""
        part = slice(start, end)
        whole = end - start == self.lddt_BL.shape[1]
        return QualityExample(
            ids=self.ids,
            features=self.features.cut(start, end),
            lddt_BL=self.lddt_BL[:, part],
            pae_BLL=self.pae_BLL[:, part, part],
            pde_BLL=self.pde_BLL[:, part, part],
            tm_B=self.tm_B if whole else torch.full_like(self.tm_B, torch.nan),
        )

    @property
    def known_BL(self) -> Bool[Tensor, "b l"]:
        """Residues whose lDDT is known."""
        return ~self.lddt_BL.isnan()


def collate_quality(examples: Sequence[QualityExample]) -> QualityExample:
    """One padded batch; what is padded is 0 or NaN, and False in the mask."""
    length = max(one.lddt_BL.shape[1] for one in examples)
    parts = [one.features for one in examples]
    sizes = {"single_BLF": 1, "pair_BLLP": 2, "separation_BLL": 2, "distance_BLL": 2, "mask_BL": 1}
    padded = {
        field.name: stacked([getattr(part, field.name) for part in parts], *[length] * sizes[field.name])
        for field in fields(QualityFeatures)
    }
    there_BL = padded["mask_BL"]
    both_BLL = there_BL[:, :, None] & there_BL[:, None]
    lddt_BL = stacked([one.lddt_BL for one in examples], length)
    errors = [stacked([getattr(one, name) for one in examples], length, length) for name in ("pae_BLL", "pde_BLL")]
    pae_BLL, pde_BLL = (error_BLL.masked_fill(~both_BLL, torch.nan) for error_BLL in errors)
    return QualityExample(
        ids=tuple(id for one in examples for id in one.ids),
        features=QualityFeatures(**padded),
        lddt_BL=lddt_BL.masked_fill(~there_BL, torch.nan),
        pae_BLL=pae_BLL,
        pde_BLL=pde_BLL,
        tm_B=torch.cat([one.tm_B for one in examples]),
    )


@dataclass(slots=True)
class ModelDataset:
    """The chains of a folder by position.

    Attributes:
        folder: the dataset.
        rows: of each position.
        digest: of the list.
        ids: of each position.
        clusters: of each position.
        splits: split of each id.
    """

    folder: Path
    rows: list[JudgedChain]
    digest: str
    ids: list[str]
    clusters: list[str]
    splits: dict[str, str]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def length_N(self) -> np.ndarray:
        """int64 [N], residues of each position."""
        return np.array([row.length for row in self.rows], dtype=np.int64)

    def positions(self, split: str) -> np.ndarray:
        """int64 positions of a split."""
        return np.array([k for k, row in enumerate(self.rows) if row.split == split], dtype=np.int64)

    def example(self, position: int, model: int = 0) -> QualityExample:
        """One model of a chain, B = 1; 0 is the best-ranked, behind the last stand the decoys.

        Raises:
            ContractError: a file is missing, damaged or does not belong to the others.
        """
        return _example(self.folder / self.rows[position].id, model)


def write_list(folder: Path, rows: Sequence[JudgedChain]) -> None:
    """Write `models.json`, whole or not at all."""
    content = {"schema": SCHEMA, "version": VERSION, "chains": [asdict(row) for row in rows]}
    with atomic_path(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def open_models(folder: Path) -> ModelDataset:
    """The chains of a folder.

    Raises:
        InputError: it holds no judged models.
        ContractError: its list is damaged or of another version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(
            f"{folder}: holds no judged models (no {MANIFEST}). Make them with `rna-predict dataset models`."
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if (found["schema"], found["version"]) != (SCHEMA, VERSION):
            raise ContractError(f"{path}: expected {SCHEMA} version {VERSION}. {AGAIN}")
        rows = [JudgedChain(**row) for row in found["chains"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ContractError(f"{path}: damaged list ({error}). {AGAIN}") from error
    return ModelDataset(
        folder=folder,
        rows=rows,
        digest=digest_of(found["chains"]),
        ids=[row.id for row in rows],
        clusters=[row.cluster for row in rows],
        splits={row.id: row.split for row in rows},
    )


def predicted(folder: Path) -> bool:
    """Whether a prediction in a chain's folder came to its end: the file that is written last is there."""
    return (folder / "d_confidence.json").is_file()


def models_of(folder: Path) -> Ensemble:
    """The models in a chain's folder.

    Raises:
        ContractError: a file is missing, damaged or does not belong to the other.
    """
    return read_ensemble(folder / "d_models.cif", folder / "d_confidence.json")


def write_truth(folder: Path, chain: Chain, ensemble: Ensemble, count: int) -> None:
    """Measure every model of an ensemble and `count` decoys against the native, and write `truth.safetensors`."""
    best_LA3 = ensemble.models[0].xyz_LA3
    decoy_DLA3 = decoys(best_LA3, full_mask(ensemble.sequence), ensemble.id, count)
    rows = [measured(chain, xyz_LA3) for xyz_LA3 in (*(model.xyz_LA3 for model in ensemble.models), *decoy_DLA3)]
    arrays = {name: np.stack([row[name] for row in rows]).astype(np.float32) for name in rows[0]}
    arrays["decoys"] = decoy_DLA3
    with atomic_path(folder / TRUTH) as temporary:
        temporary.write_bytes(save(arrays))


def measured(chain: Chain, xyz_LA3: np.ndarray) -> dict[str, np.ndarray]:
    """What is true of a model of a chain, NaN where the native does not say: `lddt` [L], `pae`, `pde` [L, L], `tm`."""
    model, native = model_of(chain, xyz_LA3), native_of(chain)
    atoms = shared_atoms(model, native, common(model, native))
    found, scored = lddt(atoms), int(atoms.mask_LA[:, C3].sum()) >= FEWEST_POINTS
    native_LA3 = np.where(chain.mask_LA[..., None], chain.xyz_LA3, np.nan).astype(np.float64)
    off_LL3 = seen_from_sugars(model.xyz_LA3) - seen_from_sugars(native_LA3)
    gaps = [np.linalg.norm(one[:, None, C1] - one[None, :, C1], axis=-1) for one in (model.xyz_LA3, native_LA3)]
    return {
        "lddt": np.where(found.defined_L, found.residue_L, np.nan),
        "pae": np.linalg.norm(off_LL3, axis=-1),
        "pde": np.abs(gaps[0] - gaps[1]),
        "tm": np.array(tm_score(atoms, "C3'") if scored else np.nan),
    }


@lru_cache(maxsize=KEPT)
def _example(folder: Path, model: int) -> QualityExample:
    ensemble, records, truth = _read(folder)
    if model < len(ensemble.models):
        xyz_LA3, which = ensemble.models[model].xyz_LA3, int(ensemble.models[model].terms.get(TERM, 0))
    else:
        xyz_LA3, which = truth["decoys"][model - len(ensemble.models)], 0
    adjacency, embeddings, coordinates = records[which]
    values = {name: torch.tensor(truth[name][model])[None] for name in ("lddt", "pae", "pde", "tm")}
    return QualityExample(
        ids=(ensemble.id,),
        features=quality_features(xyz_LA3, adjacency, embeddings, coordinates.built_L),
        lddt_BL=values["lddt"],
        pae_BLL=values["pae"],
        pde_BLL=values["pde"],
        tm_B=values["tm"],
    )


@lru_cache(maxsize=1)
def _read(folder: Path) -> tuple[Ensemble, dict[int, tuple[Adjacency, Embeddings, Coordinates]], dict[str, np.ndarray]]:
    """The models, the records that each secondary structure's were made from (0: stage A's first), and the truth."""
    ensemble = models_of(folder)
    adjacency = Adjacency.load(folder / "a_adjacency.safetensors", ensemble.rna)
    embeddings = Embeddings.load(folder / "b_embeddings.safetensors", ensemble.rna)
    coordinates = Coordinates.load(folder / "c_coordinates.safetensors", ensemble.rna)
    built = {one.provenance.inputs["a_adjacency"]: one for one in (coordinates, *alternatives_of(coordinates))}
    pairs = zip((adjacency, *alternatives_of(adjacency)), (embeddings, *alternatives_of(embeddings)), strict=True)
    records = {k: (one, its, built[one.digest()]) for k, (one, its) in enumerate(pairs) if one.digest() in built}
    try:
        truth = load_file(folder / TRUTH)
    except (OSError, SafetensorError) as error:
        raise ContractError(f"{folder / TRUTH}: cannot be read ({error}). {AGAIN}") from error
    return ensemble, records, truth
