# SPDX-License-Identifier: Apache-2.0
"""Fixtures and the rules of every integration test: its own directory, a limit on its time, and
nothing left behind, be it a process or a mount."""
import faulthandler
import os
import pathlib
import random
import shutil
import signal
import sys
import threading

import pytest

from lab import bench, images, mounts, trees, varve

TOP = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 120  # seconds for one test, unless it is marked limit(N)


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", default=bool(os.environ.get("VARVE_LONG")),
                     help="run the long forms of tests; also VARVE_LONG=1")
    parser.addoption("--varve", default=os.environ.get("VARVE_BIN",
                                                       str(TOP / "build/src/cli/varve")),
                     help="the program to test; also VARVE_BIN")
    parser.addoption("--seed", type=int, default=None, help="of what is drawn at random")


def pytest_configure(config):
    config.addinivalue_line("markers", "concurrent: about threads; runs under ThreadSanitizer too")
    config.addinivalue_line("markers", "limit(seconds): more time than usual")
    config.addinivalue_line("markers", "plain: with sanitizers only in the long run")
    config.addinivalue_line("markers", "one_face: on the EROFS face, whose reads are the kernel's, "
                                       "with sanitizers only in the long run")


def is_left_out(item):
    drawn = item.callspec.params if hasattr(item, "callspec") else {}
    return item.get_closest_marker("plain") or \
        (item.get_closest_marker("one_face") and drawn.get("face") == "erofs")


def pytest_collection_modifyitems(config, items):
    if varve.SLOWNESS == 1 or config.getoption("--long"):
        return
    left_out = [item for item in items if is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not is_left_out(item)]


class OutOfTime(Exception):
    """The test took longer than it may."""


class Watchdog:
    """Ends a test that takes too long: first whatever it may be waiting for, then the test, then,
    when not even that helps, the whole run, showing where every thread is."""

    def __init__(self, seconds):
        self.seconds, self.victims = seconds, []
        self.timer = threading.Timer(seconds, self.bark)
        self.timer.daemon = True

    def __enter__(self):
        signal.signal(signal.SIGALRM, self.interrupt)
        faulthandler.dump_traceback_later(self.seconds + 120, exit=True, file=sys.__stderr__)
        self.timer.start()
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        faulthandler.cancel_dump_traceback_later()

    def bark(self):
        for victim in self.victims:
            victim.kill_all()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

    def interrupt(self, *_):
        raise OutOfTime(f"this test took more than {self.seconds} s")


@pytest.fixture(autouse=True)
def watchdog(request):
    marker = request.node.get_closest_marker("limit")
    with Watchdog((marker.args[0] if marker else LIMIT) * varve.SLOWNESS) as dog:
        yield dog


@pytest.fixture(name="binary", scope="session")
def binary_fixture(request):
    path = os.path.abspath(request.config.getoption("--varve"))
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is not there: build first, or name it with --varve or VARVE_BIN")
    return path


@pytest.fixture(name="the_images", scope="session")
def the_images_fixture():
    return images.build(str(TOP))


@pytest.fixture(name="unpacked", scope="session")
def unpacked_fixture(the_images):
    """name -> what umoci made of it."""
    cache = {}

    def unpacked(name):
        if name not in cache:
            cache[name] = trees.read(the_images.tree(name))
        return cache[name]

    return unpacked


@pytest.fixture(name="long")
def long_fixture(request):
    return request.config.getoption("--long")


@pytest.fixture(name="rng")
def rng_fixture(request):
    """Random numbers whose seed is in the log."""
    seed = request.config.getoption("--seed")
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{request.node.name}: seed {seed}", file=sys.stderr, flush=True)
    return random.Random(seed)


@pytest.fixture(name="lab")
def lab_fixture(request, watchdog, binary, the_images):
    """Everything one test makes; see lab/bench.py."""
    if os.geteuid() != 0:
        pytest.skip("mounting and network set-up need root")
    if not os.path.exists("/dev/fuse"):
        pytest.skip("this kernel or container has no /dev/fuse")
    made = bench.Bench(the_images, binary)
    watchdog.victims.append(made)
    request.node.bench = made
    yield made
    # Before the directory goes: a failure of the test itself has taken the logs already.
    logs = made.logs()
    problems = made.close()
    if problems and not getattr(request.node, "failed", False):
        pytest.fail("\n".join(problems + [f"---- {k}\n{v}" for k, v in logs.items()]),
                    pytrace=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    made = getattr(item, "bench", None)
    if report.failed and call.when == "call":
        item.failed = True
        if made and hasattr(report.longrepr, "addsection"):
            for title, text in made.logs().items():
                report.longrepr.addsection(title, text)


@pytest.fixture(name="why_no_erofs", scope="session")
def why_no_erofs_fixture(tmp_path_factory):
    if os.geteuid() != 0:
        return "mounting needs root"
    if not shutil.which("mkfs.erofs"):
        return "mkfs.erofs is not installed, which tells whether the kernel can"
    return mounts.why_no_erofs(str(tmp_path_factory.mktemp("erofs")))


@pytest.fixture(name="face", params=["fuse", "erofs"])
def face_fixture(request, why_no_erofs):
    """The option that chooses how the kernel sees the tree; a test with it runs once for each."""
    if request.param == "erofs" and why_no_erofs:
        pytest.skip(why_no_erofs)
    return f"--face={request.param}"
