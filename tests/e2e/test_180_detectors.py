"""Detectors and models on the device: what they say is in the archive with the readings, rules hear it, and a model that cannot
be used leaves everything else alone."""
import json
import os
import random
import signal
import subprocess
import time

import pytest

from system import FIRST_S, build_dir, replay, until

ROWS, SHIFT_AT, LEARN = 1200, 900, 400


def write_pump(path, rows=ROWS, seed=3):
    """Two noisy channels; from row SHIFT_AT on the pressure is elsewhere."""
    rng = random.Random(seed)
    with open(path, "w") as f:
        f.write("time,pressure,flow\n")
        for i in range(rows):
            pressure = 5 + rng.gauss(0, 0.1) + (2 if i >= SHIFT_AT else 0)
            f.write(f"{FIRST_S + i}.0,{pressure:.3f},{20 + rng.gauss(0, 0.5):.2f}\n")
    return path


def detector(**more):
    return {"type": "detector", "name": "watch", "inputs": ["replay/pressure", "replay/flow"], **more}


ODD = {"type": "equals", "name": "odd", "channel": "watch/watch.alarm", "value": "true", "severity": "error"}
JUDGES = [detector(commission_rows=300, clear=0.01),
          {"type": "detector", "name": "slow", "inputs": ["replay/flow", "watch/watch.score"], "method": "pca",
           "commission_rows": 60, "settle_rows": 2, "interval_ms": "3 s"},
          {"type": "detector", "name": "med", "inputs": ["replay/pressure"], "method": "hampel", "commission_rows": 100}]


def readings(s, device="dev-1", select="*"):
    """{channel: [(ns, value), ...]} in the order of times."""
    path, out = os.path.join(s.dir, "archive.jsonl"), {}
    s.export(path, "jsonl", ["--select", f"s/{device}/{select}", "--time", "unix_ns"])
    with open(path) as f:
        for row in map(json.loads, f):
            for channel, value in row["values"].items():
                out.setdefault(channel, []).append((row["time"], value))
    return {k: sorted(v) for k, v in out.items()}


def archived(s, source, device="dev-1"):
    """{output: [(time in seconds, value), ...]} of what a source said, in the order of times."""
    said = readings(s, device, f"{source}.*")
    return {k[len(source) + 1:]: [(at // 10**9, value) for at, value in v] for k, v in said.items()}


def alarms(s):
    told = [json.loads(line) for line in s.ctl("cloud", "events", "--json", "--last", "1000").stdout.splitlines()]
    return [(t["record"]["event"], t["record"]["subject"], t["time_unix_ns"]) for t in told
            if str(t["record"].get("event", "")).startswith("alarm_")]


def one_device(make_system, sources, speed="max", keep="raw", **config):
    s = make_system()
    path = write_pump(os.path.join(s.dir, "pump.csv"))
    sources = sources(s) if callable(sources) else sources
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{**replay(path, speed), "channels": [{"name": "*", "keep": keep}]}, *sources], config)
    s.inputs["dev-1"] = path
    s.setup()
    return s


def has_ended(s):
    return next(x for x in s.fact("dev-1", "sources", [{"name": "replay", "state": ""}])
                if x["name"] == "replay")["state"] == "ended"


def finish(s):
    until("the recording is read", lambda: has_ended(s), 60)
    s.wait_settled()


def test_a_verdict_reaches_the_archive_and_a_rule(make_system):
    s = one_device(make_system, [detector()], rules=[
        {"type": "equals", "name": "odd", "channel": "watch/watch.alarm", "value": "true", "severity": "error"}])
    s.start()
    finish(s)
    found = alarms(s)
    assert found[0][:2] == ("alarm_raised", "watch/watch.alarm")
    row = found[0][2] // 10**9 - FIRST_S
    assert SHIFT_AT <= row <= SHIFT_AT + 10
    said = archived(s, "watch")
    assert set(said) == {"score", "alarm", "changepoint", "learning", "cause"}
    for rows in said.values():
        assert [at for at, _ in rows] == [FIRST_S + i for i in range(ROWS)]
    assert [v for _, v in said["learning"]] == [True] * (LEARN - 1) + [False] * (ROWS - LEARN + 1)
    assert [i for i, (_, v) in enumerate(said["alarm"]) if v][0] == row
    assert {v for _, v in said["cause"]} == {"", "pressure"}
    assert all((score > 1) <= alarm for (_, score), (_, alarm) in zip(said["score"], said["alarm"]))


def test_what_computing_costs_is_in_the_status_and_in_health(make_system):
    s = one_device(make_system, [detector()], health_s=1)
    s.start()
    until("every row had its verdict", lambda: s.fact("dev-1", "inference", [{"runs": 0}])[0]["runs"] == ROWS)
    work, = s.fact("dev-1", "inference")
    assert (work["name"], work["kind"], work["runs"], work["failures"]) == ("watch", "detector", ROWS, 0)
    assert 0 < work["p50_ns"] <= work["p99_ns"] <= work["max_ns"] < 10**9
    text = s.ctl("dev-1", "status").stdout
    assert "\ninference\n" in text and "P99" in text

    def told():
        lines = s.ctl("cloud", "events", "--json", "--health", "--last", "1000").stdout.splitlines()
        for record in (json.loads(line)["record"] for line in lines):
            if record.get("counters", {}).get("infer.watch.runs") == ROWS:
                return record
        return None
    record = until("the cloud knows", told)
    assert record["counters"]["infer.watch.failures"] == 0
    assert record["measures"]["infer.watch.p50_ns"] <= record["measures"]["infer.watch.max_ns"]


@pytest.mark.parametrize("keep", ["raw", "local"])
def test_kill_9_changes_no_verdict(make_system, keep):
    """dev-1 is killed again and again, dev-2 has the same to do and is left alone. With `local` rows of the recording leave
    nothing but their read positions."""
    rng = random.Random(5)
    config = {"commit_ms": "20 ms", "pack.ms": "100 ms", "pack.rows": 30, "rules": [ODD]}
    s = one_device(make_system, JUDGES, speed=400, keep=keep, **config)
    s.add_device("dev-2", "s", ["fog-a"], [{**replay(s.inputs["dev-1"]), "channels": [{"name": "*", "keep": keep}]}, *JUDGES], config)
    s.inputs["dev-2"] = s.inputs["dev-1"]
    s.start()
    kills = 0
    while not has_ended(s) and kills < 30:
        time.sleep(rng.uniform(0.05, 0.4))  # the moment of the kill is the point
        s.kill("dev-1")
        kills += 1
        s.start("dev-1")
    assert kills >= 4
    finish(s)
    for judge in JUDGES:
        said, undisturbed = (archived(s, judge["name"], device) for device in ("dev-1", "dev-2"))
        assert said == undisturbed
        times = [FIRST_S + i for i in range(ROWS) if judge["name"] != "slow" or i == 0 or (FIRST_S + i) % 3 == 0]
        for rows in said.values():
            assert [at for at, _ in rows] == times
    assert [a[0] for a in alarms(s) if a[1] == "watch/watch.alarm"] == ["alarm_raised"] * 2
    for device in ("dev-1", "dev-2"):
        j = s.judge(device)
        assert (j["missing"], j["archived_twice"]) == (0 if keep == "raw" else ROWS, 0)


def test_a_full_store_and_kill_9_cost_no_verdict(make_system):
    """What stands up to a mark waits for room as a whole."""
    rows, s = 60_000, make_system()
    path = write_pump(os.path.join(s.dir, "pump.csv"), rows)
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [replay(path), detector()], {"store.quota_bytes": "384 KiB", "pack.rows": 20})
    s.inputs["dev-1"] = path
    s.setup()
    s.start("cloud", "dev-1")
    until("there is no room", lambda: s.fact("dev-1", "replay_waits_for_room"))
    for _ in range(3):
        s.kill("dev-1")
        s.start("dev-1")
        until("there is no room", lambda: s.fact("dev-1", "replay_waits_for_room"))
    s.start("fog-a")
    finish(s)
    j = s.judge("dev-1")
    assert (j["missing"], j["archived_twice"]) == (0, 0)
    for said in archived(s, "watch").values():
        assert [at for at, _ in said] == [FIRST_S + i for i in range(rows)]
    assert [v for _, v in archived(s, "watch")["learning"]] == [True] * (LEARN - 1) + [False] * (rows - LEARN + 1)


def events_of(s, kind):
    lines = s.ctl("cloud", "events", "--json", "--last", "1000").stdout.splitlines()
    return [r["text"] for r in (json.loads(line)["record"] for line in lines) if r.get("event") == kind]


def test_what_was_learnt_is_taken_up_and_other_settings_learn_anew(make_system):
    s = one_device(make_system, [detector(commission_rows=1000)])
    s.start()
    finish(s)
    s.stop("dev-1")
    learnt = archived(s, "watch")["learning"]
    assert learnt[998:1000] == [(FIRST_S + 998, True), (FIRST_S + 999, False)]
    with open(s.inputs["dev-1"], "a") as f:  # the recording goes on
        f.writelines(f"{FIRST_S + ROWS + i}.0,5.0,20\n" for i in range(10))
    s.start("dev-1")
    finish(s)
    assert [v for _, v in archived(s, "watch")["learning"][ROWS:]] == [False] * 10
    s.stop("dev-1")
    path = s.nodes["dev-1"].yaml
    with open(path) as f:
        text = f.read()
    assert "commission_rows: 1000" in text
    with open(path, "w") as f:
        f.write(text.replace("commission_rows: 1000", "commission_rows: 1001"))
    with open(s.inputs["dev-1"], "a") as f:
        f.write(f"{FIRST_S + ROWS + 10}.0,5.0,20\n")
    s.start("dev-1")
    finish(s)
    assert [v for _, v in archived(s, "watch")["learning"][ROWS + 10:]] == [True]
    assert [t for t in events_of(s, "note") if "learn anew" in t] == ["ewma: the saved state is of other settings; let it learn anew"]


def write_model(path, kind, gain):
    """One of tests/unit/device/device_model.h, put in place as a whole."""
    tool = os.path.join(build_dir(), "tests", "unit", "device", "make_device_model")
    subprocess.run([tool, kind, str(gain), path + ".new"], check=True)
    os.replace(path + ".new", path)
    return path


def live_device(make_system, kind, interval_ms, **config):
    """A pump read each interval_ms, and a model on two of its channels that follows."""
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    model = {"type": "model", "name": "m", "file": write_model(os.path.join(s.dir, "m.fgm"), kind, 1), "allow_unsigned": True,
             "inputs": ["pump/flow", "pump/pressure"]}
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "plant", "name": "pump", "interval_ms": interval_ms}, model], config)
    s.setup()
    s.start()
    return s


def test_a_slow_model_delays_no_reading_and_rules_hear_it(make_system):
    def enough(found):
        return found if len(found.get("m.y", [])) >= 10 else None
    late = {}
    for kind in "sum", "slow":
        s = live_device(make_system, kind, "10 ms", rules=[
            {"type": "above", "name": "wear", "channel": "m/m.y", "limit": -1e9, "severity": "info"}])
        work = until("it ran often", lambda: next((w for w in s.fact("dev-1", "inference", []) if w["runs"] >= 20), None), 60)
        assert work["aside"] == (kind == "slow")
        assert [a[:2] for a in until("the rule heard it", lambda: alarms(s))] == [("alarm_raised", "m/m.y")]
        late[kind] = s.fact("dev-1", "health")["tick_late_p50_us"], s.counter("dev-1", "act.ticks_missed")
        if kind == "slow":
            assert work["p50_ns"] > 10_000_000 and work["skipped"] > 0
            all_of = until("it is in the archive", lambda: enough(readings(s)))
            flow, pressure = dict(all_of["flow"]), dict(all_of["pressure"])
            for at, value in all_of["m.y"]:  # each stands at the time of what it was computed from
                assert abs(value - flow[at] - pressure[at]) < 1e-3 * abs(value)
        s.stop("dev-1")
    # On the act thread each run would have made every reading within it late, by most of the run.
    assert late["slow"][0] < 5_000 and late["slow"][1] <= late["sum"][1] + 20, late


def test_another_model_takes_over_at_sighup_and_a_bad_one_does_not(make_system):
    s = live_device(make_system, "sum", "20 ms")
    path = os.path.join(s.dir, "m.fgm")
    until("it runs", lambda: s.fact("dev-1", "inference", [{"runs": 0}])[0]["runs"] > 5)
    write_model(path, "two", 1)
    s.signal("dev-1", signal.SIGHUP)
    told = until("the bad one is refused", lambda: [t for t in events_of(s, "note") if "not taken" in t])
    assert told == [f"not taken, the model before it runs on: {path} gives other channels: restart the device to take it"]
    write_model(path, "sum", -1)
    s.signal("dev-1", signal.SIGHUP)
    told = until("the good one runs", lambda: [t for t in events_of(s, "note") if " runs, before it " in t])
    assert len(told) == 1
    signs = until("it said something", lambda: (lambda x: x if any(x) else None)([v < 0 for _, v in readings(s)["m.y"]]))
    assert signs == sorted(signs) and signs[0] is False


def test_a_model_that_cannot_be_used_is_told_and_hurts_nobody(make_system):
    def damaged(s):
        path = os.path.join(s.dir, "damaged.fgm")
        with open(path, "wb") as f:
            f.write(b"FGLMODL" + bytes(range(200)))
        return [{"type": "model", "name": "m", "file": path, "allow_unsigned": True, "inputs": ["replay/flow"]}]

    s = one_device(make_system, damaged)
    s.start()
    finish(s)
    s.must_be_exact()
    told = [json.loads(line)["record"] for line in s.ctl("cloud", "events", "--json", "--last", "1000").stdout.splitlines()]
    failed = [t["text"] for t in told if t.get("event") == "source_failed"]
    assert len(failed) == 1 and "damaged.fgm" in failed[0] and failed[0].startswith("the model gives nothing: ")
