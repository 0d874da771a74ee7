# SPDX-License-Identifier: Apache-2.0
"""What registries and networks do on bad days: reads wait, go on, or fail; none hangs for ever."""
import errno
import os
import time

import pytest

from lab import faults, processes, readers, tokens, trees, varve

LAZY = ("--plain-http", "--no-background", "--prefetch=off")


@pytest.fixture(name="proxied")
def proxied_fixture(lab, face):
    """(proxy, mount) of the torture image, nothing fetched yet but its index."""
    proxy = lab.proxy(lab.registry().port)
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('torture')}", *LAZY, face)
    proxy.seen.clear()
    return proxy, mount


def expected_hash(lab, name):
    return trees.file_hash(os.path.join(lab.images.tree("torture"), name))


def check(lab, mount, *names):
    for name in names:
        assert trees.file_hash(mount.path(name)) == expected_hash(lab, name)


def test_a_read_waits_for_a_registry_that_is_killed_and_comes_back(lab, face):
    server = lab.registry()
    mount = lab.varve().mount(f"{server.host}/{lab.images.path('torture')}", *LAZY, face)
    server.kill()
    reader = readers.Reader(mount.path("sizes/9437184"), 5_000_000)
    time.sleep(1)
    assert reader.is_waiting()
    server.start()
    assert reader.result() == ("bytes", 4096)
    check(lab, mount, "sizes/9437184")


def test_a_registry_that_is_killed_in_the_middle_of_a_body_costs_nothing_but_time(lab, face):
    server = lab.registry()
    proxy = lab.proxy(server.port)
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('base')}", *LAZY, face)
    proxy.fault = faults.CutOff(after=50_000, times=5)
    name = "opt/app/random"
    reader = readers.Reader(mount.path(name), 0, 16 << 20)
    processes.wait_for(lambda: proxy.fault.times < 5, what="a cut connection")
    server.kill()
    time.sleep(0.3)
    server.start()
    assert reader.result()[0] == "bytes"
    assert trees.file_hash(mount.path(name)) == \
        trees.file_hash(os.path.join(lab.images.tree("base"), name))


def test_connections_that_end_early_are_made_again(lab, proxied):
    proxy, mount = proxied
    proxy.fault = faults.CutOff(after=700, times=4)
    check(lab, mount, "sizes/1048576", "sizes/9437184", "links/a/one")
    assert proxy.fault.times == 0


def test_a_stalled_connection_is_given_up_and_the_read_goes_on_elsewhere(lab, proxied):
    proxy, mount = proxied
    stalled = proxy.fault = faults.Stalled()
    reader = readers.Reader(mount.path("sizes/4194304"))
    assert stalled.stalled.wait(20)
    proxy.fault = faults.Fault()  # the next request is answered; the first one never is
    assert reader.result() == ("bytes", 4096)
    check(lab, mount, "sizes/4194304")


def test_a_mirror_that_stalls_is_left_early_and_asked_last_for_a_while(lab, face):
    upstream, mirror = lab.proxy(lab.registry().port), lab.proxy(lab.registry().port)
    program = lab.varve()
    program.hosts_toml("images.example.com", (
        f'server = "{upstream.base}"\n[host."{mirror.base}"]\n'))
    mount = program.mount(f"images.example.com/{lab.images.path('torture')}", *LAZY, face)
    assert not upstream.blobs()
    # Unmounting gives up what is stalled, so nothing waits for the proxy's end.
    mirror.fault = faults.Stalled()
    start = time.monotonic()
    check(lab, mount, "sizes/4194304")
    # Less than the last host would have got.
    assert time.monotonic() - start < 9 * varve.SLOWNESS
    n_asked = len(mirror.blobs())
    check(lab, mount, "sizes/1048576", "sizes/9437184")
    assert len(mirror.blobs()) == n_asked
    assert upstream.blobs()


def test_a_read_fails_when_its_time_is_over_and_why_knows(lab, face):
    proxy = lab.proxy(lab.registry().port)
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('torture')}", *LAZY, face,
                              "--read-timeout=3s")
    proxy.fault = faults.Stalled(after=0)
    start = time.monotonic()
    assert readers.Reader(mount.path("sizes/1048576")).result() == ("errno", errno.EIO)
    assert time.monotonic() - start < 30 * varve.SLOWNESS
    failure = mount.varve.why(mount.path("sizes/1048576"))["failures"][0]
    assert failure["kind"] in ("timeout", "unavailable") and failure["advice"]
    proxy.fault.released.set()
    proxy.fault = faults.Fault()
    check(lab, mount, "sizes/1048576")


def test_a_registry_that_ignores_ranges_still_works(lab, proxied):
    proxy, mount = proxied
    proxy.fault = faults.RangeIgnored()
    check(lab, mount, "sizes/1048576", "sizes/4194305", "names/-rf", "xattrs/capability")
    assert any(request.status == 200 for request in proxy.blobs())


def test_an_image_is_mounted_from_a_registry_that_ignores_ranges(lab, face):
    proxy = lab.proxy(lab.registry().port)
    proxy.fault = faults.RangeIgnored()
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('torture')}", *LAZY, face)
    check(lab, mount, "sizes/4097", "links/b/three")


def test_a_token_that_stops_working_in_the_middle_is_replaced(lab, face):
    server = lab.serve(tokens.TokenServer(lab.path("tokens")))
    proxy = lab.proxy(lab.registry().port)
    fault = proxy.fault = faults.Unauthorized(server.challenge("test/torture"))
    mount = lab.varve().mount(f"{proxy.host}/{lab.images.path('torture')}", *LAZY, face)
    check(lab, mount, "sizes/4095")
    before = len(server.seen)
    fault.revoke()
    check(lab, mount, "sizes/9437184", "links/a/one")
    assert len(server.seen) == before + 1


def test_429_is_waited_out_as_long_as_it_says(lab, proxied):
    proxy, mount = proxied
    fault = proxy.fault = faults.Refusing(429, {"Retry-After": "2"})
    check(lab, mount, "sizes/1048576")
    first = next(r for r in proxy.blobs() if r.status == 429)
    second = next(r for r in proxy.blobs() if r.status in (200, 206))
    assert fault.times == 0 and second.at - first.at >= 1.9


def test_errors_of_a_server_that_pass_are_tried_again(lab, proxied):
    proxy, mount = proxied
    proxy.fault = faults.Refusing(503, times=3)
    check(lab, mount, "sizes/1048576")
    assert proxy.fault.times == 0


def test_a_refusal_for_good_is_not_tried_for_ever(lab, proxied):
    proxy, mount = proxied
    proxy.fault = faults.Refusing(403, times=1 << 30)
    assert readers.Reader(mount.path("sizes/4096")).result() == ("errno", errno.EIO)
    failure = mount.varve.why(mount.path("sizes/4096"))["failures"][0]
    assert failure["kind"] == "unauthorized" and "403" in failure["message"]
    assert len(proxy.blobs()) < 20


def test_a_killed_reader_is_gone_within_a_second_while_the_registry_stalls(lab, proxied):
    proxy, mount = proxied
    proxy.fault = faults.Stalled(after=0)
    waiting = [readers.Reader(mount.path(name)) for name in
               ("sizes/4096", "sizes/1048576", "sizes/9437184", "links/a/one")]
    assert proxy.fault.stalled.wait(20)
    time.sleep(0.5)
    assert all(reader.is_waiting() for reader in waiting)
    assert max(reader.kill() for reader in waiting) < 1 * varve.SLOWNESS
    # Their requests hold nothing up.
    proxy.fault.released.set()
    proxy.fault = faults.Fault()
    check(lab, mount, "sizes/4096", "sizes/9437184")


def test_many_waiting_readers_leave_room_for_those_whose_bytes_are_here(lab, proxied):
    proxy, mount = proxied
    check(lab, mount, "sizes/1048576")
    proxy.fault = faults.Stalled(after=0)
    names = sorted(name for name in os.listdir(lab.images.tree("torture") + "/many")
                   if int(name[:5]) % 7)[::40]
    waiting = [readers.Reader(mount.path("many", name)) for name in names[:40]]
    assert proxy.fault.stalled.wait(60)
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("1")
    assert readers.Reader(mount.path("sizes/1048576")).result(20) == ("bytes", 4096)
    assert os.listdir(mount.path("modes"))
    proxy.fault.released.set()
    proxy.fault = faults.Fault()
    assert {reader.result()[0] for reader in waiting} == {"bytes"}


def test_a_mount_that_is_ended_while_a_reader_waits_goes_away_and_serves_it_first(lab, proxied):
    proxy, mount = proxied
    proxy.fault = faults.Stalled(after=0)
    reader = readers.Reader(mount.path("sizes/1048576"))
    assert proxy.fault.stalled.wait(20)
    mount.process.terminate()
    processes.wait_for(lambda: not mount.is_mounted(), 20 * varve.SLOWNESS, "the mount to go")
    proxy.fault.released.set()
    assert reader.result() == ("bytes", 4096)
    assert mount.process.wait(30 * varve.SLOWNESS) == 0
