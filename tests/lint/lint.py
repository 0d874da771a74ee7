# SPDX-License-Identifier: Apache-2.0
"""What the lints share: walking the tree, and reporting findings as `file:line: [rule] what`."""
import argparse
import os
import shutil
import subprocess
import sys

SKIP = 77  # meson counts a test with this exit status as skipped
SKIPPED_DIRECTORIES = {".git", "__pycache__", ".pytest_cache"}


class Lint:
    """One run of one lint over the tree below --root (the repository, or a self-test's fixture)."""

    def __init__(self, doc):
        parser = argparse.ArgumentParser(description=doc)
        repository = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        parser.add_argument("--root", default=os.path.normpath(repository))
        self.root = parser.parse_args().root
        self.findings = []
        self.n_checked = 0

    def files(self, *folders, suffixes=None):
        """Paths relative to the root, sorted; without folders the whole repository."""
        found = []
        for folder in folders or ("",):
            for directory, names, files in os.walk(os.path.join(self.root, folder)):
                names[:] = [name for name in names if not self.skipped(directory, name)]
                found += [os.path.relpath(os.path.join(directory, name), self.root)
                          for name in files
                          if name != ".git" and (suffixes is None or name.endswith(suffixes))]
        return sorted(found)

    def skipped(self, directory, name):
        """Build directories are named build* and stand at the top, as in .gitignore."""
        at_top = os.path.samefile(directory, self.root)
        return name in SKIPPED_DIRECTORIES or (at_top and name.startswith("build"))

    def path(self, path):
        return os.path.join(self.root, path)

    def lines(self, path):
        self.n_checked += 1
        with open(self.path(path), encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def add(self, path, line, rule, what):
        self.findings.append((path, line, rule, what))

    def run(self, *command):
        """Runs a tool in the root; a machine that lacks the tool skips this lint."""
        if not shutil.which(command[0]):
            print(f"skipped: {command[0]} is not installed (packaging/install-deps.sh test)")
            sys.exit(SKIP)
        return subprocess.run(command, cwd=self.root, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self):
        findings = sorted(set(self.findings))
        for path, line, rule, what in findings:
            print(f"{path}:{line}: [{rule}] {what}")
        print(f"{self.n_checked} files checked, {len(findings)} findings")
        sys.exit(1 if self.findings else 0)
