# SPDX-License-Identifier: Apache-2.0
"""What one test works on: a directory, the servers and the program in it, and their end."""
import contextlib
import os
import shutil
import tempfile

from . import faults, mounts, readers, registry, varve


class Bench:
    """Makes what a test asks for and takes all of it away again."""

    def __init__(self, images, binary):
        # A short path: those of sockets end after 107 bytes.
        self.dir = tempfile.mkdtemp(prefix="varve-it-")
        os.chmod(self.dir, 0o755)
        self.images, self.binary = images, binary
        self.servers, self.varves, self.disks = [], [], []
        self._default = None

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def new(self, kind):
        """A directory for the next one of a kind."""
        path = self.path(f"{kind}{len(os.listdir(self.dir))}")
        os.makedirs(path)
        return path

    def varve(self, name="v", **options):
        directory = self.path(name)
        os.makedirs(directory, exist_ok=True)
        made = varve.Varve(directory, self.binary, **options)
        self.varves.append(made)
        return made

    def user_varve(self):
        """The program, store and run directory of a user without any privilege."""
        directory = self.path("user")
        for name in ("", "home", "hosts", "mnt"):
            os.makedirs(os.path.join(directory, name), exist_ok=True)
            os.chown(os.path.join(directory, name), readers.NOBODY, readers.NOBODY)
        made = self.varve("user", prefix=self._user_prefix())
        made.binary = self.path("varve")
        shutil.copyfile(self.binary, made.binary)
        os.chmod(made.binary, 0o755)
        made.store = os.path.join(directory, "cache", "varve")
        return made

    def _user_prefix(self):
        """Runs a command as a user who may open /dev/fuse, as udev lets everybody."""
        if os.stat("/dev/fuse").st_mode & 0o006 == 0o006:
            return readers.as_user(readers.NOBODY)
        node = self.path("fuse")
        os.mknod(node, 0o20666, os.stat("/dev/fuse").st_rdev)
        os.chmod(node, 0o666)
        return ["unshare", "--mount", "--propagation=private", "sh", "-c",
                f'mount --bind {node} /dev/fuse && exec "$@"', "sh",
                *readers.as_user(readers.NOBODY)]

    def registry(self, storage=None, **options):
        """A running docker-registry; without storage it serves the images of the run."""
        return self.serve(registry.Registry(
            self.new("registry"), storage or self.images.storage, **options))

    def empty_registry(self, **options):
        """One that images can be pushed to."""
        return self.registry(storage=self.new("storage"), writable=True, **options)

    def proxy(self, upstream, **options):
        return self.serve(faults.Proxy(upstream, **options))

    def serve(self, server):
        self.servers.append(server)
        server.start()
        return server

    def authority(self, name="authority"):
        return registry.Authority(self.path(f"pki-{name}"), name)

    def disk(self, size):
        disk = mounts.Disk(self.path(f"disk{len(self.disks)}"), size)
        self.disks.append(disk)
        return disk

    def mounted(self, image, *options, **more):
        """The usual case: an image of the run from a plain registry, in the usual varve."""
        server = self.registry()
        mount = self.varve(**more).mount(f"{server.host}/{self.images.path(image)}",
                                         "--plain-http", *options)
        mount.registry = server
        return mount

    def logs(self):
        found = {}
        for one in self.varves:
            found.update(one.logs())
        return found

    def kill_all(self):
        for one in self.varves:
            one.kill_all()

    def close(self):
        problems = []
        for one in self.varves:
            problems += one.close()
        for server in self.servers:
            server.stop()
        for disk in self.disks:
            with contextlib.suppress(RuntimeError):
                disk.unmount()
        for left in mounts.below(self.dir):
            problems.append(f"{left.kind} was left mounted on {left.directory}")
            mounts.detach(left.directory)
        shutil.rmtree(self.dir, ignore_errors=True)
        return problems
