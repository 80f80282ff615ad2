"""A sample of the fault sweep for each act, and a bug that it must find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.acts import ACTS
from tests.power.plants import SWALLOWED
from tests.power.shim import NO_COMPILER, has_compiler
from tests.power.sweep import sweep

SAMPLE = 8

pytestmark = pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)


@pytest.mark.parametrize("act", ACTS)
def test_a_call_that_fails_breaks_no_promise(act: str, tmp_path: Path) -> None:
    """`make fault-sweep` does the same for every call."""
    cases = sweep(tmp_path, act, "sample", SAMPLE)

    assert [case for case in cases if case.findings] == []
    assert len(cases) == SAMPLE
    assert {case.outcome for case in cases} - {"done"}


def test_a_commit_whose_failure_is_swallowed_is_found(tmp_path: Path) -> None:
    """Or the sweep would say nothing about what is acknowledged."""
    cases = sweep(tmp_path, "create", "sample", plant=SWALLOWED)

    assert cases[-1].outcome == "done"
    assert cases[-1].findings
