"""Tests of scripts/fuzz-hours: what was spent before is kept, and nothing is lost when runs end together."""

import pathlib
import re
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "fuzz-hours"


class FuzzHours(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "HOURS.md"

    def start(self, target, seconds):
        return subprocess.Popen([SCRIPT, target, str(seconds), self.file])

    def rows(self):
        text = self.file.read_text(encoding="utf-8")
        return dict(re.findall(r"\| \**(\w+)\** \| \**(\d+\.\d+)\** \|", text))

    def test_time_is_added_to_what_is_there(self):
        for target, seconds in [("b", 3600), ("a", 90), ("b", 1800)]:
            self.assertEqual(self.start(target, seconds).wait(), 0)
        self.assertEqual(self.rows(), {"a": "0.0250", "b": "1.5000", "all": "1.5250"})

    def test_runs_that_end_together_are_all_counted(self):
        runs = [self.start(target, 360) for target in "abab"]
        self.assertEqual([run.wait() for run in runs], [0] * 4)
        self.assertEqual(self.rows(), {"a": "0.2000", "b": "0.2000", "all": "0.4000"})

    def test_what_is_no_number_changes_nothing(self):
        run = subprocess.run([SCRIPT, "a", "soon", self.file], stderr=subprocess.DEVNULL)
        self.assertNotEqual(run.returncode, 0)
        self.assertFalse(self.file.exists())


if __name__ == "__main__":
    unittest.main()
