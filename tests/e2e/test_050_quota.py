"""A device whose store is too small for the time it is alone: a replay waits; live readings go on, and what is let go for them is
explained to the last sample."""
import os
import socket

from system import ledger, until

QUOTA = 128 * 1024
SMALL = {"store.quota_bytes": f"{QUOTA // 1024} KiB", "store.map_bytes": "4 MiB"}
MESSAGES = 3000


def send_numbers(path, count):
    """count datagrams, a number and a long text each; returns the numbers that were acknowledged. A few are under way at a time."""
    acked, waiting = set(), []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind("")
        s.connect(path)
        s.settimeout(5)
        for n in range(1, count + 1):
            s.send(b"n=%d pad=%s" % (n, b"x" * 200))
            waiting.append(n)
            while len(waiting) >= 8 or (n == count and waiting):
                if s.recv(256).startswith(b"ok"):
                    acked.add(waiting[0])
                waiting.pop(0)
    return acked


def exported_numbers(s, name):
    path = s.export(os.path.join(s.dir, "numbers.jsonl"), "jsonl", ["--select", f"s/{name}"])
    return [int(v["n"]) for _s, _d, _k, _t, v in ledger.export_rows(path)]


def test_what_a_lonely_device_lets_go_of_is_explained(make_system):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "socket", "name": "in"}], SMALL)
    s.setup()
    s.start("dev-1")
    acked = send_numbers(os.path.join(s.nodes["dev-1"].run_dir, "send.sock"), MESSAGES)
    assert len(acked) == MESSAGES, "a full store must not refuse live readings"
    until("the device has let go of records", lambda: s.counter("dev-1", "outbox.records_evicted") > 0)
    until("it keeps its quota", lambda: s.fact("dev-1", "held_bytes") <= QUOTA)
    s.start()
    g = s.wait_settled()
    numbers = exported_numbers(s, "dev-1")
    assert len(numbers) == len(set(numbers)) and set(numbers) <= acked
    assert g["balanced"] and g["samples"]["unexplained"] == 0
    mine = next(d for d in g["devices"] if d["device"] == "dev-1")
    assert mine["records"]["explained"].keys() == {"evicted"}
    samples = mine["samples"]
    assert samples["produced"] == 2 * MESSAGES and samples["held"] == 0
    assert samples["archived"] == 2 * len(numbers) > 0
    assert samples["explained"]["evicted"] == 2 * (MESSAGES - len(numbers)) > 0
    assert sorted(numbers) == list(range(MESSAGES - len(numbers) + 1, MESSAGES + 1)), "the newest stay, in one piece"
    events = next(lane for lane in mine["lanes"] if lane["lane"] == 1)
    assert events["records"]["explained_total"] == 0, f"{events} no event is let go for a reading"


def test_what_the_fog_has_is_not_lost_when_the_device_lets_go(make_system):
    """The cloud is away, the fog is there: let go at the device, archived all the same."""
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "socket", "name": "in"}], SMALL)
    s.setup()
    s.start()
    until("the link is open", lambda: s.fact("dev-1", "link") == "open")
    s.stop("cloud")
    acked = set()
    path = os.path.join(s.nodes["dev-1"].run_dir, "send.sock")
    while s.counter("dev-1", "outbox.records_evicted") == 0:
        acked |= {len(acked) + n for n in send_numbers(path, 100)}
        until("the fog has it all", lambda: s.counter("fog-a", "inbox.samples") == 2 * len(acked))
    s.start("cloud")
    g = s.wait_settled(40)
    assert len(exported_numbers(s, "dev-1")) == len(acked)
    assert g["samples"]["archived"] == g["samples"]["produced"] == 2 * len(acked), "archived wins over explained"
    assert g["balanced"] and g["samples"]["explained_total"] == 0


def test_a_replay_waits_for_room_and_loses_nothing(make_system):
    s = make_system().one_of_each(rows=12000, device=SMALL)
    s.start("dev-1")
    until("the replay waits", lambda: s.fact("dev-1", "replay_waits_for_room"))
    assert s.fact("dev-1", "held_bytes") <= QUOTA and s.counter("dev-1", "outbox.records_evicted") == 0
    s.start()
    s.wait_read()
    g = s.wait_settled()
    s.must_be_exact(g)
    assert g["records"]["explained_total"] == 0
