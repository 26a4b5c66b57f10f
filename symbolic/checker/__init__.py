"""The second checker: replays the log of any theorem from its JSON alone, sharing no code with the core that made it.

What it does: :func:`check` reads a document of the format ``kernelproof proofs 1``, recomputes every step with terms, substitution,
arithmetic, laws and rules of its own, and reports the statements that it verified; :func:`render` shows one. It needs Python's standard
library only: this folder can be copied anywhere and run as ``python -m checker FILE``.

Guarantees: what a report says follows from the laws in :mod:`.laws` and the rules in :mod:`.rules`; every failure is a
:class:`CheckError`. Cannot see: whether the laws are true (read them), whether the definitions say what a reader thinks
(:func:`render_definition` shows them), and errors that this code and the core make alike.
"""

from __future__ import annotations

from .document import Report, check
from .errors import CheckError
from .printing import render, render_definition
from .rules import Statement

__all__ = ["CheckError", "Report", "Statement", "check", "render", "render_definition"]
