"""The figures of a report, from the arrays and verdicts of a run.

Guarantees: what is not finite is left blank and counted in the caption, never drawn as something else; what is too
large to read is cut, and the caption says so; the same arrays give the same bytes.
Cannot see: differences smaller than a pixel or a shade.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from kernelproof.reports.canvas import (
    BLUE,
    BOX,
    INK,
    ORANGE,
    RED,
    RULE,
    SOFT,
    canvas,
    drawable,
    lacks_glyphs,
    looks,
    png,
)
from kernelproof.reports.model import Figure, PropertyRow
from kernelproof.reports.verdicts import ratio

MOST_TOKENS = 32
MOST_BARS = 60
_LONGEST_LABEL = 14


def encoding_image(table: ArrayLike, title: str, name: str | None = None) -> Figure:
    """A positional encoding: position × dimension, as a heat map."""
    values = _array(table, 2, "encoding")
    positions, dimensions = values.shape
    with looks():
        drawn = canvas(8, 4.6)
        axes = drawn.subplots()
        norm = CenteredNorm(0.0, halfrange=_largest(np.abs(values)))
        image = axes.imshow(values, cmap="RdBu_r", norm=norm, aspect="auto", interpolation="nearest")
        _whole_ticks(axes, dimensions, positions)
        axes.set(xlabel="dimension", ylabel="position")
        axes.set_title(drawable(title))
        axes.spines[:].set_visible(False)
        drawn.colorbar(image, ax=axes, label="value", pad=0.02).outline.set_visible(False)
        data = png(drawn)
    caption = f"{positions} positions by {dimensions} dimensions; red is positive, blue negative." + _not_finite(values)
    alt = f"Heat map of {positions} positions by {dimensions} dimensions, values from {_span(values)}."
    return Figure(name or _slug("encoding", title), title, caption, data, alt)


def attention_image(weights: ArrayLike, pieces: Sequence[str], head: int, name: str | None = None) -> Figure:
    """One head's attention weights; row i says how much token i attends to each token."""
    values = _array(weights, 2, "attention weights")
    queries, keys = values.shape
    if len(pieces) < max(queries, keys):
        raise ValueError(f"attention weights of shape {values.shape} have more tokens than the {len(pieces)} given")
    shown = values[:MOST_TOKENS, :MOST_TOKENS]
    title = f"Attention weights, head {head}"
    with looks():
        drawn = canvas(2.9 + 0.21 * max(shown.shape[1], 10), 2.3 + 0.21 * max(shown.shape[0], 10))
        axes = drawn.subplots()
        norm = Normalize(0.0, _largest(shown))
        image = axes.imshow(shown, cmap="Blues", norm=norm, aspect="equal", interpolation="nearest")
        axes.set_xticks(range(shown.shape[1]), [_label(piece) for piece in pieces[: shown.shape[1]]], rotation=90)
        axes.set_yticks(range(shown.shape[0]), [_label(piece) for piece in pieces[: shown.shape[0]]])
        axes.tick_params(length=0, labelsize=8)
        axes.set_xticks(np.arange(-0.5, shown.shape[1]), minor=True)
        axes.set_yticks(np.arange(-0.5, shown.shape[0]), minor=True)
        axes.grid(which="minor", color=RULE, linewidth=0.4)
        axes.tick_params(which="minor", length=0)
        axes.set(xlabel="attends to (key)", ylabel="token (query)")
        axes.set_title(title)
        drawn.colorbar(image, ax=axes, label="weight", pad=0.02, shrink=0.8).outline.set_visible(False)
        data = png(drawn)
    caption = "Each row is one token's weights over the tokens it may attend to; darker is more."
    if shown.shape != values.shape:
        caption += f" The first {min(MOST_TOKENS, queries)} of {queries} tokens are shown"
        caption += ", so a row may not add up to one here." if keys > MOST_TOKENS else "."
    if any(lacks_glyphs(piece) for piece in pieces[: max(shown.shape)]):
        caption += f" {BOX} stands for a character that the figure's font lacks."
    alt = f"Heat map of the attention weights of head {head} over {shown.shape[0]} by {shown.shape[1]} tokens."
    return Figure(name or f"attention-head-{head}", title, caption + _not_finite(shown), data, alt)


def distribution_image(values: ArrayLike | Mapping[str, ArrayLike], title: str, name: str | None = None) -> Figure:
    """How values are distributed: one histogram, or one below the other, as before and after a layer norm."""
    named = values if isinstance(values, Mapping) else {"": values}
    arrays = {label: np.asarray(array, dtype=np.float64).ravel() for label, array in named.items()}
    finite = {label: array[np.isfinite(array)] for label, array in arrays.items()}
    with looks():
        drawn = canvas(8, 1.1 + 2.0 * len(arrays))
        rows = drawn.subplots(len(arrays), 1, squeeze=False, sharex=True)[:, 0]
        for axes, colour, (label, array) in zip(rows, [BLUE, ORANGE] * len(arrays), finite.items(), strict=False):
            if array.size:
                axes.hist(array, bins=_bins(array), color=colour, edgecolor="white", linewidth=0.3)
                axes.axvline(_moments(array)[0], color=SOFT, linewidth=1.0, linestyle="--")
            axes.set_title(drawable(label), fontsize=10)
            axes.set_ylabel("count")
        rows[-1].set_xlabel("value")
        drawn.suptitle(drawable(title), x=0.01, ha="left", fontsize=12)
        data = png(drawn)
    told = [_told(label, array) for label, array in finite.items()]
    every = np.concatenate(list(arrays.values()))
    caption = " ".join(told) + " Dashed: the mean." + _not_finite(every)
    alt = f"Histogram{'s' if len(arrays) > 1 else ''} of {title}. " + " ".join(told)
    return Figure(name or _slug("distribution", title), title, caption, data, alt)


def error_over_bound_image(rows: Sequence[PropertyRow], title: str, name: str | None = None) -> Figure:
    """The worst observed error of each property over its bound, on a logarithmic axis with the bound as a line at 1."""
    measured = [row for row in rows if row.worst_error_over_bound is not None]
    ranked = sorted(range(len(measured)), key=lambda i: -_rank(measured[i]))
    shown = [measured[i] for i in sorted(ranked[:MOST_BARS])]
    several = len({row.backend for row in shown}) > 1
    positive = [_rank(row) for row in shown if 0 < _rank(row) < math.inf]
    # further than this a bar only points; its label still says how far
    left, right = max(min([*positive, 0.1]) / 4, 1e-9), min(max([*positive, 1.0]) * 3, 1e30)
    with looks():
        drawn = canvas(8, 1.3 + 0.27 * max(len(shown), 1))
        axes = drawn.subplots()
        for place, row in enumerate(shown):
            end = min(max(_rank(row), left), right)  # zero at the left end, infinity at the right one
            broken = _rank(row) > 1
            axes.barh(
                place, end - left, left=left, height=0.62, color=RED if broken else BLUE,
                hatch="////" if broken else None, edgecolor="white", linewidth=0,
            )
            axes.text(end, place, f" {ratio(row.worst_error_over_bound)}", va="center", fontsize=8)
        axes.axvline(1.0, color=INK, linewidth=1.2)
        axes.text(1.0, -0.75, "the bound", ha="center", va="bottom", fontsize=8)
        labels = [f"{row.id}  ({row.backend})" if several else row.id for row in shown]
        axes.set_yticks(range(len(shown)), [drawable(label) for label in labels], fontsize=8)
        axes.set(xscale="log", xlim=(left, right * 3), ylim=(max(len(shown), 1) - 0.4, -0.7))
        axes.xaxis.set_major_locator(LogLocator(numticks=9))
        axes.xaxis.set_major_formatter(FuncFormatter(_power_of_ten))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("worst observed error / bound")
        axes.set_title(drawable(title), pad=16)
        data = png(drawn)
    over = sum(_rank(row) > 1 for row in measured)
    caption = f"{len(measured)} of {len(rows)} properties measured an error; {over or 'none'} went beyond the bound"
    caption += f"; the {MOST_BARS} largest are shown." if len(shown) < len(measured) else "."
    alt = f"Bars of worst error over bound for {len(shown)} properties, {over or 'none'} beyond the line at 1."
    return Figure(name or _slug("errors", title), title, caption, data, alt)


def _rank(row: PropertyRow) -> float:
    value = row.worst_error_over_bound
    return math.inf if value is None or math.isnan(value) else value


def _power_of_ten(value: float, _: int | None) -> str:
    return "10" + str(round(math.log10(value))).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _array(values: ArrayLike, axes: int, what: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != axes or array.size == 0:
        raise ValueError(f"{what}: expected a non-empty array of {axes} axes, got shape {array.shape}")
    return np.ma.masked_invalid(array).filled(np.nan)


def _largest(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def _span(values: NDArray[np.float64]) -> str:
    finite = values[np.isfinite(values)]
    return f"{finite.min():.3g} to {finite.max():.3g}" if finite.size else "nothing finite"


def _not_finite(values: NDArray[np.float64]) -> str:
    count = int(np.count_nonzero(~np.isfinite(values)))
    return f" {count} value{'s are' if count > 1 else ' is'} not finite and left out." if count else ""


def _moments(array: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation, scaled so that squares of large numbers do not overflow."""
    scale = float(np.abs(array).max()) or 1.0
    return float((array / scale).mean()) * scale, float((array / scale).std()) * scale


def _told(label: str, array: NDArray[np.float64]) -> str:
    if not array.size:
        return f"{label or 'Values'}: nothing finite."
    mean, spread = _moments(array)
    return f"{label or 'Values'}: mean {mean:.3g}, standard deviation {spread:.3g}."


def _bins(array: NDArray[np.float64]) -> int:
    return int(np.clip(np.sqrt(array.size), 1, 60)) if np.ptp(array) > 0 else 1


def _whole_ticks(axes: Axes, width: int, height: int) -> None:
    for axis, length in ((axes.xaxis, width), (axes.yaxis, height)):
        axis.set_major_locator(FixedLocator([0]) if length == 1 else MaxNLocator(9, integer=True))


def _label(piece: str) -> str:
    text = drawable(piece)
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"


def _slug(kind: str, title: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")
    return f"{kind}-{words}" if words else kind
