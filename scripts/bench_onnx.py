"""bench_onnx.py - the part `onnx` of bench: stored tests of ONNX, and random models against ONNX Runtime.

`passed`, `failed` and `skipped` count both; `list` names every stored test with its outcome and every random model that did
not pass. ONNX Runtime comes from npm into build/peers; without npm or network the random models are skipped, and that is said.
"""
import json
import os
import subprocess
import sys

RUNTIME = "onnxruntime-node@1.30.0"
TESTDATA = "/usr/share/libonnx-testdata/data"
FOLDERS = ("node", "pytorch-converted", "pytorch-operator", "simple")


def runtime(build):
    """The folder with ONNX Runtime, fetched once; None and why when it cannot be had."""
    folder = os.path.join(build, "peers", "onnxruntime")
    if os.path.isdir(os.path.join(folder, "node_modules", "onnxruntime-node")):
        return folder, None
    os.makedirs(folder, exist_ok=True)
    # Without the variable its installer asks for files of graphics cards.
    env = dict(os.environ, ONNXRUNTIME_NODE_INSTALL="skip")
    try:
        p = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, RUNTIME], env=env,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    except FileNotFoundError:
        return None, "there is no npm on this machine"
    except subprocess.TimeoutExpired:
        return None, "npm did not answer within 300 s"
    return (folder, None) if p.returncode == 0 else (None, "npm could not fetch it: " + p.stdout.strip()[-200:])


def stored(build, root, data):
    unit = os.path.join(root, "tests", "unit", "model")
    args = [os.path.join(build, "tests", "unit", "model", "onnx_vectors"), "--json", os.path.join(unit, "onnx_vectors.txt")]
    args += [f"{f}={TESTDATA}/{f}" for f in FOLDERS] + [f"ml={data}/onnx_ml_vectors"]
    p = subprocess.run(args, stdout=subprocess.PIPE, text=True, timeout=600)
    return json.loads(p.stdout)


def random_models(build, root, models, first):
    """Figures of tests/onnx/random_check.py, or {"skipped_because": ...}."""
    folder, why = runtime(build)
    if folder is None:
        return {"passed": 0, "failed": 0, "skipped": models, "list": [], "skipped_because": why}
    p = subprocess.run([sys.executable, os.path.join(root, "tests", "onnx", "random_check.py"), "--json", "--runtime", folder,
                        "--program", os.path.join(build, "tests", "unit", "model", "onnx_run"), "--models", str(models),
                        "--from", str(first)], stdout=subprocess.PIPE, text=True, timeout=3600)
    return json.loads(p.stdout)


def run(args, build, root):
    data = args.data or os.environ.get("FOGLINE_DATA_DIR") or os.path.join(root, "..", "shared", "data")
    vectors = stored(build, root, data)
    models = random_models(build, root, args.models, args.first)
    if "skipped_because" in models:
        print(f"bench onnx: {args.models} random models skipped: {models['skipped_because']}", file=sys.stderr)
    out = {k: vectors[k] + models[k] for k in ("passed", "failed", "skipped")}
    out["vectors"] = {k: v for k, v in vectors.items() if k != "list"}
    out["random"] = {k: v for k, v in models.items() if k != "list"}
    out["list"] = vectors["list"] + models["list"]
    if args.json:
        print(json.dumps(out))
    else:
        for entry in out["list"]:
            if entry["outcome"] == "failed":
                print(f"failed {entry['name']}: {entry.get('why', '')} {entry.get('model', '')}")
        print(f"stored tests: {out['vectors']}\nrandom models: {out['random']}")
        print(f"{out['passed']} passed, {out['failed']} failed, {out['skipped']} skipped")
    sys.exit(1 if out["failed"] else 0)
