"""Real stores for the tests of this folder. They are asked for by name: ``make test-stores``.

What `store certify` says about each is printed at the end, as docs/ceph.md has it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.stores.ceph import PACKAGES, PROGRAMS, Ceph, running_ceph
from tests.stores.programs import INSTALLED

Record = Callable[[str, str, str], None]

_ROWS = pytest.StashKey[list[tuple[str, str, str]]]()


@pytest.fixture(scope="session")
def ceph() -> Iterator[Ceph]:
    """One cluster with two gateways for all of them."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.fail(f"{', '.join(missing)} not found; `make test-stores` installs {PACKAGES}", pytrace=False)
    with running_ceph() as cluster:
        yield cluster


@pytest.fixture
def installed() -> None:
    """What comes from PyPI is there."""
    if not (INSTALLED / "made.stamp").exists():
        pytest.fail(f"{INSTALLED} is missing; `make test-stores` makes it", pytrace=False)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Takes a row of the table: the store, what was said about it, how long that took."""
    rows = request.config.stash.setdefault(_ROWS, [])
    return lambda *row: rows.append(row)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    rows = config.stash.get(_ROWS, [])
    if rows:
        terminalreporter.section("what `store certify` says")
    for row in rows:
        terminalreporter.write_line(f"| {' | '.join(row)} |")
