"""How stage A folds, and what it does with a given structure."""

import math
import re
from dataclasses import dataclass, field

from rna_predict.errors import ConfigError

BACKEND_NAMES = ("viennarna", "ensemble", "rfold", "linearpartition", "mxfold2")
PARAMETERS = ("turner2004", "langdon2018", "andronescu2007")
READOUTS = ("auto", "mea", "centroid", "mfe", "rooks")
PSEUDOKNOTS = ("auto", "off", "threshknot", "crossing", "iterative")
GIVEN_MODES = ("override", "constrain")
FAMILY_MODES = ("auto", "off")
TEMPLATE_MODES = ("auto", "off")


@dataclass(kw_only=True)
class StageAConfig:
    """Settings of stage A; the default readout and γ were chosen in docs/decisions/0002-stage-a-mea.md."""

    backend: str = "ensemble"
    """What computes pair probabilities: `viennarna` (energy model), `rfold` (network), `ensemble` (both),
    `linearpartition` (for thousands of nt; an executable that you install) or `mxfold2` (a package that you install).
    Chosen in docs/decisions/0015-folding-network.md."""

    energy_parameters: str = "turner2004"
    """Energies of ViennaRNA's model: `turner2004` (measured), `langdon2018` or `andronescu2007` (fitted to known
    structures)."""

    temperature_celsius: float = 37.0
    """Temperature of the energy model."""

    weights: str = ""
    """Weights file of the network of `rfold` and `ensemble`; empty for the one that the package carries."""

    untrained_profile: str = ""
    """Instead of weights: a profile whose network runs on RANDOM weights, or that `partial` was trained from."""

    partial: str = ""
    """Partial checkpoint that was trained on these weights (or on the profile)."""

    device: str = "auto"
    """Where the network runs: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1`."""

    ensemble_weight: float = 0.6
    """kcal/mol by which `ensemble` favours a pair for each unit of its log-odds in the mean opinion."""

    ensemble_clip: float = 4.0
    """Largest log-odds that counts."""

    readout: str = "auto"
    """How the matching is read: `mea` (maximum expected accuracy), `centroid`, `mfe`, `rooks` (of `rfold`: partners
    that prefer each other), or `auto`: the backend's own, which is mea, of `rfold` rooks, of `mxfold2` mfe."""

    mea_gamma: float = 1.0
    """Weight of a paired against an unpaired base in MEA; higher values give more pairs of lower probability."""

    lonely_pairs: bool = True
    """Whether the energy model may form helices of a single pair (ViennaRNA's noLP when false)."""

    max_pair_span: int = 0
    """Largest distance in residues between two that pair (j - i) for ViennaRNA; 0 for any."""

    linearpartition: str = "linearpartition"
    """LinearPartition's executable: its name on the PATH, or its path."""

    linearpartition_beam: int = 100
    """States that LinearPartition keeps at each position; 0 for all."""

    min_stem: int = 2
    """Predicted stems with fewer stacked pairs are left out of the matching (not of the probabilities)."""

    pseudoknots: str = "auto"
    """How helices that cross others are found: `off`; `threshknot` (pairs of mutually most probable partners are the
    matching); `crossing` (such pairs among residues that the nested matching leaves unpaired); `iterative` (a helix is
    taken out and the rest folded again); or `auto` (`iterative` where the backend gives free energies and the RNA
    has at most `pseudoknot_max_length` residues, else `off`).
    Chosen, with the numbers below, in docs/decisions/0017-pseudoknots.md."""

    pseudoknot_threshold: float = 0.3
    """Least probability of a pair that `threshknot` and `crossing` add."""

    pseudoknot_min_stem: int = 3
    """Fewest stacked pairs of a helix that is added as part of a pseudoknot."""

    pseudoknot_penalty: float = 3.0
    """kcal/mol that a pseudoknot costs in `iterative`, besides the loops that the energy model already counts."""

    pseudoknot_unpaired: float = 0.15
    """kcal/mol that each unpaired residue within the pseudoknot costs in `iterative`."""

    pseudoknot_candidates: int = 5
    """Helices that `iterative` tries, the most promising by stacks and probabilities; each costs one more fold."""

    pseudoknot_max_length: int = 1000
    """Longest RNA in nt whose pseudoknots `auto` searches: what it finds was measured up to 400 nt, and at 3,000 nt
    each candidate would take a minute and a half."""

    calibration: str = "auto"
    """Map that makes pair probabilities mean what they say: `auto` (the carried one of this backend and its energies,
    where there is one), `off`, or a JSON file of `rna-predict bench stage-a --across validation --calibration FILE`."""

    given_mode: str = "override"
    """A given structure is the answer (`override`), or its pairs hold and the rest is folded (`constrain`)."""

    given_threshold: float = 0.5
    """From a given probability matrix, pairs above it are kept even where they cross others (a pseudoknot)."""

    given_bonus: float = 2.0
    """With `constrain`, pseudo-energy in kcal/mol by which a given pair probability of 1 favours its pair."""

    shape_slope: float = 1.8
    """kcal/mol, m in m · ln(1 + reactivity) + b, which each stacked residue with a reactivity adds; Deigan 2009."""

    shape_intercept: float = -0.6
    """kcal/mol, b of the same formula: what a residue of reactivity 0 gains by stacking."""

    family: str = "auto"
    """`auto` looks the sequence up among Rfam's families and favours the pairs of those it finds; `off` does not.
    Chosen, with the numbers below, in docs/decisions/0014-families.md."""

    family_evalue: float = 0.01
    """Largest E-value of a family's hit, for one sequence against all families."""

    family_weight: float = 1.25
    """kcal/mol by which a consensus pair that is certainly aligned and formed by all seed rows is favoured."""

    family_loop_weight: float = 0.7
    """kcal/mol that another pair costs whose residue certainly stands in a loop of the consensus."""

    family_knot_weight: float = 3.0
    """kcal/mol that another pair costs whose residue certainly belongs to a pseudoknot of the consensus."""

    family_library: str = ""
    """Another library than the one that the package carries, made by `rna-predict families build`."""

    family_exclude: list[str] = field(default_factory=list)
    """Accessions of families that are left out, e.g. [RF00005]; for measuring across families."""

    templates: str = "auto"
    """`auto` looks for known structures like the RNA or a stretch of it, as the settings of `templates` say, and folds
    under the pairs of those it finds; `off` does not. Chosen, with the numbers below, in
    docs/decisions/0027-pairs-of-pdb-rnas.md."""

    template_weight: float = 3.0
    """kcal/mol by which a pair of the best template is favoured, times the TM-score that is expected of it."""

    template_loop_weight: float = 1.0
    """kcal/mol that another pair costs whose residue stands in a loop of the best template, times the same."""

    local_weight: float = 12.0
    """kcal/mol by which the pairs of a known stretch that reads like the RNA's are favoured together, where they are
    expected to be right with odds of e to 1; docs/decisions/0030-known-stretches.md."""

    local_limit: float = 3.0
    """kcal/mol by which each of them is favoured at most."""

    alternatives: int = 1
    """Most other secondary structures that stages B to D build too, a model for each; 0 for none. Chosen, with the
    numbers below, in docs/decisions/0028-candidates.md."""

    alternative_doubt: float = 0.3
    """Least probability that a stem is not there, from which the RNA is folded again without it."""

    alternative_max_length: int = 200
    """Longest RNA in nt that gets alternatives: each costs stages B and C once more."""

    max_length: int = 3000
    """Longest sequence in nt: the default takes 8 minutes and 4.8 GB at 3,000 nt on one thread, cubic in time."""

    def __post_init__(self) -> None:
        """Raise ConfigError, naming the field and what it may be."""
        choices = {"backend": BACKEND_NAMES, "readout": READOUTS, "given_mode": GIVEN_MODES, "pseudoknots": PSEUDOKNOTS}
        choices |= {"family": FAMILY_MODES, "energy_parameters": PARAMETERS, "templates": TEMPLATE_MODES}
        for name, known in choices.items():
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"stage_a.{name}: {value!r} is unknown. Use one of: {', '.join(known)}.")
        ranges = {
            "temperature_celsius": (0.0, 100.0),
            "mea_gamma": (0.01, 100.0),
            "max_pair_span": (0, 100_000),
            "linearpartition_beam": (0, 100_000),
            "min_stem": (1, 100),
            "ensemble_weight": (0.0, 20.0),
            "ensemble_clip": (0.0, 20.0),
            "pseudoknot_threshold": (0.0, 1.0),
            "pseudoknot_min_stem": (2, 100),
            "pseudoknot_penalty": (0.0, 100.0),
            "pseudoknot_unpaired": (0.0, 10.0),
            "pseudoknot_candidates": (1, 1000),
            "pseudoknot_max_length": (0, 100_000),
            "given_threshold": (0.5, 1.0),  # above one half no residue can have two such pairs
            "given_bonus": (0.0, 20.0),
            "shape_slope": (0.0, 20.0),
            "shape_intercept": (-20.0, 0.0),
            "family_evalue": (1e-100, 1000.0),
            "family_weight": (0.0, 20.0),
            "family_loop_weight": (0.0, 20.0),
            "family_knot_weight": (0.0, 20.0),
            "template_weight": (0.0, 20.0),
            "template_loop_weight": (0.0, 20.0),
            "local_weight": (0.0, 100.0),
            "local_limit": (0.0, 20.0),
            "alternatives": (0, 20),
            "alternative_doubt": (0.0, 1.0),
            "alternative_max_length": (0, 100_000),
            "max_length": (1, 100_000),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ConfigError(f"stage_a.{name}: {value} is outside {low} … {high}.")
        if self.weights and self.untrained_profile:
            raise ConfigError("stage_a.weights, stage_a.untrained_profile: name one of them, not both.")
        for accession in self.family_exclude:
            if not re.fullmatch(r"RF\d{5}", accession):
                raise ConfigError(f"stage_a.family_exclude: {accession!r} is no accession of Rfam such as RF00005.")
