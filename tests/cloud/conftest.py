"""What the tests of clouds share: a store that enforces rights, and keys in the environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stores import Store, new_bucket, running_store


@pytest.fixture(scope="module")
def running() -> Iterator[Store]:
    """One store for the tests of a module."""
    with running_store() as store:
        yield store


@pytest.fixture
def store(running: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket of the test's own; this process has the rights of a function."""
    mine = new_bucket(running)
    for name, value in mine.role().environment.items():
        monkeypatch.setenv(name, value)
    return mine
