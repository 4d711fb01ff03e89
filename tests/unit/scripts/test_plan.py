"""Names that the demo makes of folders and files."""
import os
import sys
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
sys.dont_write_bytecode = True
import demo_plan  # noqa: E402


class Names(unittest.TestCase):
    def names(self, *files, folder="data"):
        with tempfile.TemporaryDirectory() as at:
            root = os.path.join(at, folder)
            for f in files:
                os.makedirs(os.path.dirname(os.path.join(root, f)), exist_ok=True)
                open(os.path.join(root, f), "w").close()
            self.folder = demo_plan.Folder(root, "devicectl", (), "UTC", ())
            return [(s, d) for s, d, _ in self.folder._name(demo_plan.find_files(root))]

    def test_folders_are_sites_and_files_devices(self):
        self.assertEqual(self.names("a/x.csv", "b/y.csv.gz", "b/readme.md"), [("a", "x"), ("b", "y")])
        self.assertEqual(self.folder.plan.remarks, [])

    def test_a_flat_folder_is_one_site(self):
        self.assertEqual(self.names("x.csv", "y.CSV", folder="air"), [("air", "x"), ("air", "y")])

    def test_deeper_folders_join_by_a_dot(self):
        self.assertEqual(self.names("a/b/c/x.csv"), [("a.b.c", "x")])

    def test_other_characters_are_replaced_and_reported(self):
        self.assertEqual(self.names("north wing/pump #1.csv"), [("north_wing", "pump__1")])
        self.assertEqual(self.folder.plan.remarks, ["site renamed: north wing is north_wing",
                                                    "device renamed: pump #1 of north_wing is pump__1"])

    def test_a_device_name_of_two_sites_carries_its_site(self):
        self.assertEqual(self.names("a/0.csv", "b/0.csv", "b/1.csv"), [("a", "a.0"), ("b", "b.0"), ("b", "1")])
        self.assertEqual(len(self.folder.plan.remarks), 1)

    def test_no_two_devices_and_no_two_sites_get_one_name(self):
        names = self.names("s/a b.csv", "s/a_b.csv", "s/a_b.csv.gz", "t u/x.csv", "t_u/y.csv", "s/cloud.csv")
        self.assertEqual(len({d for _, d in names} | {"cloud"}), len(names) + 1)
        self.assertEqual(len({s for s, _ in names}), 3)

    def test_long_names_are_cut_and_stay_apart(self):
        names = [d for _, d in self.names(*[f"s/{'x' * 70}{i}.csv" for i in range(12)])]
        self.assertEqual(len(set(names)), 12)
        self.assertTrue(all(len(n) <= 64 for n in names))

    def test_hidden_files_are_left_alone(self):
        self.assertEqual(self.names("a/x.csv", "a/.x.csv", ".git/y.csv"), [("a", "x")])

    def test_fogs_do_not_take_a_devices_name(self):
        plan = demo_plan.Plan()
        plan.add(demo_plan.Device("fog-a", "a", "csv", {}))
        self.assertNotEqual(plan.fog_names()["a"], "fog-a")


class Columns(unittest.TestCase):
    def check(self, times, time=(), ints=(), known_ints=()):
        folder = demo_plan.Folder("data", "devicectl", time, "UTC", ints)
        for n, t in enumerate(times):
            d = demo_plan.Device(f"d{n}", "s", "csv", {})
            d.time, d.ints = t, known_ints
            folder.plan.add(d)
        folder._check_columns_given()
        return folder.plan.remarks

    def test_what_no_file_has_is_misspelt(self):
        with self.assertRaisesRegex(demo_plan.PlanError, "--time when"):
            self.check([(), ()], time=("when",))
        with self.assertRaisesRegex(demo_plan.PlanError, "--int m"):
            self.check([(), ()], ints=("n", "m"), known_ints=("n",))

    def test_what_some_files_lack_is_said(self):
        self.assertEqual(self.check([("when",), ()], time=("when",), ints=("n",), known_ints=("n",)),
                         ["no columns when in 1 files, d1 for one: their time was found by shape and name"])
        self.assertEqual(self.check([("when",), ("when",)], time=("when",)), [])


if __name__ == "__main__":
    unittest.main()
