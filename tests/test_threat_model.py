"""docs/threat-model.md: every attacker's goal has a test, and every mutant still fits its file."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.mutants.catalogue import Mutant, load

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "threat-model.md"
NODE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LEAST_MUTANTS = 24


def _rows() -> list[str]:
    """The rows of the tables whose last column is a test."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found: list[str] = []
    is_tested = False
    for before, line in zip(["", *lines], lines, strict=False):
        if not line.startswith("|"):
            is_tested = False
        elif line.startswith("| ---"):
            is_tested = before.rstrip(" |").endswith("| test")
        elif is_tested:
            found.append(line)
    return found


@functools.cache
def _tests_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_page_has_its_tables() -> None:
    """A reader that finds no row would let everything pass."""
    assert len(_rows()) >= 40


@pytest.mark.parametrize("row", _rows())
def test_every_row_names_its_test(row: str) -> None:
    """In its last column, and it is there."""
    tested = row.rstrip(" |").rpartition("|")[2]
    nodes = NODE.findall(tested)

    assert nodes, f"this row names no test: {row}"
    assert [f"{file}::{name}" for file, name in nodes if name not in _tests_of(file)] == []


@pytest.mark.parametrize("mutant", load(), ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_every_mutant_fits_its_file_and_names_its_test(mutant: Mutant) -> None:
    """Or `make mutants` would show something of yesterday's code."""
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    ast.parse(mutant.applied(source))
    file, _, name = mutant.test.partition("::")

    assert mutant.applied(source) != source
    assert name in _tests_of(file)


def test_there_are_mutants_of_many_defences() -> None:
    """One a defence, each named once."""
    names = [mutant.name for mutant in load()]

    assert len(names) >= LEAST_MUTANTS
    assert len(set(names)) == len(names)
