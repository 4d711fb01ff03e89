"""bench_fog.py - the part `fog` of bench: what a fog costs and how fast it is back, each beside its goal.

  stages    rows a second through device, fog and cloud with every stage of the fog in use, of the rate with none (same run, in turn)
  outage    records of hours at 1,000 samples/s drained beside live rows: tests/e2e/outage.py
  drain     rows a second of a backlog after a cut, of the rate of the pipeline without one (same run)
  herd      devices that reconnect at once: tests/e2e/herd.py; and what one stopped peer costs the others
  failover  the first row through the second fog: tests/e2e/failover.py
  exact     schedules of the simulation: sums of aggregates and raw rows against what was made
"""
import json
import os
import subprocess
import sys

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "e2e"))

PARTS = ("stages", "outage", "drain", "herd", "failover", "exact")
GOALS = {"stages_ratio": 0.6, "drain_ratio": 4, "live_lag_s": 1, "drain_of_pipeline": 0.7, "back_s": 30, "others_p99_ratio": 1.1,
         "rss_growth_mib": 16, "kill_first_row_s_max": 5}
STAGES = {
    "mend": [{"type": "clock", "name": "time", "select": "*/*/*", "tolerance": "2 s"},
             {"type": "range", "name": "sane", "select": "*/*/pressure", "min": -1000, "max": 1000}],
    "keep": [{"type": "rename", "name": "nice", "select": "*/*/a1", "to": "acceleration"},
             {"type": "derive", "name": "head", "inputs": ["*/*/temperature", "*/*/thermocouple"], "op": "difference", "to": "head"},
             {"type": "drop", "name": "noise", "select": "*/*/debug*"}],
    "windows": [{"name": "minute", "select": "*/*/*", "length": "60 s", "stats": ["mean", "min", "max"]}],
    "rules": [{"type": "above", "name": "hot", "select": "*/*/temperature", "limit": 1e6}],
}
NOTHING = {"history.max_age": "0 s"}


def known_stages(build):
    """Those of STAGES that this fog has."""
    p = subprocess.run([os.path.join(build, "fog", "fogctl"), "config", "doc", "--json"], stdout=subprocess.PIPE, text=True, check=True)
    keys = {k["key"] for k in json.loads(p.stdout)["keys"]}
    return {k: v for k, v in STAGES.items() if k in keys}


def stages(args, bench):
    rows, turns, on = args.rows or 3_000_000, [], known_stages(bench.BUILD)
    for i in range(args.rounds):
        print(f"stages {i + 1} of {args.rounds}", file=sys.stderr)
        turns.append([bench.product("batch", rows, fog=fog) for fog in (NOTHING, on)])
    ratios = [b["rows_s"] / a["rows_s"] for a, b in turns]
    return {"rows": rows, "history_and": sorted(on), "pass_through_rows_s": round(bench.median([a["rows_s"] for a, _ in turns])),
            "rows_s": round(bench.median([b["rows_s"] for _, b in turns])), "stages_ratio": round(bench.median(ratios), 3),
            "fog_rss_anon_mib": [round(max(t[i]["anon_mib"]["fog"] for t in turns), 1) for i in (0, 1)]}


def drain(args, bench):
    rows = args.rows or 3_000_000
    rate = bench.median([bench.product("batch", rows)["rows_s"] for _ in range(args.rounds)])
    got = bench.drain_once(rows)
    return {**got, "pipeline_rows_s": round(rate), "drain_of_pipeline": round(got["drain_rows_s"] / rate, 3)}


def stopped_peer(args, bench):
    """Rows of one device timed into the archive while the others of `devices` go on, and while one of them is stopped."""
    import stopped
    turns = [stopped.run(devices=args.peers) for _ in range(args.rounds)]
    return {"peers": args.peers, "p99_ms": round(bench.median([t["p99_ms"] for t in turns]), 2),
            "p99_stopped_ms": round(bench.median([t["p99_stopped_ms"] for t in turns]), 2),
            "others_p99_ratio": round(bench.median([t["p99_stopped_ms"] / t["p99_ms"] for t in turns]), 2),
            "rss_growth_mib": round(max(t["rss_growth_mib"] for t in turns), 1)}


def exact(args, bench):
    p = subprocess.run([os.path.join(bench.BUILD, "tests", "sim", "sim"), "--seeds", f"1..{args.seeds}", "--keep-going", "--json"],
                       stdout=subprocess.PIPE, text=True)
    got = json.loads(p.stdout.splitlines()[-1])
    return {k: got[k] for k in ("seeds", "failed", "records", "aggregates", "crashes")}


def run(args, bench):
    os.environ["FOGLINE_BUILD"] = os.path.abspath(bench.BUILD)
    import failover
    import herd
    import outage
    out = {"goals": GOALS}
    makers = {
        "stages": lambda: stages(args, bench), "drain": lambda: drain(args, bench), "exact": lambda: exact(args, bench),
        "outage": lambda: outage.run(hours=args.hours),
        "herd": lambda: {**herd.run(devices=args.devices, rounds=1), "one_stopped": stopped_peer(args, bench)},
        "failover": lambda: failover.run(rounds=args.failovers),
    }
    for part in args.parts:
        out[part] = makers[part]()
        if not args.json:
            print(f"{part}: {json.dumps(out[part])}", flush=True)
    if args.json:
        print(json.dumps(out))


def add_to(sub):
    q = sub.add_parser("fog")
    q.add_argument("--json", action="store_true")
    q.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    q.add_argument("--rounds", type=int, default=3)
    q.add_argument("--rows", type=int)
    q.add_argument("--hours", type=float, default=72)
    q.add_argument("--devices", type=int, default=500)
    q.add_argument("--peers", type=int, default=100)
    q.add_argument("--failovers", type=int, default=6)
    q.add_argument("--seeds", type=int, default=2000)
    return q
