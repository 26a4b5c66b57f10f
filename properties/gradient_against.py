"""``--against OTHER`` for gradient kernels: every gradient of the target beside the other's, within twice the rounding bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kernelproof.properties.call import Call, TargetRaised
from kernelproof.properties.gradients import expected_gradients, shown_at, worst_of, wrong_shape
from kernelproof.properties.model import Case, Finding, Inputs, Setting
from kernelproof.properties.tolerance import within


def compared(other: Call, name_of_other: str, target: Call, case: Case, setting: Setting, inputs: Inputs) -> Finding:
    """As the check of ``against.against_property``."""
    try:
        theirs = other.gradients(inputs.tensors, inputs.options)
    except TargetRaised as error:
        return Finding(ok=True, vacuous=True, message=f"{name_of_other} {error.text}")
    ours = target.gradients(inputs.tensors, inputs.options)
    findings = []
    for name, bound in expected_gradients(case, inputs, setting.dtype).items():
        one, two = ours[name], theirs[name]
        if one.shape != two.shape:
            return wrong_shape(case.shape, inputs, name, one.shape, two.shape)
        if one.shape != bound.value.shape:
            return Finding(ok=True, vacuous=True, message=f"both gradients of {name} have another shape than the contract's")
        wide = bound.value.dtype
        alike = ~np.isfinite(one.astype(wide)) & ((one == two) | (np.isnan(one) & np.isnan(two)))
        here, there = (np.where(alike, 0, array.astype(wide)) for array in (one, two))
        finding = within(here, there, 2 * bound.error, inputs, f"the gradient of {name}")
        if not finding.ok:
            finding = shown_at(case.shape, inputs, name, finding)
            told = f"{finding.message} (expected is {name_of_other}'s, the bound twice the phase's)"
            finding = replace(finding, message=told)
        findings.append(finding)
    return worst_of(findings, inputs)
