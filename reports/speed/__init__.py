"""How fast the generated kernels are, measured in pairs on the machine at hand against others and against its own bare products.

Nothing here decides whether a kernel is right; a row says how its kernel was checked before it was timed. No number stands in the source:
shapes and targets are rows of :mod:`kernelproof.reports.speed.workloads`, everything else is measured.
"""
