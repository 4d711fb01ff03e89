"""Decodes blocks of columns: raw, fast and small, written from common/codec/README.md alone and in its words. It shares no code
with Fogline, so it tells whether that document is enough, and serves as a second opinion on every golden block.

    times, columns = decode(encoding, rows, time_first_ns, Set(types, bounds, time_start, starts), body)

A column is (cells, qualities), both one entry a row. A cell is None when absent, else the 64 bits of a double, a signed int64, 0 or
1 for bool, bytes for text. Whatever is inconsistent raises Damaged and nothing else. Slow, and meant to be read."""
import struct

from block_coders import CHANGE_ADDED, CHANGE_AS_STARTED, CHANGE_LEFT, Fast, Small, quality_runs
from block_starts import (BITS, BOUNDED, FLOAT, MAX_ENTRIES, MAX_PREDICTOR, NO_RANKS, RANKS_OF_DIFFERENCES, RANKS_OF_VALUES, TYPES,
                          Bytes, Damaged, Set, bits_of, check, from_order, near, need, need_rise, order, signed)

RAW, FAST, SMALL = 1, 2, 3
MAX_ROWS = 4096
__all__ = ["RAW", "FAST", "SMALL", "Damaged", "Set", "check", "decode"]


def spread(cells, absent):
    """Puts the present cells into their rows."""
    cells = iter(cells)
    return [None if a else next(cells) for a in absent]


# ---- the raw encoding ----

def raw_offsets(data, width, n):
    """Base, and base + offset of n cells."""
    base = data.i64()
    cells = [base + data.number(width) for _ in range(n)]
    need(all(c == signed(c) for c in cells), "beyond int64")
    return base, cells


def raw_times(data, rows):
    width = data.u8()
    if width == 0:
        base, step = data.i64(), data.i64()
        need(base + (rows - 1) * step == signed(base + (rows - 1) * step), "beyond int64")
        return [base + i * step for i in range(rows)]
    need(width in (1, 2, 4, 8), "width")
    return raw_offsets(data, width, rows)[1]


def raw_doubles(data, form, n):
    if form == 0:
        return [data.number(8) for _ in range(n)]
    if form == 1:
        return [data.number(8)] * n
    need(form == 2, "form")
    head = data.u8()
    width, exponent = head & 15, head >> 4
    need(width in (0, 1, 2, 4) and exponent <= 9, "width or exponent")
    base, cells = raw_offsets(data, width, n)
    need(-1 << 51 <= base < 1 << 51, "base")
    return [bits_of(float(c) / float(10 ** exponent)) for c in cells]


def raw_cells(data, type_, form, n):
    if type_ == "double":
        return raw_doubles(data, form, n)
    need(form == 0, "form")
    if type_ == "int64":
        width = data.u8()
        need(width in (0, 1, 2, 4, 8), "width")
        return raw_offsets(data, width, n)[1]
    return data.bitmap(n) if type_ == "bool" else [data.take(data.u8()) for _ in range(n)]


def decode_raw(rows, set_, body):
    data, columns = Bytes(body), []
    times = raw_times(data, rows)
    for column in set_.columns:
        head = data.u8()
        need(TYPES[1:].index(column.type) + 1 == head & 7, "type")
        absent = data.bitmap(rows) if head & 8 else [0] * rows
        quality = quality_runs(data, rows, lambda d: (d.u8(), d.varint())) if head & 16 else [0] * rows
        n = absent.count(0)
        need(n or head >> 5 == 0, "form")
        columns.append((spread(raw_cells(data, column.type, head >> 5, n) if n else [], absent), quality))
    data.end()
    return times, columns


# ---- what fast and small share ----

def predict(predictor, v, c, residuals):
    """The y of the residuals, in order."""
    x1 = x2 = v
    mean, out = signed(v << 8), []
    for r in residuals:
        if predictor == 0:
            predicted = v
        elif predictor == 1:
            predicted = x1
        elif predictor == 2:
            predicted = 2 * x1 - x2
        elif predictor == 3:
            wrapped = signed(x1 - x2)
            predicted = x1 + (wrapped // 2 if wrapped >= 0 else -(-wrapped // 2))
        else:
            predicted = signed(mean + 128) >> 8
        y = signed(predicted + r)
        out.append(y)
        x1, x2 = y, x1
        if predictor >= 4:
            s = min(predictor - 3, (c + 1).bit_length() - 1)
            mean, c = signed(mean + (signed((y << 8) - mean) >> s)), c + 1
    return out


def of_ranks(ranks, dictionary):
    need(all(0 <= r < len(dictionary) for r in ranks), "rank outside the dictionary")
    return [dictionary[r] for r in ranks]


def ranks_in_force(start, change, mode, entries):
    """Rank mode and dictionary after the change that the block tells."""
    if change == CHANGE_AS_STARTED:
        return start.rank_mode, start.dictionary
    if change == CHANGE_LEFT:
        return NO_RANKS, []
    need_rise(entries)
    if change == CHANGE_ADDED:
        need(start.rank_mode != NO_RANKS, "nothing to add to")
        entries, mode = sorted(start.dictionary + entries), start.rank_mode
        need(len(entries) <= MAX_ENTRIES, "too many entries")
    return mode, entries


def sequence(coder, start, n):
    predictor, change, mode, entries = coder.plan(start)
    need(predictor <= MAX_PREDICTOR, "predictor")
    mode, dictionary = ranks_in_force(start, change, mode, entries)
    base = coder.base(start, mode, dictionary)
    if mode == RANKS_OF_DIFFERENCES:
        ranks = predict(predictor, near(0, dictionary), 0, coder.residuals(start, change, n - 1))
        x = [base]
        for d in of_ranks(ranks, dictionary):
            x.append(signed(x[-1] + d))
        return x
    if predictor == 0:
        y = predict(predictor, base, 0, coder.residuals(start, change, n))
    else:
        y = [base] + predict(predictor, base, 1, coder.residuals(start, change, n - 1))
    return of_ranks(y, dictionary) if mode == RANKS_OF_VALUES else y


def double_of(format_, i, step):
    kind, _, exponent = format_
    if kind == BITS:
        return from_order(signed(i << exponent))
    if kind == BOUNDED:
        return bits_of(float(i) * step)
    value = float(i) / float(10 ** exponent)
    return bits_of(struct.unpack("<f", struct.pack("<f", value))[0] if kind == FLOAT else value)


def doubles(coder, start, n):
    format_ = coder.format(start)
    integers = sequence(coder, start.in_force(format_), n)
    cells = [double_of(format_, i, start.bound * 1.999999999998) for i in integers]
    if format_[1]:
        cells = [from_order(signed(order(b) + u)) for b, u in zip(cells, coder.corrections(n))]
    for cell, bits in coder.exceptions(n).items():
        cells[cell] = bits
    return cells


def texts(coder, start, n):
    known = start.texts + coder.texts(n)
    indices = sequence(coder, start, n)
    need(all(0 <= i < len(known) for i in indices), "index of a text")
    return [known[i] for i in indices]


def integers_of_unit(coder, start, n):
    unit, offset = coder.unit(start)
    cells = [signed(offset + unit * i) for i in sequence(coder, start.in_force((unit, offset)), n)]
    need(start.type != "bool" or all(c in (0, 1) for c in cells), "bool")
    return cells


def decode_times(coder, start, rows, time_first_ns):
    times = [signed(time_first_ns + coder.first(rows))]
    for difference in integers_of_unit(coder, start, rows - 1) if rows > 1 else []:
        times.append(signed(times[-1] + difference))
    return times


def decode(encoding, rows, time_first_ns, set_, body):
    need(1 <= rows <= MAX_ROWS, "rows")
    if encoding == RAW:
        return decode_raw(rows, set_, body)
    need(encoding in (FAST, SMALL), "encoding")
    n_check = 2 if len(body) <= 66 else 4
    need(n_check <= len(body) and len(body) not in (67, 68), "length")
    coded = bytes(body[:-n_check])
    need(check(encoding, rows, time_first_ns, set_, coded) == body[-n_check:], "check")
    coder, columns = (Fast if encoding == FAST else Small)(coded), []
    times = decode_times(coder, set_.times, rows, time_first_ns)
    for column in set_.columns:
        absent, quality = coder.flags_of_rows(column.type, rows)
        n = absent.count(0)
        cells_of = {"double": doubles, "text": texts}.get(column.type, integers_of_unit)
        columns.append((spread(cells_of(coder, column, n) if n else [], absent), quality))
    coder.end()
    return times, columns
