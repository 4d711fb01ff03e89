"""What the measurements of detectors do with folders that they cannot use, and the prediction files they write."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts")
sys.path.insert(0, SCRIPTS)

import bench_detect  # noqa: E402


class Folders(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(prefix="fogline-test-")
        self.addCleanup(self.tmp.cleanup)

    def bench(self, *args):
        env = {**os.environ, "FOGLINE_DATA_DIR": self.tmp.name, "FOGLINE_BUILD": self.tmp.name}
        p = subprocess.run([sys.executable, os.path.join(SCRIPTS, "bench.py"), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, env=env, timeout=60)
        self.assertEqual(p.stdout, "")
        self.assertNotIn("Traceback", p.stderr)
        return p.returncode, p.stderr

    def test_a_folder_that_is_not_there_is_named(self):
        gone = os.path.join(self.tmp.name, "gone")
        for part in ("skab", "nab"):
            code, said = self.bench(part, "--data", gone, "--json")
            self.assertEqual((code, said), (2, f"bench {part}: no data at {gone}; --data DIR names a folder laid out like the "
                                               "source's\n"))

    def test_without_any_data_it_is_skipped(self):
        code, said = self.bench("skab")
        self.assertEqual(code, 0)
        self.assertIn("bench skab: skipped: no data at ", said)

    def test_a_folder_without_recordings(self):
        self.assertEqual(self.bench("skab", "--data", self.tmp.name), (1, f"bench skab: no CSV file below {self.tmp.name}\n"))
        code, said = self.bench("nab", "--data", self.tmp.name)
        self.assertEqual(code, 1)
        self.assertIn("combined_windows.json", said)

    def test_a_series_that_is_labelled_and_missing(self):
        with open(os.path.join(self.tmp.name, "combined_windows.json"), "w") as f:
            json.dump({"real/a.csv": []}, f)
        code, said = self.bench("nab", "--data", self.tmp.name)
        self.assertEqual((code, said), (1, f"bench nab: no real/a.csv in {self.tmp.name}; combined_windows.json names it\n"))


class Predictions(unittest.TestCase):
    def test_scores_keep_their_order_and_come_back(self):
        with tempfile.TemporaryDirectory(prefix="fogline-test-") as d:
            path = os.path.join(d, "valve1", "0.csv")
            bench_detect.write_predictions(path, [(0, 0, 0.0), (1, 0, 1.0), (1, 1, 1e6)])
            with open(path) as f:
                self.assertEqual(f.readline(), "anomaly,changepoint,anomaly_score\n")
            self.assertEqual(bench_detect.predictions(path), [(0, 0, 0.0), (1, 0, 0.5), (1, 1, 1e6 / (1 + 1e6))])


if __name__ == "__main__":
    unittest.main()
