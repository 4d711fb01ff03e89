"""A whole Fogline system as real processes on the loopback interface of this machine.

    with Cluster(folder, build) as c:
        c.add_cloud()
        c.add_fog("fog-a", site="plant-a")
        c.add_device("pump-1", site="plant-a", fogs=["fog-a"],
                     sources=[{"type": "plant", "name": "pump", "interval_ms": "10 ms"}])
        c.setup()                        # configurations, keys, enrolment
        c.start()                        # cloud, fogs, devices; each waits for READY=1
        c.link("fog-a", "cloud").cut()   # the TCP relay between two nodes; .restore() brings it back
        c.kill("fog-a"); c.start("fog-a")
        c.wait_drained(60)
        print(c.gaps())

Each pair of linked nodes talks through a relay of this process that counts bytes and can be cut. Nothing outlives this
process: daemons get SIGKILL from the kernel when it dies. Python standard library only; used by the demo and the tests.
"""
import collections
import ctypes
import errno
import json
import os
import random
import selectors
import shutil
import signal
import socket
import subprocess
import threading
import time

HOST = "127.0.0.1"
TIERS = ("cloud", "fog", "device")
STORE_MAP = {"cloud": "1 GiB", "fog": "256 MiB", "device": "32 MiB"}
# A device commits every 90 seconds unless told otherwise: who watches a whole system does not want to wait so long.
DEVICE_PACE = {"commit_ms": "1 s", "pack.ms": "1 s"}
PR_SET_PDEATHSIG = 1
CHUNK = 256 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class ClusterError(Exception):
    """Something the caller may want to show as it is."""


def end_children():
    """Kills what the main thread has started and still runs. For the end: a signal that comes while a process is being
    started leaves a child that no object knows."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as f:
            children = [int(pid) for pid in f.read().split()]
    except OSError:
        return
    for pid in children:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except OSError:  # ended and waited for by now
            pass


# ---- YAML: only writing, only what the configuration files need ----

def _scalar(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (int, float)):
        return repr(v)
    return json.dumps(v, ensure_ascii=False)


def yaml_text(value, indent=0):
    """Block style; strings always quoted. Dotted keys become nested maps."""
    pad = "  " * indent
    out = []
    if isinstance(value, dict):
        for key, v in nested(value).items():
            if isinstance(v, (dict, list)) and v:
                out.append(f"{pad}{key}:\n{yaml_text(v, indent + 1)}")
            elif isinstance(v, (dict, list)):
                out.append(f"{pad}{key}: []\n" if isinstance(v, list) else f"{pad}{key}:\n")
            else:
                out.append(f"{pad}{key}: {_scalar(v)}\n")
    else:
        for v in value:
            if isinstance(v, dict):
                body = yaml_text(v, indent + 1)
                out.append(f"{pad}- {body.lstrip()}")
            else:
                out.append(f"{pad}- {_scalar(v)}\n")
    return "".join(out)


def nested(flat):
    """{"a.b": 1} -> {"a": {"b": 1}}"""
    out = {}
    for key, v in flat.items():
        at = out
        *path, last = key.split(".")
        for part in path:
            at = at.setdefault(part, {})
        at[last] = v
    return out


# ---- ports ----

class PortPair:
    """Two neighbouring free TCP ports, ours against other clusters as long as this object lives.

    The claim is an abstract socket, so two clusters that look at the same moment do not choose the same pair; somebody
    else's program may still come in between, which shows as a failed bind and is answered with another pair."""

    def __init__(self, rng):
        for _ in range(2000):
            port = rng.randrange(15000, 32000, 2)
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0fogline-ports-{port}")
                for p in (port, port + 1):
                    with socket.socket() as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        probe.bind((HOST, p))
            except OSError:
                claim.close()
                continue
            self.port, self._claim = port, claim
            return
        raise ClusterError("no two neighbouring free TCP ports between 15000 and 32000 on 127.0.0.1")

    def close(self):
        self._claim.close()


# ---- relays ----

class _Pipe:
    """One direction of one TCP connection."""

    __slots__ = ("source", "sink", "held", "n_held", "counter", "ended", "shut")

    def __init__(self, source, sink, counter):
        self.source, self.sink, self.counter = source, sink, counter
        self.held, self.n_held, self.ended, self.shut = collections.deque(), 0, False, False


class _Connection:
    def __init__(self, relay, lower, upper):
        self.relay, self.lower, self.upper = relay, lower, upper
        self.up = _Pipe(lower, upper, "up")
        self.down = _Pipe(upper, lower, "down")


class Relay:
    """Forwards two neighbouring ports to two others. `up` and `down` count payload bytes of TCP in each direction, never
    reset. Functions may be called from any thread."""

    def __init__(self, hub, name, pair, target_port):
        self.hub, self.name, self.pair, self.target_port = hub, name, pair, target_port
        self.up = self.down = self.connections_total = 0
        self.is_cut = self.is_frozen = False
        self._listeners, self._live = [], set()

    @property
    def port(self):
        return self.pair.port

    @property
    def bytes(self):
        return self.up + self.down

    def cut(self):
        """Connections end with a reset, new ones are refused."""
        self.hub.call(lambda: self.hub._cut(self))

    def restore(self):
        self.hub.call(lambda: self.hub._restore(self))

    def freeze(self):
        """Connections stay, nothing moves: a network that swallows packets. thaw() lets go of what waits."""
        self.hub.call(lambda: self.hub._freeze(self, True))

    def thaw(self):
        self.hub.call(lambda: self.hub._freeze(self, False))


class RelayHub:
    """All relays of a cluster, on one thread."""

    def __init__(self):
        self._selector = selectors.DefaultSelector()
        self._wake_r, self._wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_r, selectors.EVENT_READ, self._on_wake)
        self._calls, self._lock, self._running = collections.deque(), threading.Lock(), True
        self._thread = threading.Thread(target=self._run, name="relays", daemon=True)
        self._thread.start()

    def add(self, name, pair, target_port):
        relay = Relay(self, name, pair, target_port)
        self.call(lambda: self._restore(relay))
        return relay

    def call(self, fn):
        """Runs fn on the hub's thread and waits for it."""
        if threading.current_thread() is self._thread or not self._running:
            return fn()
        done, box = threading.Event(), []
        with self._lock:
            self._calls.append((fn, done, box))
        os.write(self._wake_w, b"x")
        if not done.wait(10):
            raise ClusterError("the relay thread does not answer")
        if box:
            raise box[0]
        return None

    def close(self):
        if self._running:
            self.call(self._stop)
            self._thread.join(10)

    # everything below runs on the thread

    def _stop(self):
        self._running = False

    def _run(self):
        while self._running:
            for key, mask in self._selector.select(1.0):
                key.data(key.fileobj, mask)
        for key in list(self._selector.get_map().values()):
            if not isinstance(key.fileobj, int):
                key.fileobj.close()
        self._selector.close()

    def _on_wake(self, _fd, _mask):
        try:
            os.read(self._wake_r, 4096)
        except BlockingIOError:
            pass
        while self._calls:
            with self._lock:
                fn, done, box = self._calls.popleft()
            try:
                fn()
            except Exception as e:  # handed to the caller
                box.append(e)
            done.set()

    def _restore(self, relay):
        if relay._listeners:
            return
        relay.is_cut = False
        for i in (0, 1):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((HOST, relay.port + i))
            s.listen(128)
            s.setblocking(False)
            relay._listeners.append(s)
            self._selector.register(s, selectors.EVENT_READ, lambda ls, _m, n=i: self._accept(relay, ls, n))

    def _cut(self, relay):
        relay.is_cut = True
        for s in relay._listeners:
            self._selector.unregister(s)
            s.close()
        relay._listeners.clear()
        for c in list(relay._live):
            self._drop(c)

    def _freeze(self, relay, frozen):
        relay.is_frozen = frozen
        for c in relay._live:
            self._watch(c)

    def _accept(self, relay, listener, which):
        try:
            lower, _ = listener.accept()
        except OSError:
            return
        upper = socket.socket()
        for s in (lower, upper):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c = _Connection(relay, lower, upper)
        relay._live.add(c)
        relay.connections_total += 1
        upper.connect_ex((HOST, relay.target_port + which))
        self._watch(c)

    def _drop(self, c):
        c.relay._live.discard(c)
        for s in (c.lower, c.upper):
            try:
                self._selector.unregister(s)
            except (KeyError, ValueError):
                pass
            try:  # a reset, as a cable that is pulled makes it in the end
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            except OSError:
                pass
            s.close()

    def _watch(self, c):
        """Reads where there is room, writes where something waits."""
        for s, inward, outward in ((c.lower, c.up, c.down), (c.upper, c.down, c.up)):
            mask = 0
            if not c.relay.is_frozen:
                if not inward.ended and inward.n_held < CHUNK:
                    mask |= selectors.EVENT_READ
                if outward.n_held:
                    mask |= selectors.EVENT_WRITE
            known = self._selector.get_map().get(s)
            if mask == 0:
                if known:
                    self._selector.unregister(s)
            elif known is None:
                self._selector.register(s, mask, lambda _s, m, c=c, w=s: self._move(c, w, m))
            elif known.events != mask:
                self._selector.modify(s, mask, known.data)

    def _move(self, c, s, mask):
        inward, outward = (c.up, c.down) if s is c.lower else (c.down, c.up)
        try:
            if mask & selectors.EVENT_READ and not inward.ended:
                self._read(c, inward)
            if mask & selectors.EVENT_WRITE:
                self._write(c.relay, outward)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(c)
            return
        if inward.ended and outward.ended:
            self._drop(c)
        else:
            self._watch(c)

    def _read(self, c, pipe):
        data = pipe.source.recv(CHUNK)
        if not data:
            pipe.ended = True
            if not pipe.n_held:
                self._half_close(pipe)
            return
        pipe.held.append(memoryview(data))
        pipe.n_held += len(data)
        try:
            self._write(c.relay, pipe)
        except BlockingIOError:
            pass
        except OSError as e:
            if e.errno not in (errno.ENOTCONN, errno.EALREADY, errno.EINPROGRESS):
                raise

    def _write(self, relay, pipe):
        while pipe.held:
            n = pipe.sink.send(pipe.held[0])
            setattr(relay, pipe.counter, getattr(relay, pipe.counter) + n)
            pipe.n_held -= n
            if n < len(pipe.held[0]):
                pipe.held[0] = pipe.held[0][n:]
                return
            pipe.held.popleft()
        if pipe.ended:
            self._half_close(pipe)

    def _half_close(self, pipe):
        if not pipe.shut:
            pipe.shut = True
            try:
                pipe.sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass


# ---- nodes ----

class Node:
    def __init__(self, cluster, name, tier, site, ups, config, sources):
        self.cluster, self.name, self.tier, self.site, self.ups = cluster, name, tier, site, list(ups)
        self.config, self.sources = dict(config or {}), sources
        self.cli = os.path.join(cluster.build, tier, tier + "ctl")
        self.daemon = os.path.join(cluster.build, tier, "fogline-" + tier)
        self.yaml = os.path.join(cluster.dir, "etc", name + ".yaml")
        self.state_dir = os.path.join(cluster.dir, "state", name)
        self.run_dir = os.path.join(cluster.dir, "run", name)
        self.log = os.path.join(cluster.dir, "log", name + ".log")
        self.pair = PortPair(cluster.rng) if tier != "device" else None
        self.process = self.notify = self.key = self.link_key = None
        self.starts = 0

    @property
    def pid(self):
        return self.process.pid if self.process else None

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log_tail(self, lines=12):
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""


class Cluster:
    """dir: everything of the system lives below it (made when missing). build: folder of meson. by_relay: which links go
    through a relay: any of "device", "fog" (the tier at the lower end). rng_seed: choice of ports."""

    def __init__(self, dir, build, by_relay=("device", "fog"), rng_seed=None, remove=False):
        self.dir, self.build = os.path.abspath(dir), os.path.abspath(build)
        self.by_relay, self.remove = tuple(by_relay), remove
        self.rng = random.Random(rng_seed)
        self.nodes, self.links = {}, {}
        self.hub = RelayHub()
        self.is_set_up = False
        for sub in ("", "etc", "state", "run", "log"):
            os.makedirs(os.path.join(self.dir, sub), mode=0o700, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Stops everything; removes the folder when asked to. May be called twice."""
        try:
            self.stop(timeout=10)
        finally:
            self.hub.close()
            for node in self.nodes.values():
                if node.pair:
                    node.pair.close()
                if node.notify:
                    node.notify.close()
                    node.notify = None
            for relay in self.links.values():
                relay.pair.close()
            if self.remove:
                shutil.rmtree(self.dir, ignore_errors=True)

    # -- what there is --

    def _add(self, name, tier, site, ups, config, sources=None):
        if name in self.nodes:
            raise ClusterError(f"two nodes are called {name}")
        node = Node(self, name, tier, site, ups, config, sources)
        self.nodes[name] = node
        if self.is_set_up:
            self._set_up(node)
        return node

    def add_cloud(self, name="cloud", config=None):
        return self._add(name, "cloud", None, (), config)

    def add_fog(self, name, site, clouds=("cloud",), config=None):
        return self._add(name, "fog", site, clouds, config)

    def add_device(self, name, site, fogs, sources=(), config=None):
        return self._add(name, "device", site, fogs, config, list(sources))

    def of_tier(self, tier):
        return [n for n in self.nodes.values() if n.tier == tier]

    @property
    def cloud(self):
        return self.of_tier("cloud")[0]

    def link(self, lower, upper):
        """The relay between two nodes."""
        return self.links[lower, upper]

    def wire_bytes(self, tier):
        """Bytes over all relays whose lower end is of this tier, both directions."""
        return sum(r.bytes for (lower, _), r in self.links.items() if self.nodes[lower].tier == tier)

    # -- setting up --

    def setup(self):
        """Files, keys and enrolment of all nodes, cloud first. A device with no fog above needs no cloud."""
        for tier in TIERS:
            for node in self.of_tier(tier):
                self._set_up(node)
        self.is_set_up = True

    def _set_up(self, node):
        for up in node.ups:
            self._make_link(node, self.nodes[up])
        args = ["--node", node.name, "--state-dir", node.state_dir, "--run-dir", node.run_dir]
        if node.site:
            args += ["--site", node.site]
        if node.pair:
            args += ["--listen", HOST, "--port", str(node.pair.port)]
        for up in node.ups:
            args += ["--up", f"{HOST}:{self._up_port(node, self.nodes[up])}", "--up-key", self.nodes[up].link_key]
        node.key = self.ctl_json(node.name, "init", *args)["key"]
        self.write_config(node.name)
        if node.tier != "device":
            node.link_key = self.ctl_json(node.name, "key", "show", "--link")["link_key"]
        if node.ups:
            self.accept(node.name)

    def accept(self, name):
        node = self.nodes[name]
        return self.ctl(self.cloud.name, "enroll", "accept", node.name, node.key, "--site", node.site, "--role", node.tier)

    def _make_link(self, lower, upper):
        if lower.tier in self.by_relay and (lower.name, upper.name) not in self.links:
            while True:
                pair = PortPair(self.rng)
                try:
                    relay = self.hub.add(f"{lower.name}-{upper.name}", pair, upper.pair.port)
                    break
                except OSError:  # taken between the look and the bind
                    pair.close()
            self.links[lower.name, upper.name] = relay

    def _up_port(self, lower, upper):
        relay = self.links.get((lower.name, upper.name)) if lower.tier in self.by_relay else None
        return relay.port if relay else upper.pair.port

    def bypass_relays(self):
        """Writes the configurations so that the nodes find each other without this process, from their next start on."""
        self.by_relay = ()
        for node in self.nodes.values():
            self.write_config(node.name)

    def write_config(self, name):
        """Writes the file anew from node.config and node.sources; a running daemon does not see it by itself. None for a value:
        the default of the program."""
        node = self.nodes[name]
        c = {"node": node.name}
        if node.site:
            c["site"] = node.site
        c["state_dir"], c["run_dir"] = node.state_dir, node.run_dir
        c["store.map_bytes"] = STORE_MAP[node.tier]
        if node.ups:
            ups = [self.nodes[u] for u in node.ups]
            c["up.endpoints"] = [f"tcp://{HOST}:{self._up_port(node, u)}" for u in ups]
            c["up.keys"] = [u.link_key for u in ups]
        if node.pair:
            c["listen.host"], c["listen.port"] = HOST, node.pair.port
        if node.tier == "device":
            c.update(DEVICE_PACE)
        c.update(node.config)
        c = {k: v for k, v in c.items() if v is not None}
        if node.sources is not None:
            c["sources"] = node.sources
        with open(node.yaml + ".new", "w") as f:
            f.write(yaml_text(c))
        os.rename(node.yaml + ".new", node.yaml)

    # -- the tools --

    def ctl(self, name, *args, check=True, timeout=60, **kw):
        """Runs the node's tool with its configuration. A failure raises ClusterError unless check is false."""
        node = self.nodes[name]
        p = subprocess.run([node.cli, "-c", node.yaml, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=timeout, **kw)
        if check and p.returncode != 0:
            raise ClusterError(f"{os.path.basename(node.cli)} {' '.join(args)}: exit {p.returncode}: "
                               f"{(p.stderr or p.stdout).strip()[-800:]}")
        return p

    def ctl_json(self, name, *args, **kw):
        p = self.ctl(name, "--json", *args, **kw)
        try:
            return json.loads(p.stdout)
        except ValueError:
            raise ClusterError(f"{name}: {' '.join(args)} --json printed no JSON: {p.stdout[:200]!r} {p.stderr[-400:]}")

    def status(self, name):
        """The last report of a daemon, None when there is none: {"time_unix_ns", "facts", "counters", ...}."""
        try:
            with open(os.path.join(self.nodes[name].run_dir, "status.json")) as f:
                return json.load(f)
        except (OSError, ValueError):
            return None

    def counter(self, name, key, default=0):
        s = self.status(name)
        return s["counters"].get(key, default) if s else default

    def gaps(self):
        """The ledger. Exit 8 is an answer, not a failure."""
        p = self.ctl(self.cloud.name, "gaps", "--json", check=False, timeout=120)
        if p.returncode not in (0, 8):
            raise ClusterError(f"cloudctl gaps: exit {p.returncode}: {p.stderr.strip()}")
        return json.loads(p.stdout)

    def export(self, path, form="csv", args=(), timeout=600):
        """`cloudctl export` into a file."""
        node = self.cloud
        with open(path, "w") as f:
            p = subprocess.run([node.cli, "-c", node.yaml, "export", "--format", form, *args], stdin=subprocess.DEVNULL,
                               stdout=f, stderr=subprocess.PIPE, text=True, timeout=timeout)
        if p.returncode != 0:
            raise ClusterError(f"cloudctl export: exit {p.returncode}: {p.stderr.strip()}")
        return path

    # -- processes --

    def start(self, *names, wait=True, timeout=30):
        """Starts the named nodes, or all that do not run: cloud, fogs, devices; each tier is ready before the next."""
        chosen = [self.nodes[n] for n in names] if names else [n for n in self.nodes.values() if not n.running]
        for tier in TIERS:
            group = [n for n in chosen if n.tier == tier]
            for node in group:
                self._spawn(node)
            for node in group if wait else ():
                self.wait_ready(node.name, timeout)

    def _spawn(self, node):
        if node.running:
            raise ClusterError(f"{node.name} runs already, pid {node.pid}")
        if node.notify:
            node.notify.close()
        node.starts += 1
        address = f"fogline-{os.getpid()}-{self.rng.getrandbits(40):x}-{node.name}-{node.starts}"[:100]
        node.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        node.notify.bind("\0" + address)
        env = {**os.environ, "NOTIFY_SOCKET": "@" + address}
        env.pop("WATCHDOG_USEC", None)
        with open(node.log, "ab") as log:
            node.process = subprocess.Popen([node.daemon, "-c", node.yaml], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, preexec_fn=self.die_with_parent(), start_new_session=True)

    @staticmethod
    def die_with_parent():
        """For preexec_fn: the kernel kills the new process when this one ends, however it ends. The thread that starts it must
        live as long: use the main thread."""
        parent = os.getpid()

        def arrange():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
        return arrange

    def wait_ready(self, name, timeout=30):
        """Until READY=1. A daemon that found its port taken gets another one, three times."""
        node, deadline, tries = self.nodes[name], time.monotonic() + timeout, 0
        while True:
            if self._said_ready(node, deadline):
                return
            if node.running:
                raise ClusterError(f"{name} was not ready after {timeout} s; its log {node.log} ends with:\n{node.log_tail()}")
            tail = node.log_tail()
            tries += 1
            if node.tier == "device" or tries > 3 or " in use" not in tail:
                raise ClusterError(f"{name} ended at its start with {node.process.returncode}; its log {node.log} ends "
                                   f"with:\n{tail}")
            self._move_port(node)
            self._spawn(node)

    @staticmethod
    def _said_ready(node, deadline):
        while time.monotonic() < deadline:
            node.notify.settimeout(0.1)
            try:
                if b"READY=1" in node.notify.recv(4096).split(b"\n"):
                    return True
            except socket.timeout:
                if not node.running:
                    return False
        return False

    def _move_port(self, node):
        node.pair.close()
        node.pair = PortPair(self.rng)
        self.write_config(node.name)
        for lower in self.nodes.values():
            relay = self.links.get((lower.name, node.name))
            if relay:
                relay.target_port = node.pair.port
            elif node.name in lower.ups:
                self.write_config(lower.name)

    def signal(self, name, sig):
        node = self.nodes[name]
        if not node.running:
            raise ClusterError(f"{name} does not run")
        node.process.send_signal(sig)

    def kill(self, name):
        """kill -9, and waits for the end. Returns the pid that was."""
        pid = self.nodes[name].pid
        self.signal(name, signal.SIGKILL)
        self.nodes[name].process.wait()
        return pid

    def stop(self, *names, timeout=20):
        """SIGTERM: devices, fogs, cloud, or the named ones. Whoever does not end is killed. Returns {name: exit code}."""
        chosen = [self.nodes[n] for n in names] if names else list(self.nodes.values())
        codes = {}
        for tier in reversed(TIERS):
            group = [n for n in chosen if n.tier == tier and n.process]
            for node in group:
                if node.running:
                    node.process.send_signal(signal.SIGTERM)
                    node.process.send_signal(signal.SIGCONT)
            deadline = time.monotonic() + timeout
            for node in group:
                try:
                    node.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    node.process.kill()
                    node.process.wait()
                codes[node.name] = node.process.returncode
        return codes

    def kill_all(self):
        """kill -9 of everything, at once."""
        for node in self.nodes.values():
            if node.running:
                node.process.kill()
        for node in self.nodes.values():
            if node.process:
                node.process.wait()

    def restart(self, name, timeout=30):
        self.stop(name)
        self.start(name, timeout=timeout)

    # -- waiting --

    @staticmethod
    def wait_for(what, condition, timeout, every=0.1):
        """Until condition() is true; its value. TimeoutError names `what`."""
        deadline = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{what}: not within {timeout} s")
            time.sleep(every)

    def held_samples(self, name):
        """Samples that a device's or fog's store holds; a device holds what it made until the cloud has settled it."""
        return self._held(name, "held_samples")

    def _held(self, name, key):
        if self.nodes[name].starts == 0:
            return 0  # its first start makes the store
        stat = self.ctl_json(name, "store", "stat")
        return sum(lane[key] for stream in stat["streams"] for lane in stream["lanes"])

    def is_drained(self):
        """Nothing is held below the cloud, by the stores themselves and by the ledger, and nothing is unexplained.

        The ledger alone does not do: it knows what was reported, and a fog that cannot reach the cloud reports nothing."""
        below = self.of_tier("device") + self.of_tier("fog")
        for node in below:  # a second old but cheap: with many nodes most calls end here
            s = self.status(node.name)
            if s and s["facts"].get("store", s["facts"]).get("held_records", 0) > 0:
                return False
        if any(self._held(n.name, "held_records") for n in below):
            return False
        records = self.gaps()["records"]
        return records["held"] == 0 and records["unexplained"] == 0

    def wait_drained(self, timeout):
        """Until is_drained(). Returns the ledger."""
        self.wait_for("everything has arrived in the cloud", self.is_drained, timeout, every=0.3)
        return self.gaps()
