"""Rules on the device: what they decide is in the archive once, whatever is killed when, and outputs follow at once."""
import json
import os
import random
import socket
import subprocess
import time

from system import FIRST_S, ROOT, build_dir, replay, until

EXAMPLES = os.path.join(ROOT, "scripts", "deploy", "examples")
RAISED, CLEARED = "alarm_raised", "alarm_cleared"
LIMIT, HYSTERESIS = 30, 2


def alarms(s):
    """(raised or cleared, subject, time) of all alarms in the archive, in the order of their records."""
    out = []
    for line in s.ctl("cloud", "events", "--json", "--last", "10000").stdout.splitlines():
        told = json.loads(line)
        record = told["record"]
        if str(record.get("event", "")).startswith("alarm_"):
            out.append((record["seq"], record["event"], record["subject"], told["time_unix_ns"], record["text"]))
    return [x[1:] for x in sorted(out)]


def write_walk(path, rows, seed):
    """A walk around the limit; what a rule has to say of it."""
    rng, x, raised, said = random.Random(seed), 25.0, False, []
    with open(path, "w") as f:
        f.write("time,temperature\n")
        for i in range(rows):
            x = min(36.0, max(22.0, x + rng.uniform(-1.5, 1.5)))
            text = f"{x:.2f}"
            f.write(f"{FIRST_S + i // 100}.{i % 100:02d},{text}\n")
            if not raised and float(text) > LIMIT or raised and float(text) <= LIMIT - HYSTERESIS:
                raised = not raised
                said.append((RAISED if raised else CLEARED, (FIRST_S * 100 + i) * 10_000_000))
    return said


def rule(channel, *actions):
    return {"type": "above", "name": "hot", "channel": channel, "limit": LIMIT, "hysteresis": HYSTERESIS, "actions": list(actions)}


def light(s):
    return {"type": "file", "name": "light", "path": os.path.join(s.dir, "light")}


def level(s):
    with open(os.path.join(s.dir, "light")) as f:
        return f.read().strip()


def test_alarms_of_a_replay_are_exact_over_kill_9(make_system):
    s, rng = make_system(), random.Random(7)
    path = os.path.join(s.dir, "walk.csv")
    rows = 4000
    said = write_walk(path, rows, seed=11)
    assert len(said) > 50
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [replay(path, 8)], {
        "commit_ms": "20 ms", "pack.ms": "100 ms", "pack.rows": 30, "outputs": [light(s)],
        "rules": [rule("replay/temperature", {"type": "set", "output": "light"})]})
    s.inputs["dev-1"] = path
    s.setup()
    s.start()
    kills = 0
    while s.fact("dev-1", "sources", [{}])[0].get("state") != "ended" and kills < 40:
        time.sleep(rng.uniform(0.01, 0.4))  # the moment of the kill is the point
        s.kill("dev-1")
        kills += 1
        s.start("dev-1")
    assert kills >= 5
    s.wait_read()
    g = s.wait_settled()
    got = alarms(s)
    assert [(kind, at) for kind, _, at, _ in got] == said
    assert {subject for _, subject, _, _ in got} == {"replay/temperature"}
    assert all("rule hot: " in text for _, _, _, text in got)
    s.must_be_exact(g)


def test_alarms_of_a_replay_that_waits_for_room_are_told_once(make_system):
    """The spool is full in the middle of alarms; it is killed there, again and again, and gets room at last."""
    s, rng = make_system(), random.Random(9)
    path = os.path.join(s.dir, "walk.csv")
    said = write_walk(path, 12000, seed=13)
    assert len(said) > 150
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [replay(path)], {
        "commit_ms": "20 ms", "pack.rows": 10, "store.quota_bytes": "96 KiB", "store.map_bytes": "4 MiB",
        "rules": [rule("replay/temperature")]})
    s.inputs["dev-1"] = path
    s.setup()
    for _ in range(6):
        s.start("dev-1")
        until("the replay waits", lambda: s.fact("dev-1", "replay_waits_for_room"))
        s.kill("dev-1")
    s.start()
    for _ in range(4):
        time.sleep(rng.uniform(0.05, 0.4))  # the moment of the kill is the point
        s.kill("dev-1")
        s.start("dev-1")
    s.wait_read()
    g = s.wait_settled(60)
    assert [(kind, at) for kind, _, at, _ in alarms(s)] == said
    s.must_be_exact(g)
    assert g["records"]["explained_total"] == 0, "nothing was let go"


def send(path, value):
    """Until it was acknowledged, by whichever life of the daemon."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as c:
                c.bind("")
                c.connect(path)
                c.settimeout(1.0)
                c.send(f"t={value}".encode())
                if c.recv(256).startswith(b"ok"):
                    return
        except OSError:
            time.sleep(0.01)
    raise AssertionError("nobody acknowledges")


def test_alarms_of_live_readings_are_told_once_and_outputs_follow(make_system):
    s, rng = make_system(), random.Random(3)
    ran = os.path.join(s.dir, "ran")
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "socket", "name": "tank"}], {
        "outputs": [light(s)],
        "rules": [rule("tank/t", {"type": "set", "output": "light"},
                       {"type": "exec", "argv": ["/bin/sh", "-c", f"echo $FOGLINE_STATE $FOGLINE_VALUE >>{ran}"]})]})
    s.setup()
    s.start()
    path = os.path.join(s.nodes["dev-1"].run_dir, "send.sock")
    for turn in range(20):
        up = turn % 2 == 0
        send(path, 31 + turn if up else 20)
        assert level(s) == ("1" if up else "0")
        if turn % 3 == 0:
            send(path, 33 if up else 19)
        if rng.random() < 0.6:
            s.kill("dev-1")
            s.start("dev-1")
            assert [a["rule"] for a in until("it reports", lambda: s.status("dev-1"))["facts"].get("alarms", [])] in ([], ["hot"])
            until("what was raised drives its output again", lambda: level(s) == ("1" if up else "0"))
    until("the programs ran", lambda: os.path.exists(ran) and "raised 31" in open(ran).read())
    s.stop("dev-1")
    assert level(s) == "0"
    s.start("dev-1")
    s.wait_settled()
    got = alarms(s)
    assert [kind for kind, _, _, _ in got] == [RAISED, CLEARED] * 10, got
    assert {subject for _, subject, _, _ in got} == {"tank/t"}


def test_a_rule_that_is_taken_away_clears_its_alarm(make_system):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "socket", "name": "tank"}], {"rules": [rule("tank/t")]})
    s.setup()
    s.start()
    send(os.path.join(s.nodes["dev-1"].run_dir, "send.sock"), 31)
    s.stop("dev-1")
    s.nodes["dev-1"].config["rules"] = []
    s.write_config("dev-1")
    for _ in range(2):
        s.start("dev-1")
        s.stop("dev-1")
    s.start("dev-1")
    s.wait_settled()
    got = alarms(s)
    assert [kind for kind, _, _, _ in got] == [RAISED, CLEARED], got
    assert "no longer configured" in got[1][3]


def test_a_source_that_is_taken_away_clears_its_alarm(make_system):
    """The rule stays, since its pattern is for other sources too."""
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "socket", "name": "tank"}], {"rules": [rule("*/t")]})
    s.setup()
    s.start()
    send(os.path.join(s.nodes["dev-1"].run_dir, "send.sock"), 31)
    s.stop("dev-1")
    s.nodes["dev-1"].sources[:] = [{"type": "socket", "name": "other"}]
    s.write_config("dev-1")
    for _ in range(2):
        s.start("dev-1")
        s.stop("dev-1")
    s.start("dev-1")
    until("nothing is raised any more", lambda: s.fact("dev-1", "alarms", [1]) == [])
    s.wait_settled()
    assert [(kind, subject) for kind, subject, _, _ in alarms(s)] == [(RAISED, "tank/t"), (CLEARED, "tank/t")]


def test_an_alarm_on_any_text_is_read_above(make_system):
    """What a channel says may be no text at all, and is cut in the event where it is long."""
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "socket", "name": "tank"}], {
        "rules": [{"type": "stuck", "name": "same", "channel": "tank/state", "for_ms": 1}]})
    s.setup()
    s.start()
    said = ("a" + "\u00e4" * 30).encode(), b"\xff\x1b[2J\x07"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as d:
        d.bind("")
        d.connect(os.path.join(s.nodes["dev-1"].run_dir, "send.sock"))
        d.settimeout(5)
        for text in said + (b"end",):
            for _ in range(2):
                d.send(b'state="' + text + b'"')
                assert d.recv(256) == b"ok 1"
                time.sleep(0.002)
    s.wait_settled()
    texts = [text for kind, _, _, text in alarms(s) if kind == RAISED]
    assert len(texts) == 3 and "\u00e4?" in texts[0] and "??[2J?" in texts[1], texts


def test_a_clock_that_goes_back_makes_no_nonsense_of_an_alarm(make_system):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "socket", "name": "tank"}], {"rules": [rule("tank/t")]})
    s.setup()
    s.start()
    for up, down in ((FIRST_S, FIRST_S + 5), (FIRST_S + 9, FIRST_S + 7), (9_200_000_000, -9_200_000_000)):
        s.ctl_json("dev-1", "send", "t=31", f"@{up}")
        s.ctl_json("dev-1", "send", "t=20", f"@{down}")
    s.wait_settled()
    texts = [text for kind, _, _, text in alarms(s) if kind == CLEARED]
    assert sorted(texts) == ["rule hot: cleared at 20", "rule hot: cleared at 20", "rule hot: cleared at 20, was raised for 5 s"]


def test_the_shipped_examples_are_good_configurations():
    names = sorted(os.listdir(EXAMPLES))
    assert len(names) >= 3
    for name in names:
        p = subprocess.run([os.path.join(build_dir(), "device", "fogline-device"), "-n", "-c", os.path.join(EXAMPLES, name)],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
        assert p.returncode == 0, p.stdout
