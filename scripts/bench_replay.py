"""bench_replay.py - verdicts of a detector on recordings, from real devices that replay them.

Each recording is a fogline-device of its own without a fog: a `csv` source at speed max and a `detector` on its channels. It commits to
its own store, and the verdicts are what `devicectl tail` finds there after it has ended. A few devices run at a time.
"""
import json
import os
import shutil

from cluster import ClusterError

AT_ONCE = 8
DEADLINE_S = 300
LABELS = ("anomaly", "changepoint")
RECORDING, WATCH = "recording", "watch"
SPOOL_BYTES = 16 * 1024 * 1024


def add(c, name, path, kind):
    """A device of the cluster c that replays the file; returns how many rows it sees there, and ClusterError when not all."""
    node = c.add_device(name, site="bench", fogs=[], config={
        # Without a fog nothing is let go: all of the recording has to find room.
        "store.map_bytes": SPOOL_BYTES + 4 * os.path.getsize(path), "log.level": "warn"})
    seen = c.ctl_json(name, "csv", "inspect", path)
    if seen["unreadable_rows"]:
        first = seen["unreadable"][0]
        raise ClusterError(f"{path}, line {first['line']}: {first['why']}: a prediction is due for each row; correct or remove the line")
    channels = [x["name"] for x in seen["channels"] if x["header"] not in LABELS and x["type"] != "text"]
    node.sources = [{"type": "csv", "name": RECORDING, "path": path, "speed": "max"},
                    {"type": "detector", "name": WATCH, "method": kind, "inputs": [f"{RECORDING}/{x}" for x in channels]}]
    c.write_config(name)
    return seen["rows"]


def has_ended(c, name):
    """Whether all rows were read. ClusterError when they never will be."""
    node, status = c.nodes[name], c.status(name)
    if not node.running:
        raise ClusterError(f"{name} ended with {node.process.returncode}; its log ends with:\n{node.log_tail()}")
    states = {x["name"]: x["state"] for x in status["facts"].get("sources", [])} if status else {}
    if "failed" in states.values():
        raise ClusterError(f"{name}: a source failed; its log ends with:\n{node.log_tail()}")
    return states.get(RECORDING) == "ended"


def committed(c, name):
    """(anomaly, changepoint, score) of each row, in the order in which they were committed."""
    said = []
    for line in c.ctl(name, "--json", "tail", "--all", "--for", "0", "--kind", "block", timeout=DEADLINE_S).stdout.splitlines():
        block = json.loads(line)
        if not block["decodes"]:
            raise ClusterError(f"{name}: block {block['seq']} does not decode")
        if f"{WATCH}.score" in block["columns"]:
            score, alarm, change = (block["columns"].index(f"{WATCH}.{x}") for x in ("score", "alarm", "changepoint"))
            said += [(int(row[alarm]), int(row[change]), row[score]) for row in block["rows"]]
    return said


def replay(c, paths, kind):
    """{key: what committed() says} of {key: file}. c: a Cluster without any node."""
    c.setup()
    keys, told = list(paths), {}
    for first in range(0, len(keys), AT_ONCE):
        names = {f"device-{first + i}": key for i, key in enumerate(keys[first:first + AT_ONCE])}
        n_rows = {name: add(c, name, paths[key], kind) for name, key in names.items()}
        c.start(*names)
        for name, key in names.items():
            c.wait_for(f"{name} has replayed {paths[key]}", lambda: has_ended(c, name), DEADLINE_S)
        for name, code in c.stop(*names, timeout=60).items():
            if code != 0:
                raise ClusterError(f"{name} ended with {code}; its log ends with:\n{c.nodes[name].log_tail()}")
        for name, key in names.items():
            told[key] = committed(c, name)
            if len(told[key]) != n_rows[name]:
                raise ClusterError(f"{paths[key]} has {n_rows[name]} rows, {name} judged {len(told[key])}")
            shutil.rmtree(c.nodes[name].state_dir)
    return told
