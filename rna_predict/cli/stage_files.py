"""Where each stage's files of one RNA lie, and how they are read back: only with what they were made from."""

from dataclasses import dataclass
from pathlib import Path

from rna_predict.contracts import (
    Adjacency,
    Alignment,
    Coordinates,
    Embeddings,
    Ensemble,
    Provenance,
    Record,
    RnaSequence,
    TemplateHits,
    Torsions,
    require_same_input,
)
from rna_predict.errors import ContractError, InputError
from rna_predict.formats.alignment import read_alignment
from rna_predict.formats.fasta import read_one
from rna_predict.formats.models import read_ensemble

RECORDS: dict[str, type[Record]] = {
    "a_adjacency": Adjacency,
    "b_torsions": Torsions,
    "b_embeddings": Embeddings,
    "c_coordinates": Coordinates,
}
"""Record type of each file `<name>.safetensors`; the names are also the keys of `Provenance.inputs`."""


@dataclass(frozen=True, slots=True)
class StageFiles:
    """The folder `<root>/<id>` of one RNA."""

    root: Path
    id: str

    def path(self, name: str) -> Path:
        """A file of the contract table, e.g. `a_adjacency.safetensors`."""
        return self.root / self.id / name

    def sequence(self) -> RnaSequence:
        """The prepared sequence.

        Raises:
            ContractError: missing, or of another id.
        """
        path = self.path("sequence.fasta")
        if not path.is_file():
            raise ContractError(f"{path}: no such file. Run prepare again.")
        return read_one(path, self.id)

    def adjacency(self, sequence: RnaSequence) -> Adjacency:
        """Stage A's result for this very sequence."""
        return Adjacency.load(self.path("a_adjacency.safetensors"), sequence)

    def family_alignment(self, sequence: RnaSequence) -> Alignment | None:
        """Stage A's alignment of the RNA's families; None where it holds the RNA alone, which says nothing new.

        Raises:
            ContractError: missing, or of another RNA.
        """
        path = self.path("a_family.a3m")
        if not path.is_file():
            raise ContractError(f"{path}: no such file. Run stage_a again.")
        try:
            alignment, _ = read_alignment(path, sequence)
        except InputError as error:
            raise ContractError(f"{error} Run stage_a again.") from error
        return alignment if alignment.depth > 1 else None

    def templates(self, sequence: RnaSequence, adjacency: Adjacency) -> TemplateHits:
        """Known structures on the RNA, found under this very adjacency."""
        templates = TemplateHits.load(self.path("t_templates.safetensors"), sequence)
        require_same_input(templates, "a_adjacency", adjacency)
        return templates

    def torsions(self, sequence: RnaSequence, adjacency: Adjacency) -> Torsions:
        """Stage B's torsions, made from this very adjacency."""
        torsions = Torsions.load(self.path("b_torsions.safetensors"), sequence)
        require_same_input(torsions, "a_adjacency", adjacency)
        self._require_same_templates(torsions)
        return torsions

    def embeddings(self, sequence: RnaSequence, adjacency: Adjacency) -> Embeddings:
        """Stage B's pair representation, made from this very adjacency."""
        embeddings = Embeddings.load(self.path("b_embeddings.safetensors"), sequence)
        require_same_input(embeddings, "a_adjacency", adjacency)
        self._require_same_templates(embeddings)
        return embeddings

    def coordinates(self, sequence: RnaSequence, adjacency: Adjacency) -> Coordinates:
        """Stage C's model, made from this very adjacency and from the torsions that lie beside it."""
        path = self.path("c_coordinates.safetensors")
        coordinates = Coordinates.load(path, sequence)
        require_same_input(coordinates, "a_adjacency", adjacency)
        self._require_fresh(path, coordinates.provenance, "stage_c", ("b_torsions", "b_embeddings"))
        return coordinates

    def ensemble(self, sequence: RnaSequence) -> Ensemble:
        """Stage D's models, made from the files of stages A, B and C that lie beside them."""
        path = self.path("d_confidence.json")
        ensemble = read_ensemble(self.path("d_models.cif"), path, sequence)
        self._require_fresh(path, ensemble.provenance, "stage_d", tuple(RECORDS))
        return ensemble

    def _require_same_templates(self, record: Torsions | Embeddings) -> None:
        """Refuse what stage B mixed with other templates than those on disk.

        Raises:
            ContractError: stage B must run again.
        """
        path = self.path("t_templates.safetensors")
        told = record.provenance.inputs.get("templates")
        if told is not None and path.is_file() and TemplateHits.stated_digest(path) != told:
            raise ContractError(
                f"{record.SCHEMA} of {record.id} is stale: it was made with other templates than those on disk. "
                f"Run {record.STAGE} again."
            )

    def _require_fresh(self, path: Path, provenance: Provenance, stage: str, names: tuple[str, ...]) -> None:
        """Refuse what was made from other files than those on disk; a file that is gone says nothing.

        Raises:
            ContractError: naming the stage to run again.
        """
        for name in names:
            upstream = self.path(f"{name}.safetensors")
            if upstream.is_file() and RECORDS[name].stated_digest(upstream) != provenance.inputs.get(name):
                raise ContractError(
                    f"{path}: is stale: it was made from another {name} than the one on disk. Run {stage} again."
                )
