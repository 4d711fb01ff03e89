"""A publisher for MQTT 3.1.1 over TLS that shares no code with the device's client: CONNECT, PUBLISH with QoS 1, PUBACK."""
import socket
import ssl
import struct


def _text(s):
    raw = s.encode()
    return struct.pack(">H", len(raw)) + raw


def _packet(first, body):
    length, n = b"", len(body)
    while True:
        length += bytes([n % 128 | (128 if n > 127 else 0)])
        n //= 128
        if n == 0:
            return bytes([first]) + length + body


class Publisher:
    """One connection. OSError: it is lost, or the broker says no."""

    def __init__(self, port, ca_file, user, password):
        context = ssl.create_default_context(cafile=ca_file)
        self.id = 0
        self.s = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname="localhost")
        self.s.sendall(_packet(0x10, _text("MQTT") + b"\4\xc2" + struct.pack(">H", 60) + _text("publisher") + _text(user)
                               + _text(password)))
        if self._read(4) != b"\x20\2\0\0":
            raise OSError("the broker refuses the connection")

    def _read(self, n):
        got = b""
        while len(got) < n:
            more = self.s.recv(n - len(got))
            if not more:
                raise OSError("the broker hung up")
            got += more
        return got

    def publish(self, topic, payload):
        """Until the broker has it."""
        self.id = self.id % 65535 + 1
        number = struct.pack(">H", self.id)
        self.s.sendall(_packet(0x32, _text(topic) + number + payload.encode()))
        if self._read(4) != b"\x40\2" + number:
            raise OSError("the broker answers with something else")

    def close(self):
        self.s.close()
