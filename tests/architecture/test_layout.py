"""The walls of the house: where files may stand, how long they may be, and what they may import or name."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

LINES = 420
ROOT_ENTRIES = {
    *(".ci", ".gitignore", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md"),
    *("Snakefile", "config", "docs", "envs", "profiles", "pyproject.toml", "rna_predict", "slurm", "tests", "workflow"),
}
VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "legacy", "misc", "scripts", "v2"}
BINARY = {".safetensors", ".npz", ".gz", ".png"}


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Files that git tracks, relative to the root, and that are still there."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in listing.split("\0") if name and (root / name).exists()]


@pytest.fixture(scope="session")
def modules(root: Path) -> list[Path]:
    """Every Python file of the package."""
    return sorted((root / "rna_predict").rglob("*.py"))


def test_the_root_holds_what_the_design_names(tracked):
    assert {path.parts[0] for path in tracked} <= ROOT_ENTRIES


def test_no_folder_or_module_has_a_name_that_says_nothing(tracked):
    python = [path for path in tracked if path.suffix in (".py", ".smk") and path.name != "common.smk"]
    assert not [str(path) for path in python if VAGUE & {part.removesuffix(".py") for part in path.parts}]


def test_the_package_is_at_most_three_deep(modules, root):
    assert not [str(path) for path in modules if len(path.relative_to(root).parts) > 3]


def test_no_file_of_the_package_or_workflow_is_too_long(tracked, root):
    source = [path for path in tracked if path.suffix in (".py", ".smk") or path.name in ("Snakefile", "Makefile")]
    long = {str(path): lines for path in source if (lines := len((root / path).read_text().splitlines())) > LINES}
    assert not long


def test_every_module_function_and_class_says_what_it_is(modules, root):
    bare = []
    for path in modules:
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            bare.append(str(path.relative_to(root)))
        for node in tree.body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                bare.append(f"{path.relative_to(root)}: {node.name}")
    assert not bare


def test_no_function_is_longer_than_a_screen(modules, root):
    long = {}
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            lines = (node.end_lineno or 0) - first.lineno + 1
            if lines > 50:
                long[f"{path.relative_to(root)}: {node.name}"] = lines
    assert not long


def test_nothing_is_caught_that_is_not_named(modules, root):
    broad = []
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ExceptHandler):
                continue
            names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else {"bare"}
            if names & {"bare", "Exception", "BaseException"}:
                broad.append(f"{path.relative_to(root)}:{node.lineno}")
    assert not broad


def test_no_tracked_file_names_a_machine_or_a_registry(tracked, root):
    machine = re.compile(r"(?<![\w.])/(?:work|home|root|farm|opt|mnt|Users)/\w")
    registry = re.compile(r"pypi\.org|pythonhosted|npmjs|download\.pytorch|conda\.anaconda\.org|find-links|index-url")
    named = []
    for path in tracked:
        if path.suffix in BINARY or (root / path).is_dir() or path == Path(__file__).relative_to(root):
            continue
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), start=1):
            if machine.search(line) or registry.search(line):
                named.append(f"{path}:{number}: {line.strip()[:80]}")
    assert not named


def test_imports_point_one_way(root):
    command = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())",
    ]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("rna_predict.cli.main", ("torch", "numpy", "hydra", "omegaconf", "gemmi", "snakemake")),
        ("rna_predict.stage_a_adjacency.stage", ("torch", "hydra")),
        ("rna_predict.evaluation.folder", ("torch", "hydra")),
        ("rna_predict.contracts", ("torch",)),
        ("rna_predict.formats.models", ("torch",)),
        ("rna_predict.config", ("torch", "snakemake")),
        ("rna_predict.report.figures", ("torch", "hydra", "gemmi")),
        ("rna_predict.data.build", ("torch", "hydra", "lancedb", "Bio", "rnapolis")),
        ("rna_predict.data.dataset", ("torch", "lancedb")),
        ("rna_predict.templates.stage", ("torch", "lancedb", "Bio", "hydra")),
    ],
)
def test_light_modules_stay_light(module, absent):
    code = f"import sys, {module}; print(*[name for name in {absent!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_a_rule_is_one_subcommand(root):
    from typer.main import get_command

    from rna_predict.cli.main import app

    commands = set(get_command(app).commands)
    rules = "".join(path.read_text() for path in sorted((root / "workflow" / "rules").glob("*.smk")))
    called = re.findall(r"python -m rna_predict (\S+)", rules)
    assert len(called) == len(re.findall(r"^rule ", rules, re.MULTILINE))
    assert set(called) <= commands
    assert not re.findall(r"^    (run|script):", rules, re.MULTILINE)
