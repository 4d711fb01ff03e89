"""An arm64 machine with a real GPIO chip: Debian's kernel in QEMU, a PL061 of 8 lines, the device tier cross-built for it.

The root is a cpio archive in memory; /disk is an ext4 file of the host, which outlives the machine: `kill` ends QEMU as a power cut
ends a computer, with all that the guest's kernel had not written. Commands go over the serial line; the monitor's `system_powerdown`
is a pulse of 100 ms on line 3.
"""
import base64
import glob
import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULES = ["virtio_mmio", "virtio_blk", "crc32c_generic", "ext4"]
BOOT_S = 90
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /disk /root
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug
ip link set lo up
for m in {modules}; do insmod /modules/$m.ko || echo "module $m is not loaded"; done
mount -t ext4 /dev/vda /disk || echo "the disk is not mounted"
stty raw -echo
printf '\\n@@0@@\\n'
while read -r line; do
    ( eval "$line" ) 2>&1 </dev/null
    printf '\\n@@%s@@\\n' $?
done
"""


class GuestError(Exception):
    pass


def build_dir():
    """Where things are built: FOGLINE_BUILD, else `build` of the checkout."""
    return os.path.abspath(os.environ.get("FOGLINE_BUILD") or os.path.join(ROOT, "build"))


def cross(*args):
    """What scripts/cross/arm64 prints last: a folder."""
    p = subprocess.run([os.path.join(ROOT, "scripts", "cross", "arm64"), *args], stdout=subprocess.PIPE, text=True)
    if p.returncode:
        raise GuestError(f"scripts/cross/arm64 {' '.join(args)}: exit {p.returncode}")
    return p.stdout.strip().splitlines()[-1]


# ---- the root ----

def _modules(folder):
    """Files of MODULES and of what they need, in the order in which the kernel takes them."""
    files = {os.path.basename(f)[:-3].replace("-", "_"): f for f in glob.glob(f"{folder}/lib/modules/*/kernel/**/*.ko", recursive=True)}
    order = []

    def add(name):
        if name in order or name not in files:  # a module that is not there is built in
            return
        with open(files[name], "rb") as f:
            needs = re.search(rb"\0depends=([^\0]*)\0", f.read()).group(1).decode()
        for other in filter(None, needs.split(",")):
            add(other.replace("-", "_"))
        order.append(name)
    for m in MODULES:
        add(m)
    return [(name, files[name]) for name in order]


def _libraries(programs, sysroot):
    """The shared libraries that programs need: name -> file."""
    found, todo = {}, list(programs)
    while todo:
        text = subprocess.run(["aarch64-linux-gnu-readelf", "-d", todo.pop()], stdout=subprocess.PIPE, text=True, check=True).stdout
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", text):
            if name not in found:
                paths = [p for p in (f"{sysroot}/usr/lib/aarch64-linux-gnu/{name}", f"{sysroot}/usr/lib/{name}") if os.path.exists(p)]
                if not paths:
                    raise GuestError(f"{name} is not in {sysroot}")
                found[name] = paths[0]
                todo.append(paths[0])
    return found


class _Cpio:
    """The format `newc` that the kernel unpacks."""

    def __init__(self):
        self.parts, self.n, self.folders = [], 0, set()

    def _add(self, name, mode, data=b""):
        self.n += 1
        head = "070701" + "".join(f"{x:08x}" for x in (self.n, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0))
        entry = head.encode() + name.encode() + b"\0"
        self.parts.append(entry + b"\0" * (-len(entry) % 4) + data + b"\0" * (-len(data) % 4))

    def add(self, name, data, mode=0o755):
        parts = name.split("/")[:-1]
        for i in range(len(parts)):
            folder = "/".join(parts[:i + 1])
            if folder not in self.folders:
                self.folders.add(folder)
                self._add(folder, 0o040755)
        self._add(name, 0o100000 | mode, data)

    def bytes(self):
        self._add("TRAILER!!!", 0)
        return b"".join(self.parts)


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def make_root(path, suite):
    """Writes the archive with the device tier built on `suite`; the path of the kernel to go with it."""
    folder, sysroot, built = cross("guest"), cross("--suite", suite, "sysroot"), cross("--suite", suite, "build")
    programs = [os.path.join(built, n) for n in ("fogline-device", "devicectl")]
    modules = _modules(folder)
    root = _Cpio()
    root.add("init", INIT.format(modules=" ".join(n for n, _ in modules)).encode())
    root.add("bin/busybox", _read(f"{folder}/bin/busybox"))
    for name, file in modules:
        root.add(f"modules/{name}.ko", _read(file), 0o644)
    for file in programs:  # without what only a debugger reads: the machine boots the faster
        subprocess.run(["aarch64-linux-gnu-strip", "-o", path, file], check=True)
        root.add("bin/" + os.path.basename(file), _read(path))
    libraries = _libraries(programs, sysroot)
    for name, file in libraries.items():
        root.add("usr/lib/aarch64-linux-gnu/" + name, _read(file))
    root.add("lib/ld-linux-aarch64.so.1", _read(f"{sysroot}/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"))
    with open(path, "wb") as f:
        f.write(root.bytes())
    return glob.glob(f"{folder}/boot/vmlinuz-*")[0]


# ---- the machine ----

class Guest:
    """One machine at a time with the disk and the root in `dir`."""

    def __init__(self, dir, suite):
        self.dir, self.suite, self.process, self.serial, self.monitor, self.buffer = dir, suite, None, None, None, b""
        self.root, self.disk = os.path.join(dir, "root"), os.path.join(dir, "disk")
        self.kernel = make_root(self.root, suite)
        with open(self.disk, "wb") as f:
            f.truncate(96 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.disk], check=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self):
        for name in ("serial", "monitor"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        with open(self.path("qemu.log"), "ab") as log:
            self.process = subprocess.Popen(
                ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "384", "-display", "none", "-no-reboot", "-net", "none",
                 "-serial", f"unix:{self.path('serial')},server=on,wait=on", "-qmp", f"unix:{self.path('monitor')},server=on,wait=off",
                 "-kernel", self.kernel, "-initrd", self.root, "-append", "console=ttyAMA0 quiet loglevel=1 panic=-1",
                 "-drive", f"file={self.disk},format=raw,if=none,id=disk", "-device", "virtio-blk-device,drive=disk"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.buffer = b""
        self.serial = self._connect("serial")
        said = self._answer(BOOT_S)[1]
        if "is not" in said:
            raise GuestError(f"the guest did not start as it should: {said}")
        self.monitor = self._connect("monitor")
        self._qmp("qmp_capabilities")

    def _connect(self, name):
        deadline = time.monotonic() + 20
        while True:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.connect(self.path(name))
                return s
            except OSError as e:
                s.close()
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise GuestError(f"QEMU does not listen on {name}: {e}\n{_read(self.path('qemu.log')).decode()}") from e
                time.sleep(0.02)

    def _more(self, deadline):
        if not select.select([self.serial], [], [], max(0, deadline - time.monotonic()))[0]:
            raise GuestError(f"the guest says nothing more after: {self.buffer[-2000:].decode(errors='replace')}")
        got = self.serial.recv(65536)
        if not got:
            raise GuestError(f"the guest has ended after: {self.buffer[-2000:].decode(errors='replace')}")
        self.buffer += got

    def _until(self, pattern, timeout):
        """What the serial line said before the pattern, and the match."""
        deadline = time.monotonic() + timeout
        while True:
            m = re.search(pattern, self.buffer)
            if m:
                before, self.buffer = self.buffer[:m.start()], self.buffer[m.end():]
                return before.decode(errors="replace"), m
            self._more(deadline)

    def _answer(self, timeout):
        text, m = self._until(rb"\n@@(\d+)@@\r?\n", timeout)
        return int(m.group(1)), text.replace("\r", "").strip()

    def send(self, line):
        self.serial.sendall(line.encode() + b"\n")

    def saw(self, pattern, timeout=30):
        """Waits until a command that goes on says this."""
        return self._until(pattern.encode(), timeout)[1]

    def try_run(self, line, timeout=60):
        """Exit code and output of one line of shell."""
        self.send(line)
        return self._answer(timeout)

    def run(self, line, timeout=60):
        code, text = self.try_run(line, timeout)
        if code:
            raise GuestError(f"{line}: exit {code}\n{text}")
        return text

    def put(self, path, text):
        self.run(f"echo {base64.b64encode(text.encode()).decode()} | base64 -d >{shlex.quote(path)}")

    def _qmp(self, command):
        self.monitor.settimeout(20)
        self.monitor.sendall(json.dumps({"execute": command}).encode() + b"\n")
        text = b""
        while b'"return"' not in text:
            got = self.monitor.recv(65536)
            if not got or b'"error"' in text:
                raise GuestError(f"monitor, {command}: {text.decode()}")
            text += got

    def press(self):
        """Line 3 goes up, and 100 ms later down."""
        self._qmp("system_powerdown")

    def lines(self):
        """The lines in use as the chip has them: number -> (direction, level)."""
        text = self.run("cat /sys/kernel/debug/gpio")
        base = int(re.search(r"GPIOs (\d+)-", text).group(1))
        return {int(n) - base: (way, level) for n, way, level in re.findall(r"gpio-(\d+) .*\) (in|out)\s+(hi|lo)", text)}

    def kill(self):
        """Ends it at once."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for s in (self.serial, self.monitor):
            if s is not None:
                s.close()
        self.process = self.serial = self.monitor = None

    # -- the device --

    def until(self, what, condition, timeout=30):
        """condition() until it is true; its value."""
        deadline = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise GuestError(f"not within {timeout} s: {what}\n{self.run('tail -n 20 /run/log; true')}")
            time.sleep(0.05)

    def configure(self, sources, **keys):
        config = {"node": "arm-1", "site": "s", "state_dir": "/disk/state", "run_dir": "/run/device", "commit_ms": "20 ms",
                  "pack": {"ms": "50 ms"}, "store": {"map_bytes": "12 MiB"}, "sources": sources, **keys}
        self.put("/disk/device.yaml", json.dumps(config))

    def begin(self):
        """The daemon, at work."""
        self.run("mkdir -p /run/device; rm -f /run/device/status.json; "
                 "fogline-device -c /disk/device.yaml >>/run/log 2>&1 & echo $! >/run/pid")
        self.until("the daemon reports", lambda: self.try_run("kill -0 $(cat /run/pid) && test -s /run/device/status.json")[0] == 0)

    def end(self):
        self.run("p=$(cat /run/pid); kill $p; while kill -0 $p 2>/dev/null; do usleep 50000; done", 60)

    def ctl(self, line, timeout=60):
        return self.run(f"devicectl -c /disk/device.yaml {line}", timeout)

    def status(self):
        """What the daemon wrote last, once a second."""
        return json.loads(self.run("cat /run/device/status.json"))
