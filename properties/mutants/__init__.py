"""Wrong kernels, one fault each, that the properties must convict; :mod:`~kernelproof.properties.mutants.registry` lists them."""
