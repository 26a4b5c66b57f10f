"""Gradients: one file for each phase, with named intermediates, the derivation of the pullback and its theorems."""
