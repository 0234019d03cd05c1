"""Tests of scripts/wasm-imports."""

import unittest

from test_conformance_tables import load

wasm = load("wasm-imports")
HEAD = b"\0asm\1\0\0\0"


class Imports(unittest.TestCase):
    def test_a_module_without_imports_is_pure(self):
        self.assertEqual(wasm.imports(HEAD + b"\x01\x04\x01\x60\x00\x00"), [])

    def test_imports_of_every_kind_are_named(self):
        function, table = b"\x03env\x01f\x00\x05", b"\x03env\x01t\x01\x70\x01\x00\x80\x01"
        memory, variable = b"\x01a\x01m\x02\x00\x10", b"\x01a\x01g\x03\x7f\x00"
        entries = function + table + memory + variable
        section = b"\x02" + bytes([len(entries) + 1]) + b"\x04" + entries
        self.assertEqual(wasm.imports(HEAD + section), ["env.f", "env.t", "a.m", "a.g"])

    def test_other_files_are_refused(self):
        with self.assertRaises(ValueError):
            wasm.imports(b"\x7fELF\0\0\0\0")

    def test_the_runtime_of_wasm_bindgen_is_told_from_what_it_gives_access_to(self):
        for name in (
            "__wbindgen_placeholder__.__wbindgen_describe",
            "__wbindgen_placeholder__.__wbg___wbindgen_throw_4c88d8bf264fd984",
            "__wbindgen_externref_xform__.__wbindgen_externref_table_grow",
        ):
            self.assertTrue(wasm.is_glue(name), name)
        for name in ("env.f", "__wbindgen_placeholder__.__wbg_getRandomValues_1", "__wbindgen_placeholder__.__wbg_now_1"):
            self.assertFalse(wasm.is_glue(name), name)


if __name__ == "__main__":
    unittest.main()
