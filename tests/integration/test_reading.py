# SPDX-License-Identifier: Apache-2.0
"""While a layer is read as a whole: what is shown of it, and what is left when it is given up."""
import contextlib
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from lab import faults, mounts, processes, varve
from lab.layers import layer, push, tarball

LAZY = ("--plain-http", "--no-background", "--prefetch=off")


class StalledLater(faults.Stalled):
    """The first range of a blob comes, and no other one."""

    def body(self, request, off, pieces):
        return super().body(request, off, pieces) if off > 0 else pieces


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_pass_that_is_interrupted_ends_soon_and_leaves_nothing(lab, number):
    server = lab.empty_registry()
    data = os.urandom(8 << 20)
    image = push(server, "noise", [layer(tarball("noise", data), "tar")])
    proxy = lab.proxy(server.port)
    reference = image.reference.replace(server.host, proxy.host)
    program = lab.varve()
    proxy.fault = StalledLater()
    process = subprocess.Popen(
        [program.binary, *program.mount_arguments(reference, program.target("mnt"), LAZY)],
        env=program.env, cwd=program.dir, stderr=subprocess.PIPE, text=True)
    while line := process.stderr.readline():
        if line.startswith("reading layers"):
            break
    assert line and proxy.fault.stalled.wait(20 * varve.SLOWNESS)
    start = time.monotonic()
    process.send_signal(number)
    said = process.communicate(timeout=20 * varve.SLOWNESS)[1]
    assert time.monotonic() - start < 3 * varve.SLOWNESS
    assert process.returncode != 0
    assert "nothing is mounted yet" in said
    assert program.layer_files() == []
    proxy.fault.released.set()
    proxy.fault = faults.Fault()
    mount = program.mount(reference, *LAZY)
    with open(mount.path("noise"), "rb") as file:
        assert file.read() == data


READING = re.compile(r"reading layers that nobody has indexed: \[=* *\] +(\d+)% of ")


def test_one_line_on_a_terminal_is_about_all_layers_that_are_read(lab):
    server = lab.registry()
    program = lab.varve()
    reference = f"{server.host}/{lab.images.path('dialects', 'gzip')}"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [program.binary, *program.mount_arguments(reference, program.target("mnt"), LAZY)],
        env=dict(program.env, TERM="xterm"), cwd=program.dir, stdout=subprocess.DEVNULL,
        stderr=theirs)
    try:
        processes.wait_for(lambda: mounts.at(os.path.join(program.dir, "mnt")),
                           20 * varve.SLOWNESS, "the mount")
    finally:
        process.terminate()
        process.wait(20 * varve.SLOWNESS)
        os.close(theirs)
    said = read_all(ours)
    shown = [int(percent) for percent in READING.findall(said)]
    assert shown and shown[-1] == 100, said
    # The whole may grow while layers are looked at, so it is not asked that the share only grows.
    assert "indexing" not in said[said.index("reading layers"):said.index("100% of")], said


def read_all(terminal):
    said = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(terminal, 65536):
            said += piece
    os.close(terminal)
    return said.decode("utf-8", "replace")
