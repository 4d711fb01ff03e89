"""bench_quantize.py - the part `quantize` of bench: what int8 changes in the decisions of a net.

tests/limits/bench_quantize trains a net on half of SKAB's runs, quantises it as `fogline-model quantize` does, once with its
defaults and once with all layers in int8, and judges both on the other half.
"""
import glob
import json
import os
import subprocess
import sys

from bench_detect import SKAB_FOLDERS, folder_of

GOAL = "same_decisions >= 0.995; f1 at most 0.005 below f1_float32"


def table(out):
    rows = [["", "F1", "same decisions", "int8 layers", "bytes"], ["float32", f"{out['f1_float32']:.4f}", "", "", str(out["bytes_float32"])]]
    rows += [[name.replace("_", " "), f"{out[name]['f1']:.4f}", f"{100 * out[name]['same_decisions']:.2f} %",
              str(out[name]["integer_layers"]), str(out[name]["bytes"])] for name in ("default", "all_int8")]
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(x.ljust(w) if i == 0 else x.rjust(w) for i, (x, w) in enumerate(zip(r, widths))) for r in rows)


def run(args, build, root):
    folder = folder_of(args, "skab", root)
    files = sorted(f for name in SKAB_FOLDERS for f in glob.glob(os.path.join(folder, name, "*.csv")))
    if len(files) < 2:
        print(f"bench quantize: {folder} has no two runs in {', '.join(SKAB_FOLDERS)}; --data DIR names a folder laid out like SKAB's", file=sys.stderr)
        sys.exit(2)
    p = subprocess.run([os.path.join(build, "tests", "limits", "bench_quantize"), *files], stdout=subprocess.PIPE, text=True, timeout=300)
    if p.returncode != 0:
        sys.exit(p.returncode)
    out = json.loads(p.stdout)
    print(json.dumps({**out, "goal": GOAL}) if args.json else f"{out['rows']} rows of runs that were not learnt from; goal: {GOAL}\n{table(out)}")
