"""What the networks are made of and what a run of them costs, counted from their sizes alone; importable without torch.

One description gives both: how many parameters a part has, and how much of each kind of work it does. Counts follow
this package's own blocks (rows at a time, biases kept between steps), without padding, for one RNA.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rna_predict.nn.architecture import PAIR_HEAD_WIDTH, RESTYPES, Architecture
from rna_predict.nn.limits import CPU_POSITIONS as POSITIONS_AT_ONCE

ATOMS_PER_RESIDUE = 21.4
"""Heavy atoms of a residue, the mean of A 22, G 23, C 20 and U 20 with some more G and C."""

QUERIES, KEYS = 32, 128
"""As `windows`: atoms of a window."""

FLOAT = 4
"""Bytes of a float32."""

KINDS = ("pair", "single", "token", "atom", "triangle", "attention", "window", "pointwise", "call")
"""Kinds of work: floating-point operations of linear layers on pairs (c_z channels), residues (c_s), residues inside
the denoiser (c_token_diffusion) and atoms (c_atom); those of the triangle product; scores of attention among residues
and within windows of atoms; bytes that pointwise operations move; calls into torch."""


@dataclass(frozen=True, slots=True)
class Work:
    """Parameters of a part, and how much of each of `KINDS` it does."""

    parameters: int = 0
    amounts: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: "Work") -> "Work":
        """Both parts, one after the other."""
        kinds = {*self.amounts, *other.amounts}
        amounts = {kind: self.amounts.get(kind, 0.0) + other.amounts.get(kind, 0.0) for kind in kinds}
        return Work(self.parameters + other.parameters, amounts)

    def times(self, count: int) -> "Work":
        """`count` such parts, each with weights of its own."""
        return Work(count * self.parameters, {kind: count * amount for kind, amount in self.amounts.items()})

    def again(self, count: float) -> "Work":
        """The same part run `count` times."""
        return Work(self.parameters, {kind: count * amount for kind, amount in self.amounts.items()})

    @property
    def flops(self) -> float:
        """Floating-point operations of matrix products; a score of attention counts 4 for each channel of a head."""
        scores = self.amounts.get("attention", 0.0) + self.amounts.get("window", 0.0)
        products = sum(self.amounts.get(kind, 0.0) for kind in ("pair", "single", "token", "atom", "triangle"))
        return products + 4 * PAIR_HEAD_WIDTH * scores


def linear(kind: str, rows: float, size: tuple[int, int], *, bias: bool = False, count: int = 1) -> Work:
    """`count` linear layers of `size` (in, out) on `rows` rows."""
    c_in, c_out = size
    return Work(count * (c_in * c_out + c_out * bias), {kind: 2.0 * count * rows * c_in * c_out, "call": count})


def norm(rows: float, channels: int, *, offset: bool = True, scale: bool = True) -> Work:
    """LayerNorm."""
    return Work(channels * (scale + (offset and scale)), {"pointwise": 2.0 * FLOAT * rows * channels, "call": 1})


def pointwise(rows: float, channels: float, passes: float) -> Work:
    """Operations that read or write an array `passes` times in all."""
    return Work(0, {"pointwise": FLOAT * rows * channels * passes, "call": passes / 3})


def scores(kind: str, count: float) -> Work:
    """Attention over `count` pairs of query and key, all heads together."""
    return Work(0, {kind: count, "call": 4})


def transition(kind: str, rows: float, channels: int, factor: int = 4) -> Work:
    """AF3 Algorithm 11."""
    hidden = factor * channels
    layers = linear(kind, rows, (channels, hidden), count=2) + linear(kind, rows, (hidden, channels))
    return norm(rows, channels) + layers + pointwise(rows, hidden, 5) + pointwise(rows, channels, 3)


def in_rows(work: Work, length: int) -> Work:
    """The same work on all pairs, a few rows at a time: calls are repeated for each piece."""
    at_once = max(1, POSITIONS_AT_ONCE // max(1, length))
    pieces = -(-length // at_once)
    return Work(work.parameters, {**work.amounts, "call": pieces * work.amounts.get("call", 0.0)})


def pair_block(a: Architecture, length: int, *, c_z: int, factor: int = 4) -> Work:
    """AF3 Algorithm 17, lines 2 to 6."""
    pairs = float(length**2)
    hidden, heads = a.pair_hidden(c_z)
    width = heads * PAIR_HEAD_WIDTH
    multiplication = (
        norm(pairs, c_z)
        + norm(pairs, hidden)
        + linear("pair", pairs, (c_z, hidden), count=4)
        + linear("pair", pairs, (c_z, c_z))
        + linear("pair", pairs, (hidden, c_z))
        + pointwise(pairs, hidden, 14)
        + pointwise(pairs, c_z, 8)
        + Work(0, {"triangle": 2.0 * pairs * length * hidden})
    )
    attention = (
        norm(pairs, c_z).again(2)
        + linear("pair", pairs, (c_z, heads))
        + linear("pair", pairs, (c_z, width), count=4)
        + linear("pair", pairs, (width, c_z))
        + pointwise(pairs, width, 9)
        + pointwise(pairs, c_z, 3)
        + scores("attention", pairs * length * heads)
    )
    return in_rows((multiplication + attention).times(2) + transition("pair", pairs, c_z, factor), length)


def single_block(a: Architecture, length: int) -> Work:
    """AF3 Algorithm 17, lines 7 and 8."""
    pairs, c_s, heads = float(length**2), a.c_s, a.pairformer_heads
    bias = in_rows(norm(pairs, a.c_z) + linear("pair", pairs, (a.c_z, heads)), length)
    attention = linear("single", length, (c_s, c_s), count=5) + Work(c_s) + scores("attention", pairs * heads)
    return norm(length, c_s) + bias + attention + transition("single", length, c_s)


def pairformer(a: Architecture, length: int, blocks: int) -> Work:
    """A stack with a single track."""
    return (pair_block(a, length, c_z=a.c_z) + single_block(a, length)).times(blocks)


def msa_module(a: Architecture, length: int, rows: int) -> Work:
    """AF3 Algorithm 8 on an alignment of `rows` rows."""
    pairs, cells, c_m, c_z = float(length**2), float(rows * length), a.c_m, a.c_z
    work = linear("single", cells, (RESTYPES + 2, c_m)) + linear("single", length, (a.c_inputs, c_m))
    side, heads, width = 32, 8, 8
    products = min(2.0 * pairs * side**2 * (rows + c_z), 2.0 * pairs * rows * side * c_z)
    outer = norm(cells, c_m) + linear("single", cells, (c_m, side), count=2) + Work(side**2 * c_z + c_z)
    outer += in_rows(Work(0, {"pair": products, "call": 3}) + pointwise(pairs, c_z, 5), length)
    averaging = (
        norm(cells, c_m)
        + in_rows(norm(pairs, c_z) + linear("pair", pairs, (c_z, heads)), length)
        + linear("single", cells, (c_m, heads * width), count=2)
        + linear("single", cells, (heads * width, c_m))
        + pointwise(cells, heads * width, 8)
        + Work(0, {"triangle": 2.0 * pairs * rows * heads * width})
    )
    stack = averaging + transition("single", cells, c_m)
    blocks = (outer + pair_block(a, length, c_z=c_z)).times(a.msa_blocks)
    return work + blocks + stack.times(max(0, a.msa_blocks - 1))


def template_embedder(a: Architecture, length: int, templates: int) -> Work:
    """AF3 Algorithm 16; without templates it does nothing."""
    pairs, c, c_z = float(length**2), a.c_template, a.c_z
    each = linear("pair", pairs, (108, c)) + linear("pair", pairs, (c_z, c)) + norm(pairs, c)
    each += pair_block(a, length, c_z=c, factor=2).times(a.template_blocks)
    return each.again(templates) + (norm(pairs, c_z) + linear("pair", pairs, (c, c_z))).again(min(templates, 1))


@dataclass(frozen=True, slots=True)
class ConditionedSizes:
    """Channels of a conditioned block: of what it updates, of its single and pair conditioning, and its heads."""

    c_a: int
    c_s: int
    c_z: int
    heads: int
    kind: str

    @property
    def norms(self) -> int:
        """Adaptive LayerNorms: keys within windows pass a second one."""
        return 2 + (self.kind == "atom")

    def modulation(self, rows: float) -> Work:
        """What a block of AF3 Algorithm 23 makes of the single conditioning."""
        sizes = (self.c_s, self.c_a)
        adaptive = norm(rows, self.c_s, offset=False) + linear(self.kind, rows, sizes, count=2) + Work(self.c_a)
        gates = linear(self.kind, rows, sizes, bias=True, count=2)
        return adaptive.times(self.norms) + gates + pointwise(rows, self.c_a, 2.0 * (self.norms + 2))

    def bias(self, pairs: float) -> Work:
        """What a block makes of the pair conditioning."""
        kind = "pair" if self.kind == "token" else "atom"
        return norm(pairs, self.c_z, offset=False) + linear(kind, pairs, (self.c_z, self.heads))

    def body(self, rows: float) -> Work:
        """What a block does to its rows, attention's scores apart."""
        c = self.c_a
        work = linear(self.kind, rows, (c, c), count=5) + Work(c) + pointwise(rows, c, 7 if self.norms == 2 else 15)
        work += linear(self.kind, rows, (c, 2 * c), count=2) + linear(self.kind, rows, (2 * c, c))
        adaptive = norm(rows, c, scale=False) + pointwise(rows, c, 3)
        return work + adaptive.times(self.norms) + pointwise(rows, 2 * c, 5) + pointwise(rows, c, 6)


def atom_sizes(a: Architecture) -> ConditionedSizes:
    """Of an atom transformer's block."""
    return ConditionedSizes(a.c_atom, a.c_atom, a.c_atompair, a.atom_heads, "atom")


def token_sizes(a: Architecture) -> ConditionedSizes:
    """Of a block of the residues' transformer."""
    return ConditionedSizes(a.c_token_diffusion, a.c_s, a.c_z, a.diffusion_heads, "token")


def windows(length: int) -> int:
    """Windows of an RNA's atoms."""
    return -(-int(length * ATOMS_PER_RESIDUE) // QUERIES)


def atom_conditions(a: Architecture, length: int, *, encoder: int, decoder: int, with_trunk: bool) -> Work:
    """What atom transformers of so many blocks read of the reference conformers and of the trunk; made once."""
    atoms, pairs, p = length * ATOMS_PER_RESIDUE, float(windows(length) * QUERIES * KEYS), a.c_atompair
    work = linear("atom", atoms, (4, a.c_atom)) + Work(385 * a.c_atom) + pointwise(atoms, a.c_atom, 20)
    work += linear("atom", pairs, (5, p)) + linear("atom", atoms, (a.c_atom, p), count=2)
    work += linear("atom", pairs, (p, p), count=3) + pointwise(pairs, p, 26)
    sizes = atom_sizes(a)
    work += (sizes.modulation(atoms) + sizes.bias(pairs) + pointwise(pairs, a.atom_heads, 4)).times(encoder + decoder)
    if with_trunk:
        residue_pairs = float(length**2)
        work += norm(length, a.c_s, offset=False) + linear("single", length, (a.c_s, a.c_atom))
        work += norm(residue_pairs, a.c_z, offset=False) + linear("pair", residue_pairs, (a.c_z, p))
    return work


def atom_blocks(a: Architecture, length: int, blocks: int, samples: int) -> Work:
    """What atom transformers do to the atoms of all samples; their weights are counted in `atom_conditions` too."""
    scored = scores("window", float(samples * windows(length) * QUERIES * KEYS * a.atom_heads))
    return (atom_sizes(a).body(samples * length * ATOMS_PER_RESIDUE) + scored).times(blocks)


def input_embedder(a: Architecture, length: int) -> Work:
    """AF3 Algorithm 2."""
    atoms, blocks = length * ATOMS_PER_RESIDUE, a.input_atom_blocks
    conditions = atom_conditions(a, length, encoder=blocks, decoder=0, with_trunk=False)
    return conditions + atom_blocks(a, length, blocks, 1) + linear("atom", atoms, (a.c_atom, a.c_token))


def trunk_layers(a: Architecture, length: int) -> Work:
    """What the trunk does once around its modules: the start, relative positions and the distogram."""
    pairs, c_s, c_z = float(length**2), a.c_s, a.c_z
    start = linear("single", length, (a.c_inputs, c_s)) + linear("single", length, (c_s, c_z), count=2)
    start += Work(139 * c_z + c_z) + pointwise(pairs, c_z, 8)
    return start + linear("pair", pairs, (c_z, 64), bias=True) + pointwise(pairs, 64, 4)


def recycling(a: Architecture, length: int) -> Work:
    """What a cycle takes over from the one before."""
    pairs = float(length**2)
    pair = in_rows(norm(pairs, a.c_z) + linear("pair", pairs, (a.c_z, a.c_z)) + pointwise(pairs, a.c_z, 3), length)
    return pair + norm(length, a.c_s) + linear("single", length, (a.c_s, a.c_s))


def diffusion_conditions(a: Architecture, length: int) -> Work:
    """What the denoiser makes of the trunk once: AF3 Algorithm 21 without the noise level, and all biases."""
    pairs, c_z = float(length**2), a.c_z
    pair = Work(139 * c_z) + norm(pairs, 2 * c_z, offset=False) + linear("pair", pairs, (2 * c_z, c_z))
    pair += pointwise(pairs, 2 * c_z, 3) + transition("pair", pairs, c_z, 2).times(2)
    pair += (token_sizes(a).bias(pairs) + pointwise(pairs, a.diffusion_heads, 4)).times(a.diffusion_blocks)
    single = norm(length, a.c_s + a.c_inputs, offset=False) + linear("single", length, (a.c_s + a.c_inputs, a.c_s))
    blocks = {"encoder": a.encoder_atom_blocks, "decoder": a.decoder_atom_blocks}
    return in_rows(pair, length) + single + atom_conditions(a, length, **blocks, with_trunk=True)


def denoiser_step(a: Architecture, length: int, samples: int) -> Work:
    """One denoising of all samples, which share a noise level (AF3 Algorithm 20)."""
    atoms, residues, c = samples * length * ATOMS_PER_RESIDUE, float(samples * length), a.c_token_diffusion
    level = Work(2 * a.c_noise) + norm(1, a.c_noise, offset=False) + linear("single", 1, (a.c_noise, a.c_s))
    level += transition("single", length, a.c_s, 2).times(2)
    around = linear("atom", atoms, (3, a.c_atom)) + linear("atom", atoms, (a.c_atom, c))
    around += norm(length, a.c_s, offset=False) + linear("token", length, (a.c_s, c)) + norm(residues, c, offset=False)
    around += linear("token", residues, (c, a.c_atom)) + norm(atoms, a.c_atom, offset=False)
    around += linear("atom", atoms, (a.c_atom, 3)) + pointwise(atoms, a.c_atom, 8) + pointwise(atoms, c, 4)
    sizes = token_sizes(a)
    scored = scores("attention", float(samples * length**2 * a.diffusion_heads))
    token = (sizes.modulation(length) + sizes.body(residues) + scored).times(a.diffusion_blocks)
    return level + around + token + atom_blocks(a, length, a.encoder_atom_blocks + a.decoder_atom_blocks, samples)


def confidence_head(a: Architecture, length: int) -> Work:
    """AF3 Algorithm 31 for one sample."""
    pairs, c_z = float(length**2), a.c_z
    start = linear("single", length, (a.c_inputs, c_z), count=2) + norm(length, a.c_s)
    start += linear("pair", pairs, (40, c_z)) + pointwise(pairs, 40, 4) + pointwise(pairs, c_z, 7) + Work(2 * 39)
    heads = (norm(pairs, c_z) + linear("pair", pairs, (c_z, 64))).times(2) + pointwise(pairs, 64, 4)
    atoms = norm(length, a.c_s).times(2) + linear("single", length, (a.c_s, 52 * a.atoms_per_token))
    return in_rows(start + heads, length) + atoms + pairformer(a, length, a.confidence_blocks)
