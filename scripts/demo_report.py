"""What the demo found: one object for programs, tables and charts for people."""
import datetime
import itertools
import json
import math
import os

from demo_screen import count, size

RAW_BYTES = 16  # of a sample as people store it first: 8 of time, 8 of value
CHART_ROWS = 100_000


# ---- what the tiers print ----

def archived_samples(cloud_status):
    return cloud_status["counters"].get("archive.samples_total", 0)


def used_bytes(status):
    facts = status["facts"]
    return facts["store"]["used_bytes"] if "store" in facts else facts.get("held_bytes", 0)


def ledger_samples(gaps):
    return gaps["samples"]


def ledger_records(gaps):
    return gaps["records"]


# ---- the report ----

class Report:
    """wire: bytes of each hop. produced: samples by device, as their stores say. judgements: of tests/ledger.py by device."""

    def __init__(self, demo, gaps, wire, produced, judgements, drained):
        self.demo, self.gaps, self.wire, self.produced, self.drained = demo, gaps, wire, produced, drained
        self.judgements = {d.name: self._complete(d, judgements[d.name]) for d in demo.p.devices}
        self.problems = list(self._find_problems())
        self.ok = not self.problems
        self.object = self._object()

    def _complete(self, d, j):
        """Of live sources the store's own account is what went in."""
        if d.path is None:
            j["rows_in"] = d.rows if d.name in self.demo.finished and d.rows else self.demo.rows_read[d.name]
            j["samples_in"] = self.produced[d.name]
        return j

    def sum(self, key, devices=None):
        names = self.judgements if devices is None else [d.name for d in devices]
        return sum(self.judgements[n][key] for n in names)

    def _find_problems(self):
        for name, j in self.judgements.items():
            if j["rows_in"] != j["rows_exported"] or j["samples_in"] != j["samples_exported"]:
                yield (f"{name}: {count(j['rows_in'])} rows, {count(j['samples_in'])} samples in; "
                       f"{count(j['rows_exported'])} rows, {count(j['samples_exported'])} samples out")
            for key, text in (("archived_twice", "rows archived twice"), ("missing", "rows of the input missing"),
                              ("foreign", "exported rows that were never in the input")):
                if j[key]:
                    yield f"{name}: {count(j[key])} {text}"
            if j["samples_in"] != self.produced[name]:
                yield f"{name}: {count(j['samples_in'])} samples in, but its store says {count(self.produced[name])}"
        s, r = ledger_samples(self.gaps), ledger_records(self.gaps)
        if s["unexplained"] or r["unexplained"]:
            yield f"the ledger does not balance: {count(r['unexplained'])} records unexplained"
        if s["produced"] != sum(self.produced.values()):
            yield f"the ledger knows of {count(s['produced'])} samples, the devices made {count(sum(self.produced.values()))}"
        if not self.drained:
            yield "not everything arrived in the cloud in time"

    def _object(self):
        d, s = self.demo, ledger_samples(self.gaps)
        totals = {k: self.sum(k) for k in ("rows_in", "rows_exported", "samples_in", "samples_exported", "archived_twice",
                                           "missing", "foreign", "rows_empty")}
        return {
            "ok": self.ok, "problems": self.problems, **totals, "rows_unreadable": d.p.rows_unreadable,
            "produced": s["produced"], "archived": s["archived"], "held": s["held"], "explained": s["explained"],
            "unexplained": s["unexplained"], "wire_bytes": self.wire, "disk_bytes": self.disk_bytes(),
            "raw_bytes": RAW_BYTES * totals["samples_exported"], "column_bytes": self.column_bytes(), "kills": d.kills, "cuts": d.cuts,
            "seconds": round(d.seconds, 3), "sites": len(d.p.sites), "devices": len(d.p.devices),
            "remarks": d.p.remarks,
        }

    def disk_bytes(self):
        c = self.demo.cluster
        return c.ctl_json(c.cloud.name, "store", "stat")["used_bytes"]

    def column_bytes(self):
        """Times, values and qualities in the archive as the devices wrote them, by encoding."""
        c, total = self.demo.cluster, {}
        for s in c.ctl_json(c.cloud.name, "store", "blocks")["sets"]:
            total[s["encoding"]] = total.get(s["encoding"], 0) + s["body_bytes"]
        return total

    # ---- for people ----

    def show(self, screen):
        self._show_sites(screen)
        self._show_charts(screen)
        self._show_bytes(screen)
        self._show_ledger(screen)
        self._show_verdict(screen)

    def _show_sites(self, screen):
        screen.heading("What the archive holds, counted independently")
        rows = []
        for site, devices in self.demo.p.sites.items():
            numbers = [self.sum(k, devices) for k in ("rows_in", "rows_exported", "samples_in", "samples_exported")]
            twice = self.sum("archived_twice", devices)
            agrees = numbers[0] == numbers[1] and numbers[2] == numbers[3] and twice == 0
            rows.append([site, len(devices), *map(count, numbers), twice, "yes" if agrees else "NO"])
        if len(rows) > 1:
            numbers = [self.sum(k) for k in ("rows_in", "rows_exported", "samples_in", "samples_exported")]
            rows.append(["all", len(self.judgements), *map(count, numbers), self.sum("archived_twice"),
                         "yes" if all(r[-1] == "yes" for r in rows) else "NO"])
        screen.table(["SITE", "DEVICES", "ROWS IN", "ROWS OUT", "SAMPLES IN", "SAMPLES OUT", "TWICE", "AGREES"], rows,
                     right={1, 2, 3, 4, 5, 6},
                     marks=lambda _r, i, t: (screen.good(t) if t.strip() == "yes" else screen.bad(t)) if i == 7 else t)

    def _show_charts(self, screen):
        screen.heading("One channel of each site")
        for site, devices in self.demo.p.sites.items():
            channel, times, values = chart_series(self.demo.export_path(devices[0]))
            if channel:
                screen.chart(f"{site}/{devices[0].name}/{channel}", times, values)

    def _show_bytes(self, screen):
        screen.heading("Bytes")
        n = max(1, self.object["samples_exported"])
        rows = [[what, size(b), f"{b / n:.2f}", f"{100 * b / (RAW_BYTES * n):.0f} %"]
                for what, b in (("wire, devices to fogs", self.wire["device_fog"]),
                                ("wire, fogs to cloud", self.wire["fog_cloud"]),
                                ("disk, archive", self.object["disk_bytes"]),
                                *((f"of it columns, {e}", b) for e, b in sorted(self.object["column_bytes"].items())),
                                ("raw: 8 of time, 8 of value", RAW_BYTES * n))]
        screen.table(["", "BYTES", "PER SAMPLE", "OF RAW"], rows, right={1, 2, 3})

    def _show_ledger(self, screen):
        screen.heading("Ledger")
        r, s = ledger_records(self.gaps), ledger_samples(self.gaps)
        reasons = sorted(set(r["explained"]) | set(s["explained"]))
        rows = [[k, count(r[k]), count(s[k])] for k in ("produced", "archived", "held")]
        rows += [[f"explained: {k}", count(r["explained"].get(k, 0)), count(s["explained"].get(k, 0))] for k in reasons]
        rows.append(["unexplained", count(r["unexplained"]), count(s["unexplained"])])
        screen.table(["", "RECORDS", "SAMPLES"], rows, right={1, 2})

    def _show_verdict(self, screen):
        screen.say()
        if not self.ok:
            screen.say(screen.bad("FAILED"))
            for p in self.problems[:20]:
                screen.say("  " + p)
            if len(self.problems) > 20:
                screen.say(f"  and {len(self.problems) - 20} more")
            return
        o = self.object
        screen.say(f"{screen.good('OK')}  {count(o['rows_in'])} rows, {count(o['samples_in'])} samples in; the same rows and "
                   f"values out")
        screen.say(f"    none missing, none twice, none unexplained; {len(o['kills'])} kill, {len(o['cuts'])} cut, "
                   f"{o['seconds']:.1f} s")


def chart_series(path):
    """(channel, times in s, values) of an export: the channel that makes the clearest curve, no counter if it can be helped."""
    rows = []
    if os.path.exists(path):
        with open(path) as f:
            for line in itertools.islice(f, CHART_ROWS):
                o = json.loads(line)
                rows.append((parse_time(o["time"]), o["values"]))
    rows.sort(key=lambda r: r[0])
    best = (-1.0, None, [], [])
    for name in dict.fromkeys(k for _, v in rows[:2000] for k in v):
        series = [(t, v[name]) for t, v in rows if isinstance(v.get(name), (int, float)) and not isinstance(v[name], bool)]
        if series:
            score = clearness([v for _, v in series])
            if score > best[0]:
                best = (score, name, [t for t, _ in series], [v for _, v in series])
    return best[1:]


def clearness(values):
    """Span over mean step of some eighty means: small for noise, 0 for a constant, and for what only ever grows."""
    if all(a <= b for a, b in zip(values, values[1:])) or not all(map(math.isfinite, values)):
        return 0.0
    if len(set(values)) < 8:
        return 0.01  # a switch says little
    width = max(1, len(values) // 80)
    means = [sum(values[i:i + width]) / width for i in range(0, len(values) - width + 1, width)]
    steps = sum(abs(b - a) for a, b in zip(means, means[1:]))
    ordered = sorted(means)
    span = ordered[-1 - len(means) // 20] - ordered[len(means) // 20]
    return span * len(means) / steps if steps else 0.0


def parse_time(text):
    """Seconds since 1970 of RFC 3339 in UTC; good enough to draw."""
    date, _, fraction = text.rstrip("Z").partition(".")
    t = datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.timezone.utc).timestamp()
    return t + float("0." + (fraction or "0"))
