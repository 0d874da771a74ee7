# SPDX-License-Identifier: Apache-2.0
"""Two hosts on one machine: network namespaces joined by a veth pair, or by a slower link."""
import contextlib
import os
import subprocess

from lab import processes, registry

SERVER, CLIENT = "10.77.0.1", "10.77.0.2"


class Network:
    """Commands of a namespace run through inside(): nsenter of the network alone, so that mounts
    made there are seen outside."""

    def __init__(self, name, delay_line=None, delay_us=0, mbit=0, log=None):
        self.namespaces = {"server": f"{name}-s", "client": f"{name}-c"}
        self.shape = (delay_line, delay_us, mbit, log)
        self.line = None

    def inside(self, host):
        return ["nsenter", f"--net=/run/netns/{self.namespaces[host]}", "--"]

    def start(self):
        self.stop()
        for namespace in self.namespaces.values():
            processes.run(["ip", "netns", "add", namespace])
        delay_line, delay_us, mbit, log = self.shape
        server, client = self.namespaces["server"], self.namespaces["client"]
        if delay_line:
            self.line = processes.Server(
                [delay_line, f"/run/netns/{server}", "link0", f"/run/netns/{client}", "link0",
                 str(delay_us), str(mbit)], log, ready=lambda: self._has_link(client)).start()
        else:
            processes.run(["ip", "link", "add", "link0", "netns", server, "type", "veth", "peer",
                           "name", "link0", "netns", client])
        for namespace, address in ((server, SERVER), (client, CLIENT)):
            ip = ["ip", "-n", namespace]
            processes.run(ip + ["addr", "add", f"{address}/24", "dev", "link0"])
            processes.run(ip + ["link", "set", "link0", "mtu", "1500", "up"])
            processes.run(ip + ["link", "set", "lo", "up"])
        return self

    @staticmethod
    def _has_link(namespace):
        return subprocess.run(["ip", "-n", namespace, "link", "show", "link0"], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def stop(self):
        if self.line:
            self.line.stop()
        for namespace in self.namespaces.values():
            if os.path.exists(f"/run/netns/{namespace}"):
                processes.run(["ip", "netns", "del", namespace])


def links(wanted, delay_line, directory):
    """A network for each of "unshaped" and "shaped" that is wanted, under its title."""
    found = {}
    if "unshaped" in wanted:
        found["unshaped"] = Network("varve-fast")
    if "shaped" in wanted:
        found["1 Gbit/s 5 ms"] = Network("varve-slow", delay_line, 2500, 1000,
                                         os.path.join(directory, "delay_line.log"))
    return found


@contextlib.contextmanager
def registry_in(net, work, storage, writable=False):
    """A registry on the server's side of a network that exists as long as it does."""
    net.start()
    server = registry.Registry(os.path.join(work, "server"), storage, port=5000, address=SERVER,
                               writable=writable)
    server.argv = net.inside("server") + server.argv
    server.ready = lambda: subprocess.run(
        net.inside("client") + ["curl", "-sf", "-o", "/dev/null", f"http://{server.host}/v2/"],
        check=False).returncode == 0
    try:
        yield server.start()
    finally:
        server.stop()
        net.stop()
