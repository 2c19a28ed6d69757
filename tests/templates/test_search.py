"""The search finds relatives, keeps to its options, and hands over a contract that checks itself."""

import dataclasses

import numpy as np
import pytest

from rna_predict.chemistry.residues import C3
from rna_predict.contracts import TemplateHits
from rna_predict.errors import ConfigError, ContractError
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.library import MemoryLibrary
from rna_predict.templates.search import identity_of, search, state_probabilities
from rna_predict.templates.stage import find_templates, write_summary

from .conftest import ADENINE, GUANINE, TRNA, adjacency_of, row_of


@pytest.fixture
def riboswitch(small):
    row = row_of(small, ADENINE)
    return adjacency_of(row.sequence, row.partner_L)


def ids(found) -> list[str]:
    return [one.row.id for one in found]


def test_a_chain_finds_itself_first_and_its_relative_next(small, riboswitch):
    found = search(riboswitch, small, TemplatesConfig())
    assert ids(found) == [ADENINE, GUANINE]
    assert found[0].expected_tm > found[1].expected_tm > 0.4
    assert found[0].features.identity == 1.0


def test_a_relative_s_atoms_lie_where_the_native_s_are(small, riboswitch):
    templates = find_templates(riboswitch, TemplatesConfig(max_identity=0.95), small)
    assert [hit.id for hit in templates.hits] == [GUANINE]
    native = small.atoms(next(n for n, row in enumerate(small.rows) if row.id == ADENINE)).xyz_LA3
    mask = templates.mask_KL[0]
    gap = np.linalg.norm(native[:, None, C3] - native[None, :, C3], axis=-1)[mask][:, mask]
    own = templates.xyz_KLA3[0, :, C3]
    threaded = np.linalg.norm(own[:, None] - own[None], axis=-1)[mask][:, mask]
    assert mask.mean() > 0.85
    assert np.median(np.abs(gap - threaded)) < 1.5


def test_identity_is_of_the_shorter_and_the_cut_off_keeps_to_it(small, riboswitch):
    assert identity_of("GGGGAAAACCCC", "AAAA") == 1.0
    relative = identity_of(riboswitch.sequence, row_of(small, GUANINE).sequence)
    assert ids(search(riboswitch, small, TemplatesConfig(max_identity=0.95))) == [GUANINE]
    assert ids(search(riboswitch, small, TemplatesConfig(max_identity=relative - 0.01))) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"enabled": False}, []),
        ({"max_hits": 0}, []),
        ({"max_hits": 1}, [ADENINE]),
        ({"min_expected_tm": 0.99}, []),
        ({"exclude": [ADENINE]}, [GUANINE]),
        ({"before": "2030-01-01"}, []),
        ({"min_length": 100}, []),
    ],
)
def test_each_option_does_what_it_says(small, riboswitch, change, expected):
    assert ids(search(riboswitch, small, TemplatesConfig(**change))) == expected


def test_a_cluster_can_be_left_out(small, riboswitch):
    cluster = row_of(small, ADENINE).cluster
    assert ADENINE not in ids(search(riboswitch, small, TemplatesConfig(exclude=[f"cluster:{cluster}"])))


def test_only_chains_of_an_earlier_day_are_taken(small, riboswitch):
    days = {ADENINE: "2004-07-01", GUANINE: "2010-05-05"}
    dated = MemoryLibrary(
        rows=tuple(row._replace(date=days.get(row.id, "")) for row in small.rows), packed=small.packed, made_by={}
    )
    assert ids(search(riboswitch, dated, TemplatesConfig(before="2010-05-05"))) == [ADENINE]
    assert ids(search(riboswitch, dated, TemplatesConfig(before="2010-05-06"))) == [ADENINE, GUANINE]


def test_a_large_library_is_searched_by_embedding_first(small, riboswitch):
    assert ids(search(riboswitch, small, TemplatesConfig(prefilter=2)))[0] == ADENINE
    trna = row_of(small, TRNA)
    found = search(adjacency_of(trna.sequence, trna.partner_L), small, TemplatesConfig(prefilter=1))
    assert ids(found) == [TRNA]


def test_short_strands_get_no_template(small):
    assert search(adjacency_of("GGGGAAAACCCC", np.full(12, -1)), small, TemplatesConfig(min_expected_tm=0.0)) == []


def test_states_are_half_the_matching_s_and_half_the_probabilities():
    sequence = "GGAAAACC"
    partner = np.array([7, 6, -1, -1, -1, -1, 1, 0])
    sure = adjacency_of(sequence, partner)
    weak = dataclasses.replace(sure, probability_LL=sure.probability_LL * np.float32(0.5))
    assert state_probabilities(weak)[0] == pytest.approx([0.25, 0.75, 0.0])
    assert state_probabilities(weak)[7] == pytest.approx([0.25, 0.0, 0.75])
    assert state_probabilities(weak).sum(axis=1) == pytest.approx(np.ones(8))


def test_none_found_is_a_record_too(small, riboswitch, tmp_path):
    for config in (TemplatesConfig(enabled=False), TemplatesConfig(min_expected_tm=1.0)):
        templates = find_templates(riboswitch, config, small)
        templates.save(tmp_path / "t.safetensors")
        back = TemplateHits.load(tmp_path / "t.safetensors")
        assert back.count == 0
        assert back.xyz_KLA3.shape == (0, riboswitch.length, 23, 3)
        assert back.digest() == templates.digest()


def test_a_record_reads_back_and_names_its_inputs(small, riboswitch, tmp_path):
    templates = find_templates(riboswitch, TemplatesConfig(), small)
    templates.save(tmp_path / "t.safetensors")
    write_summary(templates, tmp_path / "t.json")
    back = TemplateHits.load(tmp_path / "t.safetensors")
    assert back.hits == templates.hits
    assert np.array_equal(back.xyz_KLA3, templates.xyz_KLA3)
    assert back.provenance.inputs == {"a_adjacency": riboswitch.digest(), "library": small.digest}
    assert '"id": "1y26_X"' in (tmp_path / "t.json").read_text()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("xyz_KLA3", lambda value: value[:, :-1], "expected shape"),
        ("mask_KLA", lambda value: value & False, "lacks C1'"),
        ("position_KL", lambda value: value * 0 - 1, "must be -1"),
        ("linked_KL", lambda value: value | True, "not aligned"),
        ("xyz_KLA3", lambda value: value + 1, "masked out is not zero"),
        ("hits", lambda value: value[::-1], "order"),
        ("hits", lambda value: (value[0]._replace(coverage=1.2), value[1]), "outside"),
        ("hits", lambda value: (value[0]._replace(letters="-"), value[1]), "letters"),
        ("hits", lambda value: value[:1], "expected shape"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(small, riboswitch, name, change, message):
    templates = find_templates(riboswitch, TemplatesConfig(), small)
    with pytest.raises(ContractError, match=message):
        dataclasses.replace(templates, **{name: change(getattr(templates, name))})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_hits", -1),
        ("min_expected_tm", 1.5),
        ("max_identity", float("nan")),
        ("before", "yesterday"),
        ("prefilter", 0),
        ("min_length", 1),
        ("aligned", 0),
    ],
)
def test_settings_out_of_range_are_named(field, value):
    with pytest.raises(ConfigError, match=rf"templates\.{field}"):
        TemplatesConfig(**{field: value})
