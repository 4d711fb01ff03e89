"""Scatter-gather: one question to the fogs of all sites, answered from their own histories by a deadline, joined to what one store
would say; whoever is silent is named."""
import glob
import json
import os
import signal
import time

import pytest
from system import FIRST_S, until

ROWS = 3000
STATS = "count,min,max,avg,sum,stddev,first,last,rate,p50,p90,p99,p_error"
SPAN = ("--from", f"@{FIRST_S}", "--to", f"@{FIRST_S + 100}")


def three_sites(make_system, **kw):
    s = make_system(**kw)
    s.add_cloud()
    for site, n in (("a", 2), ("b", 1), ("c", 1)):
        s.add_fog(f"fog-{site}", site)
        for i in range(n):
            s.add_replay(f"dev-{site}{i}", site, [f"fog-{site}"], ROWS)
    s.setup()
    return s


def settled(make_system):
    s = three_sites(make_system)
    s.start()
    s.wait_read()
    s.wait_settled()
    return s


def ask(s, *args, code=0):
    p = s.ctl("cloud", "--json", "ask", *args, check=False)
    assert p.returncode == code, p.stderr
    return json.loads(p.stdout)


def waiting(s):
    return glob.glob(os.path.join(s.nodes["cloud"].state_dir, "commands", "*.doc"))


def outcomes(answer):
    return {x["site"]: x["outcome"] for x in answer["fogs"]}


def test_sites_together_say_what_one_store_would(make_system):
    s = settled(make_system)
    for question in (["*/dev-*", *SPAN], ["*/dev-*", "--by", "device,channel", "--stats", STATS],
                     ["*/dev-*", "--by", "channel", "--bucket", "5s", "--stats", "count,min,max,sum,stddev,p50,p99"],
                     ["**", "--select", "*/dev-*/fine", "--by", "all", "--stats", "count,sum"], ["a/dev-*", "--bucket", "1s"],
                     ["{a,c}/*/fine", "--by", "device"]):
        answer, here = ask(s, *question), s.ctl_json("cloud", "query", *question)
        assert set(outcomes(answer).values()) == {"answered"}
        assert answer["rows"] == here and len(here) > 0, question
    assert outcomes(ask(s, "a/dev-a0", "--from", "-1h")) == {"a": "answered"}, "only those that are meant are asked"
    until("nothing waits", lambda: not waiting(s))
    assert s.gaps()["balanced"]


def test_whoever_is_silent_is_named_and_asked_no_more(make_system):
    s = settled(make_system)
    whole = ask(s, "*/dev-*", "--by", "site")
    assert max(x["after_ms"] for x in whole["fogs"]) < 5000
    s.signal("fog-b", signal.SIGSTOP)
    s.kill("fog-c")
    began = time.monotonic()
    part = ask(s, "*/dev-*", "--by", "site", "--wait", "3", code=5)
    assert time.monotonic() - began < 8
    assert outcomes(part) == {"a": "answered", "b": "silent", "c": "silent"}
    assert part["rows"] == [r for r in whole["rows"] if r["site"] == "a"]
    p = s.ctl("cloud", "ask", "*/dev-*", "--by", "site", "--wait", "1", check=False)
    assert p.returncode == 5 and "site b (fog-b)" in p.stderr and "site c (fog-c)" in p.stderr
    assert not waiting(s), "withdrawn"
    until("the cloud knows it", lambda: s.fact("cloud", "commands_waiting") == 0)
    s.signal("fog-b", signal.SIGCONT)
    s.start("fog-c")
    again = ask(s, "*/dev-*", "--by", "site")
    assert again["rows"] == whole["rows"]
    until("the counter is of now", lambda: s.counter("fog-c", "answer.answered") > 0)
    assert s.counter("fog-c", "answer.queries") == 1, "what was withdrawn never came"


def test_two_fogs_of_a_site_count_nothing_twice(make_system):
    s = make_system()
    s.add_cloud()
    for name in ("fog-1", "fog-2"):
        s.add_fog(name, "a")
    s.add_replay("dev-a", "a", ["fog-1", "fog-2"], 20000, speed="4")
    s.setup()
    s.start()
    until("the first fog has some of it", lambda: s.archived_samples() > 2000, 30)
    s.signal("fog-1", signal.SIGSTOP)
    until("the second one, too", lambda: s.counter("fog-2", "inbox.records") > 20, 40)
    s.signal("fog-1", signal.SIGCONT)
    s.wait_read("dev-a", timeout=90)
    s.wait_settled(60)
    here = s.ctl_json("cloud", "query", "a/dev-a", "--stats", "count,sum")
    assert s.ctl_json("fog-2", "query", "a/dev-a", "--stats", "count"), "it has names for what it got"
    answer = ask(s, "a/dev-a", "--stats", "count,sum")
    assert len(answer["fogs"]) == 2 and set(x["outcome"] for x in answer["fogs"]) == {"answered"}
    low = {r["channel"]: h["count"] - r["count"] for r, h in zip(answer["rows"], here)}
    assert len(answer["rows"]) == len(here) and all(n >= 0 for n in low.values()), low
    assert (max(low.values()) > 0) == (answer["left_out_blocks"] > 0), "what may stand in both is left out, and that is said"
    assert max(low.values()) < 20000 / 4


def test_a_result_that_is_too_large_says_so(make_system):
    s = make_system().one_of_each(rows=60000)
    s.start()
    s.wait_read()
    s.wait_settled(60)
    answer = ask(s, "--bucket", "1ms", "--stats", "count,p99", code=1)
    assert outcomes(answer) == {"s": "refused"} and "--bucket" in answer["fogs"][0]["text"]
    large = ask(s, "--bucket", "1s")
    assert large["rows"] == s.ctl_json("cloud", "query", "--bucket", "1s") and len(large["rows"]) > 1000, "of several parts"


@pytest.mark.parametrize("args,code,says", [
    (["x/{a"], 2, "{"),
    (["a/**", "--bucket", "soon"], 2, "--bucket"),
    (["a/**", "--stats", "p95"], 2, "p95"),
    (["a/**", "--wait", "0"], 2, "--wait"),
    (["nowhere/**"], 6, "nowhere/**"),
    (["a/" + "x" * 200 + "*/" + "y" * 100], 2, "too long"),
])
def test_mistakes_are_named(make_system, args, code, says):
    s = three_sites(make_system)
    s.start("cloud")
    p = s.ctl("cloud", "ask", *args, check=False)
    assert p.returncode == code and says in p.stderr, p.stderr
    assert not waiting(s)
