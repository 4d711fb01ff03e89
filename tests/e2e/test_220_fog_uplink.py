"""What goes up of a site's readings, by pattern: the rest stays at the fog, is told in the ledger, and nothing is unexplained, over kill -9."""
import csv
import json
import math
import os
import shutil
import signal

import ledger
from system import FIRST_S, replay, until

ROWS = 20000


def write_pump(path, rows):
    with open(path, "w") as f:
        f.write("time,pressure,flow\n")
        for i in range(rows):
            f.write(f"{FIRST_S + i}.0,{5 + i % 7 / 10},{20 + i % 11}\n")
    return path


def site(make_system, fog, cloud=None, devices=("dev-1",), rows=ROWS, speed=8000):
    s = make_system()
    s.add_cloud(config={"reduce_sites": ["s"]} if cloud is None else cloud)
    s.add_fog("fog-a", "s", config=fog)
    for name in devices:
        s.add_device(name, "s", ["fog-a"], [replay(write_pump(os.path.join(s.dir, name + ".csv"), rows), speed)])
    s.setup()
    return s


def readings(s, node, device):
    """Lines of `export` there about a device."""
    return sorted(s.ctl(node, "export", "--select", f"s/{device}").stdout.splitlines()[1:])


def of_device(gaps, name):
    return next(d for d in gaps["devices"] if d["device"] == name)


def test_what_is_local_stays_over_kills_and_is_explained(make_system):
    s = site(make_system, {"uplink": [{"select": "s/dev-1", "send": "local"}]}, devices=("dev-1", "dev-2"))
    s.start()
    for at in (5000, 15000, 25000):
        until(f"{at} readings are in the history", lambda at=at: len(readings(s, "fog-a", "dev-1")) > at)
        s.kill("fog-a")
        s.start("fog-a")
    s.wait_read()
    g = s.wait_settled(60)
    assert g["balanced"] and g["records"]["unexplained"] == 0 and g["samples"]["unexplained"] == 0, g
    there, here = readings(s, "cloud", "dev-1"), readings(s, "fog-a", "dev-1")
    assert len(here) == len(set(here)) == 2 * ROWS
    # What may have been given to another fog goes up, whatever the list says: what is there is nowhere twice.
    assert len(there) == len(set(there)) < len(here) / 2 and set(there) <= set(here)
    mine = of_device(g, "dev-1")
    assert set(mine["records"]["explained"]) == {"local"}
    assert mine["samples"]["explained"]["local"] == 2 * ROWS - len(there)
    assert len(readings(s, "cloud", "dev-2")) == 2 * ROWS
    assert of_device(g, "dev-2")["records"]["explained_total"] == 0


def test_a_cloud_that_does_not_allow_it_gets_all(make_system):
    s = site(make_system, {"uplink": [{"select": "s/dev-1", "send": "local"}]}, cloud={}, rows=ROWS // 4, speed=200)
    s.start()
    until("the fog knows it", lambda: s.fact("fog-a", "covers", {}).get("refused_devices", 0) > 0, 60)
    until("records go up again", lambda: s.counter("fog-a", "uplink.blocks_refused") > 0)
    s.wait_read()
    assert readings(s, "cloud", "dev-1")
    assert s.fact("fog-a", "covers")["a_refused_device"] == "dev-1"
    g = s.gaps()
    assert g["records"]["unexplained"] == 0 and g["samples"]["unexplained"] == 0
    assert of_device(g, "dev-1")["records"]["explained_total"] == 0


def write_drift(path, rows):
    with open(path, "w") as f:
        f.write("time,pressure,flow\n")
        for i in range(rows):
            f.write(f"{FIRST_S + i}.0,{drift(i)},{20 + i % 11}\n")
    return path


def drift(i):
    return round(5 + math.sin(i / 50) + (i % 3) * 0.01, 4)


def series(s, select):
    out = s.ctl("cloud", "export", "--time", "unix_ns", "--select", select).stdout
    return sorted((int(r["time"]) // 10**9 - FIRST_S, float(r["value"])) for r in csv.DictReader(out.splitlines()))


def test_changes_tell_all_within_the_deadband_over_kills(make_system):
    """What goes up is few readings; each reading is within the deadband of the last one that did, in the order of times."""
    rows = 20000
    s = make_system()
    s.add_cloud(config={"reduce_sites": ["s"]})
    s.add_fog("fog-a", "s", config={"uplink": [{"select": "s/*/pressure", "send": "changes", "deadband": 0.2, "max_silence_ms": 0},
                                               {"select": "s/*/flow", "send": "local"}]})
    s.add_device("dev-1", "s", ["fog-a"], [replay(write_drift(os.path.join(s.dir, "dev-1.csv"), rows), 8000)])
    s.setup()
    s.start()
    for at in (8000, 20000):
        until(f"{at} readings are in the history", lambda at=at: len(readings(s, "fog-a", "dev-1")) > at)
        s.kill("fog-a")
        s.start("fog-a")
    s.wait_read()
    g = s.wait_settled(60)
    assert g["balanced"] and g["records"]["unexplained"] == 0 and g["samples"]["unexplained"] == 0, g
    raw, sent = series(s, "s/dev-1/pressure"), series(s, "s/fog-a/dev-1.pressure")
    assert len(raw) < rows / 2 and 200 < len(sent) < rows / 10, "few go up"
    assert set(of_device(g, "dev-1")["records"]["explained"]) <= {"merged", "filtered"}
    assert not series(s, "s/fog-a/dev-1.flow")
    known, there = None, dict(raw + sent)
    for i in range(rows):
        known = there.get(i, known)
        assert known is not None and abs(known - drift(i)) <= 0.2 + 1e-9, i


def test_a_fog_that_loses_its_disk_loses_no_change(make_system):
    """Its ledger went up and, with the budget used up, the changes that it names did not: those are lost with the disk. So devices
    were not to let go of what they stand for, and it goes up by the other fog as it came."""
    rows = 20000
    uplink = [{"select": "s/dev-1/pressure", "send": "changes", "deadband": 0.2, "max_silence_ms": 0},
              {"select": "s/dev-1/flow", "send": "local"}]
    s = make_system()
    s.add_cloud(config={"reduce_sites": ["s"]})
    s.add_fog("fog-a", "s", config={"uplink": uplink, "budgets": [{"per_day": "256 KiB"}]})
    s.add_fog("fog-b", "s", config={"uplink": uplink})
    s.add_device("dev-1", "s", ["fog-a", "fog-b"], [replay(write_drift(os.path.join(s.dir, "dev-1.csv"), rows), 2000)])
    s.add_replay("dev-2", "s", ["fog-a", "fog-b"], 30000, speed="max")
    s.setup()
    s.start("cloud", "fog-a", "fog-b", "dev-2")
    until("the budget is used up", lambda: s.fact("fog-a", "budget", {}).get("held_back") == "all but alarms", 40)
    s.start("dev-1")
    told = s.counter("fog-a", "covers.ledger_records")
    until("the ledger went up", lambda: s.counter("fog-a", "covers.ledger_records") > told and queue(s, "urgent_own") == 0, 60)
    assert queue(s, "ordinary_own") > 0, "and what it names did not"
    s.kill("fog-a")
    shutil.rmtree(os.path.join(s.nodes["fog-a"].state_dir, "spool"))
    s.wait_read()
    for name in "dev-1", "dev-2", "fog-b":
        until(f"{name} has let go of everything", lambda name=name: s.held_records(name) == 0, 60, 0.2)
    for device in "dev-1", "dev-2":
        mine = of_device(s.gaps(), device)
        assert mine["records"]["unexplained"] == mine["records"]["held"] == 0, mine
    assert s.judge("dev-2")["rows_in"] > 0 and ledger.agrees(s.judge("dev-2"))
    raw = series(s, "s/dev-1/pressure")
    sent = series(s, "s/fog-a/dev-1.pressure") + series(s, "s/fog-b/dev-1.pressure")
    assert 0 < len(raw) < rows, "what was withheld when the disk went came again"
    known, there = None, dict(raw + sent)
    for i in range(rows):
        known = there.get(i, known)
        assert known is not None and abs(known - drift(i)) <= 0.2 + 1e-9, i


def queue(s, name):
    return next(q["records"] for q in report(s, "queues") if q["queue"] == name)


def report(s, what, *args):
    return s.ctl_json("fog-a", "report", what, *args)["rows"]


def test_a_budget_keeps_all_but_alarms_and_gives_it_when_raised(make_system):
    """Used up, readings wait at the fog and events still go; the meter outlives kill -9 and never shows less than went."""
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s", config={"budgets": [{"per_day": "256 KiB"}]})
    s.add_replay("dev-1", "s", ["fog-a"], 30000, speed="max")
    s.setup()
    s.start()
    s.wait_read()
    until("the budget is used up", lambda: s.fact("fog-a", "budget", {}).get("held_back") == "all but alarms", 40)
    before = s.fact("fog-a", "budget")["day_bytes"]
    s.kill("fog-a")
    assert report(s, "bytes")[0]["all_bytes"] > 0, "of a dead fog, too"
    s.start("fog-a")
    until("it says so again", lambda: s.fact("fog-a", "budget", {}).get("held_back") == "all but alarms", 40)
    assert s.fact("fog-a", "budget")["day_bytes"] >= before - 8 * 1024
    there = s.archived_samples()
    until("its start is told all the same", lambda: s.ctl("cloud", "events", "fog-a").stdout.count("start") >= 2)
    assert s.held_records("fog-a") > 100 and s.archived_samples() == there
    rows = report(s, "bytes")
    assert rows[0]["budget_bytes"] == 256 * 1024 and rows[0]["left_bytes"] == 0 and rows[0]["alarms_bytes"] > 0
    readings_sent = rows[0]["live_bytes"] + rows[0]["backlog_bytes"]
    assert 0 < readings_sent < 256 * 1024
    s.nodes["fog-a"].config["budgets"] = [{"per_day": "64 MiB"}]
    s.write_config("fog-a")
    s.signal("fog-a", signal.SIGHUP)
    s.wait_settled(60)
    s.must_be_exact()


def test_reports_and_why_tell_what_is_where(make_system):
    s = site(make_system, {"uplink": [{"select": "s/dev-1", "send": "local"}]}, devices=("dev-1", "dev-2"), rows=2000, speed="max")
    s.start("cloud", "fog-a")
    until("the fog knows its devices", lambda: s.fact("fog-a", "node_list_version", 0) > 0)
    s.stop("cloud")
    s.start("dev-1", "dev-2")
    s.wait_read()
    until("all is here", lambda: len(readings(s, "fog-a", "dev-1")) == len(readings(s, "fog-a", "dev-2")) == 4000)
    until("its status says so", lambda: all(d["state"] == "linked" for d in report(s, "devices")))
    devices = {d["device"]: d for d in report(s, "devices")}
    mine, other = devices["dev-1"], devices["dev-2"]
    withheld = mine["waiting_records"] + mine["covered_records"] + mine["said_records"]
    assert withheld > 0 and other["covered_records"] + other["said_records"] == 0 and other["held_records"] > mine["held_records"]
    assert mine["newest_unix_ns"] == (FIRST_S + 1999) * 10**9
    queues = {q["queue"]: q["records"] for q in report(s, "queues")}
    assert queues["covered"] + queues["said"] == withheld and queues["ordinary"] == mine["held_records"] + other["held_records"] - queues["urgent"]
    links = report(s, "links")
    assert [(x["way"], x["peer"]) for x in links][1:] == [("down", "dev-1"), ("down", "dev-2")] and links[0]["way"] == "up"

    def why(device):
        seen = json.loads(s.ctl("fog-a", "why", device, "2", "--json").stdout)
        return {x["stage"]: x["what"] for x in seen["steps"]}, seen
    steps, seen = why("dev-1")
    assert seen["seen"] and not seen["held"] and steps["inbox"] == "taken" and steps["store"].startswith("in the history: a block of replay")
    assert "local, by s/dev-1" in steps["uplink"] and "withheld" in steps["cover"] and "stays here" in steps["fate"]
    steps, seen = why("dev-2")
    assert seen["held"] and "raw, no pattern fits" in steps["uplink"] and "held for the cloud" in steps["relay"]
    s.start("cloud")
    s.wait_settled(60)
    s.stop("fog-a")
    for device in "dev-1", "dev-2":
        steps, seen = why(device)
        assert seen["seen"] and not seen["held"] and "done" in steps["fate"], "of a stopped fog"
    assert s.ctl("fog-a", "why", "dev-9", "1", check=False).returncode == 6
    assert s.ctl("fog-a", "report", "links", check=False).returncode == 3
    for what in "devices", "queues", "bytes":
        assert s.ctl("fog-a", "report", what).stdout.count("\n") > 1


def test_what_is_wrong_with_it_is_said_with_its_place(make_system):
    s = site(make_system, {}, rows=1)
    s.nodes["fog-a"].config.update({"uplink": [{"select": "**", "send": "local"}, {"select": "**", "send": "raw"}],
                                    "budgets": [{"link": "elsewhere:1", "per_day": "1 MiB"}, {"per_day": "1 KiB"}], "history.max_age": "0"})
    s.write_config("fog-a")
    out = s.ctl("fog-a", "config", "check", check=False)
    said = out.stdout + out.stderr
    assert out.returncode != 0
    for field in "uplink[0].send: ", "uplink[1].select: ", "budgets[0].link: ", "budgets[1].per_day: ":
        line = next((x for x in said.splitlines() if field in x), "")
        place = line.split(field)[0]
        assert place.startswith(s.nodes["fog-a"].yaml + ":") and "; " in line, said
