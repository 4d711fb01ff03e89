"""Starts compose.yaml, lets every device send so many rows, and judges what came: by the ledger and by an own count of the
exported rows. Ends with one line, or one JSON object, and leaves nothing behind. Python standard library only."""
import argparse
import concurrent.futures
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = "debian:bookworm-slim"
IMAGE = "fogline-sim"
DEVICES = {"pump-a1": "plant-a", "pump-a2": "plant-a", "pump-b1": "plant-b", "pump-b2": "plant-b"}
FOGS = ["fog-a", "fog-b"]
NODES = ["cloud", *FOGS, *DEVICES]
# What a base image does not need: the small one of the registry has none of it either.
NOT_IN_BASE = ["var/cache/apt/*", "var/lib/apt/lists/*", "usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "var/log/*"]


class Failed(Exception):
    pass


def run(*args, timeout=600, check=True, **kw):
    p = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       timeout=timeout, **kw)
    if check and p.returncode != 0:
        raise Failed(f"{' '.join(args)}: exit {p.returncode}\n{(p.stdout + p.stderr)[-3000:]}")
    return p


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Engine:
    """A container engine: the one that answers, or one of our own that ends with us."""

    def __init__(self):
        self.process = self.dir = None
        if run("docker", "info", check=False, timeout=20).returncode == 0:
            return
        if os.geteuid() != 0:
            raise Failed("No container engine answers, and only root can start one: run this as root, or start docker.")
        self.dir = tempfile.mkdtemp(prefix="fogline-engine-")
        self.filter = run("iptables-save").stdout
        with open("/proc/sys/net/ipv4/ip_forward") as f:
            self.forward = f.read()
        socket = os.path.join(self.dir, "docker.sock")
        os.environ["DOCKER_HOST"] = "unix://" + socket
        with open(os.path.join(self.dir, "log"), "w") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--data-root", self.dir + "/data", "--exec-root", self.dir + "/exec", "-p", self.dir + "/pid",
                 "-H", "unix://" + socket], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        for _ in range(300):
            if run("docker", "info", check=False, timeout=20).returncode == 0:
                say(f"started a container engine, pid {self.process.pid}")
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        with open(os.path.join(self.dir, "log")) as f:
            tail = f.read()[-2000:]
        self.close()
        raise Failed("dockerd does not start:\n" + tail)

    def close(self):
        """The machine as it was: no daemon, no bridge, the packet filter of before."""
        if self.dir is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        run("ip", "link", "delete", "docker0", check=False)
        subprocess.run(["iptables-restore"], input=self.filter, text=True, check=False)
        with open("/proc/sys/net/ipv4/ip_forward", "w") as f:
            f.write(self.forward)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir = None


def have_base():
    """True: made here. A registry is asked first; where none can be reached the image is made as on any closed site."""
    if run("docker", "image", "inspect", BASE, check=False).returncode == 0:
        return False
    try:
        if run("docker", "pull", "-q", BASE, check=False, timeout=30).returncode == 0:
            return False
    except subprocess.TimeoutExpired:
        pass
    if os.geteuid() != 0:
        raise Failed(f"No registry can be reached, and only root can make {BASE} by debootstrap.")
    say(f"no registry can be reached: making {BASE} by debootstrap")
    with tempfile.TemporaryDirectory(prefix="fogline-base-") as root:
        run("debootstrap", "--variant=minbase", "bookworm", root)
        tar = subprocess.Popen(["tar", "-C", root, *(f"--exclude=./{p}" for p in NOT_IN_BASE), "-c", "."],
                               stdout=subprocess.PIPE)
        made = subprocess.run(["docker", "import", "-", BASE], stdin=tar.stdout, stdout=subprocess.DEVNULL)
        tar.stdout.close()
        if tar.wait() != 0 or made.returncode != 0:
            raise Failed("docker import failed")
    return True


class Composed:
    def __init__(self, rows, interval_ms):
        self.env = {**os.environ, "FOGLINE_ROWS": str(rows), "FOGLINE_INTERVAL": f"{interval_ms} ms"}
        self.project = f"fogline-sim-{os.getpid()}"
        plugin = run("docker", "compose", "version", check=False).returncode == 0
        self.tool = ["docker", "compose"] if plugin else ["docker-compose"]
        if not plugin:
            self.env["COMPOSE_DOCKER_CLI_BUILD"] = "0"

    def __call__(self, *args, **kw):
        return run(*self.tool, "-p", self.project, "-f", os.path.join(HERE, "compose.yaml"), *args, env=self.env, **kw)

    def id(self, node):
        found = self("ps", "-q", node, check=False).stdout.split()
        if not found:
            raise Failed(f"there is no container of {node}")
        return found[0]

    def inspect(self, node):
        return json.loads(run("docker", "inspect", self.id(node)).stdout)[0]

    def exec(self, node, *args, **kw):
        return run("docker", "exec", self.id(node), *args, **kw)

    def cloudctl(self, *args):
        return self.exec("cloud", "cloudctl", "-c", "/nodes/cloud/config.yaml", *args, check=False, timeout=60).stdout

    def wait_healthy(self, timeout):
        deadline = time.monotonic() + timeout
        while True:
            state = {n: self.inspect(n)["State"] for n in NODES}
            bad = [n for n, s in state.items() if s["Status"] != "running"]
            if bad:
                raise Failed(f"ended: {', '.join(bad)}")
            if all(s["Health"]["Status"] == "healthy" for s in state.values()):
                return
            if time.monotonic() > deadline:
                raise Failed("not healthy: " + ", ".join(n for n, s in state.items() if s["Health"]["Status"] != "healthy"))
            time.sleep(0.5)

    def reaches(self, node, address, port):
        """Whether a TCP connection opens from inside that container."""
        return self.exec(node, "timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}",
                         check=False).returncode == 0


def count_rows(c):
    """{(site, device): rows} by the exported lines themselves."""
    rows = {}
    for line in c.cloudctl("export", "--format", "jsonl").splitlines():
        row = json.loads(line)
        key = (row["site"], row["device"])
        rows[key] = rows.get(key, 0) + 1
    return rows


def settled(c, want, timeout):
    """Until every row is in the archive and the ledger is even with nothing held below; ledger and rows at the end."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            ledger, rows = json.loads(c.cloudctl("--json", "gaps")), count_rows(c)
        except ValueError:
            ledger, rows = None, {}
        done = ledger and rows == want and all(ledger[k][n] == 0 for k in ("records", "samples") for n in ("held", "unexplained"))
        if done or time.monotonic() > deadline:
            if ledger is None:
                raise Failed("cloudctl gaps gives no answer")
            return ledger, rows
        time.sleep(1)


def networks(c):
    cloud = c.inspect("cloud")
    address = next(iter(cloud["NetworkSettings"]["Networks"].values()))["IPAddress"]
    questions = {"fogs_reach_cloud": [(f, address, 5520) for f in FOGS],
                 "devices_reach_cloud": [(d, a, 5520) for d in DEVICES for a in (address, "cloud")],
                 "devices_reach_other_fog": [("pump-a1", "fog-b", 5510), ("pump-b1", "fog-a", 5510)]}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = {k: list(pool.map(lambda q: c.reaches(*q), v)) for k, v in questions.items()}
    return {k: all(v) if k == "fogs_reach_cloud" else any(v) for k, v in found.items()}


def hardening(c):
    all_of = [c.inspect(n) for n in NODES]
    uids = {c.exec(n, "id", "-u").stdout.strip() for n in NODES}
    return {"uids": sorted(int(u) for u in uids),
            "read_only": all(i["HostConfig"]["ReadonlyRootfs"] for i in all_of),
            "no_capabilities": all(i["HostConfig"]["CapDrop"] == ["ALL"] and not i["HostConfig"]["CapAdd"] for i in all_of)}


def stop_in_order(c):
    """Devices, fogs, cloud; exit codes."""
    ids = {n: c.id(n) for n in NODES}
    for group in (list(DEVICES), FOGS, ["cloud"]):
        c("stop", *group)
    return {n: json.loads(run("docker", "inspect", i).stdout)[0]["State"]["ExitCode"] for n, i in ids.items()}


def judge(c, rows, interval_ms):
    c.wait_healthy(60)
    say("all healthy")
    out = {**networks(c), **hardening(c)}
    want = {(site, device): rows for device, site in DEVICES.items()}
    ledger, found = settled(c, want, rows * interval_ms / 1000 + 60)
    say("stopping")
    exits = stop_in_order(c)
    samples, records = ledger["samples"], ledger["records"]
    out.update(rows_in=sum(want.values()), rows_exported=sum(found.values()), sites=len({s for s, _ in found}),
               devices=len(found), produced=samples["produced"], archived=samples["archived"], held=samples["held"],
               explained=samples["explained"], unexplained=samples["unexplained"], records_unexplained=records["unexplained"],
               exit_codes=exits, image_bytes=json.loads(run("docker", "image", "inspect", IMAGE).stdout)[0]["Size"])
    out["ok"] = (found == want and ledger["balanced"] and samples["held"] == 0 and samples["archived"] == samples["produced"] > 0
                 and out["fogs_reach_cloud"] and not out["devices_reach_cloud"] and not out["devices_reach_other_fog"]
                 and 0 not in out["uids"] and out["read_only"] and out["no_capabilities"] and set(exits.values()) == {0})
    return out


def whole(a):
    engine, c, made_base = Engine(), None, False
    try:
        made_base = have_base()
        c = Composed(a.rows, a.interval_ms)
        say("building the image")
        c("build", timeout=1800)
        say("starting 1 cloud, 2 fogs, 4 devices")
        c("up", "-d", "--no-build", timeout=120)
        return judge(c, a.rows, a.interval_ms)
    except Failed:
        if c:
            print(c("logs", "--no-color", "--tail", "15", check=False).stdout, file=sys.stderr)
        raise
    finally:
        if c:
            c("down", "-v", "--rmi", "all", "--timeout", "10", check=False, timeout=120)
        if made_base:
            run("docker", "image", "rm", BASE, check=False)
        engine.close()


def main():
    p = argparse.ArgumentParser(prog="scripts/sim/run", description="The whole of Fogline in containers, checked.")
    p.add_argument("--json", action="store_true", help="one JSON object on stdout")
    p.add_argument("--rows", type=int, default=300, help="rows of each device (300)")
    p.add_argument("--interval-ms", type=int, default=50, help="time between two rows (50)")
    a = p.parse_args()

    def ended(signum, _frame):
        raise KeyboardInterrupt(signum)
    signal.signal(signal.SIGTERM, ended)
    began = time.monotonic()
    try:
        out = whole(a)
    except (Failed, subprocess.TimeoutExpired, OSError) as e:
        out = {"ok": False, "error": str(e)}
    except KeyboardInterrupt:
        out = {"ok": False, "error": "interrupted; everything was removed"}
    out["seconds"] = round(time.monotonic() - began, 1)
    if a.json:
        print(json.dumps(out))
    elif "error" in out:
        print(out["error"])
    else:
        print(f"{'ok' if out['ok'] else 'FAILED'}: {out['rows_exported']} of {out['rows_in']} rows, {out['archived']} samples from "
              f"{out['devices']} devices at {out['sites']} sites, unexplained {out['unexplained']}, image "
              f"{out['image_bytes'] / 1e6:.0f} MB, {out['seconds']} s")
    return 0 if out["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
