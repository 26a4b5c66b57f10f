"""``torch.nn.Module``s in the contract's words: an instance, or a class that takes no arguments. The arrays are tensors here.

What it does: a well-known module is built anew for every width that is tried, as its class and its settings say, and its parameters are
the phase's inputs; of any other module the parameters are set by name (``functional_call``), those that have another name than the
phase's input by the aliases below.
Guarantees: the module's own ``forward`` runs, in evaluation mode, on the parameters given; what was assumed is said; a module whose
parameters are no inputs of the phase is an :class:`InputError`.
Cannot see: a width that a module of one's own keeps in its attributes; buffers keep the values that they have.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernelproof.properties.shapes import phase_shape
from kernelproof.symbolic.errors import InputError

Kernel = Callable[..., Any]
Variant = Mapping[str, object]
#: other names of parameters, by the phase's input
ALIASES = {"gain": ("weight", "gamma", "scale", "g"), "bias": ("beta", "b"), "table": ("weight", "embedding", "emb")}


@dataclass(frozen=True)
class KnownModule:
    """``build`` gives a kernel from the class and an instance, or None; ``settings`` are attributes that must be as they are said here."""

    path: str
    phase: str
    build: Callable[[Any, Any, Variant], Kernel]
    conventions: tuple[str, ...]
    settings: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    choices: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    without: frozenset[str] = frozenset()


def _call(module: Any, parameters: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
    functional_call: Kernel = importlib.import_module("torch").func.functional_call
    return functional_call(module.eval(), dict(parameters), arguments, options)


def _softmax(kind: Any, module: Any, variant: Variant) -> Kernel:
    made = kind(dim=-1) if module is None else module
    return lambda x: made(x)


def _layer_norm(kind: Any, module: Any, variant: Variant) -> Kernel:
    def layer_norm(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
        return _call(kind(x.shape[-1], eps=eps, device="meta"), {"weight": gain, "bias": bias}, x)

    return layer_norm


def _rms_norm(kind: Any, module: Any, variant: Variant) -> Kernel:
    return lambda x, gain, *, eps=1e-5: _call(kind(x.shape[-1], eps=eps, device="meta"), {"weight": gain}, x)


def _gelu(kind: Any, module: Any, variant: Variant) -> Kernel:
    form = {"gelu": "none", "gelu_tanh": "tanh"}[str(variant["activation"])]
    if module is not None and module.approximate != form:
        raise InputError(
            f"reading the target: this torch.nn.GELU has approximate={module.approximate!r}, and the variant is {variant['activation']}; "
            f"give --variant activation={'gelu' if module.approximate == 'none' else 'gelu_tanh'}"
        )
    made = kind(approximate=form)
    return lambda x: made(x)


def _elementwise(kind: Any, module: Any, variant: Variant) -> Kernel:
    made = kind() if module is None else module
    return lambda x: made(x)


def _embedding(kind: Any, module: Any, variant: Variant) -> Kernel:
    return lambda ids, table: _call(kind(*table.shape, device="meta"), {"weight": table}, ids)


def _multi_head(kind: Any, module: Any, variant: Variant) -> Kernel:
    torch = importlib.import_module("torch")

    def multi_head_attention(
        x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, *, n_heads: int, causal: bool = False, mask: Any = None
    ) -> Any:
        n, d = x.shape[-2:]
        lead = x.shape[:-2]
        made = kind(d, n_heads, bias=False, batch_first=True, device="meta")
        parameters = {"in_proj_weight": torch.cat([w_q.T, w_k.T, w_v.T]), "out_proj.weight": w_o.T}
        hidden = torch.zeros(n, n, dtype=torch.bool)
        if causal:
            hidden = hidden | torch.ones(n, n, dtype=torch.bool).triu(1)
        added: Any = None
        if mask is not None:
            boolean = mask.dtype is torch.bool
            hidden = hidden | (~mask if boolean else torch.isneginf(mask))
            added = None if boolean else mask
        # PyTorch's own sense is the other one: True = may not attend
        shown = hidden if added is None else torch.zeros_like(added).add(added).expand(hidden.shape).masked_fill(hidden, -torch.inf)
        given: Any = shown if mask is not None or causal else None
        if given is not None and given.ndim > 2:
            given = given.expand(*lead, n, n).reshape(-1, 1, n, n).expand(-1, n_heads, n, n).reshape(-1, n, n)
        flat = x.reshape(-1, n, d)
        out = _call(made, parameters, flat, flat, flat, attn_mask=given, need_weights=False)[0].reshape(x.shape)
        return torch.where(hidden.all(-1)[..., None], torch.zeros((), dtype=out.dtype), out)

    return multi_head_attention


NEW = "a module is built anew for every width, with the class's own defaults; its parameters are the phase's inputs"
MODULES = (
    KnownModule("torch.nn.Softmax", "softmax", _softmax, ("a class is built with dim=-1",), {"dim": (-1,)}),
    KnownModule("torch.nn.LayerNorm", "layer_norm", _layer_norm, (NEW, "weight is gain; eps is set by the call, 1e-5 by default")),
    KnownModule("torch.nn.RMSNorm", "rms_norm", _rms_norm, (NEW, "weight is gain; eps is set by the call, 1e-5 by default")),
    KnownModule("torch.nn.GELU", "activation", _gelu, ("approximate is none for gelu, tanh for gelu_tanh",),
                choices={"activation": ("gelu", "gelu_tanh")}),
    KnownModule("torch.nn.ReLU", "activation", _elementwise, ("not in place",), {"inplace": (False,)}, {"activation": ("relu",)}),
    KnownModule("torch.nn.SiLU", "activation", _elementwise, ("not in place",), {"inplace": (False,)}, {"activation": ("silu",)}),
    KnownModule("torch.nn.Embedding", "embedding", _embedding, (NEW, "no padding_idx, no max_norm"),
                {"padding_idx": (None,), "max_norm": (None,)}),
    KnownModule(
        "torch.nn.MultiheadAttention", "multi_head_attention", _multi_head,
        (
            NEW, "bias=False, batch_first=True; weights are handed over transposed, as PyTorch applies x @ w.T",
            "boolean masks are negated (PyTorch: True = may not attend); causal is such a mask, top left",
            "a row that may attend to nothing is not judged (PyTorch gives NaN): the adapter writes zeros there",
        ),
        {"bias_k": (None,), "add_zero_attn": (False,)},
    ),
)


def known_module(spec: str, function: Any) -> tuple[KnownModule, Any, Any] | None:
    """The row, the class and the instance (None for a class); InputError for settings that are no phase's."""
    instance = None if inspect.isclass(function) else function
    kind = function if instance is None else type(function)
    for row in MODULES:
        if kind is _resolved(row.path):
            for name, allowed in row.settings.items():
                value = getattr(instance, name, allowed[0])
                if value not in allowed:
                    raise InputError(f"reading the target {spec!r}: this {row.path} has {name}={value!r}; expected {allowed[0]!r}")
            return row, kind, instance
    return None


def _resolved(path: str) -> Any:
    *place, name = path.split(".")
    return getattr(importlib.import_module(".".join(place)), name, None)


def own_module(spec: str, module: Any, phase: str, variant: Variant) -> tuple[Kernel, tuple[str, ...], str]:
    """Any other module as a kernel of the phase, what is assumed, and how to say it in a program."""
    # a compiled module holds its author's own
    forward = inspect.signature(getattr(module, "_orig_mod", module).forward)
    shape = phase_shape(phase, variant)
    module.eval()
    names = {name.removeprefix("_orig_mod."): name for name, _ in module.named_parameters()}
    if not names:
        plain = evaluated(module)
        plain.__signature__ = forward  # type: ignore[attr-defined]
        return plain, ("the module is called as it is, in evaluation mode",), "evaluated(target)"

    required = [one for one in forward.parameters.values() if one.kind in _BY_POSITION and one.default is one.empty]
    taken = len(required)
    packed = shape.packed[1] if shape.packed else ()
    rest = shape.arguments[taken:]
    wanted = [name for argument in rest for name in (packed if shape.packed and argument == shape.packed[0] else (argument,))]
    found = {name: next((names[other] for other in (name, *ALIASES.get(name, ())) if other in names), None) for name in wanted}
    if None in found.values() or set(found.values()) != set(names.values()):
        raise InputError(
            f"reading the target {spec!r}: the parameters of the module are {_listed(names)}, and the inputs of {phase} that its forward"
            f"{forward} does not take are {_listed(wanted)}; name the parameters so, or write a function {shape.signature}"
        )

    own = {name: str(parameter) for name, parameter in found.items()}
    kernel = parametrised(module, taken, rest, own)
    leading = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in shape.arguments]
    others = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in forward.parameters.values() if one.default is not one.empty
    ]
    kernel.__signature__ = inspect.Signature([*leading, *others])  # type: ignore[attr-defined]
    told = ", ".join(f"{parameter} = {name}" for name, parameter in own.items())
    said = (f"the module's parameters are set to the phase's inputs, of any width: {told}", "evaluation mode")
    return kernel, said, f"parametrised(target, {taken!r}, {rest!r}, {own!r})"


def evaluated(module: Any) -> Kernel:
    """A module without parameters, in evaluation mode."""
    if isinstance(module, type):
        module = module()
    module.eval()
    return lambda *arguments, **options: module(*arguments, **options)


def parametrised(module: Any, taken: int, rest: Sequence[str], own: Mapping[str, str]) -> Kernel:
    """A module whose parameters are arguments: ``forward`` takes the first ``taken`` of them, ``own`` names the others' parameters."""
    if isinstance(module, type):
        module = module()

    def kernel(*arguments: Any, **options: Any) -> Any:
        values: dict[str, Any] = {}
        for argument, value in zip(rest, arguments[taken:], strict=True):
            values.update(value if isinstance(value, dict) else {argument: value})
        return _call(module, {own[name]: values[name] for name in own}, *arguments[:taken], **options)

    return kernel


_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _listed(names: Sequence[str] | Mapping[str, str]) -> str:
    return ", ".join(names) or "none"
