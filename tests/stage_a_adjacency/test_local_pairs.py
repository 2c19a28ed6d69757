"""Known stretches in stage A: they mend a fold that energies get wrong, and say so; without one nothing changes."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from rna_predict.cli.report import known_of
from rna_predict.contracts import Adjacency, RnaSequence
from rna_predict.errors import ContractError
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.stage_a_adjacency.template_pairs import local_evidence
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.library import open_library
from rna_predict.templates.local import search_local

vienna = functools.partial(StageAConfig, backend="viennarna", family="off")
FAR = TemplatesConfig(max_identity=0.8)

APTAMER = RnaSequence(id="aptamer", sequence="GUGCGAAGGGACGGUGCGGAGAGGAGAGCAC")
"""Of the Mango family, whose quadruplex no energy model knows: 77 % identical with the library's 6c63_A."""
STEM = [(0, 30), (1, 29), (2, 28), (3, 27)]

CRISPR = RnaSequence(id="crispr", sequence="AAUUUCUACUAAGUGUAGAUGGAAAUUAGGUGCGCUUGGC")
HANDLE = [(4, 18), (5, 17), (6, 16), (7, 15), (8, 14)]


@pytest.mark.parametrize(("rna", "pairs"), [(APTAMER, STEM), (CRISPR, HANDLE)], ids=["aptamer", "crispr"])
def test_pairs_of_a_known_stretch_replace_those_of_a_wrong_fold(
    rna: RnaSequence, pairs: list[tuple[int, int]], tmp_path: Path
):
    alone = predict_adjacency(rna, StageAConfig())
    told = predict_adjacency(rna, StageAConfig(), templates=FAR)
    assert not set(pairs) & set(alone.pairs)
    assert set(pairs) <= set(told.pairs)
    assert "local" in told.provenance.method.split("+")
    assert len(told.provenance.inputs["local"]) == 64
    assert told.stretches[0].expected > 0.7
    assert alone.stretches == ()
    told.save(tmp_path / "a.safetensors")
    assert Adjacency.load(tmp_path / "a.safetensors").stretches == told.stretches


def test_a_hit_favours_its_pairs_together_and_each_within_limits():
    hits = {hit.row.id: hit for hit in search_local(CRISPR.sequence, open_library(""), FAR)}
    (hit,) = hits.values()
    log_odds = np.log(hit.expected / (1 - hit.expected))
    found = local_evidence(CRISPR, vienna(local_limit=20.0), FAR)
    assert found is not None
    assert found.bonus_LL is not None
    assert found.bonus_LL.sum() == pytest.approx(-12.0 * (0.5 + 0.5 * log_odds))
    assert {tuple(map(int, pair)) for pair in np.argwhere(found.bonus_LL < 0)} == set(hit.pairs)
    limited = local_evidence(CRISPR, vienna(local_limit=0.5), FAR)
    assert limited is not None
    assert limited.bonus_LL is not None
    assert limited.bonus_LL.min() == pytest.approx(-0.5)
    assert {(i, j): p for i, j, p in found.offered} == pytest.approx(dict.fromkeys(hit.pairs, hit.expected))


def test_a_backend_without_energies_gets_offers_alone():
    found = local_evidence(CRISPR, StageAConfig(backend="linearpartition"), FAR)
    assert found is not None
    assert found.bonus_LL is None
    assert len(found.offered) == 5


@pytest.mark.parametrize(
    ("config", "templates"),
    [
        (vienna(templates="off"), FAR),
        (vienna(), TemplatesConfig(enabled=False)),
        (vienna(), TemplatesConfig(min_expected_pairs=1.0)),
        (vienna(), TemplatesConfig(max_identity=0.0)),
        (vienna(), None),
    ],
)
def test_without_a_stretch_that_counts_nothing_changes(config: StageAConfig, templates: TemplatesConfig | None):
    alone = predict_adjacency(CRISPR, vienna())
    found = predict_adjacency(CRISPR, config, templates=templates)
    assert found.digest() == alone.digest()
    assert "local" not in found.provenance.inputs


def test_a_stretch_outside_the_rna_is_refused():
    told = predict_adjacency(CRISPR, vienna(), templates=FAR)
    (found,) = told.stretches
    with pytest.raises(ContractError, match="stretches of crispr: 5mga_B lies at 1-99"):
        dataclasses.replace(told, stretches=(found._replace(last=99),))


def test_the_report_says_which_stretch_took_part():
    told = predict_adjacency(CRISPR, vienna(), templates=FAR)
    (sentence,) = known_of(told)
    assert sentence.startswith(
        "Known stretch, which took part in stage A's pairs: residues 1-21 read like 5mga_B: 5 of"
    )
    assert known_of(predict_adjacency(CRISPR, vienna())) == ()
