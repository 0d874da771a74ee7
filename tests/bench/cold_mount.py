# SPDX-License-Identifier: Apache-2.0
"""What the first byte of an image costs that nobody converted: a mount of a plain gzip layer of
which an index is at hand, and one read of a file of 100 KiB in the middle of it. Prints the bytes
that the registry sent, and the time. Needs root.

usage: cold_mount.py --program VARVE --delay-line PROGRAM --directory DIR --tree DIR
                     [--links unshaped,shaped] [--rounds N]

First with the index of an earlier pass in the store, all of whose bytes were evicted since; then
with an empty store and the index in the registry, where `varve index push` has put it. Mounts are
made as `varve mount --no-background --prefetch=off` makes them; page caches are dropped."""
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
from lab import processes, registry  # noqa: E402

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


class Bench:
    def __init__(self, options, net, server, layer, work):
        self.options, self.net, self.server, self.layer = options, net, server, layer
        self.root, self.store = (os.path.join(work, name) for name in ("root", "store"))
        self.reference = f"{server.host}/{REPOSITORY}:latest"

    def mount(self, *options):
        plain.mount(self.options.program, self.reference, self.store, self.root,
                    self.net.inside("client"), options)

    def push_index(self):
        processes.run([*self.net.inside("client"), self.options.program, "index", "push",
                       "--plain-http", "--store", self.store, self.reference])

    def sent(self, since):
        """Bytes of answers after the first ones: of the layer, of other blobs, of the rest."""
        layer = blobs = rest = 0
        for method, path, _, size in self.server.requests()[since:]:
            if method == "GET" and self.layer.digest in path:
                layer += size
            elif method == "GET" and "/blobs/" in path:
                blobs += size
            else:
                rest += size
        return {"bytes of the layer": layer, "bytes of index and config": blobs,
                "bytes of manifests": rest}

    def first_mount(self):
        """A pass over all of the layer; the size of the index that it leaves."""
        # The registry may have an index since the link before.
        seconds = workloads.timed(self.mount, "--trust-indexes=none")[0]
        plain.unmount(self.options.program, self.root)
        layers = os.path.join(self.store, "layers")
        index = sum(os.path.getsize(os.path.join(layers, name)) for name in os.listdir(layers)
                    if name.endswith(".spans"))
        return seconds, index

    def cold_mount(self, is_empty):
        (plain.forget if is_empty else plain.evict)(self.store)
        workloads.drop_caches()
        since = len(self.server.requests())
        mounting = workloads.timed(self.mount)[0]
        reading = workloads.timed(read_middle, self.root)[0]
        plain.unmount(self.options.program, self.root)
        return {"mount s": mounting, "read s": reading, **self.sent(since)}


def run_link(title, net, options, layer, work):
    with network.registry_in(net, work, os.path.join(work, "storage"), writable=True) as server:
        bench = Bench(options, net, server, layer, work)
        seconds, index = bench.first_mount()
        here = [bench.cold_mount(is_empty=False) for _ in range(options.rounds)]
        bench.push_index()
        away = [bench.cold_mount(is_empty=True) for _ in range(options.rounds)]
        plain.forget(bench.store)
    print(f"{title}: {len(layer.data)} bytes, first mount {seconds:.2f} s, index {index} bytes "
          f"({100 * index / len(layer.data):.3f} %)")
    print(f"  {'':28} {'index here':>14} {'in the registry':>16}")
    for name in here[0]:
        values = [statistics.median(one[name] for one in rounds) for rounds in (here, away)]
        shown = [f"{value:.3f}" if name.endswith(" s") else f"{value:.0f}" for value in values]
        print(f"  {name:28} {shown[0]:>14} {shown[1]:>16}", flush=True)


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
