"""ONNX's own node cases run on the generated NumPy kernels: ``python -m kernelproof.properties.onnx_cases [NAME…]``.

What it does: takes the cases that ONNX publishes for its attention, norms, softmax and GELU (``onnx.backend.test.case.node``), poses each
in the contract's words (``onnx_posing``), runs the kernel generated for its type, and prints the counts per operator. ``--save FILE``
writes the cases with their arrays, ``--cases FILE`` reads such a file and needs no ONNX.
Guarantees: a case passes only if the result is (1) within the derived bound of the reference, (2) within the tolerance that ONNX's own
runner grants of ONNX's expected values, in shape and type too, (3) in float32 and float64, where ONNX's values are made in the arithmetic
that the bound is about, ONNX's values are within the bound as well. Nothing else decides. Cannot see: what no case tries, such as large
logits. Exit 0: nothing failed; 1: something did; 2: ONNX is missing or a file cannot be read.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tabulate import tabulate

from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.properties.model import Inputs, dtype_named
from kernelproof.properties.onnx_posing import INPUTS, LEFT_OUT, OPERATORS, OUTPUTS, NodeCase, NotApplicable, Posed, pose
from kernelproof.properties.tolerance import expected_of, within
from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError

#: ONNX's runner grants bfloat16 two units in the last place
BFLOAT16_RTOL = 2.0**-6
#: types in which ONNX computes its expected values as kernels do; 16-bit ones it also sums in 16 bits
SAME_ARITHMETIC = ("float32", "float64")
Verdict = Literal["pass", "fail", "not_applicable"]


@dataclass(frozen=True)
class Outcome:
    """What became of one case. ``left_out`` are its outputs that kernels do not have; ``ratio`` is the error over the bound."""

    case: NodeCase
    verdict: Verdict
    reason: str = ""
    left_out: tuple[str, ...] = ()
    ratio: float | None = None


def judged(case: NodeCase) -> Outcome:
    """Run one case."""
    left_out = tuple(name for name in case.outputs if name in LEFT_OUT)
    try:
        posed = pose(case)
    except NotApplicable as refusal:
        return Outcome(case, "not_applicable", str(refusal), left_out)
    kernel = _kernel(posed.phase, posed.dtype, tuple(sorted(posed.variant.items())))
    result = kernel(*posed.tensors.values(), **posed.options)
    known = expected_of(posed.phase, kernel.variant, Inputs(posed.tensors, posed.options), posed.dtype)
    finding = within(result, known.value, known.error, what="the kernel's result")
    reason = finding.message or ("the bound says nothing" if finding.vacuous else "") or _differs(case, posed, result)
    if not reason and posed.dtype in SAME_ARITHMETIC:
        reason = within(case.outputs["Y"], posed.back(known.value), posed.back(known.error), what="ONNX's own value").message
    return Outcome(case, "fail" if reason else "pass", reason, left_out, finding.ratio)


@cache
def _kernel(phase: str, dtype: str, variant: tuple[tuple[str, object], ...]) -> Kernel:
    """One for all cases that ask for it."""
    return generate(phase, dtype=dtype, **dict(variant))  # type: ignore[arg-type]


def _differs(case: NodeCase, posed: Posed, result: Array) -> str:
    """What is not as ONNX expects it, or nothing."""
    have = {"Y": posed.back(result), **posed.given}
    for name, expected in case.outputs.items():
        if name in LEFT_OUT:
            continue
        found = have[name]
        if found.shape != expected.shape or found.dtype != expected.dtype:
            return f"{name} is {found.dtype.name}{list(found.shape)}, ONNX expects {expected.dtype.name}{list(expected.shape)}"
        apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
        granted = case.atol + case.rtol * np.abs(expected.astype(np.float64))
        if not (apart <= granted).all():
            return f"{name} differs from ONNX's by {np.nanmax(apart):.3g}, granted is {case.atol:g} + {case.rtol:g}·|expected|"
    return ""


# -- where cases come from ------------------------------------------------------------------------------------------------------------


def collected() -> tuple[str, list[NodeCase]]:
    """ONNX's version and its cases for these operators, as nodes, without their expansions into other nodes. InputError without ONNX."""
    try:
        onnx = importlib.import_module("onnx")
        node = importlib.import_module("onnx.backend.test.case.node")
    except ImportError as error:
        raise InputError(f"collecting ONNX's node cases: {error}; install it with 'pip install kernelproof[onnx]'") from None
    with warnings.catch_warnings():
        # cases of casts and reciprocals warn about what they are there for
        warnings.simplefilter("ignore")
        found = node.collect_testcases()
    return str(onnx.__version__), list(_plain(onnx, found))


def _plain(onnx: Any, found: Sequence[Any]) -> Iterator[NodeCase]:
    for case in found:
        graph = case.model.graph
        if case.name.endswith("_expanded") or len(graph.node) != 1 or graph.node[0].op_type not in OPERATORS or graph.node[0].domain:
            continue
        (node,) = graph.node
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        inputs, outputs = case.data_sets[0]
        expected = _by_name(node.output, OUTPUTS[node.op_type], outputs)
        rtol = max(case.rtol, BFLOAT16_RTOL) if expected["Y"].dtype.name == "bfloat16" else case.rtol
        yield NodeCase(
            name=case.name,
            operator=node.op_type,
            opset=max(opset.version for opset in case.model.opset_import if not opset.domain),
            attributes={name: value.decode() if isinstance(value, bytes) else value for name, value in attributes.items()},
            inputs=_by_name(node.input, INPUTS[node.op_type], inputs),
            outputs=expected,
            rtol=float(rtol),
            atol=float(case.atol),
        )


def _by_name(given: Sequence[str], formal: Sequence[str], arrays: Sequence[Any]) -> dict[str, Array]:
    """Arrays by formal name; an empty name in the node is an input left out."""
    rest = iter(arrays)
    return {name: np.asarray(next(rest)) for name, own in zip(formal, given, strict=False) if own}


def save(path: str | Path, version: str, cases: Sequence[NodeCase]) -> None:
    """Write cases to one .npz: arrays, and a JSON text with all else. bfloat16 is kept as float32, which is exact."""
    arrays: dict[str, Array] = {}
    rows = []
    for number, case in enumerate(cases):
        row: dict[str, Any] = {name: getattr(case, name) for name in ("name", "operator", "opset", "attributes", "rtol", "atol")}
        for side in ("inputs", "outputs"):
            row[side] = {name: array.dtype.name for name, array in getattr(case, side).items()}
            for name, array in getattr(case, side).items():
                arrays[f"{number}.{side}.{name}"] = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
        rows.append(row)
    about = {"source": f"onnx {version}, onnx.backend.test.case.node", "license": "Apache-2.0", "cases": rows}
    np.savez_compressed(path, about=np.asarray(json.dumps(about, ensure_ascii=True)), **arrays)  # type: ignore[arg-type]


def saved(path: str | Path) -> tuple[str, list[NodeCase]]:
    """What :func:`save` wrote: where the cases come from, and the cases. InputError for a file that it did not write."""
    try:
        with np.load(path, allow_pickle=False) as data:
            about = json.loads(str(data["about"]))
            cases = []
            for number, row in enumerate(about["cases"]):
                sides = {
                    side: {name: data[f"{number}.{side}.{name}"].astype(_dtype(dtype)) for name, dtype in row[side].items()}
                    for side in ("inputs", "outputs")
                }
                cases.append(NodeCase(**{**row, **sides}))
            return str(about["source"]), cases
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"reading the cases of {path}: {type(error).__name__}: {error}; give a file that --save wrote") from None


def _dtype(name: str) -> np.dtype[Any]:
    return dtype_named(name) if name == "bfloat16" else np.dtype(name)


# -- the command ----------------------------------------------------------------------------------------------------------------------


def table(outcomes: Sequence[Outcome]) -> str:
    """Counts per operator, then each failure, and what was not applicable or left out, by reason."""
    rows = []
    for operator in dict.fromkeys(found.case.operator for found in outcomes):
        of = [found for found in outcomes if found.case.operator == operator]
        counts = [sum(found.verdict == verdict for found in of) for verdict in ("pass", "fail", "not_applicable")]
        ratio = max((found.ratio for found in of if found.ratio is not None), default=0.0)
        rows.append((operator, len(of), *counts, f"{ratio:.3f}"))
    lines = [tabulate(rows, ("operator", "cases", "pass", "fail", "not applicable", "worst error / bound"))]
    lines += [f"fail: {found.case.name}: {found.reason}" for found in outcomes if found.verdict == "fail"]
    for reason in sorted({found.reason for found in outcomes if found.verdict == "not_applicable"}):
        names = [found.case.name for found in outcomes if found.verdict == "not_applicable" and found.reason == reason]
        lines.append(f"not applicable, {reason}: {len(names)} ({', '.join(names)})")
    for name in sorted(LEFT_OUT):
        count = sum(name in found.left_out for found in outcomes if found.verdict == "pass")
        if count:
            lines.append(f"output {name}, which no kernel of the contract has, left out in {count} of the cases that pass")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    program = "python -m kernelproof.properties.onnx_cases"
    parser = argparse.ArgumentParser(prog=program, description="ONNX's node cases on generated kernels")
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases to run, by name; all if none is given")
    parser.add_argument("--cases", metavar="FILE", help="read the cases from a file that --save wrote; ONNX is not needed then")
    parser.add_argument("--save", metavar="FILE", help="write the chosen cases to a file (.npz) instead of running them")
    given = parser.parse_args(arguments)
    try:
        source, cases = saved(given.cases) if given.cases else collected()
        if unknown := sorted(set(given.names) - {case.name for case in cases}):
            advice = f"expected a name such as {cases[0].name}"
            raise InputError(f"choosing cases of {source}: {unknown[0]!r} is not among its {len(cases)}; {advice}")
    except InputError as error:
        print(f"onnx_cases: {error}", file=sys.stderr)
        return 2
    chosen = [case for case in cases if not given.names or case.name in given.names]
    if given.save:
        save(given.save, source, chosen)
        print(f"{len(chosen)} cases written to {given.save}")
        return 0
    outcomes = [judged(case) for case in chosen]
    print(f"cases of {source if given.cases else f'onnx {source}'}")
    print(table(outcomes))
    return int(any(found.verdict == "fail" for found in outcomes))


if __name__ == "__main__":
    sys.exit(main())
