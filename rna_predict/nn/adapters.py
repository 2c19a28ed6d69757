"""What of a network is trained: low-rank adapters (LoRA, Hu et al. 2021) on groups of layers, a few modules in full.

`Adapters` puts them on a network and keeps several side by side; it needs peft, which a prediction does not: there
`merge_tensors` adds trained tensors to the weights. Keys are those of the network without adapters, `<layer>.lora_A`
and `<layer>.lora_B` beside `<layer>.weight`, whatever peft calls them and however the adapter is named in memory.
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rna_predict.errors import ConfigError
from rna_predict.nn.weights import LAYOUT, OURS

_BLOCK = r"pairformer_stack\.blocks\.\d+\."
_DIFFUSION = r"diffusion_module\.diffusion_transformer\.blocks\.\d+\."

GROUPS: dict[str, str] = {
    "trunk_attention": _BLOCK + r"(tri_att_(start|end)\.mha|attention_pair_bias\.attention)\.linear_[qkvgo]",
    "trunk_triangle": _BLOCK + r"tri_mul_(out|in)\.linear_([ab]_[pg]|g|z)",
    "trunk_transition": _BLOCK + r"(pair|single)_transition\.linear_no_bias(_[ab])?",
    "diffusion_transformer": _DIFFUSION
    + r"(attention_pair_bias\.attention\.linear_[qkvgo]|conditioned_transition_block\.linear_nobias_(a1|a2|b))",
    "torsionbert": r"layers\.\d+\.(self_attn\.out_proj|linear[12])|regressor\.[13]",
}
"""Layers by group, matched against whole names. TorsionBERT's queries, keys and values are one tensor that no layer
holds; they stay as they are."""

ROOTS = {
    **dict.fromkeys(("trunk_attention", "trunk_triangle", "trunk_transition"), "pairformer_stack"),
    "diffusion_transformer": "diffusion_module",
    "torsionbert": "regressor",
}
"""What a network must have for a group to be meant for it."""

_WRAPPED = re.compile(r"\.base_layer(?=\.|$)")
_LORA = re.compile(r"\.(lora_[AB])\.[^.]+\.weight$")


@dataclass(kw_only=True)
class AdapterConfig:
    """What is trained; everything else is frozen."""

    groups: tuple[str, ...] = ("trunk_attention", "trunk_triangle", "trunk_transition", "diffusion_transformer")
    """Groups of layers that get low-rank adapters, names of `GROUPS`."""
    rank: int = 8
    """Rank of an adapter."""
    alpha: float = 16.0
    """An adapter is scaled by alpha / rank."""
    dropout: float = 0.0
    """Share of an adapter's inputs that is dropped in training; none where a block reads the layer's weight itself."""
    full_modules: tuple[str, ...] = OURS
    """Modules that are trained in full, by name: those of ours that start at zero, or any of the layout."""

    def __post_init__(self) -> None:
        """Raise ConfigError when a group or module is unknown or named twice, or a number is out of range."""
        self.groups, self.full_modules = tuple(self.groups), tuple(self.full_modules)
        for group in self.groups:
            if group not in GROUPS:
                raise ConfigError(f"adapters.groups: {group!r} is unknown. Known: {', '.join(GROUPS)}.")
        for name in self.full_modules:
            if name.split(".", 1)[0] not in (*LAYOUT, *ROOTS.values()):
                raise ConfigError(f"adapters.full_modules: {name!r} is no module of the networks.")
        for field in ("groups", "full_modules"):
            if len(set(getattr(self, field))) != len(getattr(self, field)):
                raise ConfigError(f"adapters.{field}: {getattr(self, field)} names something twice.")
        if self.rank < 1:
            raise ConfigError(f"adapters.rank: {self.rank} is too small; at least 1.")
        if not 0 < self.alpha < math.inf:
            raise ConfigError(f"adapters.alpha: {self.alpha} must be positive and finite.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"adapters.dropout: {self.dropout} must be in [0, 1).")

    @property
    def scale(self) -> float:
        """Factor of an adapter's product."""
        return self.alpha / self.rank

    def part_of(self, module: nn.Module) -> "AdapterConfig":
        """What of it is meant for a network that is one of several: stage B's trunk, stage D's model."""
        return dataclasses.replace(
            self,
            groups=tuple(group for group in self.groups if hasattr(module, ROOTS[group])),
            full_modules=tuple(name for name in self.full_modules if hasattr(module, name.split(".", 1)[0])),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a partial checkpoint's header holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "AdapterConfig":
        """Read `to_dict`'s values.

        Raises:
            ConfigError: a key is unknown or missing, or a value is not allowed.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise ConfigError(f"adapters: expected {sorted(names)}, found {sorted(values)}")
        lists = {name: tuple(values[name]) for name in ("groups", "full_modules")}  # JSON has no tuples
        return cls(**{**values, **lists})


def plain_key(key: str) -> str:
    """The key of a tensor without what adapters in memory add to it."""
    return _LORA.sub(r".\1", _WRAPPED.sub("", key))


def is_adapter(key: str) -> bool:
    """Whether a key, plain or in memory, is that of an adapter's tensor."""
    return key.endswith((".lora_A", ".lora_B")) or bool(_LORA.search(key))


def trainable_state(module: nn.Module) -> dict[str, Tensor]:
    """What the network trains, by plain key; these tensors are the parameters' own memory."""
    return {plain_key(key): each.detach() for key, each in module.named_parameters() if each.requires_grad}


def adapted_layers(module: nn.Module, config: AdapterConfig) -> list[str]:
    """Plain names of the layers that the groups mean, sorted.

    Raises:
        ConfigError: a group matches no linear layer of the network.
    """
    linear = {plain_key(name) for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}
    linear = {name for name in linear if not is_adapter(name + ".weight")}
    found: list[str] = []
    for group in config.groups:
        layers = [name for name in linear if re.fullmatch(GROUPS[group], name)]
        if not layers:
            raise ConfigError(f"adapters.groups: {group!r} matches no layer of {type(module).__name__}.")
        found += layers
    return sorted(found)


def full_tensors(module: nn.Module, config: AdapterConfig) -> dict[str, nn.Parameter]:
    """Parameters of the modules that are trained in full, by key.

    Raises:
        ConfigError: the network has no such module, it has no parameters, or a layer in it is adapted as well.
    """
    found: dict[str, nn.Parameter] = {}
    layers = adapted_layers(module, config)
    for name in config.full_modules:
        inside = {key: each for key, each in module.named_parameters() if f"{key}.".startswith(f"{name}.")}
        if not inside:
            raise ConfigError(f"adapters.full_modules: {name!r} has no parameters in {type(module).__name__}.")
        both = [layer for layer in layers if f"{layer}.".startswith(f"{name}.")]
        both += [plain_key(key) for key in inside if plain_key(key) != key]
        if both:
            raise ConfigError(f"adapters.full_modules: {name!r} holds layers that are adapted, as {both[0]}.")
        found |= inside
    return found


def trained_shapes(module: nn.Module, config: AdapterConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor that a network without adapters would train under a config, by plain key.

    Raises:
        ConfigError: as `adapted_layers` and `full_tensors`.
    """
    shapes = {key: tuple(each.shape) for key, each in full_tensors(module, config).items() if each.requires_grad}
    for name in adapted_layers(module, config):
        layer = module.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        shapes[f"{name}.lora_A"] = (config.rank, layer.in_features)
        shapes[f"{name}.lora_B"] = (layer.out_features, config.rank)
    return shapes


@torch.no_grad()
def merge_tensors(module: nn.Module, tensors: Mapping[str, Tensor], scale: float) -> None:
    """Add adapters' products to the weights of a network without adapters, and set the tensors trained in full.

    Args:
        module: changed in place; memory that is mapped from a file is copied where it is written to.
        tensors: of `trained_shapes`, already checked.
        scale: of the adapters.
    """
    named = dict(module.named_parameters())
    for key, tensor in tensors.items():
        if key.endswith(".lora_B"):
            layer = key.removesuffix(".lora_B")
            weight, first = named[f"{layer}.weight"], tensors[f"{layer}.lora_A"]
            weight.add_((tensor.double() @ first.double()).mul_(scale).to(weight))
        elif not key.endswith(".lora_A"):
            named[key].copy_(tensor)


class Adapters:
    """Adapters of one network, side by side. One at most is in use; its parameters alone are trainable.

    The modules trained in full belong to an adapter like its low-rank factors: each adapter has its own values, which
    are put into the network when it is used. Without an adapter in use the network is what it was.

    Attributes:
        module: the network, whose layers are replaced in place.
        used: name of the adapter in use, or None.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.used: str | None = None
        self._configs: dict[str, AdapterConfig] = {}
        self._full: dict[str, dict[str, Tensor]] = {}
        self._base: dict[str, Tensor] = {}
        self._trainable = {plain_key(key) for key, each in module.named_parameters() if each.requires_grad}

    @property
    def names(self) -> tuple[str, ...]:
        """Adapters in the order in which they were added."""
        return tuple(self._configs)

    def config(self, name: str) -> AdapterConfig:
        """Settings of an adapter.

        Raises:
            ConfigError: there is none of this name.
        """
        if name not in self._configs:
            raise ConfigError(f"adapter {name!r}: unknown. Known: {', '.join(self._configs) or 'none'}.")
        return self._configs[name]

    def add(self, config: AdapterConfig, name: str = "default", seed: int = 0) -> None:
        """Put an adapter on the network and use it; the network computes what it did without one.

        Args:
            config: what it trains.
            name: of the adapter, letters and digits.
            seed: of its first factors; each is drawn from the seed and the layer's name. The second ones are zero.

        Raises:
            ConfigError: the name is taken or no name, a group matches no layer, or a module is not there; the network
                is as before then.
        """
        if not re.fullmatch(r"\w+", name) or name in self._configs:
            raise ConfigError(f"adapter {name!r}: give a name of letters and digits that is not taken.")
        layers, full = adapted_layers(self.module, config), full_tensors(self.module, config)
        self.use(None)
        self._base |= {key: each.detach().clone() for key, each in full.items()}
        if layers:
            self._inject(config, name, layers, seed)
        self._full[name] = {key: self._base[key].clone() for key in full}
        self._configs[name] = config
        self.use(name)

    def use(self, name: str | None) -> None:
        """Put one adapter to work, or with None take all off; what the one before it has learned is kept.

        Raises:
            ConfigError: there is no adapter of this name.
        """
        if name is not None:
            self.config(name)
        self._keep()
        self.module.requires_grad_(False)
        parameters = dict(self.module.named_parameters())
        values = self._base | (self._full[name] if name is not None else {})
        with torch.no_grad():
            for key, value in values.items():
                parameters[key].copy_(value)
        for key in self._full[name] if name is not None else ():
            parameters[key].requires_grad_(key in self._trainable)
        for layer in self._layers():
            layer.set_adapter([] if name is None else [name])
        self.used = name

    def merge(self, name: str) -> None:
        """Add one adapter to the weights for good, and take all adapters off: the network is a plain one again.

        The others go with it: they belong to weights that are no more.

        Raises:
            ConfigError: there is no adapter of this name.
        """
        config = self.config(name)
        self.use(name)
        state = {key: each.clone() for key, each in trainable_state(self.module).items()}
        for path, layer in [*self.module.named_modules()]:
            if hasattr(layer, "base_layer"):
                parent, _, child = path.rpartition(".")
                setattr(self.module.get_submodule(parent), child, layer.base_layer)
        merge_tensors(self.module, state, config.scale)
        for key, parameter in self.module.named_parameters():
            parameter.requires_grad_(key in self._trainable)
        self.used = None
        for stored in (self._configs, self._full, self._base):
            stored.clear()

    def _inject(self, config: AdapterConfig, name: str, layers: list[str], seed: int) -> None:
        from rna_predict.nn.adapted_linear import inject

        pattern = "|".join(f"(?:{GROUPS[group]})" for group in config.groups)
        carrying = inject(self.module, name, pattern, (config.rank, config.alpha, config.dropout))
        assert sorted(carrying) == layers, "peft matches the names that adapted_layers matches"
        for layer in carrying:
            first = self.module.get_parameter(f"{layer}.lora_A.{name}.weight")
            digest = hashlib.sha256(f"{seed}:{layer}.lora_A".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
            drawn = torch.empty(first.shape)
            nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
            with torch.no_grad():
                first.copy_(drawn)

    def _keep(self) -> None:
        """Store the values that the adapter in use has now."""
        if self.used is not None:
            parameters = dict(self.module.named_parameters())
            for key, value in self._full[self.used].items():
                value.copy_(parameters[key].detach())

    def _layers(self) -> list[Any]:
        return [layer for layer in self.module.modules() if hasattr(layer, "lora_A")]
