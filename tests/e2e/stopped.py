#!/usr/bin/env python3
"""One device of many is stopped with its connections standing: what the others feel of it.

    tests/e2e/stopped.py [--devices N] [--seconds N] [--json]

One device makes rows at a steady rate and says when; the others replay a row a second. The times from a row to its place in the
cloud's archive are taken twice, before and while one of the others has SIGSTOP. In the end it goes on, and everything arrives.

Exit 0: nothing lost, twice or unexplained. Times are only told."""
import bisect
import json
import os
import signal
import sys
import time

import campaign
import herd
import outage
from system import until

RATE_HZ = 200
ROWS = {"rows": RATE_HZ * 3600, "sources": 1, "run": 1, "rate": RATE_HZ}


def timed(s, watch, seconds):
    """Milliseconds from each row of the next so many seconds to its place in the archive, sorted."""
    began = time.time()
    time.sleep(seconds)  # the measurement
    ended = time.time()
    until("the rows of that time are there", lambda: (outage.newest_age_s(s) or 99) < time.time() - ended, 60)
    path = s.export(os.path.join(s.dir, "rows.jsonl"), "jsonl", ["--select", "s/live", "--from", f"@{began:.3f}", "--to", f"@{ended:.3f}"])
    lines = watch.lines()
    counts, out = [n for _, n in lines], []
    with open(path) as f:
        for line in f:
            row = json.loads(line)
            at = bisect.bisect_left(counts, row["seq"])
            if at < len(lines):
                out.append((lines[at][0] / 1e9 - outage.unix_s(row["time"])) * 1000)
    return sorted(out)


def p99(times):
    return round(times[int(0.99 * (len(times) - 1))], 2)


def stopped(s, devices, seconds):
    names = herd.make(s, devices - 1, rows=60 + 3 * seconds)
    outage.add_trace(s, "live", config={"pack.rows": 1, "commit_ms": 0}, **ROWS)
    until("the fog knows it, too", lambda: len(s.fact("fog-a", "devices", [])) == devices, 30)
    outage.start_trace(s, "live")
    watch = campaign.Watch(s, period_ms=1, largest=True)
    until("its rows are the most", lambda: watch.records() > 5 * RATE_HZ, 60)
    rss = herd.rss_kib(s.nodes["fog-a"].pid)
    before = timed(s, watch, seconds)
    s.signal(names[0], signal.SIGSTOP)
    during = timed(s, watch, seconds)
    grown = herd.rss_kib(s.nodes["fog-a"].pid) - rss
    s.signal(names[0], signal.SIGCONT)
    watch.stop()
    s.restart("live")  # without a source
    herd.read_the_rest(s, names)
    result = {"devices": devices, "rows_timed": len(before), "rows_timed_stopped": len(during), "p99_ms": p99(before),
              "p99_stopped_ms": p99(during), "rss_growth_mib": round(grown / 1024, 1)}
    return campaign.judge(s, result, 120)


def run(devices=100, seconds=20, keep=None):
    return campaign.in_folder(stopped, keep, devices=devices, seconds=seconds)


if __name__ == "__main__":
    sys.exit(campaign.main(__doc__, run, [("devices", int, 100, "devices"), ("seconds", int, 20, "of each measurement")],
                           campaign.is_clean))
