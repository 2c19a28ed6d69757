"""A library says what its seeds say, is the same bytes for the same seeds, and is refused when damaged."""

import gzip
import lzma
import tarfile

import numpy as np
import pytest
from pyhmmer.easel import Alphabet, MSAFile
from pyhmmer.plan7 import Background, Builder

from rna_predict.errors import ConfigError, ContractError, InputError
from rna_predict.families.build import BuildSettings, build_library, diverse_rows, letter_codes, row_weights
from rna_predict.families.library import FamilyLibrary
from rna_predict.families.profile import open_profile
from rna_predict.families.seeds import read_seeds

from .conftest import HAIRPIN, KNOT


def test_families_stand_in_the_order_of_their_accessions(library):
    assert [(f.accession, f.name, f.description) for f in library.families] == [
        ("RF90001", "Knot", "Knot family"),
        ("RF90002", "Hairpin", "Hairpin family"),
    ]
    assert [f.consensus for f in library.families] == [KNOT, HAIRPIN]
    assert library.release == "Rfam test"


def test_a_pseudoknot_of_the_consensus_is_kept(library):
    assert library.families[0].structure == "((((A[[(((((....))))).))))....]]]".replace("A", "[")


def test_rows_that_keep_their_pairs_support_them_fully(library):
    assert all(len(f.support) == f.structure.count("(") + f.structure.count("[") for f in library.families)
    assert set(library.families[0].support) == {100}


def test_a_pair_that_rows_break_has_less_support(seeds_file):
    seed = next(iter(read_seeds(seeds_file)))
    broken = "A" + seed.rows[0][1:]  # G-C of the outermost pair becomes A-C
    rows = (*seed.rows[:1], broken)
    changed = type(seed)(**{name: getattr(seed, name) for name in seed.__slots__} | {"rows": rows, "names": ("a", "b")})
    family = build_library([changed], BuildSettings(), {}).families[0]
    assert family.support[0] == 50
    assert set(family.support[1:]) == {100}


def test_rows_without_either_residue_say_nothing_of_a_pair(seeds_file):
    seed = next(iter(read_seeds(seeds_file)))
    rows = (seed.rows[0], "-" + seed.rows[0][1:-1] + "-", "-" + seed.rows[0][1:])
    names = {"rows": rows, "names": ("whole", "neither", "one")}
    changed = type(seed)(**{name: getattr(seed, name) for name in seed.__slots__} | names)
    support = build_library([changed], BuildSettings(), {}).families[0].support
    weights = row_weights(letter_codes(changed)[:, changed.columns])
    assert support[0] == round(100 * weights[0] / (weights[0] + weights[2]))
    assert support[1] == 100


def test_insertions_are_lower_case_in_the_rows(library):
    rows = {row.name: row.letters for row in library.seed_rows("RF90001")}
    assert len(rows) == 12
    assert rows["row1/1-33"][5] == "a"
    assert sum(letter.islower() for row in rows.values() for letter in row) == 1
    assert all(sum(not letter.islower() for letter in row) == 33 for row in rows.values())


def test_the_most_different_rows_are_kept(seeds_file):
    seed = next(iter(read_seeds(seeds_file)))
    far, near = "A" * len(seed.reference), "A" + seed.rows[0][1:]
    rows = {"rows": (seed.rows[0], seed.rows[0], near, far), "names": ("typical", "again", "near", "far")}
    changed = type(seed)(**{name: getattr(seed, name) for name in seed.__slots__} | rows)
    assert [row.name for row in diverse_rows(changed, 3)] == ["typical", "far", "near"]
    assert len(diverse_rows(changed, 100)) == 4


def test_weights_share_a_column_between_equal_rows():
    weights = row_weights(np.array([[0, 0], [0, 0], [1, 0]], dtype=np.uint8))
    # column 1: two kinds, so 1/4, 1/4, 1/2; column 2: one kind, a third each; the sum of both halved
    assert weights == pytest.approx([7 / 24, 7 / 24, 10 / 24])


def test_a_profile_is_hmmers_own_to_a_thirtysecond_bit(seeds_file, library):
    alphabet = Alphabet.rna()
    with MSAFile(str(seeds_file), format="stockholm", digital=True, alphabet=alphabet) as file:
        msa = file.read()
    hmm, _, _ = Builder(alphabet, architecture="hand", seed=42).build_msa(msa, Background(alphabet))
    ours = open_profile("RF90002", library.codes[1])
    ours.validate()
    theirs = np.asarray(hmm.match_emissions)[1:]
    assert np.abs(np.log2(np.asarray(ours.match_emissions)[1:] / theirs)).max() < 1 / 16
    known = np.asarray(hmm.transition_probabilities)
    assert np.asarray(ours.transition_probabilities) == pytest.approx(known, abs=0.012)
    assert list(ours.evalue_parameters.as_vector()) == list(hmm.evalue_parameters.as_vector())


def test_the_same_seeds_give_the_same_bytes(seeds_file, library, tmp_path):
    again = build_library(reversed(list(read_seeds(seeds_file))), BuildSettings(release="Rfam test"), library.made_by)
    library.save(tmp_path / "one.safetensors")
    again.save(tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_a_library_comes_back_as_it_was(library, tmp_path):
    library.save(tmp_path / "families.safetensors")
    back = FamilyLibrary.load(tmp_path / "families.safetensors")
    assert back.families == library.families
    assert back.made_by == {"licence": "CC0-1.0"}
    assert back.seed_rows("RF90002") == library.seed_rows("RF90002")
    for mine, theirs in zip(back.codes, library.codes, strict=True):
        assert all(np.array_equal(getattr(mine, name), getattr(theirs, name)) for name in mine.__slots__)


def test_a_flipped_byte_is_found(library, tmp_path):
    path = tmp_path / "families.safetensors"
    library.save(path)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ContractError, match="digest"):
        FamilyLibrary.load(path)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "families.safetensors"
    with pytest.raises(ContractError, match="no such family library"):
        FamilyLibrary.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ContractError, match="not a readable"):
        FamilyLibrary.load(path)


@pytest.mark.parametrize("packing", ["gz", "xz", "tar.xz"])
def test_seeds_are_read_packed_or_not(seeds_file, tmp_path, packing):
    path = tmp_path / f"seeds.{packing}"
    text = seeds_file.read_bytes()
    if packing == "gz":
        path.write_bytes(gzip.compress(text))
    elif packing == "xz":
        path.write_bytes(lzma.compress(text))
    else:
        for record in text.decode().split("//\n")[:2]:
            name = record.split("AC ")[1].split()[0]
            (tmp_path / f"{name}.sto").write_text(record + "//\n")
        with tarfile.open(path, "w:xz") as archive:
            for name in ("RF90002", "RF90001"):
                archive.add(tmp_path / f"{name}.sto", f"sto/{name}.sto")
    found = {seed.accession: seed for seed in read_seeds(path)}
    assert found == {seed.accession: seed for seed in read_seeds(seeds_file)}


def test_blocks_of_a_wrapped_alignment_are_joined(tmp_path):
    path = tmp_path / "wrapped.sto"
    first = "a/1-8 GGGG\nb/1-8 CCCC\n#=GC SS_cons <<<<\n#=GC RF GGGG\n\n"
    second = "a/1-8 tttt\nb/1-8 G..G\n#=GC SS_cons >>>>\n#=GC RF UUUU\n//\n"
    path.write_text("# STOCKHOLM 1.0\n#=GF AC RF00001\n" + first + second)
    (seed,) = read_seeds(path)
    assert seed.rows == ("GGGGUUUU", "CCCCG--G")
    assert seed.structure == "<<<<>>>>"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no family"),
        (">a\nGGG\n", "stands outside"),
        ("# STOCKHOLM 1.0\n#=GF AC PF00001\na GG\n#=GC RF GG\n#=GC SS_cons ..\n//\n", "PF00001"),
        ("# STOCKHOLM 1.0\n#=GF AC RF00001\na GGG\n#=GC RF GG\n#=GC SS_cons ..\n//\n", "widths"),
        ("# STOCKHOLM 1.0\n#=GF AC RF00001\na GG\n#=GC RF GG\n#=GC SS_cons ..\n", "line // at the end"),
        ("# STOCKHOLM 1.0\n#=GF AC RF00001\na GG\n#=GC RF GG\n#=GC SS_cons (.\n//\n", "never closed"),
    ],
)
def test_seeds_that_are_none_are_refused(tmp_path, text, fault):
    path = tmp_path / "seeds.sto"
    path.write_text(text)
    with pytest.raises(InputError, match=fault):
        build_library(read_seeds(path), BuildSettings(), {})


def test_a_damaged_archive_is_refused(tmp_path, seeds_file):
    path = tmp_path / "seeds.gz"
    path.write_bytes(gzip.compress(seeds_file.read_bytes())[:-40])
    with pytest.raises(InputError, match="cannot be unpacked"):
        list(read_seeds(path))


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ConfigError, match="max_rows"):
        BuildSettings(max_rows=0)
