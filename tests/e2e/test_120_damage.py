"""Stores that come back damaged: the tier starts, says what it found, and everything still arrives."""
import os
import random

import pytest

from system import ledger, until

PAGE = 4096


def data_file(s, name, folder="spool"):
    return os.path.join(s.nodes[name].state_dir, folder, "data.mdb")


def flip_bytes(path, seed, pages, skip_meta=True):
    """Some bytes of used pages, as a dying disk leaves them."""
    rng = random.Random(seed)
    with open(path, "r+b") as f:
        used = [n for n in range(2 if skip_meta else 0, os.path.getsize(path) // PAGE) if f.seek(n * PAGE) >= 0 and any(f.read(PAGE))]
        for n in rng.sample(used, min(pages, len(used))):
            f.seek(n * PAGE + rng.randrange(16, PAGE))
            f.write(bytes([rng.randrange(256)]))


def zero_pages(path, *_):
    with open(path, "r+b") as f:
        f.seek(2 * PAGE)
        f.write(bytes(200 * PAGE))


def truncate(path, *_):
    os.truncate(path, 3 * PAGE)


def lose_meta(path, *_):
    with open(path, "r+b") as f:
        f.write(os.urandom(2 * PAGE))


def a_fog_full_of_what_the_cloud_has_not(make_system):
    s = make_system(by_relay=("fog",)).one_of_each(rows=3000)
    s.start()
    until("the link is up", lambda: s.archived_samples() > 0)
    s.link("fog-a", "cloud").cut()
    s.nodes["dev-1"].sources.append({"type": "plant", "name": "more", "interval_ms": "1 ms", "rows": 2000, "fast": True})
    s.write_config("dev-1")
    s.restart("dev-1")
    s.wait_read()
    until("the fog has it all", lambda: s.fact("dev-1", "waiting_records") == 0 and s.held_records("fog-a") > 20)
    s.stop("fog-a")
    return s


@pytest.mark.parametrize("damage", [flip_bytes, zero_pages, truncate, lose_meta])
def test_a_damaged_fog_starts_and_nothing_is_lost(make_system, damage):
    s = a_fog_full_of_what_the_cloud_has_not(make_system)
    damage(data_file(s, "fog-a"), 1, 400)
    p = s.ctl("fog-a", "store", "verify", check=False)
    assert p.returncode == 7, (p.returncode, p.stdout, p.stderr)
    s.link("fog-a", "cloud").restore()
    s.start("fog-a", timeout=60)
    log = s.log_of("fog-a")
    assert "store_quarantined" in log or "store_damaged" in log
    if "store_quarantined" in log:
        until("it is counted", lambda: s.counter("fog-a", "fog.stores_quarantined") == 1)
        folder = os.path.dirname(os.path.dirname(data_file(s, "fog-a")))
        assert [d for d in os.listdir(folder) if d.startswith("spool") and d != "spool"], "kept aside, not deleted"
    g = s.wait_settled(60)
    j = s.judge("dev-1")  # the plant's rows are none of the file's
    assert j["missing"] == j["archived_twice"] == 0
    assert g["samples"]["produced"] == g["samples"]["archived"] == s.produced_samples("dev-1")


def flip_in_every(path, text):
    """Wherever a text stands in the file, one bit of it."""
    with open(path, "rb") as f:
        raw = f.read()
    assert text in raw
    with open(path, "wb") as f:
        f.write(raw.replace(text, text[:-1] + bytes([text[-1] ^ 1])))


def write_raw(s, name):
    """So that a text of a row stands in the file as it is."""
    s.nodes[name].sources[0]["encoding"] = "raw"
    s.write_config(name)
    return s


def test_a_damaged_record_in_a_fog_is_given_again_by_its_device(make_system):
    """One value of many: the store goes on, the value is never forwarded, and the device does not take it for stored for ever."""
    s = write_raw(make_system(by_relay=("fog",)).one_of_each(rows=3000), "dev-1")
    s.start("cloud", "fog-a")
    until("the fog knows its devices", lambda: s.fact("fog-a", "node_list_version"))
    s.link("fog-a", "cloud").cut()
    s.start("dev-1")
    s.wait_read()
    until("the fog has it all", lambda: s.held_records("fog-a") >= s.held_records("dev-1") > 20)
    s.stop("fog-a")
    flip_in_every(data_file(s, "fog-a"), b"step 1000")
    assert s.ctl("fog-a", "store", "verify", check=False).returncode == 7
    s.link("fog-a", "cloud").restore()
    s.start("fog-a")
    assert "store_damaged" in s.log_of("fog-a") and "store_quarantined" not in s.log_of("fog-a")
    g = s.wait_settled()
    s.must_be_exact(g)
    assert g["records"]["explained_total"] == 0
    until("it is counted", lambda: s.counter("fog-a", "outbox.records_damaged") > 0)


def test_a_damaged_record_of_a_device_is_explained(make_system):
    """It is nowhere else: lost, and said so."""
    s = write_raw(make_system().one_of_each(rows=3000), "dev-1")
    s.start("dev-1")
    s.wait_read()
    until("it is durable", lambda: s.held_records("dev-1") > 20)
    s.stop("dev-1")
    flip_in_every(data_file(s, "dev-1"), b"step 1000")
    s.start()
    g = s.wait_settled()
    assert g["balanced"] and g["samples"]["unexplained"] == 0
    mine = next(d for d in g["devices"] if d["device"] == "dev-1")
    assert mine["records"]["explained"] == {"corrupt": 1}
    j = s.judge("dev-1")
    assert j["missing"] == 100 and j["foreign"] == j["archived_twice"] == 0
    samples = mine["samples"]
    assert samples["produced"] == j["samples_in"]
    assert samples["archived"] == j["samples_exported"]


@pytest.mark.parametrize("seed", range(1))
def test_some_flipped_bytes_never_make_a_wrong_reading(make_system, seed):
    s = a_fog_full_of_what_the_cloud_has_not(make_system)
    flip_bytes(data_file(s, "fog-a"), seed, 12)
    s.link("fog-a", "cloud").restore()
    s.start("fog-a", timeout=60)
    g = s.wait_settled(60)
    j = s.judge("dev-1")
    assert j["missing"] == j["archived_twice"] == 0
    assert g["samples"]["archived"] == g["samples"]["produced"]


@pytest.mark.parametrize("damage", [truncate, lose_meta])
def test_a_damaged_device_starts_with_a_new_store_and_the_loss_is_shown(make_system, damage):
    """What only the device had is gone with its disk: the ledger says so, and what it reads from now on arrives."""
    s = make_system().one_of_each(rows=500)
    s.start()
    s.wait_read()
    s.wait_settled()
    s.stop("dev-1")
    damage(data_file(s, "dev-1"))
    s.start("dev-1", timeout=60)
    assert "store_quarantined" in s.log_of("dev-1")
    until("it is counted", lambda: s.counter("dev-1", "io.stores_quarantined") == 1)
    s.wait_read()  # the read position was in the store: the file is read once more, as new records
    g = s.wait_settled(60)
    assert g["balanced"] and g["records"]["unexplained"] == 0
    j = s.judge("dev-1")
    assert j["missing"] == 0 and j["rows_exported"] == 2 * j["rows_in"]


def test_a_damaged_archive_is_found_by_verify_and_never_read_as_good(make_system):
    s = make_system().one_of_each(rows=3000)
    s.start()
    s.wait_read()
    s.must_be_exact(s.wait_settled())
    s.stop()
    for seed in range(20):  # many pages of the file are free
        flip_bytes(data_file(s, "cloud", "archive"), seed, 5)
        if s.ctl("cloud", "store", "verify", check=False).returncode != 0:
            break
    assert s.ctl("cloud", "store", "verify", check=False).returncode == 7
    out = os.path.join(s.dir, "damaged.jsonl")
    p = s.ctl("cloud", "export", "--format", "jsonl", check=False)
    with open(out, "w") as f:
        f.write(p.stdout)
    assert p.returncode == 7 and p.stderr
    j = ledger.judge(out, s.inputs["dev-1"], "dev-1")
    assert j["foreign"] == 0 and j["archived_twice"] == 0, "what is read is what was written"
