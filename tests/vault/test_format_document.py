"""FORMAT.md is what the code points to: no citation, kind, file or table of it leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vault import errors
from vault.migrations import STEPS

VAULT = Path(errors.__file__).parent
DOCUMENT = (VAULT / "FORMAT.md").read_text()
HEADINGS = set(re.findall(r"^#{2,3} (.+)$", DOCUMENT, re.MULTILINE))
ROOMS = ("vault", "ingest", "maintainer_tools", "contributor_tools")
_CITATION = re.compile(r'FORMAT\.md,\s+("[^"]+"(?:(?:,|\s+and)\s+"[^"]+")*)')


def _citations() -> list[tuple[str, str]]:
    found = []
    for room in ROOMS:
        for path in sorted((VAULT.parent / room).rglob("*.py")):
            for cited in _CITATION.findall(path.read_text()):
                found += [(path.name, " ".join(name.split())) for name in re.findall(r'"([^"]+)"', cited)]
    return found


@pytest.mark.parametrize(("module", "section"), _citations())
def test_every_section_that_code_cites_is_there(module: str, section: str) -> None:
    """A reader who follows a docstring arrives."""
    assert section in HEADINGS, module


def test_every_module_of_the_vault_cites_it_but_the_ones_without_bytes() -> None:
    """The specification and the code are read side by side."""
    without = {"__init__.py", "clone.py", "errors.py", "files.py", "undoing.py", "wal.py"}
    silent = {path.name for path in VAULT.glob("*.py") if "FORMAT.md" not in path.read_text()}
    assert silent <= without


def test_every_kind_of_error_it_names_exists() -> None:
    """The kinds are part of the format."""
    assert all(hasattr(errors, name) for name in re.findall(r"`([A-Z][A-Za-z]+Error)`", DOCUMENT))


def test_every_golden_folder_is_named_and_there() -> None:
    """Whoever writes a reader finds all vectors."""
    table = DOCUMENT.partition("## Golden vectors")[2]
    named = set(re.findall(r"^\| `([a-z/-]+)/` \|", table, re.MULTILINE))
    testdata = VAULT / "testdata"
    assert named == {path.parent.relative_to(testdata).as_posix() for path in testdata.rglob("*-*.json")}


def test_every_table_and_column_stands_in_it() -> None:
    """As migrations make them."""
    statements = "\n".join(statement for step in STEPS for statement in step.statements)
    section = DOCUMENT.partition("## Tables")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:4]]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\) STRICT", statements, re.DOTALL):
        columns = [name for name in re.findall(r"^  (\w+) ", body, re.MULTILINE) if name != "PRIMARY"]
        start = next(number for number, row in enumerate(rows) if row[0] == table)
        assert [row[1] for row in rows[start : start + len(columns)]] == columns
