"""What the demo shows: a progress line, tables, charts. No knowledge of Fogline in here."""
import math
import os
import shutil
import sys
import time

BLOCKS = " ▁▂▃▄▅▆▇█"


def count(n):
    return f"{n:,}".replace(",", " ")


def size(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024


def clock(t=None):
    t = time.time() if t is None else t
    return time.strftime("%H:%M:%S", time.localtime(t)) + f".{int(t * 10) % 10}"


class Screen:
    """Lines for people on `out`; on a terminal the progress line is rewritten in place."""

    def __init__(self, out):
        self.out = out
        self.is_terminal = out.isatty() and os.environ.get("TERM") != "dumb"
        self.has_color = self.is_terminal and not os.environ.get("NO_COLOR")
        if out.encoding.lower().replace("-", "") != "utf8":
            out.reconfigure(encoding="utf-8", errors="replace")
        self._line_shown, self._plain_at = False, 0.0

    @property
    def width(self):
        return max(40, min(shutil.get_terminal_size((100, 24)).columns, 140)) if self.is_terminal else 100

    def style(self, text, code):
        return f"\033[{code}m{text}\033[0m" if self.has_color else text

    def bold(self, text):
        return self.style(text, "1")

    def dim(self, text):
        return self.style(text, "2")

    def good(self, text):
        return self.style(text, "1;32")

    def bad(self, text):
        return self.style(text, "1;31")

    def warn(self, text):
        return self.style(text, "33")

    def _write(self, text):
        try:
            self.out.write(text)
            self.out.flush()
        except (BrokenPipeError, OSError):
            self.out = open(os.devnull, "w")  # whoever read has gone; the run ends in order all the same

    def clear(self):
        if self._line_shown:
            self._write("\r\033[K")
            self._line_shown = False

    def say(self, text=""):
        self.clear()
        self._write(text + "\n")

    def event(self, what, text, *more):
        """A line with the time of day, and lines under it."""
        self.say(f"{self.dim(clock())}  {self.warn(f'{what:8}')}  {text}")
        for line in more:
            self.say(f"{'':22}{line}")

    def heading(self, text):
        self.say()
        self.say(self.bold(text))

    def progress(self, text, every=3.0):
        if self.is_terminal:
            width = self.width - 1
            self._write("\r\033[K" + (text if len(text) <= width else text[:width - 1] + "…"))
            self._line_shown = True
        elif time.monotonic() - self._plain_at >= every:
            self._plain_at = time.monotonic()
            self._write(text + "\n")

    def table(self, titles, rows, right=(), marks=None):
        """Columns named in `right` (by number) are flush right. marks: a function of (row, column, text) that may colour."""
        cells = [list(map(str, r)) for r in rows]
        widths = [max(len(r[i]) for r in [titles, *cells]) for i in range(len(titles))]

        def line(r, paint):
            out = []
            for i, text in enumerate(r):
                padded = text.rjust(widths[i]) if i in right else text.ljust(widths[i])
                out.append(paint(i, padded))
            return ("  " + "  ".join(out)).rstrip()

        self.say(line(titles, lambda _i, t: self.dim(t)))
        for n, r in enumerate(cells):
            self.say(line(r, lambda i, t, n=n: marks(n, i, t) if marks else t))

    def chart(self, title, times, values, height=3):
        """One series as blocks, `height` lines high, averaged to the width of the terminal. times: seconds since 1970.
        A few outliers run over the edge instead of flattening the rest."""
        pairs = [(t, v) for t, v in zip(times, values) if v is not None and math.isfinite(v)]
        self.say(f"  {self.bold(title)}")
        if not pairs:
            self.say("  " + self.dim("nothing to draw"))
            return
        labels = 12
        means = _buckets(pairs, max(10, min(self.width - labels - 4, 110)))
        present = sorted(m for m in means if m is not None)
        edge = len(present) // 40
        low, high = present[edge], present[-1 - edge]
        span, top = (high - low) or 1.0, height * 8
        steps = [None if m is None else max(1, min(top, 1 + round((m - low) / span * (top - 1)))) for m in means]
        for line in range(height - 1, -1, -1):
            label = f"{high:.5g}" if line == height - 1 else f"{low:.5g}" if line == 0 else ""
            text = "".join(" " if s is None else BLOCKS[max(0, min(8, s - line * 8))] for s in steps)
            self.say(f"  {self.dim(label.rjust(labels - 2))} {self.style(text, '36')}")
        first, last = (_stamp(t, pairs[-1][0] - pairs[0][0]) for t in (pairs[0][0], pairs[-1][0]))
        self.say("  " + " " * (labels - 1) + self.dim(first + last.rjust(max(len(last) + 1, len(means) - len(first)))))


def _stamp(t, span_s):
    form = "%Y-%m-%d" if span_s > 3 * 86400 else "%Y-%m-%d %H:%M" if span_s > 3600 else "%H:%M:%S"
    return time.strftime(form, time.gmtime(t))


def _buckets(pairs, n):
    """Means over n equal spans of time; a span without a value is None, unless there are fewer values than spans."""
    t0, t1 = min(t for t, _ in pairs), max(t for t, _ in pairs)
    if t1 == t0:
        return [sum(v for _, v in pairs) / len(pairs)]
    n = min(n, len(pairs))
    sums, counts = [0.0] * n, [0] * n
    for t, v in pairs:
        i = min(n - 1, int((t - t0) / (t1 - t0) * n))
        sums[i] += v
        counts[i] += 1
    return [s / c if c else None for s, c in zip(sums, counts)]


def stdout_or_stderr(json):
    return Screen(sys.stderr if json else sys.stdout)
