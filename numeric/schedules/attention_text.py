"""The text of attention in tiles, for kernel files: which lines stand there depends on what a variant needs.

What it does: a tile is the scores of some queries and some keys; ``_attend`` shares blocks of queries among threads and goes through the
tiles of each. Where a cheap bound shows that no exponential can overflow the shift of the softmax is 0, and a tile is passed over once;
else it is the running maximum. Guarantees: no array of queries × keys; a tile that no query of the block sees is not computed, one that
all see is not masked. A line that ends in ``#? NAME`` stands only with that need, one in ``#! NAME`` only without; so :func:`text_for`.
Cannot see: whether a need is licensed; :mod:`numeric.schedules.attention` names the theorems.
"""

from __future__ import annotations

import re

NEEDS = ("exp2", "window", "alibi", "sink", "steps", "mean", "nan", "joined", "grouped", "turned")

POWER = '''
def _exp2_is_fast():
    """Whether NumPy's exp2 is vectorised here, on Linux with AVX-512, and takes half of the time of exp."""
    found = np.show_config(mode="dicts")
    simd, host = found.get("SIMD Extensions", {}), found.get("Machine Information", {}).get("host", {})
    names = {*simd.get("baseline", ()), *simd.get("found", ())}
    return bool(names & {"AVX512_SKX", "X86_V4"}) and host.get("system") == "linux"


# exp(x) = exp2(x·UNIT)  (attention.power_of_two)
POWER, UNIT = (np.exp2, 1.0 / math.log(2.0)) if _exp2_is_fast() else (np.exp, 1.0)
'''

TILE = '''
def _tile(lead, n, m, itemsize, hiding):  #! window
def _tile(lead, n, m, itemsize):  #? window
    """Heads, queries and keys of a tile that fits in the cache: tall, but some jobs also where few heads share them."""
    count = math.prod(lead)
    rows = QUERY_BLOCK or max(min(CACHE_BYTES // (256 * itemsize), n * count // 8), 128)
    rows = max(-(-n // max(-(-n // rows), 1)), 1)
    columns = KEY_BLOCK or max(min(CACHE_BYTES // itemsize, rows * rows // 4 if hiding else n * m) // rows, 128)  #! window
    columns = KEY_BLOCK or max(min(CACHE_BYTES // itemsize, rows * rows // 4) // rows, 128)  #? window
    columns = max(-(-m // max(-(-m // columns), 1)), 1)
    heads = HEAD_BLOCK or min(CACHE_BYTES // (rows * columns * itemsize), count // 8)
    return max(min(heads, lead[-1]), 1), rows, columns
'''

TILES = '''
def _tiles(first, stop, m, width, ahead, behind, near, allow):  #? window
def _tiles(first, stop, m, width, ahead, near, allow):  #! window
    """Tiles of a block of queries: its rows, its keys, and (rows, what they see) where that is not all.

    Query i sees key j if i + ahead - behind < j <= i + ahead. Keys that no row sees have weight 0 (attention.masked_weight).  #? window
    Query i sees key j if j <= i + ahead. Keys that no row sees have weight 0 (attention.masked_weight).  #! window
    """
    low, high = max(first + ahead - behind + 1, 0), min(stop + ahead, m)  #? window
    low, high = 0, min(stop + ahead, m)  #! window
    for left in range(low, high, width):
        right, top = min(left + width, high), max(first, left - ahead)
        bottom = min(stop, right - 1 - ahead + behind)  #? window
        bottom = stop  #! window
        rows, count, at, seen = bottom - top, right - left, top + ahead - left, []
        edge = min(rows, count - 1 - at)  # these rows do not see the last keys yet
        if edge > 0:
            seen.append((slice(0, edge), near[at : at + edge, :count]))
        edge = behind - at  # from here on rows no longer see the first keys  #? window
        if edge < rows:  #? window
            seen.append((slice(edge, rows), ~near[at + edge - behind : at + rows - behind, :count]))  #? window
        if allow is not None:
            seen.append((slice(0, rows), allow[:, top:bottom, left:right]))
        yield slice(top - first, bottom - first), slice(left, right), seen
'''

WITHIN = '''
def _within(q, k{arguments}):
    """Whether no weight with shift 0 can underflow: scores are within ±60, by |Σ_c q[c]·k[c]| <= |q|·|k| (Cauchy, Schwarz)."""
    reach = [np.sqrt(np.max(np.einsum("hic,hic->hi", part, part), initial=2.0**-100)) for part in (q, k)]
    return bounded(reach[0] * reach[1]) <= 60  #? steps
    return reach[0] * reach[1] <= 60  #! steps
'''

ATTEND = '''
def _attend(q, k, v, scale, allow, bias, ahead{more}):
    """Softmax of scale·q·k over the keys, times v; a job is a few heads (the last leading axis) and a block of queries, tile by tile.

    Tiles at any shifts give the whole (attention.online_tiles_l, attention.online_tiles_o); query i sees keys up to i + ahead.
    """
    n, m, dtype = q.shape[-2], k.shape[-2], q.dtype
    plain = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    lead = np.broadcast_shapes((1,), plain)
    q, k, v = (np.broadcast_to(part, lead + part.shape[-2:]) for part in (q, k, v))
    allow, bias = (part if part is None else np.broadcast_to(part, (*lead, n, m)) for part in (allow, bias))
    sinks = np.broadcast_to(sinks, lead)  #? sink
    slopes = np.broadcast_to(slopes, lead)  #? alibi
    out = np.zeros((*lead, n, v.shape[-1]), dtype=dtype)  #! joined
    out = np.swapaxes(np.zeros((*lead[:-1], n, lead[-1], v.shape[-1]), dtype=dtype), -3, -2)  # heads side by side  #? joined
    heads, rows, columns = _tile(lead, n, m, dtype.itemsize, ahead < m)  #! window
    heads, rows, columns = _tile(lead, n, m, dtype.itemsize)  #? window
    blocks, groups, others = -(-n // rows), -(-lead[-1] // heads), list(np.ndindex(*lead[:-1]))
    ones, near = np.ones(columns, dtype=dtype), np.tri(columns if ahead < m else 0, dtype=bool)  #! window
    ones, near = np.ones(columns, dtype=dtype), np.tri(columns, dtype=bool)  #? window

    apart = np.arange(columns).astype(dtype) - np.arange(rows).astype(dtype)[:, None]  # key - query in a tile  #? alibi

    def work(number):
        group, first = number // blocks, (blocks - 1 - number % blocks) * rows
        other, some = others[group // groups], slice(group % groups * heads, (group % groups + 1) * heads)
        block = slice(first, min(first + rows, n))
        queries, keys, values, result = q[other][some, block], k[other][some], v[other][some], out[other][some, block]
        tiles = list(_tiles(first, block.stop, m, columns, ahead{behind}, near, None if allow is None else allow[other][some]))
        room = np.empty(math.prod(queries.shape[:2]) * columns, dtype=dtype), np.empty(result.shape, dtype=dtype), ones
        added = [] if bias is None else [bias[other][some, block]]
        if added or not _direct(queries, keys, values, scale, result, tiles, room{direct}):  #! alibi
            _online(queries, keys, values, scale, result, tiles, room, added{online})  #! alibi
        _online(queries, keys, values, scale, result, tiles, room, added{online})  #? alibi

    _each(len(others) * groups * blocks, work)
    return out.reshape((*plain, n, v.shape[-1]))
'''

SCORES = '''
def _scores(q, k, room):  #! steps
def _scores(q, k, room, finish):  #? steps
    """The scores of a tile, in the memory kept for it."""
    shape = (*q.shape[:2], k.shape[1])
    tile = room[: math.prod(shape)].reshape(shape)
    np.matmul(q, np.swapaxes(k, 1, 2), out=tile)
    finish(tile)  #? steps
    return tile
'''

DIRECT = '''
def _direct(q, k, v, scale, out, tiles, room{arguments}{bounded}):
    """Shift 0 (attention.score_shift); whether it did: nothing overflowed, no row's sum is so small that digits may have underflowed."""
    scaled, total, (memory, part, ones) = q * (scale * UNIT), np.zeros(q.shape[:2], dtype=q.dtype), room  #? exp2
    scaled, total, (memory, part, ones) = q * scale, np.zeros(q.shape[:2], dtype=q.dtype), room  #! exp2
    for number, (rows, keys, seen) in enumerate(tiles):
        weights = _scores(scaled[:, rows], k[:, keys], memory{finish})
        if number == 0 and max(np.max(weights[:, ::8], initial=0), -np.min(weights[:, ::8], initial=0)) > 87 * UNIT:  #? exp2 #! steps
        if number == 0 and max(np.max(weights[:, ::8], initial=0), -np.min(weights[:, ::8], initial=0)) > 87:  #! exp2 #! steps
            return False  # exponentials that are no normal numbers make products slow, or overflow  #! steps
        POWER(weights, out=weights)  #? exp2
        np.exp(weights, out=weights)  #! exp2
        for some, visible in seen:
            weights[:, some] *= visible
        if number == 0:
            np.matmul(weights, ones[: weights.shape[2]], out=total[:, rows])
            np.matmul(weights, v[:, keys], out=out[:, rows])
        else:
            total[:, rows] += np.matmul(weights, ones[: weights.shape[2]])
            out[:, rows] += np.matmul(weights, v[:, keys], out=part[:, : weights.shape[1]])
    total += POWER(sink * UNIT)[:, None]  # attention.sinks  #? sink #? exp2
    total += np.exp(sink)[:, None]  # attention.sinks  #? sink #! exp2
    least, whole, sure = np.min(total, initial=1), np.max(total, initial=0) + np.sum(out), True  #! sink
    least, whole = np.min(total, initial=1), np.max(total, initial=0) + np.sum(out)  #? sink
    if least == 0:  # rows that see no key, if no weight of a key can underflow to 0  #! sink
        sure, total[total == 0] = _within(q * scale, k{bounded}), math.inf  #! sink
        least = np.min(total, initial=1)  #! sink
    _divide(out, total, v)  #? mean
    _divide(out, total)  #! mean
    return bool(np.isfinite(whole) & sure & (least >= 2.0**-20))  #! sink
    return bool(np.isfinite(whole) & (least >= 2.0**-20))  #? sink
'''

ONLINE = '''
def _online(q, k, v, scale, out, tiles, room, added{arguments}):
    """The running maximum as the shift: what was summed is rescaled where it grows (attention.online_step, attention.online_m)."""
    scaled, total, (memory, part, ones) = q * scale, np.zeros(q.shape[:2], dtype=q.dtype), room
    out[...], top = 0, np.full(q.shape[:2], -math.inf, dtype=q.dtype)
    tiny = {4: 2.0**-103}.get(q.dtype.itemsize, 2.0**-970)  # its last place is the least normal number
    top[...], total[...] = sink[:, None], np.where(np.isneginf(sink), 0, 1)[:, None]  # the first key (attention.sinks)  #? sink
    for rows, keys, seen in tiles:
        weights = _scores(scaled[:, rows], k[:, keys], memory{finish})
        distance = apart[: weights.shape[1], : weights.shape[2]] + (keys.start - rows.start - start)  #? alibi
        weights += slope[:, None, None] * distance  #? alibi
        for bias in added:
            weights += bias[:, rows, keys]
        for some, visible in seen:
            weights[:, some] = np.where(visible, weights[:, some], -math.inf)
        highest = np.maximum(top[:, rows], np.max(weights, axis=2))
        shift = np.where(highest == -math.inf, 0, highest)  # no key seen yet
        weights -= shift[:, :, None]
        np.exp(weights, out=weights)
        weights += tiny  # below the least normal number nothing is left: products with such numbers are slow
        weights -= tiny
        past, top[:, rows] = np.exp(top[:, rows] - shift), highest
        total[:, rows] *= past
        total[:, rows] += np.matmul(weights, ones[: weights.shape[2]])
        out[:, rows] *= past[:, :, None]
        out[:, rows] += np.matmul(weights, v[:, keys], out=part[:, : weights.shape[1]])
    total[total == 0] = math.inf
    _divide(out, total, v)  #? mean
    _divide(out, total)  #! mean
'''

DIVIDE = '''
def _divide(out, total, v):  #? mean
def _divide(out, total):  #! mean
    """One division at the end; a row that sees no key (its sum is set to infinity) gives zeros."""  #! mean #! nan
    """One division at the end; a row that sees no key gives the mean of values (attention.fully_masked_mean)."""  #? mean
    """One division at the end; a row that sees no key (its sum is infinity) gives NaN."""  #? nan
    out /= total[:, :, None]
    out[...] = np.where((total == math.inf)[:, :, None], math.nan, out)  #? nan
    out[...] = np.where((total == math.inf)[:, :, None], (np.sum(v, axis=1) / (v.shape[1] or math.inf))[:, None], out)  #? mean
'''


def text_for(template: str, needs: frozenset[str], **names: str) -> str:
    """The template with the lines that stand there for these needs, and names put in."""
    lines = []
    for line in template.split("\n"):
        marks = re.findall(r" #([?!]) (\w+)", line)
        assert all(name in NEEDS for _, name in marks), line
        if all((name in needs) == (kind == "?") for kind, name in marks):
            lines.append(re.sub(r"(?: +#[?!] \w+)+$", "", line))
    made = "\n".join(lines)
    for name, code in names.items():
        made = made.replace(f"{{{name}}}", code)
    return made


def helpers(needs: frozenset[str], behind: str = "") -> tuple[str, ...]:
    """The helper functions for these needs. ``behind`` is the width of a window."""
    steps = ("steps",) if "steps" in needs else ()
    sink = ("sink",) if "sink" in needs else ()
    of_head = ("sinks[other][some]",) if sink else ()
    finish = ("finish",) if steps else ()
    online = (*of_head, *finish, *(("slopes[other][some]", "apart", "first + offset") if "alibi" in needs else ()))
    own = (*sink, *finish, *(("slope", "apart", "start") if "alibi" in needs else ()))

    def after(*names: str) -> str:
        return "".join(f", {name}" for name in names)

    bounded = ("bounded",) if steps else ()
    passed = () if sink else bounded
    more = (*(("sinks",) if sink else ()), *(("slopes", "offset") if "alibi" in needs else ()), *finish, *passed)
    within = text_for(WITHIN, needs, arguments=after(*bounded))
    direct = text_for(DIRECT, needs, arguments=after(*sink, *finish), finish=after(*finish), bounded=after(*passed))
    return (
        *((POWER,) if "exp2" in needs else ()),
        *(text_for(template, needs) for template in (TILE, TILES, SCORES, DIVIDE)),
        *(() if {"alibi", "sink"} & needs else (within,)), *(() if "alibi" in needs else (direct,)),
        text_for(ONLINE, needs, arguments=after(*own), finish=after(*finish)),
        text_for(
            ATTEND, needs, more=after(*more), behind=after(*((behind,) if behind else ())), direct=after(*of_head, *finish, *passed),
            online=after(*online),
        ),
    )
