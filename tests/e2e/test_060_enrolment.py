"""Who may connect: refused keys are shown with what is needed to accept them; acceptance and revocation work on running links."""
import json
import time

from system import until

ROWS_PER_S = {"interval_ms": 5, "speed": "1"}


def refused(s, name="fog-a"):
    return s.ctl_json(name, "enroll", "list")["refused"]


def strangers(make_system, names, **kw):
    """cloud, fog-a and dev-1, of which the named ones are not accepted."""
    s = make_system()
    s.accept = lambda name: None
    s.one_of_each(**kw)
    del s.accept
    for name in {"fog-a", "dev-1"} - set(names):
        s.accept(name)
    return s


def says(s, name, command):
    """Its status tells what to run where, and with which key."""
    key = s.ctl_json(name, "key", "show")["fingerprint"]
    p = s.ctl(name, "status")
    return p.stdout if command in p.stdout and key in p.stdout else None


def test_strangers_are_refused_listed_accepted_and_flow_by_themselves(make_system):
    """A fog that its cloud does not know and a device that its fog does not know: each says what to do, and where."""
    s = strangers(make_system, ["fog-a", "dev-1"], rows=500)
    s.start()
    entries = {}
    for name, upper in (("fog-a", "cloud"), ("dev-1", "fog-a")):
        key = s.ctl_json(name, "key", "show")["fingerprint"]
        entries[name] = until(f"{name} is listed", lambda: next((r for r in refused(s, upper) if r["fingerprint"] == key), None))
        assert entries[name]["address"].startswith("127.0.0.1") and entries[name]["count"] >= 1
        text = s.ctl(upper, "enroll", "list").stdout
        assert key in text and "127.0.0.1" in text
    until("tries are counted", lambda: refused(s)[0]["count"] > entries["dev-1"]["count"], timeout=30)
    until("the device says what to do", lambda: says(s, "dev-1", "enroll accept dev-1"), timeout=20)
    until("the fog says what to do", lambda: says(s, "fog-a", "cloudctl enroll accept fog-a"), timeout=20)
    until("their logs say so too", lambda: all("enroll accept" in s.log_of(n) for n in ("dev-1", "fog-a")))
    assert s.held_records("dev-1") > 0 and s.counter("fog-a", "inbox.records") == 0
    started = time.monotonic()
    for name in ("fog-a", "dev-1"):
        s.accept(name)
    s.must_be_exact(s.wait_settled(40))
    print(f"everything had arrived {time.monotonic() - started:.1f} s after they were accepted")
    for upper in ("cloud", "fog-a"):
        assert "REFUSED" not in s.ctl(upper, "enroll", "list").stdout


def test_a_revoked_device_is_not_heard_any_more(make_system):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    for name in ("dev-1", "dev-2"):
        s.add_replay(name, "s", ["fog-a"], 6000, **ROWS_PER_S)
    s.setup()
    s.start()

    def archived(device):
        return sum(d["samples"]["archived"] for d in s.gaps()["devices"] if d["device"] == device)
    until("both flow", lambda: archived("dev-1") > 0 and archived("dev-2") > 0)
    s.ctl("cloud", "enroll", "revoke", "dev-1")
    started = time.monotonic()
    until("the fog knows", lambda: {"node": "dev-1", "state": "revoked"}.items() <= next(
        n for n in s.ctl_json("fog-a", "enroll", "list")["nodes"] if n["node"] == "dev-1").items())
    until("dev-1's link is closed", lambda: s.fact("dev-1", "link") != "open")
    closed_s = time.monotonic() - started
    before, other = archived("dev-1"), archived("dev-2")
    until("dev-2 goes on", lambda: archived("dev-2") > other + 300)
    assert archived("dev-1") == before, "nothing of a revoked device is archived"
    print(f"closed after {closed_s:.1f} s")
    assert closed_s < 10
    s.accept("dev-1")
    until("accepted again, it flows again", lambda: archived("dev-1") > before, timeout=40)


def test_a_provisional_device_is_held_by_the_fog_until_the_cloud_agrees(make_system):
    s = strangers(make_system, ["dev-1"], rows=800)
    s.start()
    s.ctl("fog-a", "enroll", "accept", "dev-1", s.nodes["dev-1"].key)
    s.wait_read()
    until("the fog has the device's records", lambda: s.held_records("fog-a") >= s.held_records("dev-1"), timeout=30)
    mine = next(n for n in s.ctl_json("fog-a", "enroll", "list")["nodes"] if n["node"] == "dev-1")
    assert mine["state"] == "provisional"
    asked = s.counter("fog-a", "outbox.hellos_sent")
    until("the fog and the cloud have talked", lambda: s.counter("fog-a", "outbox.hellos_sent") >= asked + 3)
    assert s.archived_samples() == 0 and s.held_records("dev-1") > 8
    s.accept("dev-1")
    s.must_be_exact(s.wait_settled(60))
    mine = next(n for n in s.ctl_json("fog-a", "enroll", "list")["nodes"] if n["node"] == "dev-1")
    assert mine["state"] == "accepted"


def test_a_key_must_be_whole_and_a_name_belongs_to_one_key(make_system):
    s = make_system().one_of_each(rows=10)
    key = s.nodes["dev-1"].key
    for damaged in (key[:-1], key[:20] + ("A" if key[20] != "A" else "B") + key[21:], "fn1-", "hello", s.nodes["fog-a"].link_key):
        p = s.ctl("cloud", "enroll", "accept", "dev-9", damaged, "--site", "s", check=False)
        assert p.returncode == 2 and "KEY" in p.stderr, p.stderr
    p = s.ctl("cloud", "enroll", "accept", "dev-1", s.nodes["fog-a"].key, "--site", "s", check=False)
    assert p.returncode == 1
    p = s.ctl("cloud", "enroll", "accept", "dev-9", key, "--site", "s", check=False)
    assert p.returncode == 1 and "dev-1" in p.stderr
    p = s.ctl("cloud", "enroll", "revoke", "nobody", check=False)
    assert p.returncode == 6
    again = json.loads(s.ctl("cloud", "--json", "enroll", "accept", "dev-1", key, "--site", "s").stdout)
    assert again["state"] == "accepted"
