"""fogline-model: what is imported computes what the graph says, mistakes are named and end in their exit code, damage is seen, and
a device says the same bits as the tool."""
import csv
import io
import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import system
from system import FIRST_S, replay, until

sys.path.insert(0, os.path.join(system.ROOT, "tests", "onnx"))
import onnx_bytes as onnx  # noqa: E402

WEIGHTS, BIAS = [[0.1, 0.2, 0.3], [-0.1, 0.5, 0.2]], [0.0, 0.1]
RECIPE = """channels pressure flow
absent hold
value pressure
lag flow n=1
ewma_mean pressure alpha=0.5
"""


def program():
    return os.path.join(system.build_dir(), "device", "fogline-model")


def model(*args, **kw):
    return subprocess.run([program(), *map(str, args)], timeout=120, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **kw)


def ok(*args, **kw):
    p = model(*args, **kw)
    assert p.returncode == 0, p.stderr
    return p.stdout


def graph(nodes=None, inputs=None, outputs=None, constants=None):
    """By default y = sigmoid(x W' + b), x of three numbers and y of two."""
    nodes = nodes or [onnx.node("Gemm", ["x", "w", "b"], ["h"], transB=1), onnx.node("Sigmoid", ["h"], ["y"])]
    constants = constants if constants is not None else [onnx.tensor("w", onnx.FLOAT, [2, 3], sum(WEIGHTS, [])),
                                                         onnx.tensor("b", onnx.FLOAT, [2], BIAS)]
    return onnx.model(nodes, constants, inputs or [onnx.port("x", onnx.FLOAT, ["N", 3])],
                      outputs or [onnx.port("y", onnx.FLOAT, ["N", 2])])


def expected(x):
    return [1 / (1 + math.exp(-(sum(w * v for w, v in zip(row, x)) + b))) for row, b in zip(WEIGHTS, BIAS)]


def near(got, want):
    return all(abs(float(g) - w) < 1e-6 for g, w in zip(got, want)) and len(got) == len(want)


def rows(text):
    return list(csv.reader(io.StringIO(text)))


@pytest.fixture
def folder(tmp_path):
    """Files of every kind, to be taken for another."""
    (tmp_path / "wear.onnx").write_bytes(graph())
    (tmp_path / "bad.onnx").write_bytes(graph([onnx.node("Frob", ["x"], ["y"])]))
    (tmp_path / "open.onnx").write_bytes(graph([onnx.node("Relu", ["x"], ["y"])], [onnx.port("x", onnx.FLOAT, ["N", "length"])],
                                               [onnx.port("y", onnx.FLOAT, ["N", "length"])], []))
    (tmp_path / "ints.onnx").write_bytes(graph([onnx.node("Relu", ["x"], ["y"])], [onnx.port("x", onnx.INT64, [1, 3])],
                                               [onnx.port("y", onnx.INT64, [1, 3])], []))
    (tmp_path / "plain.csv").write_text("a,b,c,note\n1,2,3,x\n4,,6,y\n-7,8,0.5,z\n")
    (tmp_path / "three.csv").write_text("a,b,c\n1,2,3\n4,,6\n-7,8,0.5\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "wear.features").write_text(RECIPE)
    (tmp_path / "odd.features").write_text("channels a\nvalue a\nmedian a n=3\n")
    (tmp_path / "narrow.features").write_text("channels a\nvalue a\n")
    ok("import", "wear.onnx", cwd=tmp_path)
    made = (tmp_path / "wear.fogmodel").read_bytes()
    (tmp_path / "cut.fogmodel").write_bytes(made[:300])
    ok("import", "wear.onnx", "-o", "with.fogmodel", "--recipe", "wear.features", cwd=tmp_path)
    return tmp_path


def test_a_graph_computes_what_it_says(folder):
    got = rows(ok("run", "wear.fogmodel", "three.csv", cwd=folder))
    assert got[0] == ["row", "y.0", "y.1"] and [r[0] for r in got[1:]] == ["0", "2"]
    for r, x in zip(got[1:], ([1, 2, 3], [-7, 8, 0.5])):
        assert near(r[1:], expected(x))
    told = [json.loads(line) for line in ok("run", "wear.fogmodel", "plain.csv", "--inputs", "c,b", "--inputs", "a", "--json", cwd=folder).splitlines()]
    assert [t["row"] for t in told] == [0, 2]
    assert near(list(told[0]["outputs"].values()), expected([3, 2, 1]))
    assert model("run", "wear.fogmodel", "three.csv", cwd=folder).stderr == (
        "three.csv: 1 rows left out: a cell is absent, and the model has no recipe\n")


def test_a_recipe_comes_before_it(folder):
    (folder / "pump.csv").write_text("time,flow,pressure\n" + "".join(
        f"2026-01-01T00:00:0{i}Z,{f},{p}\n" for i, (f, p) in enumerate([(1, 2), (3, 4), ("", 5), (6, "")])))
    got = rows(ok("run", "with.fogmodel", "pump.csv", cwd=folder))
    assert got[0] == ["time", "y.0", "y.1"] and [r[0] for r in got[1:]] == [f"2026-01-01T00:00:0{i}Z" for i in (1, 2, 3)]
    # pressure held, flow of the row before (held), mean of the pressure
    for r, x in zip(got[1:], ([4, 1, 3], [5, 3, 4], [5, 3, 4.5])):
        assert near(r[1:], expected(x))


def test_labels_and_texts_go_with_it(folder):
    ok("import", "wear.onnx", "-o", "l.fogmodel", "--name", "wear of pumps", "--set", "labels=ok,worn out", "--set", "version=3", cwd=folder)
    told = json.loads(ok("inspect", "l.fogmodel", "--json", cwd=folder))
    assert told["texts"] == {"name": "wear of pumps", "labels": "ok,worn out", "version": "3", "source": "wear.onnx"}
    assert told["signature"] == "none" and told["recipe"] is None
    assert [x["op"] for x in told["layers"]] == ["Gemm", "Sigmoid"]
    assert (told["operations"], told["layers"][0]["weight_bytes"], told["bytes"]) == (18, 32, os.path.getsize(folder / "l.fogmodel"))
    assert rows(ok("run", "l.fogmodel", "three.csv", cwd=folder))[0] == ["row", "y.ok", "y.worn_out"]
    # The same file each time.
    first = (folder / "l.fogmodel").read_bytes()
    ok("import", "wear.onnx", "-o", "l.fogmodel", "--name", "wear of pumps", "--set", "labels=ok,worn out", "--set", "version=3", cwd=folder)
    assert (folder / "l.fogmodel").read_bytes() == first
    assert json.loads(ok("inspect", "with.fogmodel", "--json", cwd=folder))["recipe"].splitlines()[-1] == "ewma_mean pressure alpha=0.5"


def test_open_dimensions_are_given(folder):
    told = json.loads(ok("import", "open.onnx", "--dim", "length=7", "--batch", 2, "--json", cwd=folder))
    assert (told["file"], told["nodes"]) == ("open.fogmodel", 1)
    assert json.loads(ok("inspect", "open.fogmodel", "--json", cwd=folder))["inputs"] == [{"name": "x", "type": "float32", "shape": [2, 7]}]
    ok("import", "open.onnx", "--dim", "x.1=5", cwd=folder)
    assert json.loads(ok("inspect", "open.fogmodel", "--json", cwd=folder))["outputs"][0]["shape"] == [1, 5]


def test_integers_are_taken_too(folder):
    ok("import", "ints.onnx", cwd=folder)
    assert rows(ok("run", "ints.fogmodel", "three.csv", cwd=folder)) == [["row", "y.0", "y.1", "y.2"], ["0", "1", "2", "3"], ["2", "0", "8", "0"]]


MISTAKES = [
    (["import", "none.onnx"], 6, "none.onnx: cannot be read: No such file or directory"),
    (["import", "bad.onnx"], 1, 'bad.onnx: node 0 "y" (Frob): the operator Frob is not supported; replace it in the model, or leave '
                                "that part of it to what follows"),
    (["import", "plain.csv"], 1, "plain.csv: the model: the bytes are cut off, damaged or no ONNX at all; export the model again"),
    (["import", "wear.fogmodel"], 1, "wear.fogmodel: is a model of Fogline already; what is in it shows: fogline-model inspect wear.fogmodel"),
    (["import", "wear.onnx", "-o", "wear.onnx"], 2, "wear.onnx: is the input itself; name another file with -o"),
    (["import", "wear.onnx", "-o", "."], 2, ".: is there and is no file; name a file with -o"),
    (["import", "wear.onnx", "-o", "no/where.fogmodel"], 1, "no/where.fogmodel: cannot be written: No such file or directory"),
    (["import", "open.onnx"], 1, 'open.onnx: dimension 1 of input "x", called length, is open; give it a number: --dim length=N'),
    (["import", "open.onnx", "--dim", "length"], 2, "--dim length: write NAME=N or INPUT.INDEX=N, such as --dim length=64 or --dim x.2=64"),
    (["import", "open.onnx", "--dim", "lenght=7"], 2,
     "--dim lenght=7: no input of open.onnx leaves that open; without --dim it says what is"),
    (["import", "wear.onnx", "--dim", "x.1=4"], 2, "--dim x.1=4: no input of wear.onnx leaves that open; without --dim it says what is"),
    (["import", "wear.onnx", "--set", "version"], 2, "--set version: write KEY=TEXT, such as --set version=3"),
    (["import", "wear.onnx", "--recipe", "none"], 6, "none: cannot be read: No such file or directory"),
    (["import", "wear.onnx", "--recipe", "odd.features"], 2,
     "odd.features:3: 'median' is no feature: value, lag, difference, window, ewma_mean, ewma_stddev, zscore, mean, stddev, min, max, "
     "rms, band, absent; or channels, hop, absent"),
    (["import", "wear.onnx", "--recipe", "narrow.features"], 2, "narrow.features: these features give 1 numbers, the model takes 3"),
    (["import", "ints.onnx", "--recipe", "wear.features"], 2,
     "--recipe: the model has 1 input, the first of type int64; features need one of float32"),
    (["inspect", "wear.onnx"], 1, "wear.onnx: is no model file; an ONNX file becomes one by: fogline-model import wear.onnx"),
    (["inspect", "cut.fogmodel"], 7, "cut.fogmodel: the model file is damaged: it has 300 bytes and should have SIZE; take another copy"),
    (["inspect", "none"], 6, "none: cannot be opened: No such file or directory"),
    (["run", "wear.fogmodel", "plain.csv", "--inputs", "a,b"], 2, "plain.csv: the model takes 3 columns, --inputs names 2"),
    (["run", "wear.fogmodel", "plain.csv", "--inputs", "a,b,d"], 2, "plain.csv: there is no column d, which --inputs names; there are: a, b, c, note"),
    (["run", "wear.fogmodel", "plain.csv", "--inputs", "a,b,note"], 2,
     "plain.csv: column note, which --inputs names, holds texts; a model takes numbers"),
    (["run", "with.fogmodel", "plain.csv"], 2,
     "plain.csv: there is no column pressure, which the recipe of the model wants (or say --inputs); there are: a, b, c, note"),
    (["run", "wear.fogmodel", "empty.csv"], 1, "empty.csv: no table in there: no line has two fields separated by , ; tab or |; a table is "
                                               "a CSV file with a row of names above its numbers"),
    (["run", "wear.fogmodel", "."], 1, ".: is no regular file; it is read twice, so a pipe must be saved first"),
    (["run", "wear.fogmodel"], 2, "too few arguments; usage: fogline-model run MODEL FILE.csv"),
    (["sign", "wear.fogmodel"], 2, "say with which key: --key KEYFILE; fogline-model keygen KEYFILE makes one"),
    (["verify", "wear.fogmodel"], 2, "say whose signature: --key HEX, as keygen printed it"),
    (["verify", "wear.fogmodel", "--key", "12"], 2, "--key 12: write the 64 hexadecimal digits that fogline-model keygen printed"),
    (["verify", "wear.fogmodel", "--key", "00" * 33], 2, f"--key {'00' * 33}: longer than the 64 hexadecimal digits of a key"),
    (["verify", "wear.fogmodel", "--key", "00" * 32], 4,
     "wear.fogmodel: is not signed; sign it with: fogline-model sign wear.fogmodel --key KEYFILE"),
    (["bench", "wear.fogmodel", "--seconds", "0"], 2, "--seconds: `0` is not a number of 1..3600"),
    (["impotr"], 2, "unknown command `impotr`; did you mean `import`; see: fogline-model --help"),
]


@pytest.mark.parametrize("args,code,text", MISTAKES, ids=[" ".join(m[0])[:60] for m in MISTAKES])
def test_mistakes_are_named(folder, args, code, text):
    text = text.replace("SIZE", str(os.path.getsize(folder / "wear.fogmodel")))
    before = sorted(os.listdir(folder))
    p = model(*args, cwd=folder)
    assert (p.stderr, p.returncode, p.stdout) == (f"fogline-model: {text}\n", code, "")
    assert sorted(os.listdir(folder)) == before
    p = model(*args, "--json", cwd=folder)
    assert json.loads(p.stderr) == {"error": text, "exit": code} and p.returncode == code


def test_who_signed_it(folder):
    key = ok("keygen", "models.key", cwd=folder).strip()
    other = ok("keygen", "other.key", cwd=folder).strip()
    assert len(key) == 64 and key != other and os.stat(folder / "models.key").st_mode & 0o777 == 0o400
    p = model("keygen", "models.key", cwd=folder)
    assert p.returncode == 1 and "never overwritten" in p.stderr
    before = json.loads(ok("inspect", "wear.fogmodel", "--json", cwd=folder))
    ok("sign", "wear.fogmodel", "--key", "models.key", cwd=folder)
    after = json.loads(ok("inspect", "wear.fogmodel", "--json", cwd=folder))
    assert (after["id"], after["signature"], after["key"]) == (before["id"], "good", key)
    assert ok("verify", "wear.fogmodel", "--key", other, "--key", key.upper(), cwd=folder) == f"wear.fogmodel: signed by {key}\n"
    p = model("verify", "wear.fogmodel", "--key", other, cwd=folder)
    assert (p.returncode, p.stderr) == (4, f"fogline-model: wear.fogmodel: is signed by another key, {key}\n")
    ok("sign", "wear.fogmodel", "--key", "other.key", "-o", "again.fogmodel", cwd=folder)
    ok("verify", "again.fogmodel", "--key", other, cwd=folder)
    ok("verify", "wear.fogmodel", "--key", key, cwd=folder)
    made = bytearray((folder / "wear.fogmodel").read_bytes())
    made[-1] ^= 1
    (folder / "wrong.fogmodel").write_bytes(made)
    p = model("verify", "wrong.fogmodel", "--key", key, cwd=folder)
    assert p.returncode == 7 and "the signature is wrong: the file was changed after it was signed" in p.stderr
    assert json.loads(ok("inspect", "wrong.fogmodel", "--json", cwd=folder))["signature"] == "wrong"
    os.chmod(folder / "models.key", 0o644)
    p = model("sign", "wear.fogmodel", "--key", "models.key", cwd=folder)
    assert p.returncode in (1, 4) and p.stderr.endswith("run: chmod 0400 'models.key'\n")
    p = model("sign", "wear.fogmodel", "--key", "none.key", cwd=folder)
    assert p.returncode == 6


def test_no_damage_crashes_it(folder):
    rng = random.Random(11)
    made, source = (folder / "with.fogmodel").read_bytes(), (folder / "wear.onnx").read_bytes()
    for i in range(60):
        for name, data in (("d.fogmodel", made), ("d.onnx", source)):
            b = bytearray(data)
            for _ in range(rng.randint(1, 8)):
                b[rng.randrange(len(b))] = rng.randrange(256)
            if i % 3 == 0:
                at = rng.randrange(len(b))
                del b[at:at + rng.randint(1, 100)]
            (folder / name).write_bytes(b)
        assert model("inspect", "d.fogmodel", cwd=folder).returncode in (1, 7)
        assert model("import", "d.onnx", "-o", "e.fogmodel", cwd=folder).returncode in (0, 1)


def test_a_measurement_names_the_kernel(folder):
    told = json.loads(ok("bench", "wear.fogmodel", "--json", cwd=folder))
    assert told["kernel"] in ("plain", "avx2", "avx-vnni", "avx512", "avx512-vnni", "neon")
    assert 0 < told["p50_us"] <= told["p99_us"] and told["runs"] >= 100 and told["operations_per_s"] > 0
    assert [x["op"] for x in told["layers"]] == ["Gemm", "Sigmoid"]
    assert "kernels" in ok("bench", "wear.fogmodel", cwd=folder)


def test_every_command_has_a_help_with_examples():
    top = ok("--help")
    for command in ("import", "inspect", "run", "bench", "keygen", "sign", "verify"):
        text = ok(command, "--help")
        assert text.startswith(f"fogline-model {command} - ") and f"\n  fogline-model {command} " in text
        assert "--config" not in text and f"\n  {command} " in top


def test_a_device_says_the_same_bits(make_system):
    s = make_system()
    rng = random.Random(4)
    recording = os.path.join(s.dir, "pump.csv")
    with open(recording, "w") as f:
        f.write("time,pressure,flow\n")
        for i in range(300):
            f.write(f"{FIRST_S + i}.0,{5 + rng.gauss(0, 1):.3f},{'' if i % 7 == 3 else format(20 + rng.gauss(0, 2), '.2f')}\n")
    for name, data in (("wear.onnx", graph()), ("wear.features", RECIPE.encode())):
        with open(os.path.join(s.dir, name), "wb") as f:
            f.write(data)
    key = ok("keygen", "models.key", cwd=s.dir).strip()
    ok("import", "wear.onnx", "--recipe", "wear.features", "--set", "labels=ok,worn", cwd=s.dir)
    ok("sign", "wear.fogmodel", "--key", "models.key", cwd=s.dir)
    source = {"type": "model", "name": "wear", "file": os.path.join(s.dir, "wear.fogmodel"), "keys": [key],
              "inputs": ["replay/pressure", "replay/flow"]}
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [replay(recording, "max"), source], {})
    s.inputs["dev-1"] = recording
    s.setup()
    s.start()
    until("the recording is read", lambda: next(x for x in s.fact("dev-1", "sources", [{"name": "replay", "state": ""}])
                                                if x["name"] == "replay")["state"] == "ended", 60)
    s.wait_settled()
    path = os.path.join(s.dir, "archive.jsonl")
    s.export(path, "jsonl", ["--select", "s/dev-1/wear.*", "--time", "unix_ns"])
    with open(path) as f:
        said = {r["time"]: [r["values"]["wear.y.ok"], r["values"]["wear.y.worn"]] for r in map(json.loads, f)}
    # Only what a device reads of the file: inputs in their order, whatever columns are called.
    tool = [json.loads(line) for line in ok("run", "wear.fogmodel", recording, "--json", cwd=s.dir).splitlines()]
    wanted = {(FIRST_S + t["row"]) * 10**9: [t["outputs"]["y.ok"], t["outputs"]["y.worn"]] for t in tool}
    assert len(wanted) == 299 and said == wanted


@pytest.mark.parametrize("first", ["damaged", "small"])
def test_what_a_model_knows_that_was_taken_while_running_outlives_a_stop(make_system, first):
    """It looks back 2 s at a reading each 10 ms; one that begins anew says nothing before they are full."""
    s = make_system()
    path = os.path.join(s.dir, "wear.fogmodel")
    with open(os.path.join(s.dir, "wear.onnx"), "wb") as f:
        f.write(graph())

    def make(name, lag):
        with open(os.path.join(s.dir, "wear.features"), "w") as f:
            f.write(RECIPE.replace("lag flow n=1", f"lag flow n={lag}"))
        ok("import", "wear.onnx", "--recipe", "wear.features", "-o", name, cwd=s.dir)

    if first == "small":
        make(path, 1)
    else:
        with open(path, "wb") as f:
            f.write(b"no model")
    source = {"type": "model", "name": "wear", "file": path, "allow_unsigned": True, "inputs": ["pump/pressure", "pump/flow"]}
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "plant", "name": "pump", "interval_ms": "10 ms"}, source], {})
    s.setup()
    s.start()

    def said(after=0):
        out = os.path.join(s.dir, "archive.jsonl")
        s.export(out, "jsonl", ["--select", "s/dev-1/*", "--time", "unix_ns"])
        with open(out) as f:
            rows = [(r["time"], r["values"]) for r in map(json.loads, f) if r["time"] > after]
        return (sorted(t for t, v in rows if "flow" in v), sorted(t for t, v in rows if any(k.startswith("wear.y") for k in v)))

    until("it reads", lambda: said()[0])
    make("new.fogmodel", 200)
    os.replace(os.path.join(s.dir, "new.fogmodel"), path)
    s.signal("dev-1", signal.SIGHUP)
    before = time.time_ns()
    until("the other model says something", lambda: said(before + 2 * 10**9)[1], 30)
    s.stop("dev-1")
    stopped = time.time_ns()
    s.start("dev-1")
    flow, wear = until("it says something", lambda: (lambda x: x if len(x[1]) > 0 else None)(said(stopped)), 30)
    assert sum(t < wear[0] for t in flow) < 50
