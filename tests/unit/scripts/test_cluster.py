"""The relays and files that whole-system tests stand on."""
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
sys.dont_write_bytecode = True
import cluster  # noqa: E402

LIMIT_S = 20


class Yaml(unittest.TestCase):
    def test_dotted_keys_nest_and_lists_of_maps_stand_under_a_dash(self):
        text = cluster.yaml_text({"node": "a", "up.poll": "1 s", "up.keys": ["k"], "sources": [{"type": "csv", "time": ["x"]}],
                                  "none": [], "n": 5, "yes": True})
        self.assertEqual(text, 'node: "a"\nup:\n  poll: "1 s"\n  keys:\n    - "k"\nsources:\n  - type: "csv"\n    time:\n'
                               '      - "x"\nnone: []\nn: 5\nyes: true\n')


class Ports(unittest.TestCase):
    def test_no_pair_is_given_twice(self):
        pairs = [cluster.PortPair(random.Random(7)) for _ in range(20)]
        self.assertEqual(len({p.port for p in pairs}), 20)
        for p in pairs:
            p.close()

    def test_a_taken_port_is_passed_over(self):
        first = cluster.PortPair(random.Random(7))
        port = first.port
        first.close()
        with socket.create_server((cluster.HOST, port + 1)):
            other = cluster.PortPair(random.Random(7))
        self.assertNotEqual(other.port, port)
        other.close()


class Relays(unittest.TestCase):
    def setUp(self):
        rng = random.Random()
        self.pairs = [cluster.PortPair(rng), cluster.PortPair(rng)]
        self.server = socket.create_server((cluster.HOST, self.pairs[1].port))
        self.server.settimeout(LIMIT_S)
        self.hub = cluster.RelayHub()
        self.relay = self.hub.add("r", self.pairs[0], self.pairs[1].port)

    def tearDown(self):
        self.hub.close()
        self.server.close()
        for p in self.pairs:
            p.close()

    def connect(self):
        lower = socket.create_connection((cluster.HOST, self.relay.port), LIMIT_S)
        upper, _ = self.server.accept()
        upper.settimeout(LIMIT_S)
        return lower, upper

    @staticmethod
    def read_all(s):
        parts = []
        while data := s.recv(1 << 16):
            parts.append(data)
        return b"".join(parts)

    def test_bytes_pass_in_order_and_are_counted(self):
        lower, upper = self.connect()
        payload = os.urandom(3_000_000)

        def send():
            lower.sendall(payload)
            lower.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        self.assertEqual(self.read_all(upper), payload)
        upper.sendall(b"answer")
        upper.close()
        self.assertEqual(self.read_all(lower), b"answer")
        sender.join()
        self.assertEqual((self.relay.up, self.relay.down), (len(payload), 6))
        lower.close()

    def test_a_cut_ends_connections_and_refuses_new_ones(self):
        lower, upper = self.connect()
        self.relay.cut()
        with self.assertRaises(ConnectionResetError):
            lower.recv(1)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((cluster.HOST, self.relay.port), LIMIT_S)
        self.relay.restore()
        again, other = self.connect()
        again.sendall(b"x")
        self.assertEqual(other.recv(1), b"x")
        for s in (lower, upper, again, other):
            s.close()

    def test_a_frozen_relay_keeps_what_it_has_until_it_thaws(self):
        lower, upper = self.connect()
        self.relay.freeze()
        lower.sendall(b"later")
        upper.settimeout(0.2)
        with self.assertRaises(socket.timeout):
            upper.recv(5)
        self.relay.thaw()
        upper.settimeout(LIMIT_S)
        self.assertEqual(upper.recv(5), b"later")
        lower.close()
        upper.close()

    def test_nobody_above_ends_the_connection(self):
        self.server.close()
        with self.assertRaises(ConnectionResetError):  # by connect already, when the relay is quick
            lower = socket.create_connection((cluster.HOST, self.relay.port), LIMIT_S)
            self.addCleanup(lower.close)
            lower.recv(1)


class Configurations(unittest.TestCase):
    def test_without_relays_nodes_name_each_other(self):
        with tempfile.TemporaryDirectory() as at:
            c = cluster.Cluster(os.path.join(at, "c"), "/nonexistent")
            self.addCleanup(c.close)
            cloud, fog = c.add_cloud(), c.add_fog("f", "s")
            cloud.link_key = "key"
            c._make_link(fog, cloud)

            def goes_to(port):
                c.write_config("f")
                with open(fog.yaml) as f:
                    return f'"tcp://{cluster.HOST}:{port}"' in f.read()
            self.assertTrue(goes_to(c.link("f", "cloud").port))
            c.bypass_relays()
            self.assertTrue(goes_to(cloud.pair.port))


class Children(unittest.TestCase):
    def test_none_outlives_the_end(self):
        with subprocess.Popen(["sleep", "1000"]) as p:
            cluster.end_children()
            self.assertFalse(os.path.exists(f"/proc/{p.pid}"))


class Folders(unittest.TestCase):
    def test_closing_twice_is_fine_and_removes_what_it_made(self):
        with tempfile.TemporaryDirectory() as at:
            c = cluster.Cluster(os.path.join(at, "c"), "/nonexistent", remove=True)
            c.close()
            c.close()
            self.assertFalse(os.path.exists(c.dir))


if __name__ == "__main__":
    unittest.main()
