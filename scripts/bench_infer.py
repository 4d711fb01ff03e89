"""bench_infer.py - the part `infer` of bench: how long a model takes, ours at each level of the kernels beside ONNX Runtime.

tests/limits/bench_infer measures both in one process, in turn. ONNX Runtime is the shared library inside the npm package that
`bench onnx` takes as well. Without npm or network ours is measured alone, and that is said.
"""
import glob
import json
import os
import platform
import subprocess
import sys

import bench_onnx

MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


def library(given, build):
    """The path given, else that in the package; None, having said why, when there is none."""
    if given:
        return given
    folder, why = bench_onnx.runtime(build)
    if folder is not None:
        machine = MACHINES.get(platform.machine(), platform.machine())
        found = glob.glob(os.path.join(folder, "node_modules", "onnxruntime-node", "bin", "*", "linux", machine, "libonnxruntime.so.1"))
        if found:
            return found[0]
        why = f"{bench_onnx.RUNTIME} has no library for {machine}"
    print(f"bench infer: measured without ONNX Runtime: {why}; --peer LIBRARY names a libonnxruntime.so.1", file=sys.stderr)
    return None


def table(rows):
    levels = list(dict.fromkeys(name for r in rows for name in r["levels"]))
    out = [["model", "form", "goal us", *levels, "ONNX Runtime", "p99 ours", "theirs", "bytes", "difference"]]
    for r in rows:
        peer, best = r.get("onnxruntime"), min(r["levels"].values(), key=lambda f: f["p50_us"])
        out.append([r["model"], r["form"], f"{r['goal_us']:g}",
                    *(f"{r['levels'][n]['p50_us']:.2f}" if n in r["levels"] else "-" for n in levels),
                    f"{peer['p50_us']:.2f}" if peer else "-", f"{best['p99_us']:.2f}", f"{peer['p99_us']:.2f}" if peer else "-",
                    str(r["file_bytes"]), f"{r['difference']:.1g}" if "difference" in r else "-"])
    widths = [max(len(line[i]) for line in out) for i in range(len(out[0]))]
    return "\n".join("  ".join(x.ljust(w) if i < 2 else x.rjust(w) for i, (x, w) in enumerate(zip(line, widths))) for line in out)


def run(args, build):
    command = [os.path.join(build, "tests", "limits", "bench_infer"), "--rounds", str(args.rounds)]
    peer = library(args.peer, build)
    p = subprocess.run(command + (["--peer", peer] if peer else []), stdout=subprocess.PIPE, text=True, timeout=900)
    if p.returncode != 0:
        sys.exit(p.returncode)
    rows = json.loads(p.stdout)
    print(json.dumps(rows) if args.json else table(rows))
