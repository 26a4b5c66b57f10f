"""Makes the helpers of this folder importable from its tests; pytest's importlib mode does not."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
