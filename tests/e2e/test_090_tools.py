"""The three tools: every command has a help, prints JSON, and says with its exit code what became of it."""
import json
import os
import pty
import subprocess

import pytest

import system
from system import until

import bench  # noqa: E402  (system knows where it is)

TIERS = {"device": "devicectl", "fog": "fogctl", "cloud": "cloudctl"}
NODES = {"device": "dev-1", "fog": "fog-a", "cloud": "cloud"}
NEW_KEY = "fn1-"  # replaced by a real one
# What to call each command with, once. None: it changes what other commands need, and has a test of its own.
ALL = {
    "status": [], "config check": [], "config show": [], "config doc": [], "key gen": None, "key show": [], "store stat": [],
    "store verify": [], "version": [],
}
SPOOL = {"store ls": [], "store get": [], "tail": ["--all", "--limit", "1", "--for", "2"]}
ENROLL = {"enroll list": [], "enroll accept": ["new", NEW_KEY, "--site", "s"], "enroll revoke": ["new"]}
ARCHIVE = {"query": [], "export": ["--format", "jsonl"], "events": [], "store blocks": []}
CALLS = {
    "device": {**ALL, **SPOOL, "init": None, "send": ["a=1"], "csv inspect": ["CSV"], "keep": ["--what-if", "CSV"],
               "probe": ["--root", "TREE"]},
    "fog": {**ALL, **SPOOL, **ENROLL, **ARCHIVE, "init": None, "report devices": [], "report queues": [], "report links": [],
            "report bytes": [], "why": ["dev-1", "1"]},
    "cloud": {**ALL, **ENROLL, **ARCHIVE, "init": None, "gaps": [], "tail": ["--rows", "1"],
              "command": ["dev-1", "identify"], "drill": ["s/dev-1", "--from", "-1h"],
              "ask": None, "store ls": [], "store restored": None},
}


def tool(tier, *args, **kw):
    path = os.path.join(system.build_dir(), tier, TIERS[tier])
    return subprocess.run([path, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=30, **kw)


def commands_of(tier):
    out, listed = [], False
    for line in tool(tier, "--help").stdout.splitlines():
        if line == "Commands:":
            listed = True
        elif listed and not line.strip():
            break
        elif listed:
            out.append(line[2:29].strip())
    return out


def json_of(text):
    """One value, or one on each line."""
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("tier", TIERS)
def test_every_command_has_a_help(tier):
    commands = commands_of(tier)
    assert len(commands) > 10
    for command in commands:
        for args in ([*command.split(), "--help"], ["-h", *command.split()]):
            p = tool(tier, *args)
            assert p.returncode == 0 and p.stdout.startswith(f"{TIERS[tier]} {command} - ") and not p.stderr, args
            assert "Usage: " in p.stdout and "Exit codes:" in p.stdout


@pytest.mark.parametrize("tier", TIERS)
def test_wrong_use_is_exit_2_and_says_what_is_right(tier):
    for args in ([], ["nonsense"], ["status", "--nonsense"], ["status", "too", "much"], ["store"], ["store", "nonsense"], ["-c"]):
        p = tool(tier, *args)
        assert p.returncode == 2 and p.stderr and not p.stdout, args
    assert "status" in tool(tier, "statsu").stderr, "the nearest word"
    assert "--json" in tool(tier, "status", "--jsno").stderr


@pytest.mark.parametrize("tier", TIERS)
def test_a_missing_file_and_a_missing_store_are_told_apart(tier, tmp_path):
    p = tool(tier, "-c", str(tmp_path / "none.yaml"), "status")
    assert p.returncode == 1 and "none.yaml" in p.stderr
    p = tool(tier, "-c", str(tmp_path / "none.yaml"), "--json", "status")
    assert p.returncode == 1 and p.stderr


@pytest.fixture
def running(make_system):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_replay("dev-1", "s", ["fog-a"], 300)
    s.nodes["dev-1"].sources.append({"type": "socket", "name": "in"})
    s.setup()
    s.start()
    until("something is archived", lambda: s.archived_samples() > 0)
    return s


def test_every_command_prints_json(running):
    s = running
    s.stop("cloud")  # what the others hold now, they keep
    s.ctl("dev-1", "send", "a=1")
    until("the fog holds it", lambda: s.held_records("fog-a") > 0)
    made = tool("device", "-c", os.path.join(s.dir, "new.yaml"), "--json", "init", "--node", "new", "--site", "s", "--state-dir",
                os.path.join(s.dir, "new-state"), "--run-dir", os.path.join(s.dir, "new-run"))
    key = json.loads(made.stdout)["key"]
    chip = os.path.join(s.dir, "tree", "sys", "class", "hwmon", "hwmon0")
    os.makedirs(chip)
    for name, text in (("name", "chip\n"), ("temp1_input", "41000\n")):
        with open(os.path.join(chip, name), "w") as f:
            f.write(text)
    named = {NEW_KEY: key, "CSV": s.inputs["dev-1"], "TREE": os.path.join(s.dir, "tree")}
    for tier, calls in CALLS.items():
        assert set(commands_of(tier)) == set(calls), "each command is called here"
        for command, args in calls.items():
            if args is None:
                continue
            if command == "store get":
                one = json_of(s.ctl(NODES[tier], "store", "ls", "--json").stdout)
                one = one[0] if isinstance(one, list) else one
                args = [one["origin"], str(one["seq"]), "--lane", str(one["lane"])]
            args = [named.get(a, a) for a in args]
            p = s.ctl(NODES[tier], "--json", *command.split(), *args, check=False)
            assert p.returncode == 0, f"{tier} {command}: {p.returncode} {p.stderr}"
            assert p.stdout, f"{tier} {command}"
            json_of(p.stdout)


def test_the_bench_finds_times_in_a_listing(running):
    s = running
    s.stop("cloud")
    s.ctl("dev-1", "send", "a=1", "@1700000000.25")
    assert 1700000000250000000 in bench.block_times(s.ctl("dev-1", "store", "ls").stdout)


def test_errors_are_json_too(running):
    p = running.ctl("cloud", "--json", "enroll", "revoke", "nobody", check=False)
    assert p.returncode == 6 and json.loads(p.stderr)["error"]
    p = running.ctl("cloud", "--json", "query", "--from", "yesterdayish", check=False)
    assert p.returncode == 2 and p.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_what_is_not_allowed_is_exit_4(running):
    s = running
    for path in (s.dir, os.path.join(s.dir, "etc")):
        os.chmod(path, 0o755)

    def ask(name, *args):
        return s.ctl(name, *args, check=False, user=65534, group=65534, extra_groups=[])
    for name, args in (("cloud", ["status"]), ("cloud", ["key", "show"]), ("cloud", ["enroll", "list"]), ("cloud", ["gaps"]),
                       ("fog-a", ["store", "verify"]), ("dev-1", ["store", "stat"]), ("dev-1", ["send", "a=1"])):
        p = ask(name, *args)
        assert p.returncode == 4 and "ermission" in p.stderr, (args, p.returncode, p.stderr)
    os.chmod(s.nodes["dev-1"].yaml, 0o600)
    assert ask("dev-1", "config", "check").returncode == 4


def test_a_terminal_gets_no_control_characters(running):
    s = running
    s.ctl("dev-1", "send", 'odd="\x1b[31mred\x07"')
    until("it is archived", lambda: s.ctl_json("cloud", "query", "s/dev-1/odd"))
    for args in (("export", "--select", "s/dev-1/odd"), ("query", "s/dev-1/odd"), ("tail", "--select", "s/dev-1/odd", "--rows", "1")):
        ours, theirs = pty.openpty()
        subprocess.run([s.cloud.cli, "-c", s.cloud.yaml, "--no-color", *args], stdin=subprocess.DEVNULL, stdout=theirs, timeout=20)
        os.close(theirs)
        text = os.read(ours, 4096)
        os.close(ours)
        assert b"?[31mred?" in text and b"\x1b" not in text, (args, text)
    assert "\x1b[31mred\x07" in s.ctl("cloud", "export", "--select", "s/dev-1/odd").stdout, "a file gets what was sent"


def test_a_pattern_that_takes_nothing_is_said(running):
    for args in (("query", "s/dev-2"), ("export", "--select", "dev-1/s")):
        p = running.ctl("cloud", *args)
        assert args[-1] in p.stderr and "no channel" in p.stderr, args
    assert not running.ctl("cloud", "query", "s/dev-1").stderr


def test_init_never_writes_over_anything(running):
    s = running
    before = {n: open(s.nodes[n].yaml).read() for n in s.nodes}
    for name, args in (("cloud", []), ("fog-a", ["--site", "s", "--up", "h:5520", "--up-key", s.nodes["cloud"].link_key]),
                       ("dev-1", ["--node", "dev-1", "--site", "s"])):
        key = s.ctl("dev-1", "key", "show").stdout
        p = s.ctl(name, "init", *args, check=False)
        assert p.returncode == 1, (name, p.returncode, p.stderr)
        assert open(s.nodes[name].yaml).read() == before[name] and s.ctl("dev-1", "key", "show").stdout == key


def test_what_init_writes_starts(make_system, tmp_path):
    """The lines of the manual, as they are printed: each says what comes next."""
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"])
    s.write_config = lambda name: None  # as init wrote it
    s.setup()
    for name in s.nodes:
        assert s.ctl(name, "config", "check").returncode == 0
    s.start()
    # They would be committed every 90 seconds; a reading that is acknowledged takes them along.
    until("readings of this machine wait", lambda: (s.fact("dev-1", "health") or {}).get("exposure_ms", 0) > 2000, timeout=40)
    s.ctl("dev-1", "send", "a=1")
    until("readings of this machine arrive", lambda: s.archived_samples() > 1, timeout=40)


def test_aggregates_agree_with_the_input(running):
    s = running
    s.wait_read("dev-1")
    s.wait_settled()
    rows = list(system.ledger.Input(s.inputs["dev-1"]))
    level = [v["level"] for _, v in rows if "level" in v]
    got = s.ctl_json("cloud", "query", "s/dev-1/level", "--bucket", "1d")
    assert len(got) == 1
    assert (got[0]["count"], got[0]["min"], got[0]["max"]) == (len(level), min(level), max(level))
    assert abs(got[0]["avg"] - sum(level) / len(level)) < 1e-9 and abs(got[0]["sum"] - sum(level)) < 1e-6
    first = s.ctl_json("cloud", "query", "s/dev-1/level", "--from", f"@{system.FIRST_S}", "--to", f"@{system.FIRST_S + 1}",
                       "--bucket", "1d")
    inside = [v["level"] for t, v in rows if "level" in v and t < (system.FIRST_S + 1) * 10**9]
    assert first[0]["count"] == len(inside)
    last = s.ctl_json("cloud", "query", "s/dev-1/level")
    assert last[0]["value"] == level[-1]


def test_a_recording_with_faults_is_named_with_them(tmp_path):
    faulty = tmp_path / "faulty.csv"
    faulty.write_text("time,a\n2020-01-01T00:00:00,1\nnever,2\n2020-01-01T00:00:02,3\n")
    p = tool("device", "keep", "--what-if", str(faulty))
    assert p.returncode == 0 and "faulty.csv: left out: 1 rows, 0 cells" in p.stderr and "csv inspect" in p.stderr
    for args in (["csv", "inspect"], ["keep", "--what-if"]):
        p = tool("device", *args, str(tmp_path))
        assert p.returncode in (1, 6) and "is a folder" in p.stderr, args
