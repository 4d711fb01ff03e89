#!/usr/bin/env python3
"""A site that is cut off for long: its fog holds what its devices make and gives it when the cloud is there again.

    tests/e2e/outage.py [--hours N] [--json]

One device makes as many records as N hours at 1,000 samples/s are (72), as fast as they are taken: compressed in time. Another one
makes rows now, 20 a second, and says when. A third replays a file that is judged row by row. The cloud is away meanwhile; when it
is back, what is made now may be at most a second behind while the backlog drains.

    live_lag_s      the largest age of the newest row of now in the cloud, from live_back_s after its return until all had drained
    live_back_s     until that age was below a second for the first time
    drain_ratio     samples a second while the backlog drained (from a tenth of it to nine tenths), of 1,000

Exit 0: nothing lost, twice or unexplained, drain_ratio at least 4, live_lag_s at most 1."""
import os
import re
import sys
import time
from datetime import datetime, timezone

import campaign
import system
from system import until

RATE = 1000  # samples a second that are usual
CHANNELS, BLOCK_ROWS, LIVE_HZ = 8, 100, 20
GOAL_LAG_S, GOAL_RATIO = 1.0, 4.0
BYTES_PER_ROW = 40  # of room, at most: records, and what is known about them


def add_trace(s, name, config, **source):
    node = s.add_device(name, "s", ["fog-a"], [{"type": "trace", "name": "trace", **source}], config)
    node.daemon = os.path.join(system.build_dir(), "tests", "limits", "bench_device")


def start_trace(s, name):
    """The tools do not know this source: the file they read is without it."""
    s.start(name)
    s.nodes[name].sources = []
    s.write_config(name)


def make(s, rows):
    room = f"{64 + rows * BYTES_PER_ROW // 2**20} MiB"
    s.add_cloud(config={"store.map_bytes": room})
    s.add_fog("fog-a", "s", config={"store.map_bytes": f"{96 + 2 * rows * BYTES_PER_ROW // 2**20} MiB"})
    add_trace(s, "bulk", {"store.map_bytes": room, "pack.rows": BLOCK_ROWS, "commit_ms": "20 ms"}, rows=rows, sources=10, run=BLOCK_ROWS)
    add_trace(s, "live", {"pack.ms": "100 ms", "commit_ms": "50 ms"}, rows=LIVE_HZ * 3600, sources=1, run=1, rate=LIVE_HZ)
    s.add_replay("judged", "s", ["fog-a"], 20000)
    s.setup()


def unix_s(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp() + float("0." + (fraction or "0"))


def newest_age_s(s):
    """Age of the newest row of now that the cloud answers with; None: it does not answer."""
    times = re.findall(r"\S+T\S+Z", s.ctl("cloud", "query", "s/live", check=False).stdout)
    return time.time() - unix_s(max(times)) if times else None


def follow(s, watch, began, backlog, patience_s):
    """Looks at the age of what is made now until the backlog has drained: (seconds until it was small, the largest after)."""
    back_s, lags, deadline = None, [], time.monotonic() + patience_s
    while True:
        drained = watch.records() >= backlog
        age = newest_age_s(s)
        if age is not None and back_s is None and age <= GOAL_LAG_S:
            back_s = time.time() - began
        elif age is not None and back_s is not None:
            lags.append(age)
        if (drained and len(lags) > 2) or time.monotonic() > deadline:
            return back_s, lags
        time.sleep(0.05)


def drain_rate(lines, rows):
    """Samples a second between a tenth and nine tenths of what came after the return."""
    low, high = lines[0][1], lines[-1][1]
    at = [next(t for t, n in lines if n >= low + (high - low) * q) for q in (0.1, 0.9)]
    return (high - low) * 0.8 * BLOCK_ROWS * CHANNELS / max((at[1] - at[0]) / 1e9, 1e-3)


def outage(s, hours):
    rows = int(hours * 3600 * RATE / CHANNELS)
    make(s, rows)
    s.start("cloud", "fog-a")
    until("the fog knows its devices", lambda: s.fact("fog-a", "node_list_version"))
    start_trace(s, "live")
    until("rows of now arrive", lambda: (newest_age_s(s) or 99) < 2 * GOAL_LAG_S, 30)
    s.stop("cloud")
    start_trace(s, "bulk")
    s.start("judged")
    until("all is made, and the fog has it", lambda: s.counter("bulk", "act.rows") >= rows and s.counter("fog-a", "inbox.samples") >= rows * CHANNELS
          and s.fact("bulk", "waiting_records") == 0, 60 + rows / 50000, 0.2)
    held = s.fact("fog-a", "store")["held_records"]
    s.start("cloud")
    began, watch = time.time(), campaign.Watch(s)
    back_s, lags = follow(s, watch, began, rows // BLOCK_ROWS, 60 + rows / 20000)
    lines = watch.stop()
    ratio = drain_rate(lines, rows) / RATE
    s.restart("live")  # without a source: what it made is given, and no more made
    result = {"hours": hours, "samples_held": rows * CHANNELS, "records_held": held, "drain_ratio": round(ratio, 1),
              "live_back_s": round(back_s, 2) if back_s is not None else None, "live_lag_s": round(max(lags, default=-1), 2),
              "live_lag_s_median": round(sorted(lags)[len(lags) // 2], 2) if lags else None,
              "goal_drain_ratio": GOAL_RATIO, "goal_live_lag_s": GOAL_LAG_S}
    return bulk_judged(s, campaign.judge(s, result, 60 + rows / 20000), rows)


def bulk_judged(s, result, rows):
    """The ledger has counted them; here what a query finds."""
    p = s.ctl_json("cloud", "query", "s/bulk", "--stats", "count", "--by", "device", timeout=600)
    found = sum(row["count"] for row in p) // CHANNELS
    result["lost"] += max(0, rows - found)
    result["twice"] += max(0, found - rows)
    result["rows"] += found
    return result


def run(hours=72.0, keep=None):
    return campaign.in_folder(outage, keep, hours=hours)


def is_good(result):
    return campaign.is_clean(result) and result["drain_ratio"] >= GOAL_RATIO and 0 <= result["live_lag_s"] <= GOAL_LAG_S


if __name__ == "__main__":
    sys.exit(campaign.main(__doc__, run, [("hours", float, 72.0, "at 1,000 samples/s")], is_good))
