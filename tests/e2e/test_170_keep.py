"""What policy leaves out is not in the archive, stands in the account to the last sample, and what is there stands for it."""
import csv
import os
import random

import system
from system import ledger, until

ROWS = 6000
DEADBAND = 0.75


def write_input(path):
    rng = random.Random(8)
    level = 40.0
    with open(path, "w") as f:
        f.write("time,level,inner,flow,state\n")
        for i in range(ROWS):
            level += rng.gauss(0, 0.2)
            f.write(f"{system.FIRST_S + i},{level!r},{i * 0.5},{rng.gauss(3, 1)!r},{'on' if i // 500 % 2 else 'off'}\n")
    return path


CHANNELS = [{"name": "level", "keep": "change", "deadband": DEADBAND, "max_silence_ms": 300000},
            {"name": "inner", "keep": "local"},
            {"name": "flow", "keep": "aggregate", "aggregate_ms": 60000},
            {"name": "state", "keep": "change", "max_silence_ms": 0}]


def cells_of(s, device):
    """{channel: {second: value}} of what the archive has."""
    out = os.path.join(s.dir, "out.jsonl")
    s.export(out, "jsonl", ["--select", f"{s.nodes[device].site}/{device}"])
    sent = {}
    for _, _, _, time_ns, values in ledger.export_rows(out):
        for name, value in values.items():
            sent.setdefault(name, {})[time_ns // 10**9] = value
    return sent


def test_what_is_not_sent_is_accounted_for(make_system):
    s = make_system().one_of_each(rows=10, device={"pack.rows": 50})
    path = write_input(os.path.join(s.dir, "keep.csv"))
    s.nodes["dev-1"].sources[0].update({"path": path, "channels": CHANNELS})
    s.write_config("dev-1")
    s.start()
    s.wait_read()
    s.stop("dev-1")
    s.start("dev-1")
    s.wait_settled()
    want = {"filtered", "merged", "local"}
    gaps = until("the account has come", lambda: (lambda g: g if set(g["reduced"]) == want else None)(s.gaps()))
    got = next(d for d in gaps["devices"] if d["device"] == "dev-1")
    windows = (ROWS + system.FIRST_S % 60 + 59) // 60
    assert gaps["balanced"]
    assert got["reduced"]["local"] == ROWS and got["reduced"]["merged"] == ROWS
    assert got["samples"]["produced"] - 4 * windows + sum(got["reduced"].values()) == 4 * ROWS
    assert "filtered" in s.ctl("cloud", "gaps").stdout

    sent = cells_of(s, "dev-1")
    assert set(sent) == {"level", "state", "flow.count", "flow.min", "flow.max", "flow.mean"}
    held = None
    silent = 0
    with open(path) as f:
        for line in csv.DictReader(f):
            silent += 1
            if int(line["time"]) in sent["level"]:
                held, silent = sent["level"][int(line["time"])], 0
            assert abs(held - float(line["level"])) <= DEADBAND and silent < 300
    assert sum(sent["flow.count"].values()) == ROWS


def test_all_readings_around_an_alarm_are_sent(make_system):
    s = make_system().one_of_each(rows=10)
    path, spike, around = os.path.join(s.dir, "spike.csv"), 1000, 30
    rng = random.Random(9)
    values = [20 + rng.gauss(0, 0.1) + (15 if spike <= i < spike + 5 else 0) for i in range(2000)]
    with open(path, "w") as f:
        f.write("time,level\n")
        f.writelines(f"{system.FIRST_S + i},{v!r}\n" for i, v in enumerate(values))
    s.nodes["dev-1"].sources[0].update({"path": path, "channels": [
        {"name": "level", "keep": "change", "deadband": 50, "max_silence_ms": 0, "around_alarm_ms": around * 1000}]})
    s.nodes["dev-1"].config["rules"] = [
        {"type": "above", "name": "hot", "channel": "replay/level", "limit": 30, "actions": []}]
    s.write_config("dev-1")
    s.start()
    s.wait_read()
    s.stop("dev-1")
    s.start("dev-1")
    s.wait_settled()
    sent = {at - system.FIRST_S: v for at, v in cells_of(s, "dev-1")["level"].items()}
    assert set(sent) - {0} == set(range(spike - around, spike + around + 1))
    assert all(v == values[i] for i, v in sent.items())
