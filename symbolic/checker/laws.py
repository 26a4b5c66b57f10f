"""The laws that a proof may use without proof, written for this checker in the notation of :mod:`.notation`.

What it does: a row is a name and ``hypotheses => conclusion`` for all real a, b, c, p, u, v, all natural m, n and all functions f, g, s of
real indices (``turns`` is one fixed function). Headings name the axiom that the rows below them rest on; those below ``-`` are facts
of finite sums, order and integers that every reading of the terms satisfies.

Guarantees: each row was judged true under the meaning in :mod:`.nodes`; the tests compare the table with the core's, row by row.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from .errors import CheckError
from .nodes import Node
from .notation import sequent

EXPONENTIAL = "exp(a+b) = exp(a)·exp(b), exp > 0"
#: constants that an axiom speaks of: no function may be put for them
CONSTANT_TENSORS = frozenset(("turns",))

TABLE = """
## -
sum_empty                 sum(j < 0: f[j]) = 0
sum_last                  sum(j < n + 1: f[j]) = sum(j < n: f[j]) + f[n]
sum_delta                 p in n => sum(j < n: delta(j, p) * f[j]) = f[p]
sum_reindexed             permutation s n => sum(j < n: f[j]) = sum(j < n: f[s[j]])
maximum_reindexed         permutation s n => max(j < n | g[j]: f[j]) = max(j < n | g[s[j]]: f[s[j]])
maximum_split             max(j < m + n | g[j]: f[j]) =
                          less(0, sum(j < m: g[j] * g[j])) * less(0, sum(j < n: g[m + j] * g[m + j]))
                          * max(max(j < m | g[j]: f[j]), max(j < n | g[m + j]: f[m + j]))
                          + less(0, sum(j < m: g[j] * g[j])) * (1 - less(0, sum(j < n: g[m + j] * g[m + j]))) * max(j < m | g[j]: f[j])
                          + (1 - less(0, sum(j < m: g[j] * g[j]))) * less(0, sum(j < n: g[m + j] * g[m + j]))
                          * max(j < n | g[m + j]: f[m + j])
maximum_is_bound          p in n; g[p] != 0 => max(j < n | g[j]: f[j]) - f[p] >= 0
maximum_associative       max(max(a, b), c) = max(a, max(b, c))
less_is_indicator         less(a, b) * less(a, b) = less(a, b)
less_holds                b - a > 0 => less(a, b) = 1
less_fails                a - b >= 0 => less(a, b) = 0
less_means                less(a, b) = 1 => b - a > 0
not_less_means            less(a, b) = 0 => a - b >= 0
delta_is_indicator        delta(a, b) * delta(a, b) = delta(a, b)
delta_symmetric           delta(a, b) = delta(b, a)
delta_same                delta(a, a) = 1
delta_differs             a - b != 0 => delta(a, b) = 0
delta_means               delta(a, b) = 1 => a = b
delta_not_means           delta(a, b) = 0 => a - b != 0
delta_permuted            permutation s n; a in n; b in n => delta(s[a], s[b]) = delta(a, b)
one_positive              1 > 0
sum_positive              a > 0; b > 0 => a + b > 0
sum_with_nonnegative      a > 0; b >= 0 => a + b > 0
product_positive          a > 0; b > 0 => a * b > 0
quotient_positive         a > 0; b > 0 => a / b > 0
total_positive            n > 0; every j < n: f[j] > 0 => sum(j < n: f[j]) > 0
positive_is_nonzero       a > 0 => a != 0
positive_is_nonnegative   a > 0 => a >= 0
zero_nonnegative          0 >= 0
size_nonnegative          n >= 0
square_nonnegative        a * a >= 0
sum_nonnegative           a >= 0; b >= 0 => a + b >= 0
product_nonnegative       a >= 0; b >= 0 => a * b >= 0
quotient_nonnegative      a >= 0; b >= 0 => a / b >= 0
total_nonnegative         every j < n: f[j] >= 0 => sum(j < n: f[j]) >= 0
index_is_integer          a in n => integer a
index_nonnegative         a in n => a >= 0
index_at_most             a in n + 1 => n - a >= 0
index_below               a in n => n - a > 0
integer_difference        integer a; integer b => integer a - b
first_in_range            n > 0 => 0 in n
range_widened             a in m => a in m + n
range_shifted             a in n => m + a in m + n
range_tiled               a in m; b in n => a * n + b in m * n
permutation_stays         permutation s n; a in n => s[a] in n

## order of the reals
maximum_reflected         max(0, a) - max(0, -a) = a
maximum_scaled            c > 0 => max(0, c * a) = c * max(0, a)
maximum_by_step           max(0, a) = less(0, a) * a

## π > 0
pi_positive               pi > 0

## exp(a+b) = exp(a)·exp(b), exp > 0
exp_positive              exp(a) > 0

## square root
root_positive             a > 0 => sqrt(a) > 0
root_squared              a > 0 => sqrt(a) * sqrt(a) = a
root_scaled               c > 0 => sqrt(c**2 * a) = c * sqrt(a)

## trigonometric addition
sine_of_sum               sin(a + b) = sin(a) * cos(b) + cos(a) * sin(b)
cosine_of_sum             cos(a + b) = cos(a) * cos(b) - sin(a) * sin(b)
sine_of_difference        sin(a - b) = sin(a) * cos(b) - cos(a) * sin(b)
cosine_of_difference      cos(a - b) = cos(a) * cos(b) + sin(a) * sin(b)

## unit circle
unit_circle               sin(a)**2 + cos(a)**2 = 1
cosine_at_zero            cos(0) = 1

## period of sine and cosine
whole_turns               sin(a) = sin(b); cos(a) = cos(b) => a - b = 2 * pi * turns[a, b]
turns_are_whole           integer turns[a, b]

## π is irrational
pi_irrational             a = 2 * pi * b; integer a; integer b => a = 0

## log inverts exp
logarithm_of_exp          log(exp(a)) = a
exp_of_logarithm          a > 0 => exp(log(a)) = a

## erf and tanh are odd
erf_odd                   erf(-a) = -erf(a)
tanh_odd                  tanh(-a) = -tanh(a)

## |tanh| < 1
tanh_below_one            1 - tanh(a) > 0

## derivatives of elementary functions
derivative_unique         slope(t: f[t]; p) = u; slope(t: f[t]; p) = v => u = v
derivative_of_constant    slope(t: c; p) = 0
derivative_of_variable    slope(t: t; p) = 1
derivative_of_sum         slope(t: f[t]; p) = u; slope(t: g[t]; p) = v => slope(t: f[t] + g[t]; p) = u + v
derivative_of_difference  slope(t: f[t]; p) = u; slope(t: g[t]; p) = v => slope(t: f[t] - g[t]; p) = u - v
derivative_of_negative    slope(t: f[t]; p) = u => slope(t: -f[t]; p) = -u
derivative_of_product     slope(t: f[t]; p) = u; slope(t: g[t]; p) = v => slope(t: f[t] * g[t]; p) = u * g[p] + f[p] * v
derivative_of_quotient    slope(t: f[t]; p) = u; slope(t: g[t]; p) = v; g[p] != 0
                          => slope(t: f[t] / g[t]; p) = (u - f[p] / g[p] * v) / g[p]
derivative_of_total       every j < n: slope(t: f[t, j]; p) = g[j] => slope(t: sum(j < n: f[t, j]); p) = sum(j < n: g[j])
derivative_of_exp         slope(t: f[t]; p) = u => slope(t: exp(f[t]); p) = exp(f[p]) * u
derivative_of_log         slope(t: f[t]; p) = u; f[p] > 0 => slope(t: log(f[t]); p) = u / f[p]
derivative_of_root        slope(t: f[t]; p) = u; f[p] > 0 => slope(t: sqrt(f[t]); p) = u / (2 * sqrt(f[p]))
derivative_of_tanh        slope(t: f[t]; p) = u => slope(t: tanh(f[t]); p) = (1 - tanh(f[p])**2) * u
derivative_of_erf         slope(t: f[t]; p) = u => slope(t: erf(f[t]); p) = 2 / sqrt(pi) * exp(-(f[p]**2)) * u
derivative_of_step        slope(t: f[t]; p) = u; f[p] != 0 => slope(t: less(0, f[t]); p) = 0
"""


class Law(NamedTuple):
    """A row of the table."""

    hypotheses: tuple[Node, ...]
    conclusion: Node
    axioms: frozenset[str]


@cache
def laws() -> dict[str, Law]:
    """The table, read."""
    table: dict[str, Law] = {}
    axioms: frozenset[str] = frozenset()
    for row in _rows():
        if row.startswith("## "):
            axioms = frozenset() if row == "## -" else frozenset((row.removeprefix("## "),))
            continue
        name, statement = row.split(maxsplit=1)
        if name in table:
            raise CheckError(f"law {name!r} stands in the table twice")
        table[name] = Law(*sequent(statement), axioms)
    return table


def _rows() -> list[str]:
    """The rows, each with the lines that continue it."""
    rows: list[str] = []
    for line in TABLE.splitlines():
        if line.startswith(" "):
            rows[-1] += line
        elif line:
            rows.append(line)
    return rows
