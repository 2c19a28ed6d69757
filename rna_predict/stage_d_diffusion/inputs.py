"""What stage D takes from the three stages before it."""

from dataclasses import dataclass

from rna_predict.contracts import Adjacency, Coordinates, Embeddings, RnaSequence, Torsions, require_same_rna


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDInputs:
    """The records of one RNA: stage A's pairs, stage B's torsions and embeddings, stage C's coordinates."""

    adjacency: Adjacency
    torsions: Torsions
    embeddings: Embeddings
    coordinates: Coordinates

    @property
    def id(self) -> str:
        """The RNA's id."""
        return self.adjacency.id

    @property
    def sequence(self) -> str:
        """Letters A C G U."""
        return self.adjacency.sequence

    def check(self, sequence: RnaSequence) -> None:
        """Raise ContractError when one of them was made for another RNA."""
        require_same_rna(sequence, self.adjacency, self.torsions, self.embeddings, self.coordinates)

    def digests(self) -> dict[str, str]:
        """Digest of each record by its name in `Provenance.inputs`."""
        return {
            "a_adjacency": self.adjacency.digest(),
            "b_torsions": self.torsions.digest(),
            "b_embeddings": self.embeddings.digest(),
            "c_coordinates": self.coordinates.digest(),
        }
