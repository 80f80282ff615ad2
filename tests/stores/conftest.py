"""Real stores for the tests of this folder. They are asked for by name: ``make test-stores``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.stores.ceph import PACKAGES, PROGRAMS, Ceph, running_ceph


@pytest.fixture(scope="session")
def ceph() -> Iterator[Ceph]:
    """One cluster with two gateways for all of them."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.fail(f"{', '.join(missing)} not found; `make test-stores` installs {PACKAGES}", pytrace=False)
    with running_ceph() as cluster:
        yield cluster
