"""Readings go from a file through a device and a fog to the cloud, and come out of it exactly."""
import json
import os

from system import ledger, replay, until


def test_csv_arrives_bit_for_bit_and_the_ledger_is_even(make_system):
    s = make_system().one_of_each(rows=5000)
    s.start()
    s.wait_read()
    s.must_be_exact(s.wait_settled())
    assert s.gaps()["samples"]["held"] == 0
    assert s.produced_samples("dev-1") == s.judge("dev-1")["samples_in"]


def write_odd(path):
    """A file with all that files may hold; its longest row wants more than a quarter of the smallest ring."""
    columns = 200
    rows = ["time, " + ", ".join(f"c{i}" for i in range(columns))]

    def row(when, first, rest):
        rows.append(f"{when}, {first}," + ",".join([rest] * (columns - 1)))
    row("2024-01-01", '"a, ""b""\nand c"', "x" * 230)
    row("1700-01-01", "1", "y")
    row("2200-01-01 00:00:00.000000001", '" quoted "', "NA")
    row("no time", "1", "y")
    row("2024-01-02T12:00:00+05:30", "\x1b[31mred\x00" + "\u00e4" * 130, "\u00e4" * 100)
    row("2024-01-03", '"never closed', "z")
    row("2024-01-04", "z" * 50_000, "")
    row("2024-01-05", "last", "")
    with open(path, "w", newline="") as f:
        f.write("\ufeff" + "\r\n".join(rows))
    return path


def test_odd_files_arrive_as_the_judge_reads_them(make_system):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.inputs["dev-1"] = write_odd(os.path.join(s.dir, "odd.csv"))
    s.add_device("dev-1", "s", ["fog-a"], [replay(s.inputs["dev-1"])], {"ring.bytes": "64 KiB"})
    s.setup()
    s.start()
    s.wait_read()
    s.must_be_exact(s.wait_settled())
    j = s.judge("dev-1")
    assert (j["rows_in"], j["rows_unreadable"]) == (5, 3)
    far = s.ctl_json("cloud", "query", "s/dev-1/c0", "--from", "2199-12-31", "--by", "channel")
    assert far[0]["count"] == 1


def test_two_sites_do_not_mix(make_system):
    s = make_system()
    s.add_cloud()
    for site in ("north", "south"):
        s.add_fog("fog-" + site, site)
        for k in (1, 2):
            s.add_replay(f"{site}-{k}", site, ["fog-" + site], rows=1500)
    s.setup()
    s.start()
    s.wait_read()
    s.must_be_exact(s.wait_settled())
    for site in ("north", "south"):
        last = s.ctl_json("cloud", "query", site)
        assert {(row["site"], row["device"]) for row in last} == {(site, f"{site}-1"), (site, f"{site}-2")}


def answers(s):
    """What can be asked of a store, as text that must not change while nothing happens."""
    def stat(name):
        got = s.ctl_json(name, "store", "stat")
        return {k: got[k] for k in ("store", "map_bytes", "streams", "damaged_streams")}
    return json.dumps({
        "gaps": s.ctl_json("cloud", "gaps"),
        "query": s.ctl_json("cloud", "query", "s"),
        "export": s.ctl("cloud", "export", "--format", "csv", "--select", "s/dev-1").stdout,
        "events": s.ctl("cloud", "events", "--json").stdout,
        "lists": [s.ctl(n, "store", "ls", "--json").stdout for n in ("dev-1", "fog-a", "cloud")],
        "stats": [stat(n) for n in ("dev-1", "fog-a", "cloud")],
        "nodes": [s.ctl_json(n, "enroll", "list")["nodes"] for n in ("fog-a", "cloud")],
    }, indent=1).splitlines()


def test_dead_nodes_give_the_answers_of_living_ones(make_system):
    s = make_system(by_relay=("fog",)).one_of_each(rows=800)
    s.start()
    s.wait_read()
    s.wait_settled()
    s.link("fog-a", "cloud").cut()  # something must be held below, too
    s.nodes["dev-1"].sources.append({"type": "plant", "name": "more", "interval_ms": "1 ms", "rows": 200, "fast": True})
    s.write_config("dev-1")
    s.restart("dev-1")
    s.wait_read("dev-1")
    until("the fog holds what the cloud has not", lambda: s.held_records("fog-a") >= s.held_records("dev-1") > 0)
    living = answers(s)
    s.kill_all()
    assert answers(s) == living
    for name in s.nodes:
        assert s.ctl_json(name, "store", "verify")["damaged"] == 0
        status = s.ctl_json(name, "status")
        assert status["running"] is False and status["age_ms"] >= 0


def test_the_judge_sees_what_is_missing_doubled_and_changed(make_system):
    """All other tests rest on it."""
    s = make_system().one_of_each(rows=300)
    s.start()
    s.wait_read()
    s.wait_settled()
    s.judge("dev-1")
    path = os.path.join(s.dir, "export-dev-1.jsonl")
    rows = open(path).read().splitlines()

    def judged(lines):
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
        j = ledger.judge(path, s.inputs["dev-1"], "dev-1")
        return j["missing"], j["archived_twice"], j["foreign"]
    again = json.loads(rows[7])
    again["seq"] += 1000
    last_digit = rows[5][:-3] + str((int(rows[5][-3]) + 1) % 10) + rows[5][-2:] if rows[5][-3].isdigit() else None
    assert judged(rows) == (0, 0, 0)
    assert judged(rows[:5] + rows[6:]) == (1, 0, 0)
    assert judged(rows + [rows[5]]) == (0, 1, 0)
    assert judged(rows + [json.dumps(again)]) == (0, 1, 0), "the same reading under another number"
    assert last_digit and judged(rows[:5] + [last_digit] + rows[6:]) == (1, 0, 1)
