"""bench_flash.py - what a device writes to its flash a day, beside the goals; part of bench device.

Real time, nothing compressed: three devices send to one fog, and what they wrote in whole periods of their health reports is scaled
to a day. Counted are the pages that the device writes to files on disks (count_writes), and with each commit one of the store's lock file,
which is written through a mapping whenever the kernel comes to it. Beside it stands the kernel's count, which the device tells in its
health: more where it takes folios for pages. What the journal of the file system adds is in neither. Devices: `defaults`,
`each_ten_seconds` and `each_second` with 8 channels at 1 Hz; `busy` with defaults and 8 channels at 1 kHz, to see that what waits for a
commit is bounded.
"""
import os
import shutil
import sys
import tempfile
import time

from cluster import Cluster

MIB = 1 << 20
GOALS = {"defaults": 60 * MIB, "each_second": 4 * 10**9}
DAY_S = 86400
PERIODS = 2
PAGE_BYTES, WRITEBACK_S = 4096, 5  # Linux looks for old pages of mappings so often
DEFAULTS = {"commit_ms": None, "pack.ms": None, "log.level": "warn"}  # None: not in the file
DEVICES = {  # configuration, interval of the readings, seconds between two health reports
    "defaults": (DEFAULTS, 1000, 60),
    "each_ten_seconds": ({**DEFAULTS, "commit_ms": "10 s"}, 1000, 60),
    "each_second": ({**DEFAULTS, "commit_ms": "1 s", "health_s": 20}, 1000, 20),
    "busy": (DEFAULTS, 1, 60),
}


def written(pid):
    with open(f"/proc/{pid}/io") as f:
        return int(next(line for line in f if line.startswith("write_bytes:")).split()[1])


def cpu_s(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def rss_anon_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("RssAnon:")).split()[1]) / 1024


def pages_written(folder, pid):
    with open(os.path.join(folder, str(pid)), "rb") as f:
        return int.from_bytes(f.read(8), sys.byteorder)


class Counts:
    """Follows one device: a look at each of its reports."""

    def __init__(self, cluster, name, folder):
        self.cluster, self.name, self.folder = cluster, name, folder
        self.looks, self.last, self.rss, self.exposure = [], None, 0, 0

    def look(self):
        s = self.cluster.status(self.name)
        if s is None:
            return
        health, pid = s["facts"]["health"], self.cluster.nodes[self.name].pid
        self.rss = max(self.rss, rss_anon_mib(pid))
        self.exposure = max(self.exposure, health["exposure_ms"])
        said = health["flash_written_bytes"], health["cpu_percent"], health["memory_available_bytes"]
        if self.last is not None and said != self.last:
            # The status that has a new report is written after the commit of the report.
            self.looks.append({"at": time.monotonic(), "bytes": pages_written(self.folder, pid), "kernel": written(pid), "said": said[0],
                               "cpu": cpu_s(pid), "commits": s["counters"]["spool.commits"], "said_per_day": health["flash_bytes_per_day"]})
        self.last = said

    def is_done(self):
        return len(self.looks) > PERIODS

    def result(self):
        first, last = self.looks[0], self.looks[PERIODS]
        period = DEVICES[self.name][2]
        took = PERIODS * period  # as the device counts it: what is seen of a report is up to a second late
        commits = last["commits"] - first["commits"]
        lock = min(commits, took // WRITEBACK_S) * PAGE_BYTES
        per_day = (last["bytes"] - first["bytes"] + lock) / took * DAY_S
        out = {"seconds": took, "commits_a_minute": round(commits / took * 60, 1),
               "bytes_a_commit": round((last["bytes"] - first["bytes"]) / max(1, commits)),
               "lock_bytes_a_day": round(lock / took * DAY_S),
               "bytes_a_day": round(per_day), "bytes_a_day_by_kernel": round((last["kernel"] - first["kernel"]) / took * DAY_S),
               "bytes_a_day_by_health": round((last["said"] - first["said"]) / took * DAY_S),
               "health_says_a_day_since_start": last["said_per_day"],
               "cpu_percent_of_core": round((last["cpu"] - first["cpu"]) / (last["at"] - first["at"]) * 100, 3),
               "rss_anon_mib": round(self.rss, 2), "exposure_max_ms": round(self.exposure)}
        if self.name in GOALS:
            out.update({"goal_bytes_a_day": GOALS[self.name], "met": per_day <= GOALS[self.name]})
        return out


def run(build):
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder, run_dirs = tempfile.mkdtemp(prefix="fogline-bench-"), tempfile.mkdtemp(prefix="fogline-bench-", dir=memory)
    preload = {"LD_PRELOAD": os.path.join(build, "tests", "limits", "libcount_writes.so"), "FOGLINE_COUNT_WRITES": run_dirs}
    try:
        with Cluster(folder, build, by_relay=()) as c:
            c.add_cloud()
            c.add_fog("fog", site="bench")
            for name, (config, interval_ms, _) in DEVICES.items():
                node = c.add_device(name, site="bench", fogs=["fog"], config=config, sources=[
                    {"type": "plant", "name": "plant", "interval_ms": interval_ms}])
                node.run_dir = os.path.join(run_dirs, name)  # in memory, as /run is: the status in it is no flash
            c.setup()
            c.start("cloud", "fog")
            os.environ.update(preload)
            try:
                c.start(*DEVICES)
            finally:
                for key in preload:
                    del os.environ[key]
            counts = [Counts(c, name, run_dirs) for name in DEVICES]
            deadline = time.monotonic() + 120 + PERIODS * 60
            while not all(n.is_done() for n in counts):
                if time.monotonic() > deadline:
                    raise TimeoutError("the devices did not report: " + c.nodes["defaults"].log_tail())
                for n in counts:
                    n.look()
                time.sleep(0.2)
            out = {n.name: n.result() for n in counts}
            c.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(run_dirs, ignore_errors=True)
    return out
