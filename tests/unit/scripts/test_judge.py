"""The judge of the whole-system tests must find what is wrong; here its inputs are wrong on purpose."""
import gzip
import json
import os
import sys
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.dont_write_bytecode = True
import ledger  # noqa: E402

INPUT = """when,temp °C,state,n
2024-05-01 00:00:00,20.5,on,1
2024-05-01 00:00:00,20.5,on,1
2024-05-01T00:00:01.25Z,-0.0,NA,2
2024-05-01 00:00:02,,"a ""b"", c",3
not a time,1,on,4
2024-05-01 00:00:03,1e300,on,x
2024-05-01 00:00:04,1,on
2024-05-01 00:00:05,,,
""" + "".join(f"2024-05-01 00:01:{i:02},1,on,5\n" for i in range(30))
T0 = 1714521600 * 10**9
# The x under "n" is one cell of many: the column stays numeric and the cell is absent.
ROWS = [(T0, {"temp___C": 20.5, "state": "on", "n": 1.0}), (T0, {"temp___C": 20.5, "state": "on", "n": 1.0}),
        (T0 + 1250000000, {"temp___C": -0.0, "n": 2.0}), (T0 + 2 * 10**9, {"state": 'a "b", c', "n": 3.0}),
        (T0 + 3 * 10**9, {"temp___C": 1e300, "state": "on"})]
ROWS += [(T0 + (60 + i) * 10**9, {"temp___C": 1.0, "state": "on", "n": 5.0}) for i in range(30)]


class Judge(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.input = self.file("in.csv", INPUT)

    def tearDown(self):
        self.dir.cleanup()

    def file(self, name, text):
        path = os.path.join(self.dir.name, name)
        with open(path, "w", newline="") as f:
            f.write(text)
        return path

    def export(self, rows, keys=None):
        keys = keys or [("e1", 1 + i // 10, i % 10) for i in range(len(rows))]
        lines = [json.dumps({"site": "s", "device": "d", "group": "g", "epoch": e, "seq": q, "row": r,
                             "time": _rfc3339(ns), "values": v})
                 for (ns, v), (e, q, r) in zip(rows, keys)]
        return self.file("out.jsonl", "\n".join(lines) + "\n")

    def judge(self, rows, **kw):
        return ledger.judge(self.export(rows, kw.pop("keys", None)), self.input, "d", **kw)

    def test_a_column_is_the_time_when_more_than_half_of_it_are_times(self):
        path = self.file("few.csv", "when,a\n2024-05-01,1\nx,1\n2024-05-01,1,\n2024-05-01,1,2\n")
        source = ledger.Input(path)
        self.assertEqual([v for _, v in source], [{"a": 1.0}, {"a": 1.0}])
        self.assertEqual(source.rows_unreadable, 2)

    def test_quotes_hold_what_they_hold(self):
        long = "y" * ledger.LINE_MAX_BYTES
        path = self.file("q.csv", 'time, note ,v\n2024-05-01, "a, ""b""\nc",1\n2024-05-02,"open,2\n2024-05-03,\x1b\x00x,3\n'
                                  f'2024-05-04,{long},4\n2024-05-05," z ",5\r\n')
        source = ledger.Input(path)
        self.assertEqual([v for _, v in source], [{"note": 'a, "b"\nc', "v": 1.0}, {"note": "??x", "v": 3.0},
                                                  {"note": " z ", "v": 5.0}])
        self.assertEqual(source.rows_unreadable, 2)

    def test_an_hour_of_24_is_the_next_day(self):
        path = self.file("p.csv", "year,month,day,hour,v\n2024,1,1,24,1\n2024,1,1,25,1\n2024,1,3,0,1\n")
        self.assertEqual([t // 10**9 for t, _ in ledger.Input(path)], [1704153600, 1704240000])

    def test_the_same_rows_agree(self):
        j = self.judge(ROWS)
        self.assertTrue(ledger.agrees(j), j)
        self.assertEqual((j["rows_in"], j["rows_empty"], j["rows_unreadable"]), (35, 1, 2))
        self.assertEqual(j["samples_in"], 3 + 3 + 2 + 2 + 2 + 90)

    def test_order_does_not_matter(self):
        self.assertTrue(ledger.agrees(self.judge(ROWS[::-1])))

    def test_a_lost_row_is_missing(self):
        j = self.judge(ROWS[1:])
        self.assertEqual((j["missing"], j["archived_twice"], j["foreign"]), (1, 0, 0))
        self.assertFalse(ledger.agrees(j))

    def test_a_row_under_a_new_number_is_archived_twice(self):
        j = self.judge([*ROWS, ROWS[3]])
        self.assertEqual((j["missing"], j["archived_twice"], j["foreign"]), (0, 1, 0))

    def test_one_lost_and_one_twice_do_not_cancel_out(self):
        j = self.judge([*ROWS[:2], ROWS[3], *ROWS[3:]])
        self.assertEqual((j["rows_in"], j["rows_exported"]), (35, 35))
        self.assertEqual((j["missing"], j["archived_twice"]), (1, 1))
        self.assertFalse(ledger.agrees(j))

    def test_the_same_number_twice_is_archived_twice(self):
        keys = [("e1", 1, i) for i in range(34)] + [("e1", 1, 33)]
        j = self.judge(ROWS, keys=keys)
        self.assertEqual((j["missing"], j["archived_twice"]), (1, 1))

    def test_one_changed_bit_is_foreign(self):
        rows = [*ROWS]
        rows[0] = (T0, {"temp___C": 20.500000000000004, "state": "on", "n": 1.0})
        j = self.judge(rows)
        self.assertEqual((j["missing"], j["foreign"]), (1, 1))

    def test_minus_zero_is_not_zero(self):
        rows = [*ROWS]
        rows[2] = (ROWS[2][0], {"temp___C": 0.0, "n": 2.0})
        self.assertFalse(ledger.agrees(self.judge(rows)))

    def test_a_nanosecond_is_a_difference(self):
        rows = [*ROWS]
        rows[2] = (ROWS[2][0] + 1, ROWS[2][1])
        self.assertFalse(ledger.agrees(self.judge(rows)))

    def test_a_missing_cell_is_a_difference(self):
        rows = [*ROWS]
        rows[0] = (T0, {"temp___C": 20.5, "state": "on"})
        self.assertFalse(ledger.agrees(self.judge(rows)))

    def test_a_stopped_replay_is_judged_by_its_beginning(self):
        self.assertTrue(ledger.agrees(self.judge(ROWS[:4], prefix=True)))
        self.assertFalse(ledger.agrees(self.judge(ROWS[1:4], prefix=True)))

    def test_other_devices_do_not_count(self):
        self.assertEqual(ledger.judge(self.export(ROWS), None, "other")["rows_exported"], 0)

    def test_csv_exports_are_read_alike(self):
        out = ["site,device,channel,time,value,quality,epoch,seq,row"]
        for i, (ns, values) in enumerate(ROWS):
            for k, v in values.items():
                text = '"' + v.replace('"', '""') + '"' if isinstance(v, str) else repr(v)
                out.append(f"s,d,{k},{_rfc3339(ns)},{text},good,e1,{1 + i // 10},{i % 10}")
        path = self.file("out.csv", "\n".join(out) + "\n")
        j = ledger.judge(path, self.input, "d")
        self.assertTrue(ledger.agrees(j), j)

    def test_a_packed_file_and_a_zone_are_read(self):
        packed = os.path.join(self.dir.name, "in.csv.gz")
        with gzip.open(packed, "wt") as f:
            f.write("year;month;day;hour;v\n2024;5;1;2;7\n")
        self.assertEqual(list(ledger.Input(packed, tz="+02:00")), [(T0, {"v": 7.0})])

    def test_whole_numbers_beyond_doubles_are_exact(self):
        path = self.file("i.csv", "ts,id\n1714521600,9007199254740993\n")
        self.assertEqual(list(ledger.Input(path, ints=["id"])), [(T0, {"id": 9007199254740993})])


def _rfc3339(ns):
    import datetime
    t = datetime.datetime.fromtimestamp(ns // 10**9, datetime.timezone.utc)
    fraction = f".{ns % 10**9:09}".rstrip("0") if ns % 10**9 else ""
    return t.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


if __name__ == "__main__":
    unittest.main()
