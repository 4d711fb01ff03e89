"""The independent decoder reads every golden block, and the examples of common/codec/README.md, as they say; and no damage makes it
do anything but refuse."""
import os
import random
import re
import struct
import sys
import unittest
import unittest.mock

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..", "..")
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import block_coders  # noqa: E402
import block_decoder as bd  # noqa: E402

GOLDEN = os.path.join(ROOT, "tests", "golden", "v1", "codec")
DOCUMENT = os.path.join(ROOT, "common", "codec", "README.md")


def unhex(text):
    return b"" if text == "-" else bytes.fromhex(text)


def double(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


class Golden:
    def __init__(self, name):
        self.name, self.one, self.of = name, {}, {"start": {}, "cells": {}, "quality": {}}
        with open(os.path.join(GOLDEN, name)) as f:
            for line in f:
                key, _, value = line.rstrip("\n").partition(" ")
                if key in self.of:
                    column, _, value = value.partition(" ")
                    self.of[key][int(column)] = value
                else:
                    self.one[key] = value
        self.encoding = {"fast": bd.FAST, "small": bd.SMALL}[self.one["encoding"]]
        self.rows, self.time_first_ns = int(self.one["rows"]), int(self.one["time_first"])
        self.types, self.body = self.one["types"].split(), unhex(self.one["body"])
        bounds = [struct.unpack(">d", bytes.fromhex(b))[0] for b in self.one["bounds"].split()]
        starts = [unhex(self.of["start"].get(i, "-")) for i in range(len(self.types))]
        self.set = bd.Set(self.types, bounds, unhex(self.one["time_start"]), starts)

    def decode(self, body):
        return bd.decode(self.encoding, self.rows, self.time_first_ns, self.set, body)

    def checked(self, coded):
        """These coded bytes with the check that belongs to them."""
        return coded + bd.check(self.encoding, self.rows, self.time_first_ns, self.set, coded)


def word(type_, cell):
    if cell is None:
        return "-"
    if type_ == "text":
        return "t" + cell.hex()
    return str(cell) if type_ == "bool" else f"{cell & (1 << 64) - 1:016x}"


def goldens():
    return [Golden(name) for name in sorted(os.listdir(GOLDEN)) if name.endswith(".txt")]


class GoldenBlocks(unittest.TestCase):
    def test_every_golden_block_decodes_to_what_it_says(self):
        blocks = goldens()
        self.assertGreaterEqual(len(blocks), 28)
        for g in blocks:
            with self.subTest(g.name):
                times, columns = g.decode(g.body)
                self.assertEqual(times, [int(t) for t in g.one["times"].split()])
                self.assertEqual(len(columns), len(g.types))
                for i, (cells, quality) in enumerate(columns):
                    self.assertEqual([word(g.types[i], c) for c in cells], g.of["cells"][i].split())
                    self.assertEqual("".join(map(str, quality)), g.of["quality"].get(i, "0" * g.rows))

    def test_a_golden_body_with_a_byte_changed_is_refused(self):
        for g in goldens():
            for at in sorted({*range(min(8, len(g.body))), *range(0, len(g.body), 29), *range(len(g.body) - 5, len(g.body))}):
                with self.subTest(g.name, at=at), self.assertRaises(bd.Damaged):
                    g.decode(g.body[:at] + bytes([g.body[at] ^ 1 << at % 8]) + g.body[at + 1:])

    def test_a_golden_body_cut_or_longer_is_refused(self):
        for g in goldens():
            for n in sorted({0, 1, 2, 3, 66, 67, 68, 69, *range(0, len(g.body), 29), len(g.body) - 1}):
                if n < len(g.body):
                    with self.subTest(g.name, n=n), self.assertRaises(bd.Damaged):
                        g.decode(g.body[:n])
            with self.subTest(g.name), self.assertRaises(bd.Damaged):
                g.decode(g.body + b"\0")

    def test_a_golden_body_under_another_header_or_other_starts_is_refused(self):
        for g in goldens():
            others = [(g.rows + 1, g.time_first_ns, g.set), (g.rows, g.time_first_ns + 1, g.set),
                      (g.rows, g.time_first_ns, bd.Set(g.types, None, bytes.fromhex("01020001000002")))]
            for rows, first, set_ in others:
                with self.subTest(g.name), self.assertRaises(bd.Damaged):
                    bd.decode(g.encoding, rows, first, set_, g.body)


class Damage(unittest.TestCase):
    def test_damage_under_a_right_check_is_refused_or_decodes_and_nothing_else(self):
        chance, refused, decoded = random.Random(5), 0, 0
        for g in goldens():
            coded = g.body[:-2] if len(g.body) <= 66 else g.body[:-4]
            self.assertEqual(g.checked(coded), g.body)
            for _ in range(25):
                changed = bytearray(coded)
                for _ in range(chance.randrange(1, 4)):
                    changed[chance.randrange(min(len(changed), chance.choice((20, 4000))))] = chance.randrange(256)
                try:
                    times, columns = g.decode(g.checked(bytes(changed[:chance.choice((len(changed), len(changed), 30))])))
                    self.assertEqual({g.rows}, {len(times), *(len(part) for column in columns for part in column)})
                    decoded += 1
                except bd.Damaged:
                    refused += 1
        self.assertGreater(refused, 100)
        self.assertGreater(decoded, 100)

    def test_any_bytes_are_refused_or_decode_and_nothing_else(self):
        chance = random.Random(6)
        for _ in range(1500):
            types = chance.choices(["double", "int64", "bool", "text"], k=chance.randrange(1, 4))
            set_, rows = bd.Set(types), chance.choice((1, 2, 9, 100, 4096))
            encoding = chance.choice((bd.RAW, bd.FAST, bd.SMALL))
            body = bytes(chance.choice((0, 1, 4, 127, 255, chance.randrange(256))) for _ in range(chance.randrange(60)))
            if encoding != bd.RAW:
                body += bd.check(encoding, rows, 0, set_, body)
            try:
                bd.decode(encoding, rows, 0, set_, body)
            except bd.Damaged:
                pass

    def test_shapes_and_starts_outside_the_limits_are_refused(self):
        good = bytes.fromhex("010001020503b403")
        bd.Set(["double"], [0.0], b"", [good])
        for types, bounds, start in ((["double"], [0.0], good + b"\0"), (["double"], [0.0], good[:-1]),
                                     (["double"], [0.0], b"\2" + good[1:]),
                                     (["double"], [0.0], b"\1\4\0" + good[3:]), (["double"], [0.0], b"\1\0\22" + good[3:]),
                                     ([], None, b""), (["double"] * 257, None, b""), (["int64"], [0.5], b""),
                                     (["double"], [-1.0], b""), (["double"], [float("nan")], b""),
                                     (["double"], [float("inf")], b""),
                                     (["bool"], [0.0], b"\1\11\0\0\0"), (["bool"], [0.0], b"\1\60\0\0\0"),
                                     (["bool"], [0.0], b"\1\1\301\0\0"), (["bool"], [0.0], b"\1\20\0\0\0\0")):
            with self.subTest(types=types[:1], bounds=bounds, start=start.hex()), self.assertRaises(bd.Damaged):
                bd.Set(types, bounds, b"", [start] * len(types))
        for encoding, rows in ((0, 1), (4, 1), (bd.RAW, 0), (bd.SMALL, 4097)):
            with self.assertRaises(bd.Damaged):
                bd.decode(encoding, rows, 0, bd.Set(["bool"]), b"\0" * 8)

    def test_an_entry_told_again_has_a_second_rank(self):
        start = bytes.fromhex("01010010000000030a0404")  # int64, ranks of values 5, 9, 13; predictor 0
        g = bd.Set(["int64"], [0.0], b"", [start])
        for rank, value in enumerate((5, 9, 9, 13)):
            coded = bytes([0, 0, 0x10, 1, 18, 2 * rank, 127])
            body = coded + bd.check(bd.FAST, 1, 7, g, coded)
            self.assertEqual(bd.decode(bd.FAST, 1, 7, g, body), ([7], [([value], [0])]))


class Examples(unittest.TestCase):
    """The bytes that the document prints, read from the document."""
    FIRST, ROWS, TYPES = 1750000000000000000, 4, ["double", "int64", "bool", "text"]
    COLUMNS = [([double(21.5), double(21.8), None, double(22.0)], [0, 0, 0, 0]), ([100, 101, 103, 106], [0, 1, 1, 1]),
               ([0, 1, 1, 1], [0, 0, 0, 0]), ([b"up", b"", b"", b"!"], [0, 0, 0, 0])]

    @classmethod
    def setUpClass(cls):
        with open(DOCUMENT) as f:
            cls.examples = f.read().partition("\n## Examples\n")[2]

    @staticmethod
    def hex_of(block):
        """The bytes at the beginning of each line; a comment stands at least three spaces behind them."""
        lines = (re.match(r" *([0-9a-f]{2}(?: {1,2}[0-9a-f]{2})*)(?:   |$)", line) for line in block.splitlines())
        return b"".join(unhex(line[1]) for line in lines if line)

    def blocks(self, heading):
        section = self.examples.partition(f"\n### {heading}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
        return re.findall(r"```\n(.*?)```", section, re.S)

    def agree(self, encoding, set_, body, length):
        self.assertEqual(len(body), length)
        times, columns = bd.decode(encoding, self.ROWS, self.FIRST, set_, body)
        self.assertEqual(times, [self.FIRST + i * 100000000 for i in range(4)])
        self.assertEqual(columns, self.COLUMNS)

    def test_the_raw_example_is_what_the_document_says(self):
        self.agree(bd.RAW, bd.Set(self.TYPES), self.hex_of(self.blocks("The raw encoding")[0]), 59)

    def test_the_cold_examples_are_what_the_document_says(self):
        for encoding, heading, length in ((bd.FAST, "The fast encoding, cold", 47), (bd.SMALL, "The small encoding, cold", 42)):
            self.agree(encoding, bd.Set(self.TYPES), self.hex_of(self.blocks(heading)[0]), length)

    def test_the_registers_of_the_small_example_are_what_the_document_says(self):
        seen, bit = [], block_coders.Small.bit

        def watched(coder, a):
            result = bit(coder, a)
            seen.append((f"{coder.range:016x}", f"{coder.code:016x}"))
            return result

        with unittest.mock.patch.object(block_coders.Small, "bit", watched):
            body = self.hex_of(self.blocks("The small encoding, cold")[0])
            bd.decode(bd.SMALL, self.ROWS, self.FIRST, bd.Set(self.TYPES), body)
        told = re.findall(r"\| ([0-9a-f]{16}) \| ([0-9a-f]{16}) \|$", self.examples, re.M)
        self.assertGreater(len(told), 10)
        self.assertEqual([step for step in seen if step in told], told)

    def test_the_examples_with_starts_are_what_the_document_says(self):
        starts, bodies = self.blocks("With starts")
        starts = [self.hex_of(re.sub(r"^\w+ ", "", line)) for line in starts.splitlines()]
        set_ = bd.Set(self.TYPES, None, starts[0], starts[1:])
        self.assertEqual(f"{set_.digest():016x}", re.search(r"the digest is ([0-9a-f]{16})", self.examples)[1])
        fast, small = (self.hex_of(part) for part in bodies.split("\n\n"))
        self.agree(bd.FAST, set_, fast, 25)
        self.agree(bd.SMALL, set_, small, 12)

    def test_a_raw_body_cut_or_longer_is_refused(self):
        body = self.hex_of(self.blocks("The raw encoding")[0])
        for other in [body + b"\0"] + [body[:n] for n in range(len(body))]:
            with self.assertRaises(bd.Damaged):
                bd.decode(bd.RAW, self.ROWS, self.FIRST, bd.Set(self.TYPES), other)


if __name__ == "__main__":
    unittest.main()
