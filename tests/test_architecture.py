"""The rooms and who may enter which, where import-linter's contracts cannot look.

The contracts in pyproject.toml hold over static imports, transitively. Here: imports
hidden in calls and strings, what a fresh process has really loaded, and lists of what
is allowed (a contract can only list what is forbidden).
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
    "contracts"
]
MAINTAINER_ONLY = frozenset(
    next(contract["forbidden_modules"] for contract in CONTRACTS if contract["name"].startswith("Write-only"))
)
VAULT_LIBRARIES = frozenset({"argon2", "cryptography", "msgspec", "sqlcipher3"})
CONTRIBUTORS_VAULT = frozenset(
    {
        "vault.columns",
        "vault.encoding",
        "vault.errors",
        "vault.files",
        "vault.header",
        "vault.items",
        "vault.keys",
        "vault.links",
        "vault.notes",
        "vault.promise_files",
        "vault.promises",
        "vault.properties",
        "vault.receipt_files",
        "vault.receipts",
        "vault.sealing",
        "vault.tree",
        "vault.undoing",
    }
)
CLOUDS_VAULT = frozenset({"vault.errors", "vault.files", "vault.keys", "vault.pod"})
HANDLERS_VAULT = frozenset({"vault.caveats", "vault.errors", "vault.items", "vault.submissions"})
IMPORTS_BY_NAME = frozenset({"__import__", "eval", "exec", "importlib", "pkgutil", "runpy"})
READS_VERSIONS = frozenset({"importlib.metadata"})
"""Looks up what is installed; loads nothing of it."""


def _sources(room: str) -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / room).rglob("*.py")):
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def _imported(source: str) -> set[str]:
    """Every dotted name an import statement could load, at any depth of the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def _strings_and_names(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return strings | {node.id for node in nodes if isinstance(node, ast.Name)}


def _is_in(name: str, modules: frozenset[str]) -> bool:
    return any(name == module or name.startswith((f"{module}.", f"{module}:")) for module in modules)


def _ways_to_open(source: str) -> set[str]:
    """What in ``source`` could load a module that only maintainers may have."""
    reached = _imported(source) | _strings_and_names(source)
    relative = {name for name in reached if name.startswith(".") and name.strip(".")}
    by_name = {name for name in reached if _is_in(name, MAINTAINER_ONLY | IMPORTS_BY_NAME)}
    return {name for name in by_name if not _is_in(name, READS_VERSIONS)} | relative


def _vault_modules(names: set[str]) -> set[str]:
    return {".".join(name.split(".")[:2]) for name in names if name.startswith("vault.")}


def _modules_after(code: str) -> set[str]:
    """Run ``code`` in a fresh interpreter and return the modules it had loaded at its end."""
    dump = "lambda: print(json.dumps(list(sys.modules)), file=sys.stderr)"
    program = f"import atexit, json, sys; atexit.register({dump})\n{code}"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(json.loads(ran.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "source",
    [
        "import vault.opening",
        "from vault import reader",
        "from vault.opening import Identity",
        "def late():\n    from vault.invites import issue",
        "import importlib",
        "from importlib import import_module",
        "import importlib.metadata, importlib.util",
        "__import__('vault.' + 'opening')",
        "load('vault.reader')",
        "load('vault.reader:Reader')",
        "eval(text)",
        "from ..vault import opening",
    ],
)
def test_every_way_to_open_is_seen(source: str) -> None:
    """The test below is worth what this function finds."""
    assert _ways_to_open(source)


@pytest.mark.parametrize("room", ["cloud", "ingest"])
def test_what_takes_items_in_has_no_way_to_open_them_however_it_imports(room: str) -> None:
    """A lazy import, a string or importlib would pass a look at the top of each file."""
    found = {path: _ways_to_open(source) for path, source in _sources(room)}

    assert found
    assert not {path: ways for path, ways in found.items() if ways}


def test_a_fresh_server_has_loaded_nothing_that_opens_items() -> None:
    """A re-export in a package's __init__ would be invisible to every static rule."""
    assert not _modules_after("import ingest.app, ingest.__main__") & MAINTAINER_ONLY


def test_a_fresh_function_has_loaded_no_framework_and_no_vault() -> None:
    """What it does not load costs no time at a cold start, and cannot be used against it."""
    loaded = _modules_after("import ingest.function")

    assert "cloud.placing" in loaded
    assert not loaded & (
        MAINTAINER_ONLY | {"boto3", "granian", "litestar", "prometheus_client", "vault.store"}
    )


def test_help_loads_neither_the_server_nor_the_exporter() -> None:
    """--help answers at once, and without the extras [serve] and [export]."""
    loaded = _modules_after(
        "import sys; sys.argv = ['shared-pod', '--help']; from maintainer_tools.cli import main; main()"
    )

    assert "click" in loaded
    assert not loaded & {"boto3", "botocore", "granian", "litestar", "pyarrow", "uvloop"}


def test_the_vault_imports_only_the_libraries_it_names() -> None:
    """The vault must be readable, and trusted, without a framework or a cloud."""
    allowed = VAULT_LIBRARIES | sys.stdlib_module_names | {"vault"}
    found = {
        path: {name.split(".")[0] for name in _imported(source)} - allowed
        for path, source in _sources("vault")
    }

    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("cloud", CLOUDS_VAULT),
        ("contributor_tools", CONTRIBUTORS_VAULT),
        ("ingest/handlers", HANDLERS_VAULT),
    ],
)
def test_a_room_imports_only_its_part_of_the_vault(room: str, allowed: frozenset[str]) -> None:
    """A contributor installs formats and no store; a handler passes values on and touches no file."""
    found = {path: _vault_modules(_imported(source)) - allowed for path, source in _sources(room)}

    assert found
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize("room", ["cloud", "contributor_tools", "ingest", "maintainer_tools", "vault"])
def test_importing_a_package_runs_no_code(room: str) -> None:
    """An __init__ that imports would load, for every importer of the room, what only some may have."""
    packages = [source for path, source in _sources(room) if path.endswith("__init__.py")]

    assert packages
    assert not [
        node for source in packages for node in ast.parse(source).body if not isinstance(node, ast.Expr)
    ]
