"""Subjects to draw, results to report, and a reader that sees an SVG as its groups of shapes."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rna_predict.contracts import (
    Adjacency,
    Coordinates,
    Ensemble,
    Model,
    Provenance,
    RnaSequence,
    TemplateHits,
    Torsions,
)
from rna_predict.contracts.structure import full_mask
from rna_predict.contracts.templates import MotifHit, TemplateHit
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.formats.fasta import write_fasta
from rna_predict.formats.models import write_ensemble
from rna_predict.report.subject import Subject

SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Picture:
    """A parsed SVG."""

    root: ET.Element

    def shapes(self, name: str) -> list[ET.Element]:
        """All shapes in the groups of a class; a group that is not there has none."""
        return [shape for group in self.root.iter(f"{SVG}g") if group.get("class") == name for shape in group]

    def groups(self, name: str) -> list[ET.Element]:
        """The groups of a class."""
        return [group for group in self.root.iter(f"{SVG}g") if group.get("class") == name]

    def tips(self, name: str) -> dict[str, ET.Element]:
        """The shapes of a class by the first word of their tips, e.g. `G1–C12`."""
        return {(shape.findtext(f"{SVG}title") or "").split()[0]: shape for shape in self.shapes(name)}

    def texts(self, name: str) -> list[str]:
        """What the texts of a class say."""
        return [shape.text or "" for shape in self.shapes(name)]

    @property
    def key(self) -> str:
        """All texts of the key."""
        return " | ".join(text for group in self.groups("key") for text in group.itertext() if text.strip())

    @property
    def heading(self) -> list[str]:
        """The lines of the heading."""
        return self.texts("heading")

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return float(self.root.get("width", "nan")), float(self.root.get("height", "nan"))


@pytest.fixture(scope="session")
def read_svg() -> Callable[[str], Picture]:
    """Parses an SVG's text."""
    return lambda text: Picture(ET.fromstring(text))


@pytest.fixture(scope="session")
def subject() -> Callable[..., Subject]:
    """`subject(structure, sequence)`: its pairs have probability 0.9, and `others` theirs."""

    def build(
        structure: str,
        sequence: str | None = None,
        *,
        p: float = 0.9,
        others: dict[tuple[int, int], float] | None = None,
        native: str | None = None,
    ) -> Subject:
        partner_L = from_dot_bracket(structure)
        probability_LL = np.zeros((len(structure), len(structure)), dtype=np.float32)
        for i in np.flatnonzero(partner_L >= 0):
            probability_LL[i, partner_L[i]] = p
        for (i, j), value in (others or {}).items():
            probability_LL[i, j] = probability_LL[j, i] = value
        return Subject(
            id="rna",
            sequence=sequence or _letters(partner_L),
            partner_L=partner_L,
            probability_LL=probability_LL,
            source="viennarna",
            native_L=None if native is None else from_dot_bracket(native),
            native_source="" if native is None else "native.dbn",
        )

    return build


def _letters(partner_L: np.ndarray) -> str:
    """G and C where a pair opens and closes, A elsewhere."""
    index = np.arange(len(partner_L))
    return "".join(np.where(partner_L < 0, "A", np.where(partner_L > index, "G", "C")))


TRNA = "(((((((..((((........)))).((((.........)))).....(((((.......))))))))))))...."
KNOT = ".(((((..[[[.))))).......]]]"


@pytest.fixture(params=[".", "....", "((....))", KNOT, TRNA, "." * 60, ".." + TRNA * 5 + "..."], ids=len)
def any_subject(request, subject) -> Subject:
    """From one nucleotide to 385, with pseudoknots and without pairs."""
    return subject(request.param)


def numbers_of(steps: str) -> list[float]:
    """The numbers in path data."""
    return [float(word) for word in re.findall(r"-?\d*\.?\d+", steps)]


HAIRPIN, LONGER = "GGGCUUCGGCCC", "GGGACUUAGCUUCGGCUAAGUCCC"
MARKUP = "'<img src=x onerror=\"window.hacked=1\">' is no sequence </script><script>window.hacked=2</script>"
LOG = "2026-11-28 12:50:51 {level}   {text}\n"


def chain(id: str, sequence: str) -> tuple[Adjacency, Torsions, Coordinates]:
    """Stages A, B and C without networks: a chain that is rebuilt from torsions alone, in a tenth of a second."""
    from rna_predict.stage_a_adjacency.config import StageAConfig
    from rna_predict.stage_a_adjacency.stage import predict_adjacency
    from rna_predict.stage_b_torsion.config import StageBConfig
    from rna_predict.stage_b_torsion.stage import predict_torsions
    from rna_predict.stage_c_reconstruction.config import StageCConfig
    from rna_predict.stage_c_reconstruction.stage import reconstruct

    rna = RnaSequence(id=id, sequence=sequence)
    plain = StageAConfig(backend="viennarna", family="off", pseudoknots="off", calibration="off")
    adjacency = predict_adjacency(rna, plain)
    torsions, embeddings = predict_torsions(rna, adjacency, StageBConfig(backend="prior-table"))
    return adjacency, torsions, reconstruct(rna, adjacency, torsions, StageCConfig(method="nerf"), embeddings)


def ensemble_of(coordinates: Coordinates, inputs: dict[str, str], plddt: float) -> Ensemble:
    """Three models: the chain, the chain turned about and moved, and the chain with its second half pulled away."""
    length, mask_LA = coordinates.length, full_mask(coordinates.sequence)
    turned = coordinates.xyz_LA3 @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]) + np.array([50.0, -20.0, 30.0])
    pulled = coordinates.xyz_LA3 + 9.0 * (np.arange(length) >= length // 2)[:, None, None]
    apart_LL = np.abs(np.subtract.outer(np.arange(length), np.arange(length))).astype(np.float32)
    models = tuple(
        Model(
            xyz_LA3=np.where(mask_LA[..., None], xyz_LA3, 0.0).astype(np.float32).round(3),
            plddt_LA=np.where(mask_LA, np.linspace(plddt, plddt - 45, length)[:, None] - rank, 0).astype(np.float32),
            pae_LL=apart_LL,
            pde_LL=apart_LL,
            ptm=0.5,
            ranking_score=float(-rank),
            seed=rank,
            terms={},
        )
        for rank, xyz_LA3 in enumerate((coordinates.xyz_LA3, turned, pulled))
    )
    provenance = Provenance(method="a test's own", package_version="0", inputs=inputs, weights="ab" * 32)
    return Ensemble(
        id=coordinates.id,
        sequence=coordinates.sequence,
        provenance=provenance,
        confidence_kind="heuristic",
        models=models,
    )


def hit_on(adjacency: Adjacency) -> TemplateHits:
    """A template that covers all but the last residue, and a known loop of the first five, without atoms."""
    length = adjacency.length
    hit = TemplateHit(
        id="9xyz_A", cluster="1", date="2020-02-03", length=30, identity=0.75, query_identity=0.7, coverage=0.95,
        score=0.8, pair_agreement=0.9, expected_tm=0.66, letters=adjacency.sequence[:-1] + "-",
    )  # fmt: skip
    return TemplateHits(
        id=adjacency.id,
        sequence=adjacency.sequence,
        provenance=Provenance(
            method="templates", package_version="0", inputs={"a_adjacency": adjacency.digest(), "library": "0"}
        ),
        xyz_KLA3=np.zeros((1, length, 23, 3), dtype=np.float32),
        mask_KLA=np.zeros((1, length, 23), dtype=bool),
        mask_KL=np.zeros((1, length), dtype=bool),
        position_KL=np.full((1, length), -1, dtype=np.int32),
        linked_KL=np.zeros((1, length - 1), dtype=bool),
        hits=(hit,),
        motif_residue_N=np.arange(5, dtype=np.int32),
        motif_xyz_NA3=np.zeros((5, 23, 3), dtype=np.float32),
        motif_mask_NA=np.zeros((5, 23), dtype=bool),
        motif_linked_N=np.zeros(5, dtype=bool),
        motifs=(MotifHit("8abc_B", "hairpin", 0, 5, 0.8, 0.9, 0.77, "GAAAC"),),
    )


def leave_results(results: Path, id: str, sequence: str, plddt: float) -> None:
    """What the stages leave of an RNA."""
    adjacency, torsions, coordinates = chain(id, sequence)
    folder = results / "stages" / id
    write_fasta(RnaSequence(id=id, sequence=sequence), folder / "sequence.fasta")
    adjacency.save(folder / "a_adjacency.safetensors")
    torsions.save(folder / "b_torsions.safetensors")
    coordinates.save(folder / "c_coordinates.safetensors")
    records = {"a_adjacency": adjacency, "b_torsions": torsions, "c_coordinates": coordinates}
    ensemble = ensemble_of(coordinates, {name: record.digest() for name, record in records.items()}, plddt)
    write_ensemble(ensemble, folder / "d_models.cif", folder / "d_confidence.json")


@pytest.fixture(scope="session")
def markup() -> str:
    """The reason why `gamma` failed."""
    return MARKUP


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """Results: `alpha` and `beta` done, `gamma` failed, `delta` killed; `epsilon` stands in the sheet alone."""
    folder = tmp_path_factory.mktemp("run")
    results = folder / "results"
    leave_results(results, "alpha", HAIRPIN, 95.0)
    leave_results(results, "beta", LONGER, 75.0)
    hit_on(Adjacency.load(results / "stages/beta/a_adjacency.safetensors")).save(
        results / "stages/beta/t_templates.safetensors"
    )
    costs = results / "benchmarks/alpha"
    costs.mkdir(parents=True)
    for name, seconds, peak in (("stage_d_diffusion", "7.5", "332.2"), ("prepare_input", "0.25", "-")):
        (costs / f"{name}.tsv").write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:07\t{peak}\n")
    logs = {
        "gamma/prepare_input.log": LOG.format(level="INFO ", text="gamma: sequence written"),
        "gamma/stage_a_adjacency.log": LOG.format(level="ERROR", text=f"gamma: failed: {MARKUP}"),
        "delta/stage_c_reconstruction.log": "",
    }
    for second, (name, text) in enumerate(logs.items()):
        path = results / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1e9 + second, 1e9 + second))
    names = ("alpha", "beta", "gamma", "delta", "epsilon")
    (folder / "samples.tsv").write_text("id\tsequence\n" + "".join(f"{name}\t{HAIRPIN}\n" for name in names))
    return results


@pytest.fixture(scope="session")
def page_file(results: Path) -> Path:
    """The page of these results, made by the command."""
    command = [sys.executable, "-m", "rna_predict", "report", results, "--samples", results.parent / "samples.tsv"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=120)
    return results / "report/index.html"
