"""The text of attention's gradient in tiles, for kernel files.

What it does: two passes over the tiles of a block of queries. The first has the sums of the weights and of weight times gradient of the
weight, the second the gradients, dK and dV added up block after block. Tiles are kept between the passes where they fit in KEPT_BYTES, else
they are computed again. The shift is 0 where inputs are of usual size and the sums of the weights lie between 2^-20 and 2^24 then, else it
is the largest score of the row: beyond, gradients divided by a sum would leave the normal numbers.
Guarantees: no array of queries × keys; blocks of a head are added in an order that the shapes alone decide. Lines ending in ``#? NAME`` and
``#! NAME`` are those of :mod:`numeric.schedules.attention_text`. Cannot see: whether a need is licensed.
"""

from __future__ import annotations

from kernelproof.numeric.schedules.attention_text import POWER, TILES, text_for

CONSTANTS = (
    "CACHE_BYTES = 1 << 20  # of a tile: about half of a core's second-level cache",
    "KEPT_BYTES = 1 << 25  # of all tiles of a block of queries that are kept",
    "HEAD_BLOCK = 0  # heads of a tile; 0: from the shapes, as the next two",
    "QUERY_BLOCK = 0  # queries of a tile",
    "KEY_BLOCK = 0  # keys of a tile",
    "KEPT_TILES = 0  # fewer tiles than this are kept from the first pass for the second; 0: than fit in KEPT_BYTES",
)

TILE = '''
def _tile(lead, n, m, itemsize, hiding):  #! window
def _tile(lead, n, m, itemsize):  #? window
    """Heads, queries and keys of a tile that fits in the cache, as tall as wide; some blocks of queries where they do not see all keys."""
    most = CACHE_BYTES // (512 * itemsize)
    rows = QUERY_BLOCK or (min(most, max(n // 2, 128)) if hiding else most)  #! window
    rows = QUERY_BLOCK or min(most, max(n // 2, 128))  #? window
    rows = max(-(-n // max(-(-n // rows), 1)), 1)
    columns = KEY_BLOCK or CACHE_BYTES // (rows * itemsize)
    columns = max(-(-m // max(-(-m // columns), 1)), 1)
    heads = HEAD_BLOCK or min(CACHE_BYTES // (rows * columns * itemsize), math.prod(lead) // 8)
    return max(min(heads, lead[-1]), 1), rows, columns
'''

ROOMS = '''
def _rooms(tiles, memory, heads, kept):
    """Memory for the weights of each tile and for their gradients, the same for all where they are not kept."""
    start, rooms = 0, []
    for rows, keys, _ in tiles:
        shape = heads, rows.stop - rows.start, keys.stop - keys.start
        stop = start + math.prod(shape)
        rooms.append(tuple(part[start:stop].reshape(shape) for part in memory))
        start = stop if kept else 0
    return rooms
'''

SCORES = '''
def _scores(q, across, tile, rows, keys, seen, bias):
    """The scores of a tile, -inf where a query does not see a key; q is scaled."""
    np.matmul(q[:, rows], across[:, :, keys], out=tile)
    if bias is not None:
        tile += bias[:, rows, keys]
    for some, visible in seen:
        tile[:, some] = np.where(visible, tile[:, some], -math.inf)


def _highest(q, across, tiles, rooms, bias):
    """The largest score of each row, 0 where it sees no key."""
    top = np.full(q.shape[:2], -math.inf, dtype=q.dtype)
    for (rows, keys, seen), (tile, _) in zip(tiles, rooms):
        _scores(q, across, tile, rows, keys, seen, bias)
        top[:, rows] = np.maximum(top[:, rows], np.max(tile, axis=2))
    return np.where(top == -math.inf, 0, top)[:, :, None]


def _weights(q, across, tile, rows, keys, seen, bias, shift):
    """exp(S - shift), 0 where a query does not see a key (attention.recomputed_weights); without a shift q is scaled by UNIT as well."""
    if shift is None:
        np.matmul(q[:, rows], across[:, :, keys], out=tile)
        POWER(tile, out=tile)
        for some, visible in seen:
            tile[:, some] *= visible
    else:
        _scores(q, across, tile, rows, keys, seen, bias)
        tile -= shift[:, rows]
        np.exp(tile, out=tile)
        tiny = {4: 2.0**-103}.get(tile.dtype.itemsize, 2.0**-970)  # its last place is the least normal number
        tile += tiny  # below that number nothing is left: products with it are slow
        tile -= tiny
'''

SUMS = '''
def _sums(q, across, grad, tiles, rooms, ones, bias, shift):
    """The sums over the keys of the weights, and of the weights times their gradients."""
    total, mixed = (np.zeros(q.shape[:2], dtype=q.dtype) for _ in range(2))
    for (rows, keys, seen), (weights, slopes) in zip(tiles, rooms):
        _weights(q, across[0], weights, rows, keys, seen, bias, shift)
        np.matmul(grad[:, rows], across[1][:, :, keys], out=slopes)
        total[:, rows] += np.matmul(weights, ones[: weights.shape[2]])
        mixed[:, rows] += np.einsum("hij,hij->hi", weights, slopes)
    return total, mixed
'''

BLOCK = '''
def _usual(part):
    """Whether what is not 0 can be multiplied by sums from 2^-20 to 2^24, and added up, without leaving the normal numbers."""
    size = np.absolute(part)
    return bool((np.max(size, initial=0) <= 2.0**24) & (np.min(np.where(size == 0, 1, size), initial=1) >= 2.0**-60))


def _normal(q, across):
    """Whether exponentials of some scores are normal numbers: products with others are slow."""
    return bool(np.min(np.matmul(q[:, :64], across[:, :, :512]), initial=0) >= -87 * UNIT)


def _block(q, k, grad, scale, across, d_q, d_k, d_v, tiles, rooms, kept, parts, bias, usual):
    """The gradients of a block of queries, and what it adds to those of all keys and values.

    With E = exp(S - shift), l = Σ E and dP = grad·v the gradient of the scores is E·(dP - Σ E·dP / l)/l (attention.vjp).
    """
    scaled, shift, (part_q, part_k, part_v, ones), sound = q * (scale * UNIT), None, parts, False
    if bias is None and usual & _usual(q) & _usual(grad) & _normal(scaled, across[0]):
        total, mixed = _sums(scaled, across, grad, tiles, rooms, ones, bias, shift)
        sound = np.isfinite(np.sum(mixed)) & (np.min(total, initial=1) >= 2.0**-20) & (np.max(total, initial=1) <= 2.0**24)
    if not sound:
        scaled = q * scale
        shift = _highest(scaled, across[0], tiles, rooms, bias)
        total, mixed = _sums(scaled, across, grad, tiles, rooms, ones, bias, shift)
    share = 1 / np.where(total == 0, math.inf, total)[:, :, None]  # a row that sees no key gives zeros
    mean, given, asked = mixed[:, :, None] * share, grad * share, q * (scale * share)
    d_q[...] = 0
    for (rows, keys, seen), (weights, slopes) in reversed(list(zip(tiles, rooms))):
        if not kept:
            _weights(scaled, across[0], weights, rows, keys, seen, bias, shift)
            np.matmul(grad[:, rows], across[1][:, :, keys], out=slopes)
        slopes -= mean[:, rows]
        slopes *= weights
        d_v[:, keys] += np.matmul(np.swapaxes(weights, 1, 2), given[:, rows], out=part_v[:, : weights.shape[2]])
        d_k[:, keys] += np.matmul(np.swapaxes(slopes, 1, 2), asked[:, rows], out=part_k[:, : weights.shape[2]])
        d_q[:, rows] += np.matmul(slopes, k[:, keys], out=part_q[:, : weights.shape[1]])
    d_q *= scale * share
'''

MEMORY = '''
def _memory(free, heads, count, shapes, dtype):
    """One array, that of a job before if there is one, and parts of it: of each shape, for so many of the heads that it has room for."""
    starts = [0]
    for shape in shapes:
        starts.append(starts[-1] + heads * math.prod(shape))
    try:
        memory = free.pop()
    except IndexError:
        memory = np.empty((starts[-1],), dtype=dtype)
    parts = (memory[start : start + count * math.prod(shape)] for start, shape in zip(starts, shapes))
    return memory, [part.reshape((count, *shape)) for part, shape in zip(parts, shapes)]
'''

ATTEND = '''
def _attend_vjp(q, k, v, grad, scale, allow, bias, ahead):
    """Gradients of softmax(scale·q·k)·v: q (..., heads, g, n, d), g queries for the same key and value; query i sees keys up to i + ahead.

    A job takes a few heads and some of their blocks of queries, one after the other; the dK and dV of its jobs are added up in order.
    """
    (group, n, d), (m, e), dtype = q.shape[-3:], v.shape[-2:], q.dtype
    plain = np.broadcast_shapes(q.shape[:-3], k.shape[:-2], v.shape[:-2])
    lead = np.broadcast_shapes((1,), plain)
    q, grad = (np.broadcast_to(part, lead + part.shape[-3:]) for part in (q, grad))
    k, v = (np.broadcast_to(part, lead + part.shape[-2:]) for part in (k, v))
    allow, bias = (part if part is None else np.broadcast_to(part, (*lead, group, n, m)) for part in (allow, bias))
    heads, rows, columns = _tile(lead, n, m, dtype.itemsize, ahead < m)  #! window
    heads, rows, columns = _tile(lead, n, m, dtype.itemsize)  #? window
    blocks, batches, others = -(-n // rows), -(-lead[-1] // heads), list(np.ndindex(*lead[:-1]))
    most = KEPT_TILES or KEPT_BYTES // (2 * heads * rows * columns * dtype.itemsize) + 1
    enough, affordable = 8 // max(len(others) * batches, 1), KEPT_BYTES // (heads * m * (d + e) * dtype.itemsize + 1)
    jobs = max(min(enough, group * blocks, max(affordable, 2)), 1)
    d_q, ones = np.empty(q.shape, dtype=dtype), np.ones(columns, dtype=dtype)
    near = np.tri(columns if ahead < m else 0, dtype=dtype)  #! window
    near = np.tri(columns, dtype=bool)  #? window
    d_k, d_v = ([np.zeros(part.shape, dtype=dtype) for _ in range(jobs)] for part in (k, v))
    free, tile = deque(), (rows * min(max(most, 1) * columns, m),)
    shapes = tile, tile, (d, m), (e, m), (rows, d), (columns, d), (columns, e)

    def work(number):
        batch, job = number // jobs, number % jobs
        other, some = others[batch // batches], slice(batch % batches * heads, (batch % batches + 1) * heads)
        keys, values, to_k, to_v = np.ascontiguousarray(k[other][some]), v[other][some], d_k[job][other][some], d_v[job][other][some]
        memory, (weights, slopes, *across, part_q, part_k, part_v) = _memory(free, heads, len(keys), shapes, dtype)
        across[0][...], across[1][...], parts = np.swapaxes(keys, 1, 2), np.swapaxes(values, 1, 2), (part_q, part_k, part_v, ones)
        usual = _usual(keys) & _usual(values)
        for at in range(job, group * blocks, jobs):
            one, first = at // blocks, at % blocks * rows
            block = slice(first, min(first + rows, n))
            asked, given = (np.ascontiguousarray(part[other][some, one, block]) for part in (q, grad))
            tiles = list(_tiles(first, block.stop, m, columns, ahead{behind}, near, None if allow is None else allow[other][some, one]))
            rooms, kept = _rooms(tiles, (weights.reshape(-1), slopes.reshape(-1)), len(keys), len(tiles) < most), len(tiles) < most
            added = None if bias is None else bias[other][some, one, block]
            _block(asked, keys, given, scale, across, d_q[other][some, one, block], to_k, to_v, tiles, rooms, kept, parts, added, usual)
        free.append(memory)

    _each(len(others) * batches * jobs, work)
    for total, *more in (d_k, d_v):
        for other in more:
            total += other
    return d_q.reshape((*plain, group, n, d)), d_k[0].reshape((*plain, m, d)), d_v[0].reshape((*plain, m, e))
'''


def helpers(needs: frozenset[str], behind: str = "") -> tuple[str, ...]:
    """The helper functions for these needs. ``behind`` is the width of a window."""
    width = f", {behind}" if behind else ""
    plain = (text_for(text, needs) for text in (TILE, TILES, ROOMS, SCORES, SUMS, BLOCK, MEMORY))
    return (POWER, *plain, text_for(ATTEND, needs, behind=width))
