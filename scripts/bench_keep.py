"""bench_keep.py - the part `keep` of bench: bytes a sample within error bounds beside their goals, and policies on recordings.

The goals are of the pump set (skab): values of channels within 0.1, 0.5 and 1 % of their range, in blocks of 1,000 rows.
"""
import json
import os
import subprocess
import sys

import bench_codec

SET = "skab"
GOALS = {0.1: 0.46, 0.5: 0.28, 1: 0.23}


def within_bounds(build, files):
    """[{percent, bytes_per_sample, goal, ...}]: columns of a file together, starts learned, as a device sends them; beside it each
    column alone and cold."""
    measured = bench_codec.measure(os.path.join(build, "tests", "limits", "bench_codec"), SET, files, 1)
    if measured is None:
        sys.exit(1)
    out = []
    for b in measured["bounds"]:
        goal, warm = GOALS[b["percent"]], b["sent"]
        out.append({"percent_of_range": b["percent"], "bytes_per_sample": warm["range"], "goal": goal, "met": warm["range"] <= goal,
                    "bytes_per_sample_cold": b["range"], "largest_error_of_bound": b["largest_error_of_bound"],
                    "within_bound": b["kept"]})
    return out


def policies(build, path):
    p = subprocess.run([os.path.join(build, "device", "devicectl"), "keep", "--what-if", path, "--pack-ms", "0", "--json"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, text=True, timeout=600)
    return json.loads(p.stdout) if p.returncode == 0 else None


def run(args, build, root):
    folder = bench_codec.data_folder(args.data, root)
    files = bench_codec.find_sets(folder).get(SET) if folder else None
    if not files:
        where = args.data or "FOGLINE_DATA_DIR"
        print(f"bench keep: skipped: no folder {SET} with CSV files at {where}; --data DIR names the folder above it",
              file=sys.stderr)
        sys.exit(2 if args.data else 0)
    bounds = within_bounds(build, files)
    tried = policies(build, max(files, key=os.path.getsize))
    if args.json:
        print(json.dumps({"set": SET, "bounds": bounds, "policies": tried and tried["policies"]}))
        return
    for b in bounds:
        print(f"within {b['percent_of_range']} % of range: {b['bytes_per_sample']:.3f} B/sample, goal {b['goal']} "
              f"{'met' if b['met'] else 'NOT MET'}; columns alone and cold {b['bytes_per_sample_cold']:.3f}; largest error "
              f"{b['largest_error_of_bound']:.4f} of the bound")
    for p in tried["policies"] if tried else []:
        print(f"{p['name']:16} {p['bytes_per_day'] / 1e3:8.0f} kB a day  {p['samples']:8} samples")
