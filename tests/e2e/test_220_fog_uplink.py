"""What goes up of a site's readings, by pattern: the rest stays at the fog, is told in the ledger, and nothing is unexplained, over kill -9."""
import os

from system import FIRST_S, replay, until

ROWS = 20000


def write_pump(path, rows):
    with open(path, "w") as f:
        f.write("time,pressure,flow\n")
        for i in range(rows):
            f.write(f"{FIRST_S + i}.0,{5 + i % 7 / 10},{20 + i % 11}\n")
    return path


def site(make_system, fog, cloud=None, devices=("dev-1",), rows=ROWS, speed=8000):
    s = make_system()
    s.add_cloud(config={"reduce_sites": ["s"]} if cloud is None else cloud)
    s.add_fog("fog-a", "s", config=fog)
    for name in devices:
        s.add_device(name, "s", ["fog-a"], [replay(write_pump(os.path.join(s.dir, name + ".csv"), rows), speed)])
    s.setup()
    return s


def readings(s, node, device):
    """Lines of `export` there about a device."""
    return sorted(s.ctl(node, "export", "--select", f"s/{device}").stdout.splitlines()[1:])


def of_device(gaps, name):
    return next(d for d in gaps["devices"] if d["device"] == name)


def test_what_is_local_stays_over_kills_and_is_explained(make_system):
    s = site(make_system, {"uplink": [{"select": "s/dev-1", "send": "local"}]}, devices=("dev-1", "dev-2"))
    s.start()
    for at in (5000, 15000, 25000):
        until(f"{at} readings are in the history", lambda at=at: len(readings(s, "fog-a", "dev-1")) > at)
        s.kill("fog-a")
        s.start("fog-a")
    s.wait_read()
    g = s.wait_settled(60)
    assert g["balanced"] and g["records"]["unexplained"] == 0 and g["samples"]["unexplained"] == 0, g
    there, here = readings(s, "cloud", "dev-1"), readings(s, "fog-a", "dev-1")
    assert len(here) == len(set(here)) == 2 * ROWS
    # What may have been given to another fog goes up, whatever the list says: what is there is nowhere twice.
    assert len(there) == len(set(there)) < len(here) / 2 and set(there) <= set(here)
    mine = of_device(g, "dev-1")
    assert set(mine["records"]["explained"]) == {"local"}
    assert mine["samples"]["explained"]["local"] == 2 * ROWS - len(there)
    assert len(readings(s, "cloud", "dev-2")) == 2 * ROWS
    assert of_device(g, "dev-2")["records"]["explained_total"] == 0


def test_a_cloud_that_does_not_allow_it_gets_all(make_system):
    s = site(make_system, {"uplink": [{"select": "s/dev-1", "send": "local"}]}, cloud={}, rows=ROWS // 4, speed=200)
    s.start()
    until("the fog knows it", lambda: s.fact("fog-a", "covers", {}).get("refused_devices", 0) > 0, 60)
    until("records go up again", lambda: s.counter("fog-a", "uplink.blocks_refused") > 0)
    s.wait_read()
    assert readings(s, "cloud", "dev-1")
    assert s.fact("fog-a", "covers")["a_refused_device"] == "dev-1"
    g = s.gaps()
    assert g["records"]["unexplained"] == 0 and g["samples"]["unexplained"] == 0
    assert of_device(g, "dev-1")["records"]["explained_total"] == 0
