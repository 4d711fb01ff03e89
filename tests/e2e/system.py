"""Whole systems for the tests: the cluster of scripts/ with small stores and quick polls, inputs that are hard to carry
exactly, and the judgement of tests/ledger.py."""
import math
import os
import random
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [p for p in (os.path.join(ROOT, "scripts"), os.path.join(ROOT, "tests")) if p not in sys.path]

import ledger  # noqa: E402
from cluster import Cluster, ClusterError  # noqa: E402,F401

QUICK = {
    "cloud": {"store.map_bytes": "192 MiB"},
    "fog": {"store.map_bytes": "48 MiB", "up.poll": "300 ms", "up.failover": "1 s"},
    "device": {"store.map_bytes": "12 MiB", "up.poll": "300 ms", "up.failover": "1 s", "commit_ms": "50 ms"},
}
FIRST_S = 1_700_000_000


def build_dir():
    """Where the binaries are: FOGLINE_BUILD, else `build` of the checkout."""
    return os.path.abspath(os.environ.get("FOGLINE_BUILD") or os.path.join(ROOT, "build"))


def until(what, condition, timeout=20, every=0.05):
    """Until condition() is true; its value. TimeoutError names `what`."""
    return Cluster.wait_for(what, condition, timeout, every)


def write_input(path, rows, interval_ms=10, seed=1):
    """A CSV file whose values do not survive carelessness: doubles of all sizes and 17 digits, signed zero, text, empty cells,
    equal times."""
    rng = random.Random(f"{seed}/{rows}")
    odd = ["-0.0", "5e-324", "1.7976931348623157e308", "0.1", "-2.2250738585072014e-308", "9007199254740993", "1e22"]
    with open(path, "w") as f:
        f.write("time,flow,level,fine,note\n")
        at = 0
        for i in range(rows):
            at += 0 if i % 97 == 5 else interval_ms
            flow = odd[i // 50 % len(odd)] if i % 50 == 49 else repr(rng.uniform(-1, 1) * 10 ** rng.randint(-12, 12))
            level = "" if i % 7 == 3 else f"{50 + 20 * math.sin(i / 100):.2f}"
            note = f"step {i}" if i % 40 == 0 else ""
            f.write(f"{FIRST_S + at // 1000}.{at % 1000:03d},{flow},{level},{rng.random()!r},{note}\n")
    return path


def replay(path, speed="max"):
    """The source that reads such a file."""
    return {"type": "csv", "name": "replay", "path": path, "speed": speed}


class System(Cluster):
    """A cluster under `dir` that is removed at its end. by_relay as in Cluster: here only where a test wants to cut."""

    def __init__(self, dir, by_relay=(), seed=None):
        super().__init__(dir, build_dir(), by_relay=by_relay, rng_seed=seed, remove=False)
        self.inputs = {}

    def _add(self, name, tier, site, ups, config, sources=None):
        return super()._add(name, tier, site, ups, {**QUICK[tier], **(config or {})}, sources)

    def add_replay(self, name, site, fogs, rows, speed="max", interval_ms=10, config=None):
        """A device that replays a file of its own, to be judged by it."""
        path = write_input(os.path.join(self.dir, name + ".csv"), rows, interval_ms, seed=name)
        self.inputs[name] = path
        return self.add_device(name, site, fogs, [replay(path, speed)], config)

    def one_of_each(self, rows=2000, speed="max", interval_ms=10, device=None, fog=None, cloud=None):
        """cloud, fog-a and dev-1 at site s."""
        self.add_cloud(config=cloud)
        self.add_fog("fog-a", "s", config=fog)
        self.add_replay("dev-1", "s", ["fog-a"], rows, speed, interval_ms, device)
        self.setup()
        return self

    # -- what it says --

    def fact(self, name, key, default=None):
        s = self.status(name)
        return s["facts"].get(key, default) if s else default

    def held_records(self, name):
        """What a store holds, read from the store itself; the daemon may be dead."""
        stat = self.ctl_json(name, "store", "stat")
        return sum(lane["held_records"] for s in stat["streams"] for lane in s["lanes"])

    def produced_samples(self, name):
        stat = self.ctl_json(name, "store", "stat")
        return sum(lane["produced_samples"] for s in stat["streams"] if s["own"] for lane in s["lanes"])

    def archived_samples(self):
        return self.counter("cloud", "archive.samples_total")

    def log_of(self, name):
        return self.nodes[name].log_tail(100000)

    # -- waiting --

    def wait_read(self, *names, timeout=30):
        """Until the sources of the devices (all, when none is named) have given their last row, as far as they have one."""
        def has_read(name):
            sources = self.fact(name, "sources")
            return sources and all(x["state"] == "ended" or x["kind"] in ("socket", "detector", "model") for x in sources)
        for name in names or [n.name for n in self.of_tier("device")]:
            until(f"{name} has read its input", lambda: has_read(name), timeout)

    def wait_settled(self, timeout=30):
        """Until no store below the cloud holds anything and the ledger is even. Returns the ledger."""
        below = [n.name for n in self.nodes.values() if n.tier != "cloud"]
        for name in below:
            until(f"{name} has let go of everything", lambda: self.held_records(name) == 0, timeout, 0.2)
        return self.wait_drained(timeout)

    # -- judging --

    def judge(self, name):
        """tests/ledger.py over the device's input and all that the archive has of it."""
        out = os.path.join(self.dir, f"export-{name}.jsonl")
        self.export(out, "jsonl", ["--select", f"{self.nodes[name].site}/{name}"])
        return ledger.judge(out, self.inputs[name], name)

    def must_be_exact(self, gaps=None):
        """Every input in the archive, once, bit for bit; the ledger even and empty below."""
        for name in self.inputs:
            j = self.judge(name)
            assert ledger.agrees(j), f"{name}: {j}"
            assert j["rows_in"] > 0
        g = gaps or self.gaps()
        assert g["balanced"] and g["records"]["unexplained"] == 0 and g["samples"]["unexplained"] == 0, g
        assert g["records"]["produced"] == g["records"]["archived"] + g["records"]["held"] + g["records"]["explained_total"]

    def end(self):
        """Stops what still runs. Returns what was not right about it, and what a sanitizer said before."""
        running = [n.name for n in self.nodes.values() if n.running]
        codes = self.stop(*running) if running else {}
        complaints = [f"{name} ended with {code}" for name, code in codes.items() if code != 0]
        for name, node in self.nodes.items():
            if node.running:
                complaints.append(f"{name} still runs")
            said = [line for line in self.log_of(name).splitlines() if "Sanitizer" in line or "runtime error:" in line]
            complaints += [f"{name}: {line}" for line in said[:3]]
        self.close()
        return complaints
