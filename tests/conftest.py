"""What every test shares.

Hypothesis finds new examples on every run and prints the seed of a failure. Its
deadline is off: two cores under load measure the neighbours, not the code.

Ctrl-C is heard: a shell that runs the tests in the background has them ignore
it, and so would every program they start and interrupt.
"""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

settings.register_profile(
    "house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

signal.signal(signal.SIGINT, signal.default_int_handler)
