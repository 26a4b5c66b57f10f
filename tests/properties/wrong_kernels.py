"""All wrong kernels, and the rows of the catalogue that none of them stands for yet, with the reason."""

from __future__ import annotations

import wrong_attention
import wrong_blocks
import wrong_rows
import wrong_tables

WRONG = (*wrong_attention.WRONG, *wrong_blocks.WRONG, *wrong_rows.WRONG, *wrong_tables.WRONG)
