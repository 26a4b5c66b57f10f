"""The text of attention's gradient in tiles, for kernel files.

What it does: two passes over the tiles of a block of queries. The first has the sums of the weights and of weight times gradient of the
weight, the second the gradients, dK and dV added up block after block. Tiles are kept between the passes where they fit in KEPT_BYTES, else
they are computed again. The shift is 0 where inputs are of usual size and the sums of the weights lie between 2^-20 and 2^24 then, else it
is the largest score of the row, a sink among them: beyond, gradients divided by a sum would leave the normal numbers. What a score is
after the product, and how it moves with it, is the kernel's own ``finish(tile, slopes)``.
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

SIZES = '''
def _sizes(lead, n, m, itemsize, hiding):  #! window
def _sizes(lead, n, m, itemsize):  #? window
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
    """Memory for the weights of each tile, for their gradients, …: the same for all where they are not kept."""
    start, rooms = 0, []
    for rows, keys, _ in tiles:
        shape = heads, rows.stop - rows.start, keys.stop - keys.start
        stop = start + math.prod(shape)
        rooms.append(tuple(part[start:stop].reshape(shape) for part in memory))
        start = stop if kept else 0
    return rooms
'''

SCORES = '''
def _masked(q, across, room, rows, keys, seen, bias{form}):
    """The scores of a tile, -inf where a query does not see a key; q is scaled."""
    tile = room[0]
    np.matmul(q[:, rows], across[:, :, keys], out=tile)
    finish(tile, room[2])  #? steps
    tile += slope[:, None, None] * (apart[: tile.shape[1], : tile.shape[2]] + (keys.start - rows.start - start))  #? alibi
    if bias is not None:
        tile += bias[:, rows, keys]
    for some, visible in seen:
        tile[:, some] = np.where(visible, tile[:, some], -math.inf)


def _highest(q, across, tiles, rooms, bias{sink}{form}):
    """The largest score of each row, 0 where it sees no key."""  #! sink
    """The largest score of each row, its sink among them."""  #? sink
    top = np.full(q.shape[:2], -math.inf, dtype=q.dtype)
    top[...] = sink[:, None]  #? sink
    for (rows, keys, seen), room in zip(tiles, rooms):
        _masked(q, across, room, rows, keys, seen, bias{form})
        top[:, rows] = np.maximum(top[:, rows], np.max(room[0], axis=2))
    return np.where(top == -math.inf, 0, top)[:, :, None]


def _weights(q, across, room, rows, keys, seen, bias, shift{form}):
    """exp(S - shift), 0 where a query does not see a key (attention.recomputed_weights)."""
    tile = room[0]
    if shift is None:  # q is scaled by UNIT as well  #? exp2
    if shift is None:  #! exp2 #! alibi
        np.matmul(q[:, rows], across[:, :, keys], out=tile)  #! alibi
        POWER(tile, out=tile)  #? exp2
        finish(tile, room[2])  #? steps #! alibi
        np.exp(tile, out=tile)  #? steps #! alibi
        for some, visible in seen:  #! alibi
            tile[:, some] *= visible  #! alibi
        return  #! alibi
    _masked(q, across, room, rows, keys, seen, bias{form})
    tile -= shift[:, rows]
    np.exp(tile, out=tile)
    tiny = {4: 2.0**-103}.get(tile.dtype.itemsize, 2.0**-970)  # its last place is the least normal number
    tile += tiny  # below that number nothing is left: products with it are slow
    tile -= tiny
'''

SUNK = '''
def _sunk(sink, shift):
    """exp(sink - shift) of each row (attention.sinks)."""
    return np.exp(sink)[:, None] if shift is None else np.exp(sink[:, None] - shift[:, :, 0])  #! alibi
    return np.exp(sink[:, None] - shift[:, :, 0])  #? alibi
'''

SUMS = '''
def _sums(q, across, grad, tiles, rooms, ones, bias, shift{sink}{form}):
    """The sums over the keys of the weights, and of the weights times their gradients."""
    total, mixed = (np.zeros(q.shape[:2], dtype=q.dtype) for _ in range(2))
    for (rows, keys, seen), room in zip(tiles, rooms):
        weights, slopes = room[:2]
        _weights(q, across[0], room, rows, keys, seen, bias, shift{form})
        np.matmul(grad[:, rows], across[1][:, :, keys], out=slopes)
        total[:, rows] += np.matmul(weights, ones[: weights.shape[2]])
        mixed[:, rows] += np.einsum("hij,hij->hi", weights, slopes)
    total += _sunk(sink, shift)  #? sink
    return total, mixed
'''

USUAL = '''
def _usual(part):
    """Whether what is not 0 can be multiplied by sums from 2^-20 to 2^24, and added up, without leaving the normal numbers."""
    size = np.absolute(part)
    return bool((np.max(size, initial=0) <= 2.0**24) & (np.min(np.where(size == 0, 1, size), initial=1) >= 2.0**-60))
'''

NORMAL = '''
def _normal(q, across):
    """Whether exponentials of some scores are normal numbers: products with others are slow."""
    return bool(np.min(np.matmul(q[:, :64], across[:, :, :512]), initial=0) >= -87 * UNIT)
'''

BLOCK = '''
def _block(q, k, grad, scale, across, d_q, d_k, d_v, tiles, rooms, kept, parts, bias{usual}{sinks}{form}):
    """The gradients of a block of queries, and what it adds to those of all keys and values.

    With E = exp(S - shift), l = Σ E and dP = grad·v the gradient of the scores is E·(dP - Σ E·dP / l)/l (attention.vjp).
    """
    scaled, shift, (part_q, part_k, part_v, ones), sound = q * (scale * UNIT), None, parts, False  #? exp2
    scaled, shift, (part_q, part_k, part_v, ones), sound = q * scale, None, parts, False  #! exp2 #! alibi
    if bias is None and usual & _usual(q) & _usual(grad) & _normal(scaled, across[0]):  #? exp2
    if bias is None and usual & _usual(q) & _usual(grad):  #! exp2 #! alibi
        total, mixed = _sums(scaled, across, grad, tiles, rooms, ones, bias, shift{sink}{form})  #! alibi
        sound = np.isfinite(np.sum(mixed)) & (np.min(total, initial=1) >= 2.0**-20) & (np.max(total, initial=1) <= 2.0**24)  #! alibi
    if not sound:  #! alibi
        scaled = q * scale  #! alibi
        shift = _highest(scaled, across[0], tiles, rooms, bias{sink}{form})  #! alibi
        total, mixed = _sums(scaled, across, grad, tiles, rooms, ones, bias, shift{sink}{form})  #! alibi
    scaled, (part_q, part_k, part_v, ones) = q * scale, parts  #? alibi
    shift = _highest(scaled, across[0], tiles, rooms, bias{sink}{form})  #? alibi
    total, mixed = _sums(scaled, across, grad, tiles, rooms, ones, bias, shift{sink}{form})  #? alibi
    share = 1 / np.where(total == 0, math.inf, total)[:, :, None]  # a row that sees no key gives zeros
    mean, given, asked = mixed[:, :, None] * share, grad * share, q * (scale * share)
    d_sink[...] = -np.sum(_sunk(sink, shift) * share[:, :, 0] * mean[:, :, 0], axis=1)  #? sink
    lost = np.sum(np.where((total == 0)[:, :, None], grad, 0), axis=1)  # of rows that see no key and gave the mean of all values  #? mean
    d_v += lost[:, None] / (d_v.shape[1] or math.inf)  #? mean
    d_q[...] = 0
    for (rows, keys, seen), room in reversed(list(zip(tiles, rooms))):
        weights, slopes = room[:2]
        if not kept:
            _weights(scaled, across[0], room, rows, keys, seen, bias, shift{form})
            np.matmul(grad[:, rows], across[1][:, :, keys], out=slopes)
        slopes -= mean[:, rows]
        slopes *= weights
        slopes *= room[2]  #? steps
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
def _attend_vjp(q, k, v, grad, scale, allow, bias, ahead{more}):
    """Gradients of softmax(scale·q·k)·v: q (..., heads, g, n, d), g queries for the same key and value; query i sees keys up to i + ahead.

    A job takes a few heads and some of their blocks of queries, one after the other; the dK and dV of its jobs are added up in order.
    """
    (group, n, d), (m, e), dtype = q.shape[-3:], v.shape[-2:], q.dtype
    plain = np.broadcast_shapes(q.shape[:-3], k.shape[:-2], v.shape[:-2])
    lead = np.broadcast_shapes((1,), plain)
    q, grad = (np.broadcast_to(part, lead + part.shape[-3:]) for part in (q, grad))
    k, v = (np.broadcast_to(part, lead + part.shape[-2:]) for part in (k, v))
    allow, bias = (part if part is None else np.broadcast_to(part, (*lead, group, n, m)) for part in (allow, bias))
    heads, rows, columns = _sizes(lead, n, m, dtype.itemsize, ahead < m)  #! window
    heads, rows, columns = _sizes(lead, n, m, dtype.itemsize)  #? window
    blocks, batches, others = -(-n // rows), -(-lead[-1] // heads), list(np.ndindex(*lead[:-1]))
    most = KEPT_TILES or KEPT_BYTES // (2 * heads * rows * columns * dtype.itemsize) + 1  #! steps
    most = KEPT_TILES or KEPT_BYTES // (3 * heads * rows * columns * dtype.itemsize) + 1  #? steps
    enough, affordable = 8 // max(len(others) * batches, 1), KEPT_BYTES // (heads * m * (d + e) * dtype.itemsize + 1)
    jobs = max(min(enough, group * blocks, max(affordable, 2)), 1)
    d_q, ones = np.empty(q.shape, dtype=dtype), np.ones(columns, dtype=dtype)
    near = np.tri(columns if ahead < m else 0, dtype=dtype)  #! window
    near = np.tri(columns, dtype=bool)  #? window
    d_k, d_v = ([np.zeros(part.shape, dtype=dtype) for _ in range(jobs)] for part in (k, v))
    apart = np.arange(columns).astype(dtype) - np.arange(rows).astype(dtype)[:, None]  # key - query in a tile  #? alibi
    d_sinks = np.zeros((*lead, group, blocks), dtype=dtype)  # of each block  #? sink
    free, tile = deque(), (rows * min(max(most, 1) * columns, m),)
    shapes = tile, tile, (d, m), (e, m), (rows, d), (columns, d), (columns, e)  #! steps
    shapes = tile, tile, tile, (d, m), (e, m), (rows, d), (columns, d), (columns, e)  #? steps

    def work(number):
        batch, job = number // jobs, number % jobs
        other, some = others[batch // batches], slice(batch % batches * heads, (batch % batches + 1) * heads)
        keys, values, to_k, to_v = np.ascontiguousarray(k[other][some]), v[other][some], d_k[job][other][some], d_v[job][other][some]
        memory, (*room, across_k, across_v, part_q, part_k, part_v) = _memory(free, heads, len(keys), shapes, dtype)
        room, across, parts = [part.reshape(-1) for part in room], (across_k, across_v), (part_q, part_k, part_v, ones)
        across_k[...], across_v[...] = np.swapaxes(keys, 1, 2), np.swapaxes(values, 1, 2)
        usual = _usual(keys) & _usual(values)  #! alibi
        for at in range(job, group * blocks, jobs):
            one, first = at // blocks, at % blocks * rows
            block = slice(first, min(first + rows, n))
            asked, given = (np.ascontiguousarray(part[other][some, one, block]) for part in (q, grad))
            tiles = list(_tiles(first, block.stop, m, columns, ahead{behind}, near, None if allow is None else allow[other][some, one]))
            rooms, kept = _rooms(tiles, room, len(keys), len(tiles) < most), len(tiles) < most
            added = None if bias is None else bias[other][some, one, block]
            to_q, to_sink = d_q[other][some, one, block], d_sinks[other][some, one, at % blocks]  #? sink
            to_q = d_q[other][some, one, block]  #! sink
            _block(asked, keys, given, scale, across, to_q, to_k, to_v, tiles, rooms, kept, parts, added{usual}{sinks}{form})
        free.append(memory)

    _each(len(others) * batches * jobs, work)
    for total, *more in (d_k, d_v):
        for other in more:
            total += other
    return d_q.reshape((*plain, group, n, d)), d_k[0].reshape((*plain, m, d)), d_v[0].reshape((*plain, m, e))  #! sink
    d_sinks = np.sum(d_sinks, axis=-1).reshape((*plain, group))  #? sink
    return d_q.reshape((*plain, group, n, d)), d_k[0].reshape((*plain, m, d)), d_v[0].reshape((*plain, m, e)), d_sinks  #? sink
'''


def helpers(needs: frozenset[str], behind: str = "") -> tuple[str, ...]:
    """The helper functions for these needs. ``behind`` is the width of a window."""

    def after(**names: str) -> str:
        return "".join(f", {name}" for need, some in names.items() if need in needs for name in some.split(", "))

    direct = "" if "alibi" in needs else ", usual"
    form, sink = after(steps="finish", alibi="slope, apart, start"), after(sink="sink")
    texts = (SIZES, TILES, ROOMS, SCORES, *((SUNK,) if "sink" in needs else ()), SUMS)
    texts += (*((USUAL,) if direct else ()), *((NORMAL,) if "exp2" in needs else ()), MEMORY)
    width, more = f", {behind}" if behind else "", after(sink="sinks", steps="finish", alibi="slopes, offset")
    given, sinks = after(steps="finish", alibi="slopes[some, one], apart, first + offset"), after(sink="sinks[some, one], to_sink")
    return (
        *((POWER,) if "exp2" in needs else ()), *(text_for(text, needs, form=form, sink=sink) for text in texts),
        text_for(BLOCK, needs, usual=direct, sinks=after(sink="sink, d_sink"), sink=sink, form=form),
        text_for(ATTEND, needs, behind=width, more=more, usual=direct, sinks=sinks, form=given),
    )
