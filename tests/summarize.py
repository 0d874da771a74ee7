# SPDX-License-Identifier: Apache-2.0
"""Reads what the stages of tests/run.sh left in a directory, prints the output of everything that
failed and every skip with its reason, and ends with "N passed, N failed, N skipped". Exits 1 if
anything failed or nothing passed.

  STAGE.json     meson's test log: one JSON object per test
  STAGE.xml      pytest's JUnit file
  STAGE.passed   a stage without tests of its own that succeeded; counts as one
  STAGE.failed   a stage that could not do its work, with its output; counts as one
  STAGE.reports/ what sanitizers wrote, a file per process; each counts as one failure
"""
import json
import os
import re
import sys
import xml.etree.ElementTree

# cmocka's verdict on each function of a test program; the whole program is one test to meson.
CMOCKA = re.compile(r"^\[\s*(OK|FAILED|SKIPPED)\s*\] ([A-Za-z_]\w*)$", re.M)
CMOCKA_VERDICTS = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}
MESON_VERDICTS = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}
SHOWN_LINES = 200  # of one failure, its last ones


class Summary:
    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.skips = []

    def fail(self, what, output):
        self.counts["failed"] += 1
        self.show(what, output)

    def show(self, what, output):
        print(f"---- FAILED {what}")
        print("\n".join(output.rstrip().splitlines()[-SHOWN_LINES:]))

    def skip(self, what, reason):
        self.counts["skipped"] += 1
        self.skips.append(f"skipped {what}: {reason}")

    def meson_log(self, stage, path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                self.meson_test(stage, json.loads(line))

    def meson_test(self, stage, test):
        what = f"{stage}: {test['name']}"
        output = test.get("stdout", "") + test.get("stderr", "")
        verdict = MESON_VERDICTS.get(test["result"], "failed")
        cases = [(CMOCKA_VERDICTS[word], name) for word, name in set(CMOCKA.findall(output))]
        if not cases:
            self.meson_program(what, verdict, output)
            return
        for case, name in cases:
            if case == "skipped":
                self.skip(f"{what}: {name}", said_by(name, output))
            else:
                self.counts[case] += 1
        if verdict == "failed":
            if "failed" not in dict(cases):
                self.counts["failed"] += 1  # a crash, a timeout, a sanitizer's report
            self.show(f"{what}: {test['result']}", output)

    def meson_program(self, what, verdict, output):
        if verdict == "failed":
            self.fail(what, output)
        elif verdict == "skipped":
            self.skip(what, (output.strip().splitlines() or ["no reason given"])[-1])
        else:
            self.counts["passed"] += 1

    def pytest_log(self, stage, path):
        for case in xml.etree.ElementTree.parse(path).iter("testcase"):
            what = f"{stage}: {case.get('classname')}.{case.get('name')}"
            bad = [e for e in case if e.tag in ("failure", "error")]
            skipped = case.find("skipped")
            if bad:
                self.fail(what, "\n".join(e.text or e.get("message", "") for e in bad))
            elif skipped is not None:
                self.skip(what, skipped.get("message", "no reason given"))
            else:
                self.counts["passed"] += 1

    def reports(self, stage, directory):
        for name in sorted(os.listdir(directory)):
            self.fail(f"{stage}: sanitizer report {name}", read(os.path.join(directory, name)))

    def read(self, directory):
        for name in sorted(os.listdir(directory)):
            stage, kind = os.path.splitext(name)
            path = os.path.join(directory, name)
            if kind == ".json":
                self.meson_log(stage, path)
            elif kind == ".xml":
                self.pytest_log(stage, path)
            elif kind == ".reports":
                self.reports(stage, path)
            elif kind == ".failed":
                self.fail(stage, read(path))
            elif kind == ".passed":
                self.counts["passed"] += 1


def said_by(name, output):
    """What a cmocka test printed before it was skipped: its reason."""
    match = re.search(rf"^\[ RUN +\] {name}\n(.*?)^\[ +SKIPPED \]", output, re.M | re.S)
    return match.group(1).strip() if match and match.group(1).strip() else "no reason given"


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def main():
    summary = Summary()
    summary.read(sys.argv[1])
    print("\n".join(summary.skips))
    counts = summary.counts
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


main()
