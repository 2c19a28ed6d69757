"""Partial checkpoints: files that hold only what was trained, and say on which weights.

Training and inference load them through the same checks. Which tensors a network expects is what it trains
(`requires_grad`), or for a prediction, which trains nothing, what the file's own settings name (`merge_partial`).
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rna_predict.errors import ConfigError, WeightsError
from rna_predict.nn.adapters import (
    AdapterConfig,
    Adapters,
    is_adapter,
    merge_tensors,
    plain_key,
    trainable_state,
    trained_shapes,
)
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.weights import LAYOUT, LoadReport, Mismatch, Network
from rna_predict.nn.weights_file import (
    PARTIAL_KEY,
    all_finite,
    hash_of_file,
    hash_of_tensors,
    opened,
    seal_of,
    storable,
    write_tensors,
)

FORMAT_VERSION = 1
METADATA_KEY = PARTIAL_KEY

STAGE_A_PARTS = ("folding",)
"""First words of the keys of stage A's network."""

STAGE_D_PARTS = ("diffusion_module", "confidence_head", "diffusion_inputs", "quality")
"""First words of the keys of stage D's network; the rest of the layout is stage B's trunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialHeader:
    """What a partial checkpoint says about itself; `save_partial` fills in hash and counts."""

    base_sha256: str
    """Hash of the weights that it was trained on (`WeightsHeader.sha256`)."""
    base_source: str
    """Where these come from, for people."""
    architecture: Architecture | None
    """Sizes of the network; None for TorsionBERT, whose tensors say them."""
    adapter: AdapterConfig
    """What is trained: groups, rank, scale, modules."""
    step: int = 0
    """Optimiser steps that were made."""
    sha256: str = ""
    """Hash of its own tensors."""
    tensors: int = 0
    """Number of tensors."""
    parameters: int = 0
    """Number of values in them."""

    def to_json(self) -> str:
        """One line, sealed with its own hash."""
        values: dict[str, Any] = {"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}
        values = json.loads(json.dumps(values))  # tuples become lists, as a reader will see them
        return json.dumps({**values, "seal": seal_of(values)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> "PartialHeader":
        """Read `to_json`'s line.

        Args:
            text: the line.
            where: file for the message.

        Raises:
            WeightsError: not JSON, another format version, damaged, or a field is wrong.
        """
        try:
            values = json.loads(text)
            seal, version = values.pop("seal"), values["format_version"]
            if version != FORMAT_VERSION:
                raise WeightsError(
                    f"{where}: format_version: expected {FORMAT_VERSION}, found {version!r}. Train again."
                )
            if seal != seal_of(values):
                raise WeightsError(f"{where}: the header does not match its seal; the file is damaged. Get it again.")
            del values["format_version"]
            sizes = values["architecture"]
            architecture = None if sizes is None else Architecture.from_dict(sizes)
            return cls(
                **{**values, "architecture": architecture, "adapter": AdapterConfig.from_dict(values["adapter"])}
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError) as error:
            raise WeightsError(f"{where}: the header cannot be read ({error}). Get the file again.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialCheckpoint:
    """A verified partial checkpoint.

    Attributes:
        path: the file.
        header: what it says about itself.
        tensors: by plain key (`adapters.plain_key`).
    """

    path: Path
    header: PartialHeader
    tensors: Mapping[str, Tensor]

    @property
    def label(self) -> str:
        """File name and step, as sources and outputs name it; in ASCII, as PDB files are."""
        return f"{ascii(self.path.name)[1:-1]} (step {self.header.step})"

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages that it holds tensors of."""
        return stages_of(self.tensors)


def stages_of(keys: Iterable[str]) -> tuple[str, ...]:
    """Which of `stage_a`, `stage_b` (the trunk) and `stage_d` have any of these tensors of the layout."""
    roots = {key.split(".", 1)[0] for key in keys} & set(LAYOUT)
    stages = {**dict.fromkeys(STAGE_A_PARTS, "stage_a"), **dict.fromkeys(STAGE_D_PARTS, "stage_d")}
    return tuple(sorted({stages.get(root, "stage_b") for root in roots}))


def trunk_identity(base_sha256: str, partial: PartialCheckpoint | None) -> str:
    """Hash of the trunk that goes with base weights and a partial checkpoint.

    Stage B writes it into its records, and stage D, whose weights were trained on the embeddings of one trunk, accepts
    those of this trunk alone. Where the partial checkpoint holds nothing of the trunk, the trunk stays the base's:

    ====================  =======================  ====================================================
    it holds tensors of   given to stage B         given to stage D, which then
    ====================  =======================  ====================================================
    both                  trunk is base + partial  runs on base + partial, expects base + partial
    stage D alone         refused                  runs on base + partial, expects the base
    the trunk alone       trunk is base + partial  runs on the base, expects base + partial
    none is given         trunk is the base        runs on the base, expects the base
    ====================  =======================  ====================================================
    """
    return merged_sha256(base_sha256, partial) if partial is not None and "stage_b" in partial.stages else base_sha256


def merged_sha256(base_sha256: str, partial: PartialCheckpoint) -> str:
    """Hash of weights that a partial checkpoint is merged into, made of both hashes."""
    both = json.dumps([base_sha256, partial.header.sha256])
    return hashlib.sha256(both.encode()).hexdigest()


def frozen_keys(module: nn.Module) -> set[str]:
    """Plain keys of what the network has and does not train; adapters that are not in use do not count."""
    keys = {key for key in module.state_dict() if not is_adapter(key)}
    return {plain_key(key) for key in keys} - set(trainable_state(module))


def save_partial(path: Path, state: Mapping[str, Tensor], header: PartialHeader) -> PartialHeader:
    """Write a partial checkpoint whole or not at all.

    Args:
        path: `.safetensors`.
        state: of `trainable_state`, of all networks that were trained together.
        header: hash and counts are computed.

    Returns:
        The header as written.

    Raises:
        WeightsError: nothing is trained, or a tensor is not finite or not float32.
    """
    plain = storable(path, state)
    complete = dataclasses.replace(
        header,
        sha256=hash_of_tensors(plain),
        tensors=len(plain),
        parameters=sum(tensor.numel() for tensor in plain.values()),
    )
    write_tensors(path, plain, {METADATA_KEY: complete.to_json()})
    return complete


def is_partial(path: Path) -> bool:
    """Whether a file says that it is a partial checkpoint; nothing of it is verified."""
    try:
        with opened(path) as file:
            return METADATA_KEY in (file.metadata() or {})
    except WeightsError:
        return False


def read_partial(path: Path) -> PartialCheckpoint:
    """Read and verify a partial checkpoint.

    Raises:
        WeightsError: no such file, damaged, or not a partial checkpoint.
    """
    with opened(path) as file:
        text = (file.metadata() or {}).get(METADATA_KEY)
        if text is None:
            raise WeightsError(f"{path}: not a partial checkpoint of this package: its header lacks {METADATA_KEY!r}.")
        header = PartialHeader.from_json(text, str(path))
        if hash_of_file(path) != header.sha256:
            raise WeightsError(f"{path}: the tensors do not match the header's sha256; the file is damaged.")
        return PartialCheckpoint(
            path=path, header=header, tensors={key: file.get_tensor(key) for key in sorted(file.keys())}
        )


@torch.no_grad()
def partial_load_state_dict(module: nn.Module, state: Mapping[str, Tensor], strict: bool = True) -> LoadReport:
    """Copy tensors into the parameters that the network trains. Everything is checked before anything is copied.

    Args:
        module: the network, with the adapters in use that the state is of.
        state: by plain key. Keys of parts of the layout that the network lacks are left to other stages.
        strict: whether the state must hold everything that the network trains, and nothing else of its parts. Without
            it such tensors keep their values, or are left out, and the report names them.

    Returns:
        `missing` has the keys of the network that the state lacks: with `strict` exactly `frozen_keys`.

    Raises:
        WeightsError: a shape differs, a tensor is not finite, nothing matches, or with `strict` a key is missing or
            unexpected; nothing is changed then.
    """
    parameters = {plain_key(key): each for key, each in module.named_parameters() if each.requires_grad}
    report = compare_partial({key: tuple(each.shape) for key, each in parameters.items()}, state, module)
    _refuse("partial checkpoint", report, state, strict)
    for key in report.loaded:
        parameters[key].copy_(state[key])
    return dataclasses.replace(report, missing=tuple(sorted({*report.missing, *frozen_keys(module)})))


def compare_partial(
    expected: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor], module: nn.Module
) -> LoadReport:
    """Sort keys by what can become of them; `missing` are those expected, not yet what is frozen."""
    parts = {name for name, _ in (*module.named_children(), *module.named_parameters(recurse=False))}
    found = {key: tuple(tensor.shape) for key, tensor in state.items()}
    roots = {key: key.split(".", 1)[0] for key in found}
    elsewhere = {key for key, root in roots.items() if root in LAYOUT and root not in parts}
    shared = sorted(set(expected) & set(found))
    return LoadReport(
        loaded=tuple(key for key in shared if expected[key] == found[key]),
        missing=tuple(sorted(set(expected) - set(found))),
        unexpected=tuple(sorted(set(found) - set(expected) - elsewhere)),
        mismatched=tuple(
            Mismatch(key=key, expected=expected[key], found=found[key]) for key in shared if expected[key] != found[key]
        ),
        elsewhere=tuple(sorted(elsewhere)),
    )


def report_on(module: nn.Module, partial: PartialCheckpoint) -> LoadReport:
    """What would become of each tensor if a network without adapters, also one without memory, took it up.

    Raises:
        ConfigError: its settings name layers or modules that the network lacks.
    """
    config = partial.header.adapter.part_of(module)
    return compare_partial(trained_shapes(module, config), partial.tensors, module)


def attach_partial(module: nn.Module, partial: PartialCheckpoint, base_sha256: str, name: str = "default") -> Adapters:
    """Put a partial checkpoint's adapter on a fresh network and load it: to train on, or beside others.

    Use `Adapters.add` with its settings and `partial_load_state_dict` to put it beside adapters that are there already.

    Raises:
        WeightsError: it belongs to other weights or does not fit; the network is as before then.
    """
    require_base(partial, base_sha256)
    report = report_on(module, partial)
    _refuse(str(partial.path), report, partial.tensors, strict=True)
    adapters = Adapters(module)
    adapters.add(partial.header.adapter.part_of(module), name)
    partial_load_state_dict(module, partial.tensors)
    return adapters


def merge_partial(network: Network, partial: PartialCheckpoint) -> Network:
    """A network for predictions, the partial checkpoint merged into its weights, which are changed in place.

    Returns:
        The network; its hash is made of both hashes. It counts as trained where the base does, or where no parameter
        kept the base's value (constants such as the Fourier frequencies aside). Of its report, `added` are the tensors
        that neither the base's file nor the partial checkpoint holds; they are `missing` as well.

    Raises:
        WeightsError: it belongs to other weights, holds nothing for the network, or does not fit; nothing is changed
            then.
    """
    require_base(partial, network.header.sha256)
    report = report_on(network.module, partial)
    if report.elsewhere and len(report.elsewhere) == len(partial.tensors):
        raise WeightsError(_holds_nothing(network.module, partial))
    _refuse(str(partial.path), report, partial.tensors, strict=True)
    merge_tensors(network.module, {key: partial.tensors[key] for key in report.loaded}, partial.header.adapter.scale)
    loaded = set(report.loaded)
    kept = {key for key, each in network.module.named_parameters() if each.requires_grad} - loaded
    header = dataclasses.replace(
        network.header,
        sha256=merged_sha256(network.header.sha256, partial),
        source=f"{network.header.source} + {partial.label}",
        trained=network.header.trained or not kept,
    )
    report = dataclasses.replace(
        report,
        missing=tuple(sorted(set(network.module.state_dict()) - loaded)),
        added=tuple(key for key in network.report.added if key not in loaded),
        sha256=network.report.sha256,
        notes=network.report.notes,
    )
    return Network(module=network.module, header=header, report=report)


def require_base(partial: PartialCheckpoint, base_sha256: str) -> None:
    """Refuse a partial checkpoint on weights that it was not trained on.

    Raises:
        WeightsError: naming both hashes.
    """
    header = partial.header
    if header.base_sha256 != base_sha256:
        raise WeightsError(
            f"{partial.path}: trained on weights {header.base_sha256[:12]} ({header.base_source}), found "
            f"{base_sha256[:12]}. Give those weights, or train on these."
        )


def _holds_nothing(module: nn.Module, partial: PartialCheckpoint) -> str:
    stage, others = " and ".join(stages_of(module.state_dict())), " and ".join(partial.stages)
    roots = ", ".join(sorted({key.split(".", 1)[0] for key in partial.tensors}))
    return (
        f"{partial.path}: holds no tensor of {stage}'s network, only of {others} ({roots}). Nothing was loaded. Leave "
        f"{stage}.partial empty, and give the file as {others}.partial alone."
    )


def _refuse(where: str, report: LoadReport, state: Mapping[str, Tensor], strict: bool) -> None:
    misplaced = (*report.missing, *report.unexpected) if strict else ()
    if report.mismatched or misplaced or not report.loaded:
        raise WeightsError(f"{where}: does not fit what the network trains: {report.problems()}. Nothing was loaded.")
    for key in report.loaded:
        if not all_finite(state[key]):
            raise WeightsError(f"{where}: {key}: holds NaN or infinity. Nothing was loaded.")
