"""The scores of detectors at points that are known by hand."""
import os
import sys
import unittest
from datetime import datetime, timedelta

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts"))
import score_detect  # noqa: E402

BEGIN = datetime(2020, 1, 1)


def skab_file(told_anomaly, told_changepoint):
    """100 scored rows, 1 s apart: 40..79 are anomalous, 40 is a changepoint."""
    learned = score_detect.SKAB_LEARNED
    labels = [(False, False)] * learned + [(40 <= i < 80, i == 40) for i in range(100)]
    told = [(1, 1)] * learned + [(told_anomaly(i), told_changepoint(i)) for i in range(100)]
    return list(range(learned + 100)), labels, told


class Scores(unittest.TestCase):
    def test_skab_perfect(self):
        r = score_detect.skab([skab_file(lambda i: 40 <= i < 80, lambda i: i == 40)])
        self.assertEqual((r["f1"], r["far_percent"], r["mar_percent"], r["rows"]), (1, 0, 0, 100))
        self.assertAlmostEqual(r["nab_standard"], 100)

    def test_skab_silent(self):
        r = score_detect.skab([skab_file(lambda i: False, lambda i: False)])
        self.assertEqual((r["f1"], r["mar_percent"], r["nab_standard"], r["changepoints_missed"]), (0, 100, 0, 1))

    def test_skab_always(self):
        r = score_detect.skab([skab_file(lambda i: True, lambda i: i in (1, 40))])
        self.assertAlmostEqual(r["f1"], 40 / 70)
        self.assertEqual((r["far_percent"], r["changepoints_false"]), (100, 1))
        self.assertAlmostEqual(r["nab_standard"], 100 * (2 - 0.11) / 2)

    def nab(self, scores):
        times = [BEGIN + timedelta(minutes=i) for i in range(100)]
        return score_detect.nab([("a", times, [(times[50], times[59])], scores)])["standard"]

    def test_nab_first_row_of_a_window_is_perfect(self):
        r = self.nab([1 if i == 50 else 0 for i in range(100)])
        self.assertEqual((r["windows_hit"], r["false_detections"]), (1, 0))
        self.assertGreater(r["score"], 99)

    def test_nab_silence_is_0(self):
        self.assertAlmostEqual(self.nab([0 if i < 50 or i > 59 else -1 for i in range(100)])["score"], 0)

    def test_nab_a_false_one_costs(self):
        r = self.nab([1 if i in (20, 50) else 0 for i in range(100)])
        self.assertEqual(r["false_detections"], 1)
        self.assertLess(r["score"], 96)

    def test_nab_the_start_is_not_scored(self):
        self.assertEqual(self.nab([1 if i in (3, 50) else 0 for i in range(100)])["false_detections"], 0)


if __name__ == "__main__":
    unittest.main()
