"""devicectl send and the socket behind it: a reading that was acknowledged is in the store, whatever happens next."""
import os
import socket

from system import ledger, until


def with_socket(make_system):
    s = make_system()
    s.add_cloud()
    s.add_fog("fog-a", "s")
    s.add_device("dev-1", "s", ["fog-a"], [{"type": "socket", "name": "in"}])
    s.setup()
    return s


def exported(s):
    path = s.export(os.path.join(s.dir, "sent.jsonl"), "jsonl")
    return [(t, values) for _s, _d, _k, t, values in ledger.export_rows(path)]


def test_what_was_acknowledged_survives_a_kill_at_once(make_system):
    s = with_socket(make_system)
    s.start("dev-1")
    for i in range(5):
        got = s.ctl_json("dev-1", "send", f"n={i}", "open=true", 'state="on hold"', f"@{1700000000 + i}.25")
        s.kill("dev-1")
        assert got == {"samples": 3}
        s.start("dev-1")
    s.start("cloud", "fog-a")
    s.wait_settled()
    assert exported(s) == [((1700000000 + i) * 10**9 + 250_000_000, {"n": i, "open": True, "state": "on hold"}) for i in range(5)]


def test_the_socket_answers_each_line(make_system):
    s = with_socket(make_system)
    s.start("dev-1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as d:
        d.bind("")
        d.connect(os.path.join(s.nodes["dev-1"].run_dir, "send.sock"))
        d.settimeout(5)
        for line, answer in ((b"a=1", b"ok 1"), (b"a=1.5 b=2", b"ok 2"), (b"", b"error"), (b"a", b"error"), (b"a=1 a=2", b"error"),
                             (b"bad/name=1", b"error"), (b"\xff\xfe=1", b"error"), (b"a=1 @yesterday", b"error"),
                             (b"x" * 5000, b"error"), (b"a=nan", b"ok 1")):
            d.send(line)
            assert d.recv(256).startswith(answer), line
    assert os.stat(os.path.join(s.nodes["dev-1"].run_dir, "send.sock")).st_mode & 0o077 == 0


def test_wrong_use_and_absence_have_their_exit_codes(make_system):
    s = with_socket(make_system)
    p = s.ctl("dev-1", "send", "a=1", check=False)
    assert p.returncode == 3 and "nobody listens" in p.stderr
    s.start("dev-1")
    for args in (("send",), ("send", "a"), ("send", "--timeout", "soon", "a=1"), ("send", "--nonsense", "a=1")):
        assert s.ctl("dev-1", *args, check=False).returncode == 2, args
    assert s.ctl("dev-1", "send", "bad/name=1", check=False).returncode == 1
    s.signal("dev-1", 19)
    assert s.ctl("dev-1", "send", "--timeout", "200", "a=1", check=False).returncode == 5
    s.signal("dev-1", 18)
    s.kill("dev-1")  # its socket stays behind
    assert s.ctl("dev-1", "send", "a=1", check=False).returncode == 3
    s.start("dev-1")
    until("it listens again", lambda: s.ctl("dev-1", "send", "a=1", check=False).returncode == 0)
