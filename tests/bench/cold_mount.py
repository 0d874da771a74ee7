# SPDX-License-Identifier: Apache-2.0
"""What the first byte of an image costs that nobody converted: a mount of a plain gzip layer of
which an index is at hand, and one read of a file of 100 KiB in the middle of it. Prints the bytes
that the registry sent, and the time. Needs root.

usage: cold_mount.py --program VARVE --delay-line PROGRAM --directory DIR --tree DIR
                     [--links unshaped,shaped] [--rounds N]

The index is that of an earlier pass over the layer, all of whose bytes were evicted since. Mounts
are made as `varve mount --no-background --prefetch=off` makes them; page caches are dropped."""
import argparse
import os
import statistics
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "integration")]

import network  # noqa: E402
import plain  # noqa: E402
import workloads  # noqa: E402
from lab import registry  # noqa: E402

REPOSITORY = "bench/cold"
MIDDLE = "middle-of-the-layer"
MIDDLE_SIZE = 100 << 10


def make_layer(tree, work):
    """The tree with the file before the largest one, which is half of the layer."""
    extra = os.path.join(work, "extra")
    os.makedirs(extra)
    with open(os.path.join(extra, MIDDLE), "wb") as file:
        file.write(os.urandom(MIDDLE_SIZE // 2) + bytes(range(64)) * (MIDDLE_SIZE // 128))
    directory, largest = os.path.split(workloads.INCOMPRESSIBLE)
    return plain.Layer(["-C", tree, f"--exclude=./{directory}/{largest}", ".", "-C", extra, MIDDLE,
                        "-C", os.path.join(tree, directory), largest], work)


def read_middle(root):
    with open(os.path.join(root, MIDDLE), "rb", buffering=0) as file:
        size = 0
        while piece := file.read(1 << 17):
            size += len(piece)
    if size != MIDDLE_SIZE:
        raise RuntimeError(f"{MIDDLE} has {size} bytes")


def sent(server, since):
    """Bytes of all answers and of the blobs among them, of the requests after the first ones."""
    found = server.requests()[since:]
    return (sum(size for _, _, _, size in found),
            sum(size for method, path, _, size in found if method == "GET" and "/blobs/" in path))


class Bench:
    def __init__(self, options, net, server, work):
        self.options, self.net, self.server = options, net, server
        self.root, self.store = (os.path.join(work, name) for name in ("root", "store"))

    def mount(self):
        plain.mount(self.options.program, f"{self.server.host}/{REPOSITORY}:latest", self.store,
                    self.root, self.net.inside("client"))

    def first_mount(self):
        """A pass over all of the layer; the size of the index that it leaves."""
        seconds = workloads.timed(self.mount)[0]
        plain.unmount(self.options.program, self.root)
        layers = os.path.join(self.store, "layers")
        index = sum(os.path.getsize(os.path.join(layers, name)) for name in os.listdir(layers)
                    if name.endswith(".spans"))
        return seconds, index

    def cold_mount(self):
        plain.evict(self.store)
        workloads.drop_caches()
        since = len(self.server.requests())
        mounting = workloads.timed(self.mount)[0]
        at_mount = sent(self.server, since)[0]
        reading = workloads.timed(read_middle, self.root)[0]
        total, blobs = sent(self.server, since)
        plain.unmount(self.options.program, self.root)
        return {"mount s": mounting, "read s": reading, "bytes before the read": at_mount,
                "bytes in all": total, "of them of blobs": blobs}


def run_link(title, net, options, layer, work):
    with network.registry_in(net, work, os.path.join(work, "storage")) as server:
        bench = Bench(options, net, server, work)
        seconds, index = bench.first_mount()
        rounds = [bench.cold_mount() for _ in range(options.rounds)]
        plain.forget(bench.store)
    print(f"{title}: {len(layer.data)} bytes, first mount {seconds:.2f} s, index {index} bytes "
          f"({100 * index / len(layer.data):.3f} %)")
    for name in rounds[0]:
        value = statistics.median(one[name] for one in rounds)
        print(f"  {name:24} {value:.3f}" if name.endswith(" s") else f"  {name:24} {value:.0f}",
              flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--delay-line", required=True)
    parser.add_argument("--directory", required=True, help="on ext4")
    parser.add_argument("--tree", required=True, help="what the layer is made of")
    parser.add_argument("--links", default="unshaped,shaped", type=lambda text: text.split(","))
    parser.add_argument("--rounds", default=3, type=int)
    options = parser.parse_args()

    os.makedirs(options.directory, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.directory) as work:
        layer = make_layer(options.tree, work)
        writer = registry.Registry(os.path.join(work, "writer"), os.path.join(work, "storage"),
                                   writable=True)
        try:
            layer.push(writer.start(), REPOSITORY)
        finally:
            writer.stop()
        for title, net in network.links(options.links, options.delay_line, work).items():
            run_link(title, net, options, layer, work)


main()
