# SPDX-License-Identifier: Apache-2.0
"""Many at once: readers of everything, mounts, reports, interrupts. Runs under ThreadSanitizer
too."""
import concurrent.futures
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from lab import faults, layers, readers, trees, varve

pytestmark = pytest.mark.concurrent


@pytest.fixture(name="unpacked_files", scope="session")
def unpacked_files_fixture(the_images):
    """name -> [(relative path, hash)] of the regular files of an image."""
    def files(name, most_bytes=1 << 40):
        root = the_images.tree(name)
        found = []
        for directory, _, names in os.walk(root):
            for file in names:
                path = os.path.join(directory, file)
                if os.path.isfile(path) and not os.path.islink(path) and \
                        os.path.getsize(path) <= most_bytes:
                    found.append((os.path.relpath(path, root), trees.file_hash(path)))
        return found
    return files


def read_all(mount, files, seed):
    """In an order of its own; returns what is wrong."""
    files = list(files)
    random.Random(seed).shuffle(files)
    return [name for name, digest in files if trees.file_hash(mount.path(name)) != digest]


def test_many_readers_of_everything_at_once_all_read_what_is_there(lab, face, unpacked_files):
    mount = lab.mounted("base", face)
    files = unpacked_files("base")
    if varve.SLOWNESS > 1:
        files = files[::3]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        wrong = pool.map(lambda seed: read_all(mount, files, seed), range(8))
    assert [name for one in wrong for name in one] == []
    assert mount.status()["layers"][0]["failed_reads"] == 0


def test_readers_of_a_registry_that_breaks_now_and_then_read_what_is_there(lab, face,
                                                                           unpacked_files):
    proxy = lab.proxy(lab.registry().port)
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('torture')}", "--plain-http", face)
    files = [f for f in unpacked_files("torture") if not f[0].startswith("many/")]
    stop = threading.Event()

    def be_difficult():
        choices = random.Random(1)
        while not stop.wait(0.05):
            proxy.fault = choices.choice([
                faults.Fault(), faults.CutOff(after=choices.randrange(5000), times=2),
                faults.Refusing(503, times=2), faults.RangeIgnored()])
        proxy.fault = faults.Fault()

    trouble = threading.Thread(target=be_difficult)
    trouble.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            wrong = list(pool.map(lambda seed: read_all(mount, files, seed), range(6)))
    finally:
        stop.set()
        trouble.join()
    assert [name for one in wrong for name in one] == []


def test_many_readers_of_spans_at_once_all_read_what_is_there(lab, face, unpacked_files):
    server = lab.registry()
    program = lab.varve()
    reference = f"{server.host}/{lab.images.path('dialects', 'gzip')}"
    files = unpacked_files("dialects")
    for options in ((), ("--no-background", "--prefetch=off")):
        mount = program.mount(reference, "--plain-http", face, *options)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            wrong = pool.map(lambda seed: read_all(mount, files, seed), range(8))
        assert [name for one in wrong for name in one] == []
        assert [layer["failed_reads"] for layer in mount.status()["layers"]] == [0] * 4
        mount.stop()
        program.evict()


def test_passes_over_the_same_layers_for_several_stores_at_once(lab, face):
    server = lab.empty_registry()
    names = ("ustar", "gnu", "pax")
    blobs = {name: layers.layer(layers.tarball(f"{name}/{name}", content(name))) for name in names}
    # Each has a layer of its own, one twice, and one that all have.
    pushed = {name: layers.push(server, name, [blobs[name], blobs["pax"], blobs[name]])
              for name in names}

    def one(name):
        program = lab.varve(name)
        for _ in range(2):
            mount = program.mount(pushed[name].reference, "--plain-http", face)
            for path in {f"{name}/{name}", "pax/pax"}:
                with open(mount.path(path), "rb") as file:
                    assert file.read() == content(os.path.basename(path))
            mount.stop()
        return program.verify()["findings"]

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert list(pool.map(one, names)) == [[]] * 3


def content(name):
    """More than a span, which no two names have in common."""
    return random.Random(name).randbytes(1 << 20) * 5


def test_reports_are_made_while_everything_is_read(lab, face, unpacked_files):
    mount = lab.mounted("torture", face)
    files = unpacked_files("torture", 1 << 16)
    done = threading.Event()

    def report():
        count = 0
        while not done.is_set() or count == 0:
            mount.varve.status()
            mount.varve.why(mount.path("sizes/9437184"))
            mount.varve.json("cache", "ls", "--store", mount.varve.store)
            count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        reports = [pool.submit(report) for _ in range(2)]
        verified = pool.submit(mount.varve.json, "cache", "verify", "--store", mount.varve.store)
        wrong = list(pool.map(lambda seed: read_all(mount, files, seed), range(2)))
        done.set()
        assert all(one.result() > 0 for one in reports)
        assert verified.result()["wrong_units"] == 0
    assert wrong == [[], []]


def test_readers_are_interrupted_at_any_moment_and_others_go_on(lab, face):
    proxy = lab.proxy(lab.registry().port)
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('base')}", "--plain-http",
                              "--no-background", "--prefetch=off", face)
    proxy.fault = Slow(0.02)
    path = mount.path("opt/app/random")
    choices = random.Random(2)
    steady = readers.Reader(path, 20 << 20, 2 << 20)
    for _ in range(12):
        victims = [readers.Reader(path, choices.randrange(24) << 20, 1 << 20) for _ in range(3)]
        time.sleep(choices.uniform(0, 0.3) * varve.SLOWNESS)
        for victim in victims:
            assert victim.kill() < 1 * varve.SLOWNESS
    proxy.fault = faults.Fault()
    assert steady.result() == ("bytes", 2 << 20)
    assert trees.file_hash(path) == \
        trees.file_hash(os.path.join(lab.images.tree("base"), "opt/app/random"))


class Slow(faults.Fault):
    """Each piece takes a while."""

    def __init__(self, seconds):
        self.seconds = seconds

    def body(self, _request, _off, pieces):
        for piece in pieces:
            time.sleep(self.seconds)
            yield piece


SIGNALLED = """
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, False)
with open(sys.argv[1], "rb", buffering=0) as file:
    total = 0
    while piece := file.read(1 << 18):
        total += len(piece)
print(total)
"""


def test_signals_that_do_not_kill_do_not_lose_bytes(lab, face):
    proxy = lab.proxy(lab.registry().port)
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('torture')}", "--plain-http",
                              "--no-background", "--prefetch=off", face)
    proxy.fault = Slow(0.005)
    reader = subprocess.Popen([sys.executable, "-c", SIGNALLED, mount.path("sizes/9437184")],
                              stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    while reader.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            reader.send_signal(signal.SIGUSR1)
        time.sleep(0.01)
    assert reader.communicate()[0].strip() == "9437184"


def test_mounts_of_one_image_from_several_stores_come_and_go_together(lab, face):
    server = lab.registry()
    reference = f"{server.host}/{lab.images.path('torture')}"
    digest = trees.file_hash(os.path.join(lab.images.tree("torture"), "sizes/4194305"))

    def one(i):
        program = lab.varve(f"v{i}")
        for _ in range(2):
            mount = program.mount(reference, "--plain-http", face)
            assert trees.file_hash(mount.path("sizes/4194305")) == digest
            mount.stop()
        return json.dumps(program.verify()["findings"])

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert list(pool.map(one, range(3))) == ["[]"] * 3
