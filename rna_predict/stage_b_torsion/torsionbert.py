"""RNA-TorsionBERT (Bernard et al. 2025, Bioinformatics 41, btaf004): torsions from the sequence alone.

It is DNABERT (Ji et al. 2021) on overlapping 3-mers with a regression head. `read_torsionbert` reads the folder that
Hugging Face holds as sayby/rna_torsionBERT from disk; no code of it runs and nothing is downloaded. Taken from its
published configuration, model and inference code:

- U is written T; token k stands for residues k to k + 2 (counted from 1) between [CLS] and [SEP]; 512 tokens at most.
- The encoder is BERT-base: heads of 64 channels, GELU, LayerNorm after each sum with eps 1e-12. The head is LayerNorm,
  Linear, GELU, Linear, tanh.
- Per angle two outputs, cosine first. 9 angles (α β γ δ ε ζ χ η θ) or 16 (also η' θ' ν0-ν4).
- The row of token k belongs to residue k: its authors label rows with all residues but the last two, and compare them
  with the first L - 2 residues of a structure.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rna_predict.errors import InputError, WeightsError
from rna_predict.geometry.torsions import pucker
from rna_predict.nn.checkpoint import Checkpoint, read_checkpoint
from rna_predict.stage_b_torsion.heads import angle_of

K = 3
"""Letters of a token."""
MAX_TOKENS = 512
RIBOSE_AMPLITUDE = math.radians(39.3)
"""Median amplitude of the riboses that `heads.AMPLITUDE_RANGE` was measured on."""
HEAD_CHANNELS = 64
ENCODER_EPS = 1e-12
ANGLES = (*("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "chi"), *("eta", "theta"))
MORE_ANGLES = (*ANGLES, "eta'", "theta'", "v0", "v1", "v2", "v3", "v4")
"""Order of the outputs, of the release with 9 angles and of the one with 16."""
ANGLES_OF = {2 * len(names): names for names in (ANGLES, MORE_ANGLES)}
START, END = "[CLS]", "[SEP]"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
NOT_USED = ("dnabert.pooler.", "dnabert.embeddings.position_ids")
"""Beginnings of the keys that a checkpoint may hold beside those that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsionBertFolder:
    """A model read from disk.

    Attributes:
        network: in evaluation mode.
        vocabulary: number of each token.
        angles: names of the angles that it predicts, in the order of its outputs.
        sha256: of its tensors.
    """

    network: "TorsionBert"
    vocabulary: Mapping[str, int]
    angles: tuple[str, ...]
    sha256: str


class TorsionBert(nn.Module):
    """DNABERT's encoder with the regression head; the sizes are those of the tensors that it is filled with."""

    def __init__(self, sizes: "_Sizes") -> None:
        super().__init__()
        width = sizes.width
        self.word = nn.Embedding(sizes.vocabulary, width)
        self.position = nn.Embedding(sizes.positions, width)
        self.kind = nn.Embedding(sizes.kinds, width)
        self.norm = nn.LayerNorm(width, eps=ENCODER_EPS)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                *(width, width // HEAD_CHANNELS, sizes.hidden),
                dropout=0.0,
                activation="gelu",
                layer_norm_eps=ENCODER_EPS,
                batch_first=True,
            )
            for _ in range(sizes.layers)
        )
        self.regressor = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, sizes.regressor), nn.GELU(), nn.Linear(sizes.regressor, sizes.outputs)
        )

    def forward(self, token_BN: Int[Tensor, "b n"]) -> Float[Tensor, "b n c"]:
        """Cosine and sine of each angle in turn, each in (-1, 1), for every token, [CLS] and [SEP] too."""
        place_N = torch.arange(token_BN.shape[1], device=token_BN.device)
        hidden_BNC = self.norm(self.word(token_BN) + self.position(place_N) + self.kind(torch.zeros_like(place_N)))
        for layer in self.layers:
            hidden_BNC = layer(hidden_BNC)
        return torch.tanh(self.regressor(hidden_BNC))


@torch.inference_mode()
def predict_angles(sequence: str, folder: TorsionBertFolder) -> dict[str, Tensor]:
    """(cosine, sine) [L - 2, 2] by angle, of residues 1 to L - 2.

    The length of such a vector, at most 1 but for rounding, tells how sure the model is: the vector that is best on
    average over a distribution of angles is its mean resultant vector.

    Raises:
        InputError: shorter than 3 nt or longer than 512, which the model has no positions for.
    """
    tokens = tokenise(sequence, folder.vocabulary)
    device = folder.network.word.weight.device
    output_NT = folder.network(torch.tensor([tokens], device=device))[0, 1:-1].cpu()
    return {name: output_NT[:, 2 * k : 2 * k + 2] for k, name in enumerate(folder.angles)}


def tokenise(sequence: str, vocabulary: Mapping[str, int]) -> list[int]:
    """Numbers of [CLS], the L - 2 overlapping 3-mers and [SEP].

    Raises:
        InputError: the sequence has no 3-mer, or more than 510.
    """
    if not K <= len(sequence) <= MAX_TOKENS - 2 + K - 1:
        raise InputError(
            f"TorsionBERT reads RNAs of {K} to {MAX_TOKENS - 2 + K - 1} nt, found {len(sequence)} nt. "
            "Use stage_b.torsions=prior-table or head."
        )
    letters = sequence.replace("U", "T")
    words = [letters[start : start + K] for start in range(len(letters) - K + 1)]
    return [vocabulary[word] for word in (START, *words, END)]


def open_torsionbert(path: Path, device: torch.device) -> TorsionBertFolder:
    """`read_torsionbert` on a device, once for all RNAs of a command as long as the files stay the same."""
    files = sorted(path.glob("*")) if path.is_dir() else []
    return _open(path, device, tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files))


@lru_cache(maxsize=1)
def _open(path: Path, device: torch.device, stamp: tuple[tuple[str, int, int], ...]) -> TorsionBertFolder:
    del stamp  # a part of the key
    folder = read_torsionbert(path)
    folder.network.to(device)
    return folder


def read_torsionbert(path: Path) -> TorsionBertFolder:
    """Read a folder with `vocab.txt` or `tokenizer.json`, and `model.safetensors` or `pytorch_model.bin`.

    Raises:
        WeightsError: a file is missing, unsafe or damaged, or its tensors are not those of TorsionBERT; names it.
    """
    if not path.is_dir():
        raise WeightsError(f"{path}: no such folder. Give stage_b.torsionbert the folder of sayby/rna_torsionBERT.")
    vocabulary = read_vocabulary(path)
    checkpoint = read_checkpoint(_first_file(path, WEIGHT_FILES))
    tensors = _renamed(checkpoint)
    sizes = _sizes(checkpoint.path, tensors)
    if sizes.vocabulary <= max(vocabulary.values()):
        raise WeightsError(f"{path}: {len(vocabulary)} tokens, but embeddings of {sizes.vocabulary}. Get both again.")
    _check_stated(path / "config.json", sizes)
    with torch.device("meta"):
        network = TorsionBert(sizes)
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    if expected != found:
        wrong = sorted(key for key in {*expected, *found} if expected.get(key) != found.get(key))
        raise WeightsError(
            f"{checkpoint.path}: not TorsionBERT: {len(wrong)} tensors are missing, unexpected or of another shape: "
            f"{', '.join(wrong[:5])}. Nothing was loaded."
        )
    network.load_state_dict(tensors, assign=True)
    return TorsionBertFolder(
        network=network.eval(), vocabulary=vocabulary, angles=ANGLES_OF[sizes.outputs], sha256=checkpoint.sha256
    )


def read_vocabulary(path: Path) -> dict[str, int]:
    """Number of each token: the line of `vocab.txt` from 0, or as `tokenizer.json` says.

    Raises:
        WeightsError: neither file, not readable, or a token is missing or stands twice.
    """
    file = _first_file(path, ("vocab.txt", "tokenizer.json"))
    try:
        if file.suffix == ".txt":
            words = file.read_text(encoding="utf-8").split()
            vocabulary = {word: number for number, word in enumerate(words)}
            count = len(words)
        else:
            vocabulary = {str(word): int(k) for word, k in json.loads(file.read_bytes())["model"]["vocab"].items()}
            count = len(set(vocabulary.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{file}: cannot be read as a vocabulary ({error}). Get the folder again.") from error
    missing = [word for word in (START, END, *map("".join, product("ACGT", repeat=K))) if word not in vocabulary]
    if missing or len(vocabulary) != count or min(vocabulary.values()) < 0:
        what = f"{missing[0]} is missing" if missing else "a token or a number stands twice or is negative"
        raise WeightsError(f"{file}: not a vocabulary of DNA 3-mers: {what}. Get the folder again.")
    return vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    vocabulary: int
    positions: int
    kinds: int
    width: int
    hidden: int
    layers: int
    regressor: int
    outputs: int


def _first_file(path: Path, names: tuple[str, ...]) -> Path:
    found = [path / name for name in names if (path / name).is_file()]
    if not found:
        raise WeightsError(f"{path}: holds neither {' nor '.join(names)}. Get the folder of sayby/rna_torsionBERT.")
    return found[0]


def _sizes(path: Path, tensors: Mapping[str, Tensor]) -> _Sizes:
    """Sizes as far as the shapes tell them; whether all shapes agree is checked on the network that they make."""
    needed = ("word.weight", "position.weight", "kind.weight", "layers.0.linear1.weight", "regressor.3.weight")
    shapes = {key: tuple(tensors[key].shape) for key in needed if key in tensors and tensors[key].ndim == 2}
    if len(shapes) < len(needed):
        missing = next(key for key in needed if key not in shapes)
        raise WeightsError(f"{path}: not TorsionBERT: no matrix {missing!r} among its {len(tensors)} tensors.")
    (words, width), (positions, _), (kinds, _), (hidden, _), (outputs, regressor) = (shapes[key] for key in needed)
    if width % HEAD_CHANNELS or outputs not in ANGLES_OF or positions < MAX_TOKENS:
        raise WeightsError(
            f"{path}: not TorsionBERT: width {width}, {outputs} outputs, {positions} positions; expected a multiple of "
            f"{HEAD_CHANNELS}, {' or '.join(map(str, ANGLES_OF))} outputs and at least {MAX_TOKENS} positions."
        )
    layers = len({key.split(".")[1] for key in tensors if key.startswith("layers.")})
    return _Sizes(
        vocabulary=words,
        positions=positions,
        kinds=kinds,
        width=width,
        hidden=hidden,
        layers=layers,
        regressor=regressor,
        outputs=outputs,
    )


def _check_stated(path: Path, sizes: _Sizes) -> None:
    """Compare what `config.json` states with the tensors; its `hidden_size` is that of the regression head.

    Raises:
        WeightsError: not JSON, or it states something else.
    """
    try:
        stated = json.loads(path.read_bytes())
        values = {name: stated[name] for name in ("k", "num_classes", "hidden_size")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path}: cannot be read as TorsionBERT's configuration ({error}).") from error
    expected = {"k": K, "num_classes": sizes.outputs, "hidden_size": sizes.regressor}
    if values != expected:
        raise WeightsError(f"{path}: states {values}, the tensors and this package say {expected}. Get both again.")


_TOP = {
    "embeddings.word_embeddings.": "word.",
    "embeddings.position_embeddings.": "position.",
    "embeddings.token_type_embeddings.": "kind.",
    "embeddings.LayerNorm.": "norm.",
}
_LAYER = {
    "attention.output.dense.": "self_attn.out_proj.",
    "attention.output.LayerNorm.": "norm1.",
    "intermediate.dense.": "linear1.",
    "output.dense.": "linear2.",
    "output.LayerNorm.": "norm2.",
}


def _renamed(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors under the names of `TorsionBert`; queries, keys and values of a layer become one matrix."""
    named: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in checkpoint.tensors.items():
        if key.startswith(NOT_USED):
            continue
        name = _new_name(key)
        stem, dot, part = name.partition(".self_attn.in_proj_")
        if dot:
            kind, _, which = part.partition(".")
            parts.setdefault(f"{stem}{dot}{kind}", {})[which] = tensor
        else:
            named[name] = tensor
    for name, three in parts.items():
        if set(three) != {"query", "key", "value"} or len({tuple(tensor.shape) for tensor in three.values()}) != 1:
            raise WeightsError(f"{checkpoint.path}: not TorsionBERT: {name} needs query, key and value of one shape.")
        named[name] = torch.cat([three[which] for which in ("query", "key", "value")])
    return named


def _new_name(key: str) -> str:
    """Our name of a tensor of the checkpoint; unknown names stay, and are refused as unexpected."""
    short = key.removeprefix("dnabert.")
    for old, new in _TOP.items():
        if short.startswith(old):
            return new + short.removeprefix(old)
    words = short.split(".", 3)
    if words[:2] != ["encoder", "layer"] or len(words) < 4:
        return key
    stem, rest = f"layers.{words[2]}.", words[3]
    if rest.startswith("attention.self."):
        which, _, kind = rest.removeprefix("attention.self.").partition(".")
        return f"{stem}self_attn.in_proj_{kind}.{which}"
    for old, new in _LAYER.items():
        if rest.startswith(old):
            return stem + new + rest.removeprefix(old)
    return key


def pucker_of(vectors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
    """Phase P in (-π, π] and resultant length in [0, 1] of the pucker from ν0-ν4; None of a release without them.

    The ring torsions of one ribose are cosines of its phase times its amplitude. So the amplitude of the predicted
    (mean) ring torsions, as a share of one ribose's, is the mean resultant length of the phase.
    """
    if "v0" not in vectors:
        return None
    nu_L5 = torch.stack([angle_of(vectors[f"v{k}"].flip(-1)) for k in range(5)], dim=-1)
    phase_L, amplitude_L = pucker(nu_L5)
    return angle_of(torch.stack([phase_L.sin(), phase_L.cos()], dim=-1)), (amplitude_L / RIBOSE_AMPLITUDE).clamp(max=1)
