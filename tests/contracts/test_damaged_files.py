"""A file that is not exactly what a stage wrote is refused, and the stage to run again is named."""

import json
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.numpy import save as to_bytes
from safetensors.torch import save_file as save_torch

from rna_predict.contracts import Adjacency, Coordinates, Embeddings, RnaSequence, Torsions
from rna_predict.contracts.record import digest_of, require_same_input, require_same_rna
from rna_predict.errors import ContractError

STAGE_OF = {"adjacency": "stage_a", "torsions": "stage_b", "embeddings": "stage_b", "coordinates": "stage_c"}
TYPE_OF = {"adjacency": Adjacency, "torsions": Torsions, "embeddings": Embeddings, "coordinates": Coordinates}


@pytest.fixture
def saved(make, tmp_path):
    """`saved("torsions")` is the path of a fresh file."""

    def save(kind):
        path = tmp_path / f"{kind}.safetensors"
        make(kind).save(path)
        return path

    return save


def refusal(kind, path):
    """The message with which a file is refused; stage and file are named in it."""
    with pytest.raises(ContractError) as caught:
        TYPE_OF[kind].load(path)
    message = str(caught.value)
    assert f"Run {STAGE_OF[kind]} again." in message
    assert str(path) in message
    return message


def header_of(content):
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["record"])


def write(path, record, header, arrays=None, seal=True):
    """Write a record's arrays, or others, under a header of the test's own."""
    header = {name: value for name, value in header.items() if name != "seal"}
    if seal:
        header["seal"] = digest_of(header)
    path.write_bytes(to_bytes(arrays or arrays_of(record), metadata={"record": json.dumps(header)}))


def arrays_of(record):
    fields = [name for name in dir(record) if isinstance(getattr(record, name), np.ndarray)]
    return {name: np.ascontiguousarray(getattr(record, name)) for name in fields}


@pytest.mark.parametrize("kind", STAGE_OF)
def test_truncated_empty_text_and_missing_files_are_refused(saved, kind):
    path = saved(kind)
    whole = path.read_bytes()
    for size in (0, 1, 7, 8, 9, 300, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert "not a readable" in refusal(kind, path)
    for content in (b"ACGU\n", b"\0" * 4096, b"\xff" * 4096, whole + b"\0"):
        path.write_bytes(content)
        assert "not a readable" in refusal(kind, path)
    path.unlink()
    assert "no such file" in refusal(kind, path)
    path.mkdir()
    assert "no such file" in refusal(kind, path)


@pytest.mark.parametrize("kind", STAGE_OF)
def test_one_flipped_byte_anywhere_is_refused_or_changes_nothing(saved, make, kind):
    path = saved(kind)
    whole = bytearray(path.read_bytes())
    end = 8 + struct.unpack("<Q", whole[:8])[0]
    rng = np.random.default_rng(3)
    places = {*range(8, end, 7), *range(8), *rng.integers(end, len(whole), 150).tolist()}
    harmless = 0
    for place in sorted(places):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.choice([1, 2, 4, 32, 128, 255]))
        path.write_bytes(damaged)
        try:
            found = TYPE_OF[kind].load(path)
        except ContractError:
            refusal(kind, path)
            continue
        harmless += 1
        assert place < end, "every byte of an array counts"
        assert (found.digest(), found.provenance) == (make(kind).digest(), make(kind).provenance)
    assert harmless < 3


def test_each_schema_refuses_the_others(saved):
    for kind in STAGE_OF:
        for other in set(STAGE_OF) - {kind}:
            message = refusal(kind, saved(other))
            expected = f"rna_predict.{kind} version {TYPE_OF[kind].VERSION}"
            assert f"expected schema {expected}, found rna_predict.{other} version {TYPE_OF[other].VERSION}" in message


def test_another_version_is_refused_though_its_seal_is_right(saved, make):
    path = saved("torsions")
    write(path, make("torsions"), header_of(path.read_bytes()) | {"version": 2})
    assert "version 1, found rna_predict.torsions version 2" in refusal("torsions", path)


def test_embeddings_of_version_1_are_refused_and_stage_b_is_named(saved, make):
    path, record = saved("embeddings"), make("embeddings")
    old = header_of(path.read_bytes()) | {"version": 1, "meta": {"channels": record.channels}}
    write(path, record, old, {name: value for name, value in arrays_of(record).items() if name != "inputs_LI"})
    message = refusal("embeddings", path)
    assert "expected schema rna_predict.embeddings version 3, found rna_predict.embeddings version 1" in message


@pytest.mark.parametrize("record", ["[]", "null", "7", "{}", '{"schema": 1}', "[" * 100_000, "not JSON"])
def test_a_safetensors_file_of_others_is_refused(tmp_path, record):
    path = tmp_path / "x.safetensors"
    path.write_bytes(to_bytes({"a": np.ones(3)}, metadata={"record": record}))
    assert "expected schema" in (message := refusal("torsions", path)) or "not a readable" in message
    path.write_bytes(to_bytes({"a": np.ones(3)}))
    assert "found None version None" in refusal("torsions", path)


def test_weights_in_types_that_numpy_lacks_are_refused(saved, tmp_path):
    header = header_of(saved("coordinates").read_bytes())
    path = tmp_path / "weights.safetensors"
    tensors = {"xyz_LA3": torch.zeros(12, 23, 3, dtype=torch.bfloat16), "built_L": torch.zeros(12, dtype=torch.uint8)}
    for metadata in (None, {"record": json.dumps(header)}):
        save_torch(tensors, path, metadata=metadata)
        refusal("coordinates", path)
    assert "'xyz_LA3': 'BF16'" in refusal("coordinates", path)


def test_an_array_too_many_or_too_few_or_of_another_type_is_refused(saved, make):
    path, record = saved("torsions"), make("torsions")
    header = header_of(path.read_bytes())
    arrays = arrays_of(record)
    for wrong in (
        arrays | {"extra": np.ones(2, dtype=np.float32)},
        {name: value for name, value in arrays.items() if name != "mask_L7"},
        arrays | {"angle_L7": record.angle_L7.astype(np.float64)},
    ):
        write(path, record, header, wrong)
        assert "expected arrays" in refusal("torsions", path)


def test_values_changed_under_a_right_seal_do_not_match_their_digest(saved, make):
    path, record = saved("torsions"), make("torsions")
    header = header_of(path.read_bytes())
    write(path, record, header, arrays_of(record) | {"pucker_phase_L": record.pucker_phase_L * np.float32(0.5)})
    assert "does not match its digest" in refusal("torsions", path)
    write(path, record, header | {"id": "other"})
    assert "does not match its digest" in refusal("torsions", path)


def test_provenance_changed_by_hand_does_not_match_the_seal(saved, make):
    path, record = saved("torsions"), make("torsions")
    header = header_of(path.read_bytes())
    header["provenance"]["inputs"]["a_adjacency"] = "00" * 32
    write(path, record, header, seal=False)
    assert "does not match its seal" in refusal("torsions", path)
    with pytest.raises(ContractError, match="seal"):
        Torsions.stated_digest(path)


@pytest.mark.parametrize(
    "change",
    [{"id": "../../x"}, {"id": 5}, {"sequence": "GGX"}, {"meta": {"odd": 1}}, {"meta": []}, {"provenance": {"a": 1}}],
)
def test_a_header_that_makes_no_record_is_refused(saved, make, change):
    path = saved("torsions")
    write(path, make("torsions"), header_of(path.read_bytes()) | change)
    refusal("torsions", path)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def test_a_pickle_under_this_name_never_runs(saved, tmp_path):
    mark = tmp_path / "code ran"
    bomb = pickle.dumps(Bomb(mark))
    path = saved("torsions")
    path.write_bytes(bomb)
    assert "not a readable" in refusal("torsions", path)
    torch.save({"angle_L7": Bomb(mark)}, path)
    assert "not a readable" in refusal("torsions", path)
    assert not mark.exists()
    pickle.loads(bomb).close()
    assert mark.exists(), "the bomb works"


@pytest.mark.parametrize("kind", STAGE_OF)
def test_the_file_of_another_rna_is_refused(saved, make, kind):
    path = saved(kind)
    right = RnaSequence(id="hp", sequence="GGGCUUCGGCCC")
    assert TYPE_OF[kind].load(path, right).length == 12
    for other in (RnaSequence(id="hp", sequence="GGGCUUCGGCCU"), RnaSequence(id="hq", sequence=right.sequence)):
        with pytest.raises(ContractError, match=rf"made for hp \(12 nt\).*Run {STAGE_OF[kind]} again"):
            TYPE_OF[kind].load(path, other)
        with pytest.raises(ContractError, match=f"of hp, another RNA. Run {STAGE_OF[kind]} again"):
            require_same_rna(other, make(kind))
    require_same_rna(right, *(make(each) for each in STAGE_OF))


@pytest.mark.parametrize("kind", ["torsions", "embeddings", "coordinates"])
def test_a_record_made_from_another_input_is_stale(make, kind):
    upstream = make("adjacency")
    provenance = make(kind).provenance
    fresh = make(kind, provenance=type(provenance)(method="m", package_version="1", inputs={"a": upstream.digest()}))
    require_same_input(fresh, "a", upstream)
    changed = make("adjacency", given=True)
    for name, other in (("a", changed), ("b", upstream)):
        with pytest.raises(ContractError, match=f"another {name} than the one on disk. Run {STAGE_OF[kind]} again"):
            require_same_input(fresh, name, other)
