"""What a property is: cases, the inputs made from them, findings.

A :class:`Case` is a few frozen numbers and names that Hypothesis draws and shrinks; :func:`build` makes its arrays.
So a failure is replayed from the case alone, and shrinking works on sizes and styles, never on single entries of
arrays.

Guarantees: equal cases build equal bits, on every machine with the same NumPy streams.
Cannot see: whether a case makes sense for its phase; strategies draw only those that do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kernelproof.properties.masks import HEAD_MASK, make_mask, mask_shape
from kernelproof.properties.profiles import PROFILES, Profile
from kernelproof.properties.shapes import PhaseShape, phase_shape
from kernelproof.properties.values import Array, make_floats, make_ids
from kernelproof.symbolic.errors import InputError

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from kernelproof.properties.call import Call

DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Recipe:
    """How one array is made: see :mod:`kernelproof.properties.values`. An empty ``dtype`` is the case's own."""

    style: str
    magnitude: float = 1.0
    dtype: str = ""


@dataclass(frozen=True)
class MaskRecipe:
    """How a mask is made: see :mod:`kernelproof.properties.masks`."""

    kind: str
    shape: str = "nm"
    magnitude: float = 1.0


@dataclass(frozen=True)
class Extra:
    """Something a theorem speaks of beside the phase's own inputs: a shift, a permutation, another row.

    ``axes`` are names of sizes, or lengths. ``real`` and ``positive`` have shape (batch…, *axes), or (*axes) if not
    ``batched``; ``permutation`` has shape (n,) for an axis of length n; ``index_map`` with axes (a, b) has shape (a,)
    and values below b; ``offset`` is one whole number from 0 up.
    """

    name: str
    kind: str
    axes: tuple[str | int, ...] = ()
    recipe: Recipe = Recipe("normal")
    batched: bool = True


@dataclass(frozen=True)
class Case:
    """A small description of one example. ``lead`` names axes between the batch axes and a tensor's own."""

    phase: str
    sizes: tuple[tuple[str, int], ...]
    batch: tuple[int, ...] = ()
    lead: tuple[str, ...] = ()
    recipes: tuple[tuple[str, Recipe], ...] = ()
    options: tuple[tuple[str, object], ...] = ()
    extras: tuple[Extra, ...] = ()
    picks: tuple[tuple[str, object], ...] = ()
    variant: tuple[tuple[str, object], ...] = ()
    dtype: str = "float32"
    seed: int = 0

    @property
    def shape(self) -> PhaseShape:
        return phase_shape(self.phase, dict(self.variant))

    def size(self, name: str) -> int:
        """The length of a named axis."""
        return dict(self.sizes)[name]

    def pick(self, name: str) -> Any:
        """A choice that the property drew for itself."""
        return dict(self.picks)[name]

    @property
    def leading(self) -> tuple[int, ...]:
        """The shape that ``...`` stands for."""
        return (*self.batch, *(self.size(axis) for axis in self.lead))

    def lengths(self, axes: tuple[str | int, ...]) -> tuple[int, ...]:
        """The shape of a tensor with these axes: names of sizes, lengths, or ``...``."""
        shape: tuple[int, ...] = ()
        for axis in axes:
            shape += self.leading if axis == "..." else (axis if isinstance(axis, int) else self.size(axis),)
        return shape

    def describe(self) -> dict[str, Any]:
        """The case as plain data, for reports; :func:`case_from` reads it back."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Arrays by name, keyword options (a mask is one of them), and the extras of a theorem."""

    tensors: dict[str, Array]
    options: dict[str, object]
    extras: dict[str, Array] = field(default_factory=dict)

    def copy(self) -> Inputs:
        """The same values in memory of their own."""
        return Inputs(
            {name: value.copy() for name, value in self.tensors.items()},
            {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in self.options.items()},
            dict(self.extras),
        )


@dataclass(frozen=True)
class Setting:
    """What is under test: the phase and variant, the type of the inputs, what the target can do, how hard to look."""

    phase: str
    variant: Mapping[str, object] = field(default_factory=dict)
    dtype: str = "float32"
    capabilities: frozenset[str] = frozenset()
    profile: Profile = PROFILES["quick"]
    #: the moment of ``time.perf_counter`` by which a long check gives up
    ends: float = math.inf


@dataclass(frozen=True, eq=False)
class Finding:
    """The outcome of one example.

    ``ratio`` is the worst |error| / bound (None where there is no bound). For the reproducer: ``script`` are Python
    lines that set ``observed`` from ``target`` and the inputs by name (None: one plain call); ``assertion`` is the
    condition that a right kernel meets (None: ``observed`` equals ``expected`` up to ``bound``, NaN where NaN is
    expected).
    """

    ok: bool
    ratio: float | None = None
    vacuous: bool = False
    observed: object = None
    expected: object = None
    message: str = ""
    inputs: Inputs | None = None
    bound: object = None
    script: str | None = None
    assertion: str | None = None


@dataclass(frozen=True)
class Property:
    """A statement that every right kernel of the phase meets, with inputs to try it on."""

    id: str
    title: str
    theorem: str
    phase: str
    draw: Callable[[DrawFn, Setting], Case]
    check: Callable[[Call, Case, Setting], Finding]
    needs: frozenset[str] = frozenset()
    kind: Literal["theorem", "harness"] = "theorem"


def dtype_named(name: str) -> np.dtype[Any]:
    """The NumPy type; bfloat16 needs the package ml_dtypes."""
    if name not in DTYPES:
        raise InputError(f"choosing a dtype: {name!r} is not known; choose one of {', '.join(DTYPES)}")
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError:
        raise InputError(
            "choosing dtype bfloat16: NumPy has it only through the package ml_dtypes, which is not installed; "
            "'pip install ml_dtypes' or choose float16"
        ) from None
    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16


#: a case whose inputs are not made but given
_HELD: ContextVar[tuple[Case, Inputs] | None] = ContextVar("held", default=None)


@contextmanager
def held(case: Case, inputs: Inputs) -> Iterator[None]:
    """Within it :func:`build` gives these inputs for the case, as those of a saved counterexample."""
    token = _HELD.set((case, inputs))
    try:
        yield
    finally:
        _HELD.reset(token)


def build(case: Case) -> Inputs:
    """The arrays and options of a case. Deterministic; every call makes new arrays."""
    if (given := _HELD.get()) and given[0] == case:
        return given[1].copy()
    shape, recipes = case.shape, dict(case.recipes)
    tensors = {
        tensor.name: _array(recipes[tensor.name], tensor.name, case.lengths(tensor.axes), tensor.below, case)
        for tensor in shape.tensors
    }
    options: dict[str, object] = {option: case.size(size) for option, size in shape.size_options}
    for name, value in case.options:
        if isinstance(value, MaskRecipe):
            heads = tuple(case.size(axis) for axis in shape.head_axes)
            lead, form = (heads, "full") if value.shape == HEAD_MASK else (case.leading, value.shape)
            lengths = mask_shape(form, lead, case.size(shape.score_axes[0]), case.size(shape.score_axes[1]))
            options[name] = make_mask(value.kind, value.magnitude, lengths, dtype_named(case.dtype), case.seed)
        else:
            options[name] = value
    return Inputs(tensors, options, {extra.name: _extra(extra, case) for extra in case.extras})


def _array(recipe: Recipe, name: str, shape: tuple[int, ...], below: str, case: Case) -> Array:
    if below:
        return make_ids(recipe.style, case.size(below), shape, recipe.dtype or "int64", case.seed, name)
    return make_floats(recipe.style, recipe.magnitude, shape, dtype_named(recipe.dtype or case.dtype), case.seed, name)


def _extra(extra: Extra, case: Case) -> Array:
    if extra.kind == "offset":
        return np.asarray(math.floor(extra.recipe.magnitude))
    lengths = case.lengths(extra.axes)
    if extra.kind == "permutation":
        return np.argsort(make_floats("normal", 1.0, lengths[:1], np.float64, case.seed, extra.name), kind="stable")
    if extra.kind == "index_map":
        return make_ids("ids", lengths[1], lengths[:1], "int64", case.seed, extra.name)
    return _array(extra.recipe, extra.name, (*(case.leading if extra.batched else ()), *lengths), "", case)


def case_from(data: Mapping[str, Any]) -> Case:
    """The case that :meth:`Case.describe` wrote, also after a trip through JSON."""

    def pairs(name: str, read: Callable[[Any], Any] = lambda value: value) -> tuple[tuple[str, Any], ...]:
        return tuple((key, read(value)) for key, value in data[name])

    def extra(value: Mapping[str, Any]) -> Extra:
        return Extra(value["name"], value["kind"], tuple(value["axes"]), Recipe(**value["recipe"]), value["batched"])

    return Case(
        phase=data["phase"],
        sizes=pairs("sizes"),
        batch=tuple(data["batch"]),
        lead=tuple(data["lead"]),
        recipes=pairs("recipes", lambda value: Recipe(**value)),
        options=pairs("options", lambda value: MaskRecipe(**value) if isinstance(value, dict) else value),
        extras=tuple(extra(value) for value in data["extras"]),
        picks=pairs("picks"),
        variant=pairs("variant"),
        dtype=data["dtype"],
        seed=data["seed"],
    )
