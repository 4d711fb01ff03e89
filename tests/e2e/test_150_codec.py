"""fogline-codec: what goes in comes out, on hard values and on real files; mistakes and damage are named and end in their exit
code."""
import csv
import glob
import gzip
import json
import math
import os
import random
import struct
import subprocess
from datetime import datetime, timezone

import pytest

import system

ENCODINGS = ("raw", "fast", "small")
FRAME_BYTES = 48
HARD = """time;flow;count;note;empty;"od;d ""name\"""
2026-01-01T00:00:00.000000001Z;1.5;1;up;;1e300
2026-01-01T00:00:00.000000001Z;NaN;2;"say ""hi"", you;|";;5e-324
2026-01-01T00:00:02+01:00;-0;;NA;;-Infinity
2026-01-01T00:00:03.5Z;0.1;4;  ;;
2026-01-01T00:00:03.5Z;Infinity;-9007199254740993;"  lead";;0.30000000000000004
2026-01-01T00:00:04Z;;5;"two
lines";;-0.0
2026-01-01T00:00:05Z;3;6;LONG;;7
""".replace("LONG", "é" * 200)


def data_dir():
    for d in (os.environ.get("FOGLINE_DATA_DIR"), os.path.join(system.ROOT, "..", "shared", "data")):
        if d and os.path.isdir(d):
            return d
    return None


def data(pattern):
    """The public files below the data folder that match; skips, and says why, where there are none."""
    where = data_dir()
    found = sorted(glob.glob(os.path.join(where, pattern))) if where else []
    if not found:
        pytest.skip(f"no {pattern}: FOGLINE_DATA_DIR names a folder with the data sets")
    return found


def codec(*args, **kw):
    return subprocess.run([os.path.join(system.build_dir(), "device", "fogline-codec"), *map(str, args)], timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)


def ok(*args, **kw):
    p = codec(*args, **kw)
    assert p.returncode == 0, p.stderr
    return p.stdout


def table(text, delimiter):
    return list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))


def bits(text):
    return struct.pack("<d", float(text))


def unix_ns(text):
    whole, _, frac = text.replace(" ", "T").replace("/", "-").rstrip("Z").partition(".")
    return int(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()) * 10**9 + int((frac + "0" * 9)[:9])


def write(path, text):
    path.write_text(text)
    return path


def write_walk(path, rows, seed=1):
    rng = random.Random(seed)
    level = 20.0
    with open(path, "w") as f:
        f.write("time,level,state\n")
        for i in range(rows):
            level += rng.gauss(0, 0.2)
            f.write(f"{1_700_000_000 + i},{level:.2f},{'on' if i // 50 % 2 else 'off'}\n")
    return path


@pytest.fixture
def walk(tmp_path):
    return write_walk(tmp_path / "walk.csv", 950)


@pytest.fixture
def made(tmp_path, walk):
    """Ten blocks, and the file as bytes."""
    ok("encode", walk, "-o", tmp_path / "walk.fgl", "--rows", 100)
    return bytearray((tmp_path / "walk.fgl").read_bytes())


def frames(b):
    """Offsets of the frames, the last one's too."""
    at, out = 8 + 4 + 4 + struct.unpack_from("<I", b, 12)[0] + 16, []
    while at < len(b):
        out.append(at)
        assert b[at:at + 3] == b"FGL"
        at += FRAME_BYTES + struct.unpack_from("<I", b, at + 4)[0]
    return out


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_hard_values_come_back(tmp_path, encoding):
    (tmp_path / "hard.csv").write_text(HARD)
    p = codec("encode", tmp_path / "hard.csv", "-o", tmp_path / "hard.fgl", "--encoding", encoding, "--int", "count")
    assert p.returncode == 0 and "texts cut: 1" in p.stderr
    got = table(ok("decode", tmp_path / "hard.fgl"), ",")
    assert got[0] == ["time", "flow", "count", "note", "empty", 'od;d "name"']
    times, flow, count, note, empty, odd = zip(*got[1:])
    assert times[:4] == ("2026-01-01T00:00:00.000000001Z",) * 2 + ("2025-12-31T23:00:02Z", "2026-01-01T00:00:03.5Z")
    assert [bits(x) for x in flow[:1] + flow[2:5]] == [bits(x) for x in ("1.5", "-0.0", "0.1", "inf")]
    assert math.isnan(float(flow[1])) and flow[5] == ""
    assert count == ("1", "2", "", "4", "-9007199254740993", "5", "6")
    assert note == ("up", 'say "hi", you;|', "", "", "  lead", "two\nlines", "é" * 127)
    assert set(empty) == {""}
    assert [bits(x) for x in odd if x] == [bits(x) for x in ("1e300", "5e-324", "-inf", "0.30000000000000004", "-0.0", "7")]
    facts = {c["name"]: c for c in json.loads(ok("--json", "inspect", tmp_path / "hard.fgl"))["channels"]}
    assert (facts["note"]["not_good"], facts["note"]["absent"], facts["empty"]["absent"]) == (1, 2, 7)
    # What was printed is read as the same again.
    again = write(tmp_path / "again.csv", ok("decode", tmp_path / "hard.fgl"))
    ok("encode", again, "-o", tmp_path / "again.fgl", "--encoding", encoding, "--int", "count")
    assert table(ok("decode", tmp_path / "again.fgl"), ",") == got


def same_tables(path, got, delimiter, n_time):
    """Every cell of a CSV file against what came back of it."""
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt") as f:
        want = [row for row in csv.reader(f, delimiter=delimiter) if row]
    assert got[0][1:] == want[0][n_time:] and len(got) == len(want)
    for a, b in zip(want[1:], got[1:]):
        assert unix_ns("T".join(a[:n_time])) == unix_ns(b[0])
        for x, y in zip(a[n_time:], b[1:]):
            assert (x == y == "") or bits(x) == bits(y), (a, b)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("pattern,delimiter,n_time", [("skab/*/*.csv", ";", 1), ("room_occupancy/*.csv", ",", 2)])
def test_real_files_come_back_bit_for_bit(tmp_path, pattern, delimiter, n_time, encoding):
    for path in data(pattern):
        ok("encode", path, "-o", tmp_path / "x.fgl", "--encoding", encoding)
        same_tables(path, table(ok("decode", tmp_path / "x.fgl"), ","), delimiter, n_time)


@pytest.mark.parametrize("encoding", ("fast", "small"))
def test_a_bound_is_kept_and_makes_the_file_smaller(tmp_path, walk, encoding):
    sizes = []
    for bound in ("0", "0.25"):
        made = json.loads(ok("--json", "encode", walk, "-o", tmp_path / "b.fgl", "--encoding", encoding, "--bound", f"level={bound}"))
        sizes.append(made["body_bytes"])
        got = table(ok("decode", tmp_path / "b.fgl"), ",")
        errors = [abs(float(a[1]) - float(b[1])) for a, b in zip(table(walk.read_text(), ",")[1:], got[1:])]
        assert max(errors) <= float(bound) and len(errors) == 950
        assert [b[2] for b in got] == [a[2] for a in table(walk.read_text(), ",")]
    assert sizes[1] < sizes[0]


def test_inspect_counts_the_same_in_both_kinds_of_files(tmp_path, walk):
    ok("encode", walk, "-o", tmp_path / "w.fgl", "--rows", 100)
    of_file, of_csv = (json.loads(ok("--json", "inspect", *a)) for a in ((tmp_path / "w.fgl",), (walk, "--rows", 100)))
    of_file.pop("file"), of_csv.pop("file")
    assert of_file == of_csv
    assert (of_file["blocks"], of_file["rows"], of_file["samples"], of_file["damaged"]) == (10, 950, 1900, 0)
    level, state = of_file["channels"]
    assert level["numbers"] == {"decimal": 10} and level["exponent_max"] == 2 and state["numbers"] == {"text": 10}
    together = of_file["time"]["bytes"] + level["bytes"] + state["bytes"]
    assert 0.8 * of_file["body_bytes"] < together <= of_file["body_bytes"] + 1
    text = ok("inspect", tmp_path / "w.fgl")
    assert "CHANNEL" in text and "level" in text and "decimal" in text


def test_compare_tells_bytes_bounds_batches_and_intervals(tmp_path, walk):
    got = json.loads(ok("--json", "compare", walk, "--bound-percent", "0.5,2", "--interval", "10"))
    assert got["exact"] and got["samples"] == 1900
    sizes = {e["name"]: e["bytes_per_sample"] for e in got["encodings"]}
    assert sizes["small"] < sizes["plain"] and sizes["fast"] < sizes["plain"]
    assert [b["percent"] for b in got["bounds"]] == [0.5, 2]
    for b in got["bounds"]:
        assert all(0 < e <= 1 for e in b["largest_error_of_bound"].values())
    assert [r["rows"] for r in got["rows_per_block"]] == [1, 10, 100, 1000]
    many, one = (got["rows_per_block"][i]["bytes_per_sample"]["small"] for i in (3, 0))
    assert many < one
    assert got["intervals"][0]["rows"] == 95
    text = ok("compare", walk, "--interval", "10")
    assert "zstd -3" in text and "INTERVAL" in text


def test_compare_takes_values_of_any_size(tmp_path):
    """What stands for "no value" is often the largest double: a percent of that range is no bound any more."""
    for last in ("1.7976931348623157e308", "-1e304"):
        rows = [f"{1_700_000_000 + i},{20 + i % 7}" for i in range(200)]
        rows += [f"1700000200,{last}", f"1700000201,{last.lstrip('-')}"]
        got = json.loads(ok("--json", "compare", write(tmp_path / "huge.csv", "\n".join(["time,level", *rows, ""]))))
        assert got["exact"] and all(0 <= e <= 1 for b in got["bounds"] for e in b["largest_error_of_bound"].values())


def test_wrong_use_says_what_is_right(tmp_path, walk):
    out = tmp_path / "out.fgl"
    no_time = write(tmp_path / "no_time.csv", "a,b\n1,2\n3,4\n")
    for args, code, said in (
        (("encode", tmp_path / "none.csv", "-o", out), 6, "none.csv"),
        (("encode", tmp_path, "-o", out), 1, "no regular file"),
        (("encode", walk), 2, "-o FILE"),
        (("encode", walk, "-o", walk), 2, "input itself"),
        (("encode", walk, "-o", tmp_path / "no" / "where.fgl"), 1, "cannot be written"),
        (("encode", no_time, "-o", out), 1, "--time"),
        (("encode", walk, "-o", out, "--time", "nope"), 1, "no column 'nope'"),
        (("encode", walk, "-o", out, "--tz", "Mars/Base"), 1, "Mars/Base"),
        (("encode", walk, "-o", out, "--bound", "level"), 2, "CHANNEL=EPS"),
        (("encode", walk, "-o", out, "--bound", "nope=1"), 2, "there are: level, state"),
        (("encode", walk, "-o", out, "--bound", "level=-1"), 2, "`-1`"),
        (("encode", walk, "-o", out, "--bound", "level=1e301"), 2, "1e+300"),
        (("encode", walk, "-o", out, "--bound", "state=1"), 2, "not of type double"),
        (("encode", walk, "-o", out, "--bound", "level=1", "--encoding", "raw"), 2, "always exact"),
        (("encode", walk, "-o", out, "--encoding", "zip"), 2, "fast, small, raw"),
        (("encode", walk, "-o", out, "--rows", "5000"), 2, "1..4096"),
        (("encode", walk, "-o", out, "-c", "x"), 2, "unknown option -c"),
        (("compare", walk, "--bound-percent", "x"), 2, "bound-percent"),
        (("decode", tmp_path / "none.fgl"), 6, "none.fgl"),
        (("decode", walk), 1, "encode"),
        (("decdoe", walk), 2, "did you mean `decode`"),
    ):
        p = codec(*args)
        assert p.returncode == code and said in p.stderr and not p.stdout, (args, p.returncode, p.stderr)
    assert sorted(os.listdir(tmp_path)) == ["no_time.csv", "walk.csv"], "nothing is left behind"
    p = codec("--json", "encode", tmp_path / "none.csv", "-o", out)
    assert json.loads(p.stderr)["exit"] == p.returncode == 6


def damaged(tmp_path, content):
    """Rows that are left and what was told, of a damaged file."""
    (tmp_path / "d.fgl").write_bytes(content)
    p = codec("--json", "decode", tmp_path / "d.fgl", "-o", tmp_path / "d.csv")
    assert p.returncode == 7, p.stderr
    rows = table((tmp_path / "d.csv").read_text(), ",")[1:]
    told = json.loads(p.stdout)
    assert told["rows"] == len(rows)
    return rows, told


def test_a_damaged_block_costs_itself(tmp_path, walk, made):
    want = table(ok("decode", tmp_path / "walk.fgl"), ",")[1:]
    at = frames(made)
    assert len(at) == 11
    for where in (at[3] + FRAME_BYTES + 5, at[3] + 9, at[3] + 4):  # its body, its number, its length
        b = bytearray(made)
        b[where] ^= 0x40
        rows, told = damaged(tmp_path, b)
        assert rows == want[:300] + want[400:]
        assert told["lost_blocks"] == 1
        assert [(d["block"], d["offset"]) for d in told["damaged"]] == [(4, at[3])]
        p = codec("decode", tmp_path / "d.fgl")
        assert p.returncode == 7 and f"block 4 at byte {at[3]}" in p.stderr
    assert codec("inspect", tmp_path / "d.fgl").returncode == 7


def test_a_file_cut_off_gives_what_is_there(tmp_path, made):
    at = frames(made)
    for end, rows_left in ((at[10] + 10, 950), (at[10], 950), (at[9] + FRAME_BYTES + 3, 900), (at[5] + 7, 500), (at[0], 0)):
        rows, told = damaged(tmp_path, made[:end])
        assert len(rows) == rows_left and told["damaged"]
    for end in range(0, at[0], 7):
        (tmp_path / "d.fgl").write_bytes(made[:end])
        p = codec("decode", tmp_path / "d.fgl")
        assert p.returncode == (7 if end >= 8 else 1) and not p.stdout and "d.fgl" in p.stderr


def test_a_missing_block_and_one_too_many_are_noticed(tmp_path, made):
    at = frames(made)
    rows, told = damaged(tmp_path, made + b"x")
    assert len(rows) == 950 and told["damaged"][0]["why"] == "bytes behind the end"
    rows, told = damaged(tmp_path, made[:at[4]] + made[at[2]:at[3]] + made[at[4]:])
    assert len(rows) == 950 and told["damaged"][0]["why"] == "out of its place"
    rows, told = damaged(tmp_path, made[:at[4]] + made[at[6]:])
    assert len(rows) == 750 and told["lost_blocks"] == 2
    assert told["damaged"] == [{"block": 5, "offset": at[4], "why": "missing here"}]


def test_no_damage_crashes_it(tmp_path, made):
    rng = random.Random(7)
    for i in range(150):
        b = bytearray(made)
        for _ in range(rng.randint(1, 8)):
            b[rng.randrange(len(b))] = rng.randrange(256)
        if i % 3 == 0:
            at = rng.randrange(len(b))
            del b[at:at + rng.randint(1, 300)]
        (tmp_path / "d.fgl").write_bytes(b)
        assert codec("decode", tmp_path / "d.fgl").returncode in (0, 1, 7)
        assert codec("inspect", tmp_path / "d.fgl").returncode in (0, 1, 7)


def test_every_command_has_a_help_with_examples():
    for command in ("encode", "decode", "inspect", "compare"):
        text = ok(command, "--help")
        assert text.startswith(f"fogline-codec {command} - ") and f"\n  fogline-codec {command} " in text
        assert "--config" not in text and "-c FILE" not in text


def test_the_measurement_of_sets_names_what_is_no_table(tmp_path, walk):
    write(tmp_path / "junk.csv", "nothing\n")
    write(tmp_path / "words.csv", "time,word\n2026-01-01T00:00:00Z,on\n2026-01-01T00:00:01Z,off\n")
    program = os.path.join(system.build_dir(), "tests", "limits", "bench_codec")
    p = subprocess.run([program, "--rounds", "1", "--bounds", "1", *(str(tmp_path / n) for n in ("junk.csv", "walk.csv", "words.csv"))],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    assert "left out" in p.stderr and "junk.csv" in p.stderr
    got = json.loads(p.stdout)
    assert (got["files"], got["series"], got["samples"], got["exact"]) == (1, 1, 950, True)
    for n in ("pfor", "range"):
        assert 0 < got["sent"]["bytes_per_sample"][n] < got["bytes_per_sample"][n] < got["bytes_per_sample"]["raw"] == 8
        assert got["encode_m_s"][n] > 0 and got["decode_m_s"][n] > 0 and got["sent"]["decode_m_s"][n] > 0
        assert 0 < got["bounds"][0]["sent"][n] < got["sent"]["bytes_per_sample"][n]
    assert got["bounds"][0]["kept"] and 0 < got["bounds"][0]["largest_error_of_bound"] <= 1
