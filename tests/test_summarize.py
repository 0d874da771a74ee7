# SPDX-License-Identifier: Apache-2.0
"""Shows that tests/summarize.py counts every kind of result, and that no kind of failure is lost:
the exit status of tests/run.sh is its exit status."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

SUMMARIZE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "summarize.py")
CMOCKA_OK = "[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n[       OK ] b\n"


class Summarize(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="varve-summarize-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def write_meson(self, *tests):
        self.write("plain-tests.json", "".join(
            json.dumps({"name": "t", "result": result, "stdout": out, "stderr": err}) + "\n"
            for result, out, err in tests))

    def assert_summary(self, status, last_line, *parts):
        result = subprocess.run([sys.executable, "-B", SUMMARIZE, self.directory], text=True,
                                check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(result.stdout.splitlines()[-1], last_line, result.stdout)
        self.assertEqual(result.returncode, status)
        for part in parts:
            self.assertIn(part, result.stdout)

    def test_counts_each_function_of_a_cmocka_program(self):
        self.write_meson(("OK", CMOCKA_OK, ""), ("OK", "no cmocka", ""))
        self.assert_summary(0, "3 passed, 0 failed, 0 skipped")

    def test_gives_the_reason_of_a_skipped_function(self):
        self.write_meson(("OK", CMOCKA_OK + "[ RUN      ] c\nneeds root\n[  SKIPPED ] c\n", ""))
        self.assert_summary(0, "2 passed, 0 failed, 1 skipped", "c: needs root")

    def test_counts_a_function_once_that_cmocka_names_twice(self):
        self.write_meson(("FAIL", CMOCKA_OK, "why\n[  FAILED  ] c\n 1 FAILED\n[  FAILED  ] c\n"))
        self.assert_summary(1, "2 passed, 1 failed, 0 skipped", "why")

    def test_counts_a_program_that_fails_after_its_functions_passed(self):
        self.write_meson(("FAIL", CMOCKA_OK, "a leak"), ("TIMEOUT", "", "slow"), ("ERROR", "", ""))
        self.assert_summary(1, "2 passed, 3 failed, 0 skipped", "a leak", "slow")

    def test_counts_a_skipped_program(self):
        self.write_meson(("SKIP", "skipped: no tool\n", ""), ("OK", "", ""))
        self.assert_summary(0, "1 passed, 0 failed, 1 skipped", "skipped: no tool")

    def test_counts_integration_tests(self):
        self.write("plain-integration.xml", """<testsuites><testsuite>
            <testcase classname="c" name="good"/>
            <testcase classname="c" name="bad"><failure message="m">why</failure></testcase>
            <testcase classname="c" name="broken"><error message="m">where</error></testcase>
            <testcase classname="c" name="left"><skipped message="no kernel">x</skipped></testcase>
            </testsuite></testsuites>""")
        self.assert_summary(1, "1 passed, 2 failed, 1 skipped", "why", "where", "no kernel")

    def test_counts_sanitizer_reports_and_whole_stages(self):
        self.write("asan-integration.reports/asan.1", "heap-use-after-free\n")
        self.write("plain-build.failed", "no compiler\n")
        self.write("long-fuzz.passed", "")
        self.assert_summary(1, "1 passed, 2 failed, 0 skipped", "heap-use", "no compiler")

    def test_fails_when_nothing_ran(self):
        self.assert_summary(1, "0 passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    unittest.main(verbosity=2)
