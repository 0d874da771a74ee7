# SPDX-License-Identifier: Apache-2.0
"""How long the first mount of a layer without a table of contents takes, beside the same registry,
the same blob and the same run of `curl | zcat | sha256sum`. Needs root.

usage: first_pass.py --program VARVE --directory DIR --tree DIR [--forms gzip,zstd] [--rounds N]"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "integration")]

import plain  # noqa: E402
import workloads  # noqa: E402
from lab import registry  # noqa: E402

DECODERS = {"gzip": "zcat", "zstd": "zstd -qdc"}


def pipeline(url, form):
    subprocess.run(["bash", "-o", "pipefail", "-c",
                    f"curl -sf '{url}' | {DECODERS[form]} | sha256sum"], check=True,
                   stdout=subprocess.DEVNULL)


def measure(options, form, work):
    layer = plain.Layer(["-C", options.tree, "."], work, form)
    server = registry.Registry(os.path.join(work, "server"), os.path.join(work, "storage"),
                               writable=True)
    server.start()
    root, store = (os.path.join(work, name) for name in ("root", "store"))
    shell = f"curl | {DECODERS[form]} | sha256sum"
    times = {shell: [], "varve mount": []}
    try:
        image = layer.push(server, "bench/plain")
        url = f"http://{server.host}/v2/bench/plain/blobs/{layer.digest}"
        for _ in range(options.rounds):
            workloads.drop_caches()
            times[shell].append(workloads.timed(pipeline, url, form)[0])
            workloads.drop_caches()
            times["varve mount"].append(
                workloads.timed(plain.mount, options.program, image.reference, store, root)[0])
            plain.unmount(options.program, root)
            plain.forget(store)
    finally:
        server.stop()
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{form}: {len(layer.data) / 1e6:.0f} MB, {layer.size / 1e6:.0f} MB decoded")
    for name, seconds in medians.items():
        print(f"  {name:30} {seconds:7.2f} s")
    print(f"  {'ratio':30} {medians['varve mount'] / medians[shell]:7.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--directory", required=True, help="on ext4")
    parser.add_argument("--tree", required=True, help="what the layer is made of")
    parser.add_argument("--forms", default="gzip,zstd", type=lambda text: text.split(","))
    parser.add_argument("--rounds", default=3, type=int)
    options = parser.parse_args()

    os.makedirs(options.directory, exist_ok=True)
    for form in options.forms:
        with tempfile.TemporaryDirectory(dir=options.directory) as work:
            measure(options, form, work)


main()
