"""What the campaigns of this folder share: a system in a folder of its own, what is judged in the end, and the program around it."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import system  # noqa: E402

MUST_BE_ZERO = ("lost", "twice", "foreign", "unexplained", "held", "crashed")


class Watch:
    """Follows from outside how many records are durable in the cloud, and since when: (unix ns, records). largest: of the stream
    that has most."""

    def __init__(self, s, period_ms=5, largest=False):
        self.path = os.path.join(s.dir, "watch")
        program = os.path.join(system.build_dir(), "tests", "limits", "watch_archive")
        with open(self.path, "w") as f:
            self.process = subprocess.Popen([program, os.path.join(s.cloud.state_dir, "archive"), str(period_ms * 1000),
                                             *([str(2**62), "largest"] if largest else [])], stdout=f,
                                            preexec_fn=s.die_with_parent())

    def lines(self):
        with open(self.path) as f:
            return [tuple(map(int, line.split())) for line in f if line.endswith("\n")]

    def records(self):
        lines = self.lines()
        return lines[-1][1] if lines else 0

    def stop(self):
        self.process.terminate()
        self.process.wait()
        return self.lines()


def judge(s, result, patience_s):
    """Waits for everything to arrive, stops the system and adds what came of it: MUST_BE_ZERO, rows."""
    result["held"] = 0
    try:
        s.wait_read(*s.inputs, timeout=patience_s)
        s.wait_settled(patience_s)
    except TimeoutError as e:
        print(f"{e}", file=sys.stderr)
        result["held"] = sum(s.held_records(n.name) for n in s.nodes.values() if n.tier != "cloud")
    complaints = s.end()
    print(*complaints, sep="\n", end="", file=sys.stderr)
    g = s.gaps()
    result.update(crashed=len(complaints), unexplained=g["records"]["unexplained"] + g["samples"]["unexplained"],
                  explained=g["records"]["explained_total"], rows=0, lost=0, twice=0, foreign=0)
    for name in s.inputs:
        j = s.judge(name)
        result["rows"] += j["rows_in"]
        result["lost"] += j["missing"]
        result["twice"] += j["archived_twice"]
        result["foreign"] += j["foreign"]
    return result


def is_clean(result):
    return all(result[k] == 0 for k in MUST_BE_ZERO)


def in_folder(run, keep=None, **kw):
    """run(System, **kw) in a new folder, which goes unless it is to be kept."""
    folder = keep or tempfile.mkdtemp(prefix="fogline-campaign-")
    s = system.System(folder, by_relay=kw.pop("by_relay", ()))
    try:
        return run(s, **kw)
    finally:
        s.close()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def main(doc, run, options, good):
    """options: (name, type, default, help). good(result): exit 0."""
    a = argparse.ArgumentParser(description=doc.split("\n")[0])
    for name, kind, default, text in options:
        a.add_argument("--" + name, type=kind, default=default, help=f"{text} ({default})")
    a.add_argument("--build", metavar="DIR", help="folder of meson (FOGLINE_BUILD, else build)")
    a.add_argument("--keep", metavar="DIR", help="leave stores, logs and exports here")
    a.add_argument("--json", action="store_true")
    o = vars(a.parse_args())
    build, as_json = o.pop("build"), o.pop("json")
    if build:
        os.environ["FOGLINE_BUILD"] = build
    result = run(**o)
    print(json.dumps(result) if as_json else "  ".join(f"{k} {v}" for k, v in result.items()))
    return 0 if good(result) else 1
