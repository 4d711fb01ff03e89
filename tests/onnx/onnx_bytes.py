"""onnx_bytes.py - writes ONNX models and tensors as bytes, with nothing but the standard library.

A message is bytes; each function gives one. Only what the generator of random models needs.
"""
import struct

FLOAT, UINT8, INT8, INT32, INT64, STRING, BOOL = 1, 2, 3, 6, 7, 8, 9
PACK = {FLOAT: "f", UINT8: "B", INT8: "b", INT32: "i", INT64: "q", BOOL: "B"}


def varint(v):
    v &= (1 << 64) - 1
    out = bytearray()
    while v >= 0x80:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


def number(field, v):
    return varint(field << 3) + varint(v)


def data(field, v):
    v = v.encode() if isinstance(v, str) else v
    return varint(field << 3 | 2) + varint(len(v)) + v


def float32(field, v):
    return varint(field << 3 | 5) + struct.pack("<f", v)


def tensor(name, kind, dims, values):
    raw = struct.pack(f"<{len(values)}{PACK[kind]}", *values)
    return b"".join(number(1, d) for d in dims) + number(2, kind) + data(8, name) + data(9, raw)


def attribute(name, v):
    out = data(1, name)
    if isinstance(v, bool) or isinstance(v, int):
        return out + number(3, int(v)) + number(20, 2)
    if isinstance(v, float):
        return out + float32(2, v) + number(20, 1)
    if isinstance(v, str):
        return out + data(4, v) + number(20, 3)
    if isinstance(v, bytes):
        return out + data(5, v) + number(20, 4)
    if all(isinstance(x, int) for x in v):
        return out + b"".join(number(8, x) for x in v) + number(20, 7)
    if all(isinstance(x, str) for x in v):
        return out + b"".join(data(9, x) for x in v) + number(20, 8)
    return out + b"".join(float32(7, x) for x in v) + number(20, 6)


def node(op, inputs, outputs, domain="", **attributes):
    return (b"".join(data(1, i) for i in inputs) + b"".join(data(2, o) for o in outputs) + data(3, outputs[0]) + data(4, op)
            + b"".join(data(5, attribute(k, v)) for k, v in attributes.items()) + (data(7, domain) if domain else b""))


def port(name, kind, dims):
    """A dimension that is a text has that name and no value."""
    shape = b"".join(data(1, data(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
    return data(1, name) + data(2, data(1, number(1, kind) + data(2, shape)))


def model(nodes, constants, inputs, outputs, opset=13, ml=3):
    graph = (b"".join(data(1, n) for n in nodes) + data(2, "g") + b"".join(data(5, c) for c in constants)
             + b"".join(data(11, i) for i in inputs) + b"".join(data(12, o) for o in outputs))
    return (number(1, 8) + data(2, "fogline") + data(7, graph) + data(8, data(1, "") + number(2, opset))
            + data(8, data(1, "ai.onnx.ml") + number(2, ml)))
