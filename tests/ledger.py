#!/usr/bin/env python3
"""The independent judge: counts what went in and what came out, and says what is missing, doubled or different.

    tests/ledger.py --export OUT.jsonl [--time COL[,COL]] [--tz ZONE] [--int COL] SITE/DEVICE=FILE.csv[.gz] ...

Input files are read here, by the rules that the README states for CSV, with code of its own: nothing is shared with what it
judges. OUT is what `cloudctl export --format csv` or `jsonl` wrote. A row is the same row when its time, its channels and the
bits of its values are the same. Python standard library only.

Exit 0: everything agrees. 1: something is missing, doubled, or not in the input.
"""
import argparse
import codecs
import collections
import csv
import datetime
import gzip
import hashlib
import io
import itertools
import json
import re
import struct
import sys

NUMBER = re.compile(r"[ \t]*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf|infinity)[ \t]*", re.I | re.A)
DATE = r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})"
CLOCK = r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
STAMP = re.compile(rf"{DATE}(?:[ Tt]{CLOCK}(Z|z|[+-]\d\d?(?::?\d\d)?)?)?", re.A)
DATE_ONLY, CLOCK_ONLY = re.compile(DATE, re.A), re.compile(CLOCK, re.A)
PARTS = ("year", "month", "day", "hour", "minute", "second")
EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
TEXT_MAX_BYTES = 255
LINE_MAX_BYTES = 48 * 1024
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
NS = 10**9

csv.field_size_limit(1 << 20)
codecs.register_error("fogline", lambda e: ("?" * (e.end - e.start), e.end))


# ---- values ----

def is_number(text):
    return NUMBER.fullmatch(text) is not None


def is_stamp(text):
    return STAMP.fullmatch(text) is not None or CLOCK_ONLY.fullmatch(text) is not None


def is_absent(text):
    return text == "" or text == "NA"


def offset_seconds(text):
    """Z, +H, +HH, +HHMM, +HH:MM"""
    if text in ("Z", "z", "UTC", "GMT"):
        return 0
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    return (-1 if text[0] == "-" else 1) * (hours * 3600 + minutes * 60)


class Zone:
    def __init__(self, name):
        self._fixed, self._zone = 0, None
        if name in ("UTC", "Z", "GMT") or re.fullmatch(r"[+-]\d\d?(:?\d\d)?", name):
            self._fixed = offset_seconds(name)
        else:
            import zoneinfo
            self._zone = zoneinfo.ZoneInfo(name)

    def offset(self, local_s):
        if self._zone is None:
            return self._fixed
        t = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=local_s)
        return int(t.replace(tzinfo=self._zone).utcoffset().total_seconds())


def day_seconds(year, month, day):
    return (datetime.date(int(year), int(month), int(day)).toordinal() - EPOCH_DAY) * 86400


def clock_ns(hour, minute, second, fraction):
    hour, minute, second = int(hour), int(minute), int(second or 0)
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("no time of day")
    return (hour * 3600 + minute * 60 + second) * NS + int(((fraction or "") + "000000000")[:9])


# ---- one input file ----

def ends_open(line):
    """Whether a quoted field is open at the end of it."""
    is_open, i = False, 0
    while (i := line.find('"', i)) >= 0:
        if not is_open:
            before = line[:i].rstrip(" ")
            is_open = not before or before[-1] in ",;\t|"
        elif line[i + 1:i + 2] == '"':
            i += 1
        else:
            is_open = False
        i += 1
    return is_open


def split(line, separator):
    if '"' not in line:
        return [x.strip(" \t") for x in line.split(separator)]
    out, at = [], 0
    while True:
        begin = at + len(line[at:]) - len(line[at:].lstrip(" "))
        if line[begin:begin + 1] == '"':
            text, at = unquote(line, begin + 1)
        else:
            begin, text = at, None
        end = line.find(separator, at)
        out.append(text if text is not None else line[begin:end if end >= 0 else None].strip(" \t"))
        if end < 0:
            return out
        at = end + 1


def unquote(line, at):
    """(content of the quoted field from behind its opening quote on, where it ends)"""
    parts = []
    while (end := line.find('"', at)) >= 0:
        parts.append(line[at:end])
        if line[end + 1:end + 2] != '"':
            return "".join(parts), end + 1
        parts.append('"')
        at = end + 2
    return "".join([*parts, line[at:]]), len(line)


class Input:
    """The readable rows of a file, once through: for time_ns, {channel: value} in Input(...). Values are float, int or str."""

    def __init__(self, path, time=(), tz="UTC", ints=()):
        self.path, self.zone = path, Zone(tz)
        self.rows_unreadable = self.cells_unreadable = 0
        head = list(itertools.islice(filter(None, self._lines()), 64))
        if not head:
            raise ValueError(f"{path}: empty")
        self.separator = self._find_separator(head)
        self.has_header = self._find_header(head)
        self._name_columns(head[0])
        self._find_time(head, [c for c in time if c])
        self._find_types([c for c in ints if c])

    def _open(self):
        binary = gzip.open(self.path) if self.path.lower().endswith(".gz") else open(self.path, "rb")
        return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="fogline", newline="\n")

    def _lines(self, separator=None):
        """Fields of each line that is not blank, None for one that is too long; with no separator the lines themselves. A line
        goes on behind its end while a quoted field is open, if one of the next lines closes it."""
        with self._open() as f:
            lines = ((line[:-1] if line.endswith("\n") else line) for line in f)
            waiting = collections.deque()
            while (line := waiting.popleft() if waiting else next(lines, None)) is not None:
                if ends_open(line):
                    line = self._join(line, waiting, lines)
                if len(line.encode()) > LINE_MAX_BYTES:
                    yield None
                elif line.strip(" \t\r"):
                    line = line[:-1] if line.endswith("\r") else line
                    yield line if separator is None else split(line, separator)

    @staticmethod
    def _join(line, waiting, lines):
        joined, at = line, 0
        while len(joined.encode()) <= LINE_MAX_BYTES:
            if at == len(waiting):
                more = next(lines, None)
                if more is None:
                    break
                waiting.append(more)
            joined += "\n" + waiting[at]
            at += 1
            if len(joined.encode()) <= LINE_MAX_BYTES and not ends_open(joined):
                for _ in range(at):
                    waiting.popleft()
                return joined
        return line

    @staticmethod
    def _find_separator(head):
        best, choice = (0, 0), None
        for s in ",;\t|":
            n_fields = [len(split(line, s)) for line in head]
            score = (sum(n == n_fields[0] for n in n_fields), n_fields[0])
            if n_fields[0] > 1 and score > best:
                best, choice = score, s
        if choice is None:
            raise ValueError("no separator found")
        return choice

    def _find_header(self, head):
        first, *rest = [split(line, self.separator) for line in head]
        value = [is_number(x) or is_stamp(x.strip()) for x in first]
        if not any(value):
            return True
        for i, x in enumerate(first):
            below = [r[i] for r in rest if i < len(r) and not is_absent(r[i].strip())]
            if x.strip() and not value[i] and below and all(is_number(b) or is_stamp(b.strip()) for b in below):
                return True
        return False

    def _name_columns(self, line):
        first = split(line, self.separator)
        self.headers = first if self.has_header else [""] * len(first)
        self.names = []
        for i, header in enumerate(self.headers):
            raw = header.encode("utf-8", "replace")[:64]
            name = base = re.sub(rb"[^A-Za-z0-9._-]", b"_", raw).decode() if raw else f"c{i + 1}"
            if name in (".", ".."):
                name = base = "_" * len(name)
            k = 2
            while name in self.names:
                name, k = f"{base[:59]}-{k}", k + 1
            self.names.append(name)

    def _column(self, wanted):
        for names in (self.headers, self.names):
            if wanted in names:
                return names.index(wanted)
        lower = [h.lower() for h in self.headers]
        if wanted.lower() in lower:
            return lower.index(wanted.lower())
        if wanted.isdigit() and 1 <= int(wanted) <= len(self.names):
            return int(wanted) - 1
        raise ValueError(f"{self.path}: no column {wanted}")

    def _find_time(self, head, given):
        rows = [split(line, self.separator) for line in head]
        rows = [r for r in rows[1 if self.has_header else 0:] if self._fits(r)]

        def most(i, test):
            cells = [r[i] for r in rows if not is_absent(r[i])]
            return sum(bool(test(c)) for c in cells) * 2 > len(cells)

        def named(name):
            lower = [h.lower() for h in self.headers]
            return lower.index(name) if name in lower else None

        date, clock = named("date"), named("time")
        parts = [named(p) for p in PARTS]
        parts = parts[:parts.index(None)] if None in parts else parts
        iso = [i for i in range(len(self.names)) if most(i, STAMP.fullmatch)]
        numbers = [i for i in range(len(self.names))
                   if self.headers[i].lower() in ("time", "ts", "timestamp") and most(i, is_number)]
        if given:
            self.time = [self._column(g) for g in given]
        elif date is not None and clock is not None and most(date, DATE_ONLY.fullmatch) and most(clock, CLOCK_ONLY.fullmatch):
            self.time = [date, clock]
        elif iso:
            self.time = iso[:1]
        elif len(parts) >= 3:
            self.time = parts
        elif numbers:
            self.time = numbers[:1]
        else:
            raise ValueError(f"{self.path}: no time found")
        self.unit = None
        if len(self.time) == 1 and most(self.time[0], is_number):
            size = abs(float(next(r[self.time[0]] for r in rows if is_number(r[self.time[0]]))))
            self.unit = NS if size < 1e11 else 10**6 if size < 1e14 else 1000 if size < 1e17 else 1
        self.channels = [i for i in range(len(self.names)) if i not in self.time]

    def _time_ns(self, fields):
        cells = [fields[i] for i in self.time]
        if self.unit:
            m = re.fullmatch(r"([+-]?)(\d*)(?:\.(\d*))?", cells[0], re.A)
            if not m or not (m[2] or m[3]):
                raise ValueError("no number")
            fraction = sum(int(d) * (self.unit // 10**(k + 1)) for k, d in enumerate(m[3] or ""))
            return (-1 if m[1] == "-" else 1) * (int(m[2] or 0) * self.unit + fraction)
        offset = None
        if len(cells) >= 3:
            numbers = [int(float(c)) for c in cells] + [0] * (6 - len(cells))
            if numbers[3] > 24 or numbers[4] > 59 or numbers[5] > 60:
                raise ValueError("no time of day")
            local = (day_seconds(*numbers[:3]) + numbers[3] * 3600 + numbers[4] * 60 + numbers[5]) * NS
        elif len(cells) == 2:
            d, c = DATE_ONLY.fullmatch(cells[0]), CLOCK_ONLY.fullmatch(cells[1])
            if not d or not c:
                raise ValueError("no date and time")
            local = day_seconds(d[1], d[3], d[4]) * NS + clock_ns(*c.groups())
        else:
            m = STAMP.fullmatch(cells[0])
            if not m:
                raise ValueError("no time")
            local = day_seconds(m[1], m[3], m[4]) * NS + (clock_ns(*m.group(5, 6, 7, 8)) if m[5] else 0)
            offset = offset_seconds(m[9]) if m[9] else None
        return local - (self.zone.offset(local // NS) if offset is None else offset) * NS

    def _fits(self, fields):
        n = len(self.names)
        return len(fields) == n or (len(fields) == n + 1 and fields[n] == "")

    def _rows(self):
        """(time, fields) of each row that can be read."""
        lines = self._lines(self.separator)
        if self.has_header:
            next(lines)
        self.rows_unreadable = 0
        for fields in lines:
            if fields is None or not self._fits(fields):
                self.rows_unreadable += 1
                continue
            try:
                yield self._time_ns(fields), fields
            except (ValueError, OverflowError):
                self.rows_unreadable += 1

    def _find_types(self, ints):
        whole = {self._column(c) for c in ints}
        present, numbers = collections.Counter(), collections.Counter()
        number = NUMBER.fullmatch
        for _, fields in self._rows():
            for i in self.channels:
                if not is_absent(fields[i]):
                    present[i] += 1
                    numbers[i] += number(fields[i]) is not None
        self.types = [int if i in whole else float if numbers[i] * 10 >= present[i] * 9 else str for i in self.channels]

    def __iter__(self):
        plan = list(zip(self.channels, [self.names[i] for i in self.channels], self.types))
        number = NUMBER.fullmatch
        self.cells_unreadable = 0
        for time_ns, fields in self._rows():
            values = {}
            for i, name, kind in plan:
                text = fields[i]
                if is_absent(text):
                    continue
                if kind is str:
                    values[name] = CONTROL.sub("?", text)
                elif not number(text):
                    self.cells_unreadable += 1
                elif kind is float:
                    values[name] = float(text)
                else:
                    whole = int(text) if re.fullmatch(r"[ \t]*[+-]?\d+[ \t]*", text, re.A) else float(text)
                    if whole != int(whole):
                        self.cells_unreadable += 1
                    else:
                        values[name] = int(whole)
            yield time_ns, values


# ---- what came out ----

def export_time(text):
    if isinstance(text, int):
        return text
    m = STAMP.fullmatch(text)
    if not m:
        return int(text)
    return day_seconds(m[1], m[3], m[4]) * NS + clock_ns(*m.group(5, 6, 7, 8)) - offset_seconds(m[9] or "Z") * NS


SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def export_rows(path):
    """(site, device, (epoch, seq, row), time_ns, {channel: value}) of each row of an export, csv or jsonl. Values of csv are
    text: what they are is known to who compares."""
    with open(path, newline="") as f:
        if f.read(1) == "{":
            f.seek(0)
            for line in f:
                o = json.loads(line)
                yield o["site"], o["device"], (o["epoch"], o["seq"], o["row"]), export_time(o["time"]), o["values"]
            return
        f.seek(0)
        # The cells of a row stand one below the other.
        for key, lines in itertools.groupby(csv.DictReader(f), lambda r: (r["site"], r["device"], r["epoch"], r["seq"],
                                                                          r["row"], r["time"])):
            site, device, epoch, seq, row, time = key
            values, again = {}, {}
            for r in lines:
                (again if r["channel"] in values else values)[r["channel"]] = r["value"]
            for v in (values, again):
                if v:
                    yield site, device, (epoch, int(seq), int(row)), export_time(time), v


# ---- the comparison ----

def digest(time_ns, values, types=None):
    """One number for a row. types: of an export in csv, whose values are text."""
    parts = [str(time_ns).encode()]
    for name in sorted(values):
        v = values[name]
        kind = types.get(name, str) if types is not None else type(v)
        if kind is not str and isinstance(v, str):
            v = SPECIAL.get(v, v)
        parts.append(name.encode())
        if kind is float or isinstance(v, float):
            parts.append(struct.pack("<d", float(v)))
        elif kind is int or isinstance(v, int):
            parts.append(b"i%d" % int(v))
        else:
            parts.append(b"t" + cut(v))
    return int.from_bytes(hashlib.blake2b(b"\0".join(parts), digest_size=8).digest(), "little")


def cut(text):
    raw = text.encode("utf-8", "replace")
    while len(raw) > TEXT_MAX_BYTES or (raw and not _whole(raw)):
        raw = raw[:min(len(raw) - 1, TEXT_MAX_BYTES)]
    return raw


def _whole(raw):
    try:
        raw.decode()
        return True
    except UnicodeDecodeError:
        return False


KEYS = ("rows_in", "rows_empty", "rows_unreadable", "samples_in", "rows_exported", "samples_exported", "archived_twice",
        "missing", "foreign")


def judge(export, path=None, device=None, time=(), tz="UTC", ints=(), prefix=False):
    """Compares the rows of one device in an export with a file. No path: only counts, the input is known to somebody else.

    rows_in: readable rows with at least one value (rows_empty have none, and show nowhere). missing: rows of the input that are
    not in the export; foreign: exported rows that are in no input; archived_twice: rows whose (epoch, seq, row) is there twice,
    and exported rows that are in the input, but less often. prefix: the replay was stopped; as many rows are expected as came."""
    out = dict.fromkeys(KEYS, 0)
    seen, exported = set(), []
    source = Input(path, time, tz, ints) if path else None
    types = {source.names[i]: k for i, k in zip(source.channels, source.types)} if source else {}
    for _site, name, key, time_ns, values in export_rows(export):
        if device is not None and name != device:
            continue
        if key in seen:
            out["archived_twice"] += 1
            continue
        seen.add(key)
        out["rows_exported"] += 1
        out["samples_exported"] += len(values)
        if source:
            exported.append(digest(time_ns, values, types))
    del seen
    if source is None:
        return out
    left, known = collections.Counter(exported), set()
    for time_ns, values in source:
        if not values:
            out["rows_empty"] += 1
            continue
        if prefix and out["rows_in"] == len(exported):
            break
        out["rows_in"] += 1
        out["samples_in"] += len(values)
        d = digest(time_ns, values, types)
        if left[d] > 0:
            left[d] -= 1
            known.add(d)
        else:
            out["missing"] += 1
    out["rows_unreadable"] = source.rows_unreadable
    for d, n in left.items():
        out["archived_twice" if d in known else "foreign"] += n
    return out


def agrees(j):
    return (j["rows_in"] == j["rows_exported"] and j["samples_in"] == j["samples_exported"] and
            j["archived_twice"] == j["missing"] == j["foreign"] == 0)


def total(judgements):
    return {k: sum(j[k] for j in judgements) for k in KEYS}


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("--export", required=True, metavar="FILE", help="what cloudctl export wrote")
    a.add_argument("--time", default="", metavar="COL[,COL]")
    a.add_argument("--tz", default="UTC")
    a.add_argument("--int", default="", metavar="COL[,COL]")
    a.add_argument("--prefix", action="store_true", help="the replay was stopped: as many rows are expected as came")
    a.add_argument("--json", action="store_true")
    a.add_argument("inputs", nargs="+", metavar="SITE/DEVICE=FILE", help="no FILE: only counts what came out")
    o = a.parse_args()
    results = {}
    for one in o.inputs:
        name, _, path = one.partition("=")
        try:
            results[name] = judge(o.export, path or None, name.split("/")[-1], o.time.split(","), o.tz, o.int.split(","), o.prefix)
        except (OSError, ValueError) as e:
            sys.exit(f"ledger.py: {name}: {e}")
    sums = total(results.values())
    if o.json:
        print(json.dumps({**sums, "devices": results}))
    else:
        for name, j in [*results.items(), ("total", sums)]:
            print(f"{'agrees' if agrees(j) else 'DIFFERS':8}{name:30}", *(f"{k}={v}" for k, v in j.items()))
    return 0 if agrees(sums) else 1


if __name__ == "__main__":
    sys.exit(main())
