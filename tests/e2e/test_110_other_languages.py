"""A client that shares no code with Fogline and knows only its documents talks to a real fog."""
import os

import pytest

import fogline_client as fc
import system
from system import ledger, until

ROWS = 200


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    return fc.compile_protocol(os.path.join(system.ROOT, "proto"), str(tmp_path_factory.mktemp("proto")))


@pytest.fixture
def world(make_system, protocol):
    """A cloud and a fog; .client(name) makes clients."""
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.setup()
    s.start()
    clients = []

    def client(name, accepted=True, keys=None):
        c = fc.Client(protocol, name, s.nodes["fog-a"].link_key, s.nodes["fog-a"].pair.port, keys)
        if accepted:
            s.ctl("cloud", "enroll", "accept", name, c.keys.text(), "--site", "s")
            until("the fog knows " + name, lambda: any(n["node"] == name for n in s.ctl_json("fog-a", "enroll", "list")["nodes"]))
        clients.append(c)
        c.connect()
        return c
    s.client = client
    yield s
    for c in clients:
        c.close()


CHANNELS = [("flow", "m3/h", fc.DOUBLE), ("count", "1", fc.INT64), ("open", "", fc.BOOL), ("state", "", fc.TEXT)]


def columns(first, n):
    at = range(first, first + n)
    return [[None if i % 5 == 2 else (i - 70) / 7 * 10.0 ** (i % 40 - 20) for i in at], [(i - 100) << 40 for i in at],
            [i % 3 == 0 for i in at], [f"step {i} äß" if i % 10 == 0 else None for i in at]]


def test_a_python_client_is_a_device(world, tmp_path):
    c = world.client("py-1")
    c.add_event(fc.START)
    flow = c.add_set("pump", CHANNELS)
    expected = []
    for first in range(0, ROWS, 50):
        times = [1_700_000_000_000_000_000 + (first + i) * 1_000_003 for i in range(50)]
        cells = columns(first, 50)
        c.add_block(flow, times, cells)
        expected += [(t, {ch[0]: col[i] for ch, col in zip(CHANNELS, cells) if col[i] is not None}) for i, t in enumerate(times)]
    c.add_event(fc.NOTE, "hello from elsewhere", "pump")
    assert c.settle(20), f"states {c.n_states} marks {c.n_marks} stored {len(c.stored)} settled {len(c.settled)} of {len(c.held)}"
    assert c.n_marks > 0 and c.n_marks_false == 0 and len(c.archive_id) == 16
    assert c.stored == c.held.keys() == c.settled
    out = world.export(str(tmp_path / "out.jsonl"), "jsonl", ["--select", "s/py-1"])
    got = [(t, values) for _s, _d, _k, t, values in ledger.export_rows(out)]
    types = {ch[0]: {fc.DOUBLE: float, fc.INT64: int}.get(ch[2]) for ch in CHANNELS}

    def digests(rows):
        return sorted(ledger.digest(t, {k: types[k](v) if types[k] else str(v) for k, v in values.items()}) for t, values in rows)
    assert digests(got) == digests(expected)
    notes = [e for e in world.ctl("cloud", "events", "--json", "py-1").stdout.splitlines() if "hello from elsewhere" in e]
    assert len(notes) == 1
    c.hello()
    g = until("the ledger has the last report", lambda: c.hello() and c.receive(0.2) and (
        lambda g: g if g["records"]["held"] == 0 else None)(world.gaps()))
    mine = next(d for d in g["devices"] if d["device"] == "py-1")
    assert mine["records"]["produced"] == mine["records"]["archived"] == len(c.held) and g["balanced"]


def test_sending_everything_twice_archives_it_once(world, tmp_path):
    c = world.client("py-1")
    flow = c.add_set("pump", CHANNELS)
    c.add_block(flow, [10**18 + i for i in range(50)], columns(0, 50))
    assert c.settle(20)
    for _ in range(3):
        c.data(list(c.held))
    until("the fog has seen the doubles", lambda: world.counter("fog-a", "inbox.duplicates") >= 6)
    out = world.export(str(tmp_path / "out.jsonl"), "jsonl", ["--select", "s/py-1"])
    j = ledger.judge(out, None, "py-1")
    assert (j["rows_exported"], j["archived_twice"]) == (50, 0)


def test_a_key_nobody_accepted_gets_nowhere(world):
    known = world.client("py-1")
    stranger = world.client("py-1", accepted=False)  # the name is right, the key is not
    stranger.add_event(fc.START)
    assert not stranger.settle(3)
    assert stranger.n_states == 0
    until("the refused key is listed", lambda: world.ctl_json("fog-a", "enroll", "list")["refused"])
    known.add_event(fc.START)
    assert known.settle(20)


def test_the_wrong_server_key_gets_nowhere(world):
    c = world.client("py-1")
    c.upper = bytes(fc.Keys().transport.public_key)
    c.connect()
    c.add_event(fc.START)
    assert not c.settle(3) and c.n_states == 0


def test_words_in_the_name_of_others_are_dropped_and_counted(world, tmp_path):
    """A valid key: the records of somebody else under their name, messages signed with their name, tags made with the
    wrong key."""
    victim, c = world.client("py-1"), world.client("py-2")
    victim.add_event(fc.START)
    assert victim.settle(20)
    c.add_event(fc.START)
    assert c.settle(20)
    fog = lambda key: world.counter("fog-a", "inbox." + key)  # noqa: E731
    flow = c.add_set("pump", CHANNELS)
    forged = c.add_block(flow, [10**18 + i for i in range(50)], columns(0, 50))
    r = c.held[forged]
    dropped = fog("dropped_carry") + fog("dropped_epoch")
    c.data([], origin="py-1", epoch=victim.epoch, records=[r])
    until("a foreign origin is counted", lambda: fog("dropped_carry") + fog("dropped_epoch") > dropped)
    dropped = fog("dropped_sender")
    c.data([], sender="py-1", records=[r])
    until("a foreign sender is counted", lambda: fog("dropped_sender") > dropped)
    r.tag = b"\0" * 16
    assert not c.settle(2), "a record with a false tag must not settle"
    until("the false tag is counted", lambda: world.counter("cloud", "archive.wrong_tags_total") >= 1)
    j = ledger.judge(world.export(str(tmp_path / "out.jsonl"), "jsonl"), None)
    assert j["rows_exported"] == 0


def test_garbage_from_a_valid_key_hurts_nobody(world):
    c, other = world.client("py-1"), world.client("py-2")
    c.add_event(fc.START)
    assert c.settle(20)
    malformed = world.counter("fog-a", "inbox.malformed")
    for junk in (b"", b"\0", os.urandom(300), b"\xff" * 5000, c.p.hop.Up(format=0x0900, sender="py-1").SerializeToString()):
        c._push.send(junk)
    until("the garbage is counted", lambda: world.counter("fog-a", "inbox.malformed") >= malformed + 4)
    other.add_event(fc.START)
    assert other.settle(20)
    assert world.nodes["fog-a"].running
