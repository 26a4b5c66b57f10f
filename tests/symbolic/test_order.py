"""A derivation does not depend on what was derived before it in the same process."""

from __future__ import annotations

import json
import subprocess
import sys

from kernelproof.symbolic.registry import derive, variants_of

BACKWARDS = """
import json, sys
from kernelproof.symbolic.registry import derive, variants_of
print(json.dumps([derive("attention", **variant).fingerprint() for variant in reversed(variants_of("attention"))]))
"""


def test_attention_derived_backwards_is_attention() -> None:
    run = subprocess.run([sys.executable, "-c", BACKWARDS], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout)[::-1] == [derive("attention", **variant).fingerprint() for variant in variants_of("attention")]
