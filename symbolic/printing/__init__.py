"""Printing: one layout of a term, three renderings (text, LaTeX, MathML)."""
