"""Searches with the derived bounds, bounded by their examples and not by time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from kernelproof.properties.model import Setting
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.registry import properties_of
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_property
from kernelproof.properties.targets import Target, load_target, memory_target
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.properties.verify import checked_variant

#: of the quick profile's: every new shape costs JAX a compilation
EXAMPLES = {"jax": 4}


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of the folder above; one thread, as the products are tiny."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def search() -> Callable[..., dict[str, PropertyVerdict]]:
    """The verdicts on a function or a spec, by the names of the properties: all, or those named."""

    def run(
        target: Any, phase: str, variant: dict[str, object] | None = None, *names: str, dtype: str = "float32", examples: int = 12
    ) -> dict[str, PropertyVerdict]:
        chosen = checked_variant(phase, variant or {})
        load = load_target if isinstance(target, str) else memory_target
        found: Target = load(target, phase=phase, variant=chosen)  # type: ignore[operator]
        count = EXAMPLES.get(found.library, examples)
        setting = Setting(phase, chosen, dtype, found.capabilities, replace(PROFILES["quick"], examples=count, shrink_seconds=1.0))

        def judged(subject: Any) -> PropertyVerdict:
            return run_property(
                subject, found.call, setting, seed=0, seconds=120.0,
                reproduce=lambda own, case, finding: reproducer(found, own.id, own.theorem, case, finding),
            )[0]

        subjects = [own for own in properties_of(phase, chosen) if not names or own.id.partition(".")[2] in names]
        return {own.id.partition(".")[2]: judged(own) for own in subjects}

    return run


@pytest.fixture
def onnx_file(tmp_path: Path) -> Callable[..., str]:
    """The path of a model with one node."""
    onnx = pytest.importorskip("onnx", reason="models are written by onnx")
    pytest.importorskip("onnxruntime", reason="models are run by onnxruntime")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT

    def make(*operators: str, inputs: int = 1, domain: str = "", opset: int = 23, rank: int = 2, **attributes: object) -> str:
        names = [f"x{i}" for i in range(inputs)]
        shape = [f"axis{i}" for i in range(rank)]
        nodes = [helper.make_node(name, names, [f"y{i}"], domain=domain, **attributes) for i, name in enumerate(operators)]
        graph = helper.make_graph(
            nodes, "graph", [helper.make_tensor_value_info(name, floats, shape) for name in names],
            [helper.make_tensor_value_info("y0", floats, shape)],
        )
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        path = tmp_path / f"{'_'.join(operators)}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
        return str(path)

    return make
