"""The cloud's disk dies: put back from a copy, or begun anew. What the nodes still hold arrives; what was settled meanwhile is
explained as lost with the archive; nothing counts twice."""
import os
import shutil

from system import until


def folder(s):
    return os.path.join(s.nodes["cloud"].state_dir, "archive")


def more_rows(s, rows, name):
    s.nodes["dev-1"].sources.append({"type": "plant", "name": name, "interval_ms": "1 ms", "rows": rows, "fast": True})
    s.write_config("dev-1")
    s.restart("dev-1")
    s.wait_read()


def restore(s, put_back):
    """As the manual says: stop, put the copy back, say so, start."""
    s.stop("cloud")
    shutil.rmtree(folder(s))
    put_back()
    said = s.ctl("cloud", "store", "restored").stdout
    assert "next start" in said
    s.start("cloud")
    until("it goes on under another id", lambda: s.status("cloud")["facts"]["store"]["archive_id"] in said)


def explained(g):
    return next(d for d in g["devices"] if d["device"] == "dev-1")["samples"]


def test_a_cloud_put_back_from_a_copy_gets_what_the_nodes_hold(make_system):
    s = make_system(by_relay=("fog",)).one_of_each(rows=1000)
    s.start()
    s.wait_read()
    s.must_be_exact(s.wait_settled())
    copy = shutil.copytree(folder(s), os.path.join(s.dir, "copy"), ignore=shutil.ignore_patterns("lock.mdb"))
    more_rows(s, 500, "settled-since")  # the copy does not have these, and nobody holds them any more
    s.wait_settled()
    s.link("fog-a", "cloud").cut()
    more_rows(s, 700, "held")
    restore(s, lambda: shutil.copytree(copy, folder(s)))
    s.link("fog-a", "cloud").restore()
    g = s.wait_settled(60)
    assert g["balanced"] and g["samples"]["unexplained"] == 0
    mine = explained(g)
    assert set(mine["explained"]) == {"lost_archive"}, mine
    j = s.judge("dev-1")
    assert j["missing"] == j["archived_twice"] == 0 and j["rows_exported"] == 1000 + 700
    assert mine["produced"] == s.produced_samples("dev-1") == mine["archived"] + mine["explained_total"]
    assert mine["archived"] == j["samples_exported"]


def test_a_cloud_begun_anew_loses_only_what_was_settled(make_system):
    s = make_system(by_relay=("fog",)).one_of_each(rows=1000)
    s.start()
    s.wait_read()
    s.wait_settled()
    s.link("fog-a", "cloud").cut()
    more_rows(s, 700, "held")
    restore(s, lambda: None)
    s.link("fog-a", "cloud").restore()
    g = s.wait_settled(60)
    assert g["balanced"] and g["samples"]["unexplained"] == 0
    j = s.judge("dev-1")
    assert j["archived_twice"] == 0 and j["rows_exported"] == 700
    mine = explained(g)
    assert mine["produced"] == s.produced_samples("dev-1") == mine["archived"] + mine["explained_total"]
