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


@pytest.mark.parametrize("seed", range(2))
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
