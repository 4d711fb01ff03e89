"""bench_device.py - two parts of bench device: from a sample to the output it switches, while the disk is slow; and how late a source
is read beside a program that floods or is stopped.

A real fogline-device reads 8 channels at 1 kHz; a rule on a noisy one switches a file in memory hundreds of times a second, and
each change is an event that is committed at once. Measured by the daemon itself: from the time of the reading to the return of the
output's call, on the monotonic clock. Once with the disk as it is, once with every wait for it made longer (slow_sync).

Lateness: a source of 2 ms notes how long after its tick it was called, to the nanosecond. Beside it stands no program, one that
prints a line a second, one that floods, and one that was stopped after its first line; in turn, in rounds, since the machine has moods. Of
each the median of the rounds' 99 of 100.
"""
import os
import shutil
import statistics
import tempfile
import time

from cluster import Cluster

SECONDS, SLOW_MS = 20, 300
GOAL_P99_MS = 1.0
ROUNDS, ROUND_SECONDS, LATE_INTERVAL_MS = 9, 5, 2
PROGRAMS = {
    "none": None,
    "quiet": "while echo n 1; do sleep 1; done",
    "flooding": "exec yes n 1",
    "stopped": "echo n 1; kill -STOP $$",
}


def one(build, slow_ms):
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder, output = tempfile.mkdtemp(prefix="fogline-bench-"), tempfile.mkdtemp(prefix="fogline-bench-", dir=memory)
    preload = {"LD_PRELOAD": os.path.join(build, "tests", "limits", "libslow_sync.so"), "FOGLINE_SLOW_SYNC_MS": str(slow_ms)}
    try:
        with Cluster(folder, build, by_relay=()) as c:
            c.add_device("device", site="bench", fogs=[], config={
                "pack.ms": 100, "commit_ms": 100, "log.level": "error",
                "outputs": [{"type": "file", "name": "out", "path": os.path.join(output, "out")}],
                # Every other row, more or less: its noise changes by 2 from row to row.
                "rules": [{"type": "rate", "name": "noisy", "channel": "plant/speed", "limit": 1500,
                           "actions": [{"type": "set", "output": "out"}]}],
            }, sources=[{"type": "plant", "name": "plant", "interval_ms": 1}])
            c.setup()
            os.environ.update(preload)
            try:
                c.start("device")
            finally:
                for key in preload:
                    del os.environ[key]
            time.sleep(SECONDS)  # the length of the measurement
            n = c.status("device")["counters"]
            c.stop("device", timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(output, ignore_errors=True)
    return {"outputs_set": n["rules.output_sets"], "p50_ms": ms(n["rules.output_p50_ns"]), "p99_ms": ms(n["rules.output_p99_ns"]),
            "max_ms": ms(n["rules.output_max_ns"]), "commits": n["io.commits"],
            "commit_mean_ms": round(n["io.commit_us"] / max(1, n["io.commits"]) / 1000, 1),
            "rows": n["act.rows"], "ticks_missed": n["act.ticks_missed"], "rows_dropped": n["act.rows_dropped"], "changes_dropped": n["rules.changes_dropped"]}


def late_us(build, program):
    """How late the source was called, sorted, in us."""
    folder = tempfile.mkdtemp(prefix="fogline-bench-")
    file = os.path.join(folder, "late")
    sources = [{"type": "late", "name": "late", "interval_ms": LATE_INTERVAL_MS, "file": file}]
    if program:
        sources.append({"type": "exec", "name": "program", "command": ["/bin/sh", "-c", program], "interval_ms": "1 s"})
    try:
        with Cluster(folder, build, by_relay=()) as c:
            node = c.add_device("device", site="bench", fogs=[], config={"log.level": "error"}, sources=sources)
            node.daemon = os.path.join(build, "tests", "limits", "bench_device")
            c.setup()
            c.start("device")
            time.sleep(ROUND_SECONDS)  # the length of the measurement
            c.stop("device", timeout=60)
            with open(file) as f:
                return [int(line) / 1000 for line in f]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def lateness(build):
    """In each round all of them, beginning with another one each time."""
    names, p99 = list(PROGRAMS), {name: [] for name in PROGRAMS}
    for i in range(ROUNDS):
        for name in names[i % len(names):] + names[:i % len(names)]:
            late = late_us(build, PROGRAMS[name])
            p99[name].append(late[len(late) * 99 // 100])
    median = {name: statistics.median(v) for name, v in p99.items()}
    return {"interval_ms": LATE_INTERVAL_MS, "rounds": ROUNDS, "seconds_each": ROUND_SECONDS,
            "p99_us": {name: round(v, 1) for name, v in median.items()},
            "p99_us_rounds": {name: [round(x, 1) for x in v] for name, v in p99.items()},
            "flooding_to_quiet": round(median["flooding"] / median["quiet"], 3),
            "stopped_to_quiet": round(median["stopped"] / median["quiet"], 3)}


def ms(ns):
    return round(ns / 1e6, 4)


def output(build):
    return {"seconds": SECONDS, "goal_p99_ms": GOAL_P99_MS, "disk_as_it_is": one(build, 0), "disk_slow_ms": SLOW_MS,
            "disk_slow": one(build, SLOW_MS)}
