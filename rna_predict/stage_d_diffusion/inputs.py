"""What stage D takes from the three stages before it."""

from dataclasses import dataclass

from rna_predict.contracts import (
    Adjacency,
    Coordinates,
    Embeddings,
    RnaSequence,
    Torsions,
    alternatives_of,
    require_same_rna,
)
from rna_predict.errors import ContractError


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

    def alternatives(self) -> list["StageDInputs"]:
        """The same of each other secondary structure that stage C built, likeliest first.

        Raises:
            ContractError: stage C built one that stages A and B do not have.
        """
        records = (self.adjacency, self.torsions, self.embeddings)
        upstream = zip(*map(alternatives_of, records), strict=False)
        by_digest = {adjacency.digest(): (adjacency, *others) for adjacency, *others in upstream}
        found = []
        for coordinates in alternatives_of(self.coordinates):
            digest = coordinates.provenance.inputs["a_adjacency"]
            if digest not in by_digest:
                raise ContractError(
                    f"{self.id}: stages A and B lack a structure that stage C built. Run stage_c again."
                )
            adjacency, torsions, embeddings = by_digest[digest]
            found.append(
                StageDInputs(adjacency=adjacency, torsions=torsions, embeddings=embeddings, coordinates=coordinates)
            )
        return found

    def digests(self) -> dict[str, str]:
        """Digest of each record by its name in `Provenance.inputs`."""
        return {
            "a_adjacency": self.adjacency.digest(),
            "b_torsions": self.torsions.digest(),
            "b_embeddings": self.embeddings.digest(),
            "c_coordinates": self.coordinates.digest(),
        }
