"""Records: they come back equal, files are reproducible, and nobody can change one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rna_predict.chemistry.residues import ATOMS
from rna_predict.contracts import DISTOGRAM_ATOMS, Provenance, alternatives_of
from rna_predict.contracts.record import array_fields, digest_of, meta_fields
from rna_predict.errors import ContractError

KINDS = ("adjacency", "torsions", "embeddings", "coordinates")
LETTERS = st.text("ACGU", min_size=1, max_size=20)


def assert_equal(found, record):
    assert type(found) is type(record)
    assert (found.id, found.sequence, found.provenance) == (record.id, record.sequence, record.provenance)
    for name, dtype in array_fields(type(record)).items():
        assert getattr(found, name).dtype == dtype
        np.testing.assert_array_equal(getattr(found, name), getattr(record, name))
    for field in meta_fields(type(record)):
        assert getattr(found, field.name) == getattr(record, field.name)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=LETTERS, seed=st.integers(0, 99), inputs=st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_a_record_comes_back_equal(make, tmp_path, kind, sequence, seed, inputs):
    provenance = Provenance(method="måthod", package_version="1", inputs=inputs)
    record = make(kind, sequence=sequence, seed=seed, provenance=provenance)
    path = tmp_path / "x.safetensors"
    record.save(path)
    found = type(record).load(path)
    assert_equal(found, record)
    assert found.digest() == record.digest() == type(record).stated_digest(path)


def test_a_given_adjacency_and_unnamed_channels_come_back(make, tmp_path):
    for kind, changes in (("adjacency", {"given": True}), ("embeddings", {"channels": []})):
        record = make(kind, **changes)
        record.save(tmp_path / "x.safetensors")
        assert_equal(type(record).load(tmp_path / "x.safetensors"), record)


def test_embeddings_without_an_input_embedding_come_back_and_differ_from_those_with_one(make, tmp_path):
    record = make("embeddings", inputs_LI=np.zeros((12, 0), dtype=np.float32))
    record.save(tmp_path / "x.safetensors")
    found = type(record).load(tmp_path / "x.safetensors")
    assert_equal(found, record)
    assert found.inputs_LI.shape == (12, 0)
    assert found.digest() != make("embeddings").digest()


@pytest.mark.parametrize("atoms", list(DISTOGRAM_ATOMS))
def test_a_distogram_says_between_which_atoms_it_measures(make, atoms):
    record = make("embeddings", sequence="ACGU", distogram_atoms=[atoms])
    named = {"C4/C2": ["C4", "C2", "C4", "C2"], "N1/N3": ["N1", "N3", "N1", "N3"]}
    expected = named.get(atoms, [atoms] * 4)
    assert [ATOMS[letter][slot] for letter, slot in zip("ACGU", record.distogram_slots(), strict=True)] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_equal_records_are_equal_files(make, tmp_path, kind):
    contents = set()
    for k in range(6):
        path = tmp_path / f"{k}.safetensors"
        make(kind).save(path)
        contents.add(path.read_bytes())
        type(make(kind)).load(path).save(path)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_the_digest_sees_each_field_and_not_the_provenance(make):
    base = {kind: make(kind) for kind in KINDS}
    changes = {
        "adjacency": {"probability_LL": (0, 6), "partner_L": None, "given": True},
        "torsions": dict.fromkeys(set(array_fields(type(base["torsions"]))) - {"mask_L7"}, (3,)),
        "embeddings": dict.fromkeys(array_fields(type(base["embeddings"])), (3,))
        | {"distogram_GLLB": (0, 3), "channels": ["first", "2nd"], "distogram_atoms": ["C1'"]},
        "coordinates": {"xyz_LA3": (2, 5, 1), "built_L": (4,)},
    }
    for kind, fields in changes.items():
        digests = {base[kind].digest(), make(kind, id="other").digest()}
        for name, where in fields.items():
            digests.add(make(kind, **{name: changed(getattr(base[kind], name), name, where)}).digest())
        assert len(digests) == 2 + len(fields), kind
    masked = base["torsions"].mask_L7.copy(), base["torsions"].angle_L7.copy()
    masked[0][6, 6], masked[1][6, 6] = False, 0.0
    unmasked = make("torsions", angle_L7=masked[1])
    assert make("torsions", angle_L7=masked[1], mask_L7=masked[0]).digest() != unmasked.digest()
    for kind in KINDS:
        assert make(kind, provenance=Provenance(method="m", package_version="9")).digest() == base[kind].digest()


def changed(value, name, where):
    if not isinstance(value, np.ndarray):
        return where
    value = value.copy()
    if name == "partner_L":
        value[[0, 11]] = -1
    elif name == "probability_LL":
        value[0, 6] += 0.01
        value[6, 0] += 0.01
    elif value.dtype.kind == "f":
        value[where] *= 0.99
    else:
        value[where] ^= 1
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_can_write_to_a_record(make, tmp_path, kind):
    record = make(kind)
    record.save(tmp_path / "x.safetensors")
    for one in (record, type(record).load(tmp_path / "x.safetensors")):
        for name in array_fields(type(one)):
            with pytest.raises(ValueError, match="read-only"):
                getattr(one, name)[0] = 0
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.id = "other"


def test_an_array_of_the_callers_stays_writeable_and_no_longer_reaches_the_record(make, make_model):
    for build, name in ((make, "xyz_LA3"), (make_model, "xyz_LA3")):
        source = make("coordinates").xyz_LA3.copy()
        holder = build("coordinates", xyz_LA3=source) if build is make else build(xyz_LA3=source)
        source[0, 0, 0] = 77.0
        assert getattr(holder, name)[0, 0, 0] == 0.0


def test_a_read_only_view_of_a_writeable_array_is_copied(make):
    source = make("coordinates").xyz_LA3.copy()
    view = source[:]
    view.flags.writeable = False
    record = make("coordinates", xyz_LA3=view)
    source[0, 0, 0] = 77.0
    assert record.xyz_LA3[0, 0, 0] == 0.0


def test_an_array_that_nobody_can_write_to_is_taken_without_a_copy(make):
    source = make("embeddings").distogram_GLLB
    assert not source.flags.writeable
    assert make("embeddings", distogram_GLLB=source).distogram_GLLB is source


def test_an_array_in_another_memory_order_is_the_same_record(make, tmp_path):
    matrix = make("embeddings").pair_LLZ
    other = make("embeddings", pair_LLZ=np.asfortranarray(matrix))
    assert other.digest() == make("embeddings").digest()
    other.save(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(type(other).load(tmp_path / "x.safetensors").pair_LLZ, matrix)


def test_digest_of_a_mapping_ignores_key_order_and_of_a_file_is_its_sha256(tmp_path):
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 1, "b": 3})
    (tmp_path / "x").write_bytes(b"abc")
    assert digest_of(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("kind", KINDS)
def test_alternatives_come_back_and_count_as_content(make, tmp_path, kind):
    plain = make(kind)
    others = tuple(make(kind, seed=n, provenance=Provenance(method=f"m{n}", package_version="1")) for n in (1, 2))
    record = dataclasses.replace(plain, alternatives=others)
    path = tmp_path / "x.safetensors"
    record.save(path)
    found = type(record).load(path)
    assert_equal(found, record)
    assert len(alternatives_of(found)) == 2
    for one, other in zip(alternatives_of(found), others, strict=True):
        assert_equal(one, other)
    swapped = dataclasses.replace(plain, alternatives=others[::-1])
    digests = [one.digest() for one in (plain, record, swapped, dataclasses.replace(plain, alternatives=others[:1]))]
    assert len(set(digests)) == 4
    assert found.digest() == digests[1] == type(record).stated_digest(path)


def test_alternatives_are_of_the_same_rna_and_schema_and_have_none_themselves(make):
    plain, other = make("torsions"), make("torsions", seed=1)
    nested = dataclasses.replace(other, alternatives=(other,))
    for wrong in (make("coordinates"), make("torsions", id="another"), nested):
        with pytest.raises(ContractError, match="alternatives"):
            dataclasses.replace(plain, alternatives=(wrong,))
