"""Tests of scripts/conformance-tables: python3 -m unittest discover -s scripts/tests"""

import importlib.machinery
import importlib.util
import json
import pathlib
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent


def load(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(SCRIPTS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


conformance = load("conformance-tables")
SERIES = [("OAUTH-R", 3, 154), ("OAUTH-C", 2, 17)]


def row(name, proof="a/tests/b.rs::c"):
    return conformance.Row("oauth.md", 1, name, "statement", "source", proof)


class Ids(unittest.TestCase):
    def test_rows_in_order_are_accepted(self):
        rows = [row("OAUTH-R001"), row("OAUTH-R154"), row("OAUTH-C01")]
        self.assertEqual(conformance.check_ids(rows, SERIES), [])

    def test_repeated_unknown_and_disordered_ids_are_faults(self):
        for rows in (
            [row("OAUTH-R002"), row("OAUTH-R002")],
            [row("OAUTH-R155")],
            [row("OAUTH-R1")],
            [row("OAUTH-C01"), row("OAUTH-R001")],
        ):
            self.assertEqual(len(conformance.check_ids(rows, SERIES)), 1, rows)

    def test_a_row_without_proof_is_a_fault(self):
        self.assertEqual(len(conformance.check_ids([row("OAUTH-R001", "")], SERIES)), 1)


class Rows(unittest.TestCase):
    def test_a_table_is_read_and_its_head_passed_over(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "uci.md"
            file.write_text(
                "# Title\n| ID | statement | source | proof |\n| --- | --- | --- | --- |\n"
                "| UCI-1 | a \\| b | RFC | x/tests/y.rs::z, x/tests/y.rs::w |\n| UCI-2 | c | d | Differs: why |\n"
            )
            first, second = conformance.read_rows(file)
        self.assertEqual((first.line, first.id, first.statement), (4, "UCI-1", "a | b"))
        self.assertEqual(conformance.tests_of(first), ["x/tests/y.rs::z", "x/tests/y.rs::w"])
        self.assertTrue(conformance.differs(second))


class Names(unittest.TestCase):
    def test_paths_become_the_names_of_the_log(self):
        for test, expected in {
            "m/src/link.rs::tests::n": ("m", "unit", "link::tests::n"),
            "m/src/lib.rs::tests::n": ("m", "unit", "tests::n"),
            "m/src/link/tests.rs::n": ("m", "unit", "link::tests::n"),
            "examples/e/src/main.rs::tests::n": ("examples/e", "unit", "tests::n"),
            "m/tests/vectors.rs::n": ("m", "vectors", "n"),
            "m/tests/scenarios/retry.rs::n": ("m", "scenarios", "retry::n"),
            "m/tests/scenarios/main.rs::n": ("m", "scenarios", "n"),
        }.items():
            self.assertEqual(conformance.runs_as(test), expected)


class Log(unittest.TestCase):
    LOG = (
        "     Running unittests src/lib.rs (target/debug/deps/m-1)\n\nrunning 2 tests\n"
        "test link::tests::n ... ok\ntest link::tests::broken ... FAILED\n"
        "     Running tests/contract.rs (/elsewhere/debug/deps/contract-2)\n"
        "test n ... ok\ntest later ... ignored\ntest dies - should panic ... ok\ntest talks ... said something ok\n"
    )

    def programs(self):
        def artifact(executable, kind, name):
            return json.dumps(
                {
                    "reason": "compiler-artifact",
                    "executable": f"/w/target/debug/deps/{executable}",
                    "manifest_path": "/w/m/Cargo.toml",
                    "target": {"kind": [kind], "name": name},
                }
            )

        lines = [artifact("m-1", "lib", "m"), artifact("contract-2", "test", "contract"), '{"reason":"build-finished"}']
        return conformance.programs(pathlib.Path("/w"), "\n".join(lines))

    def test_only_tests_that_passed_count_and_each_under_its_crate(self):
        self.assertEqual(
            conformance.ran_in(self.LOG, self.programs()),
            {
                ("m", "unit", "link::tests::n"),
                ("m", "contract", "n"),
                ("m", "contract", "dies"),
                ("m", "contract", "talks"),
            },
        )

    def test_a_program_of_no_known_crate_proves_nothing(self):
        self.assertEqual(conformance.ran_in(self.LOG, {}), set())

    def test_outside_checks_are_read_by_their_printed_name(self):
        log = "check wrong_key_fails ... ok\ncheck curl_reads ... FAILED\n"
        self.assertEqual(conformance.interop_passed(log), {"wrong_key_fails"})


class Tests(unittest.TestCase):
    def test_a_test_that_is_gone_or_did_not_run_is_a_fault(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "m/tests").mkdir(parents=True)
            (root / "m/tests/contract.rs").write_text("fn here() {}\n")
            gate = root / "gate"
            gate.mkdir()
            rows = [row("OAUTH-R001", "m/tests/contract.rs::here"), row("OAUTH-R002", "m/tests/contract.rs::gone")]
            self.assertEqual(len(conformance.check_tests(root, rows, None)), 1)
            self.assertEqual(len(conformance.check_tests(root, rows, gate)), 2)


if __name__ == "__main__":
    unittest.main()
