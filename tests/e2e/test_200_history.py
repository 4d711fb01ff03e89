"""A fog answers questions of its own: what its devices said in the last days is there without a cloud, live and stopped, and goes
by age and room, the oldest first."""
import csv
import json
import os
import statistics
from datetime import datetime, timezone

from system import FIRST_S, replay, until

ROWS = 3000


def write_pump(path, rows=ROWS):
    with open(path, "w") as f:
        f.write("time,pressure,flow\n")
        for i in range(rows):
            f.write(f"{FIRST_S + i}.0,{5 + i % 7 / 10},{20 + i % 11}\n")
    return path


def one_device(make_system, rows=ROWS, fog=None, speed="max"):
    s = make_system()
    path = write_pump(os.path.join(s.dir, "pump.csv"), rows)
    s.add_cloud()
    s.add_fog("fog-a", "s", config=fog or {})
    s.add_device("dev-1", "s", ["fog-a"], [replay(path, speed)])
    s.inputs["dev-1"] = path
    s.setup()
    return s


def exported(s, node):
    """Lines of `export` there, without what tells one collector from another."""
    return sorted(s.ctl(node, "export").stdout.splitlines())


def history(s):
    return s.fact("fog-a", "history", {})


def test_a_fog_answers_as_the_cloud_does(make_system):
    s = one_device(make_system)
    s.start()
    s.wait_settled()
    there = exported(s, "cloud")
    assert len(there) == 2 * ROWS + 1
    assert exported(s, "fog-a") == there
    question = ["query", "s/dev-1/*", "--from", f"@{FIRST_S}", "--to", f"@{FIRST_S + ROWS}", "--bucket", "10m", "--json"]
    assert s.ctl("fog-a", *question).stdout == s.ctl("cloud", *question).stdout
    assert "begins at" not in s.ctl("fog-a", *question).stderr, "all that was asked for is here"
    begins = "what is known here of `s/dev-1/*` begins at " + datetime.fromtimestamp(FIRST_S, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    assert begins in s.ctl("fog-a", "query", "s/dev-1/*", "--bucket", "10m").stderr
    assert "begins at" not in s.ctl("cloud", "query", "s/dev-1/*", "--bucket", "10m").stderr, "it forgets nothing"
    s.stop("cloud")
    s.stop("fog-a")
    assert exported(s, "fog-a") == there, "a stopped fog is read by the same way"
    s.start("fog-a")
    events = [json.loads(line)["record"].get("event") for line in s.ctl("fog-a", "events", "--json").stdout.splitlines()]
    assert "start" in events


def test_statistics_by_name(make_system):
    s = one_device(make_system)
    s.start()
    s.wait_settled()
    question = ["query", "s/dev-1/flow", "--stats", "count,p99,stddev,first,last,time_avg,p_error"]
    for node in ("fog-a", "cloud"):
        row = json.loads(s.ctl(node, *question, "--json").stdout)
        row = row[0] if isinstance(row, list) else row
        values = [20 + i % 11 for i in range(ROWS)]
        assert list(row)[3:10] == question[3].split(",")
        assert (row["count"], row["first"], row["last"]) == (ROWS, values[0], values[-1])
        assert abs(row["stddev"] - statistics.stdev(values)) < 1e-9
        assert abs(row["time_avg"] - statistics.mean(values[:-1])) < 1e-9
        assert abs(row["p99"] - 30) <= 30 * row["p_error"] <= 30 / 1000
        assert s.ctl(node, *question).stdout.split()[3:10] == question[3].split(",")
        wrong = s.ctl(node, "query", "--stats", "count,p95", check=False)
        assert wrong.returncode == 2 and "`p95` is none of count, min, max" in wrong.stderr


def test_without_a_cloud_the_site_still_knows(make_system):
    s = one_device(make_system)
    s.start("cloud")
    s.start("fog-a")
    until("the fog knows its devices", lambda: s.fact("fog-a", "node_list_version", 0) > 0)
    s.stop("cloud")
    s.start("dev-1")
    until("all readings are at the fog", lambda: len(exported(s, "fog-a")) == 2 * ROWS + 1)
    last = json.loads(s.ctl("fog-a", "query", "s/dev-1/*", "--json").stdout.splitlines()[0])
    assert last


def test_kill_9_at_any_moment_leaves_each_reading_once(make_system):
    s = one_device(make_system, rows=40000, speed=8000)
    s.start()
    for at in (5000, 25000, 45000):
        until(f"{at} readings are in the history", lambda at=at: len(exported(s, "fog-a")) > at)
        s.kill("fog-a")
        s.start("fog-a")
    s.wait_settled()
    rows = list(csv.reader(s.ctl("fog-a", "export").stdout.splitlines()))[1:]
    keys = [tuple(r) for r in rows]
    assert len(keys) == 2 * 40000 and len(set(keys)) == len(keys)


def test_what_is_too_old_goes(make_system):
    s = one_device(make_system, fog={"history.max_age": "10 min"})
    s.start()
    s.wait_settled()
    rows = list(csv.DictReader(s.ctl("fog-a", "export", "--time", "unix_ns").stdout.splitlines()))
    oldest = min(int(r["time"]) for r in rows) // 10**9 - FIRST_S
    # A block goes when its first row is too old; one has at most 100 rows.
    assert ROWS - 1 - 600 <= oldest <= ROWS - 1 - 600 + 100
    assert s.counter("fog-a", "history.blocks_gone") > 0
    assert len(exported(s, "cloud")) == 2 * ROWS + 1, "what goes here is in the archive"


def test_what_has_no_room_goes_oldest_first(make_system):
    s = one_device(make_system, rows=60000, fog={"history.max_bytes": "256 KiB"})
    s.start()
    s.wait_settled()
    until("the history is within its limit", lambda: 0 < history(s).get("bytes", 1 << 30) <= 256 * 1024)
    rows = list(csv.DictReader(s.ctl("fog-a", "export", "--time", "unix_ns").stdout.splitlines()))
    times = sorted({int(r["time"]) // 10**9 - FIRST_S for r in rows})
    assert times[-1] == 59999 and times == list(range(times[0], 60000)), "the newest, without a gap"


def test_no_history_is_kept_when_none_is_wanted(make_system):
    s = one_device(make_system, fog={"history.max_age": 0})
    s.start()
    s.wait_settled()
    assert history(s)["blocks"] == 0 and history(s)["max_bytes"] == 0
    assert len(exported(s, "cloud")) == 2 * ROWS + 1


def test_a_tail_shows_what_has_the_channels_of_a_pattern_while_it_passes(make_system):
    s = one_device(make_system, rows=40000, speed=2000)
    s.start()
    until("the descriptor has gone up and away", lambda: s.counter("fog-a", "outbox.records_settled") > 5)

    def tail(*args):
        p = s.ctl("fog-a", "tail", *args, "--kind", "block", "--limit", "2", "--for", "6", "--json")
        return [json.loads(line) for line in p.stdout.splitlines()]

    shown = tail("s/dev-1/flow")
    assert len(shown) == 2 and all(b["columns"][-2:] == ["pressure", "flow"] for b in shown), shown
    assert all(b["rows"] for b in shown), "the names are of the history: the record of the descriptor is settled"
    assert len(tail("*/dev-*/{flow,noise}")) == 2
    assert tail("s/dev-1/noise") == [] and tail("other") == []
    assert s.ctl("fog-a", "tail", "s/{dev", check=False).returncode == 2
