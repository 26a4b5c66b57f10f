"""A few short calls of every CUDA kernel, for compute-sanitizer: ``compute-sanitizer --tool racecheck python tests/cuda/short_calls.py``.

Every array has memory of its own from the driver, since in CuPy's pool a write past an end meets another array and is seen by nobody.
Guarantees: each kernel is named before it is called, and the one that no device has run yet is called last, where it takes no other along.
Cannot see: whether results are right; the tests of a device do.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
MOST = 3
#: (phase, variant) of gradients that have texts of their own
GRADIENTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("attention", {}), ("attention", {"sinks": True}), ("embedding", {}), ("layer_norm", {}),
)


def calls(neighbour: Callable[[str], ModuleType], module: ModuleType, capability: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """(what is called, the call) for every kernel; ``module`` is cupy."""
    from kernelproof.numeric.kernel import generate
    from kernelproof.symbolic.registry import phases

    cases, tensor, gradients = neighbour("cases"), neighbour("tensor_cases"), neighbour("gradient_cases")
    wide = neighbour("tensor_gradient_cases")
    formats = list(itertools.product(("float16", "bfloat16"), (64, 128)))

    def forward(switched: bool) -> Iterator[tuple[str, Callable[[], Any]]]:
        for dtype, width in formats:
            space = _run(generate("attention", "cupy", dtype).source, ON_WARPGROUPS=switched)
            for call in itertools.islice(tensor.few(cases, dtype, width), MOST):
                name = f"attention {dtype} width {width} warpgroups {switched}"
                yield name, _called(space["attention"], cases.arguments("attention", call, dtype, module), call, module)

    yield from forward(False)
    for dtype, width in formats:
        space = _run(generate("attention", "cupy", dtype, vjp=True).source)
        for call in itertools.islice(wide.ragged(cases, dtype, width, every=False), MOST):
            arguments = gradients.arguments("attention", call, dtype, module)
            yield f"attention gradient {dtype} width {width}", _called(space["attention_vjp"], arguments, call, module)
    for phase, variant in GRADIENTS:
        space = _run(generate(phase, "cupy", "float32", vjp=True, **variant).source)
        for call in gradients.few(phase, "float32", variant)[:MOST]:
            arguments = gradients.arguments(phase, call, "float32", module)
            yield f"{phase} gradient float32 {variant}", _called(space[f"{phase}_vjp"], arguments, call, module)
    for phase in phases():
        kernel = generate(phase, "cupy", "float32")
        space = _run(kernel.source)
        for call in itertools.islice(cases.calls(phase, kernel.variant, "float32"), 1, 1 + MOST):
            yield f"{phase} float32", _called(space[phase], cases.arguments(phase, call, "float32", module), call, module)
    if capability == 90:
        yield from forward(True)


def _run(source: str, **constants: object) -> dict[str, Any]:
    """What a file defines; its functions read the constants when they are called."""
    space: dict[str, Any] = {}
    exec(compile(source, "generated", "exec"), space)
    space.update(constants)
    return space


def _called(function: Callable[..., Any], arguments: tuple[Any, ...], call: Any, module: ModuleType) -> Callable[[], Any]:
    options = {name: module.asarray(value) if hasattr(value, "shape") else value for name, value in call.options.items()}
    return lambda: function(*arguments, **options)


def main() -> None:
    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    import cupy
    from on_device import neighbour

    cupy.cuda.set_allocator(None)
    before = ""
    for name, call in calls(neighbour, cupy, int(cupy.cuda.Device().compute_capability)):
        if name != before:
            print(name, flush=True)
        before = name
        call()
        cupy.cuda.Device().synchronize()


if __name__ == "__main__":
    main()
