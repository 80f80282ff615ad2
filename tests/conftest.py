"""What every test shares.

Hypothesis finds new examples on every run and prints the seed of a failure. Its
deadline is off: two cores under load measure the neighbours, not the code.

Real stores are asked for by name (``make test-stores``): they need programs from
Debian, and minutes.

Ctrl-C is heard: a shell that runs the tests in the background has them ignore
it, and so would every program they start and interrupt.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

signal.signal(signal.SIGINT, signal.default_int_handler)

_STORES = Path(__file__).parent / "stores"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests of real stores out, unless a path that was given lies in their folder."""
    if collection_path != _STORES:
        return None
    here = config.invocation_params.dir
    given = [(here / argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(path.is_relative_to(_STORES) for path in given) else True
