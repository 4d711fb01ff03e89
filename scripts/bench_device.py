"""bench_device.py - two parts of bench device: from a sample to the output it switches, while the disk is slow; and how late a source
is read beside a program that floods or is stopped.

A real fogline-device reads 8 channels at 1 kHz; a rule on a noisy one switches a file in memory hundreds of times a second, and
each change is an event that is committed at once. Measured by the daemon itself: from the time of the reading to the return of the
output's call, on the monotonic clock. Once with the disk as it is, once with every wait for it made longer (slow_sync).

Lateness: a source of 2 ms notes how long after its tick it was called, to the nanosecond. Beside it stands a program that prints
five lines a second in one stretch of time and floods in the next, or is stopped in the next, or goes on as before; turn and turn about in
one process, since the machine has moods that last longer than a stretch. Each stretch has a 99 of 100; two neighbours have a ratio; told is the median of the ratios and, since even
that of like and like is seldom 1, how far it may be off: 90 of 100 draws of as many ratios out of these have a median within `from` and `to`.
"""
import os
import random
import shutil
import signal
import statistics
import tempfile
import time

from cluster import Cluster

SECONDS, SLOW_MS = 20, 300
GOAL_P99_MS = 1.0
CYCLES, STRETCH_SECONDS, EDGE_SECONDS, LATE_INTERVAL_MS = 30, 2.0, 0.25, 2
DRAWS = 2000
# A program that does what the file `mood` says: a line now and then, or a flood.
PROGRAM = """echo $$ >pid
while :; do
    if [ "$(cat mood)" = flooding ]; then timeout 0.2 yes n 1; else echo n 1; sleep 0.2; fi
done"""


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


def set_mood(folder, mood):
    with open(os.path.join(folder, "mood.new"), "w") as f:
        f.write(mood)
    os.rename(os.path.join(folder, "mood.new"), os.path.join(folder, "mood"))
    with open(os.path.join(folder, "pid")) as f:
        os.killpg(int(f.read()), signal.SIGSTOP if mood == "stopped" else signal.SIGCONT)


def late_ns(build, disturbed):
    """The moods in turn with when they began, and how late the source was called: (due, late) on the monotonic clock."""
    folder, moods = tempfile.mkdtemp(prefix="fogline-bench-"), []
    file = os.path.join(folder, "late")
    sources = [{"type": "late", "name": "late", "interval_ms": LATE_INTERVAL_MS, "file": file},
               {"type": "exec", "name": "program", "command": ["/bin/sh", "-c", f"cd {folder}; {PROGRAM}"], "interval_ms": "1 s"}]
    with open(os.path.join(folder, "mood"), "w") as f:
        f.write("quiet")
    try:
        with Cluster(os.path.join(folder, "cluster"), build, by_relay=()) as c:
            node = c.add_device("device", site="bench", fogs=[], config={"log.level": "error"}, sources=sources)
            node.daemon = os.path.join(build, "tests", "limits", "bench_device")
            c.setup()
            c.start("device")
            time.sleep(STRETCH_SECONDS)  # what a start costs is not measured
            for i in range(2 * CYCLES):
                mood = disturbed if i % 2 == 1 else "quiet"
                set_mood(folder, mood)
                moods.append((time.monotonic_ns(), mood))
                time.sleep(STRETCH_SECONDS)  # the length of the measurement
            set_mood(folder, "quiet")
            c.stop("device", timeout=60)
        with open(file) as f:
            return moods, [tuple(map(int, line.split())) for line in f]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stretch_p99(moods, ticks):
    """Of each mood in turn, without its edges."""
    result = []
    for began_ns, _ in moods:
        first, last = began_ns + EDGE_SECONDS * 1e9, began_ns + (STRETCH_SECONDS - EDGE_SECONDS) * 1e9
        late = sorted(late for due, late in ticks if first <= due < last)
        result.append(late[len(late) * 99 // 100])
    return result


def compare(build, disturbed):
    p99 = stretch_p99(*late_ns(build, disturbed))
    ratios = [b / a for a, b in zip(p99[::2], p99[1::2])]
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(DRAWS))
    return {"quiet_p99_us": round(statistics.median(p99[::2]) / 1000, 1), "p99_us": round(statistics.median(p99[1::2]) / 1000, 1),
            "to_quiet": round(statistics.median(ratios), 3), "from": round(medians[DRAWS // 20], 3), "to": round(medians[DRAWS * 19 // 20], 3)}


def lateness(build):
    """`same`: nothing changes; what the measurement itself makes of nothing."""
    return {"interval_ms": LATE_INTERVAL_MS, "cycles": CYCLES, "seconds_each": STRETCH_SECONDS,
            "same": compare(build, "quiet"), "flooding": compare(build, "flooding"), "stopped": compare(build, "stopped")}


def ms(ns):
    return round(ns / 1e6, 4)


def output(build):
    return {"seconds": SECONDS, "goal_p99_ms": GOAL_P99_MS, "disk_as_it_is": one(build, 0), "disk_slow_ms": SLOW_MS,
            "disk_slow": one(build, SLOW_MS)}
