"""The schedule of the embedding's gradient: each token's gradient added to the row that the token picked.

What it does: ``dtable[v] = Σ_i δ(v, ids[i])·g[i]`` is the product of a matrix with one 1 in each column, whose zeros are not stored, and
the gradients: one pass over the tokens in blocks on threads. Each block adds up its own table, and the tables are added in the order of
the blocks. Guarantees: the same bits whatever the number of threads, for blocks depend on the numbers of tokens and rows alone. Cannot
see: a vocabulary so large that eight tables do not fit in memory.
"""

from __future__ import annotations

from kernelproof.numeric.gradient_forms import GradientProgram
from kernelproof.numeric.schedules import threads
from kernelproof.numeric.schedules.plan import Plan
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient

CONSTANTS = (
    "CACHE_BYTES = 1 << 20  # about half of a core's second cache",
    "TOKEN_BLOCK = 0  # tokens in a block; 0: at most eight blocks, each of four times as many tokens as the table has rows",
    "ROW_BLOCK = 0  # rows of the tables that are added at once; 0: as many as fit in CACHE_BYTES",
)
HELPER = '''
def _scattered(ids, gradient, vocab):
    """Row v is the sum of the gradients of the tokens that picked v: the one-hot matrix of the tokens, transposed, times the gradients."""
    ones, starts = np.ones(ids.size, dtype=gradient.dtype), np.arange(ids.size + 1)
    return csr_array((ones, ids, starts), shape=(ids.size, vocab)).T @ gradient
'''
LINES = '''
vocab, d = table.shape
tokens = TOKEN_BLOCK or max(-(-ids.size // 8), 4 * vocab, 1)
tables = [None] * max(-(-ids.size // tokens), 1)

def scatter(number):
    block = slice(number * tokens, (number + 1) * tokens)
    tables[number] = _scattered(ids[block], grad_out[block], vocab)

_each(len(tables), scatter)
d_table, *others = tables
rows = ROW_BLOCK or max(CACHE_BYTES // max(d * work.itemsize, 1), 1)

def add(number):
    block = slice(number * rows, (number + 1) * rows)
    for other in others:
        d_table[block] += other[block]

_each(-(-vocab // rows) if others else 0, add)
'''


def embedding_gradient(found: Gradient, made: GradientProgram, signature: Signature) -> Plan | None:
    """The plan of the embedding's gradient."""
    if found.phase != "embedding":
        return None
    return Plan(
        tuple(LINES.strip().splitlines()),
        imports=("from scipy.sparse import csr_array", *threads.IMPORTS, threads.OPTIONAL_IMPORT),
        constants=(*CONSTANTS, *threads.CONSTANTS),
        helpers=(threads.HELPER, HELPER),
        licences=("embedding.vjp", "embedding.token_order"),
    )
