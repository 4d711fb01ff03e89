"""Live sources with a real other side, through the whole system: a program, a broker, a Modbus slave. When it is killed, the archive
has bad quality and one event, then good readings and one event; and nothing is missing that was read."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from mqtt_publisher import Publisher
from system import build_dir, until

MOSQUITTO = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
MODBUS_SERVER = os.path.join(build_dir(), "tests/unit/device/modbus_server")
RESTARTS = 3


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def system_with(make_system, source):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [source])
    s.setup()
    return s


def cells(s, channel):
    """(value, quality) of the channel in the archive, in the order in which they were read."""
    path = s.export(os.path.join(s.dir, "cells.jsonl"), "jsonl", ["--select", f"s/dev-1/{channel}"])
    rows = []
    with open(path) as f:
        for line in f:
            o = json.loads(line)
            rows.append((o["seq"], o["row"], o["values"].get(channel), o.get("quality", {}).get(channel, "good")))
    return [r[2:] for r in sorted(rows, key=lambda r: r[:2])]


def failures(s, source):
    """What was told of the source's failures, in order."""
    out = []
    for line in s.ctl("cloud", "events", "--json", "--last", "10000").stdout.splitlines():
        record = json.loads(line)["record"]
        if str(record.get("event", "")) in ("source_failed", "source_recovered") and record["subject"] == source:
            out.append((record["seq"], record["event"], record["text"]))
    return [x[1:] for x in sorted(out)]


def has_turned(s, channel, n):
    """Has the archive good readings after n times bad quality?"""
    turns, was = 0, "good"
    for _, quality in cells(s, channel):
        turns += was == "bad" and quality == "good"
        was = quality
    return turns >= n


def settle(s):
    """The device lets go of what it has, without new readings, and the ledger is even."""
    s.stop("dev-1")
    s.nodes["dev-1"].sources = []
    s.write_config("dev-1")
    s.start("dev-1")
    g = s.wait_settled()
    assert g["balanced"] and g["records"]["unexplained"] == 0 and g["samples"]["unexplained"] == 0, g
    assert g["records"]["explained_total"] == 0, g


def must_have_failed_and_recovered(s, source, n):
    told = until(f"{n} failures are told", lambda: len(t := failures(s, source)) >= 2 * n and t)
    assert [kind for kind, _ in told] == ["source_failed", "source_recovered"] * n, told


def test_a_program_that_is_killed_is_bad_until_it_is_back(make_system):
    s = make_system()
    pid, starts = os.path.join(s.dir, "pid"), os.path.join(s.dir, "starts")
    script = f"echo >>{starts}; echo $$ >{pid}; n=$(($(wc -l <{starts}) * 100000)); " \
             "while n=$((n + 1)); echo n $n; do sleep 0.02; done"
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "exec", "name": "p", "command": ["/bin/sh", "-c", script], "interval_ms": "200 ms",
                                            "restart_ms": "100 ms", "restart_max_ms": "200 ms",
                                            "expect": [{"name": "n", "type": "int"}]}])
    s.setup()
    s.start()
    for turn in range(RESTARTS):
        until("it prints", lambda: any(v is not None and v > (turn + 1) * 100000 for v, q in cells(s, "n") if q == "good"))
        with open(pid) as f:
            os.kill(int(f.read()), signal.SIGKILL)
        until("it is bad, then good", lambda: has_turned(s, "n", turn + 1))
    must_have_failed_and_recovered(s, "p", RESTARTS)
    settle(s)
    good = [v for v, q in cells(s, "n") if q == "good"]
    for life in range(1, RESTARTS + 2):
        mine = [v for v in good if v // 100000 == life]
        assert mine == list(range(life * 100000 + 1, life * 100000 + 1 + len(mine))) and mine, "each line once, in order"


class Broker:
    """Debian's mosquitto with TLS and a password."""

    def __init__(self, dir):
        self.dir, self.port, self.process = dir, free_port(), None
        self.ca, self.password = os.path.join(dir, "ca.pem"), os.path.join(dir, "password")
        subprocess.run(["sh", "-c", """set -e; umask 022
            openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca
            openssl req -newkey rsa:2048 -nodes -keyout key.pem -out csr.pem -subj /CN=localhost
            echo subjectAltName=DNS:localhost >ext
            openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem
            PATH=$PATH:/usr/sbin mosquitto_passwd -b -c users site secret; echo secret >password; chmod 644 *"""],
                       cwd=dir, check=True, capture_output=True)
        with open(os.path.join(dir, "conf"), "w") as f:
            user = "user root\n" if os.geteuid() == 0 else ""
            f.write(f"{user}listener {self.port} 127.0.0.1\ncafile {dir}/ca.pem\ncertfile {dir}/cert.pem\nkeyfile {dir}/key.pem\n"
                    f"allow_anonymous false\npassword_file {dir}/users\n")

    def start(self, s):
        self.process = subprocess.Popen([MOSQUITTO, "-c", os.path.join(self.dir, "conf")], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=s.die_with_parent())
        until("the broker listens", self._listens)

    def _listens(self):
        try:
            Publisher(self.port, self.ca, "site", "secret").close()
            return True
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()


class Load(threading.Thread):
    """Publishes 1, 2, 3 ..., two hundred a second at most, and connects again whenever the broker is gone."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.broker, self.n, self.is_ended = broker, 0, threading.Event()
        self.start()

    def run(self):
        publisher = None
        while not self.is_ended.wait(0.005):  # how much load it is
            try:
                publisher = publisher or Publisher(self.broker.port, self.broker.ca, "site", "secret")
                self.n += 1
                publisher.publish("site/a/n", '{"n": %d}' % self.n)
            except OSError:
                if publisher:
                    publisher.close()
                publisher = None
        if publisher:
            publisher.close()

    def end(self):
        self.is_ended.set()
        self.join()


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
def test_a_broker_that_is_restarted_under_load(make_system):
    s, rng = make_system(), random.Random(5)
    dir = os.path.join(s.dir, "broker")
    os.mkdir(dir)
    broker = Broker(dir)
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{
        "type": "mqtt", "name": "site", "host": "localhost", "port": broker.port, "tls": True, "ca_file": broker.ca, "username": "site",
        "password_file": broker.password, "reconnect_ms": "50 ms", "reconnect_max_ms": "200 ms",
        "topics": [{"filter": "site/+/n", "channel": "$1.n", "json": "n", "type": "int", "qos": 1}]}])
    s.setup()
    broker.start(s)
    load = Load(broker)
    try:
        s.start()
        for turn in range(RESTARTS):
            begin = load.n
            until("values arrive", lambda: any(v > begin for v, q in cells(s, "a.n") if q == "good"))
            far = load.n + rng.randrange(20, 120)
            until("the moment of the kill, which is to be random", lambda: load.n >= far, every=0.001)
            broker.kill()
            until("it is told", lambda: len(failures(s, "site")) == 2 * turn + 1)
            broker.start(s)
            until("it is bad, then good", lambda: has_turned(s, "a.n", turn + 1))
        must_have_failed_and_recovered(s, "site", RESTARTS)
        last = load.n
        until("the last values arrive", lambda: any(v > last for v, q in cells(s, "a.n") if q == "good"))
    finally:
        load.end()
    settle(s)
    broker.kill()
    got, lives = cells(s, "a.n"), [[]]
    for v, quality in got:
        if quality == "bad":
            lives.append([])
        else:
            lives[-1].append(v)
    lives = [life for life in lives if life]
    assert len(lives) == RESTARTS + 1
    for life in lives:
        assert life == list(range(life[0], life[0] + len(life))), "between two kills each value once, in order"
    assert lives[-1][-1] <= load.n


@pytest.mark.skipif(not os.access(MODBUS_SERVER, os.X_OK), reason="this build has no libmodbus")
def test_a_modbus_slave_that_is_restarted(make_system):
    port, process = free_port(), None
    s = system_with(make_system, {
        "type": "modbus", "name": "pump", "host": "127.0.0.1", "port": port, "interval_ms": "100 ms", "reconnect_ms": "50 ms",
        "reconnect_max_ms": "100 ms", "registers": [{"name": "a", "address": 0}, {"name": "c", "address": 2, "type": "f32"}]})

    def start_slave():
        p = subprocess.Popen([MODBUS_SERVER, str(port)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             preexec_fn=s.die_with_parent())
        assert p.stdout.readline() == b"ready\n"
        return p

    process = start_slave()
    try:
        s.start()
        for turn in range(RESTARTS):
            n = len(cells(s, "a"))
            until("registers arrive", lambda: any(q == "good" for _, q in cells(s, "a")[n:]))
            process.kill()
            process.wait()
            process.stdout.close()
            until("it is told", lambda: len(failures(s, "pump")) == 2 * turn + 1)
            process = start_slave()
            until("it is bad, then good", lambda: has_turned(s, "a", turn + 1))
        must_have_failed_and_recovered(s, "pump", RESTARTS)
        settle(s)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert {v for v, q in cells(s, "a") if q == "good"} == {1234}
    assert {v for v, q in cells(s, "c") if q == "good"} == {21.5}
    assert all(v is None or v != v or v == "NaN" for v, q in cells(s, "c") if q == "bad")
