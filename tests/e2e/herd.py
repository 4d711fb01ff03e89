#!/usr/bin/env python3
"""Many devices whose fog goes away and comes back: all reconnect at once, each by its own pace, and nobody starves.

    tests/e2e/herd.py [--devices N] [--rounds N] [--json]

Each device is a process that replays a row a second. The fog gets kill -9 and starts again after a while.

    back_s       from the fog's start until every device has a session, the slowest of all rounds
    flowing_s    ... until the fog has a record of every one of them
    sessions_per_s   the most that were opened within a second

Exit 0: nothing lost, twice or unexplained, all back within 30 s."""
import sys
import time

import campaign
from system import until

GOAL_S = 30
AWAY_S = 5
START_AT_ONCE = 20
DEVICE = {"up.poll": None, "up.failover": None, "store.map_bytes": "8 MiB", "health_s": 3600}
COMMITS_PER_S = 100  # of all together, on one disk


def make(s, devices, rows):
    names = [f"dev-{i}" for i in range(devices)]
    pace = f"{max(500, devices * 1000 // COMMITS_PER_S)} ms"
    s.add_cloud(config={"store.map_bytes": "256 MiB"})
    s.add_fog("fog-a", "s", config={"store.map_bytes": "128 MiB", "up.poll": None})
    for name in names:
        s.add_replay(name, "s", ["fog-a"], rows, "1", 1000, {**DEVICE, "commit_ms": pace, "pack.ms": pace})
    s.setup()
    s.start("cloud", "fog-a")
    until("the fog knows all devices", lambda: len(s.fact("fog-a", "devices", [])) == devices, 60)
    for i in range(0, devices, START_AT_ONCE):
        s.start(*names[i:i + START_AT_ONCE], timeout=120)
    return names


def with_session(s):
    """Devices that this process of the fog has heard, and those it has records of."""
    status = s.status("fog-a")
    at = status["facts"].get("devices", []) if status and status["pid"] == s.nodes["fog-a"].pid else []
    return sum(d["state"] == "linked" for d in at), sum(d["records"] > 0 for d in at)


def one_round(s, devices):
    s.kill("fog-a")
    time.sleep(AWAY_S)  # for so long it is away
    s.start("fog-a")
    began, back_s, fastest, last = time.monotonic(), None, 0, (time.monotonic(), 0)
    while True:
        linked, flowing = with_session(s)
        now = time.monotonic()
        if now - last[0] >= 1:
            fastest, last = max(fastest, (linked - last[1]) / (now - last[0])), (now, linked)
        if back_s is None and linked == devices:
            back_s = now - began
        if flowing == devices and back_s is not None:
            return back_s, now - began, fastest
        if now - began > 10 * GOAL_S:
            raise TimeoutError(f"{linked} of {devices} devices are back and {flowing} have given something after {10 * GOAL_S} s")
        time.sleep(0.1)


def read_the_rest(s, names):
    """Of the files, at once: it is not waited for."""
    for name in names:
        s.nodes[name].sources[0]["speed"] = "max"
        s.write_config(name)
    s.stop(*names, timeout=60)
    for i in range(0, len(names), START_AT_ONCE):
        s.start(*names[i:i + START_AT_ONCE], timeout=120)


def herd(s, devices, rounds):
    names = make(s, devices, rows=60 + 40 * rounds)
    until("a record of each has come", lambda: with_session(s)[1] == devices, 120)
    seen = []
    for i in range(rounds):
        seen.append(one_round(s, devices))
        print(f"round {i + 1}: all back after {seen[-1][0]:.1f} s, a record of each after {seen[-1][1]:.1f} s, "
              f"up to {seen[-1][2]:.0f} sessions a second", file=sys.stderr)
    result = {"devices": devices, "rounds": rounds, "back_s": round(max(x[0] for x in seen), 1),
              "flowing_s": round(max(x[1] for x in seen), 1), "sessions_per_s": round(max(x[2] for x in seen)),
              "goal_back_s": GOAL_S, "fog_rss_kib": rss_kib(s.nodes["fog-a"].pid)}
    read_the_rest(s, names)
    return campaign.judge(s, result, 180)


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))


def run(devices=500, rounds=3, keep=None):
    return campaign.in_folder(herd, keep, devices=devices, rounds=rounds)


def is_good(result):
    return campaign.is_clean(result) and result["back_s"] <= GOAL_S


if __name__ == "__main__":
    sys.exit(campaign.main(__doc__, run, [("devices", int, 500, "devices"), ("rounds", int, 3, "times the fog goes away")], is_good))
