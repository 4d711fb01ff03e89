"""Rules on the fog, over the devices of a site: what they decide is in the archive once, whatever is killed when; programs and outputs
follow at once."""
import csv
import json
import os
import random
import signal
import time

from system import FIRST_S, replay, until

RAISED, CLEARED = "alarm_raised", "alarm_cleared"
LIMIT, HYSTERESIS = 30, 2


def alarms(s):
    """(raised or cleared, subject, time, text) of all alarms in the archive, in the order of their records."""
    out = []
    for line in s.ctl("cloud", "events", "--json", "--last", "10000").stdout.splitlines():
        told = json.loads(line)
        record = told["record"]
        if str(record.get("event", "")).startswith("alarm_"):
            out.append((record["seq"], record["event"], record["subject"], told["time_unix_ns"], record["text"]))
    return [x[1:] for x in sorted(out)]


def write_walk(path, rows, seed):
    """A walk around the limit; its values by time."""
    rng, x, values = random.Random(seed), 25.0, {}
    with open(path, "w") as f:
        f.write("time,temperature\n")
        for i in range(rows):
            x = min(36.0, max(22.0, x + rng.uniform(-1.5, 1.5)))
            f.write(f"{FIRST_S + i // 100}.{i % 100:02d},{x:.2f}\n")
            values[(FIRST_S * 100 + i) * 10_000_000] = float(f"{x:.2f}")
    return values


def must_be_sound(got, values):
    """Each change once, in order, at a reading that says so; what is said last holds for the last reading."""
    assert len(got) > 10
    assert [kind for kind, _ in got] == ([RAISED, CLEARED] * len(got))[:len(got)]
    times = [at for _, at in got]
    assert times == sorted(set(times))
    for kind, at in got:
        assert values[at] > LIMIT if kind == RAISED else values[at] <= LIMIT - HYSTERESIS
    last = values[max(values)]
    assert not (last > LIMIT and got[-1][0] == CLEARED) and not (last <= LIMIT - HYSTERESIS and got[-1][0] == RAISED)


def test_alarms_of_a_site_are_told_once_over_kill_9(make_system):
    """What comes as a backlog after a kill decides nothing; what is decided is told once, whatever is killed when."""
    s, rng, values = make_system(), random.Random(5), {}
    s.add_cloud()
    s.add_fog("fog-a", "s", config={"rules": [
        {"type": "above", "name": "hot", "select": "s/dev-*/temperature", "limit": LIMIT, "hysteresis": HYSTERESIS}]})
    for i in (1, 2):
        path = os.path.join(s.dir, f"walk-{i}.csv")
        values[f"dev-{i}/temperature"] = write_walk(path, 4000, seed=i)
        s.add_device(f"dev-{i}", "s", ["fog-a"], [replay(path, 4)], {"commit_ms": "20 ms", "pack.ms": "100 ms", "pack.rows": 10})
        s.inputs[f"dev-{i}"] = path
    s.setup()
    s.start()
    kills = 0
    while any(s.fact(d, "sources", [{}])[0].get("state") != "ended" for d in ("dev-1", "dev-2")) and kills < 40:
        time.sleep(rng.uniform(0.01, 0.8))  # the moment of the kill is the point
        victim = rng.choice(["fog-a", "fog-a", "dev-1", "dev-2"])
        s.kill(victim)
        kills += 1
        s.start(victim)
    assert kills >= 5
    s.wait_read()
    g = s.wait_settled()
    got = alarms(s)
    for subject, by_time in values.items():
        must_be_sound([(kind, at) for kind, who, at, _ in got if who == subject], by_time)
    assert {who for _, who, _, _ in got} == set(values) and all("rule hot: " in text for _, _, _, text in got)
    s.must_be_exact(g)


def told(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return f.read().splitlines()


def level(s):
    with open(os.path.join(s.dir, "light")) as f:
        return f.read().strip()


def test_three_of_five_act_at_once_and_are_told_once(make_system):
    s = make_system()
    ran = os.path.join(s.dir, "ran")
    s.add_cloud()
    s.add_fog("fog-a", "s", config={
        "outputs": [{"type": "file", "name": "light", "path": os.path.join(s.dir, "light")}],
        "rules": [{"type": "above", "name": "three", "select": "s/dev-{1,2,3,4,5}/t", "limit": 80, "at_least": 3,
                   "severity": "critical", "actions": [
                       {"type": "set", "output": "light"},
                       {"type": "exec", "argv": ["/bin/sh", "-c", f"echo $FOGLINE_STATE $FOGLINE_VALUE >>{ran}"]}]}]})
    for i in range(1, 6):
        s.add_device(f"dev-{i}", "s", ["fog-a"], [{"type": "socket", "name": "tank"}])
    s.setup()
    s.start()

    def give(i, value):
        s.ctl(f"dev-{i}", "send", f"t={value}")

    for i in range(1, 6):
        give(i, 70)
    give(1, 85)
    give(2, 90)
    until("all of it is here", lambda: s.counter("fog-a", "rules.evaluations") >= 7)
    assert told(ran) == [] and level(s) == "0"
    s.stop("cloud")  # nobody above is needed
    give(4, 81.5)
    until("the program ran", lambda: told(ran) == ["raised 3"])
    until("the output follows", lambda: level(s) == "1")
    until("the status says so", lambda: [a["rule"] for a in s.fact("fog-a", "alarms", [])] == ["three"])
    s.kill("fog-a")
    give(2, 60)  # it does not hear this yet
    with open(os.path.join(s.dir, "light"), "w") as f:
        f.write("0")
    s.start("fog-a")
    until("what was raised is over", lambda: "cleared 2" in told(ran))
    until("the output follows", lambda: level(s) == "0")
    s.start("cloud")
    s.wait_settled()
    got = alarms(s)
    assert [(kind, subject) for kind, subject, _, _ in got] == [(RAISED, "s/dev-{1,2,3,4,5}/t"), (CLEARED, "s/dev-{1,2,3,4,5}/t")]
    assert "rule three: 3 of 5 above 80: dev-1/t 85, dev-2/t 90, dev-4/t 81.5" in got[0][3]
    assert "cleared at 2 of 5" in got[1][3]


def test_a_device_that_falls_silent_and_rules_that_change(make_system):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s", config={"rules": [{"type": "silent", "name": "gone", "select": "s/dev-*", "for_ms": "3 s"}]})
    for i in (1, 2):
        s.add_device(f"dev-{i}", "s", ["fog-a"], [{"type": "socket", "name": "tank"}])
    s.setup()
    s.start()

    def raised():
        return sorted((a["rule"], a["channel"]) for a in s.fact("fog-a", "alarms", []))

    until("both are heard", lambda: len([d for d in s.fact("fog-a", "devices", []) if d["state"] == "linked"]) == 2)
    s.stop("dev-2")
    until("its silence is heard", lambda: raised() == [("gone", "dev-2")])
    s.kill("fog-a")
    s.start("fog-a")
    assert raised() == [("gone", "dev-2")]
    s.start("dev-2")
    until("it is heard again", lambda: raised() == [])
    s.ctl("dev-1", "send", "t=85")
    s.wait_settled()
    assert [(kind, subject) for kind, subject, _, _ in alarms(s)] == [(RAISED, "dev-2"), (CLEARED, "dev-2")]

    s.nodes["fog-a"].config["rules"] = [{"type": "above", "name": "hot", "select": "s/*/t", "limit": 80}]
    s.write_config("fog-a")
    s.signal("fog-a", signal.SIGHUP)
    until("it is in force", lambda: "event=reloaded" in s.log_of("fog-a"))
    s.ctl("dev-1", "send", "t=86")
    until("the new rule decides", lambda: raised() == [("hot", "dev-1/t")])
    s.nodes["fog-a"].config["rules"] = []
    s.write_config("fog-a")
    s.signal("fog-a", signal.SIGHUP)
    until("no rule, no alarm", lambda: raised() == [])
    s.wait_settled()
    got = alarms(s)[2:]
    assert [(kind, subject) for kind, subject, _, _ in got] == [(RAISED, "dev-1/t"), (CLEARED, "dev-1/t")]
    assert "no longer configured" in got[1][3]


def test_scores_of_a_site_are_there_once_over_kill_9(make_system):
    """A detector on the fog for each of two devices; fog and devices are killed again and again."""
    s, rng, values = make_system(), random.Random(8), {}
    s.add_cloud()
    s.add_fog("fog-a", "s", config={"models": [
        {"type": "detector", "name": "watch", "select": "s/dev-*", "inputs": ["temperature"], "commission_rows": 100}]})
    for i in (1, 2):
        path = os.path.join(s.dir, f"walk-{i}.csv")
        values[f"dev-{i}"] = write_walk(path, 3000, seed=i)
        s.add_device(f"dev-{i}", "s", ["fog-a"], [replay(path, 4)], {"commit_ms": "20 ms", "pack.ms": "100 ms", "pack.rows": 20})
        s.inputs[f"dev-{i}"] = path
    s.setup()
    s.start()
    kills = 0
    while any(s.fact(d, "sources", [{}])[0].get("state") != "ended" for d in values) and kills < 30:
        time.sleep(rng.uniform(0.01, 0.8))  # the moment of the kill is the point
        victim = rng.choice(["fog-a", "fog-a", "dev-1", "dev-2"])
        s.kill(victim)
        kills += 1
        s.start(victim)
    assert kills >= 4
    s.wait_read()
    g = s.wait_settled()
    said = {}
    for row in csv.DictReader(s.ctl("cloud", "export", "--select", "s/fog-a").stdout.splitlines()):
        channel = row["channel"].rsplit("/", 1)[-1]
        assert (channel, row["time"]) not in said, "said twice"
        said[channel, row["time"]] = row["value"]
    for device, by_time in values.items():
        scores = [at for channel, at in said if channel == f"{device}.watch.score"]
        learning = [v for (channel, at), v in said.items() if channel == f"{device}.watch.learning"]
        assert len(scores) == len(learning) and 300 < len(scores) <= len(by_time)
        # What was learnt outlives every kill: it is learnt once.
        assert learning.count("true") == 99, "the hundredth row ends it"
    s.must_be_exact(g)
