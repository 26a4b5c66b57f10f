"""Formulas belong to the language (:mod:`kernelproof.symbolic.formulas`); whoever uses the rules finds them here as well."""

from kernelproof.symbolic.formulas import Formula, equation, integer, nonzero, permutation, positive, within

__all__ = ["Formula", "equation", "integer", "nonzero", "permutation", "positive", "within"]
