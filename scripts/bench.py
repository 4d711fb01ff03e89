"""bench.py - the measurements. Times are never asserted; every figure is printed beside its limit from the same run.

  bench pipeline [--json] [--rounds 3] [--rows N]   the bare pipeline and Fogline in turn: single, batch, paced
                 [--encoding small fast raw]        Fogline once with each of them (default: small and fast)
  bench footprint [--json]                          sizes of programs, memory and CPU idle and under load, start times
  bench drain [--rows N] [--json]                   a backlog after a cut, with live rows overtaking it
  bench connections [--devices N] [--json]          what a connected, silent device costs its fog, and ZeroMQ alone
  bench device [--json] [--parts P ...]      from a sample to the output that a rule switches, with a slow disk (output); how late a source is
                                                    read beside a bad neighbour (late); size, start, memory, CPU (size); bytes written
                                                    to flash a day (flash): beside their goals
  bench fog [--json] [--parts P ...]                what a fog costs with all its stages (stages); a backlog of 72 h beside live rows
                                                    (outage) and of the rate of the pipeline (drain); 500 devices that reconnect, one
                                                    that is stopped (herd); failover; aggregates against what was made (exact)
  bench codec [--data DIR] [--rounds 3] [--json]    bytes a sample and speed of the encodings on folders of CSV files
  bench keep [--data DIR] [--json]                  bytes a sample within error bounds beside their goals; policies on a recording
  bench skab [--data DIR] [--predictions OUT] [--kind K] [--json]   a detector of anomalies on the pump loop of SKAB: devices replay the
                                                    files, what they committed is scored; OUT gets it, a file each
  bench nab [--data DIR] [--predictions OUT] [--kind K] [--json]    the same on the single series of NAB
  bench infer [--peer LIBRARY] [--rounds 5] [--json]  how long models take, by level of the kernels, beside ONNX Runtime
  bench quantize [--data DIR] [--json]              what int8 changes in the decisions of a net trained on half of SKAB
  bench onnx [--data DIR] [--models 220] [--json]    stored tests of ONNX; random models against ONNX Runtime from npm
  bench peer-line ROWS                              one JSON line per variant, for a table of peers

Input: the CSV files below $FOGLINE_TRACE_DIR (DIR/x/x.csv, `;`), or a seeded walk of the same shape. A row is a time, a source
and 8 values. Needs two free cores to mean anything.
"""
import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone

import bench_codec
import bench_detect
import bench_device
import bench_flash
import bench_fog
import bench_infer
import bench_keep
import bench_onnx
import bench_quantize
from cluster import Cluster, ClusterError

BUILD = os.environ.get("FOGLINE_BUILD", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build"))
LIMITS = os.path.join(BUILD, "tests", "limits")
SOURCES = 50
HZ = os.sysconf("SC_CLK_TCK")
VARIANTS = {  # rows per message, rate, rows in a run
    "single": (1, 0, 400_000),
    "batch": (100, 0, 6_000_000),
    "paced": (1, 1000, 10_000),
}
TIERS = ("device", "fog", "cloud")
ENCODINGS = ("small", "fast", "raw")
DEVICE_PARTS = ("output", "late", "size", "flash")


def bare(variant, rows):
    per, rate, _ = VARIANTS[variant]
    with tempfile.TemporaryDirectory(prefix="fogline-bench-") as d:
        out = subprocess.run([os.path.join(LIMITS, "pipe_limit"), d, str(per), str(rows), str(rate), str(SOURCES)],
                             stdout=subprocess.PIPE, text=True, check=True, timeout=300).stdout
    return json.loads(out.splitlines()[-1])


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        at = f.read().rsplit(")", 1)[1].split()
    return (int(at[11]) + int(at[12])) / HZ


def status_kib(pid, field):
    with open(f"/proc/{pid}/status") as f:
        m = re.search(rf"^{field}:\s+(\d+)", f.read(), re.M)
    return int(m.group(1)) if m else 0


def tcp_bytes(port):
    """Payload of the established connections to this local port, both directions."""
    out = subprocess.run(["ss", "-Htin", f"sport = :{port}"], stdout=subprocess.PIPE, text=True).stdout
    return sum(int(n) for n in re.findall(r"bytes_(?:sent|received):(\d+)", out))


def unix_ns(text):
    whole, _, frac = text.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()) * 10**9 + int((frac + "0" * 9)[:9])


class Watch:
    """Follows what is durable in the cloud, from outside. largest: of the stream that has most, without what fogs add."""

    def __init__(self, cluster, period_us, largest=False):
        store = os.path.join(cluster.cloud.state_dir, "archive")
        self.path = os.path.join(cluster.dir, "watch")
        with open(self.path, "w") as f:
            self.process = subprocess.Popen([os.path.join(LIMITS, "watch_archive"), store, str(period_us),
                                             *([str(2**62), "largest"] if largest else [])], stdout=f,
                                            preexec_fn=Cluster.die_with_parent())

    def lines(self):
        with open(self.path) as f:
            return [tuple(map(int, line.split())) for line in f if line.endswith("\n")]

    def last(self):
        lines = self.lines()
        return lines[-1][1] if lines else 0

    def stop(self):
        self.process.terminate()
        self.process.wait()


def make_cluster(folder, variant, rows, encoding="small", fog=None):
    per, rate, _ = VARIANTS[variant]
    c = Cluster(folder, BUILD, by_relay=())
    c.add_cloud(config={"store.map_bytes": "4 GiB"})
    c.add_fog("fog", site="bench", config={"store.map_bytes": "1 GiB", **(fog or {})})
    device = c.add_device("device", site="bench", fogs=["fog"], config={
        "store.map_bytes": "64 MiB", "pack.rows": per, "commit_ms": 0 if rate else 20, "log.level": "warn",
    }, sources=[{"type": "trace", "name": "trace", "sources": SOURCES, "run": per, "rows": rows, "rate": rate,
                 "stamp": os.path.join(folder, "stamp"), "encoding": encoding}])
    device.daemon = os.path.join(LIMITS, "bench_device")
    c.setup()
    return c


def latencies(c, watch):
    """Row by row: the time in the archive minus the time in the row."""
    path = c.export(os.path.join(c.dir, "rows.jsonl"), form="jsonl")
    seen, lines, at, out = [], watch.lines(), 0, []
    with open(path) as f:
        for line in f:
            row = json.loads(line)
            seen.append((row["seq"], row["time"]))
    for seq, text in sorted(seen):
        sent = unix_ns(text)
        while at < len(lines) and lines[at][1] < seq:
            at += 1
        if at < len(lines):
            out.append((lines[at][0] - sent) / 1e6)
    return sorted(out)


def quantile(v, q):
    return v[min(len(v) - 1, int(q * (len(v) - 1) + 0.5))] if v else 0


def product(variant, rows, encoding="small", fog=None):
    per, rate, _ = VARIANTS[variant]
    folder = tempfile.mkdtemp(prefix="fogline-bench-")
    try:
        with make_cluster(folder, variant, rows, encoding, fog) as c:
            c.start("cloud", "fog")
            watch = Watch(c, 100 if rate else 2000, largest=True)
            c.start("device")
            pids = {t: c.nodes[t].pid for t in TIERS}
            want, anon, deadline = -(-rows // per) + SOURCES, dict.fromkeys(TIERS, 0), time.monotonic() + 240
            while watch.last() < want:
                for t in TIERS:
                    anon[t] = max(anon[t], status_kib(pids[t], "RssAnon"))
                if time.monotonic() > deadline:
                    raise ClusterError(f"{variant}: {watch.last()} of {want} records after 240 s; logs in {c.dir}/log:\n"
                                       + c.nodes["device"].log_tail() + c.nodes["fog"].log_tail())
                time.sleep(0.05)
            cpu = {t: cpu_seconds(pids[t]) for t in TIERS}
            wire = {"device_fog": tcp_bytes(c.nodes["fog"].pair.port) + tcp_bytes(c.nodes["fog"].pair.port + 1),
                    "fog_cloud": tcp_bytes(c.nodes["cloud"].pair.port) + tcp_bytes(c.nodes["cloud"].pair.port + 1)}
            with open(os.path.join(folder, "stamp")) as f:
                began = int(f.read())
            ended = next(t for t, n in watch.lines() if n >= want)
            lat = latencies(c, watch) if rate else []
            watch.stop()
            used = c.ctl_json("cloud", "store", "stat").get("used_bytes", 0)
            plain, columns = c.counter("device", "io.plain_bytes"), c.counter("device", "io.column_bytes")
            c.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    seconds = (ended - began) / 1e9
    return {"rows_s": rows / seconds, "seconds": seconds, "cpu": cpu, "anon_mib": {t: anon[t] / 1024 for t in TIERS},
            "wire": {k: v / rows for k, v in wire.items()}, "disk": used / rows,
            "plain": plain / rows, "columns": columns / rows,
            "p50": quantile(lat, 0.5), "p99": quantile(lat, 0.99)}


def median(values):
    return statistics.median(values)


def pipeline(args):
    out = []
    for variant in args.variants:
        rows = args.rows or VARIANTS[variant][2]
        turns = []
        for i in range(args.rounds):
            print(f"{variant} {i + 1} of {args.rounds}", file=sys.stderr)
            turns.append((bare(variant, rows), {e: product(variant, rows, e) for e in args.encoding}))
        for encoding in args.encoding:
            row = pipeline_row(variant, encoding, rows, [(t[0], t[1][encoding]) for t in turns])
            out.append(row)
            if not args.json:
                print_pipeline_row(row, VARIANTS[variant][1])
    if args.json:
        print(json.dumps(out))


def pipeline_row(variant, encoding, rows, turns):
    rate, b, p = VARIANTS[variant][1], [t[0] for t in turns], [t[1] for t in turns]
    return {
        "variant": variant, "encoding": encoding, "rows": rows,
        "rows_s": round(median([x["rows_s"] for x in p])), "bare_rows_s": round(median([x["rows_s"] for x in b])),
        "bare_ratio": round(median([y["rows_s"] / x["rows_s"] for x, y in turns]), 3),
        "cpu_s_per_M_rows": round(median([sum(x["cpu"].values()) for x in p]) / rows * 1e6, 2),
        "bare_cpu_s_per_M_rows": round(median([sum(x["cpu"].values()) for x in b]) / rows * 1e6, 2),
        "cpu_share": {t: round(median([x["cpu"][t] for x in p]) / rows * 1e6, 2) for t in TIERS},
        "wire_bytes_per_row": {k: round(median([x["wire"][k] for x in p]), 1) for k in p[0]["wire"]},
        "plain_bytes_per_row": round(median([x["plain"] for x in p]), 1),
        "column_bytes_per_row": round(median([x["columns"] for x in p]), 1),
        "disk_bytes_per_row": round(median([x["disk"] for x in p]), 1),
        "rss_anon_mib": {t: round(max(x["anon_mib"][t] for x in p), 1) for t in TIERS},
        "p50_ms": round(median([x["p50"] for x in p]), 2), "p99_ms": round(median([x["p99"] for x in p]), 2),
        "bare_p50_ms": round(median([x["p50"] for x in b]), 2) if rate else 0,
        "bare_p99_ms": round(median([x["p99"] for x in b]), 2) if rate else 0,
    }


def print_pipeline_row(row, rate):
    wire = row["wire_bytes_per_row"]
    print(f"{row['variant']:7} {row['encoding']:5} {row['rows_s']:>10,} rows/s = {row['bare_ratio']:.2f} x bare "
          f"({row['bare_rows_s']:,}); wire {wire['device_fog']}/{wire['fog_cloud']} B/row "
          f"(plain {row['plain_bytes_per_row']}, columns {row['column_bytes_per_row']}); "
          f"CPU {row['cpu_s_per_M_rows']} s/M rows (bare {row['bare_cpu_s_per_M_rows']}); RssAnon "
          + "/".join(str(row["rss_anon_mib"][t]) for t in TIERS) + " MiB"
          + (f"; p50 {row['p50_ms']} p99 {row['p99_ms']} ms (bare {row['bare_p50_ms']} / {row['bare_p99_ms']})"
             if rate else ""))


def block_times(listing):
    """Times of the first rows of blocks, out of what `store ls` prints."""
    return [unix_ns(m) for m in re.findall(r" rows \d+ \w+ from (\S+Z) ", listing)]


def start_to_first_sample(folder):
    """A device alone with a fast live source: from exec to the time of its first row."""
    c = Cluster(folder, BUILD, by_relay=())
    with c:
        c.add_device("device", site="bench", fogs=[], config={"commit_ms": 0, "pack.rows": 1}, sources=[
            {"type": "plant", "name": "plant", "interval_ms": 10}])
        c.setup()
        # A first start makes the store; what counts is the second.
        c.start("device")
        c.stop("device")
        began = time.time_ns()
        c.start("device")
        ready = (time.time_ns() - began) / 1e6
        c.wait_for("a sample", lambda: c.counter("device", "io.rows"), 10)
        c.stop("device")
        p = c.ctl("device", "store", "ls")
    first = [t for t in block_times(p.stdout) if t > began]
    return {"ready_ms": round(ready, 1), "first_sample_ms": round((min(first) - began) / 1e6, 1) if first else None}


def bare_wakeups(seconds):
    """A thread that wakes a thousand times a second and does nothing: no sampling at 1 kHz costs less here."""
    out = subprocess.run([os.path.join(LIMITS, "wake_limit"), str(seconds), "1000"], stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    return json.loads(out)


def idle(folder, interval_ms):
    """8 channels of the plant simulator through three tiers, a quiet minute's worth of figures in 10 s."""
    with Cluster(folder, BUILD, by_relay=()) as c:
        c.add_cloud()
        c.add_fog("fog", site="bench")
        c.add_device("device", site="bench", fogs=["fog"], sources=[
            {"type": "plant", "name": "plant", "interval_ms": interval_ms}],
            config={"pack.ms": 100 if interval_ms < 100 else 1000})
        c.setup()
        c.start()
        time.sleep(2)
        before, t0 = {t: cpu_seconds(c.nodes[t].pid) for t in TIERS}, time.monotonic()
        time.sleep(10)
        took = time.monotonic() - t0
        return {t: {"rss_anon_mib": round(status_kib(c.nodes[t].pid, "RssAnon") / 1024, 2),
                    "cpu_percent_of_core": round((cpu_seconds(c.nodes[t].pid) - before[t]) / took * 100, 2)} for t in TIERS}


def drain(args):
    print(json.dumps(drain_once(args.rows or 4_000_000)))


def drain_once(rows, live_rate=1000):
    """A cut between fog and cloud while rows are made, then both together: the backlog drains, live rows overtake it."""
    folder = tempfile.mkdtemp(prefix="fogline-bench-")
    try:
        with make_cluster(folder, "batch", rows) as c:
            live = c.add_device("live", site="bench", fogs=["fog"], config={"pack.ms": 100, "commit_ms": 50}, sources=[
                {"type": "trace", "name": "trace", "sources": 1, "run": 1, "rows": live_rate * 600, "rate": live_rate}])
            live.daemon = os.path.join(LIMITS, "bench_device")
            # What the cloud has not settled the device keeps, too.
            c.nodes["device"].config["store.map_bytes"] = "1 GiB"
            c.write_config("device")
            c.start("cloud", "fog", "device", "live")
            c.stop("cloud")
            c.wait_for("all rows are made", lambda: c.counter("device", "act.rows") == rows and
                       c.status("device")["facts"]["waiting_records"] == 0, 240)
            held = c.status("fog")["facts"]["store"]["held_records"]
            c.start("cloud")
            began, lags = time.monotonic(), []
            watch = Watch(c, 2000)
            while time.monotonic() < began + 240:
                out = c.ctl("cloud", "query", "bench/live").stdout.splitlines()
                if len(out) > 1:
                    lags.append(time.time() - unix_ns(next(w for w in out[1].split() if w.endswith("Z"))) / 1e9)
                if watch.last() >= rows // 100:
                    break
            lines = watch.lines()
            watch.stop()
            # The rate between a tenth and nine tenths of the backlog: start and end belong to the live rows.
            top = lines[-1][1]
            at = [next(t for t, n in lines if n >= lines[0][1] + (top - lines[0][1]) * q) for q in (0.1, 0.9)]
            rate = (top - lines[0][1]) * 0.8 * 100 / ((at[1] - at[0]) / 1e9)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lags = lags[1:]
    return {"backlog_records": held, "drain_rows_s": round(rate), "live_lag_s_median": round(median(lags), 3),
            "live_lag_s_max": round(max(lags), 3), "looks": len(lags)}


def idle_devices(pid, n, keys, port, link_key):
    """Connects n silent devices to the process. What it paid: bytes of RssAnon and ms of CPU, each per device."""
    kib, cpu = status_kib(pid, "RssAnon"), cpu_seconds(pid)
    p = subprocess.Popen([os.path.join(LIMITS, "many_devices"), "link", str(n), keys, "127.0.0.1", str(port), link_key],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=Cluster.die_with_parent())
    got = json.loads(p.stdout.readline())
    cpu = cpu_seconds(pid) - cpu
    time.sleep(1)
    kib = status_kib(pid, "RssAnon") - kib
    p.stdin.close()
    p.wait(30)
    return got, round(kib * 1024 / n), round(cpu * 1000 / n, 2)


def bare_connections(n, keys):
    with subprocess.Popen([os.path.join(LIMITS, "idle_limit")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          preexec_fn=Cluster.die_with_parent()) as p:
        at = json.loads(p.stdout.readline())
        out = idle_devices(p.pid, n, keys, at["port"], at["key"])
        p.stdin.close()
    return out


def connections(args):
    """Devices that are connected and silent: handshakes, memory and CPU of the fog, and of ZeroMQ alone."""
    n = args.devices
    folder = tempfile.mkdtemp(prefix="fogline-bench-")
    try:
        with Cluster(folder, BUILD, by_relay=()) as c:
            c.add_cloud()
            c.add_fog("fog", site="bench")
            c.setup()
            keys = os.path.join(folder, "keys")
            out = subprocess.run([os.path.join(LIMITS, "many_devices"), "keys", str(n), keys], stdout=subprocess.PIPE,
                                 text=True, check=True).stdout
            for line in out.splitlines():
                name, key = line.split()
                c.ctl("cloud", "enroll", "accept", name, key, "--site", "bench")
            c.start()
            c.wait_for("the fog has the list of nodes", lambda: c.counter("fog", "fog.node_lists") and
                       c.counter("fog", "fog.documents_taken"), 20)
            time.sleep(1)
            fog = c.nodes["fog"]
            got, idle_bytes, cpu = idle_devices(fog.pid, n, keys, fog.pair.port, fog.link_key)
            c.stop()
            bare, bare_bytes, bare_cpu = bare_connections(n, keys)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"devices": n, **got, "idle_bytes_per_device": idle_bytes, "fog_cpu_ms_per_device": cpu,
                      "handshakes_per_device": 2, "bare_connected": bare["connected"],
                      "bare_idle_bytes_per_device": bare_bytes, "bare_cpu_ms_per_device": bare_cpu}))


def footprint(args):
    out = {"stripped_bytes": {}, "idle_1_hz": {}, "load_1_khz": {}}
    with tempfile.TemporaryDirectory() as d:
        for tier in TIERS:
            for program in ("fogline-" + tier, tier + "ctl"):
                to = os.path.join(d, program)
                subprocess.run(["strip", "-o", to, os.path.join(BUILD, tier, program)], check=True)
                out["stripped_bytes"][program] = os.path.getsize(to)
    for key, fn in (("start", lambda f: start_to_first_sample(f)), ("idle_1_hz", lambda f: idle(f, 1000)),
                    ("load_1_khz", lambda f: idle(f, 1))):
        folder = tempfile.mkdtemp(prefix="fogline-bench-")
        if key == "load_1_khz":
            wakes = [bare_wakeups(5)]
        try:
            out[key] = fn(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    # Before and after the load it is held against: the price of waking up changes with what else the machine does.
    wakes.append(bare_wakeups(5))
    out["bare_wakeups_cpu_percent"] = round(sum(w["nanosleep_cpu_percent"] for w in wakes) / len(wakes), 2)
    out["bare_wakeups_ppoll_cpu_percent"] = round(sum(w["ppoll_cpu_percent"] for w in wakes) / len(wakes), 2)
    out["bare_wakeups_s"] = round(sum(w["nanosleep_wakes_s"] for w in wakes) / len(wakes))
    out["load_1_khz_per_bare_wakeups"] = round(
        out["load_1_khz"]["device"]["cpu_percent_of_core"] / out["bare_wakeups_cpu_percent"], 2)
    print(json.dumps(out, indent=None if args.json else 1))


def peer_line(args):
    for variant, name in (("single", "row"), ("batch", "batch"), ("paced", "paced")):
        rows = {"single": args.rows_n, "batch": args.rows_n * 16, "paced": 10_000}[variant]
        r = product(variant, rows)
        line = {"peer": "product", "variant": name, "rows": rows, "rate": VARIANTS[variant][1], "rows_s": r["rows_s"],
                "cpu_s_per_M": sum(r["cpu"].values()) / rows * 1e6, "cpu": {t: round(s, 2) for t, s in r["cpu"].items()},
                "rss_mib": {t: round(m) for t, m in r["anon_mib"].items()},
                "wire_b_row": {"hop1": round(r["wire"]["device_fog"], 1), "hop2": round(r["wire"]["fog_cloud"], 1)},
                "disk_b_row": round(r["disk"], 1), "p50_ms": r["p50"], "p99_ms": r["p99"],
                "note": "fsync, all tiers; memory is RssAnon"}
        print(json.dumps(line), flush=True)


def codec(args):
    bench_codec.run(args, BUILD, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def detect(args):
    bench_detect.run(args, BUILD, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def goals_of_size():
    """Program, start, memory and CPU of a device alone, each beside its goal. The load is 8 channels at 1 kHz, blocks of 100 ms."""
    with tempfile.TemporaryDirectory(prefix="fogline-bench-") as d:
        to = os.path.join(d, "fogline-device")
        subprocess.run(["strip", "-o", to, os.path.join(BUILD, "device", "fogline-device")], check=True)
        stripped = os.path.getsize(to)
        start = start_to_first_sample(os.path.join(d, "start"))
        load = idle(os.path.join(d, "load"), 1)["device"]
    return {"stripped_bytes": stripped, "goal_stripped_bytes": 600 * 1024, "start": start, "goal_first_sample_ms": 50,
            "load_1_khz": load, "goal_rss_anon_mib": 8, "goal_cpu_percent_of_core": 2}


def device(args):
    out = {}
    if "output" in args.parts:
        out["output"] = bench_device.output(BUILD)
    if "late" in args.parts:
        out["late_beside_a_program"] = bench_device.lateness(BUILD)
    if "size" in args.parts:
        out["size"] = goals_of_size()
    if "flash" in args.parts:
        out["flash"] = bench_flash.run(BUILD)
    print(json.dumps(out, indent=None if args.json else 1))


def keep(args):
    bench_keep.run(args, BUILD, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def infer(args):
    bench_infer.run(args, BUILD)


def quantize(args):
    bench_quantize.run(args, BUILD, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def fog(args):
    bench_fog.run(args, sys.modules[__name__])


def onnx(args):
    bench_onnx.run(args, BUILD, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="name", required=True)
    q = sub.add_parser("pipeline")
    q.add_argument("--json", action="store_true")
    q.add_argument("--rounds", type=int, default=3)
    q.add_argument("--rows", type=int)
    q.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    q.add_argument("--encoding", nargs="+", choices=ENCODINGS, default=["small", "fast"])
    q.set_defaults(fn=pipeline)
    q = sub.add_parser("footprint")
    q.add_argument("--json", action="store_true")
    q.set_defaults(fn=footprint)
    q = sub.add_parser("drain")
    q.add_argument("--json", action="store_true")
    q.add_argument("--rows", type=int)
    q.set_defaults(fn=drain)
    q = sub.add_parser("connections")
    q.add_argument("--json", action="store_true")
    q.add_argument("--devices", type=int, default=500)
    q.set_defaults(fn=connections)
    q = sub.add_parser("device")
    q.add_argument("--json", action="store_true")
    q.add_argument("--parts", nargs="+", choices=DEVICE_PARTS, default=list(DEVICE_PARTS))
    q.set_defaults(fn=device)
    bench_fog.add_to(sub).set_defaults(fn=fog)
    q = sub.add_parser("codec")
    q.add_argument("--json", action="store_true")
    q.add_argument("--data", metavar="DIR")
    q.add_argument("--rounds", type=int, default=3)
    q.set_defaults(fn=codec)
    q = sub.add_parser("keep")
    q.add_argument("--json", action="store_true")
    q.add_argument("--data", metavar="DIR")
    q.set_defaults(fn=keep)
    for name in ("skab", "nab"):
        q = sub.add_parser(name)
        q.add_argument("--json", action="store_true")
        q.add_argument("--data", metavar="DIR")
        q.add_argument("--predictions", metavar="OUT")
        q.add_argument("--kind")
        q.set_defaults(fn=detect)
    q = sub.add_parser("infer")
    q.add_argument("--json", action="store_true")
    q.add_argument("--peer", metavar="LIBRARY")
    q.add_argument("--rounds", type=int, default=5)
    q.set_defaults(fn=infer)
    q = sub.add_parser("quantize")
    q.add_argument("--json", action="store_true")
    q.add_argument("--data", metavar="DIR")
    q.set_defaults(fn=quantize)
    q = sub.add_parser("onnx")
    q.add_argument("--json", action="store_true")
    q.add_argument("--data", metavar="DIR")
    q.add_argument("--models", type=int, default=220)
    q.add_argument("--from", type=int, default=1, dest="first")
    q.set_defaults(fn=onnx)
    q = sub.add_parser("peer-line")
    q.add_argument("rows_n", type=int, metavar="ROWS")
    q.set_defaults(fn=peer_line)
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        args.fn(args)
    except (ClusterError, TimeoutError) as e:
        sys.exit(f"bench: {e}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
