# SPDX-License-Identifier: Apache-2.0
"""What the program says about itself: status, why, images, cache; as JSON and to people."""
import json
import os
import socket

from lab import processes, trees, varve

LAZY = ("--no-background", "--prefetch=off")


def has(document, **kinds):
    """Every member is there and of its kind."""
    for name, kind in kinds.items():
        assert isinstance(document[name], kind), f"{name}: {document.get(name)!r}"
    return document


def test_status_tells_what_is_mounted_and_how_much_is_here(lab, face):
    mount = lab.mounted("torture", face, *LAZY)
    assert trees.file_hash(mount.path("sizes/4194303"))
    status = has(mount.varve.status(), version=str, pid=int, store=dict, mounts=list, hosts=list,
                 failures=list)
    assert status["pid"] == mount.pid and status["failures"] == []
    has(status["store"], dir=str, allocated=int, quota=int, file_system_free=int, caching=bool)
    assert status["store"]["dir"] == mount.varve.store and status["store"]["caching"]
    shown, = status["mounts"]
    has(shown, manifest=str, platform=str, face_why=str, inodes=int, started_s=int)
    assert shown["dir"] == mount.dir and shown["face"] == face.split("=")[1]
    assert shown["reference"] == f"{mount.registry.host}/{lab.images.path('torture')}"
    lower, upper = (has(layer, digest=str, blob_size=int, units=int, size=int, requests=int,
                        bytes_per_s=int, reads=int) for layer in shown["layers"])
    assert lower["units_present"] == 1 and lower["present"] == 4194303
    assert not lower["complete"] and lower["fetched_bytes"] > 0
    assert upper["units_present"] == 0
    host = next(h for h in status["hosts"] if mount.registry.host in h["origin"])
    assert host["received_bytes"] >= lower["fetched_bytes"]


def test_status_without_a_mount_reads_the_store_itself(lab):
    mount = lab.mounted("torture")
    mount.stop()
    status = mount.varve.status()
    assert status["mounts"] == [] and status["store"]["allocated"] > 0


def test_why_lists_the_units_of_a_file(lab, face):
    mount = lab.mounted("torture", face, *LAZY)
    path = mount.path("sizes/9437184")
    before = has(mount.varve.why(path), mount=str, reference=str, face=str, file=dict, units=dict,
                 layer=dict, hosts=list, failures=list)
    assert before["mount"] == mount.dir and before["units"]["present"] == 0
    assert before["units"]["size"] == 9437184 == before["file"]["size"]
    assert trees.file_hash(path)
    after = mount.varve.why(path)["units"]
    assert after["present"] == after["total"] == len(after["list"]) == 3
    for unit in after["list"]:
        has(unit, unit=int, file_off=int, size=int, present=bool, blob_off=int, blob_size=int,
            codec=str, digest=str, zeros=bool)
    assert [unit["file_off"] for unit in after["list"]] == [0, 4 << 20, 8 << 20]


def test_why_explains_what_has_no_units(lab, face):
    mount = lab.mounted("torture", face, *LAZY)
    for name, kind in (("sizes", "directory"), ("links/absolute", "symbolic link"), ("sizes/0", "file"),
                       ("devices/pipe", "fifo")):
        report = mount.varve.why(mount.path(name))
        assert kind in report["file"]["type"], report
        assert report.get("units", {}).get("total", 0) == 0
    assert mount.varve.why(mount.dir)["file"]["type"] == "directory"


def test_why_is_about_paths_in_mounts_only(lab, face):
    mount = lab.mounted("torture", face)
    said = mount.varve.run("why", "/etc/hostname", code=None)
    assert said.returncode == varve.INVALID and "/etc/hostname" in said.stderr
    mount.varve.run("why", mount.path("no/such/file"), code=varve.NOT_FOUND)


def images_of(program):
    return program.json("images", "--store", program.store)["images"]


def test_images_and_cache_list_what_the_store_has(lab):
    mount = lab.mounted("torture", *LAZY)
    program = mount.varve
    assert trees.file_hash(mount.path("sizes/9437184"))
    # What is claimed follows what is read within a second or so: it has to be on the disk first.
    processes.wait_for(lambda: images_of(program)[0]["present"] >= 9437184, 10 * varve.SLOWNESS,
                       "the claim")
    for owned in (True, False):
        image, = images_of(program)
        has(image, reference=str, manifest=str, used_s=int, blob_size=int, complete=bool)
        assert image["layers"] == 2 and image["mounted"] == ([mount.dir] if owned else [])
        assert 9437184 <= image["present"] < image["size"]
        layers = program.json("cache", "ls", "--store", program.store)["layers"]
        assert all(layer["open"] is owned for layer in layers)
        assert sum(layer["present"] for layer in layers) == image["present"]
        if owned:
            mount.stop()


def test_people_get_text_with_the_same_facts(lab):
    mount = lab.mounted("torture", *LAZY)
    program = mount.varve
    assert trees.file_hash(mount.path("sizes/4096"))
    text = program.run("status", "--store", program.store).stdout
    assert mount.dir in text and lab.images.path("torture") in text and mount.registry.host in text
    text = program.run("why", mount.path("sizes/4096")).stdout
    assert "sizes/4096" in text and mount.registry.host in text
    assert lab.images.path("torture") in program.run("images", "--store", program.store).stdout
    assert "\033" not in text


def test_verification_runs_beside_a_mount(lab):
    mount = lab.mounted("torture", *LAZY)
    assert trees.file_hash(mount.path("sizes/9437184"))
    report = mount.varve.verify()
    assert report["checked_bytes"] >= 9437184


def test_the_control_socket_speaks_http_and_json(lab):
    mount = lab.mounted("torture", *LAZY)
    path = os.path.join(mount.varve.store, "control.sock")
    assert os.stat(path).st_mode & 0o077 == 0

    def ask(request):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(path)
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    code, document = ask(b"GET /v1/status HTTP/1.1\r\nHost: varve\r\nConnection: close\r\n\r\n")
    assert code == 200 and document["mounts"][0]["dir"] == mount.dir
    code, document = ask(b"GET /v1/nothing HTTP/1.1\r\nHost: varve\r\nConnection: close\r\n\r\n")
    assert code == 404
    code, document = ask(b"GET /v1/why?dir=/none&path=x HTTP/1.0\r\n\r\n")
    assert code == 404 and document["error"]["kind"] == "not_found"


def test_the_first_of_two_words_lists_its_verbs(lab):
    program = lab.varve()
    for group, verb in (("index", "push"), ("cache", "verify")):
        listed = program.run(group, "--help").stdout
        assert f"varve {group} {verb}" in listed and "varve mount" not in listed
        assert program.run("help", group).stdout == listed
        assert program.run(group, code=2).stderr == listed
