"""What crosses a stage wall, in memory and on disk: frozen, self-checking, versioned.

Arrays are numpy (stage A must not import torch); stages turn them into tensors themselves.
Units: Å and radians in (-π, π].
"""

from rna_predict.atomic import atomic_path
from rna_predict.contracts.adjacency import Adjacency, FamilyFound
from rna_predict.contracts.alignment import Alignment
from rna_predict.contracts.coordinates import BUILD_METHODS, Coordinates
from rna_predict.contracts.embeddings import (
    DISTOGRAM_ATOMS,
    DISTOGRAM_EDGES,
    EDGES,
    Embeddings,
    atom_slots,
    bin_centres,
)
from rna_predict.contracts.ensemble import Ensemble, Model
from rna_predict.contracts.given import GivenStructure
from rna_predict.contracts.loops import STATES, Loop, LoopDecomposition, Stem, decompose
from rna_predict.contracts.reactivity import Reactivity
from rna_predict.contracts.record import (
    Provenance,
    Record,
    alternatives_of,
    digest_of,
    require_same_input,
    require_same_rna,
)
from rna_predict.contracts.sequence import RnaSequence
from rna_predict.contracts.structure import Structure
from rna_predict.contracts.templates import Motif, MotifHit, TemplateHit, TemplateHits
from rna_predict.contracts.torsions import TORSION_FIELDS, Torsions

__all__ = [
    "BUILD_METHODS",
    "DISTOGRAM_ATOMS",
    "DISTOGRAM_EDGES",
    "EDGES",
    "STATES",
    "TORSION_FIELDS",
    "Adjacency",
    "Alignment",
    "Coordinates",
    "Embeddings",
    "Ensemble",
    "FamilyFound",
    "GivenStructure",
    "Loop",
    "LoopDecomposition",
    "Model",
    "Motif",
    "MotifHit",
    "Provenance",
    "Reactivity",
    "Record",
    "RnaSequence",
    "Stem",
    "Structure",
    "TemplateHit",
    "TemplateHits",
    "Torsions",
    "alternatives_of",
    "atom_slots",
    "atomic_path",
    "bin_centres",
    "decompose",
    "digest_of",
    "require_same_input",
    "require_same_rna",
]
