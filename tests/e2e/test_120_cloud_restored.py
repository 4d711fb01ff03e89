"""The archive put back from a copy, or made anew: with the operator's word all go on under its new id, what nodes still hold comes
again, and what nobody has any more is said to be lost with the archive."""
import glob
import os
import shutil
import time

from system import until

SLOW = {"interval_ms": 5, "speed": "1"}


def gaps_of(s, device):
    return next(d for d in s.gaps()["devices"] if d["device"] == device)


def archived(s, device):
    return next((d["samples"]["archived"] for d in s.gaps()["devices"] if d["device"] == device), 0)


def copy_of(s):
    """Copies the stopped cloud's state folder; the copy's path."""
    copy = os.path.join(s.dir, "copy")
    shutil.copytree(s.nodes["cloud"].state_dir, copy)
    return copy


def put_back(s, copy):
    state = s.nodes["cloud"].state_dir
    shutil.rmtree(state)
    shutil.copytree(copy, state)
    os.chmod(state, 0o700)


def settled_samples(s, name):
    """What the device made and holds no more."""
    stat = s.ctl_json(name, "store", "stat")
    return sum(l["produced_samples"] - l["held_samples"] for x in stat["streams"] if x["own"] for l in x["lanes"])


def knows(s, name):
    return s.counter(name, "outbox.archives_taken") > 0


def must_balance_but_for_the_archive(s, g):
    """All that was made is archived or lost with the archive, in records and samples, and the input agrees."""
    lost = {}
    assert g["balanced"], g
    for d in g["devices"]:
        for unit in ("records", "samples"):
            c = d[unit]
            assert c["held"] == 0 and c["unexplained"] == 0, d
            assert set(c["explained"]) <= {"lost_archive"}, d
            assert c["produced"] == c["archived"] + c["explained_total"], d
        lost[d["device"]] = d["samples"]["explained"].get("lost_archive", 0)
    for name in s.inputs:
        j = s.judge(name)
        assert j["foreign"] == 0 and j["archived_twice"] == 0, j
        assert (j["missing"] > 0) == (lost[name] > 0), (j, lost)
        assert j["samples_exported"] == next(d["samples"]["archived"] for d in g["devices"] if d["device"] == name), j
    return lost


def run_copy_and_on(s):
    """Runs, copies, runs on until dev-1 has let go of more, stops the cloud. The copy, and what dev-1 had then settled since."""
    s.start()
    until("something is archived", lambda: archived(s, "dev-1") > 600)
    s.stop("cloud")
    copy = copy_of(s)
    s.start("cloud")
    before = settled_samples(s, "dev-1")
    until("more is settled", lambda: settled_samples(s, "dev-1") > before + 600)
    s.stop("cloud")
    return copy


def test_a_cloud_put_back_from_a_copy_goes_on_and_says_what_is_lost(make_system):
    s = make_system().one_of_each(rows=3000, **SLOW)
    copy = run_copy_and_on(s)
    put_back(s, copy)
    said = s.ctl_json("cloud", "store", "restored")
    assert os.path.exists(os.path.join(s.nodes["cloud"].state_dir, "archive.doc"))
    s.start("cloud")
    assert f"archive_id={said['archive_id']}" in s.log_of("cloud")
    assert not os.path.exists(os.path.join(s.nodes["cloud"].state_dir, "restored"))
    for name in ("fog-a", "dev-1"):
        until(f"{name} knows the new archive", lambda: knows(s, name))
    s.wait_read()
    g = s.wait_settled(40)
    lost = must_balance_but_for_the_archive(s, g)
    assert lost["dev-1"] >= 400
    text = s.ctl("cloud", "gaps").stdout
    assert "lost_archive" in text
    # a restart of each keeps it so
    for name in ("fog-a", "dev-1", "cloud"):
        s.restart(name)
    assert s.wait_settled()["balanced"]


def test_what_a_fog_let_go_and_its_device_still_holds_comes_again(make_system):
    """The fog has given everything to the cloud and let go, but the marks did not reach the device: the fog must not go on saying
    that these are stored."""
    s = make_system(by_relay=("device",)).one_of_each(rows=400)
    s.start("cloud", "fog-a")
    until("the fog has the list of nodes", lambda: s.fact("fog-a", "node_list_version", 0) >= 2)
    s.stop("cloud")
    copy = copy_of(s)
    s.start("dev-1")
    s.wait_read()
    until("all is in the fog", lambda: s.held_records("fog-a") >= s.held_records("dev-1") > 0)
    s.link("dev-1", "fog-a").cut()
    held = s.held_samples("dev-1")
    s.start("cloud")
    until("the fog has let go", lambda: s.held_records("fog-a") == 0 and archived(s, "dev-1") >= held)
    s.stop("cloud")
    put_back(s, copy)
    s.ctl("cloud", "store", "restored")
    s.start("cloud")
    until("the fog knows the new archive", lambda: knows(s, "fog-a"))
    s.link("dev-1", "fog-a").restore()
    g = s.wait_settled(40)
    lost = must_balance_but_for_the_archive(s, g)
    assert lost["dev-1"] == 0
    assert not any(s.judge("dev-1")[k] for k in ("missing", "foreign", "archived_twice"))


def test_the_same_copy_put_back_twice_and_a_device_linked_directly(make_system):
    s = make_system()
    s.add_cloud()
    s.add_replay("dev-1", "s", ["cloud"], 5000, **SLOW)
    s.setup()
    copy = run_copy_and_on(s)
    for _ in range(2):
        put_back(s, copy)
        s.ctl("cloud", "store", "restored")
        taken = s.counter("dev-1", "outbox.archives_taken")
        s.start("cloud")
        until("the device knows", lambda: s.counter("dev-1", "outbox.archives_taken") > taken)
        at = archived(s, "dev-1")
        until("it flows", lambda: archived(s, "dev-1") > at + 100)
        s.stop("cloud")
        second = int(time.time())
        until("the next word gets a later version: versions are seconds", lambda: int(time.time()) > second + 1)
    s.start("cloud")
    s.wait_read()
    assert must_balance_but_for_the_archive(s, s.wait_settled(40))["dev-1"] > 0


def test_an_archive_moved_away_is_replaced_when_the_operator_says_so(make_system):
    s = make_system().one_of_each(rows=2500, **SLOW)
    s.start()
    until("something is settled", lambda: settled_samples(s, "dev-1") > 600)
    s.stop("cloud")
    for path in glob.glob(os.path.join(s.nodes["cloud"].state_dir, "archive", "data.mdb")):
        with open(path, "r+b") as f:
            f.write(b"\xff" * 16384)
    s.start("cloud")
    assert "archive_made_anew" in s.log_of("cloud") and "cloudctl store restored" in s.log_of("cloud")
    until("the status says what to do", lambda: "store restored" in (s.fact("cloud", "archive_hint") or ""))
    assert "store restored" in s.ctl("cloud", "status").stdout
    s.restart("cloud")
    until("it still does after a restart", lambda: "store restored" in (s.fact("cloud", "archive_hint") or ""))
    s.ctl("cloud", "store", "restored")
    s.restart("cloud")
    s.wait_read()
    lost = must_balance_but_for_the_archive(s, s.wait_settled(40))
    assert lost["dev-1"] >= 400
    until("nothing is left to do", lambda: s.fact("cloud", "archive_hint") is None)
    # one that was never told of the former archive: its first start is on the new one
    s.add_replay("dev-2", "s", ["fog-a"], 100)
    s.start("dev-2")
    s.wait_read("dev-2")
    s.wait_settled()
    assert archived(s, "dev-2") > 0


def test_the_word_survives_a_death_of_tool_or_daemon_anywhere(make_system):
    s = make_system().one_of_each(rows=50)
    s.start()
    s.wait_read()
    s.wait_settled()
    s.stop("cloud")
    state = s.nodes["cloud"].state_dir
    pending, word = os.path.join(state, "restored"), os.path.join(state, "archive.doc")

    def id_now():
        return until("the status is there", lambda: (s.fact("cloud", "store") or {}).get("archive_id"))
    s.start("cloud")
    first = id_now()
    s.stop("cloud")
    s.ctl("cloud", "store", "restored")
    with open(pending) as f:
        named = f.read().strip()
    os.remove(pending)  # died between the word and the rest
    s.start("cloud")
    assert "archive_word_of_another" in s.log_of("cloud") and id_now() == first
    s.stop("cloud")
    s.ctl("cloud", "store", "restored")
    with open(pending) as f:
        renamed = f.read().strip()
    assert renamed not in (first, named)
    s.start("cloud")
    until("it has the new name", lambda: id_now() == renamed)
    s.kill("cloud")
    with open(pending, "w") as f:  # died between the commit and the removal
        f.write(renamed + "\n")
    s.start("cloud")
    assert id_now() == renamed and not os.path.exists(pending)
    for name in ("fog-a", "dev-1"):
        until(f"{name} knows", lambda: knows(s, name))
    s.stop("cloud")
    with open(word, "r+b") as f:  # not the operator's any more: not handed down, and said
        f.seek(-1, os.SEEK_END)
        last = f.read(1)
        f.seek(-1, os.SEEK_END)
        f.write(bytes([last[0] ^ 1]))
    s.start("cloud")
    until("it says so", lambda: "archive_word_refused" in s.log_of("cloud"))
    s.ctl("cloud", "store", "restored")
    os.rename(os.path.join(state, "operator.key"), os.path.join(s.dir, "operator.key"))
    p = s.ctl("cloud", "store", "restored", check=False)
    assert p.returncode == 6 and "operator.key" in p.stderr, p
