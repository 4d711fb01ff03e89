"""A Fogline device in Python, written from proto/README.md and common/codec/README.md alone. It shares no code with Fogline:
python3-zmq, python3-protobuf, python3-nacl, and the .proto files compiled by protoc.

It keeps its records in memory, so it is a device whose disk dies with it."""
import base64
import hashlib
import importlib
import os
import struct
import subprocess
import sys
import time

import nacl.bindings
import nacl.exceptions
import nacl.public
import zmq
from zmq.utils import z85

FORMAT = 0x0100
ORDINARY, URGENT = 0, 1
DESCRIPTOR, BLOCK, EVENT = 1, 2, 3
DOUBLE, INT64, BOOL, TEXT = 1, 2, 3, 4
START, NOTE = 1, 9
ENCODING_RAW = 1
FRAME_MAX = 256 * 1024


def compile_protocol(proto_dir, out_dir):
    """The generated modules: .hop and .record."""
    names = ["hop.proto", "record.proto", "document.proto"]
    subprocess.run(["protoc", f"--proto_path={proto_dir}", f"--python_out={out_dir}", *names], check=True)
    if out_dir not in sys.path:
        sys.path.insert(0, out_dir)
    importlib.invalidate_caches()

    class Protocol:
        hop = importlib.import_module("hop_pb2")
        record = importlib.import_module("record_pb2")
    return Protocol


def blake2b(data, size, key=b""):
    return hashlib.blake2b(data, digest_size=size, key=key).digest()


def short(text):
    raw = text.encode() if isinstance(text, str) else text
    return bytes([len(raw)]) + raw


# ---- the two texts that people copy ----

def unpad(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_text(text, prefix, n_keys):
    assert text.startswith(prefix), text
    raw = base64.urlsafe_b64decode(text[len(prefix):] + "=" * (-(len(text) - len(prefix)) % 4))
    keys, check = raw[:-4], raw[-4:]
    assert len(keys) == 32 * n_keys and check == blake2b(prefix.encode() + keys, 16)[:4], "damaged key text"
    return [keys[i:i + 32] for i in range(0, len(keys), 32)]


class Keys:
    """The two pairs of a node."""

    def __init__(self):
        self.transport, self.end = nacl.public.PrivateKey.generate(), nacl.public.PrivateKey.generate()

    @property
    def transport_public(self):
        return bytes(self.transport.public_key)

    @property
    def end_public(self):
        return bytes(self.end.public_key)

    def text(self):
        keys = self.transport_public + self.end_public
        return "fn1-" + unpad(keys + blake2b(b"fn1-" + keys, 16)[:4])

    def shared(self, purpose, cloud_end):
        """What this node and the cloud share for a purpose."""
        secret = nacl.bindings.crypto_scalarmult(bytes(self.end), cloud_end)
        assert any(secret)
        return blake2b(b"fogline/key/%s/v1\0" % purpose.encode() + self.end_public + cloud_end, 32, secret)


# ---- the raw encoding of columns ----

def bitmap(bits):
    """LSB first."""
    out = bytearray((len(bits) + 7) // 8)
    for i, b in enumerate(bits):
        out[i // 8] |= bool(b) << (i % 8)
    return bytes(out)


def raw_cells(kind, cells):
    if kind == DOUBLE:
        return b"".join(struct.pack("<d", c) for c in cells)
    if kind == INT64:
        base = min(cells)
        return struct.pack("<Bq", 8, base) + b"".join(struct.pack("<Q", c - base) for c in cells)
    if kind == BOOL:
        return bitmap(cells)
    return b"".join(short(c) for c in cells)


def raw_column(kind, cells):
    absent = [c is None for c in cells]
    present = [c for c in cells if c is not None]
    head = kind | (8 if any(absent) else 0)
    return bytes([head]) + (bitmap(absent) if any(absent) else b"") + (raw_cells(kind, present) if present else b"")


def raw_body(times, kinds, columns):
    """times: ns since 1970. columns: a list of cells each, None where absent."""
    base = min(times)
    out = struct.pack("<Bq", 8, base) + b"".join(struct.pack("<Q", t - base) for t in times)
    return out + b"".join(raw_column(k, c) for k, c in zip(kinds, columns))


# ---- intervals, flat lists of from, to ----

def inside(n, flat):
    return any(a <= n <= b for a, b in zip(flat[::2], flat[1::2]))


def merged(numbers):
    flat = []
    for n in sorted(numbers):
        if flat and flat[-1] == n - 1:
            flat[-1] = n
        else:
            flat += [n, n]
    return flat


class Client:
    """upper: transport key of the side above, to try a wrong one; None: as the link key says."""

    def __init__(self, protocol, node, link_key, port, keys=None, host="127.0.0.1"):
        self.p, self.node, self.keys, self.where = protocol, node, keys or Keys(), (host, port)
        self.upper, self.cloud_end, self.operator = read_text(link_key, "fl1-", 3)
        self.mark_key, self.tag_key = (self.keys.shared(x, self.cloud_end) for x in ("mark", "tag"))
        self.epoch, self.session = os.urandom(16), 0
        self.next = {ORDINARY: 1, URGENT: 1}
        self.held, self.stored, self.settled = {}, set(), set()
        self.samples = 0
        self.store = self.peer_store = b""
        self.run, self.windows, self.archive_id, self.upper_node = 0, None, b"", ""
        self.n_states = self.n_marks = self.n_marks_false = 0
        self.is_open = False
        self._context = zmq.Context()
        self._push = self._sub = None

    def close(self):
        self._context.destroy(linger=0)

    # -- records --

    def _add(self, lane, kind, payload, samples=0):
        number = self.next[lane]
        self.next[lane] += 1
        seq = lane << 56 | number
        self.held[seq] = self.p.hop.Record(seq=seq, kind=kind, payload=payload, samples=samples,
                                           tag=self.tag(self.node, self.epoch, seq, kind, payload))
        self.samples += samples
        return seq

    def tag(self, origin, epoch, seq, kind, payload):
        text = b"fogline/tag/v1\0" + short(origin) + epoch + struct.pack("<QII", seq, kind, len(payload)) + payload
        return blake2b(text, 16, self.tag_key)

    def add_event(self, type, text="", subject=""):
        e = self.p.record.Event(format=FORMAT, type=type, time_ns=time.time_ns(), subject=subject, text=text)
        if type == START:
            e.boot_id, e.version = os.urandom(16), "client"
        return self._add(URGENT, EVENT, e.SerializeToString())

    def add_set(self, group, channels):
        """channels: (name, unit, type). Returns what blocks of it need."""
        d = self.p.record.DescriptorSet(format=FORMAT, group=group)
        for name, unit, kind in channels:
            d.channels.add(name=name, unit=unit, type=kind)
        payload = d.SerializeToString()
        self._add(ORDINARY, DESCRIPTOR, payload)
        return struct.unpack("<Q", blake2b(payload, 32)[:8])[0], [c[2] for c in channels]

    def add_block(self, set_of, times, columns):
        set_id, kinds = set_of
        samples = sum(c is not None for column in columns for c in column)
        b = self.p.record.Block(format=FORMAT, set_id=set_id, rows=len(times), samples=samples, encoding=ENCODING_RAW,
                                time_first_ns=min(times), time_span_ns=max(times) - min(times),
                                body=raw_body(times, kinds, columns))
        return self._add(ORDINARY, BLOCK, b.SerializeToString(), samples)

    # -- the link --

    def connect(self):
        for s in (self._push, self._sub):
            if s is not None:
                s.close(0)
        self._push, self._sub = self._socket(zmq.PUSH), self._socket(zmq.SUB)
        self._sub.subscribe(blake2b(self.keys.transport_public, 16))
        host, port = self.where
        self._push.connect(f"tcp://{host}:{port}")
        self._sub.connect(f"tcp://{host}:{port + 1}")
        self.session += 1
        self.is_open = False

    def _socket(self, kind):
        s = self._context.socket(kind)
        s.linger, s.immediate, s.maxmsgsize = 0, 1, FRAME_MAX
        s.heartbeat_ivl, s.heartbeat_timeout = 5000, 15000
        s.curve_secretkey = z85.encode(bytes(self.keys.transport))
        s.curve_publickey = z85.encode(self.keys.transport_public)
        s.curve_serverkey = z85.encode(self.upper)
        return s

    def send(self, up):
        """True: the socket took it, which means nothing."""
        try:
            self._push.send(up.SerializeToString(), zmq.NOBLOCK)
            return True
        except zmq.Again:
            return False

    def _report(self, lane):
        held = [s & (1 << 56) - 1 for s in self.held if s >> 56 == lane and s not in self.settled]
        return self.p.hop.LaneReport(lane=lane, next=self.next[lane], lowest_held=min(held, default=0), held_count=len(held),
                                     held=merged(held)[:128],
                                     samples_produced=self.samples if lane == ORDINARY else 0,
                                     samples_held=sum(self.held[s].samples for s in self.held
                                                      if s not in self.settled) if lane == ORDINARY else 0)

    def hello(self):
        up = self.p.hop.Up(format=FORMAT, sender=self.node)
        h = up.hello
        h.version_min = h.version_max = 1
        h.session, h.peer_store, h.archive_id, h.role, h.software = self.session, self.peer_store, self.archive_id, "device", "client"
        h.clocks.wall_unix_ns, h.clocks.mono_ns, h.clocks.boot_id = time.time_ns(), time.monotonic_ns(), b"\1" * 16
        e = h.epochs.add(epoch=self.epoch)
        e.lanes.extend(self._report(lane) for lane in (ORDINARY, URGENT))
        return self.send(up)

    def data(self, seqs, origin="", epoch=None, sender=None, records=None):
        up = self.p.hop.Up(format=FORMAT, sender=sender or self.node)
        up.data.session, up.data.run = self.session, self.run
        stretch = up.data.stretches.add(origin=origin, epoch=epoch or self.epoch)
        stretch.records.extend(records if records is not None else [self.held[s] for s in seqs])
        return self.send(up)

    def unsent(self):
        """Urgent first, then by number."""
        return sorted((s for s in self.held if s not in self.stored | self.settled), key=lambda s: (-(s >> 56), s))

    def receive(self, timeout_s):
        """Takes one State. None: none came, or what came was not for us."""
        if not self._sub.poll(timeout_s * 1000):
            return None
        frame = self._sub.recv()
        topic, nonce, box = frame[:16], frame[16:40], frame[40:]
        assert topic == blake2b(self.keys.transport_public, 16)
        try:
            plain = nacl.public.Box(self.keys.transport, nacl.public.PublicKey(self.upper)).decrypt(box, nonce)
        except nacl.exceptions.CryptoError:
            return None
        down = self.p.hop.Down.FromString(plain)
        assert down.format >> 8 == FORMAT >> 8
        self._take(down.state)
        return down.state

    def _take(self, st):
        self.n_states += 1
        if st.session_known > self.session:
            self.session = st.session_known
            self.is_open = False
        if st.session == self.session:
            assert st.version == 1
            self.store, self.run, self.peer_store, self.is_open = st.store, st.run, st.store, True
            self.windows, self.upper_node = st.windows, st.node
        if not self.is_open or (st.store, st.run) != (self.store, self.run):
            return
        for lane in st.lanes:
            if lane.origin in ("", self.node) and lane.epoch == self.epoch:
                self.stored |= {s for s in self.held if s >> 56 == lane.lane and inside(s & (1 << 56) - 1, lane.stored)}
        for mark in st.marks:
            self._take_mark(mark)

    def _take_mark(self, mark):
        if mark.mac != blake2b(b"fogline/mark/v1\0" + mark.body, 16, self.mark_key):
            self.n_marks_false += 1
            return
        body = self.p.hop.MarkBody.FromString(mark.body)
        self.archive_id = self.archive_id or body.archive_id
        if body.origin != self.node or body.archive_id != self.archive_id or body.epoch != self.epoch:
            return
        self.n_marks += 1
        for flat in (body.archived, body.explained):
            self.settled |= {s for s in self.held if s >> 56 == body.lane and inside(s & (1 << 56) - 1, flat)}

    def settle(self, timeout_s, poll_s=0.3):
        """Does all that it takes until everything is settled. False: not in time."""
        deadline, hello_at, data_at = time.monotonic() + timeout_s, 0.0, 0.0
        while time.monotonic() < deadline:
            now = time.monotonic()
            if self.held and self.settled >= self.held.keys():
                return True
            if now >= hello_at:
                hello_at = now + poll_s
                self.hello()
            if self.is_open and self.unsent() and now >= data_at:
                data_at = now + 2.0
                self.data(self.unsent())
            self.receive(0.05)
        return False
