# SPDX-License-Identifier: Apache-2.0
"""Processes that read from a mount, so that what happens to them does not happen to the test: they
may block, be killed, be of another user."""
import pickle
import subprocess
import sys
import time

from . import trees, varve

NOBODY = 65534  # a user

READ = """
import os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
off, size = int(sys.argv[2]), int(sys.argv[3])
try:
    data = os.pread(file, size, off)
except OSError as error:
    print("errno", error.errno)
else:
    print("bytes", len(data))
"""

# Appended to trees.py, whose directory that user may not be able to enter.
TREE = """
import pickle, sys
pickle.dump(read(sys.argv[1], tolerant=True), sys.stdout.buffer)
"""


def as_user(uid):
    """Put before a command: runs it as a user without any privilege."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all"]


class Reader:
    """One pread(2) in a process of its own."""

    def __init__(self, path, off=0, size=4096):
        self.started = time.monotonic()
        self.process = subprocess.Popen([sys.executable, "-c", READ, path, str(off), str(size)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def result(self, seconds=60):
        """("bytes", n) or ("errno", n)."""
        try:
            word, number = self.process.communicate(timeout=seconds * varve.SLOWNESS)[0].split()
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return word, int(number)

    def is_waiting(self):
        return self.process.poll() is None

    def kill(self):
        """SIGKILL; returns the seconds until it was gone."""
        start = time.monotonic()
        self.process.kill()
        self.process.wait(60)
        return time.monotonic() - start


def tree_as(uid, root, prefix=()):
    """trees.read() by another user; what that one may not read is an errno in it."""
    with open(trees.__file__, encoding="utf-8") as file:
        program = file.read() + TREE
    done = subprocess.run([*prefix, *as_user(uid), "/usr/bin/python3", "-c", program, root],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd="/", check=True)
    return pickle.loads(done.stdout)
