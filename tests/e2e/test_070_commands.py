"""One order to one device: signed, sealed, carried out at most once whatever is restarted, its reply archived."""
import json
import os
import shutil

from system import until


def lines(s, *args):
    return [json.loads(x) for x in s.ctl("cloud", "events", "--json", *args).stdout.splitlines()]


def replies(s, name="dev-1"):
    return [e["record"] for e in lines(s, name) if e["record"]["kind"] == "reply"]


def identified(s, name="dev-1"):
    """How often the device has carried it out, by its own word."""
    return s.log_of(name).count("event=identify ")


def test_identify_reaches_the_device_and_its_reply_comes_back(make_system):
    s = make_system().one_of_each(rows=200)
    s.start()
    ordered = s.ctl_json("cloud", "command", "dev-1", "identify", "please blink")
    reply = until("the reply is archived", lambda: next(iter(replies(s)), None))
    assert reply["counter"] == ordered["counter"] == 1 and reply["ok"] is True and "dev-1" in reply["text"]
    assert "please blink" in s.log_of("dev-1") and identified(s) == 1
    commands = os.path.join(s.nodes["cloud"].state_dir, "commands")
    until("it is not announced any more", lambda: not [f for f in os.listdir(commands) if f.endswith(".doc")])
    assert s.ctl_json("cloud", "command", "dev-1", "identify")["counter"] == 2
    until("the second reply", lambda: len(replies(s)) == 2)


def test_a_fog_carries_out_orders_too(make_system):
    s = make_system().one_of_each(rows=10)
    s.ctl("cloud", "command", "fog-a", "identify", "which one")
    s.start()
    reply = until("the reply is archived", lambda: next(iter(replies(s, "fog-a")), None))
    assert reply["ok"] is True and "fog-a at s" in reply["text"] and identified(s, "fog-a") == 1
    s.restart("fog-a")
    s.ctl("cloud", "command", "fog-a", "identify")
    until("the second reply", lambda: len(replies(s, "fog-a")) == 2)
    assert "which one" not in s.log_of("fog-a").split("event=ready")[-1], "not again"


def test_an_order_waits_for_its_device_and_is_never_done_twice(make_system):
    s = make_system(by_relay=("fog",)).one_of_each(rows=200)
    s.start("cloud", "fog-a")
    s.ctl("cloud", "command", "dev-1", "identify")
    s.start("dev-1")
    until("the device has done it, and its reply is durable", lambda: s.ctl("dev-1", "store", "ls", "--kind", "reply", "--json").stdout
          or replies(s))
    s.link("fog-a", "cloud").cut()  # the cloud goes on announcing: it has no reply, or cannot be told that it is done
    for _ in range(3):
        s.kill("dev-1")
        s.start("dev-1")
        heard = s.counter("dev-1", "outbox.states", 0)
        until("the device listens", lambda: s.counter("dev-1", "outbox.states") > max(1, heard))
    s.kill("fog-a")
    s.start("fog-a")
    s.link("fog-a", "cloud").restore()
    until("the reply is archived", lambda: replies(s))
    s.wait_settled()
    assert identified(s) == 1 and len(replies(s)) == 1


def test_a_document_that_comes_again_or_was_touched_does_nothing(make_system):
    s = make_system().one_of_each(rows=200)
    s.ctl("cloud", "command", "dev-1", "identify")
    s.ctl("cloud", "command", "dev-1", "identify", "touched")
    folder = os.path.join(s.nodes["cloud"].state_dir, "commands")
    first, second = sorted(os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".doc"))
    kept = shutil.copy(first, s.dir)
    with open(second, "r+b") as f:  # its last bytes are the operator's signature
        raw = bytearray(f.read())
        raw[-3] ^= 1
        f.seek(0)
        f.write(raw)
    s.start()
    until("the reply is archived", lambda: len(replies(s)) == 1)
    until("the touched one is refused", lambda: s.counter("dev-1", "io.commands_refused") > 0)
    until("the first is not announced any more", lambda: not os.path.exists(first))
    s.stop("cloud")
    os.unlink(second)
    shutil.copy(kept, first)  # as a cloud put back from a copy would do
    s.start("cloud")
    until("it is announced again", lambda: s.counter("cloud", "cloud.documents_sent") > 1)
    heard = s.counter("dev-1", "outbox.states")
    until("the device has heard of it", lambda: s.counter("dev-1", "outbox.states") > heard + 5)
    assert identified(s) == 1 and len(replies(s)) == 1
    assert s.counter("dev-1", "io.commands") == 1


def test_orders_that_make_no_sense_are_refused(make_system):
    s = make_system().one_of_each(rows=10)
    assert s.ctl("cloud", "command", "nobody", "identify", check=False).returncode == 6
    assert s.ctl("cloud", "command", "dev-1", "explode", check=False).returncode == 2
    os.chmod(os.path.join(s.nodes["cloud"].state_dir, "operator.key"), 0o644)
    p = s.ctl("cloud", "command", "dev-1", "identify", check=False)
    assert p.returncode in (1, 4) and "chmod" in p.stderr
