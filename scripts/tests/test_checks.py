"""Tests of interop/checks.py: what failed and what was skipped is counted apart."""

import contextlib
import importlib.util
import io
import pathlib
import unittest

INTEROP = pathlib.Path(__file__).resolve().parent.parent.parent / "interop"


def fresh():
    spec = importlib.util.spec_from_file_location("checks", INTEROP / "checks.py")
    checks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(checks)

    @checks.check
    def passes(world):
        checks.expect(world == "world", "another world")

    @checks.check
    def lacks_something(_):
        raise checks.Skipped("no disk here")

    @checks.check
    def fails(_):
        checks.expect(False, "as it must")

    return checks


def run(*wanted):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        result = fresh().run("world", wanted)
    return result, said.getvalue()


class Run(unittest.TestCase):
    def test_each_check_ends_in_one_of_three_ways(self):
        result, said = run()
        self.assertEqual(result, (1, ["lacks_something"]))
        self.assertIn("check passes ... ok\n", said)
        self.assertIn("check lacks_something ... skipped: no disk here\n", said)
        self.assertIn("check fails ... FAILED\n", said)
        self.assertTrue(said.endswith("interop: 1 passed, 1 failed, 1 skipped\n"))

    def test_only_the_wanted_checks_run(self):
        self.assertEqual(run("lacks")[0], (0, ["lacks_something"]))
        self.assertEqual(run("passes")[0], (0, []))


if __name__ == "__main__":
    unittest.main()
