"""What Hypothesis draws: cases, from small and plain to large and nasty.

Sizes are mostly below 12 and go to 40; at most one axis of an example is special: empty, or in the longer profiles on
either side of a block length. An axis that a reduction runs over is empty only with the capability ``empty``, any
other with ``no_rows``. Values are made in the styles of :mod:`kernelproof.properties.values`; affine parameters and
biases are never at their defaults by accident. Options are drawn only where the setting's capabilities name them.

Guarantees: all randomness is Hypothesis' own or behind the case's seed, so a seed repeats a run.
Cannot see: a property's premises; properties pass them as ``minimum``, ``fixed``, ``without`` and so on.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.properties.draws import chosen_from
from kernelproof.properties.masks import HEAD_MASK, MASK_KINDS, MASK_SHAPES
from kernelproof.properties.model import Case, Extra, MaskRecipe, Recipe, Setting
from kernelproof.properties.shapes import PhaseShape, Tensor, phase_shape
from kernelproof.properties.values import ID_STYLES, STYLES

BATCHES: tuple[tuple[int, ...], ...] = ((), (1,), (3,), (2, 3))
EMPTY_BATCH = (0,)
SCALES = (1.0, 0.5, 0.125, 2.0, 0.3)
EPSILONS = (1e-5, 1e-3, 1.0, 1e-12)
BASES = (10000.0, 100.0, 2.0, 1e6)
STARTS = (0, 1, 7, 100, 2048, 100_000)
#: the largest magnitude by role: logits to ±1e5 and scores beyond that, far past the overflow of exp in float32
LARGE = {"logit": 3e4, "score": 300.0, "value": 1e3, "weight": 30.0, "affine": 100.0}
LARGE_FLOAT16 = {"logit": 1e4, "score": 100.0, "value": 100.0, "weight": 4.0, "affine": 10.0}
#: sizes that count things rather than lengths
COUNTS = ("heads", "group")
MOST_HEADS = 6
#: numbers of rows from which an id does not fit 16 bits; beside these and other long axes all are short
VOCABULARIES = (32_769, 65_537)
#: around the tiles of kernels that go through many rows, or through long ones; not in the shortest profile
LONG_AXES = (255, 256, 257, 511, 512, 513, 1023, 1024, 1025)
#: the longest axis that is multiplied by another one
MOST_MULTIPLIED = 129
MOST_WIDTH = 96
EXTRA_KINDS = ("real", "positive", "permutation", "index_map", "offset")


def draw_case(
    draw: DrawFn,
    setting: Setting,
    *,
    minimum: Mapping[str, int] | None = None,
    maximum: Mapping[str, int] | None = None,
    fixed: Mapping[str, int | str] | None = None,
    more_sizes: Sequence[str] = (),
    batch: tuple[int, ...] | None = None,
    lead: tuple[str, ...] | None = None,
    recipes: Mapping[str, Recipe] | None = None,
    options: Mapping[str, object] | None = None,
    without: Sequence[str] = (),
    extras: Sequence[tuple[str, str, tuple[str | int, ...]]] = (),
    picks: Mapping[str, Sequence[object]] | None = None,
    tame: bool = False,
    empty: bool = True,
) -> Case:
    """A case of the setting's phase.

    ``fixed`` sets a size to a number or to another size; ``more_sizes`` are sizes that only the property knows;
    ``recipes`` and ``options`` override the draw, ``without`` leaves options out; ``extras`` are (name, kind, axes);
    ``picks`` are choices a property makes for itself, by name; ``tame`` keeps values moderate; without ``empty`` no
    axis has length 0.
    """
    if not empty:
        setting = replace(setting, capabilities=setting.capabilities - {"empty", "no_rows"})
    if extras or picks:
        # ids are made from others there, which a narrow type need not hold
        setting = replace(setting, capabilities=setting.capabilities - {"narrow_ids"})
    shape = phase_shape(setting.phase, setting.variant)
    lowest = dict(minimum or {})
    for _, kind, axes in extras:
        if kind == "index_map" and isinstance(axes[1], str):
            # nothing maps into an empty axis
            lowest[axes[1]] = max(1, lowest.get(axes[1], 1))
    sizes = draw_sizes(draw, setting, shape, lowest, maximum or {}, fixed or {}, more_sizes)
    chosen_batch = draw_batch(draw, setting) if batch is None else batch
    chosen_lead = shape.lead if lead is None else lead
    if lead is None and batch is None and not chosen_batch and not extras and shape.lead and draw(st.integers(0, 3)) == 3:
        # one row by itself: no leading axis at all
        chosen_lead = ()
    drawn = tuple(
        (tensor.name, (recipes or {}).get(tensor.name) or draw_recipe(draw, tensor, setting, tame))
        for tensor in shape.tensors
    )
    return Case(
        phase=setting.phase,
        sizes=tuple(sizes.items()),
        batch=chosen_batch,
        lead=chosen_lead,
        recipes=drawn,
        options=draw_options(draw, setting, shape, options or {}, without),
        extras=tuple(draw_extra(draw, kind, sizes, name=name, axes=axes, tame=tame) for name, kind, axes in extras),
        picks=tuple((name, draw(chosen_from(list(values)))) for name, values in (picks or {}).items()),
        variant=tuple(sorted(setting.variant.items())),
        dtype=setting.dtype,
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def draw_batch(draw: DrawFn, setting: Setting) -> tuple[int, ...]:
    """The batch axes, now and then an empty one."""
    empty = [EMPTY_BATCH] if "no_rows" in setting.capabilities else []
    return draw(chosen_from([*BATCHES, *BATCHES, *BATCHES, *empty]))


def draw_sizes(
    draw: DrawFn,
    setting: Setting,
    shape: PhaseShape,
    minimum: Mapping[str, int],
    maximum: Mapping[str, int],
    fixed: Mapping[str, int | str],
    more: Sequence[str] = (),
) -> dict[str, int]:
    """All sizes of a phase, the derived ones too."""
    if "value_width" not in setting.capabilities and "e" in shape.sizes:
        fixed = {"e": "d", **fixed}
    # an axis that another one equals takes over what is asked of that one
    equal = {name: value for name, value in fixed.items() if isinstance(value, str)}
    minimum = dict(minimum)
    for name, value in equal.items():
        minimum[value] = max(minimum.get(value, 0), minimum.get(name, 0))
    reduced = shape.reduced | {value for name, value in equal.items() if name in shape.reduced}
    names = [name for name in (*shape.sizes, *more) if name not in fixed]
    partners = _partners(shape)
    specials: list[tuple[str, tuple[int, ...]] | None] = [None] * 9
    # no tensor is a matrix of drawn sizes
    alone = all(len(tensor.axes) - ("..." in tensor.axes) < 2 for tensor in shape.tensors) and bool(shape.tensors)
    for name in names:
        lowest, highest = minimum.get(name, 0), maximum.get(name, MOST_MULTIPLIED if name in partners else math.inf)
        needed = "empty" if name in reduced else "no_rows"
        if needed in setting.capabilities and lowest == 0 and name not in (*COUNTS, "vocab"):
            specials.append((name, (0,)))
        if name == "vocab" and highest == math.inf:
            specials.append((name, VOCABULARIES))
        longer = LONG_AXES if (name in shape.lead or alone) and setting.profile.boundaries else ()
        boundaries = tuple(size for size in sorted({*setting.profile.boundaries, *longer}) if lowest <= size <= highest)
        if boundaries and name not in COUNTS:
            specials.append((name, boundaries))
    special, lengths = draw(chosen_from(specials)) or ("", ())
    sizes: dict[str, int] = {}
    for name in names:
        lowest = max(1, minimum.get(name, 1))
        most = MOST_HEADS if name in COUNTS else setting.profile.largest
        if max(lengths, default=0) > MOST_MULTIPLIED and name != special:
            most = 2
        # not both long: their product is the width of all weights
        for partner in partners.get(name, ()):
            most = min(most, MOST_WIDTH // sizes.get(partner, 1), 2 if special == partner else most)
        sizes[name] = draw(_small_first(lowest, max(lowest, maximum.get(name, most))))
        if special == name:
            # drawn after the plain size: Hypothesis takes the example with fewer draws for the simpler one
            sizes[name] = draw(chosen_from(lengths))
    sizes |= {name: value for name, value in fixed.items() if isinstance(value, int)}
    for name, parts in shape.derived:
        sizes[name] = math.prod(part if isinstance(part, int) else sizes[part] for part in parts)
    return sizes | {name: sizes[value] for name, value in equal.items()}


def _partners(shape: PhaseShape) -> dict[str, tuple[str, ...]]:
    """The sizes that a size is multiplied by."""
    products = [tuple(part for part in parts if isinstance(part, str)) for _, parts in shape.derived]
    return {part: tuple(other for other in parts if other != part) for parts in products for part in parts}


@functools.cache
def _small_first(lowest: int, highest: int) -> st.SearchStrategy[int]:
    caps = [cap for cap in (4, 12) if lowest <= cap < highest]
    return st.one_of([st.integers(lowest, cap) for cap in (*caps, highest)])


def draw_recipe(draw: DrawFn, tensor: Tensor, setting: Setting, tame: bool = False) -> Recipe:
    """How to fill one tensor."""
    if tensor.role == "ids":
        narrow = ("int16", "int8") if "narrow_ids" in setting.capabilities else ()
        return Recipe(draw(chosen_from(ID_STYLES)), dtype=draw(chosen_from(("int64", "int32", *narrow))))
    if tame:
        # large values only where a right kernel is finite whatever they are
        style = draw(chosen_from(("integers", "constant", "normal", "uniform", "negative", "large")))
        if style == "large" and tensor.role not in ("logit", "score"):
            style = "normal"
    else:
        # plain random numbers are the commonest: some faults show on them alone
        style = draw(chosen_from((*STYLES, "normal", "normal")))
    return Recipe(style, draw(chosen_from(_magnitudes(style, tensor.role, setting.dtype, tame))))


def _magnitudes(style: str, role: str, dtype: str, tame: bool) -> tuple[float, ...]:
    """At least two: one alone would not be drawn, and that style would count as simpler than others."""
    large = (LARGE_FLOAT16 if dtype == "float16" else LARGE).get(role, 1.0)
    if style == "large":
        return (large / 10, large)
    if style == "small":
        return (1e-3, 1e-6)
    if style == "heavy_tail":
        return (1.0, 0.25)
    if style in ("spike", "offset", "negative"):
        # these styles multiply by up to 100 themselves
        moderate = min(1.0, large / 100)
        return (moderate, moderate / 4) if tame or dtype == "float16" else (1.0, 0.1, max(1.0, large / 100))
    if tame:
        # float16 ends at 65504, which products of three moderate matrices reach
        return (0.125, 0.0625) if dtype == "float16" and role == "weight" else (1.0, 0.25)
    return (1.0, 0.25, 4.0)


def draw_options(
    draw: DrawFn, setting: Setting, shape: PhaseShape, forced: Mapping[str, object], without: Sequence[str]
) -> tuple[tuple[str, object], ...]:
    """Options that the target can take; one that is left out is left to the target's default."""
    chosen: dict[str, object] = {}
    for name in shape.options:
        if name in forced or name in without or name not in setting.capabilities or not draw(st.booleans()):
            continue
        chosen[name] = draw_mask(draw, setting, shape) if name == "mask" else draw(_option(name, setting))
    return tuple((chosen | dict(forced)).items())


def _option(name: str, setting: Setting) -> st.SearchStrategy[Any]:
    if name == "causal":
        return chosen_from((True, False))
    scales = (*SCALES, 0.0) if "zero_scale" in setting.capabilities else SCALES
    return chosen_from({"scale": scales, "eps": EPSILONS, "base": BASES, "start": STARTS}[name])


def draw_mask(draw: DrawFn, setting: Setting, shape: PhaseShape, kinds: Sequence[str] = MASK_KINDS) -> MaskRecipe:
    """A mask of those of ``kinds`` that the target takes, of any shape that broadcasts."""
    taken = [kind for kind in kinds if f"mask_{kind.partition('_')[0]}" in setting.capabilities]
    return MaskRecipe(
        draw(chosen_from(taken or list(kinds))),
        draw(chosen_from(MASK_SHAPES if shape.batched_mask else (*MASK_SHAPES[:3], *[HEAD_MASK] * len(shape.head_axes)))),
        draw(chosen_from((1.0, 10.0, 1e3))),
    )


def draw_extra(
    draw: DrawFn,
    kind: str,
    sizes: Mapping[str, int],
    *,
    name: str,
    axes: tuple[str | int, ...] = (),
    batched: bool = True,
    tame: bool = False,
) -> Extra:
    """Something a theorem quantifies over beside the inputs; its array is made by ``build`` from the case's seed."""
    if kind not in EXTRA_KINDS:
        raise ValueError(f"extra {name!r}: kind {kind!r} is not one of {EXTRA_KINDS}")
    if missing := [axis for axis in axes if isinstance(axis, str) and axis not in sizes]:
        raise ValueError(f"extra {name!r}: no size is called {missing[0]!r}")
    if kind in ("permutation", "index_map"):
        return Extra(name, kind, axes)
    if kind == "offset":
        return Extra(name, kind, recipe=Recipe("constant", draw(st.integers(0, 1000))))
    if kind == "positive":
        return Extra(
            name,
            kind,
            axes,
            Recipe("positive", draw(chosen_from((1.0, 0.25) if tame else (1.0, 0.125, 16.0)))),
            batched,
        )
    style = draw(chosen_from(("constant", "integers", "normal", "large")))
    magnitudes = (1.0, 0.25) if tame or style != "large" else (100.0, 1e4)
    return Extra(name, kind, axes, Recipe(style, draw(chosen_from(magnitudes))), batched)
