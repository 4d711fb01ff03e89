#!/usr/bin/env python3
"""kill -9 under load: rounds of killing one tier, or any, at random moments, and a judgement at the end.

    tests/e2e/kill.py [--rounds N] [--tier device|fog|cloud|mixed] [--seed S] [--build DIR] [--json]

A cloud, two fogs of one site and three devices: one replays a file to its fog, one may use both fogs, and one takes readings from
a program that remembers which of them were acknowledged. Each round waits a random time and kills; now and then the process is
killed again while it starts, and in `mixed` several die at once and a node may lose what a reboot takes. At the end everything
must have arrived. Loss and doubles are counted by tests/ledger.py, which reads input and export itself.

Exit 0: lost, twice and unexplained are 0. The same seed makes the same choices; what the processes did meanwhile is chance."""
import argparse
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import system  # noqa: E402
from system import ledger  # noqa: E402

TIERS = ("device", "fog", "cloud", "mixed")
ROWS_PER_S = 500
ROUND_S = 1.0
PAUSE_S = (0.02, 0.6)
START_PAUSE_S = (0.0, 0.12)
DRAIN_S = 60


class Sender:
    """Sends numbers to the socket of a device, each once, and remembers those that were acknowledged."""

    def __init__(self, path):
        self.path, self.acked, self.sent = path, set(), 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self):
        self._ending.set()
        self._thread.join()

    def _run(self):
        while not self._ending.is_set():
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                    s.bind("")
                    s.connect(self.path)
                    s.settimeout(1.0)
                    while not self._ending.is_set():
                        self._send_one(s)
            except OSError:  # nobody listens just now
                self._ending.wait(0.02)

    def _send_one(self, s):
        self.sent += 1
        n = self.sent
        s.send(b"n=%d" % n)
        if s.recv(256).startswith(b"ok"):
            self.acked.add(n)
        self._ending.wait(0.01)


class Kill:
    def __init__(self, folder, rounds, tier, seed):
        self.rng, self.rounds, self.tier = random.Random(f"{tier}/{seed}"), rounds, tier
        self.kills = self.crashed = 0
        rows = int(ROWS_PER_S * ROUND_S * (rounds + 2))
        self.s = s = system.System(folder)
        s.add_cloud(config={"store.map_bytes": f"{192 + rows // 2000} MiB"})
        for fog in ("fog-a", "fog-b"):
            s.add_fog(fog, "s", config={"up.poll": "200 ms"})
        common = {"up.poll": "200 ms", "commit_ms": "20 ms", "pack.ms": "100 ms", "pack.rows": 20}
        s.add_replay("dev-1", "s", ["fog-a"], rows, "1", 1000 // ROWS_PER_S, common)
        s.add_replay("dev-2", "s", ["fog-b", "fog-a"], rows, "1", 1000 // ROWS_PER_S, common)
        s.add_device("dev-3", "s", ["fog-a"], [{"type": "socket", "name": "in"}], common)
        s.setup()
        s.start()
        self.sender = Sender(os.path.join(s.nodes["dev-3"].run_dir, "send.sock"))

    def close(self):
        self.sender.end()
        self.s.close()

    def _victims(self):
        nodes = [n.name for n in self.s.nodes.values() if self.tier in ("mixed", n.tier)]
        n = self.rng.choice((1, 1, 2, 3)) if self.tier == "mixed" else 1
        return self.rng.sample(nodes, n)

    def _kill(self, names):
        for name in names:
            if self.s.nodes[name].running:
                self.s.signal(name, signal.SIGKILL)
                self.kills += 1
            else:
                print(f"kill: {name} had ended by itself\n{self.s.nodes[name].log_tail()}", file=sys.stderr)
                self.crashed += 1
        for name in names:
            self.s.nodes[name].process.wait()

    def round(self):
        time.sleep(self.rng.uniform(*PAUSE_S))
        victims = self._victims()
        self._kill(victims)
        if self.tier == "mixed":
            for name in victims:
                if self.rng.random() < 0.15:  # as after a reboot
                    shutil.rmtree(self.s.nodes[name].run_dir, ignore_errors=True)
        while self.rng.random() < 0.3:
            self.s.start(*victims, wait=False)
            time.sleep(self.rng.uniform(*START_PAUSE_S))
            self._kill(victims)
        self.s.start(*victims)

    def run(self):
        started = time.monotonic()
        for _ in range(self.rounds):
            self.round()
        self.sender.end()
        for name in self.s.inputs:  # the rest at once
            self.s.nodes[name].sources[0]["speed"] = "max"
            self.s.write_config(name)
            self.s.restart(name)
        held = self._drain()
        complaints = self.s.end()
        print(*(f"kill: {c}" for c in complaints), sep="\n", end="", file=sys.stderr)
        self.crashed += len(complaints)
        return self._judge(held, time.monotonic() - started)

    def _drain(self):
        """Records that still lie below the cloud when the time is over."""
        try:
            self.s.wait_read(*self.s.inputs, timeout=DRAIN_S)
            self.s.wait_settled(DRAIN_S)
            return 0
        except TimeoutError as e:
            print(f"kill: {e}", file=sys.stderr)
            return sum(self.s.held_records(n) for n in self.s.nodes if n != "cloud")

    def _judge(self, held, seconds):
        g = self.s.gaps()
        out = {"rounds": self.rounds, "tier": self.tier, "kills": self.kills, "lost": 0, "twice": 0,
               "unexplained": g["records"]["unexplained"] + g["samples"]["unexplained"], "held": held, "rows": 0,
               "foreign": 0, "crashed": self.crashed, "acked": len(self.sender.acked), "explained": g["records"]["explained"]}
        for name in self.s.inputs:
            j = self.s.judge(name)
            out["rows"] += j["rows_in"]
            out["lost"] += j["missing"]
            out["twice"] += j["archived_twice"]
            out["foreign"] += j["foreign"]
        seen = self._sent_numbers()
        out["lost"] += len(self.sender.acked - seen.keys())
        out["twice"] += sum(n - 1 for n in seen.values())
        out["foreign"] += sum(1 for n in seen if not 1 <= n <= self.sender.sent)
        out["seconds"] = round(seconds, 1)
        return out

    def _sent_numbers(self):
        path = os.path.join(self.s.dir, "sent.jsonl")
        self.s.export(path, "jsonl", ["--select", "s/dev-3"])
        seen = {}
        for _site, _device, _key, _time, values in ledger.export_rows(path):
            seen[int(values["n"])] = seen.get(int(values["n"]), 0) + 1
        return seen


def run(rounds, tier, seed, keep=None):
    """The result as an object; `keep`: a folder for what may be looked at afterwards."""
    folder = keep or tempfile.mkdtemp(prefix="fogline-kill-")
    k = None
    try:
        k = Kill(folder, rounds, tier, seed)
        result = k.run()
        result["seed"] = seed
        return result
    finally:
        if k:
            k.close()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def is_clean(result):
    return all(result[k] == 0 for k in ("lost", "twice", "unexplained", "held", "foreign", "crashed"))


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("--rounds", type=int, default=15)
    a.add_argument("--tier", choices=TIERS, default="mixed")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--build", metavar="DIR", help="folder of meson (FOGLINE_BUILD, else build)")
    a.add_argument("--keep", metavar="DIR", help="leave stores, logs and exports here")
    a.add_argument("--json", action="store_true")
    o = a.parse_args()
    if o.build:
        os.environ["FOGLINE_BUILD"] = o.build
    result = run(o.rounds, o.tier, o.seed, o.keep)
    print(json.dumps(result) if o.json else "  ".join(f"{k} {v}" for k, v in result.items()))
    return 0 if is_clean(result) else 1


if __name__ == "__main__":
    sys.exit(main())
