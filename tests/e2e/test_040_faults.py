"""Links, disks and processes fail under load: everything arrives, once."""
import os
import shutil
import signal
import time

import pytest

from system import until

RATE = {"interval_ms": 2, "speed": "1"}  # 500 rows/s, as recorded
SMALL_BLOCKS = {"pack.rows": 20}
ROWS = 3000


def begin(s):
    """Devices start when their fogs know them, so that the input is not over before the link is open."""
    fogs = [n.name for n in s.of_tier("fog")]
    s.start("cloud", *fogs)
    for name in fogs:
        until(f"{name} knows its devices", lambda: s.fact(name, "node_list_version"))
    s.start(*[n.name for n in s.of_tier("device")])


def flows(s, name="cloud", key="archive.samples_total"):
    """Waits until a counter has grown once more."""
    before = s.counter(name, key)
    return until(f"{key} of {name} grows", lambda: s.counter(name, key) > before)


def finish(s, timeout=40):
    s.wait_read(timeout=timeout)
    s.must_be_exact(s.wait_settled(timeout))


@pytest.mark.parametrize("fault", ["cut", "freeze"])
@pytest.mark.parametrize("lower,upper", [("fog-a", "cloud"), ("dev-1", "fog-a")])
def test_a_link_goes_and_comes_back(make_system, lower, upper, fault):
    """cut: connections are reset and refused; freeze: nothing moves and nobody says so."""
    s = make_system(by_relay=("device", "fog")).one_of_each(rows=ROWS, device=SMALL_BLOCKS, **RATE)
    begin(s)
    flows(s)
    link = s.link(lower, upper)
    getattr(link, fault)()
    until(f"{lower} holds more than before", lambda: s.held_records(lower) >= 5)
    archived = s.archived_samples()
    s.wait_read()
    assert s.held_records("dev-1") > 0 and s.archived_samples() <= archived + 4000
    g = s.gaps()
    assert g["balanced"], "while it is cut, what was reported is held, not missing"
    started = time.monotonic()
    link.restore() if fault == "cut" else link.thaw()
    flows(s)
    print(f"flowing {time.monotonic() - started:.1f} s after the link came back")
    assert time.monotonic() - started < 15
    finish(s)


def test_the_fogs_store_is_deleted_under_load(make_system):
    s = make_system(by_relay=("fog",)).one_of_each(rows=ROWS, device=SMALL_BLOCKS, **RATE)
    begin(s)
    flows(s)
    s.link("fog-a", "cloud").cut()  # the fog has what the cloud has not
    until("the fog holds something", lambda: s.held_records("fog-a") >= 5)
    s.kill("fog-a")
    shutil.rmtree(os.path.join(s.nodes["fog-a"].state_dir, "spool"))
    s.start("fog-a")
    s.link("fog-a", "cloud").restore()
    finish(s)
    assert s.gaps()["records"]["explained_total"] == 0


def test_everything_is_killed_and_started_at_once(make_system):
    s = make_system().one_of_each(rows=ROWS, device=SMALL_BLOCKS, **RATE)
    begin(s)
    for _ in range(2):
        flows(s)
        s.kill_all()
        s.start(wait=False)  # in no order
        for name in s.nodes:
            s.wait_ready(name)
    finish(s)


def test_the_cloud_stands_still_and_goes_on(make_system):
    s = make_system().one_of_each(rows=ROWS, device=SMALL_BLOCKS, **RATE)
    begin(s)
    flows(s)
    s.signal("cloud", signal.SIGSTOP)
    s.wait_read()
    until("the fog holds what came meanwhile", lambda: s.held_records("fog-a") > 0)
    assert s.ctl_json("cloud", "gaps")["balanced"], "readable while it stands still"
    s.signal("cloud", signal.SIGCONT)
    finish(s)


@pytest.mark.parametrize("returns", [True, False])
def test_a_device_goes_over_to_its_second_fog(make_system, returns):
    s = make_system(by_relay=("fog",))
    s.add_cloud()
    for fog in ("fog-a", "fog-b"):
        s.add_fog(fog, "s")
    s.add_replay("dev-1", "s", ["fog-a", "fog-b"], ROWS, config=SMALL_BLOCKS, **RATE)
    s.setup()
    begin(s)
    flows(s)
    s.link("fog-a", "cloud").cut()
    until("the first fog alone has something", lambda: s.held_records("fog-a") >= 5)
    s.kill("fog-a")
    started = time.monotonic()
    until("readings arrive through the second fog", lambda: s.counter("fog-b", "inbox.samples") > 0, timeout=30)
    seconds = time.monotonic() - started
    print(f"first rows through the second fog after {seconds:.1f} s")
    assert seconds < 12
    if returns:
        s.link("fog-a", "cloud").restore()
        s.start("fog-a")
        finish(s)
    else:
        s.wait_read()
        until("the device has let go of everything", lambda: s.held_records("dev-1") == 0)
        s.must_be_exact()


def test_a_reboot_of_every_tier_loses_nothing(make_system):
    """As after a loss of power: nothing under /run, so no tier can prove that it goes on where it stopped."""
    s = make_system().one_of_each(rows=ROWS, device=SMALL_BLOCKS, **RATE)
    begin(s)
    for name in ("dev-1", "fog-a", "cloud"):
        flows(s)
        s.kill(name)
        shutil.rmtree(s.nodes[name].run_dir)
        s.start(name)
    finish(s)
