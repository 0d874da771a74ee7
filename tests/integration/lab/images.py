# SPDX-License-Identifier: Apache-2.0
"""Images of the tests, made once per run by tools we did not write and kept below build-ci/, in the
storage of a docker-registry.

  base     Debian's minimal system (debootstrap) and a second layer
  torture  what file systems and archives get wrong
  dialects a layer for each dialect of tar

Each is there in several forms, which are tags of its name:

  esgz         eStargz, by stargz-snapshotter's converter
  zstdchunked  zstd:chunked in stargz' dialect, by the same converter
  skopeo       zstd:chunked as containers/storage writes it
  buildah      the same by another front (not of base)
  gzip, zstd, tar  without a table of contents (not of torture)
  pigz, members, frames  likewise, in pieces of some kind (dialects only)
  minchunk     eStargz whose files share members (dialects only)
  external     the same with its table of contents in an image of its own (dialects only)

and has the tree that `umoci unpack` makes of it.
"""
import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess

from . import dialects, layers, processes, pushing, registry, torture

REPOSITORY = "test"
ESTARGZ = ["--estargz", "--estargz-compression-level", "1"]
ZSTD_CHUNKED = [("base", "zstdchunked"), ("base", "skopeo"), ("torture", "zstdchunked"),
                ("torture", "skopeo"), ("torture", "buildah")]
DIALECTS = ["esgz", "minchunk", "external", "zstdchunked", "skopeo", "buildah", *layers.FORMS]
BASE_WITHOUT_TABLE = ["gzip", "zstd", "tar"]


class Images:
    def __init__(self, directory):
        self.dir = directory
        self.storage = os.path.join(directory, "registry")

    def tree(self, name):
        """The unpacked root file system."""
        return os.path.join(self.dir, "trees", name, "rootfs")

    @staticmethod
    def path(name, form="esgz"):
        """Repository and tag, to be put behind a registry's host. Not all in one repository: tools
        use what is there of a layer, whatever they say it is then."""
        return f"{REPOSITORY}/{name}{'-plain' if form in layers.FORMS else ''}:{form}"


def build(top):
    """Builds what is missing below top/build-ci; safe for several callers at once."""
    sources = [torture.__file__, dialects.__file__, layers.__file__, pushing.estargz.__file__,
               __file__]
    version = hashlib.sha256(b"".join(open(path, "rb").read() for path in sources)).hexdigest()[:16]
    parent = os.path.join(top, "build-ci", "images")
    os.makedirs(parent, exist_ok=True)
    directory = os.path.join(parent, version)
    with open(os.path.join(parent, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(directory, "complete")):
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)
            _build_all(Images(directory))
            with open(os.path.join(directory, "complete"), "w", encoding="ascii"):
                pass
    return Images(directory)


def _build_all(images):
    work = os.path.join(images.dir, "work")
    os.makedirs(work)
    of_dialects = dialects.layers(work)
    tars = {"base": _base_layers(work), "torture": torture.layers(work),
            "dialects": [dense for dense, _ in of_dialects.values()]}
    writer = registry.Registry(os.path.join(work, "registry"), images.storage, writable=True)
    converter = Converter(os.path.join(work, "containerd"))
    try:
        writer.start()
        converter.start()
        os.makedirs(os.path.join(images.dir, "trees"))
        jobs = _jobs_of_dialects(writer, of_dialects)
        jobs += [_without_table(writer, "base", form, tars["base"])
                 for form in BASE_WITHOUT_TABLE if form != "gzip"]
        for name, paths in tars.items():
            layout = os.path.join(work, f"oci-{name}")
            make_image(layout, name, paths)
            jobs += _jobs(images, writer.host, converter, layout, name)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() + 1) as pool:
            for done in [pool.submit(job) for job in jobs]:
                done.result()
    finally:
        converter.stop()
        writer.stop()
    shutil.rmtree(work)


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _without_table(server, name, form, paths):
    def push():
        layers.push(server, f"{REPOSITORY}/{name}-plain",
                    [layers.layer(_read(path), form) for path in paths], form)
    return push


def _jobs_of_dialects(server, of_dialects):
    host, repository = server.host, f"{REPOSITORY}/dialects"

    def generate(form, **options):
        blobs = [pushing.estargz.build(layers.entries(dense), tar_format=dialects.PYTHON[dialect],
                                       level=1, chunk_size=1 << 20, min_chunk_size=64_000, **options)
                 for dialect, (dense, _) in of_dialects.items()]
        pushing.push(host, repository, blobs, form)
        if options:
            pushing.push_external_tables(host, repository, blobs, form)

    return [lambda: generate("minchunk"), lambda: generate("external", toc="external"),
            *(_without_table(server, "dialects", form, [sparse for _, sparse in of_dialects.values()])
              for form in layers.FORMS)]


def _jobs(images, host, converter, layout, name):
    """What is made of an image by others, side by side."""
    def convert():
        converter.push(layout, name, {
            f"{host}/{images.path(name)}": ESTARGZ,
            f"{host}/{images.path(name, 'zstdchunked')}": ["--zstdchunked"]})

    def recompress():
        with containers_storage(f"{layout}-containers", layout, name) as containers:
            containers.push("skopeo", f"{host}/{images.path(name, 'skopeo')}")
            if name != "base":
                containers.push("buildah", f"{host}/{images.path(name, 'buildah')}")

    def copy():
        processes.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:{name}",
                       f"docker://{host}/{images.path(name, 'gzip')}"])

    def unpack():
        processes.run(["umoci", "unpack", "--image", f"{layout}:{name}",
                       os.path.join(images.dir, "trees", name)])

    return [convert, recompress, unpack] + ([copy] if name == "base" else [])


def _base_layers(work):
    root = os.path.join(work, "debian")
    processes.run(["debootstrap", "--variant=minbase", "bookworm", root])
    shutil.rmtree(os.path.join(root, "var/cache/apt/archives"), ignore_errors=True)
    lower, upper = (os.path.join(work, name) for name in ("base-1.tar", "base-2.tar"))
    processes.run(["tar", "-C", root, "--sort=name", "--xattrs", "-cf", lower, "."])
    second = os.path.join(work, "second")
    os.makedirs(os.path.join(second, "opt/app"))
    shutil.copytree("/usr/lib/python3/dist-packages", os.path.join(second, "opt/app/python"),
                    symlinks=True)
    with open(os.path.join(second, "opt/app/random"), "wb") as file:
        file.write(os.urandom(24 << 20))
    processes.run(["tar", "-C", second, "--sort=name", "-cf", upper, "."])
    return [lower, upper]


def make_image(layout, name, tars):
    """An OCI image of these layers in a layout, by umoci."""
    if not os.path.exists(layout):
        processes.run(["umoci", "init", "--layout", layout])
    processes.run(["umoci", "new", "--image", f"{layout}:{name}"])
    for tar in tars:
        processes.run(["umoci", "raw", "add-layer", "--image", f"{layout}:{name}", tar])


class Converter(processes.Server):
    """A containerd of our own, for the eStargz converter works inside one."""

    def __init__(self, directory):
        os.makedirs(directory)
        self.dir = directory
        self.socket = os.path.join(directory, "containerd.sock")
        config = os.path.join(directory, "config.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\n'
                       f'[grpc]\naddress = "{self.socket}"\n')
        super().__init__(["containerd", "-c", config], os.path.join(directory, "log"),
                         ready=self._answers)

    def _answers(self):
        return subprocess.run(["ctr-remote", "-a", self.socket, "version"], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def push(self, layout, name, targets):
        """targets: a reference for each way to convert, which are options of the converter."""
        archive = os.path.join(self.dir, f"{name}.tar")
        processes.run(["skopeo", "copy", "-q", f"oci:{layout}:{name}",
                       f"oci-archive:{archive}:{name}"])
        ctr = ["ctr-remote", "-a", self.socket, "image"]
        processes.run(ctr + ["import", "--base-name", f"localhost/{name}", "--no-unpack", archive])
        for target, options in targets.items():
            processes.run(ctr + ["convert", *options, "--oci", f"localhost/{name}:{name}", target])
            processes.run(ctr + ["push", "--plain-http", target])
        os.unlink(archive)


class ContainersStorage:
    """An image in a storage of our own: only from there do skopeo and buildah recompress."""

    # What they know of blobs in registries, and would reuse, is the machine's and not a test's.
    FORGETFUL = ["unshare", "--mount", "sh", "-c", "mkdir -p /var/lib/containers/cache && "
                 "mount -t tmpfs none /var/lib/containers/cache && exec \"$@\"", "sh"]

    def __init__(self, directory, layout, name):
        self.root, self.runroot = (os.path.join(directory, part) for part in ("root", "run"))
        self.image = f"localhost/{name}:{name}"
        processes.run(["skopeo", "copy", "-q", f"oci:{layout}:{name}", self._reference()])

    def _reference(self):
        return f"containers-storage:[vfs@{self.root}+{self.runroot}]{self.image}"

    def push(self, tool, target):
        """As zstd:chunked."""
        argv = {"skopeo": ["skopeo", "copy", "-q", "--dest-tls-verify=false",
                           "--dest-compress-format", "zstd:chunked", "--dest-compress-level", "1",
                           self._reference()],
                "buildah": ["buildah", "--root", self.root, "--runroot", self.runroot,
                            "--storage-driver", "vfs", "push", "-q", "--tls-verify=false",
                            "--compression-format", "zstd:chunked", "--compression-level", "1",
                            self.image]}
        processes.run(self.FORGETFUL + argv[tool] + [f"docker://{target}"])


@contextlib.contextmanager
def containers_storage(directory, layout, name):
    try:
        yield ContainersStorage(directory, layout, name)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
