# SPDX-License-Identifier: Apache-2.0
"""Images that are in no registry: OCI layouts of skopeo and umoci, archives, containerd's content
store; and layers that are elsewhere than their image."""
import errno
import os
import shutil

import pytest

from lab import images, mounts, places, processes, pushing, readers, registry, toc, torture, trees, \
    varve

LAZY = ("--no-background", "--prefetch=off")


@pytest.fixture(name="unpacked", scope="session")
def unpacked_fixture(the_images):
    return trees.read(the_images.tree("torture"))


@pytest.fixture(name="made", scope="session")
def made_fixture(the_images, tmp_path_factory):
    """A layout with the image "torture", as skopeo copies it, and what no mount shows of it."""
    directory = tmp_path_factory.mktemp("layout")
    server = registry.Registry(str(directory / "registry"), the_images.storage)
    server.start()
    try:
        places.copy(f"docker://{server.host}/{the_images.path('torture')}",
                    f"oci:{directory}/layout:torture")
        implicit = toc.implicit_directories(
            toc.layers(server.host, the_images.path("torture")))
    finally:
        server.stop()
    return str(directory / "layout"), implicit


@pytest.fixture(name="layout")
def layout_fixture(lab, made):
    """A copy that the test may change."""
    shutil.copytree(made[0], lab.path("layout"))
    return lab.path("layout")


@pytest.fixture(name="assert_torture")
def assert_torture_fixture(unpacked, made):
    """The mount shows that image, and says where it is from."""
    def check(mount, source):
        trees.assert_same(unpacked, trees.read(mount.dir), made[1])
        shown = mount.status()
        assert shown["source"] == source and shown["reference"].startswith(source + ":")
        assert not shown["unverified"]
    return check


def test_a_layout_of_skopeo_is_what_umoci_unpacks(lab, face, layout, assert_torture):
    mount = lab.varve().mount(f"oci:{layout}:torture", face)
    assert_torture(mount, "oci")
    assert mount.varve.status()["hosts"] == []
    mount.stop()
    mount.varve.verify()
    image, = mount.varve.json("images", "--store", mount.varve.store)["images"]
    assert image["reference"] == f"oci:{layout}:torture" and image["complete"]


def test_an_image_that_umoci_changed_is_another_image_of_the_same_layers(lab, face, layout,
                                                                         assert_torture):
    places.umoci_changed(layout, "torture", "changed")
    program = lab.varve()
    said = program.refused(varve.INVALID, f"oci:{layout}", face)
    assert "2 images are in it" in said and "torture, changed" in said
    mount = program.mount(f"oci:{layout}:changed", face)
    assert_torture(mount, "oci")
    _, digest = places.manifest(layout, "changed")
    assert mount.status()["manifest"] == digest != places.manifest(layout, "torture")[1]
    mount.stop()
    again = program.mount(f"oci:{layout}@{digest}", face)
    assert_torture(again, "oci")


def contents(top):
    """Names and times of a file, or of all that is in a directory."""
    found = processes.run(["find", top, "-printf", "%p %T@\\n"])
    return sorted(found.splitlines())


def plain_layout(lab):
    """Layers without any table of contents, as umoci writes them."""
    path = lab.path("plain")
    images.make_image(path, "torture", torture.layers(lab.new("tars")))
    processes.run(["chmod", "-R", "a+rX,go-w", path])
    return path


def test_a_normal_user_indexes_what_he_may_only_read(lab):
    """Which needs no /dev/fuse."""
    path = plain_layout(lab)
    before = contents(path)
    user = lab.user_varve()
    user.prefix = readers.as_user(readers.NOBODY)
    user.run("index", "create", "--store", user.store, f"oci:{path}:torture")
    assert [name for name in user.layer_files() if name.endswith(".spans")]
    assert contents(path) == before
    user.verify()


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "plain"])
def test_a_normal_user_mounts_what_he_may_only_read(lab, layout, made, kind):
    """A directory of somebody else's; of layers with and without a table of contents."""
    path = layout
    if kind == "oci-archive":
        path = lab.path("layout.tar")
        places.copy(f"oci:{layout}:torture", f"oci-archive:{path}:torture")
    elif kind == "plain":
        path = plain_layout(lab)
    processes.run(["chmod", "-R", "a+rX,go-w", path])
    before = contents(path)
    user = lab.user_varve()
    mount = user.mount(f"{'oci' if kind == 'plain' else kind}:{path}:torture")
    namespace = ["nsenter", f"--mount=/proc/{mount.pid}/ns/mnt"]
    with mounts.bound(lab.images.tree("torture"), lab.path("unpacked")) as unpacked:
        expected = readers.tree_as(readers.NOBODY, unpacked)
    actual = readers.tree_as(readers.NOBODY, mount.dir, namespace)
    trees.assert_same(expected, actual, made[1], whole_seconds=kind != "plain")
    mount.stop()
    assert contents(path) == before
    user.verify()


def test_a_normal_user_hears_which_file_he_may_not_read(lab, layout):
    processes.run(["chmod", "-R", "go-rwx", os.path.join(layout, "index.json")])
    user = lab.user_varve()
    said = user.refused(varve.UNAUTHORIZED, f"oci:{layout}:torture")
    assert "index.json" in said and "ermission denied" in said


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_an_archive_is_read_without_being_unpacked(lab, face, layout, kind, assert_torture):
    """As containerd exports it, which is both; skopeo's docker archives have other layers."""
    archive = lab.path("image.tar")
    if kind == "oci-archive":
        places.copy(f"oci:{layout}:torture", f"oci-archive:{archive}:docker.io/library/app:1")
        mount = lab.varve().mount(f"{kind}:{archive}:docker.io/library/app:1", face)
        assert_torture(mount, kind)
        return
    containerd = lab.serve(places.Containerd(lab.path("containerd")))
    places.copy(f"oci:{layout}:torture", f"oci-archive:{lab.path('import.tar')}:1")
    containerd.ctr("image", "import", "--base-name", "docker.io/library/app", "--no-unpack",
                   lab.path("import.tar"))
    containerd.ctr("image", "export", archive, "docker.io/library/app:1")
    mount = lab.varve().mount(f"oci-archive:{archive}:app:1", face)
    assert_torture(mount, "oci-archive")
    mount.stop()
    # Its list of images has no annotations: there is a table of contents, but no digest of it.
    loose = lab.varve("w").mount(f"{kind}:{archive}:app:1", face, "--allow-unverified")
    assert loose.status()["unverified"] and loose.status()["source"] == kind
    path = "sizes/1048576"
    assert trees.file_hash(loose.path(path)) == \
        trees.file_hash(os.path.join(lab.images.tree("torture"), path))


def test_what_containerd_pulled_is_mounted_from_its_content_store(lab, face, assert_torture):
    server = lab.registry()
    containerd = lab.serve(places.Containerd(lab.path("containerd")))
    digest = containerd.fetch(f"{server.host}/{lab.images.path('torture')}")
    server.stop()
    mount = lab.varve().mount(f"containerd:{containerd.root}@{digest}", face, *LAZY)
    # Its garbage collection does not hurt who has the image mounted.
    for name in containerd.ctr("image", "ls", "-q").split():
        containerd.ctr("image", "rm", "--sync", name)
    processes.wait_for(lambda: not any(os.scandir(os.path.join(containerd.content, "blobs",
                                                               "sha256"))))
    assert_torture(mount, "containerd")
    mount.stop()
    said = lab.varve("w").refused(varve.NOT_FOUND, f"containerd:{containerd.content}@{digest}")
    assert "containerd does not have " + digest in said
    assert "digests only" in lab.varves[1].refused(varve.INVALID, f"containerd:{containerd.root}")


def test_platforms_are_found_through_indexes_inside_indexes(lab, layout, assert_torture):
    """As containerd exports an image of two platforms, and one more index around it."""
    server = lab.empty_registry()
    places.copy(f"oci:{layout}:torture", f"docker://{server.host}/app:amd64",
                "--dest-tls-verify=false")
    other = pushing.push(server.host, "app", [pushing.estargz.build(
        [pushing.estargz.file("other", b"platform\n")])], tag="other")
    described = [
        pushing.describe_manifest(server.host, "app", image, platform) for image, platform in (
            (pushing.Pushed("", places.manifest(layout, "torture")[1], []),
             {"os": "linux", "architecture": "amd64"}),
            (other, {"os": "linux", "architecture": "riscv64"}))]
    reference = pushing.push_index(server.host, "app", described, "all")
    containerd = lab.serve(places.Containerd(lab.path("containerd")))
    containerd.fetch(reference, "--all-platforms")
    archive = lab.path("all.tar")
    containerd.ctr("image", "export", "--all-platforms", archive, reference)
    program = lab.varve()
    mount = program.mount(f"oci-archive:{archive}:{reference}", "--platform=linux/amd64")
    assert_torture(mount, "oci-archive")
    mount.stop()
    mount = program.mount(f"oci-archive:{archive}", "--platform=linux/riscv64")
    assert os.listdir(mount.dir) == ["other"]
    mount.stop()
    said = program.refused(varve.NOT_FOUND, f"oci-archive:{archive}", "--platform=linux/s390x")
    assert "linux/amd64, linux/riscv64" in said
    unpacked = lab.path("unpacked")
    os.mkdir(unpacked)
    processes.run(["tar", "-C", unpacked, "-xf", archive])
    index = os.path.join(unpacked, "index.json")
    with open(index, "rb") as file:
        inner = file.read()
    places.write_json(index, {"schemaVersion": 2, "manifests": [
        {"mediaType": pushing.INDEX, "digest": places.put_blob(unpacked, inner),
         "size": len(inner)}]})
    mount = program.mount(f"oci:{unpacked}", "--platform=linux/amd64")
    assert_torture(mount, "oci")


def test_blobs_may_be_links_and_have_digests_of_512_bits(lab, face, layout, assert_torture):
    document, _ = places.manifest(layout, "torture")
    pool = lab.path("pool")
    os.makedirs(pool)
    os.makedirs(os.path.join(layout, "blobs", "sha512"))
    for number, layer in enumerate(document["layers"]):
        path = places.blob_path(layout, layer["digest"])
        done = processes.run(["sha512sum", path]).split()[0]
        shutil.move(path, os.path.join(pool, str(number)))
        layer["digest"] = f"sha512:{done}"
        os.symlink(f"../../../pool/{number}", places.blob_path(layout, layer["digest"]))
    places.put_manifest(layout, "linked", document)
    assert_torture(lab.varve().mount(f"oci:{layout}:linked", face), "oci")


def test_a_layout_is_asked_each_time_unless_that_is_forbidden(lab, layout):
    program = lab.varve()
    reference = f"oci:{layout}:app"
    first = places.put_manifest(layout, "app", places.manifest(layout, "torture")[0])
    program.mount(reference, *LAZY).stop()
    index = os.path.join(layout, "index.json")
    document = places.read_json(index)
    document["manifests"].pop()
    places.write_json(index, document)
    upper = places.manifest(layout, "torture")[0]
    upper["layers"].pop(0)
    second = places.put_manifest(layout, "app", upper)
    for pull, digest in (("never", first), ("missing", second), ("always", second)):
        mount = program.mount(reference, f"--pull={pull}", *LAZY)
        assert mount.status()["manifest"] == digest
        mount.stop()
    os.rename(layout, layout + ".away")
    assert "layout" in program.refused(varve.NOT_FOUND, reference)
    mount = program.mount(reference, "--pull=missing", *LAZY)
    assert mount.status()["manifest"] == second and mount.status()["tag_resolved_s"] > 0
    assert "using what the tag named" in mount.text()


def test_errors_say_what_is_there(lab, layout):
    program = lab.varve()
    said = program.refused(varve.NOT_FOUND, f"oci:{layout}:nothing")
    assert 'no image "nothing"; there is: torture' in said
    assert "no file oci-layout" in program.refused(varve.BAD_DATA, f"oci:{lab.dir}")
    assert "oci-archive:FILE" in program.refused(varve.BAD_DATA, f"oci:{layout}/oci-layout")
    assert "oci:DIR" in program.refused(varve.BAD_DATA, f"oci-archive:{layout}")
    assert "No such file" in program.refused(varve.NOT_FOUND, f"oci:{layout}-absent")
    archive = lab.path("image.tar")
    places.copy(f"oci:{layout}:torture", f"oci-archive:{archive}:1")
    assert "no manifest.json" in program.refused(varve.BAD_DATA, f"docker-archive:{archive}")
    processes.run(["gzip", "-1", archive])
    said = program.refused(varve.UNSUPPORTED, f"oci-archive:{archive}.gz")
    assert "compressed with gzip" in said and "gzip -d" in said
    places.write_json(os.path.join(layout, "oci-layout"), {"imageLayoutVersion": "2.0.0"})
    assert "version 2.0.0" in program.refused(varve.UNSUPPORTED, f"oci:{layout}:torture")


def test_a_layout_below_its_own_mount_point_is_refused(lab, layout):
    program = lab.varve()
    os.makedirs(os.path.join(program.dir, "mnt"))
    inside = os.path.join(program.dir, "mnt", "layout")
    os.rename(layout, inside)
    assert "would be hidden" in program.refused(varve.INVALID, f"oci:{inside}:torture")


def test_wrong_bytes_of_a_layout_never_reach_a_reader(lab, face, layout):
    document, _ = places.manifest(layout, "torture")
    lower = document["layers"][0]
    path = places.blob_path(layout, lower["digest"])
    mount = lab.varve().mount(f"oci:{layout}:torture", face, *LAZY)
    with open(path, "r+b") as file:  # all but the table of contents
        file.write(os.urandom(lower["size"] - (2 << 20)))
    reader = readers.Reader(mount.path("sizes/1048576"))
    assert reader.result() == ("errno", errno.EIO)
    why = mount.varve.why(mount.path("sizes/1048576"))
    assert why["source"] == "oci" and why["hosts"] == []
    failure = why["failures"][0]
    assert failure["kind"] in ("digest_mismatch", "format")
    assert failure["origin"] == f"oci:{layout}"[:127]
    assert "restore them" in failure["advice"]


def test_an_archive_that_is_written_to_is_refused_and_one_that_is_replaced_is_not(lab, face,
                                                                                  layout):
    original = os.path.join(lab.images.tree("torture"), "sizes/1048576")
    archive = lab.path("image.tar")
    places.copy(f"oci:{layout}:torture", f"oci-archive:{archive}:1")
    mount = lab.varve().mount(f"oci-archive:{archive}", face, *LAZY)
    shutil.copy(archive, archive + ".new")
    os.rename(archive + ".new", archive)
    assert trees.file_hash(mount.path("sizes/1048576")) == trees.file_hash(original)
    mount.stop()
    mount = lab.varve("w").mount(f"oci-archive:{archive}", face, *LAZY)
    with open(archive, "ab") as file:
        file.write(b"more")
    assert readers.Reader(mount.path("sizes/1048576")).result() == ("errno", errno.EIO)
    failure = mount.varve.why(mount.path("sizes/1048576"))["failures"][0]
    assert "was changed while it was in use" in failure["message"]


def test_a_relative_path_is_good_for_a_process_of_its_own(lab, layout, assert_torture):
    program = lab.varve()
    target = program.target("mnt")
    relative = os.path.relpath(layout, program.dir)
    program.run("mount", "--detach", "--store", program.store, f"oci:{relative}:torture", target)
    # The same again is success.
    program.run("mount", "--detach", "--store", program.store, f"oci:{layout}:torture", target)

    class Detached:
        dir = target

        @staticmethod
        def status():
            return program.status()["mounts"][0]
    assert_torture(Detached, "oci")
    program.run("umount", target)


# Layers that are elsewhere.

FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def foreign_layout(layout, server, *urls):
    """Takes the lower layer out of the layout and puts it on a server of files."""
    document, _ = places.manifest(layout, "torture")
    lower = document["layers"][0]
    path = places.blob_path(layout, lower["digest"])
    place = server.put("layer.tar.gz", path)
    os.unlink(path)
    lower["mediaType"] = FOREIGN
    lower["urls"] = [url.replace("PLACE", place) for url in urls]
    places.put_manifest(layout, "foreign", document)
    return lower


def test_a_layer_that_is_not_in_the_layout_comes_from_its_urls(lab, face, layout, assert_torture):
    server = lab.serve(places.Nginx(lab.new("nginx")))
    foreign_layout(layout, server, f"{server.url}/absent", "PLACE")
    mount = lab.varve().mount(f"oci:{layout}:foreign", face)
    assert_torture(mount, "oci")
    asked = server.requests()
    assert any(" 206 " in line and 'range="bytes=' in line for line in asked)
    assert all('auth="-"' in line for line in asked)


def test_credentials_and_certificates_of_registries_are_not_for_urls(lab, layout):
    """The very host that hosts.toml trusts and has a header for."""
    authority = lab.authority()
    server = lab.serve(places.Nginx(lab.new("nginx"), authority.sign("files", server=True)))
    foreign_layout(layout, server, "PLACE")
    program = lab.varve()
    host = server.url.removeprefix("https://")
    program.hosts_toml(host, f'server = "{server.url}"\nca = "{authority.cert}"\n'
                             f'[host."{server.url}".header]\nAuthorization = "Basic c2VjcmV0"\n')
    said = program.refused(varve.UNAUTHORIZED, f"oci:{layout}:foreign")
    assert "certificate" in said and "from the urls in its descriptor" in said
    # With the system's trust it is the same request without anything.
    env = {"SSL_CERT_FILE": authority.cert}
    mount = lab.varve("w", extra=env).mount(f"oci:{layout}:foreign", *LAZY)
    assert trees.file_hash(mount.path("sizes/1048576")) == \
        trees.file_hash(os.path.join(lab.images.tree("torture"), "sizes/1048576"))
    assert server.requests() and all('auth="-"' in line for line in server.requests())


def test_a_registry_without_the_blob_is_not_asked_for_each_range(lab, face, layout):
    server = lab.serve(places.Nginx(lab.new("nginx")))
    htpasswd = registry.htpasswd_file(lab.path("htpasswd"), "user", "secret")
    lower = foreign_layout(layout, server, "PLACE")
    blobs = lab.new("storage")
    open_registry = lab.registry(storage=blobs, writable=True)
    document, _ = places.manifest(layout, "foreign")
    for part in [document["config"], *document["layers"][1:]]:
        with open(places.blob_path(layout, part["digest"]), "rb") as file:
            pushing.push_blob(open_registry.host, "app", file.read())
    # This registry takes only URLs that it is configured for, except of a type it does not know.
    document["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    pushing.push_document(open_registry.host, "app", document)
    open_registry.stop()
    private = lab.registry(storage=blobs, htpasswd=htpasswd)
    program = lab.varve()
    directory = os.path.join(program.dir, "home", ".docker")
    os.makedirs(directory)
    places.write_json(os.path.join(directory, "config.json"),
                      {"auths": {private.host: {"auth": "dXNlcjpzZWNyZXQ="}}})
    mount = program.mount(f"{private.host}/app:latest", "--plain-http", face, *LAZY)
    for path in ("sizes/1048576", "sizes/4194303", "sizes/9437184"):
        assert trees.file_hash(mount.path(path)) == \
            trees.file_hash(os.path.join(lab.images.tree("torture"), path))
    missed = [line for line in private.requests()
              if lower["digest"] in line[1] and line[2] == 404]
    # Its table of contents takes one or two requests; the fetcher asks once.
    assert 1 <= len(missed) <= 3
    assert len(server.requests()) > len(missed) + 1
    assert all('auth="-"' in line for line in server.requests())
