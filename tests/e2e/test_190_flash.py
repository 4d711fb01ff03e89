"""What a device writes to its flash by default: readings wait for the commit that is due, alarms and answers do not, and nothing
that the device does for itself makes a commit of its own."""
import json
import os
import time

from system import ledger, until

DEFAULTS = {"commit_ms": None, "pack.ms": None}  # not in the file
HOT = {"type": "above", "name": "hot", "channel": "in/t", "limit": 30, "actions": []}


def with_a_pump(make_system, config):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "plant", "name": "pump", "interval_ms": 100}, {"type": "socket", "name": "in"}],
                 config)
    s.setup()
    s.start()
    return s


def exposure_ms(s):
    return (s.fact("dev-1", "health") or {}).get("exposure_ms", 0)


def alarms(s):
    said = s.ctl("cloud", "events", "--json", "--last", "100").stdout.splitlines()
    return sum(json.loads(line)["record"].get("event") == "alarm_raised" for line in said)


def test_readings_wait_and_alarms_do_not(make_system):
    s = with_a_pump(make_system, {**DEFAULTS, "rules": [HOT]})
    until("readings of some seconds wait and the status says so", lambda: exposure_ms(s) > 4000)
    assert s.archived_samples() == 0 and s.counter("dev-1", "io.rows") > 30
    began = time.monotonic()
    assert s.ctl_json("dev-1", "send", "t=31") == {"samples": 1}
    until("the alarm is in the archive", lambda: alarms(s), timeout=15)
    # With it what was read until a second before.
    until("readings around it, too", lambda: s.archived_samples() > 30, timeout=15)
    assert time.monotonic() - began < 30, "half of what a reading waits"
    until("less is exposed", lambda: exposure_ms(s) < 4000)


def test_kill_9_takes_what_was_exposed_and_no_more(make_system):
    """What was answered, the alarm, and with them what had been read until a second before."""
    s = with_a_pump(make_system, {**DEFAULTS, "rules": [HOT]})
    until("readings of some seconds wait", lambda: exposure_ms(s) > 4000)
    before_ns = time.time_ns()
    assert s.ctl_json("dev-1", "send", "t=31") == {"samples": 1}
    s.kill("dev-1")
    s.start("dev-1")
    until("the alarm is in the archive", lambda: alarms(s), timeout=15)
    until("the readings are, too", lambda: s.archived_samples() > 30, timeout=15)
    rows = list(ledger.export_rows(s.export(os.path.join(s.dir, "rows.jsonl"), "jsonl")))
    assert [values for *_, values in rows if "t" in values] == [{"t": 31}]
    pump = [time_ns for *_, time_ns, values in rows if "t" not in values and time_ns <= before_ns]
    assert max(pump) - min(pump) > 2.5 * 10**9 and before_ns - max(pump) < 1.5 * 10**9
    assert alarms(s) == 1


def test_nothing_makes_a_commit_of_its_own(make_system):
    """Readings, the sign of life, reports, and what the cloud has settled: one commit for all of them."""
    period = 4
    s = with_a_pump(make_system, {**DEFAULTS, "commit_ms": f"{period} s", "health_s": period})
    until("readings arrive", lambda: s.archived_samples() > 0)
    until("and are let go of", lambda: s.counter("dev-1", "outbox.records_settled") > 2)
    before, began = s.counter("dev-1", "spool.commits"), time.monotonic()
    until("some commits", lambda: s.counter("dev-1", "spool.commits") >= before + 3, timeout=60)
    assert time.monotonic() - began > 2 * period - 1.5, "the status is a second old at most"
    assert s.counter("dev-1", "outbox.records_settled") > 4
