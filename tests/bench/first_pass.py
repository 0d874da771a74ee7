# SPDX-License-Identifier: Apache-2.0
"""How long the first mount of a plain gzip layer takes, beside the same registry, the same blob and
the same run of `curl | zcat | sha256sum`. Needs root.

usage: first_pass.py --program VARVE --directory DIR --tree DIR [--rounds N]"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "integration")]

import workloads  # noqa: E402
from lab import processes, pushing, registry  # noqa: E402


class Layer:
    """A directory as one layer."""

    annotations = {}

    def __init__(self, tree, work):
        tar, blob = (os.path.join(work, name) for name in ("layer.tar", "layer.tar.gz"))
        processes.run(["tar", "-C", tree, "--sort=name", "-cf", tar, "."])
        self.diff_id = "sha256:" + processes.run(["sha256sum", tar]).split()[0]
        with open(blob, "wb") as out:
            subprocess.run(["gzip", "-6", "-n", "-c", tar], stdout=out, check=True)
        self.size = os.path.getsize(tar)
        os.unlink(tar)
        with open(blob, "rb") as file:
            self.data = file.read()
        os.unlink(blob)
        self.digest = pushing.sha256(self.data)


def pipeline(url):
    subprocess.run(["bash", "-c", f"curl -sf '{url}' | zcat | sha256sum"], check=True,
                   stdout=subprocess.DEVNULL)


def mount(program, reference, directory):
    """Until the mount is usable."""
    root, store = (os.path.join(directory, name) for name in ("root", "store"))
    os.makedirs(root, exist_ok=True)
    processes.run([program, "mount", "--quiet", "--detach", "--plain-http", "--no-background",
                   "--store", store, reference, root])


def unmount(program, directory):
    processes.run([program, "umount", os.path.join(directory, "root")])
    shutil.rmtree(os.path.join(directory, "store"))


def measure(options, work):
    layer = Layer(options.tree, work)
    server = registry.Registry(os.path.join(work, "server"), os.path.join(work, "storage"),
                               writable=True)
    server.start()
    times = {"curl | zcat | sha256sum": [], "varve mount": []}
    try:
        image = pushing.push(server.host, "bench/plain", [layer])
        url = f"http://{server.host}/v2/bench/plain/blobs/{layer.digest}"
        for _ in range(options.rounds):
            workloads.drop_caches()
            times["curl | zcat | sha256sum"].append(workloads.timed(pipeline, url)[0])
            workloads.drop_caches()
            times["varve mount"].append(
                workloads.timed(mount, options.program, image.reference, work)[0])
            unmount(options.program, work)
    finally:
        server.stop()
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"layer of {len(layer.data) / 1e6:.0f} MB, {layer.size / 1e6:.0f} MB decoded")
    for name, seconds in medians.items():
        print(f"{name:28} {seconds:7.2f} s")
    print(f"{'ratio':28} {medians['varve mount'] / medians['curl | zcat | sha256sum']:7.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--directory", required=True, help="on ext4")
    parser.add_argument("--tree", required=True, help="what the layer is made of")
    parser.add_argument("--rounds", default=3, type=int)
    options = parser.parse_args()

    os.makedirs(options.directory, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.directory) as work:
        measure(options, work)


main()
