"""What devices write small and fast comes out of the archive as it went in, or within its bound; what does not decode is left out
and named."""
import csv
import json
import os
import random

import pytest

import fogline_client as fc
import system
from system import ledger, until
from test_110_other_languages import CHANNELS, columns, protocol, world  # noqa: F401

ROWS = 4000


def encodings_of(s, device):
    """Blocks by encoding."""
    got = {}
    for one in s.ctl_json("cloud", "store", "blocks", device)["sets"]:
        got[one["encoding"]] = got.get(one["encoding"], 0) + one["blocks"]
    return got


def with_source(s, name, **keys):
    s.nodes[name].sources[0].update(keys)
    s.write_config(name)


@pytest.mark.parametrize("encoding", ("small", "fast", "raw"))
def test_every_encoding_is_exact(make_system, encoding):
    s = make_system().one_of_each(rows=ROWS)
    with_source(s, "dev-1", encoding=encoding)
    s.start()
    s.wait_read()
    s.must_be_exact(s.wait_settled())
    got = encodings_of(s, "dev-1")
    assert got[encoding] >= ROWS // 100, got
    assert encoding != "raw" or list(got) == ["raw"]


def write_changing(path, rows):
    """Tenths of one place, then readings of another instrument with all digits, then a channel that stands still."""
    rng = random.Random(5)
    with open(path, "w") as f:
        f.write("time,a,b,count,word\n")
        a = b = 20.0
        for i in range(rows):
            part = 3 * i // rows
            a += rng.choice((-0.1, 0, 0.1)) if part == 0 else rng.gauss(0, 1e-3) if part == 1 else 0
            b += rng.gauss(0, 0.3)
            text = f"{a:.1f}" if part == 0 else repr(a * 1e6) if part == 1 else "17.25"
            f.write(f"{system.FIRST_S + i}.{rng.randrange(1000) if part == 1 else 0:03d},{text},{b:.4f},{i * (1 + part)},"
                    f"{rng.choice(('on', 'off', 'idle')) if part else 'on'}\n")
    return path


def test_readings_of_another_nature_are_exact_too(make_system):
    s = make_system().one_of_each(rows=10, device={"pack.rows": 10})
    s.inputs["dev-1"] = write_changing(os.path.join(s.dir, "changing.csv"), 12_000)
    with_source(s, "dev-1", path=s.inputs["dev-1"], int=["count"])
    s.start()
    s.wait_read()
    s.wait_settled()
    out = s.export(os.path.join(s.dir, "out.csv"), "csv", ["--select", "s/dev-1", "--time", "unix_ns"])
    with open(s.inputs["dev-1"]) as f:
        wanted = sorted((channel, int(row["time"].replace(".", "")) * 10**6, text if channel == "word" else float(text))
                        for row in csv.DictReader(f) for channel, text in row.items() if channel != "time")
    with open(out) as f:
        got = sorted((r["channel"], int(r["time"]), r["value"] if r["channel"] == "word" else float(r["value"]))
                     for r in csv.DictReader(f))
    assert got == wanted
    assert s.counter("dev-1", "io.sets_learnt") >= 1
    assert "event=starts_learnt" in s.log_of("dev-1")
    sets = {one["set"] for one in s.ctl_json("cloud", "store", "blocks", "dev-1")["sets"]}
    assert 2 <= len(sets) <= 7


def test_what_is_bounded_is_within_its_bound_and_all_else_exact(make_system):
    s = make_system().one_of_each(rows=10)
    path, rng, at = os.path.join(s.dir, "walk.csv"), random.Random(8), 0.0
    with open(path, "w") as f:
        f.write("time,t.in,t.out,p\n")
        for i in range(ROWS):
            at += rng.gauss(0, 0.2)
            f.write(f"{system.FIRST_S + i},{at!r},{at * 3 + rng.random()!r},{rng.random()!r}\n")
    with_source(s, "dev-1", path=path, channels=[{"name": "t.in", "bound": 0.05}, {"name": "t.*", "bound": 0.5}])
    s.start()
    s.wait_read()
    s.wait_settled()
    out = s.export(os.path.join(s.dir, "out.csv"), "csv", ["--select", "s/dev-1", "--time", "unix_ns"])
    with open(out) as f:
        got = {(r["channel"], int(r["time"])): float(r["value"]) for r in csv.DictReader(f)}
    assert len(got) == 3 * ROWS
    off = {"t.in": 0.0, "t.out": 0.0, "p": 0.0}
    with open(path) as f:
        for row in csv.DictReader(f):
            for channel in off:
                off[channel] = max(off[channel], abs(got[channel, int(row["time"]) * 10**9] - float(row[channel])))
    assert 0 < off["t.in"] <= 0.05 and 0.05 < off["t.out"] <= 0.5 and off["p"] == 0, off


def test_a_block_that_does_not_decode_is_left_out_and_named(world, tmp_path):  # noqa: F811
    c = world.client("py-1")
    pump = c.add_set("pump", CHANNELS)
    times = [10**18 + i for i in range(50)]
    c.add_block(pump, times, columns(0, 50))
    bad = c.p.record.Block(format=fc.FORMAT, set_id=pump[0], rows=50, samples=7, encoding=3, time_first_ns=2 * 10**18,
                           body=os.urandom(200))
    seq = c._add(fc.ORDINARY, fc.BLOCK, bad.SerializeToString(), 7)
    bad.encoding, bad.time_first_ns = 99, 3 * 10**18
    c._add(fc.ORDINARY, fc.BLOCK, bad.SerializeToString(), 7)
    c.add_block(pump, [4 * 10**18 + i for i in range(50)], columns(50, 50))
    assert c.settle(20)
    out = str(tmp_path / "out.jsonl")
    p = world.ctl("cloud", "export", "--format", "jsonl", "--select", "s/py-1", "-o", out, check=False)
    assert p.returncode == 9, p.stderr
    assert len(list(ledger.export_rows(out))) == 100
    assert "device py-1" in p.stderr and f"seq {seq}," in p.stderr and c.epoch.hex() in p.stderr
    assert "1 blocks that do not decode, 1 of an unknown encoding" in p.stderr
    p = world.ctl("cloud", "store", "blocks", "--json", check=False)
    assert p.returncode == 9
    assert json.loads(p.stdout)["undecoded_blocks"] == 2
    listed = json.loads(p.stdout)["undecoded"]
    assert [(b["device"], b["encoding"], b["samples"]) for b in listed] == [("py-1", "small", 7), ("py-1", "unknown", 7)]
    p = world.ctl("cloud", "query", "s/py-1", check=False)
    assert p.returncode in (0, 9) and "step" in p.stdout
    assert world.ctl("cloud", "store", "verify", check=False).returncode == 0
    until("the ledger is even", lambda: world.gaps()["samples"]["unexplained"] == 0)
