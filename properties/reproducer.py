"""A failure as a Python program that its reader can paste and run: it loads the target, makes the inputs, and asserts.

Guarantees: the assertion fails where the bug is and holds for a right kernel, both within the finding's bound; the
inputs are bit for bit those of the failure: literals, or beyond 256 elements the recipe itself (checked when
written), or packed bytes. It needs NumPy, the target and its library alone; the adapter is written out, and how the library
differentiates it where that is what was tried.
Cannot see: a function that only lives in memory; the program says where to import it.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import textwrap
from typing import Any

import numpy as np

from kernelproof.properties import values, views
from kernelproof.properties.call import CACHE, call_text, gradient_slots
from kernelproof.properties.literals import MOST_LITERALS, literal, packed, type_text, wrapped
from kernelproof.properties.model import Case, Finding, Inputs, dtype_named
from kernelproof.properties.shapes import is_vjp
from kernelproof.properties.targets import Target

_RECIPE_SOURCE = (values.generator, values.make_floats, values._floats, values._with_one_large)


def reproducer(target: Target, property_id: str, theorem: str, case: Case, finding: Finding) -> str:
    """The program. ``finding.script`` and ``finding.assertion`` are explained at :class:`Finding`."""
    inputs = finding.inputs or Inputs({}, {})
    named = {**inputs.tensors, **inputs.options, **inputs.extras}
    lines = [f"{name} = {_value(name, value, case)}" for name, value in named.items()]
    call = call_text(case.shape, inputs)
    run = finding.script or f"observed = np.asarray({call})"
    ending = _ending(finding)
    body = "\n".join([*lines, "", run, *ending])
    program = "\n".join([*_helpers(body), _loading(target), body])
    opening = [_comment(f"{property_id}: {theorem}"), *([_comment(finding.message)] if finding.message else [])]
    return "\n".join([*opening, "from __future__ import annotations", "", _imports(program), program, ""])


def raised_finding(text: str, inputs: Inputs, case: Case) -> Finding:
    """The finding for a target that raised, or returned no array."""
    call = call_text(case.shape, inputs)
    if case.shape.gradients:
        return _raised_parts(text, inputs, call, len(gradient_slots(case.shape)), len(case.shape.gradients), "all gradients")
    if CACHE[0] in inputs.options:
        return _raised_parts(text, inputs, call, 1 + len(CACHE), 1 + len(CACHE), "the result, all keys and all values")
    script = f"""\
try:
    result = {call}
    is_array = hasattr(result, "__array__") or hasattr(result, "__dlpack__") or isinstance(result, (int, float))
    observed = "a result" if is_array and np.asarray(result).dtype.kind in "fiubV" else f"returned {{result!r}}"
except BaseException as error:
    observed = f"raised {{type(error).__name__}}: {{error}}\""""
    return Finding(
        ok=False,
        observed=text,
        expected="a result",
        message=f"the target {text}",
        inputs=inputs,
        script=script,
        assertion='observed == "a result"',
    )


def _raised_parts(text: str, inputs: Inputs, call: str, slots: int, leaves: int, expected: str) -> Finding:
    """The same for a kernel whose result is a tuple of arrays, perhaps with a mapping in it."""
    script = f"""\
def leaves(part):
    return [leaf for one in part.values() for leaf in leaves(one)] if isinstance(part, dict) else [part]
try:
    result = {call}
    parts = list(result) if isinstance(result, (tuple, list)) else [result]
    arrays = [np.asarray(leaf) for part in parts for leaf in leaves(part)]
    right = len(parts) == {slots} and len(arrays) == {leaves} and all(array.dtype.kind in "fiubV" for array in arrays)
    observed = {expected!r} if right else f"returned {{result!r}}"
except BaseException as error:
    observed = f"raised {{type(error).__name__}}: {{error}}\""""
    return Finding(
        ok=False,
        observed=text,
        expected=expected,
        message=f"the target {text}",
        inputs=inputs,
        script=script,
        assertion=f"observed == {expected!r}",
    )


def _ending(finding: Finding) -> list[str]:
    """Print what came out and assert what should have."""
    message = repr(finding.message or "the property does not hold")
    show = ['print("observed:", observed)']
    if finding.assertion is not None:
        known = [] if finding.expected is None else [f"print('expected:', {_short(finding.expected)!r})"]
        return [*show, *known, f"assert {finding.assertion}, {message}"]
    expected = finding.expected
    if not isinstance(expected, (np.ndarray, np.generic, int, float)):
        return [
            *show,
            f"expected = {expected!r}",
            'print("expected:", expected)',
            f"assert observed == expected, {message}",
        ]
    bound = 0.0 if finding.bound is None else finding.bound
    same_shape = f"wide.shape == {expected.shape!r} and " if isinstance(expected, np.ndarray) and expected.ndim else ""
    return [
        f"expected = {wrapped(literal(_double(expected)))}.astype(np.float64)",
        f"bound = {wrapped(literal(_double(bound)))}",
        *show,
        'print("expected:", expected, "up to", bound)',
        "wide = np.asarray(observed).astype(np.float64)",
        "def right():",
        "    with np.errstate(invalid='ignore'):",
        "        near = abs(wide - expected) <= bound",
        "    return np.all((wide == expected) | near | (np.isnan(wide) & np.isnan(expected)))",
        f"assert {same_shape}right(), {message}",
    ]


def _double(value: object) -> np.ndarray[Any, np.dtype[Any]]:
    """A long double as the nearest float64: not every platform has it, and its padding bytes differ from run to run."""
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype == np.longdouble else array


def _short(value: object) -> str:
    return " ".join(str(value).split())[:300]


def _comment(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 110, initial_indent="# ", subsequent_indent="# ")


def _imports(text: str) -> str:
    """What the rest of the program uses."""
    standard = [f"import {name}" for name in ("base64", "zlib") if f"{name}." in text]
    extension = ["import ml_dtypes"] if "ml_dtypes." in text else []
    numbers = [name for name in ("inf", "nan") if re.search(rf"(?<![.\w]){name}\b", text)]
    from_numpy = [f"from numpy import {', '.join(numbers)}"] if numbers else []
    return "\n".join([*standard, *extension, "import numpy as np", *from_numpy, ""])


def _helpers(body: str) -> list[str]:
    helpers = [views.view_of] if "view_of(" in body else []
    functions = [*(_RECIPE_SOURCE if "make_floats(" in body else ()), *helpers]
    return [inspect.getsource(function) + "\n" for function in functions]


def _loading(target: Target) -> str:
    if target.place.endswith(".onnx"):
        lines = [f"target = {target.place!r}"]
    elif target.origin == "file":
        folder, name = os.path.dirname(target.place), "kernelproof_target"
        lines = [
            "import importlib.util",
            "import sys",
            f"sys.path.insert(0, {folder!r})",
            f"spec = importlib.util.spec_from_file_location({name!r}, {target.place!r})",
            "module = importlib.util.module_from_spec(spec)",
            f"sys.modules[{name!r}] = module",
            "spec.loader.exec_module(module)",
            f"target = module.{target.attribute}",
        ]
    elif target.origin == "module":
        lines = [
            "import importlib",
            "import sys",
            f"sys.path.insert(0, {os.getcwd()!r})",
            f"target = importlib.import_module({target.place!r}).{target.attribute}",
        ]
    elif target.origin == "generated":
        words = "".join(f", {name}={value!r}" for name, value in target.options.items())
        lines = ["import kernelproof", f"target = kernelproof.generate({target.place!r}{words})"]
    else:
        lines = _from_memory(target)
    if target.glue:
        lines = [*lines, *target.glue.splitlines()]
    elif target.library != "numpy":
        lines += [
            "from kernelproof.properties.adapters import adapted",
            f"target = adapted(target, {target.phase!r}, {dict(target.variant)!r})",
        ]
    if target.backend == "cupy":
        lines += [
            "import cupy",
            "on_gpu = target",
            "def target(*arrays, **options):",
            "    to = lambda x: {k: to(v) for k, v in x.items()} if isinstance(x, dict) else "
            "cupy.asarray(x) if isinstance(x, np.ndarray) else x",
            *_from_gpu("on_gpu(*map(to, arrays), **{name: to(value) for name, value in options.items()})", is_vjp(target.phase)),
        ]
    return "\n".join([*lines, ""])


def _from_gpu(call: str, several: bool) -> list[str]:
    """The lines that give the result of a call in NumPy; a gradient kernel has several, some perhaps in a mapping."""
    if not several:
        return [f"    return cupy.asnumpy({call})"]
    return [
        "    back = lambda x: {k: back(v) for k, v in x.items()} if isinstance(x, dict) else cupy.asnumpy(x)",
        f"    found = {call}",
        "    return tuple(map(back, found)) if isinstance(found, tuple) else back(found)",
    ]


def _from_memory(target: Target) -> list[str]:
    """How to import a function that was handed over; one that has no name in a module is for the reader to fill in."""
    module = sys.modules.get(target.place)
    if module is not None and target.attribute.isidentifier() and target.place != "__main__":
        folder = os.path.dirname(getattr(module, "__file__", None) or "")
        for _ in range(target.place.count(".") + (os.path.basename(getattr(module, "__file__", None) or "") == "__init__.py")):
            folder = os.path.dirname(folder)
        if getattr(module, target.attribute, None) is not None:
            return ["import sys", f"sys.path.insert(0, {folder!r})", f"from {target.place} import {target.attribute} as target"]
    return [
        f"# {target.attribute} was handed over in memory: import it by hand here, under the name `target`, such as",
        f"# from {target.place or 'your_module'} import {target.attribute.rpartition('.')[2]} as target",
    ]


def _value(name: str, value: object, case: Case) -> str:
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size <= MOST_LITERALS:
        return wrapped(literal(value))
    recipe = dict(case.recipes).get(name)
    if recipe is not None and not recipe.style.startswith("ids"):
        dtype = dtype_named(recipe.dtype or case.dtype)
        made = values.make_floats(recipe.style, recipe.magnitude, value.shape, dtype, case.seed, name)
        if made.tobytes() == value.tobytes():
            arguments = (
                f"{recipe.style!r}, {recipe.magnitude!r}, {value.shape!r}, {type_text(value)}, {case.seed}, {name!r}"
            )
            return f"make_floats({arguments})"
    return wrapped(packed(value))
