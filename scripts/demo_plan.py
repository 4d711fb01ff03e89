"""Which sites and devices the demo makes: its own, or one device for each CSV file of a folder."""
import concurrent.futures
import json
import os
import re
import string
import subprocess

NAME_MAX = 64
PLANT_CHANNELS = 8
PLANT_INTERVAL_MS = 10
HOST_INTERVAL_MS = 200


class PlanError(Exception):
    pass


class Device:
    """kind: csv, plant, host. rows and samples: what its input holds, None when only the device will know."""

    def __init__(self, name, site, kind, source, path=None, rows=None, samples=None):
        self.name, self.site, self.kind, self.source, self.path = name, site, kind, source, path
        self.rows, self.samples = rows, samples
        self.ints, self.time = (), ()


class Plan:
    def __init__(self):
        self.sites = {}  # name: [Device]
        self.remarks = []  # lines to print
        self.rows_unreadable = 0

    def add(self, device):
        self.sites.setdefault(device.site, []).append(device)

    def fog_names(self):
        """{site: name of its fog}, none of them a device's."""
        taken = {"cloud"} | {d.name for d in self.devices}
        return {s: unique(f"fog-{s}"[:NAME_MAX], taken) for s in self.sites}

    @property
    def devices(self):
        return [d for devices in self.sites.values() for d in devices]


def site_letters(n):
    """a, b ... z, aa, ab ..."""
    text = ""
    n += 1
    while n:
        n, rest = divmod(n - 1, 26)
        text = string.ascii_lowercase[rest] + text
    return text


def built_in(seconds, n_sites, n_devices):
    """This machine's sensors as one site, pump loops as the others."""
    plan = Plan()
    plan.add(Device("this-machine", "host", "host",
                    {"type": "host", "name": "machine", "interval_ms": f"{HOST_INTERVAL_MS} ms"}))
    rows = max(1, int(seconds * 1000 / PLANT_INTERVAL_MS))
    for s in range(n_sites - 1):
        letter = site_letters(s)
        for d in range(n_devices):
            source = {"type": "plant", "name": "pump", "interval_ms": f"{PLANT_INTERVAL_MS} ms", "rows": rows,
                      "seed": 1 + s * 1000 + d}
            plan.add(Device(f"{letter}-pump-{d + 1}", f"plant-{letter}", "plant", source, rows=rows,
                            samples=rows * PLANT_CHANNELS))
    return plan


# ---- a folder of CSV files ----

def mend(text):
    """A name part: other characters become _, 64 of them at most."""
    part = re.sub(rb"[^A-Za-z0-9._-]", b"_", text.encode("utf-8", "surrogateescape")).decode()[:NAME_MAX] or "_"
    return "_" * len(part) if part in (".", "..") else part


def unique(name, taken):
    k, out = 2, name
    while out in taken:
        tail = f"-{k}"
        out, k = name[:NAME_MAX - len(tail)] + tail, k + 1
    taken.add(out)
    return out


def find_files(folder):
    """[(path of the folder below the root, file name without ending, path)] in order of names."""
    found = []
    for at, folders, files in os.walk(folder):
        folders.sort(key=natural)
        folders[:] = [f for f in folders if not f.startswith(".")]
        for f in sorted(files, key=natural):
            m = re.fullmatch(r"(.+)\.csv(?:\.gz)?", f, re.I)
            if m and not f.startswith("."):
                found.append((os.path.relpath(at, folder), m[1], os.path.join(at, f)))
    return found


def natural(text):
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"([0-9]+)", text) if p]


class Folder:
    def __init__(self, folder, devicectl, time, tz, ints):
        self.folder, self.devicectl = os.path.abspath(folder), devicectl
        self.time, self.tz, self.ints = time, tz, ints
        self.plan = Plan()

    def _inspect(self, path):
        """(what the reader makes of the file, the options that went with it) or (reason, None)."""
        def ask(time, ints):
            args = [self.devicectl, "--json", "csv", "inspect", "--tz", self.tz]
            args += [x for t in time for x in ("--time", t)] + [x for i in ints for x in ("--int", i)]
            p = subprocess.run([*args, "--", path], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if p.returncode == 0:
                return json.loads(p.stdout), None
            try:
                return None, json.loads(p.stderr)["error"]
            except (ValueError, KeyError, TypeError):
                return None, p.stderr.strip()

        time = self.time
        shape, why = ask(time, ())
        if shape is None and time and "there is no column" in why:
            time = ()
            shape, why = ask((), ())
        if shape is None:
            return why, None
        have = {c["header"] for c in shape["channels"]} | {c["name"] for c in shape["channels"]}
        ints = [i for i in self.ints if i in have]
        if ints:
            shape, why = ask(time, ints)
            if shape is None:
                return why, None
        return shape, {"time": time, "ints": ints}

    def make(self, n_sites, n_devices, speed):
        files = find_files(self.folder)
        if not files:
            raise PlanError(f"{self.folder}: no .csv or .csv.gz file in there")
        chosen = self._name(files)
        if n_sites:
            kept = list(dict.fromkeys(site for site, _, _ in chosen))[:n_sites]
            chosen = [c for c in chosen if c[0] in kept]
        if n_devices:
            n = {}
            chosen = [c for c in chosen if n.setdefault(c[0], []).append(c) or len(n[c[0]]) <= n_devices]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            shapes = list(pool.map(self._inspect, [path for _, _, path in chosen]))
        for (site, name, path), (shape, options) in zip(chosen, shapes):
            self._add(site, name, path, shape, options, speed)
        if not self.plan.sites:
            raise PlanError(f"{self.folder}: no file in there can be replayed\n  " + "\n  ".join(self.plan.remarks))
        self._check_columns_given()
        self.plan.remarks.append(f"times without a zone of their own are taken for {self.tz}")
        return self.plan

    def _check_columns_given(self):
        """A file may lack what --time or --int name; all of them: it is misspelt."""
        devices = self.plan.devices
        without = [d for d in devices if not d.time]
        if self.time and len(without) == len(devices):
            raise PlanError(f"--time {','.join(self.time)}: no file in {self.folder} has these columns")
        if self.time and without:
            self.plan.remarks.append(f"no columns {','.join(self.time)} in {len(without)} files, {without[0].name} for one: "
                                     "their time was found by shape and name")
        for column in self.ints:
            if not any(column in d.ints for d in devices):
                raise PlanError(f"--int {column}: no file in {self.folder} has this column")

    def _name(self, files):
        """[(site, device, path)]; a device's name must be the only one of the whole system."""
        root, sites, site_of = mend(os.path.basename(self.folder)), set(), {}
        for at, _, _ in files:
            if at in site_of:
                continue
            raw = os.path.basename(self.folder) if at == "." else ".".join(at.split(os.sep))
            plain = root if at == "." else mend(".".join(mend(p) for p in at.split(os.sep)))
            site_of[at] = unique(plain, sites)
            if site_of[at] != raw:
                self.plan.remarks.append(f"site renamed: {raw} is {site_of[at]}")
        names = [mend(name) for _, name, _ in files]
        taken = {"cloud"}
        out = []
        n_prefixed, example = 0, ""
        for (at, raw, path), plain in zip(files, names):
            wanted = plain
            if names.count(plain) > 1 and len({a for (a, _, _), n in zip(files, names) if n == plain}) > 1:
                wanted = mend(f"{site_of[at]}.{plain}")
            name = unique(wanted, taken)
            if wanted != plain and name == wanted:
                n_prefixed, example = n_prefixed + 1, f"{site_of[at]}/{plain} is {name}"
            if plain != raw or name != wanted:
                self.plan.remarks.append(f"device renamed: {raw} of {site_of[at]} is {name}")
            out.append((site_of[at], name, path))
        if n_prefixed:
            self.plan.remarks.append(f"device names that several sites have carry their site: {example}, and "
                                     f"{n_prefixed - 1} more")
        return out

    def _add(self, site, name, path, shape, options, speed):
        short = os.path.relpath(path, self.folder)
        if options is None:
            self.plan.remarks.append(f"left out: {short}: {shape.replace(path + ': ', '')}")
            return
        source = {"type": "csv", "name": "replay", "path": path, "tz": self.tz, "speed": speed}
        if options["time"]:
            source["time"] = list(options["time"])
        if options["ints"]:
            source["int"] = list(options["ints"])
        device = Device(name, site, "csv", source, path, shape["rows"], shape["samples"])
        device.ints, device.time = tuple(options["ints"]), tuple(options["time"])
        self.plan.add(device)
        self.plan.rows_unreadable += shape["unreadable_rows"]
        renamed = [f"{c['header'] or '(no header)'} is {c['name']}" for c in shape["channels"] if c["renamed"]]
        if renamed:
            self._remark_channels(short, renamed)
        t = shape["time"]
        if t["form"] == "number":
            self.plan.remarks.append(f"{short}: column {t['columns'][0]} taken for {t['unit']} since 1970 by its size")
        if shape["unreadable_rows"] or shape["unreadable_cells"] or shape["cut_texts"]:
            self.plan.remarks.append(f"{short}: {shape['unreadable_rows']} rows and {shape['unreadable_cells']} cells "
                                     f"cannot be read, {shape['cut_texts']} texts cut")
            for bad in shape["unreadable"]:
                what = f"{bad['channel']}: " if bad["channel"] else ""
                self.plan.remarks.append(f"  {short}:{bad['line']}: {what}{bad['why']}")

    def _remark_channels(self, short, renamed):
        """Files of one kind rename the same columns: said once."""
        text = "channel renamed: " + ", ".join(renamed)
        for i, r in enumerate(self.plan.remarks):
            m = re.fullmatch(re.escape(text) + r" \(in (.+?)(?: and (\d+) more files)?\)", r)
            if m:
                self.plan.remarks[i] = f"{text} (in {m[1]} and {int(m[2] or 0) + 1} more files)"
                return
        self.plan.remarks.append(f"{text} (in {short})")
