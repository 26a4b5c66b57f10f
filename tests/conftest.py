"""Nothing from the user's folders, and Hypothesis profiles: ``ci`` repeats the same examples every time, ``nightly`` looks far wider.

HYPOTHESIS_PROFILE chooses.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

# no test reads kernels or block sizes that were left on this machine; those that are about them name a folder of their own
os.environ["KERNELPROOF_CACHE"] = "off"
os.environ["KERNELPROOF_TUNING"] = str(Path(__file__).parent / "no_block_sizes.json")

settings.register_profile("ci", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
