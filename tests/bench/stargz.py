# SPDX-License-Identifier: Apache-2.0
"""A live stargz-snapshotter beside varve, where containerd-stargz-grpc is on the PATH: a containerd
of its own pulls the image lazily through it, and the snapshot of the top layer is mounted."""
import os
import shlex
import shutil

import workloads
from lab import mounts, processes

PROGRAM = "containerd-stargz-grpc"


class Stargz:
    name = "stargz-snapshotter, live"

    def __init__(self, reference, net, directory):
        self.reference, self.net = reference, net
        self.dir = os.path.join(directory, "stargz")
        self.root = os.path.join(directory, "mount-stargz")
        self.socket = os.path.join(self.dir, "containerd.sock")
        self.servers, self.received_before, self.n_views = [], 0, 0

    def open(self, cold=True, exact=False):
        os.makedirs(self.root, exist_ok=True)
        if cold:
            self.end()
            self._start(exact)
            self.received_before = self._received()
            workloads.drop_caches()
            processes.run(self.net.inside("client") + [
                "ctr-remote", "-a", self.socket, "image", "rpull", "--snapshotter", "stargz",
                "--plain-http", self.reference])
        self._mount()
        workloads.drop_caches()

    def close(self):
        processes.run(["umount", self.root])

    def end(self):
        mounts.detach(self.root)
        for server in self.servers:
            server.stop()
        self.servers = []
        for left in mounts.below(self.dir):
            mounts.detach(left.directory)
        shutil.rmtree(self.dir, ignore_errors=True)

    def fetched(self):
        """On the wire, with its headers."""
        return self._received() - self.received_before

    def process(self):
        return workloads.private_and_cpu(self.servers[0].process.pid)

    def _start(self, exact):
        os.makedirs(self.dir)
        plugin = os.path.join(self.dir, "stargz.sock")
        settings = {
            "stargz.toml": ("no_prefetch = true\nno_background_fetch = true\n" if exact else "") +
                           f'[[resolver.host."{self.reference.split("/")[0]}".mirrors]]\n'
                           f'host = "{self.reference.split("/")[0]}"\ninsecure = true\n',
            "containerd.toml": f'version = 2\nroot = "{self.dir}/containerd"\n'
                               f'state = "{self.dir}/state"\n[grpc]\naddress = "{self.socket}"\n'
                               f'[proxy_plugins.stargz]\ntype = "snapshot"\naddress = "{plugin}"\n',
        }
        for name, text in settings.items():
            with open(os.path.join(self.dir, name), "w", encoding="ascii") as file:
                file.write(text)
        self._serve([PROGRAM, "--address", plugin, "--root", f"{self.dir}/snapshotter", "--config",
                     f"{self.dir}/stargz.toml"], plugin)
        self._serve(["containerd", "-c", f"{self.dir}/containerd.toml"], self.socket)

    def _serve(self, argv, socket):
        server = processes.Server(self.net.inside("client") + argv,
                                  os.path.join(self.dir, f"{argv[0]}.log"),
                                  ready=lambda: os.path.exists(socket))
        self.servers.append(server.start())

    def _snapshots(self, *arguments):
        return processes.run(["ctr", "-a", self.socket, "snapshots", "--snapshotter", "stargz",
                              *arguments])

    def _mount(self):
        """A view of the topmost layer: the one that is nobody's parent."""
        rows = [line.split() for line in self._snapshots("ls").splitlines()[1:]]
        committed = [row for row in rows if row[-1] == "Committed"]
        parents = {row[1] for row in committed if len(row) == 3}
        top, = (row[0] for row in committed if row[0] not in parents)
        self.n_views += 1
        for line in self._snapshots("view", "--target", self.root, f"view{self.n_views}",
                                    top).splitlines():
            processes.run(shlex.split(line))

    def _received(self):
        with open(f"/proc/{self._pid()}/net/dev", encoding="ascii") as file:
            line = next(line for line in file if "link0:" in line)
        return int(line.split(":")[1].split()[0])

    def _pid(self):
        return self.servers[0].process.pid
