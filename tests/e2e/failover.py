#!/usr/bin/env python3
"""Two fogs of a site: devices leave the one that dies or stops, and go back to it when it is there again.

    tests/e2e/failover.py [--rounds N] [--devices N] [--json]

All devices prefer fog-a. Each round fog-a gets kill -9, or SIGSTOP with its connections standing; the time until the first row
comes through fog-b counts (status is a second old at most, so up to a second of it is the measurement's). Then fog-a starts or
goes on, and the devices have to go back to it by themselves. At the end everything must have arrived, once.

Exit 0: nothing lost, twice or unexplained, and the first row through after kill -9 within 5 s."""
import signal
import sys
import time

import campaign
from system import until

ROWS_PER_S = 100
RETURN_MS = 2000
GOAL_S = 5
COMMON = {"up.poll": "1 s", "up.failover": "3 s", "up.return": f"{RETURN_MS} ms", "commit_ms": "20 ms", "pack.ms": "100 ms"}
FAULTS = ("kill", "stop")


def upstream_of(s, name):
    return (s.fact(name, "link"), s.fact(name, "upstream"))


def all_at(s, fog, names):
    at = f"127.0.0.1:{s.nodes[fog].pair.port}"
    return all(upstream_of(s, n) == ("open", at) for n in names)


def one_round(s, fault, names):
    before = s.counter("fog-b", "inbox.samples")
    began = time.monotonic()
    s.kill("fog-a") if fault == "kill" else s.signal("fog-a", signal.SIGSTOP)
    until(f"rows come through fog-b after {fault}", lambda: s.counter("fog-b", "inbox.samples") > before, 60, 0.02)
    through_s = time.monotonic() - began
    until("all have gone over", lambda: all_at(s, "fog-b", names), 60)
    began = time.monotonic()
    s.start("fog-a") if fault == "kill" else s.signal("fog-a", signal.SIGCONT)
    until("all are back at fog-a", lambda: all_at(s, "fog-a", names), 90)
    return through_s, time.monotonic() - began


def rounds_of(s, rounds, devices):
    names = [f"dev-{i}" for i in range(devices)]
    s.add_cloud()
    for fog in ("fog-a", "fog-b"):
        s.add_fog(fog, "s", config={"up.poll": "300 ms"})
    for name in names:
        s.add_replay(name, "s", ["fog-a", "fog-b"], ROWS_PER_S * 60 * (rounds + 1), "1", 1000 // ROWS_PER_S, COMMON)
    s.setup()
    s.start("cloud", "fog-a", "fog-b")
    for fog in ("fog-a", "fog-b"):
        until(f"{fog} knows its devices", lambda: s.fact(fog, "node_list_version"))
    s.start(*names)
    until("all are at fog-a", lambda: all_at(s, "fog-a", names), 30)
    times = {f: [] for f in FAULTS}
    back = []
    for i in range(rounds):
        fault = FAULTS[i % len(FAULTS)]
        through_s, back_s = one_round(s, fault, names)
        times[fault].append(through_s)
        back.append(back_s)
        print(f"round {i + 1}: {fault}: first row after {through_s:.1f} s, all back after {back_s:.1f} s", file=sys.stderr)
    for name in names:  # the rest at once
        s.nodes[name].sources[0]["speed"] = "max"
        s.write_config(name)
        s.restart(name)
    result = {"rounds": rounds, "devices": devices, "goal_first_row_s": GOAL_S, "returned_s_max": round(max(back), 1)}
    for fault in FAULTS:
        result[f"{fault}_first_row_s_max"] = round(max(times[fault], default=0), 1)
    return campaign.judge(s, result, 60)


def run(rounds=20, devices=3, keep=None):
    return campaign.in_folder(rounds_of, keep, rounds=rounds, devices=devices)


def is_good(result):
    return campaign.is_clean(result) and result["kill_first_row_s_max"] <= GOAL_S


if __name__ == "__main__":
    sys.exit(campaign.main(__doc__, run, [("rounds", int, 20, "faults"), ("devices", int, 3, "devices")], is_good))
