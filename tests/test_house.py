"""The project's own files: what they must not hold, and what must agree with what."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlcipher

ROOT = Path(__file__).parents[1]
LOCKS = ["run", "image", "all", "fuzz", "template", "function"]

# Written so that they do not match themselves.
INDEX_HOST = re.compile(
    r"p[y]pi\.org|p[y]thonhosted|--(extra-)?i[n]dex-url|--f[i]nd-links|://[a-z0-9.:-]+/s[i]mple\b"
)
MACHINE_PATH = re.compile(r"(^|[^A-Za-z0-9_.<{-])/(f[a]rm|h[o]me|r[o]ot|U[s]ers|w[o]rk)/")
UNFINISHED = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X)\b")


def _project_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def _lines_with(pattern: re.Pattern[str]) -> Iterator[str]:
    for path in _project_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}"


def _locked(name: str) -> dict[str, str]:
    """Package to the rest of its entry (version and hashes) in a requirements file."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="ascii")
    entries = re.sub(r"(?m)^ *#.*\n", "", text).replace("\\\n", "").splitlines()
    return {package: rest for package, _, rest in (entry.partition("==") for entry in entries if entry)}


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (INDEX_HOST, "--in" + "dex-url https://example.com"),
        (INDEX_HOST, "https://example.com:8080/sim" + "ple"),
        (MACHINE_PATH, "see /ho" + "me/someone/project"),
        (UNFINISHED, "# TO" + "DO later"),
    ],
)
def test_each_pattern_finds_what_it_is_for(pattern: re.Pattern[str], line: str) -> None:
    """The three tests below are worth what these patterns match."""
    assert pattern.search(line)


def test_no_file_names_a_package_index() -> None:
    """Where packages come from is a matter of the machine that installs."""
    assert list(_lines_with(INDEX_HOST)) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    """Such a path works once, for one person, and tells who."""
    assert list(_lines_with(MACHINE_PATH)) == []


def test_nothing_is_marked_unfinished() -> None:
    """Work that is left is an issue, not a comment."""
    assert list(_lines_with(UNFINISHED)) == []


def test_ci_can_be_run() -> None:
    """A script without its run bit fails only on the day it is needed."""
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_is_exact_and_hashed(name: str) -> None:
    """A name without version and hash would be whatever the index serves that day."""
    entries = _locked(name)

    assert entries
    assert not [package for package, rest in entries.items() if not re.match(r"[\w.]+ +--hash=sha256:", rest)]


def test_what_runs_is_a_part_of_what_is_tested() -> None:
    """`make run` and `make test` use one environment; it cannot hold two versions of a package."""
    assert _locked("run").items() <= _locked("all").items()


def test_what_fuzzes_is_what_is_tested_and_one_library_more() -> None:
    """`make fuzz` adds to the same environment; `make test` needs nothing that must be built."""
    fuzz, tested = _locked("fuzz"), _locked("all")

    assert fuzz.items() - tested.items() == {("atheris", fuzz["atheris"])}
    assert "atheris" not in tested


def test_what_a_function_runs_is_a_part_of_what_is_tested() -> None:
    """In other versions its code was never seen working; and it needs no framework."""
    function = _locked("function")

    assert function.items() <= _locked("all").items()
    assert not function.keys() & {"granian", "litestar", "setuptools"}


def test_what_transforms_the_template_changes_nothing_else() -> None:
    """It is installed beside what is tested."""
    tested = _locked("all")
    shared = {name: rest for name, rest in _locked("template").items() if name in tested}

    assert shared.items() <= tested.items()


@pytest.mark.parametrize("name", LOCKS)
def test_the_old_siblings_of_sqlcipher3_stay_out(name: str) -> None:
    """They install the same import name over it, with a SQLite that a hostile file can overflow."""
    assert "sqlcipher3" in _locked(name)
    assert not _locked(name).keys() & {"sqlcipher3-binary", "sqlcipher3-wheels"}


def test_the_installed_sqlcipher_is_current() -> None:
    """Whatever the lock says: this is the library that opens the vault."""
    connection = sqlcipher.connect(":memory:")
    (version,) = connection.execute("PRAGMA cipher_version").fetchone()
    connection.close()

    assert tuple(map(int, version.split()[0].split("."))) >= (4, 19)


def test_every_package_is_installed() -> None:
    """A folder missing from the list works here and not where the project is installed."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "packages"
    ]
    rooms = {name.split(".")[0] for name in listed}
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for room in rooms
        for init in (ROOT / room).rglob("__init__.py")
    }

    assert sorted(listed) == sorted(found)


def test_every_link_between_pages_leads_somewhere() -> None:
    """A page that moved leaves its readers in front of nothing."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in _project_files()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert broken == []
