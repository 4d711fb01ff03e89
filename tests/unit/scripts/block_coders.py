"""The two ways in which blocks write down the same numbers: Fast and Small have the same functions, called in the same order.
In the words of common/codec/README.md, and from it alone; block_decoder.py says what for."""
from block_starts import (MASK, MAX_ENTRIES, NO_RANKS, RANKS_OF_DIFFERENCES, RANKS_OF_VALUES, Bytes, check_format, check_unit,
                          level_mean, near, need, signed, unzigzag)

CHANGE_AS_STARTED, CHANGE_ADDED, CHANGE_ANEW, CHANGE_LEFT = range(4)


def quality_runs(data, rows, run):
    """run reads (quality, length)."""
    quality = []
    while len(quality) < rows:
        q, length = run(data)
        need(q <= 3 and 1 <= length <= rows - len(quality), "quality runs")
        quality += [q] * length
    return quality


# ---- the fast encoding ----

class Fast:
    """Bytes and frames. first and flags_of_rows begin the times and a column, and read the flags of all that follows."""

    def __init__(self, coded):
        self.data, self.flags = Bytes(coded), 0

    def first(self, rows):
        self.flags = self.data.u8()
        need(self.flags & (1 | 2 | 8 | 128 if rows > 1 else 255) == 0, "flags of times")
        return self.data.varint()

    def flags_of_rows(self, type_, rows):
        self.flags = self.data.u8()
        never = {"double": 128, "int64": 8 | 128, "bool": 8 | 128, "text": 4 | 8}[type_]
        absent = self.data.bitmap(rows) if self.flags & 1 else [0] * rows
        need(self.flags & (never if 0 in absent else 255 - 1 - 2) == 0, "flags of a column")
        runs = self.flags & 2
        return absent, quality_runs(self.data, rows, lambda d: divmod(d.varint(), 4)[::-1]) if runs else [0] * rows

    def format(self, start):
        if self.flags & 4:
            kind, exponent = self.data.u8(), self.data.u8()
            need(kind < 16, "unknown kind")
            return check_format(kind & 7, kind >> 3, exponent, start.bound)
        need(start.warm, "no start")
        return start.format

    def unit(self, start):
        if self.flags & 4:
            return check_unit(start.type, self.data.varint(), self.data.varint())
        need(start.warm, "no start")
        return start.format

    def texts(self, present):
        return self.data.texts(present) if self.flags & 128 else []

    def plan(self, start):
        """Predictor, change of ranks, rank mode told, entries told."""
        change, predictor, mode, entries = self.flags >> 4 & 3, start.predictor, NO_RANKS, []
        if self.flags & 64:
            told = self.data.u8()
            predictor, mode = told & 15, told >> 4
        if change in (CHANGE_ADDED, CHANGE_ANEW):
            entries = self.data.entries()
        if change == CHANGE_ANEW:
            need(self.flags & 64 and mode in (RANKS_OF_VALUES, RANKS_OF_DIFFERENCES) and entries, "ranks anew")
        return predictor, change, mode, entries

    def base(self, start, mode, dictionary):
        if not start.warm:
            return signed(self.data.zigzag())
        return signed((near(start.center, dictionary) if mode == RANKS_OF_VALUES else start.center) + self.data.zigzag())

    def residuals(self, _start, _change, m):
        return [unzigzag(z) for z in self._frames(m)]

    def corrections(self, n):
        numbers = self._frames(n)
        need(all(z <= 16 for z in numbers), "correction")
        return [unzigzag(z) for z in numbers]

    def _string(self, n, width):
        string = self.data.number((n * width + 7) // 8)
        return [string >> i * width & (1 << width) - 1 for i in range(n)]

    def _frames(self, n):
        numbers = []
        while len(numbers) < n:
            head, k = self.data.u8(), min(32, n - len(numbers))
            if head == 127:
                return numbers + [0] * (n - len(numbers))
            width, patches, more = head & 127, 0, 0
            if head & 128:
                patches, more = self.data.u8(), self.data.u8()
            need(width + more <= 64 and patches <= k, "frame")
            frame, places = self._string(k, width), self.data.take(patches)
            need(all(p < k for p in places), "position of a patch")
            for p, upper in zip(places, self._string(patches, more)):
                frame[p] |= upper << width
            numbers += frame
        return numbers

    def exceptions(self, n):
        """Cell to bits."""
        found, at, bits = {}, 0, 0
        if self.flags & 8:
            count = self.data.varint()
            need(count <= n, "too many exceptions")
            for _ in range(count):
                gap, repeated = divmod(self.data.varint(), 2)
                bits = bits if repeated else self.data.number(8)
                need(at + gap < n, "exception beyond the last cell")
                found[at + gap] = bits
                at += gap + 1
        return found

    def end(self):
        self.data.end()


# ---- the small encoding ----

class Bit:
    RATE = [int(65536 / (c + 2.5)) for c in range(61)]

    def __init__(self, percent, count):
        self.p, self.c = 65536 * percent // 100, count


class Model:
    """Adaptive bits of integers. They all exist from the beginning; here they are made when first used."""

    def __init__(self, mean=0):
        self.mean, self.last, self.bits = mean, 0, {}

    def bit(self, name, *index):
        if (name, index) not in self.bits:
            self.bits[name, index] = Bit(*self._begin(name, index))
        return self.bits[name, index]

    @staticmethod
    def _begin(name, index):
        if name == "above":
            return (14, 22, 30, 36)[index[1]], 4
        if name == "up":
            return (28, 4) if index[2] == 0 else (40 if index[0] == 0 else 20, 2)
        if name == "down":
            return (66, 60, 55, 55, 55, 65, 75, 75)[index[2]], 3
        if name == "sign":
            return 49, 4
        return {"second": (48, 47, 47, 45, 44, 33, 27, 27), "third": (48, 48, 48, 48, 44, 41, 38, 35)}[name][index[0]], 6


class Small:
    """Range-coded bits from the front, raw bits from the back, models that adapt."""

    def __init__(self, coded):
        self.front, self.at, self.range, self.code = coded, 8, MASK, int.from_bytes(coded[:8].ljust(8, b"\0"), "big")
        self.back, self.n_raw, self.spare, self.n_spare = coded[::-1], 0, 0, 0
        self.n_text_bytes = self.exception_before = 0
        self.head, self.begin = Model(), Model(96 << 13)
        self.as_started, self.predictor = Bit(87, 0), Bit(87, 0)
        self.has_exceptions, self.ranks, self.is_exception, self.repeated = Bit(12, 0), Bit(12, 0), Bit(10, 0), Bit(50, 0)
        self.ulps = [Bit(50, 0) for _ in range(4)]
        self.has_absent, self.has_quality, self.same_quality = Bit(5, 2), Bit(5, 2), Bit(95, 2)
        self.absent = [Bit(10, 0), Bit(90, 0)]

    def bit(self, a):
        bound = (self.range >> 16) * a.p
        if self.code < bound:
            bit, target, self.range = 1, 65504, bound
        else:
            bit, target, self.range, self.code = 0, 32, self.range - bound, self.code - bound
        a.p += ((target - a.p) * Bit.RATE[a.c]) >> 16
        a.c = min(a.c + 1, 60)
        if self.range < 1 << 32:
            self.range <<= 32
            self.code = (self.code << 32) + int.from_bytes(self.front[self.at:self.at + 4].ljust(4, b"\0"), "big")
            self.at += 4
        return bit

    def raw(self, n):
        if n > 32:
            upper = self.raw(n - 32)
            return (upper << 32) + self.raw(32)
        while self.n_spare < n:
            byte = self.back[self.n_raw] if self.n_raw < len(self.back) else 0
            self.spare, self.n_spare, self.n_raw = self.spare | byte << self.n_spare, self.n_spare + 8, self.n_raw + 1
        bits = self.spare & (1 << n) - 1
        self.spare, self.n_spare = self.spare >> n, self.n_spare - n
        return bits

    def _length(self, m):
        """The bit length of the next integer, and how many bits it was expected to have."""
        scale = m.mean + 64
        top = scale.bit_length() - 1
        e, f = top - 6, (scale >> (top - 2)) & 3
        row = min(e, 7)
        if self.bit(m.bit("above", row, f)):
            length = e + 1
            while length < 64 and self.bit(m.bit("up", row, f, min(length - e - 1, 11))):
                length += 1
        else:
            length = e
            while length > 0 and self.bit(m.bit("down", row, f, min(e - length, 7))):
                length -= 1
        return length, e

    def integer(self, m):
        length, e = self._length(m)
        size = minus = 0
        if length == 0:
            m.last = 0
        else:
            beside, column = max(0, min(length - e + 4, 7)), min(length, 7)
            minus = self.bit(m.bit("sign", m.last))
            m.last, size = 1 + minus, 1
            if length > 1:
                s = self.bit(m.bit("second", beside, column))
                size = 2 + s
            if length > 2:
                size = 2 * size + self.bit(m.bit("third", beside, 2 * column + s))
            if length > 3:
                size = (size << (length - 3)) + self.raw(length - 3)
        m.mean += 16 * min(size, 1 << 48) - (m.mean >> 3)
        return signed(-size if minus else size)

    def _count(self, most):
        n = self.integer(self.head)
        need(0 <= n <= most, "count or length")
        return n

    def first(self, _rows):
        return self.integer(self.head)

    def flags_of_rows(self, _type, rows):
        absent, quality, q = [0], [], 0
        if self.bit(self.has_absent):
            for _ in range(rows):
                absent.append(self.bit(self.absent[absent[-1]]))
        if self.bit(self.has_quality):
            for _ in range(rows):
                q = q if self.bit(self.same_quality) else self.raw(2)
                quality.append(q)
        return absent[1:] or [0] * rows, quality or [0] * rows

    def _started(self, start):
        need(start.warm, "no start")
        return start.format

    def format(self, start):
        if self.bit(self.as_started):
            return self._started(start)
        return check_format(self.raw(3), self.raw(1), self.raw(6), start.bound)

    def unit(self, start):
        if start.type == "bool":
            return 1, 0
        if self.bit(self.as_started):
            return self._started(start)
        unit = self.integer(self.head)
        return check_unit(start.type, unit, 0 if start.type == "times" else self.integer(self.head))

    def texts(self, present):
        texts = []
        for _ in range(self._count(present)):
            length = self._count(255)
            self.n_text_bytes += length
            need(self.n_text_bytes <= len(self.front), "texts longer than the body")
            texts.append(bytes(self.raw(8) for _ in range(length)))
        return texts

    def _entries(self):
        entries, entry, model = [], 0, Model()
        for _ in range(self._count(MAX_ENTRIES)):
            entry = signed(entry + self.integer(model))
            entries.append(entry)
        return entries

    def plan(self, start):
        change, mode, entries = CHANGE_AS_STARTED, NO_RANKS, []
        if self.bit(self.ranks):
            told = self.raw(2)
            change = (CHANGE_ADDED, CHANGE_ANEW, CHANGE_ANEW, CHANGE_LEFT)[told]
            mode = (NO_RANKS, RANKS_OF_VALUES, RANKS_OF_DIFFERENCES, NO_RANKS)[told]
            entries = self._entries() if change != CHANGE_LEFT else []
        return start.predictor if self.bit(self.predictor) else self.raw(4), change, mode, entries

    def base(self, start, mode, dictionary):
        if mode == RANKS_OF_VALUES:
            model, from_ = Model(32 * len(dictionary)), near(start.center, dictionary) if start.warm else len(dictionary) // 2
        elif start.warm:
            model, from_ = Model(level_mean(start.base_level)), start.center
        else:
            model, from_ = self.begin, 0
        return signed(from_ + self.integer(model))

    def residuals(self, start, change, m):
        if start.warm and change in (CHANGE_AS_STARTED, CHANGE_ADDED):
            model = Model(level_mean(start.level))
        else:
            level = self.raw(6)
            model = Model(96 << min(level, 47) if level else 0)
        return [self.integer(model) for _ in range(m)]

    def _correction(self):
        if not self.bit(self.ulps[0]):
            return 0
        minus, u = self.bit(self.ulps[1]), 1
        if self.bit(self.ulps[2]):
            u = 2
            while u < 8 and self.bit(self.ulps[3]):
                u += 1
        return -u if minus else u

    def corrections(self, n):
        return [self._correction() for _ in range(n)]

    def exceptions(self, n):
        found = {}
        if self.bit(self.has_exceptions):
            for cell in range(n):
                if self.bit(self.is_exception):
                    if not self.bit(self.repeated):
                        self.exception_before = self.raw(64)
                    found[cell] = self.exception_before
        return found

    def end(self):
        pass  # how much was read is not checked
