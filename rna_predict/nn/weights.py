"""Open a network on weights from a file, or on starting values; say what was loaded, and refuse what does not fit."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from rna_predict.errors import ConfigError, WeightsError
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.checkpoint import Checkpoint, read_checkpoint
from rna_predict.nn.infer_architecture import infer_architecture
from rna_predict.nn.initialise import initialise, unfilled
from rna_predict.nn.profiles import find_profile
from rna_predict.nn.weights_file import WeightsHeader, read_header, save_weights

__all__ = [
    "Checkpoint",
    "LoadReport",
    "Mismatch",
    "Network",
    "WeightsHeader",
    "compare",
    "infer_architecture",
    "open_network",
    "read_checkpoint",
    "read_header",
    "save_weights",
]

OURS = ("trunk_inputs", "torsion_head", "pair_head", "diffusion_inputs")
"""First words of the keys that this package adds to the layout; public checkpoints lack them."""

LAYOUT = (
    *("input_embedder", "relative_position_encoding", "template_embedder", "msa_module", "pairformer_stack"),
    *("linear_no_bias_sinit", "linear_no_bias_zinit1", "linear_no_bias_zinit2", "linear_no_bias_token_bond"),
    *("linear_no_bias_z_cycle", "linear_no_bias_s", "layernorm_z_cycle", "layernorm_s"),
    *("distogram_head", "diffusion_module", "confidence_head", *OURS, "folding", "geometry", "quality"),
)
"""First words of all keys of the layout; a network that is a part of it has some of them."""

NAMED = 5
"""Keys of each kind that a message names."""

STARTING_SEED = 0
"""Seed of starting values: of an untrained network, and of our parts that a public checkpoint lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A tensor of another shape than the network's."""

    key: str
    expected: tuple[int, ...]
    found: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What became of each tensor, keys sorted.

    Attributes:
        loaded: in the file and in the network.
        missing: in the network only.
        unexpected: in the file only, though not of a part of the layout that the network leaves to another stage.
        mismatched: in both, with different shapes.
        added: of our parts, which the file lacks altogether; they got starting values.
        elsewhere: in the file, of parts of the layout that the network does not have.
        foreign: those of `unexpected` that begin with no word of the layout.
        sha256: hash of all tensors of the file.
        notes: what was done to read the file.
    """

    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()
    added: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    sha256: str = ""
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Number of tensors of each kind."""
        kinds = ("loaded", "missing", "unexpected", "mismatched", "added", "elsewhere")
        return {kind: len(getattr(self, kind)) for kind in kinds}

    @property
    def fits(self) -> bool:
        """Whether every tensor of the network is there in its shape, and none of its parts has more than it knows."""
        return bool(self.loaded) and not (self.missing or self.mismatched or set(self.unexpected) - set(self.foreign))

    def problems(self) -> str:
        """Counts and first names of what does not fit, in one line."""
        shapes = [f"{m.key} (expected {list(m.expected)}, found {list(m.found)})" for m in self.mismatched]
        kinds = {"missing": self.missing, "mismatched": shapes, "unexpected": self.unexpected}
        parts = [f"{len(self.loaded)} tensors loaded"]
        parts += [f"{len(keys)} {kind}: {_first(keys)}" for kind, keys in kinds.items() if keys]
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network whose every tensor has its value, in evaluation mode.

    Attributes:
        module: what `build` made.
        header: architecture, trained or not, source, hash; the hash is the same whichever part was opened.
        report: what was loaded; without a file all tensors are `added`.
    """

    module: nn.Module
    header: WeightsHeader
    report: LoadReport = field(default_factory=LoadReport)


def compare(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> LoadReport:
    """Sort the keys of a network and of a file by what can become of them."""
    claimed = {_root(key) for key in expected}
    given = {_root(key) for key in found}
    absent = [key for key in expected if key not in found]
    surplus = [key for key in found if key not in expected]
    added = {key for key in absent if _root(key) in OURS and _root(key) not in given}
    elsewhere = {key for key in surplus if _root(key) in LAYOUT and _root(key) not in claimed}
    shared = [key for key in expected if key in found]
    return LoadReport(
        loaded=tuple(sorted(key for key in shared if expected[key] == found[key])),
        missing=tuple(sorted(set(absent) - added)),
        unexpected=tuple(sorted(set(surplus) - elsewhere)),
        mismatched=tuple(
            Mismatch(key=key, expected=expected[key], found=found[key])
            for key in sorted(shared)
            if expected[key] != found[key]
        ),
        added=tuple(sorted(added)),
        elsewhere=tuple(sorted(elsewhere)),
        foreign=tuple(sorted(key for key in surplus if _root(key) not in {*LAYOUT, *claimed})),
    )


def open_network(
    build: Callable[[Architecture], nn.Module],
    *,
    weights: str = "",
    untrained_profile: str = "",
    profile_dir: Path | None = None,
) -> Network:
    """Build a network, or a part of one, and give every tensor its value.

    It is built on the meta device, so that base costs no initialisation; tensors of a file are mapped, not copied, and
    come into memory when they are used.

    Args:
        build: makes the module from the sizes; its state-dict keys are those of the layout.
        weights: path of a weights file of any kind (`read_checkpoint`).
        untrained_profile: name of a profile (`profiles.find_profile`) whose starting values are used instead.
        profile_dir: folder with profiles in files.

    Raises:
        ConfigError: neither or both of `weights` and `untrained_profile`, or an unknown profile.
        WeightsError: the file is refused, or does not fit the network; nothing is loaded then.
    """
    if bool(weights) == bool(untrained_profile):
        raise ConfigError(
            f"weights {weights!r}, untrained_profile {untrained_profile!r}: name one of them. A weights file gives "
            "predictions; an untrained profile only tries the path and its cost."
        )
    if untrained_profile:
        return _open_untrained(build, find_profile(untrained_profile, profile_dir))
    checkpoint = read_checkpoint(Path(weights))
    header = header_of(checkpoint)
    module = build_on_meta(build, header.architecture)
    return Network(module=module.eval(), header=header, report=fill_module(module, checkpoint))


def header_of(checkpoint: Checkpoint) -> WeightsHeader:
    """The file's own header, or one made from the shapes of a foreign file.

    Raises:
        WeightsError: the shapes tell no architecture.
    """
    if checkpoint.header is not None:
        return checkpoint.header
    return WeightsHeader(
        architecture=infer_architecture(checkpoint.shapes(), str(checkpoint.path)),
        trained=True,
        source=checkpoint.path.name,
        sha256=checkpoint.sha256,
        tensors=len(checkpoint.tensors),
        parameters=sum(tensor.numel() for tensor in checkpoint.tensors.values()),
    )


def build_on_meta(build: Callable[[Architecture], nn.Module], architecture: Architecture) -> nn.Module:
    """The module without memory for its tensors."""
    with torch.device("meta"):
        return build(architecture)


def fill_module(module: nn.Module, checkpoint: Checkpoint) -> LoadReport:
    """Assign a checkpoint's tensors to a module that stands on the meta device.

    Raises:
        WeightsError: naming the file, with counts and first names of what does not fit; nothing is assigned then.
    """
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    report = compare(expected, checkpoint.shapes())
    if not report.fits:
        raise WeightsError(f"{checkpoint.path}: does not fit the network: {report.problems()}. Nothing was loaded.")
    module.load_state_dict({key: checkpoint.tensors[key] for key in report.loaded}, strict=False, assign=True)
    if report.added:
        initialise(module, STARTING_SEED, wanted=set(report.added).__contains__)
    _require_filled(module)
    kinds = {name: getattr(report, name) for name in ("loaded", "unexpected", "added", "elsewhere", "foreign")}
    return LoadReport(**kinds, sha256=checkpoint.sha256, notes=checkpoint.notes)


def _open_untrained(build: Callable[[Architecture], nn.Module], architecture: Architecture) -> Network:
    module = build_on_meta(build, architecture)
    added = initialise(module, STARTING_SEED)
    _require_filled(module)
    stated = json.dumps(["untrained", STARTING_SEED, architecture.to_dict()], sort_keys=True)
    header = WeightsHeader(
        architecture=architecture,
        trained=False,
        source=f"starting values of profile {architecture.name}, seed {STARTING_SEED}",
        sha256=hashlib.sha256(stated.encode()).hexdigest(),
        tensors=len(added),
        parameters=sum(tensor.numel() for tensor in module.state_dict().values()),
    )
    report = LoadReport(added=tuple(added), sha256=header.sha256)
    return Network(module=module.eval(), header=header, report=report)


def _require_filled(module: nn.Module) -> None:
    empty = unfilled(module)
    if empty:
        raise WeightsError(f"{type(module).__name__}: {len(empty)} tensors got no value: {_first(empty)}.")


def _root(key: str) -> str:
    return key.split(".", 1)[0]


def _first(keys: tuple[str, ...] | list[str]) -> str:
    return ", ".join(keys[:NAMED]) + (", …" if len(keys) > NAMED else "")
