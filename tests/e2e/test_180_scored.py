"""`bench skab` and `bench nab`: what real devices say of small recordings becomes the predictions that are scored."""
import csv
import json
import os
import random
import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from system import ROOT, build_dir

SHIFT_AT, ROWS = 520, 600
BEGIN = datetime(2020, 3, 1, 12)


def bench(*args):
    return subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "bench.py"), *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120, env={**os.environ, "FOGLINE_BUILD": build_dir()})


def judged(*args):
    p = bench(*args, "--json")
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)


def predicted(path):
    with open(path, newline="") as f:
        return [(int(r["anomaly"]), int(r["changepoint"]), float(r["anomaly_score"])) for r in csv.DictReader(f)]


def write_pump(path, seed, odd_row=None):
    """Two noisy channels; from row SHIFT_AT on the pressure is elsewhere."""
    rng = random.Random(seed)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write("datetime;Pressure;Volume Flow RateRMS;anomaly;changepoint\n")
        for i in range(ROWS):
            at = "no time" if i == odd_row else BEGIN + timedelta(seconds=i)
            f.write(f"{at};{5 + rng.gauss(0, 0.1) + (2 if i >= SHIFT_AT else 0):.4f};{20 + rng.gauss(0, 0.5):.3f};"
                    f"{float(i >= SHIFT_AT)};{float(i == SHIFT_AT)}\n")


def test_what_devices_say_of_a_pump_is_scored(tmp_path):
    names = [f"valve1/{i}.csv" for i in range(9)] + ["other/2.csv"]  # more than run at a time
    for i, name in enumerate(names):
        write_pump(tmp_path / "data" / name, i)
    r = judged("skab", "--data", str(tmp_path / "data"), "--predictions", str(tmp_path / "out"))
    assert (r["files"], r["rows"], r["rows_replayed"]) == (10, 10 * (ROWS - 400), 10 * ROWS)
    assert (r["rows_unlike_library"], r["model_bytes"]) == (0, 0)
    assert r["f1"] > 0.95 and r["far_percent"] == 0 and 0 < r["state_bytes"] <= 4096 and r["ns_per_row"] > 0
    for name in names:
        rows = predicted(tmp_path / "out" / name)
        first = [a for a, _, _ in rows].index(1)
        assert len(rows) == ROWS and SHIFT_AT <= first < SHIFT_AT + 10
        assert {a for a, _, _ in rows[first:]} == {1}
        assert all((score > 0.5) <= (a == 1) for a, _, score in rows)
        assert rows[0][2] == 0 and any(c for _, c, _ in rows[SHIFT_AT:SHIFT_AT + 60])
    assert predicted(tmp_path / "out" / names[0]) != predicted(tmp_path / "out" / names[1])


def test_series_with_times_that_stand_still_and_go_back(tmp_path):
    rng = random.Random(8)
    os.makedirs(tmp_path / "data" / "real")
    with open(tmp_path / "data" / "real" / "a.csv", "w") as f:
        f.write("timestamp,value\n")
        for i in range(1000):
            minute = 5 * (i - (i % 50 == 7) - 3 * (i > 300))
            f.write(f"{BEGIN + timedelta(minutes=minute)},{rng.gauss(10, 1) + (30 if i == 800 else 0):.3f}\n")
    window = [str(BEGIN + timedelta(minutes=5 * (i - 3))) for i in (790, 830)]
    with open(tmp_path / "data" / "combined_windows.json", "w") as f:
        json.dump({"real/a.csv": [window]}, f)
    r = judged("nab", "--data", os.path.relpath(tmp_path / "data"), "--predictions", str(tmp_path / "out"))
    scores = [s for _, _, s in predicted(tmp_path / "out" / "real" / "a.csv")]
    assert len(scores) == 1000 and scores.index(max(scores)) == 800
    assert (r["rows_unlike_library"], r["standard"]["windows_hit"]) == (0, 1)


@pytest.mark.parametrize("break_it,told", [
    (lambda path: write_pump(path, 1, odd_row=450), "0.csv, line 452: "),
    (lambda path: open(path, "w").close(), "0.csv: "),
])
def test_a_recording_that_cannot_be_read_is_named(tmp_path, break_it, told):
    path = tmp_path / "data" / "valve1" / "0.csv"
    os.makedirs(path.parent)
    break_it(path)
    p = bench("skab", "--data", str(tmp_path / "data"))
    assert p.returncode == 1 and told in p.stderr and "Traceback" not in p.stderr, p.stderr
