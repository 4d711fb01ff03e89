"""Which files the codec's measurement finds, and what it does without any."""
import argparse
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts"))

import bench_codec  # noqa: E402


def touch(folder, *paths):
    for path in paths:
        at = os.path.join(folder, path)
        os.makedirs(os.path.dirname(at), exist_ok=True)
        open(at, "w").close()


class Sets(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(prefix="fogline-test-")
        self.addCleanup(self.tmp.cleanup)

    def test_a_set_is_a_top_folder_and_of_nab_each_real_one(self):
        touch(self.tmp.name, "skab/a/1.csv", "skab/b/2.csv", "skab/README.md", "nab/realTweets/x.csv", "nab/artificial/y.csv",
              "nab/z.csv", "air/one.csv.gz", "alone.csv")
        sets = bench_codec.find_sets(self.tmp.name)
        self.assertEqual({k: [os.path.basename(p) for p in v] for k, v in sets.items()},
                         {"skab": ["1.csv", "2.csv"], "nab/realTweets": ["x.csv"], "air": ["one.csv.gz"], ".": ["alone.csv"]})

    def test_links_are_followed_and_end(self):
        touch(self.tmp.name, "data/air/one.CSV", "elsewhere/two.csv")
        data = os.path.join(self.tmp.name, "data")
        os.symlink(os.path.join(self.tmp.name, "elsewhere"), os.path.join(data, "linked"))
        os.symlink(data, os.path.join(data, "air", "back"))
        sets = bench_codec.find_sets(data)
        self.assertEqual({k: [os.path.basename(p) for p in v] for k, v in sets.items()},
                         {"air": ["one.CSV"], "linked": ["two.csv"]})

    def test_a_folder_asked_for_must_be_there_another_may_be_missing(self):
        gone = os.path.join(self.tmp.name, "gone")
        for given, code in ((gone, 2), (None, 0)):
            os.environ["FOGLINE_DATA_DIR"] = gone
            self.addCleanup(os.environ.pop, "FOGLINE_DATA_DIR", None)
            with self.assertRaises(SystemExit) as e:
                bench_codec.run(argparse.Namespace(data=given, json=True, rounds=1), self.tmp.name, gone)
            self.assertEqual(e.exception.code, code)

    def test_the_mean_is_geometric(self):
        self.assertAlmostEqual(bench_codec.geometric_mean([1, 4]), 2)
        self.assertIsNone(bench_codec.geometric_mean([]))


if __name__ == "__main__":
    unittest.main()
