"""How many examples hypothesis draws, and that it draws the same ones each time.

By default a few examples, the same in every run. SKMISSING_EXAMPLES=500 draws that many
for each property, other ones in every run; a failure prints how to repeat it.
"""

import os

from hypothesis import HealthCheck, settings

MANY = os.environ.get("SKMISSING_EXAMPLES")

settings.register_profile(
    "skmissing",
    max_examples=int(MANY or 8),
    derandomize=MANY is None,
    print_blob=MANY is not None,
    database=None,
    deadline=None,
    # Fitting takes as long as it takes.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("skmissing")
# For estimators that take long to fit.
few = settings(max_examples=max(3, settings().max_examples // 4))
