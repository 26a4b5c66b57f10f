"""The phases: one file each, with its definition, the derivation of its kernel form and its theorems."""
