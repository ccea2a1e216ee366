"""What all tests share: how hypothesis searches.

The same examples on every run, so that a red test is red for everybody; no limits of time, because
machines differ (the first text that is drawn anywhere costs seconds for tables of characters).
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
