# SPDX-License-Identifier: Apache-2.0
"""The first command of the README, as a person runs it."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lab import mounts, processes, varve

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "packaging/quickstart.sh"

pytestmark = [
    pytest.mark.limit(600),
    pytest.mark.skipif(varve.SLOWNESS > 1, reason="it builds a program of its own, once is enough"),
]


@pytest.fixture(name="quickstart")
def quickstart_fixture(lab):
    """Starts it; whatever it leaves behind is a failure."""
    env = dict(varve.environment(lab.dir), TMPDIR=lab.dir)
    running = []

    def start(*arguments):
        with open(lab.path("out"), "wb") as out:
            running.append(subprocess.Popen([SCRIPT, *arguments], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, env=env,
                                            start_new_session=True))
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
    left = {pid: varve.executable(pid) for pid in varve.all_pids()
            if f"TMPDIR={lab.dir}".encode() in varve.environment_of(pid)}
    for pid in left:
        varve.kill(pid)
    assert left == {} and mounts.below(lab.dir) == []
    assert not [name for name in os.listdir(lab.dir) if name.startswith("varve-quickstart")]


def said(lab):
    with open(lab.path("out"), encoding="utf-8", errors="replace") as file:
        return file.read()


def test_without_an_image_it_makes_one_and_reads_less_of_it_than_there_is(lab, quickstart):
    assert quickstart().wait(590) == 0, said(lab)
    text = said(lab)
    has, read, sent = (int(re.search(rf"^{what} +(\d+) KiB", text, re.M)[1])
                       for what in ("the image has", "read were", "the registry sent"))
    assert 0 < read < has / 10 and 0 < sent < has / 2
    assert "the same as on this machine" in text


def test_with_an_image_it_mounts_that_one_until_it_is_interrupted(lab, quickstart):
    server = lab.registry()
    script = quickstart(f"{server.host}/{lab.images.path('torture')}", "--plain-http")
    mounted = processes.wait_for(lambda: script.poll() is not None or re.search(
        " is mounted on (.*)", said(lab)), 580, "a mount")
    assert script.poll() is None, said(lab)
    assert os.stat(os.path.join(mounted[1], "sizes/4096")).st_size == 4096
    os.kill(script.pid, signal.SIGINT)
    assert script.wait(60) == 130, said(lab)


def test_ended_in_the_middle_it_takes_everything_away(lab, quickstart):
    script = quickstart()
    processes.wait_for(lambda: script.poll() is not None or "A registry on loopback" in said(lab),
                       580, "the registry to start")
    assert script.poll() is None, said(lab)
    script.send_signal(signal.SIGTERM)
    assert script.wait(60) == 143, said(lab)
