"""The demo: a whole Fogline system on this machine, fed with real input, disturbed on the way, and judged at the end.

Started by scripts/demo, which builds first. Python standard library only."""
import argparse
import collections
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import demo_plan
import demo_report
import demo_screen
from cluster import Cluster, ClusterError, end_children
from demo_screen import clock, count, size

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK_S = 0.25
RUN_S = 30
CUT_S = 4.0
DRAIN_S = 60  # without any progress
STORE_MIB = {"device": 8, "fog": 32, "cloud": 64}  # and room for everything that comes: a full store is not the subject here
SAMPLE_BYTES = 32
HOST_SAMPLES_S = 500


class Stopped(Exception):
    """Ctrl-C and the like."""


def duration(text):
    m = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?", text)
    if not m or float(m[1]) <= 0:
        raise argparse.ArgumentTypeError(f"`{text}` is no duration; write 30s, 5m or 1h")
    return float(m[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600, None: 1}[m[2]]


def speed(text):
    if text != "max" and (not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) <= 0):
        raise argparse.ArgumentTypeError(f"`{text}` is no speed; write max, or how many times faster than recorded")
    return text


def at_least_one(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number from 1 on")
    return int(text)


def columns(text):
    return [c for c in text.split(",") if c]


def arguments():
    a = argparse.ArgumentParser(
        prog="scripts/demo", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Builds Fogline, starts a cloud, a fog for each site and several devices for each site as processes on "
                    "this machine,\nfeeds them, cuts a link and kills a fog on the way, and counts what has arrived.",
        epilog="examples:\n"
               "  scripts/demo                                  this machine's sensors and two simulated plants, 30 s\n"
               "  scripts/demo --data DIR                       replays DIR/<site>/<device>.csv[.gz] as fast as it goes\n"
               "  scripts/demo --data DIR --speed 3600 --for 1m an hour of the recording each second, for a minute\n"
               "  scripts/demo --keep /tmp/fl                   leaves configuration, keys and stores to look at\n\n"
               "exit code: 0 only if the independent count agrees, nothing is archived twice and nothing is unexplained")
    a.add_argument("--data", metavar="DIR", help="CSV files to replay; subfolders are sites, files are devices")
    a.add_argument("--speed", metavar="X|max", type=speed, help="of the replay, against the recorded times (max)")
    a.add_argument("--for", metavar="TIME", dest="run_s", type=duration,
                   help="how long to feed: 30s, 5m (30s; a replay at full speed: to its end)")
    a.add_argument("--sites", metavar="N", type=at_least_one, help="number of sites (3); with --data: the first N")
    a.add_argument("--devices", metavar="N", type=at_least_one, help="devices of a site (3); with --data: the first N")
    a.add_argument("--time", metavar="COL[,COL]", type=columns, default=[], help="columns that make the time, by name or number")
    a.add_argument("--tz", metavar="ZONE", default="UTC", help="zone of times that do not say theirs (UTC)")
    a.add_argument("--int", metavar="COL[,COL]", type=columns, default=[], dest="ints", help="columns to keep as int64")
    a.add_argument("--keep", metavar="DIR", help="work in this folder, which must be new or empty, and leave it")
    a.add_argument("--json", action="store_true", help="one object on stdout, everything else on stderr")
    a.add_argument("--build", metavar="DIR", default=os.path.join(ROOT, "build"), help=argparse.SUPPRESS)
    o = a.parse_args()
    if not o.data and (o.speed or o.time or o.ints):
        a.error("--speed, --time and --int belong to --data")
    if o.data and not os.path.isdir(o.data):
        a.error(f"--data {o.data}: no such folder")
    if o.keep and os.path.exists(o.keep) and (not os.path.isdir(o.keep) or os.listdir(o.keep)):
        a.error(f"--keep {o.keep}: must be new or empty")
    return o


class Demo:
    def __init__(self, options, screen):
        self.o, self.screen = options, screen
        self.data = bool(options.data)
        self.speed = options.speed or "max"
        self.at_full_speed = self.data and self.speed == "max"
        self.run_s = options.run_s or (None if self.at_full_speed else RUN_S)
        self.dir = os.path.abspath(options.keep) if options.keep else tempfile.mkdtemp(prefix="fogline-demo-")
        self.cluster = None
        self.kills, self.cuts = [], []
        self.produced, self.archived = 0, 0
        self.marks = collections.deque(maxlen=2400)  # (monotonic, produced, archived)
        self.helpers = []

    # ---- start ----

    def plan(self):
        o = self.o
        if not self.data:
            return demo_plan.built_in(self.run_s, o.sites or 3, o.devices or 3)
        folder = demo_plan.Folder(o.data, os.path.join(o.build, "device", "devicectl"), o.time, o.tz, o.ints)
        return folder.make(o.sites, o.devices, self.speed)

    def start(self):
        say = self.screen.say
        self.p = plan = self.plan()
        self.fogs = plan.fog_names()
        self.expected = sum(d.samples or 0 for d in plan.devices)
        for remark in plan.remarks:
            say(self.screen.dim("  " + remark))
        self.cluster = c = Cluster(self.dir, self.o.build, remove=not self.o.keep)
        stores, poll = self._plan_stores(), {"up.poll": "1 s"}
        c.add_cloud(config=stores["cloud"])
        for site, fog in self.fogs.items():
            c.add_fog(fog, site, config={**stores[fog], **poll})
        for d in plan.devices:
            c.add_device(d.name, d.site, [self.fogs[d.site]], [d.source], {**stores[d.name], **poll})
        self.screen.progress("making keys and enrolling ...")
        c.setup()
        self.screen.progress("starting ...")
        c.start(c.cloud.name, *self.fogs.values())
        # A fog lets no device in before it has seen the list of nodes that the cloud signed.
        c.wait_for("the fogs have the list of nodes", self._fogs_know, 30)
        say(f"{self.screen.bold('running')}  1 cloud (pid {c.cloud.pid}), {len(self.fogs)} fogs, {len(plan.devices)} devices, "
            f"each a process with a key of its own, linked by CURVE over loopback")
        if self.data:
            say(f"  replaying {count(sum(d.rows for d in plan.devices))} rows, {count(self.expected)} samples of {self.o.data} "
                f"at {'full speed' if self.at_full_speed else 'speed ' + self.speed}")
        self.started = time.monotonic()
        self.pending_faults = self.faults()
        if self.at_full_speed:
            next(self.pending_faults)
        c.start(*[d.name for d in plan.devices])

    def _fogs_know(self):
        return all(s and s["facts"]["node_list_version"] > 0 for s in map(self.cluster.status, self.fogs.values()))

    def _plan_stores(self):
        """Size of each store in MiB: they are taken from the disk at the start."""
        mib = {}
        for site, devices in self.p.sites.items():
            for d in devices:
                mib[d.name] = self._store_mib("device", [d])
            mib[self.fogs[site]] = self._store_mib("fog", devices)
        mib["cloud"] = self._store_mib("cloud", self.p.devices)
        need, free = sum(mib.values()), shutil.disk_usage(self.dir).free >> 20
        if need + 64 > free:
            raise demo_plan.PlanError(f"the stores need {need} MiB in {self.dir}, which has {free} MiB free; "
                                      "set TMPDIR to another folder, or take fewer --sites or --devices")
        return {name: {"store.map_bytes": f"{n} MiB"} for name, n in mib.items()}

    def _store_mib(self, tier, devices):
        samples = sum(d.samples or int(self.run_s * HOST_SAMPLES_S) for d in devices)
        return STORE_MIB[tier] + (samples * SAMPLE_BYTES >> 20)

    # ---- while it runs ----

    def device_status(self):
        return {d.name: self.cluster.status(d.name) for d in self.p.devices}

    def observe(self, phase):
        """Reads what the tiers say and rewrites the progress line. True: all sources have ended."""
        c, now = self.cluster, time.monotonic()
        reports = [s for s in self.device_status().values() if s]
        self.produced = max(self.produced, sum(s["facts"]["produced_samples"] for s in reports))
        cloud = c.status(c.cloud.name)
        if cloud:
            self.archived = max(self.archived, demo_report.archived_samples(cloud))
        self.marks.append((now, self.produced, self.archived))
        old = next((m for m in self.marks if m[0] >= now - 3), self.marks[0])
        rate = (self.archived - old[2]) / max(now - old[0], TICK_S)
        disk = sum(demo_report.used_bytes(s) for s in map(c.status, c.nodes) if s)
        wire = c.wire_bytes("device") + c.wire_bytes("fog")
        share = f" of {count(self.expected)}" if self.expected and self.data else ""
        self.screen.progress(
            f"{self.elapsed():5.1f} s  {phase}: archived {count(self.archived)}{share}  {count(int(rate))} samples/s  "
            f"backlog {count(max(0, self.produced - self.archived))}  lag {self.lag(now):.1f} s  wire {size(wire)}  "
            f"disk {size(disk)}")
        return len(reports) == len(self.p.devices) and all(
            x["state"] == "ended" for s in reports for x in s["facts"]["sources"])

    def lag(self, now):
        """How long ago as much had been read as is archived now."""
        if self.archived >= self.produced:
            return 0.0
        return now - next((t for t, produced, _ in self.marks if produced > self.archived), now)

    def elapsed(self):
        return time.monotonic() - self.started

    def run(self):
        """Until the sources have ended or the time is over; the faults happen on the way."""
        faults, pending = self.pending_faults, True
        quiet_since, before = time.monotonic(), -1
        while True:
            ended = self.observe("feeding")
            if pending is not None:
                pending = next(faults, None)
            over = self.run_s is not None and self.elapsed() >= self.run_s
            if pending is None and (ended or (over and self.data) or (over and self._only_live_left())):
                return
            if self.run_s is not None and self.elapsed() >= self.run_s + 15:
                return
            if (self.produced, self.archived) != before:
                quiet_since, before = time.monotonic(), (self.produced, self.archived)
            elif time.monotonic() - quiet_since > DRAIN_S and self.run_s is None:
                self.screen.say(self.screen.bad(f"nothing has moved for {DRAIN_S} s"))
                return
            time.sleep(TICK_S)

    def _only_live_left(self):
        """Plants end by themselves after their last row; the sensors never do."""
        status = self.device_status()
        return all(status[d.name] and all(x["state"] == "ended" for x in status[d.name]["facts"]["sources"])
                   for d in self.p.devices if d.kind != "host")

    def progress_share(self):
        by_time = self.elapsed() / self.run_s if self.run_s else 0
        by_data = self.archived / self.expected if self.expected and self.data else 0
        return max(by_time, by_data)

    def faults(self):
        """A generator: each step looks whether something is due. One link is cut, one fog killed."""
        names = list(self.fogs.values())
        first, second = (names[1], names[-1]) if len(names) > 1 else (names[0], names[0])
        cut_s = CUT_S if self.run_s is None or self.run_s >= 15 else max(1.0, self.run_s / 5)
        if self.at_full_speed:
            # Little time: the link is down from the beginning, and the fog dies with its store full of what it got.
            restore = self.cut(first, cut_s)
            yield True
            if first != second:
                yield from self._until(lambda: self.cluster.held_samples(second) > 0 or self.cut_over())
                yield from self.kill(second)
            yield from self._until(self.cut_over)
            if first == second:
                yield from self.kill(second)
            restore()
            return
        yield from self._until(lambda: self.progress_share() >= 0.2)
        restore = self.cut(first, cut_s)
        yield from self._until(self.cut_over)
        restore()
        yield from self._until(lambda: self.progress_share() >= 0.6)
        # Most of the time a fog holds nothing, which would make a dull fault.
        yield from self._until(lambda: self.cluster.held_samples(second) > 0 or self.progress_share() >= 0.75)
        yield from self.kill(second)

    @staticmethod
    def _until(condition):
        while not condition():
            yield True

    def cut_over(self):
        return time.monotonic() >= self.cut_until

    def held(self, fog):
        """Samples that the devices of a fog and the fog itself hold, and what the cloud has archived."""
        site = next(s for s, f in self.fogs.items() if f == fog)
        below = sum(self.cluster.held_samples(d.name) for d in self.p.sites[site])
        return {"devices": below, "fog": self.cluster.held_samples(fog), "archived": self._archived()}

    def _archived(self):
        return demo_report.ledger_samples(self.cluster.gaps())["archived"]

    @staticmethod
    def held_text(when, fog, h):
        return (f"{when:7} devices of the site hold {count(h['devices'])} samples, {fog} {count(h['fog'])}; "
                f"the cloud has archived {count(h['archived'])}")

    def cut(self, fog, seconds):
        cloud = self.cluster.cloud.name
        before, started = self.held(fog), time.time()
        self.cluster.link(fog, cloud).cut()
        self.cut_until = time.monotonic() + seconds
        self.screen.event("cut", f"relay between {fog} (pid {self.cluster.nodes[fog].pid}) and the cloud, for "
                                 f"{seconds:.0f} s", self.held_text("before:", fog, before))

        def restore():
            after = self.held(fog)
            self.cluster.link(fog, cloud).restore()
            self.screen.event("restored", f"relay between {fog} and the cloud", self.held_text("after:", fog, after))
            self.cuts.append({"lower": fog, "upper": cloud, "unix_s": started, "seconds": time.time() - started,
                              "before": before, "after": after})
        return restore

    def kill(self, fog):
        """The fog is away for a second; its devices keep what they have."""
        before, started = self.held(fog), time.time()
        pid = self.cluster.kill(fog)
        self.screen.event("kill -9", f"{fog}, pid {pid}", self.held_text("before:", fog, before))
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            yield True
        at = time.monotonic()
        self.cluster.start(fog)
        ready_s = time.monotonic() - at
        after = self.held(fog)
        self.screen.event("started", f"{fog}, pid {self.cluster.nodes[fog].pid}, ready after {ready_s * 1000:.0f} ms",
                          self.held_text("after:", fog, after))
        self.kills.append({"node": fog, "pid": pid, "signal": 9, "unix_s": started, "pid_after": self.cluster.nodes[fog].pid,
                           "ready_s": ready_s, "before": before, "after": after})

    # ---- the end ----

    def end_sources(self):
        """Devices whose input goes on are stopped and started without it: what they hold still has to arrive."""
        c = self.cluster
        self.finished, self.rows_read = set(), {}
        status = self.device_status()
        running = []
        for d in self.p.devices:
            if status[d.name] and all(x["state"] == "ended" for x in status[d.name]["facts"]["sources"]):
                self.finished.add(d.name)
            else:
                running.append(d)
        c.stop(*[d.name for d in running]) if running else None
        for d in running:
            last = c.status(d.name)
            self.rows_read[d.name] = sum(x["rows"] for x in last["facts"]["sources"]) if last else None
            c.nodes[d.name].sources = []
            c.write_config(d.name)
        if running:
            c.start(*[d.name for d in running])
        for d in self.p.devices:
            if d.name in self.finished:
                self.rows_read[d.name] = sum(x["rows"] for x in status[d.name]["facts"]["sources"])

    def drain(self):
        """Until nothing is held below the cloud. False: nothing moves any more."""
        moved_at, before = time.monotonic(), None
        while not self.cluster.is_drained():
            self.observe("draining")
            if self.archived != before:
                moved_at, before = time.monotonic(), self.archived
            if time.monotonic() - moved_at > DRAIN_S:
                return False
            time.sleep(TICK_S)
        return True

    def finish(self):
        self.end_sources()
        drained = self.drain()
        c = self.cluster
        self.seconds = self.elapsed()
        self.screen.progress("stopping ...")
        wire = {"device_fog": c.wire_bytes("device"), "fog_cloud": c.wire_bytes("fog")}
        produced = {d.name: self._own_samples(d.name) for d in self.p.devices}
        c.stop()
        self.screen.progress("counting input and export ...")
        judgements = self.judge()
        report = demo_report.Report(self, c.gaps(), wire, produced, judgements, drained)
        if not self.o.json:
            report.show(self.screen)
        else:
            self.screen.clear()
        return report

    def _own_samples(self, name):
        stat = self.cluster.ctl_json(name, "store", "stat")
        return sum(lane["produced_samples"] for s in stat["streams"] if s["own"] for lane in s["lanes"])

    def export_path(self, device):
        return os.path.join(self.dir, "export", device.name + ".jsonl")

    def judge(self):
        """tests/ledger.py for each device, as many at a time as there are processors."""
        os.makedirs(os.path.join(self.dir, "export"), exist_ok=True)
        waiting, results = list(self.p.devices), {}
        at_once = os.cpu_count() or 1
        while waiting or self.helpers:
            while waiting and len(self.helpers) < at_once:
                d = waiting.pop(0)
                self.cluster.export(self.export_path(d), "jsonl", ["--select", f"{d.site}/{d.name}"])
                self.helpers.append((d, self._start_judge(d)))
            d, p = self.helpers[0]
            out, err = p.communicate()
            self.helpers.pop(0)
            if not out:
                raise ClusterError(f"tests/ledger.py failed for {d.name}: {err.strip()[-600:]}")
            results[d.name] = json.loads(out)
            self.screen.progress(f"counting input and export: {len(results)} of {len(self.p.devices)} devices")
        return results

    def _start_judge(self, d):
        args = [sys.executable, os.path.join(ROOT, "tests", "ledger.py"), "--json", "--export", self.export_path(d)]
        if d.path:
            args += ["--tz", self.o.tz, "--time", ",".join(d.time), "--int", ",".join(d.ints)]
            args += ["--prefix"] if d.name not in self.finished else []
        return subprocess.Popen([*args, f"{d.site}/{d.name}={d.path or ''}"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                preexec_fn=Cluster.die_with_parent())

    def close(self):
        for _, p in self.helpers:
            p.kill()
        self.screen.clear()
        if self.cluster:
            self.cluster.close()
            if self.o.keep and self.cluster.is_set_up:
                self._leave_configurations()
        end_children()
        if not self.o.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def _leave_configurations(self):
        """As they were while it ran, but for the relays, which end with this process."""
        for d in self.p.devices:
            self.cluster.nodes[d.name].sources = [d.source]
        self.cluster.bypass_relays()

    def say_kept(self):
        c, say = self.cluster, self.screen.say
        self.screen.heading(f"kept in {self.dir}")

        def command(program, node):
            return f"{shlex.quote(program)} -c {shlex.quote(node.yaml)}"
        cloudctl, d = command(c.cloud.cli, c.cloud), self.p.devices[0]
        for line in (f"{cloudctl} query --select {d.site}", f"{cloudctl} gaps", f"{cloudctl} export --format csv | head",
                     f"{command(c.nodes[d.name].cli, c.nodes[d.name])} store stat",
                     f"{command(c.cloud.daemon, c.cloud)}     # and so on: each file in {c.dir}/etc is a node"):
            say("  " + line)


def stop_on_signals():
    def on_signal(number, _frame):
        raise Stopped(signal.Signals(number).name)
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, on_signal)


def ignore_signals():
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN)


def main():
    options = arguments()
    screen = demo_screen.stdout_or_stderr(options.json)
    stop_on_signals()
    demo, code = Demo(options, screen), 1
    try:
        demo.start()
        demo.run()
        report = demo.finish()
        code = 0 if report.ok else 1
        if options.json:
            print(json.dumps(report.object))
        if options.keep:
            demo.say_kept()
    except Stopped as e:
        ignore_signals()
        screen.say()
        screen.say(screen.warn(f"stopped by {e}: ending all processes"))
        code = 130
    except (ClusterError, demo_plan.PlanError, TimeoutError, OSError, subprocess.SubprocessError) as e:
        screen.say(screen.bad(f"demo: {e}"))
    finally:
        ignore_signals()
        demo.close()
        if code == 130:
            screen.say(f"nothing is left running{'' if options.keep else ', ' + demo.dir + ' is removed'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
