"""bench_codec.py - the part `codec` of bench: what the encodings make of folders of CSV files, set by set.

tests/limits/bench_codec measures, this only finds the files. A set is a folder at the top of the data folder; of nab each folder
of real readings. Labels and row numbers are no readings and are left out.
"""
import json
import math
import os
import subprocess
import sys

LABELS = {
    "skab": ["anomaly", "changepoint"],
    "beijing_air": ["No"],
    "room_occupancy": ["Room_Occupancy_Count"],
}
BOUNDS = {"skab": "0.1,0.5,1"}
DIGITS = 4


def data_folder(given, root):
    """The folder asked for, else $FOGLINE_DATA_DIR, else the one beside the checkout; None when there is none."""
    for d in [given] if given else [os.environ.get("FOGLINE_DATA_DIR"), os.path.join(root, "..", "shared", "data")]:
        if d and os.path.isdir(d):
            return os.path.abspath(d)
    return None


def set_of(path):
    """Of a path inside the data folder; None: not measured."""
    parts = path.split(os.sep)
    if parts[0] == "nab":
        return "/".join(parts[:2]) if len(parts) > 2 and parts[1].startswith("real") else None
    return parts[0] if len(parts) > 1 else "."


def find_sets(folder):
    """Links are followed, each folder is looked at once."""
    sets, seen = {}, set()
    for at, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        if os.path.realpath(at) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(at))
        for name in sorted(names):
            path = os.path.join(at, name)
            key = set_of(os.path.relpath(path, folder))
            if key and name.lower().endswith((".csv", ".csv.gz")):
                sets.setdefault(key, []).append(path)
    return dict(sorted(sets.items()))


def rounded(v):
    if isinstance(v, dict):
        return {k: rounded(x) for k, x in v.items()}
    if isinstance(v, list):
        return [rounded(x) for x in v]
    return round(v, DIGITS) if isinstance(v, float) else v


def measure(program, key, files, rounds):
    """None when the program cannot read them; it says why."""
    options = ["--rounds", str(rounds)]
    for option, values in (("--skip", ",".join(LABELS.get(key, []))), ("--bounds", BOUNDS.get(key))):
        options += [option, values] if values else []
    p = subprocess.run([program, *options, *files], stdout=subprocess.PIPE, text=True, timeout=1800)
    if p.returncode != 0:
        print(f"{key}: left out (exit {p.returncode})", file=sys.stderr)
        return None
    return {"set": key, **rounded(json.loads(p.stdout))}


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def table_line(r):
    def of(key, name):
        return f"{r[key][name]:.3f}" if name in r[key] else "-"
    speed = [f"{r[key][name]:.0f}" for name in ("pfor", "range") for key in ("encode_m_s", "decode_m_s")]
    return [r["set"], f"{r['samples']:,}", *(of("bytes_per_sample", n) for n in ("zstd3", "varint_zstd3", "pfor", "range")),
            of("time_bytes_per_row", "range"), *speed, "yes" if r["exact"] else "NO"]


def print_table(results):
    lines = [["set", "samples", "zstd3", "varint+zstd3", "pfor", "range", "time/row", "pfor enc", "dec", "range enc", "dec", "exact"]]
    lines += [table_line(r) for r in results]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(x.ljust(w) if i == 0 else x.rjust(w) for i, (x, w) in enumerate(zip(line, widths))))
    for r in results:
        s = r["sent"]
        print(f"{r['set']} as sent, all columns in a block that starts warm: " + "; ".join(
            f"{n} {s['bytes_per_sample'][n]:.3f} B/sample, {s['encode_m_s'][n]:.0f} / {s['decode_m_s'][n]:.0f} M/s"
            for n in ("pfor", "range")))
        for b in r.get("bounds", []):
            learned, sent = b["learned"], b["sent"]
            print(f"{r['set']} within {b['percent']} % of range: pfor {b['pfor']:.3f}, range {b['range']:.3f} B/sample; learned "
                  f"{learned['pfor']:.3f}, {learned['range']:.3f}; as sent {sent['pfor']:.3f}, {sent['range']:.3f}; largest error "
                  f"{b['largest_error_of_bound']:.4f} of the bound")


def run(args, build, root):
    folder = data_folder(args.data, root)
    if folder is None:
        where = args.data or "FOGLINE_DATA_DIR"
        print(f"bench codec: skipped: no data at {where}; --data DIR names a folder of folders of CSV files", file=sys.stderr)
        sys.exit(2 if args.data else 0)
    program = os.path.join(build, "tests", "limits", "bench_codec")
    results = []
    for key, files in find_sets(folder).items():
        print(f"{key}: {len(files)} files", file=sys.stderr)
        results += filter(None, [measure(program, key, files, args.rounds)])
    if not results:
        sys.exit(f"bench codec: no CSV file with numbers below {folder}")
    ratio = geometric_mean([r["bytes_per_sample"]["range"] / r["bytes_per_sample"]["varint_zstd3"] for r in results
                            if "varint_zstd3" in r["bytes_per_sample"]])
    if args.json:
        print(json.dumps({"sets": results, "range_of_varint_zstd3": ratio and round(ratio, DIGITS)}))
        return
    print_table(results)
    if ratio:
        print(f"range beside varint+zstd3, geometric mean over the sets: {ratio:.3f}")
