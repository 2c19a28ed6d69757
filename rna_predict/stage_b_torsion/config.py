"""How stage B predicts torsions and pair distances."""

from dataclasses import dataclass

from rna_predict.errors import ConfigError

BACKEND_NAMES = ("geometry", "prior-table", "trunk")
TORSION_NAMES = ("prior-table", "head", "torsionbert")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(kw_only=True)
class StageBConfig:
    """Settings of stage B."""

    backend: str = "geometry"
    """What makes distances and the pair representation; one of `BACKEND_NAMES`: `geometry` is a small network, on the
    package's own weights if you name none, `trunk` an AF3-class one, `prior-table` has no learned weights."""

    geometry_max_length: int = 1000
    """Longest sequence in nt for the geometry network, whose time grows with the cube; longer ones take the prior
    table, and say so."""

    torsions: str = "prior-table"
    """What makes the torsions; one of `TORSION_NAMES`. `head` is the network's own and needs the backend `geometry` or
    `trunk`."""

    prior_table: str = ""
    """Path of another prior table (`rna-predict priors build`); empty for the one that the package carries."""

    weights: str = ""
    """Weights file of the trunk."""

    untrained_profile: str = ""
    """Instead of weights: a profile whose trunk runs on RANDOM weights, to try the path and its cost."""

    partial: str = ""
    """Partial checkpoint that was trained on these weights (or on the profile) and holds tensors of the trunk."""

    torsionbert: str = ""
    """Folder of RNA-TorsionBERT as Hugging Face holds it (sayby/rna_torsionBERT); nothing is downloaded."""

    family_alignment: bool = True
    """Whether the trunk reads the alignment of the RNA's families that stage A made, where you give none."""

    cycles: int = 0
    """Recycling cycles of the trunk; 0 for as many as its profile was made for."""

    device: str = "auto"
    """Where networks run: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1`."""

    precision: str = "auto"
    """Of the trunk's matrix products: `auto` (bfloat16 where the hardware has it), `float32` or `bfloat16`."""

    chunk_rows: int = 0
    """Rows of the pair representation that the trunk works on at once; 0 for as many as the device likes."""

    seed: int = 0
    """Of how the trunk's reference conformers are turned."""

    max_length: int = 3000
    """Longest sequence in nt: the embeddings take about 0.3 kB for every pair of residues, a trunk needs more."""

    @property
    def reads_templates(self) -> bool:
        """Whether known structures have a share in distances and torsions: AF3's trunk has its own way with them."""
        return self.backend != "trunk"

    @property
    def reads_family(self) -> bool:
        """Whether stage A's alignment has a reader: the trunk alone reads alignments."""
        return self.backend == "trunk" and self.family_alignment

    def __post_init__(self) -> None:
        """Raise ConfigError, naming the field and what it may be, or two fields that do not go together."""
        choices = {"backend": BACKEND_NAMES, "torsions": TORSION_NAMES, "precision": PRECISIONS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"stage_b.{name}: {getattr(self, name)!r} is unknown. Use one of: {', '.join(known)}."
                )
        for name in ("cycles", "chunk_rows", "seed", "geometry_max_length"):
            if getattr(self, name) < 0:
                raise ConfigError(f"stage_b.{name}: {getattr(self, name)} must not be negative.")
        if not 1 <= self.max_length <= 100_000:
            raise ConfigError(f"stage_b.max_length: {self.max_length} is outside 1 … 100000.")
        self._check_networks()

    def _check_networks(self) -> None:
        """What networks need is there, and what is there is used."""
        if self.backend == "geometry":
            if self.weights and self.untrained_profile:
                raise ConfigError(
                    f"stage_b.backend: geometry takes stage_b.weights or stage_b.untrained_profile, not both; found "
                    f"{self.weights!r} and {self.untrained_profile!r}. Without either it has the package's own weights."
                )
            if self.cycles:
                raise ConfigError(f"stage_b.cycles: {self.cycles} is given, but the geometry network has no cycles.")
        elif self.backend == "trunk":
            if bool(self.weights) == bool(self.untrained_profile):
                raise ConfigError(
                    "stage_b.backend: trunk needs either stage_b.weights (a file) or stage_b.untrained_profile (random "
                    f"weights, to try the path); found {self.weights!r} and {self.untrained_profile!r}."
                )
        else:
            for name in ("weights", "untrained_profile", "partial", "cycles"):
                if getattr(self, name):
                    found = f"stage_b.{name}: {getattr(self, name)!r}"
                    raise ConfigError(f"{found} is given, but stage_b.backend is {self.backend}. Set backend to trunk.")
            if self.torsions == "head":
                raise ConfigError(
                    f"stage_b.torsions: head needs stage_b.backend geometry or trunk, found {self.backend}."
                )
        if bool(self.torsionbert) != (self.torsions == "torsionbert"):
            raise ConfigError(
                f"stage_b.torsions: {self.torsions}, and stage_b.torsionbert: {self.torsionbert!r}. Name the folder "
                "exactly where torsions is torsionbert."
            )
