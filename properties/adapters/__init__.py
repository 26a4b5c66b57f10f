"""Functions of other array libraries as kernels of the contract: PyTorch, JAX, ONNX Runtime.

What it does: :func:`recognise` gives any target in the contract's signature, NumPy in and NumPy out. A well-known function
(``registry.py``) is called by its own signature, and the conventions assumed are stated; any other function crosses to the library
that its own code speaks (``libraries.py``); a NumPy function passes untouched. :func:`crossed` names the library by hand.
Guarantees: a convention is a parameter of the adapter or stated by it, never a verdict; what an adapter cannot pass on is taken out of
the capabilities; no array library is imported that the target has not imported itself.
Cannot see: GPUs other than through CuPy (``--backend cupy``); a wrong convention in an adapter looks like a wrong kernel.
"""

from __future__ import annotations

from kernelproof.properties.adapters.crossing import crossed
from kernelproof.properties.adapters.libraries import library_of
from kernelproof.properties.adapters.recognise import Adapted, adapted, is_model, recognise

__all__ = ["Adapted", "adapted", "crossed", "is_model", "library_of", "recognise"]
