#!/usr/bin/env python3
"""random_check.py - random models through importer and engine, and through ONNX Runtime.

  random_check.py --program onnx_run --runtime FOLDER [--models 220] [--from 1] [--keep FOLDER] [--json]

FOLDER has node_modules/onnxruntime-node. Float outputs must be within 1e-4 (trees: 1e-5) of the largest of their
output, integers equal; quantised outputs equal but for steps of one, at most one in a hundred. Exit 1: not so; the models that
failed, with their inputs and what ONNX Runtime says, are left in --failed FOLDER (fogline-onnx-failed where temporary files are).
"""
import argparse
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import random_models


def special(v):
    return v if math.isfinite(v) else "nan" if math.isnan(v) else "inf" if v > 0 else "-inf"


def plain(v):
    return float(v) if isinstance(v, str) else v


def as_float32(v):
    return struct.unpack("<f", struct.pack("<f", v))[0]


def write(folder, seed):
    kind, data, inputs, tolerance = random_models.make(seed)
    base = os.path.join(folder, f"{seed:06d}")
    with open(base + ".onnx", "wb") as f:
        f.write(data)
    with open(base + ".json", "w") as f:
        json.dump([{"name": n, "kind": "float32", "dims": d, "values": [special(as_float32(x)) for x in v]} for n, _, d, v in inputs], f)
    for _, _, _, values in inputs:
        with open(base + ".in", "wb") as f:
            f.write(struct.pack(f"<{len(values)}f", *values))
    return {"seed": seed, "kind": kind, "base": base, "tolerance": tolerance, "batch": inputs[0][2][0]}


def difference(got, want, tolerance):
    """None: as it should be; else what is not. And the largest difference relative to its tolerance."""
    how, limit = tolerance
    if got["dims"] != want["dims"]:
        return f"shape {got['dims']}, expected {want['dims']}", 0
    a, b = [plain(v) for v in got["values"]], [plain(v) for v in want["values"]]
    if want["kind"] != "float32":
        return (None if a == b else f"{a}, expected {b}"), 0
    largest = max([abs(v) for v in b if math.isfinite(v)], default=0)
    allowed = limit if how == "step" else limit * largest + 1e-9
    worst, steps = 0.0, 0
    for x, y in zip(a, b):
        if x == y or (math.isnan(x) and math.isnan(y)):
            continue
        d = abs(x - y)
        steps += d > 1e-6
        worst = max(worst, d / allowed if d == d else math.inf)
        if not d <= allowed:
            return f"{x!r}, expected {y!r} (largest {largest:.6g})", worst
    if how == "step" and steps > max(1, len(a) // 100):
        return f"{steps} of {len(a)} quantised values differ by a step", worst
    return None, worst


def top_classes(want):
    """Of two classes with weights for both ONNX Runtime says 1 or 0, whatever the labels are and whichever score is the greater.
    The standard says: the label of the top class. random_models.py calls them 10 and 11."""
    scores = [plain(v) for v in want[1]["values"]]
    return dict(want[0], values=[10 + (second > first) for first, second in zip(scores[::2], scores[1::2])])


def judge(case, program):
    with open(case["base"] + ".out") as f:
        want = json.load(f)
    if isinstance(want, dict):
        return "skipped", f"ONNX Runtime: {want['error'][:200]}", 0
    p = subprocess.run([program, case["base"] + ".onnx", case["base"] + ".in", str(case["batch"])], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)
    if p.returncode != 0:
        return "failed", p.stderr.strip()[-300:] or f"exit {p.returncode}", 0
    if case["kind"] == "trees_both":
        want[0] = top_classes(want)
    got, worst = json.loads(p.stdout), 0
    for i, (g, w) in enumerate(zip(got["outputs"], want)):
        why, d = difference(g, w, case["tolerance"])
        worst = max(worst, d)
        if why:
            return "failed", f"output {i}: {why}", worst
    return "passed", "", worst


def leave(case, folder):
    os.makedirs(folder, exist_ok=True)
    for end in (".onnx", ".in", ".json", ".out"):
        shutil.copy(case["base"] + end, folder)
    return os.path.join(folder, os.path.basename(case["base"]) + ".onnx")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", required=True)
    p.add_argument("--runtime", required=True)
    p.add_argument("--models", type=int, default=220)
    p.add_argument("--from", type=int, default=1, dest="first")
    p.add_argument("--keep", metavar="FOLDER")
    p.add_argument("--failed", metavar="FOLDER", default=os.path.join(tempfile.gettempdir(), "fogline-onnx-failed"))
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="fogline-onnx-") as made:
        folder = args.keep or made
        os.makedirs(folder, exist_ok=True)
        cases = [write(folder, s) for s in range(args.first, args.first + args.models)]
        env = dict(os.environ, NODE_PATH=os.path.join(args.runtime, "node_modules"))
        here = os.path.dirname(os.path.abspath(__file__))
        subprocess.run(["node", os.path.join(here, "oracle.js"), folder], check=True, env=env, timeout=600, stdout=sys.stderr)
        out = {"passed": 0, "failed": 0, "skipped": 0, "list": [], "worst_of_tolerance": {}}
        for c in cases:
            outcome, why, worst = judge(c, args.program)
            out[outcome] += 1
            seen = out["worst_of_tolerance"]
            seen[c["kind"]] = max(seen.get(c["kind"], 0), round(worst, 4))
            if outcome == "passed":
                continue
            entry = {"name": f"random/{c['kind']}/{c['seed']}", "outcome": outcome, "seed": c["seed"], "why": why}
            if outcome == "failed":
                entry["model"] = leave(c, args.failed)
            out["list"].append(entry)
            print(f"{outcome} {c['kind']} seed {c['seed']}: {why}; {entry.get('model', 'no model kept')}", file=sys.stderr)
    print(json.dumps(out) if args.json else f"{out['passed']} passed, {out['failed']} failed, {out['skipped']} skipped")
    return 1 if out["failed"] or not out["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
