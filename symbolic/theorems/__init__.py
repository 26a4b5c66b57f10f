"""Theorems beside the kernel form, where a phase has more of them than its own file should hold."""
