"""bench_infer.py - the part `infer` of bench: how long a model takes, ours at each level of the kernels beside ONNX Runtime.

tests/limits/bench_infer measures both in one process, in turn. ONNX Runtime is the shared library inside the npm package
onnxruntime-node; it is fetched once into ${XDG_CACHE_HOME:-~/.cache}/fogline/onnxruntime. Without it ours is measured alone.
"""
import glob
import json
import os
import platform
import subprocess
import sys

PACKAGE = "onnxruntime-node@1.30.0"
MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


def find_library(folder):
    machine = MACHINES.get(platform.machine())
    found = glob.glob(os.path.join(folder, "node_modules", "onnxruntime-node", "bin", "*", "linux", machine or "-", "libonnxruntime.so.1"))
    return found[0] if found else None


def library(given):
    """The path given, else the fetched one; None, having said why, when there is none."""
    if given:
        return given
    folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "fogline", "onnxruntime")
    path = find_library(folder)
    if path:
        return path
    os.makedirs(folder, exist_ok=True)
    print(f"fetching {PACKAGE}", file=sys.stderr)
    try:
        # Its own install script would fetch more, for graphics cards.
        p = subprocess.run(["npm", "install", "--prefix", folder, "--no-save", "--ignore-scripts", PACKAGE], timeout=300,
                           env={**os.environ, "ONNXRUNTIME_NODE_INSTALL": "skip"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True)
        said = p.stdout.strip().splitlines()[-1:] or [""]
    except FileNotFoundError:
        said = ["there is no npm"]
    except subprocess.TimeoutExpired:
        said = ["npm took more than 300 s"]
    path = find_library(folder)
    if path is None:
        print(f"bench infer: without ONNX Runtime: {PACKAGE} cannot be fetched ({said[0]}); --peer LIBRARY names a libonnxruntime.so.1",
              file=sys.stderr)
    return path


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
    peer = library(args.peer)
    p = subprocess.run(command + (["--peer", peer] if peer else []), stdout=subprocess.PIPE, text=True, timeout=900)
    if p.returncode != 0:
        sys.exit(p.returncode)
    rows = json.loads(p.stdout)
    print(json.dumps(rows) if args.json else table(rows))
