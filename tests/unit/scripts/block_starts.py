"""What the encodings of blocks have in common before a column begins: integers, bytes, starts of a set, digest and check.
In the words of common/codec/README.md, and from it alone; block_decoder.py says what for."""
import struct
from bisect import bisect_left

TYPES = ("times", "double", "int64", "bool", "text")  # the index is the type's number in a raw column
MAX_COLUMNS, MAX_ENTRIES, MAX_PREDICTOR = 256, 1024, 8
DECIMAL, FLOAT, BITS, BOUNDED = 0, 1, 2, 4
NO_RANKS, RANKS_OF_VALUES, RANKS_OF_DIFFERENCES = range(3)
MASK = (1 << 64) - 1


class Damaged(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Damaged(what)


# ---- conventions ----

def signed(a):
    """The signed integer of the lowest 64 bits of a: what every addition, subtraction and left shift wraps to."""
    return ((a + (1 << 63)) & MASK) - (1 << 63)


def unzigzag(z):
    return -((z + 1) >> 1) if z & 1 else z >> 1


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def order(bits):
    return bits if bits < 1 << 63 else signed((1 << 63) - bits)


def from_order(o):
    return o if o >= 0 else ((1 << 63) - o) & MASK


class Bytes:
    """A cursor over bytes; reading past the end is damage."""

    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, n):
        need(n <= len(self.data) - self.at, "ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def number(self, width):
        return int.from_bytes(self.take(width), "little")

    def i64(self):
        return signed(self.number(8))

    def varint(self):
        value = 0
        for i in range(10):
            byte = self.u8()
            value |= (byte & 127) << 7 * i
            if byte < 128:
                break
        need(byte < 128 and value <= MASK, "varint too long")
        return value

    def zigzag(self):
        return unzigzag(self.varint())

    def bitmap(self, n):
        bits = self.number((n + 7) // 8)
        need(bits >> n == 0, "spare bits")
        return [bits >> i & 1 for i in range(n)]

    def texts(self, most):
        n = self.varint()
        need(n <= most, "too many texts")
        return [self.take(self.u8()) for _ in range(n)]

    def entries(self):
        n = self.varint()
        need(n <= MAX_ENTRIES, "too many entries")
        entries = []
        for _ in range(n):
            entries.append(signed(entries[-1] + self.varint()) if entries else self.zigzag())
        return entries

    def end(self):
        need(self.at == len(self.data), "goes on")


def need_rise(entries):
    need(all(a < b for a, b in zip(entries, entries[1:])), "dictionary does not rise")


# ---- starts ----

def near(a, dictionary):
    """The rank of the first entry >= a, or the last rank."""
    return max(0, min(bisect_left(dictionary, a), len(dictionary) - 1))


def level_mean(level):
    """The mean size that a level of a start stands for, in 1/128."""
    return (4 + (level - 1) % 4) * 32 << (level - 1) // 4 if level else 0


def check_format(kind, has_ulps, exponent, bound):
    need(kind in (DECIMAL, FLOAT, BITS, BOUNDED), "unknown kind")
    need(exponent <= {DECIMAL: 17, FLOAT: 17, BITS: 52, BOUNDED: 0}[kind], "exponent")
    need(not has_ulps or kind in (DECIMAL, FLOAT), "corrections of this kind")
    need(kind != BOUNDED or bound > 0, "bounded without a bound")
    return kind, has_ulps, exponent


def check_unit(type_, unit, offset):
    need(1 <= unit < 1 << 63 and 0 <= offset < unit and (type_ != "times" or offset == 0), "unit or offset")
    return unit, offset


class Start:
    """What a descriptor says of a column; of no bytes it is cold. `format` is (kind, has_ulps, exponent) or (unit, offset)."""

    def __init__(self, type_, data=b"", bound=0.0):
        self.type, self.bound, self.bytes = type_, bound, bytes(data)
        self.warm, self.format, self.texts = bool(data), None, []
        self.predictor, self.rank_mode, self.dictionary = 1, NO_RANKS, []
        self.level = self.base_level = self.center = 0
        need(0 <= bound <= 1e300 and (type_ == "double" or bound == 0), "error bound")
        if data:
            self._read(Bytes(data))

    def _read(self, data):
        need(data.u8() == 1, "version of a start")
        if self.type == "double":
            kind, exponent = data.u8(), data.u8()
            need(kind < 16, "unknown kind")
            self.format = check_format(kind & 7, kind >> 3, exponent, self.bound)
        elif self.type in ("int64", "times"):
            self.format = check_unit(self.type, data.varint(), data.varint())
        else:
            self.format = (1, 0)
        plan = data.u8()
        self.predictor, self.rank_mode = plan & 15, plan >> 4
        need(self.predictor <= MAX_PREDICTOR and self.rank_mode <= RANKS_OF_DIFFERENCES, "predictor or rank mode")
        self.level, self.base_level = data.u8(), data.u8()
        need(max(self.level, self.base_level) <= 192, "level")
        self.center = data.zigzag()
        if self.rank_mode != NO_RANKS:
            self.dictionary = data.entries()
            need(self.dictionary, "no entries")
            need_rise(self.dictionary)
        if self.type == "text":
            self.texts = data.texts(32)
            need(all(len(t) <= 32 for t in self.texts), "long text")
        data.end()

    def in_force(self, format_):
        """This start when the block makes integers in its way, else a cold one."""
        return self if self.warm and format_ == self.format else Start(self.type)


class Set:
    """What a descriptor set says of its columns."""

    def __init__(self, types, bounds=None, time_start=b"", starts=None):
        need(1 <= len(types) <= MAX_COLUMNS and all(t in TYPES[1:] for t in types), "columns")
        self.times = Start("times", time_start)
        self.columns = [Start(*of) for of in zip(types, starts or [b""] * len(types), bounds or [0.0] * len(types))]
        need(len(self.columns) == len(types), "bounds and starts")

    def digest(self):
        if not self.times.bytes and all(not c.bytes and c.bound == 0 for c in self.columns):
            return 0
        h = mix_bytes(1, self.times.bytes)
        for c in self.columns:
            h = mix_bytes(mix(h, bits_of(c.bound)), c.bytes)
        return h


def mix(h, v):
    h = ((h ^ v) * 0x9e3779b97f4a7c15) & MASK
    return h ^ (h >> 32)


def mix_bytes(h, data):
    h = mix(h, len(data))
    for byte in data:
        h = mix(h, byte)
    return h


def check(encoding, rows, time_first_ns, set_, coded):
    """The bytes that end a fast or small body of these coded bytes."""
    h = mix(encoding, (len(set_.columns) << 32) + rows)
    for v in (time_first_ns & MASK, set_.digest(), len(coded)):
        h = mix(h, v)
    s = [(h + i) & MASK for i in range(4)]
    for k in range(0, len(coded), 8):
        s[k // 8 % 4] = mix(s[k // 8 % 4], int.from_bytes(coded[k:k + 8], "little"))
    h = mix(mix(mix(s[0], s[1]), s[2]), s[3])
    n = 2 if len(coded) <= 64 else 4
    return (h >> 64 - 8 * n).to_bytes(n, "little")
