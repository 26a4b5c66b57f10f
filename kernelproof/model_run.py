"""The generated NumPy kernels run on one text, in the order of an encoder.

What it does: draws weights once (seeded; scales below), runs every phase on what the ones before gave, and measures the error of
each result against its own derived bound. Guarantees: only generated kernels compute; the composed phases and the encoder block
generated as a whole are compared within their bounds. Cannot see: training; the weights are random.

Scales: the embedding table is normal with standard deviation 1, as large as the positions added to it; projections are normal with
standard deviation 1/√(fan in), so that sums keep their size (Glorot and Bengio 2010); gains are 1 and biases 0, as at the start of
training.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelproof.numeric.kernel import generate
from kernelproof.numeric.rounding import Array
from kernelproof.reports.figures import attention_image, distribution_image, encoding_image
from kernelproof.reports.model import ArrayShape, Figure
from kernelproof.tokenise import Tokens

WIDTH, HEADS, HIDDEN = 64, 4, 256
HEAD = WIDTH // HEADS


class TextRun:
    """Results of all phases on the tokens of a text."""

    def __init__(self, tokens: Tokens, seed: int) -> None:
        self.tokens = tokens
        self.ratios: dict[str, float] = {}
        self._shapes: dict[str, list[ArrayShape]] = {}
        self._arrays: dict[str, Array] = {}
        self._run(np.random.default_rng(seed))

    @property
    def within_bounds(self) -> bool:
        """Whether every result was within its bound."""
        return all(ratio <= 1 for ratio in self.ratios.values())

    def shapes(self, phase: str) -> tuple[ArrayShape, ...]:
        """The arrays of a phase."""
        return tuple(self._shapes.get(phase, ()))

    def summary(self) -> tuple[tuple[str, str], ...]:
        """Rows for the overview."""
        worst = max(self.ratios, key=lambda name: self.ratios[name])
        return (("On this text", f"largest error over bound {self.ratios[worst]:.3g} ({worst})"),)

    def scale_note(self, seed: int) -> str:
        """How the weights were drawn."""
        return (
            f"Weights are random (seed {seed}): embedding table normal(0, 1), projections normal(0, 1/√fan in), gains 1, biases 0. "
            "Attention patterns are those of an untrained model."
        )

    def figures(self, phase: str) -> tuple[Figure, ...]:
        """The pictures of a phase."""
        arrays, pieces = self._arrays, self.tokens.pieces
        match phase:
            case "positional":
                return (encoding_image(arrays["positions"], "Sinusoidal encoding of the text's positions", "positions"),)
            case "attention":
                return (attention_image(arrays["weights"][0], pieces, 0, "attention-weights"),)
            case "layer_norm":
                values = {"before": arrays["attended"].ravel(), "after": arrays["normed"].ravel()}
                return (distribution_image(values, "Entries before and after layer norm", "layer-norm"),)
            case "feed_forward":
                return (distribution_image(arrays["fed"].ravel(), "Entries of the feed-forward result", "feed-forward"),)
        return ()

    # -- the run --------------------------------------------------------------------------------------------------------------

    def _call(self, phase: str, names: tuple[str, ...], *arguments: Any, **options: Any) -> Array:
        """Run a generated kernel, keep its shapes, and measure its error over its bound."""
        kernel = generate(phase)
        result: Array = kernel(*arguments, **options)
        if phase not in self._shapes:
            arrays = [(name, value) for name, value in zip(names, arguments, strict=False) if isinstance(value, np.ndarray)]
            self._shapes[phase] = [ArrayShape(name, value.shape, value.dtype.name, "input") for name, value in arrays]
            self._shapes[phase].append(ArrayShape("result", result.shape, result.dtype.name, "result"))
        expected, bound = kernel.error_bound(*arguments, **options)
        self.ratios[phase] = max(self.ratios.get(phase, 0.0), _worst(result, expected, bound))
        return result

    def _run(self, rng: np.random.Generator) -> None:
        def normal(rows: int, columns: int) -> Array:
            drawn: Array = rng.standard_normal((rows, columns)) / np.sqrt(rows)
            return drawn.astype(np.float32)

        ids = np.array(self.tokens.ids, dtype=np.int64)
        table = rng.standard_normal((self.tokens.vocabulary_size, WIDTH)).astype(np.float32)
        square = {name: normal(WIDTH, WIDTH) for name in ("w_q", "w_k", "w_v", "w_o")}
        w1, w2 = normal(WIDTH, HIDDEN), normal(HIDDEN, WIDTH)
        b1, b2 = np.zeros(HIDDEN, np.float32), np.zeros(WIDTH, np.float32)
        one, zero = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

        embedded = self._call("embedding", ("ids", "table"), ids, table)
        positions = self._call("positional", (), len(ids), WIDTH)
        x = embedded + positions
        q, k, v = (self._heads(x @ square[name]) for name in ("w_q", "w_k", "w_v"))
        self._call("attention", ("q", "k", "v"), q, k, v)
        weights = self._call("attention", (), q, k, np.broadcast_to(np.eye(len(ids), dtype=np.float32), (HEADS, len(ids), len(ids))))
        self._call("softmax", ("x",), np.matmul(q, np.swapaxes(k, -1, -2)) / np.float32(np.sqrt(HEAD)))
        self._call("rotary", ("x",), q)
        names = ("x", "w_q", "w_k", "w_v", "w_o")
        attended = x + self._call("multi_head_attention", names, x, *square.values(), n_heads=HEADS)
        normed = self._call("layer_norm", ("x", "gain", "bias"), attended, one, zero)
        self._call("rms_norm", ("x", "gain"), attended, one)
        self._call("activation", ("x",), normed @ w1)
        fed = self._call("feed_forward", ("x", "w1", "b1", "w2", "b2"), normed, w1, b1, w2, b2)
        self._call("layer_norm", (), normed + fed, one, zero)
        norms = {"gain1": one, "bias1": zero, "gain2": one, "bias2": zero}
        self._call("encoder_block", ("x",), x, {**square, "w1": w1, "b1": b1, "w2": w2, "b2": b2, **norms}, n_heads=HEADS)
        self._arrays = {"positions": positions, "weights": weights, "attended": attended, "normed": normed, "fed": fed}

    def _heads(self, projected: Array) -> Array:
        return np.swapaxes(projected.reshape(len(projected), HEADS, HEAD), 0, 1)


def _worst(result: Array, expected: Array, bound: Array) -> float:
    """The largest error over bound where the bound is finite; infinite where an error has no bound to allow it."""
    error = np.abs(result.astype(expected.dtype) - expected)
    known = np.isfinite(bound)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(error == 0, 0, error / bound)
    ratio = np.where(known, np.where(np.isnan(ratio), np.inf, ratio), 0)
    return float(ratio.max(initial=0))
