"""What every test shares.

Hypothesis finds new examples on every run and prints the seed of a failure. Its
deadline is off: two cores under load measure the neighbours, not the code.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "house", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")
