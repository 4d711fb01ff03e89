"""Drill-down: the cloud asks a site for raw readings that it does not have; what the site's fogs remember of them arrives, once,
whatever is offline or killed meanwhile."""
import glob
import json
import os
import random
import shutil
import signal
import time

import pytest
from system import FIRST_S, until

ROWS = 20000


def replies(s, name="fog-a"):
    lines = s.ctl("cloud", "events", "--json", name).stdout.splitlines()
    return [r for r in (json.loads(x)["record"] for x in lines) if r["kind"] == "reply"]


def waiting(s):
    return glob.glob(os.path.join(s.nodes["cloud"].state_dir, "commands", "*.doc"))


def archived(s, device="dev-1"):
    return next((d["samples"]["archived"] for d in s.gaps()["devices"] if d["device"] == device), 0)


def forgetful_cloud(s):
    """Runs until all is settled, then gives the cloud an archive made anew: nobody but the fog's history has the readings."""
    s.start()
    s.wait_read()
    s.wait_settled()
    s.stop()
    shutil.rmtree(os.path.join(s.nodes["cloud"].state_dir, "archive"))
    s.ctl("cloud", "store", "restored")


def ask(s, *args):
    return s.ctl_json("cloud", "drill", "s/dev-1", "--from", f"@{FIRST_S}", *args)


def must_be_there(s, device="dev-1"):
    """Every input once, bit for bit, and the ledger even: the archive says again what it had lost."""
    g = s.wait_drained(30)
    j = s.judge(device)
    assert j["missing"] == 0 and j["foreign"] == 0 and j["archived_twice"] == 0, j
    assert g["balanced"] and g["records"]["unexplained"] == 0 and g["samples"]["unexplained"] == 0, g
    return g


def test_a_request_waits_for_an_offline_site_and_then_all_arrives_once(make_system):
    s = make_system().one_of_each(rows=ROWS)
    forgetful_cloud(s)
    s.start("cloud")
    asked = ask(s)
    assert [(a["node"], a["command"]) for a in asked] == [("fog-a", "drill")]
    assert len(waiting(s)) == 1, "the site is offline"
    s.start("fog-a")
    reply = until("the reply is archived", lambda: next(iter(replies(s)), None), 40)
    assert reply["ok"] is True and reply["counter"] == asked[0]["counter"] and "records given" in reply["text"], reply
    until("it is not announced any more", lambda: not waiting(s))
    until("it is done", lambda: s.counter("fog-a", "drill.done") == 1 and s.fact("fog-a", "drill")["requests"] == 0)
    given = s.counter("fog-a", "outbox.records_drilled")
    assert given == s.counter("fog-a", "drill.records") > 0
    # Once more: the cloud has all of it, so nothing travels again.
    ask(s)
    until("the second reply", lambda: len(replies(s)) == 2)
    until("the counters are of now", lambda: s.counter("fog-a", "drill.done") == 2)
    assert s.counter("fog-a", "outbox.records_drilled") == given
    s.start("dev-1")
    must_be_there(s)


def test_kill_9_in_the_middle_neither_forgets_nor_repeats(make_system):
    step = 48 * 1024
    s = make_system().one_of_each(rows=3 * ROWS, fog={"drill.bytes_per_day": step})
    rng = random.Random("drill")
    forgetful_cloud(s)
    s.start("cloud", "fog-a")
    asked, given = ask(s), 0
    for i in range(1, 6):  # with a budget for a part of it each life ends in the middle
        until("the budget is used up", lambda: s.fact("fog-a", "drill", {}).get("today_bytes", 0) > given
              and "budget" in s.fact("fog-a", "drill")["waits_for"])
        given = s.fact("fog-a", "drill")["today_bytes"]
        assert (i - 1) * step < given <= i * step and not replies(s)
        s.kill("fog-a")
        s.nodes["fog-a"].config["drill.bytes_per_day"] = step * (i + 1) if i < 5 else "64 MiB"
        s.write_config("fog-a")
        for _ in range(2):  # and some on the way
            s.start("fog-a")
            time.sleep(rng.uniform(0, 0.3))  # a random moment
            s.kill("fog-a")
        s.start("fog-a")
    until("the reply is archived", lambda: replies(s), 40)
    s.start("dev-1")
    must_be_there(s)
    assert [r["counter"] for r in replies(s)] == [asked[0]["counter"]], "one reply"


def test_only_the_time_that_was_asked_for_comes(make_system):
    s = make_system().one_of_each(rows=ROWS, interval_ms=10)
    forgetful_cloud(s)
    s.start()
    first, last = FIRST_S + 50, FIRST_S + 60
    s.ctl("cloud", "drill", "s/dev-1", "--from", f"@{first}", "--to", f"@{last}")
    until("the reply is archived", lambda: replies(s), 40)
    s.wait_settled()
    times = s.ctl_json("cloud", "query", "s/dev-1/fine", "--from", f"@{first}", "--to", f"@{last}", "--bucket", "1s")
    assert len(times) == 10, "each second of it"
    n = archived(s)
    assert 10 * 100 * 3 <= n < ROWS, "blocks that touch it, no others"
    assert s.gaps()["balanced"]


def test_a_day_has_a_budget_and_a_reload_changes_it(make_system):
    s = make_system().one_of_each(rows=ROWS, fog={"drill.bytes_per_day": "40 KiB"})
    forgetful_cloud(s)
    s.start()
    ask(s)
    until("the day's budget is used up", lambda: "budget" in s.fact("fog-a", "drill", {}).get("waits_for", ""), 30)
    s.wait_settled()
    day = s.fact("fog-a", "drill")
    assert 0 < day["today_bytes"] <= 40 * 1024 and not replies(s)
    assert s.gaps()["balanced"]
    s.restart("fog-a")
    until("it is remembered", lambda: "budget" in s.fact("fog-a", "drill", {}).get("waits_for", ""))
    assert s.fact("fog-a", "drill")["today_bytes"] == day["today_bytes"]
    s.nodes["fog-a"].config["drill.bytes_per_day"] = "64 MiB"
    s.write_config("fog-a")
    s.signal("fog-a", signal.SIGHUP)
    until("the reply is archived", lambda: replies(s), 30)
    must_be_there(s)


@pytest.mark.parametrize("args,code,says", [
    (["s/dev-1"], 2, "--from"),
    (["dev-1", "--from", "-1h"], 2, "SITE/DEVICE"),
    (["s/*", "--from", "-1h"], 2, "one device"),
    (["other/dev-1", "--from", "-1h"], 6, "s/dev-1"),
    (["s/dev-9", "--from", "-1h"], 6, "enroll list"),
    (["s/fog-a", "--from", "-1h"], 2, "goes up by itself"),
    (["s/dev-1", "--from", "yesterday"], 2, "is no time"),
    (["s/dev-1", "--from", "now", "--to", "-1h"], 2, "--from lies after --to"),
    (["s/dev-1", "--from", "-1h", "--max-bytes", "0"], 2, "--max-bytes"),
])
def test_mistakes_are_named(make_system, args, code, says):
    s = make_system().one_of_each(rows=1)
    p = s.ctl("cloud", "drill", *args, check=False)
    assert p.returncode == code and says in p.stderr, p.stderr
    assert not waiting(s)


def test_what_uplink_keeps_at_the_site_comes_when_asked_for(make_system):
    s = make_system()
    s.one_of_each(rows=ROWS, fog={"uplink": [{"select": "s/dev-1", "send": "local"}]}, cloud={"reduce_sites": ["s"]})
    s.start()
    s.wait_read()
    s.wait_settled()
    assert archived(s) == 0, "it was explained, and is not there"
    ask(s)
    until("the reply is archived", lambda: replies(s), 40)
    s.wait_settled()
    s.must_be_exact()
    mine = next(d for d in s.gaps()["devices"] if d["device"] == "dev-1")
    assert mine["samples"]["archived"] == mine["samples"]["produced"] > 0 and mine["samples"]["explained_total"] == 0, mine
