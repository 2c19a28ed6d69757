"""docs/faults.md names a test for each fault; the tests that it names exist, and none of these is left out."""

import ast
import re

import pytest

NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(test_\w+)`")


@pytest.fixture(scope="module")
def rows(root):
    """Of each row its number and the tests that it names, as (file, function)."""
    lines = (root / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    found = [(line.split("|")[1].strip(), NAMED.findall(line)) for line in lines if line.startswith("| ")]
    return {int(number): named for number, named in found if number.isdigit()}


def functions(path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_fault_has_a_row_with_tests(rows):
    assert list(rows) == list(range(1, 31))
    assert all(rows.values())


def test_every_test_that_the_table_names_exists(rows, root):
    named = {pair for tests in rows.values() for pair in tests}
    assert not [pair for pair in sorted(named) if pair[1] not in functions(root / pair[0])]


def test_every_test_of_a_fault_is_in_its_row(rows, root):
    missing = []
    for path in sorted((root / "tests" / "faults").glob("test_*.py")):
        for name in functions(path):
            number = re.match(r"test_fault_(\d\d)_", name)
            if number and (str(path.relative_to(root)), name) not in rows[int(number[1])]:
                missing.append(name)
    assert not missing
