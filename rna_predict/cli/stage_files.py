"""Where each stage's files of one RNA lie, and how they are read back: only with what they were made from."""

from dataclasses import dataclass
from pathlib import Path

from rna_predict.contracts import Adjacency, Coordinates, Embeddings, RnaSequence, Torsions, require_same_input
from rna_predict.errors import ContractError
from rna_predict.formats.fasta import read_one


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

    def torsions(self, sequence: RnaSequence, adjacency: Adjacency) -> Torsions:
        """Stage B's torsions, made from this very adjacency."""
        torsions = Torsions.load(self.path("b_torsions.safetensors"), sequence)
        require_same_input(torsions, "a_adjacency", adjacency)
        return torsions

    def embeddings(self, sequence: RnaSequence, adjacency: Adjacency) -> Embeddings:
        """Stage B's pair representation, made from this very adjacency."""
        embeddings = Embeddings.load(self.path("b_embeddings.safetensors"), sequence)
        require_same_input(embeddings, "a_adjacency", adjacency)
        return embeddings

    def coordinates(self, sequence: RnaSequence, adjacency: Adjacency) -> Coordinates:
        """Stage C's model, made from this very adjacency."""
        coordinates = Coordinates.load(self.path("c_coordinates.safetensors"), sequence)
        require_same_input(coordinates, "a_adjacency", adjacency)
        return coordinates
