"""Configuration files: all errors at once, with their place; reloads that change all or nothing; starts that fail say why."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from system import until

TIERS = {"dev-1": "device", "fog-a": "fog", "cloud": "cloud"}


def check(s, name, text=None):
    """fogline-x -c FILE -n; returns (exit code, lines of stderr)."""
    node = s.nodes[name]
    path = node.yaml
    if text is not None:
        path = os.path.join(s.dir, "other.yaml")
        with open(path, "w") as f:
            f.write(text)
    p = subprocess.run([node.daemon, "-c", path, "-n"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=20)
    return p.returncode, p.stderr.splitlines(), p.stdout


def run_to_the_end(s, name):
    """Starts a daemon that is to fail; returns (exit code, what it said)."""
    s.start(name, wait=False)
    node = s.nodes[name]
    node.process.wait(20)
    return node.process.returncode, node.log_tail(10)


@pytest.fixture
def system(make_system):
    return make_system().one_of_each(rows=100)


@pytest.mark.parametrize("name", TIERS)
def test_every_error_is_printed_with_its_place(system, name):
    code, err, out = check(system, name)
    assert code == 0 and not err and "no problems" in out
    good = open(system.nodes[name].yaml).read()
    bad = "colour: blue\n" + re.sub(r"map_bytes: .*", "map_bytes: 1 KiB", good) + "log:\n  level: loud\n"
    code, err, _ = check(system, name, bad)
    assert code == 1
    place = re.compile(r".*other\.yaml:(\d+):(\d+): ")
    lines = {int(m[1]): text for text in err if (m := place.match(text))}
    of = {word: next(i for i, line in enumerate(bad.splitlines(), 1) if word in line) for word in ("colour", "map_bytes", "level: loud")}
    assert "colour" in lines[of["colour"]], err
    assert "store.map_bytes" in lines[of["map_bytes"]], err
    assert "loud" in lines[of["level: loud"]] and "debug" in lines[of["level: loud"]], err
    p = system.ctl(name, "-c", os.path.join(system.dir, "other.yaml"), "config", "check", check=False)
    assert p.returncode == 1 and set(err) <= set((p.stdout + p.stderr).splitlines()), "the tool says the same"


def test_a_misspelt_key_brings_the_nearest_one_to_mind(system):
    good = open(system.nodes["dev-1"].yaml).read()
    code, err, _ = check(system, "dev-1", good.replace("commit_ms", "comit_ms"))
    assert code == 1 and any("commit_ms" in e for e in err)
    code, err, _ = check(system, "dev-1", good.replace('"csv"', '"cvs"'))
    assert code == 1 and any("csv" in e for e in err)
    code, err, _ = check(system, "dev-1", "node: [")
    assert code == 1 and err
    code, err, _ = check(system, "dev-1", "")
    assert code == 1 and any("node" in e for e in err)


def test_a_source_whose_library_is_not_installed_names_the_package(system, tmp_path, monkeypatch):
    good = open(system.nodes["dev-1"].yaml).read()
    more = ("  - {type: mqtt, name: m, host: h, topics: [{filter: a, channel: b}]}\n"
            "  - {type: modbus, name: mm, host: h, registers: [{name: x, address: 0}]}\n")
    text = good.replace("sources:\n", "sources:\n" + more)
    assert text != good
    code, err, _ = check(system, "dev-1", text)
    if any("this build has no" in e for e in err):
        pytest.skip("built without")
    assert code == 0, err
    # Found first, and no library: as good as none.
    for name in ("libmosquitto.so.1", "libmodbus.so.5"):
        (tmp_path / name).touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    code, err, _ = check(system, "dev-1", text)
    line = text.splitlines().index("sources:") + 2
    assert code == 1 and len(err) == 2, err
    assert re.search(rf"other\.yaml:{line}:\d+: sources\[0\]\.type: needs libmosquitto\.so\.1; install libmosquitto1 ", err[0])
    assert re.search(rf"other\.yaml:{line + 1}:\d+: sources\[1\]\.type: needs libmodbus\.so\.5; install libmodbus5 ", err[1])
    code, err, _ = check(system, "dev-1", good)
    assert code == 0, "what uses neither does not miss them"


def test_a_reload_to_more_frequent_reports_does_not_wait_for_the_next(system):
    s = system

    def reports():
        listed = s.ctl("dev-1", "store", "ls", "--json", "--limit", "10000").stdout.splitlines()
        return [r for r in map(json.loads, listed) if r["kind"] == "health"]

    s.nodes["dev-1"].config["health_s"] = 86400
    s.write_config("dev-1")
    s.start("dev-1")
    assert reports() == []
    s.nodes["dev-1"].config["health_s"] = 1
    s.write_config("dev-1")
    s.signal("dev-1", signal.SIGHUP)
    until("a report", reports)


def test_reload_changes_all_or_nothing(system):
    s = system
    s.start()
    node, original = s.nodes["dev-1"], dict(s.nodes["dev-1"].config)

    def reload(**config):
        """What the log says of it."""
        node.config = {**original, **config}
        s.write_config("dev-1")
        before = len(s.log_of("dev-1"))
        s.signal("dev-1", signal.SIGHUP)
        return until("the reload is answered", lambda: (lambda new: new if re.search("event=reload.* file=", new) else None)(
            s.log_of("dev-1")[before:]))
    assert "event=reloaded" in reload(**{"log.level": "debug"})
    said = reload(**{"log.level": "warn", "pack.rows": 7})
    assert "event=reload_refused field=pack.rows" in said and "nothing was changed" in said and "log.level" not in said
    said = reload(**{"log.level": "loud"})
    assert "the file has problems" in said and "log.level" in said
    assert 'field=log.level from="debug" to="info"' in reload(**{"log.level": "info"}), "it was debug all the time"
    s.wait_read()
    s.must_be_exact(s.wait_settled())


@pytest.mark.parametrize("name,offset", [("cloud", 0), ("cloud", 1), ("fog-a", 0), ("fog-a", 1)])
def test_a_taken_port_is_named(system, name, offset):
    s = system
    if name == "fog-a":
        s.start("cloud")
    port = s.nodes[name].pair.port + offset
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        code, said = run_to_the_end(s, name)
    assert code == 1 and re.search(rf"\b{port}\b.*in use", said), said
    s.start(name)


@pytest.mark.parametrize("name", TIERS)
def test_a_key_file_that_others_can_read_is_refused(system, name):
    key = os.path.join(system.nodes[name].state_dir, "node.key")
    assert os.stat(key).st_mode & 0o777 == 0o400
    os.chmod(key, 0o440)
    code, said = run_to_the_end(system, name)
    assert code == 1 and "chmod" in said and "node.key" in said, said
    p = system.ctl(name, "key", "show", check=False)
    assert p.returncode != 0 and "chmod" in p.stderr
    os.chmod(key, 0o400)
    os.rename(key, key + ".away")
    code, said = run_to_the_end(system, name)
    assert code == 1 and "key gen" in said, said
    os.symlink(key + ".away", key)
    code, said = run_to_the_end(system, name)
    assert code == 1 and "node.key" in said, said


@pytest.mark.parametrize("name", TIERS)
def test_a_second_daemon_on_the_same_store_is_refused(system, name):
    s = system
    s.start(name)
    first = s.nodes[name].process
    p = subprocess.run([s.nodes[name].daemon, "-c", s.nodes[name].yaml], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       text=True, timeout=20)
    assert p.returncode == 1 and str(first.pid) in p.stderr and first.poll() is None


def test_a_store_of_somebody_else_is_not_taken(system):
    """The state folder of a fog under a device's configuration, and a device's under another name."""
    s = system
    s.start()
    s.wait_read()
    s.wait_settled()
    s.stop()
    spool = os.path.join(s.nodes["dev-1"].state_dir, "spool")
    shutil.rmtree(spool)
    shutil.copytree(os.path.join(s.nodes["fog-a"].state_dir, "spool"), spool)
    code, said = run_to_the_end(s, "dev-1")
    assert code == 1 and "fog" in said, said


def test_secrets_show_nowhere(system):
    """Not in the configuration's listing, nor in logs at the finest level."""
    s = system
    for name in s.nodes:
        s.nodes[name].config["log.level"] = "debug"
        s.write_config(name)
    s.start()
    s.wait_read()
    s.wait_settled()
    secrets = []
    for name in s.nodes:
        for file in ("node.key", "operator.key"):
            path = os.path.join(s.nodes[name].state_dir, file)
            if os.path.exists(path):
                secrets += re.findall(r"[0-9a-fA-F]{64}|[A-Za-z0-9_+/=-]{43,}", open(path).read())
    public = "".join(s.ctl(n, "key", "show", "--json").stdout for n in s.nodes)
    secrets = [x for x in secrets if x not in public]
    assert len(secrets) >= 3
    said = "".join(s.log_of(n) + s.ctl(n, "config", "show").stdout + s.ctl(n, "status").stdout for n in s.nodes)
    assert not [x for x in secrets if x in said]
