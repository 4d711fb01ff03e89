"""bench_detect.py - the parts `skab` and `nab` of bench: detectors that need no model, on labelled recordings.

Real devices replay the files (bench_replay.py), each through a detector with the defaults of its kind; what they committed becomes the
predictions, which are scored here. tests/limits/bench_detector runs the same rows through the library alone: that gives the time a
row takes, and every row that the device judged otherwise is counted.
"""
import csv
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone

import bench_replay
import score_detect
from bench_codec import data_folder, rounded
from cluster import Cluster

SKAB_FOLDERS = ("other", "valve1", "valve2")
NAB_LABELS = "combined_windows.json"
GOALS = {"skab": "f1 >= 0.82 at a FAR <= 17.7 %, or >= 0.80 at <= 13.55 %; nab_standard >= 33", "nab": "standard >= 58"}


def folder_of(args, name, root):
    """The folder asked for, else the one of that name in the data folder. Ends the program when there is none."""
    folder = args.data
    if folder is None:
        parent = data_folder(None, root)
        folder = os.path.join(parent, name) if parent else None
    if folder is None or not os.path.isdir(folder):
        where = folder or "FOGLINE_DATA_DIR"
        print(f"bench {name}: {'' if args.data else 'skipped: '}no data at {where}; --data DIR names a folder laid out like the source's",
              file=sys.stderr)
        sys.exit(2 if args.data else 0)
    return folder


def table(path, separator):
    with open(path, newline="") as f:
        return [row for row in csv.reader(f, delimiter=separator) if row]


def library(program, kind, separator, out, path):
    """Predictions by the library alone, and what the program measured."""
    p = subprocess.run([program, kind, separator, out, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    if p.returncode != 0:
        sys.exit(f"bench: {path}: no predictions (exit {p.returncode}): {p.stderr.strip()}")
    return predictions(out), json.loads(p.stdout)


def predictions(path):
    """(anomaly, changepoint, score) of each row of a prediction file."""
    return [(int(a), int(c), float(s)) for a, c, s in table(path, ",")[1:]]


def write_predictions(path, verdicts):
    """The score of a detector has no upper end; what is written lies between 0 and 1."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write("anomaly,changepoint,anomaly_score\n")
        f.writelines(f"{a},{c},{s / (1 + s)!r}\n" for a, c, s in verdicts)


def by_devices(build, scratch, paths, kind, out):
    """Writes the prediction files of {name: recording}; {name: predictions}."""
    with Cluster(os.path.join(scratch, "cluster"), build, by_relay=()) as c:
        said = bench_replay.replay(c, paths, kind)
    for name, verdicts in said.items():
        write_predictions(os.path.join(out, name), verdicts)
    return {name: predictions(os.path.join(out, name)) for name in said}


def skab_names(folder):
    return sorted(os.path.join(d, n) for d in SKAB_FOLDERS if os.path.isdir(os.path.join(folder, d))
                  for n in os.listdir(os.path.join(folder, d)) if n.endswith(".csv"))


def skab_file(path):
    rows = table(path, ";")
    columns = [rows[0].index(name) for name in ("anomaly", "changepoint")]
    times = [datetime.fromisoformat(r[0]).replace(tzinfo=timezone.utc).timestamp() for r in rows[1:]]
    return times, [tuple(float(r[i]) == 1 for i in columns) for r in rows[1:]]


def score_skab(folder, names, told):
    return score_detect.skab([(*skab_file(os.path.join(folder, n)), [(a, c) for a, c, _ in told[n]]) for n in names])


def score_nab(folder, names, told):
    with open(os.path.join(folder, NAB_LABELS)) as f:
        windows = json.load(f)
    files = []
    for n in names:
        times = [datetime.fromisoformat(r[0]) for r in table(os.path.join(folder, n), ",")[1:]]
        files.append((n, times, [tuple(map(datetime.fromisoformat, w)) for w in windows[n]], [s for _, _, s in told[n]]))
    return score_detect.nab(files)


def nab_names(folder):
    path = os.path.join(folder, NAB_LABELS)
    if not os.path.exists(path):
        sys.exit(f"bench nab: no {NAB_LABELS} in {folder}; it says which files there are")
    with open(path) as f:
        return sorted(json.load(f))


SETS = {"skab": (skab_names, score_skab, ";", "ewma"), "nab": (nab_names, score_nab, ",", "surprise")}


def run(args, build, root):
    name = args.name
    names_of, score, separator, kind = SETS[name]
    kind = args.kind or kind
    folder = folder_of(args, name, root)
    names = names_of(folder)
    if not names:
        sys.exit(f"bench {name}: no CSV file below {folder}")
    # A path in a configuration counts from there, one on the command line from here.
    paths = {n: os.path.abspath(os.path.join(folder, n)) for n in names}
    for n, path in paths.items():
        if not os.path.isfile(path):
            sys.exit(f"bench {name}: no {n} in {folder}; {NAB_LABELS} names it")
    program = os.path.join(build, "tests", "limits", "bench_detector")
    measured, n_rows, n_differ = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="fogline-bench-") as scratch:
        began = time.monotonic()
        told = by_devices(build, scratch, paths, kind, args.predictions or os.path.join(scratch, "predictions"))
        took_s = time.monotonic() - began
        for n, path in paths.items():
            expected, m = library(program, kind, separator, os.path.join(scratch, "library.csv"), path)
            measured.append(m)
            n_rows += len(told[n])
            n_differ += sum(a != b for a, b in itertools.zip_longest(told[n], expected))
    if n_differ:
        print(f"bench {name}: {n_differ} of {n_rows} rows were judged otherwise by the device than by the library", file=sys.stderr)
    out = {"set": name, "kind": kind, **rounded(score(folder, names, told)),
           "by": "fogline-device", "rows_replayed": n_rows, "rows_unlike_library": n_differ, "replay_s": round(took_s, 1),
           "state_bytes": max(m["state_bytes"] for m in measured), "model_bytes": 0,
           "ns_per_row": round(statistics.median(m["ns_per_row"] for m in measured), 1), "goal": GOALS[name]}
    if args.json:
        print(json.dumps(out))
        return
    for key, value in out.items():
        print(f"{key:20} {value}")
