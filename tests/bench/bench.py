# SPDX-License-Identifier: Apache-2.0
"""The benchmark: varve's faces beside overlayfs on ext4, same tree, same run, same machine. Prints
a table and writes JSON. Needs root. Run it through run.sh."""
import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "integration")]

import network  # noqa: E402
import plain  # noqa: E402
import stargz  # noqa: E402
import workloads  # noqa: E402
from lab import images, processes, registry  # noqa: E402

REPOSITORY = "bench/big"
# Tags of the image: the same layers in each form.
FORMS = {"esgz": "eStargz", "zstdchunked": "zstd:chunked", "gzip": "gzip, index"}
SEED = 20_240_601
RANDOM_READS = 300
# stargz-snapshotter 0.12 on a machine of this size, recorded once with an image of this make-up.
RECORDED = {
    "unshaped": {"sequential incompressible MB/s": 54, "sequential compressible MB/s": 56.9,
                 "random 4 KiB p50 ms": 0.047, "random 4 KiB p99 ms": 98, "random 4 KiB MB fetched": 134.6,
                 "small files p50 ms": 0.76, "small files p99 ms": 11.2, "find s": 0.51,
                 "find again s": 0.28, "ls -lR s": 2.83, "ls -lR again s": 1.77, "tar s": 24.6},
    "1 Gbit/s 5 ms": {"sequential incompressible MB/s": 43.7, "sequential compressible MB/s": 48.6,
                      "random 4 KiB p50 ms": 0.061, "random 4 KiB p99 ms": 141,
                      "random 4 KiB MB fetched": 134.4, "small files p50 ms": 0.98,
                      "small files p99 ms": 21.6, "find s": 0.55, "find again s": 0.26,
                      "ls -lR s": 3.11, "ls -lR again s": 1.86, "tar s": 33.4},
}


class Image:
    """The big image in the storage of a registry, in all forms, and its tree unpacked on ext4."""

    VERSION = "2"  # of what is made here

    def __init__(self, directory, top):
        self.storage = os.path.join(directory, "registry")
        self.tree = os.path.join(directory, "tree")
        complete = os.path.join(directory, "complete")
        if not os.path.exists(complete) or open(complete, encoding="ascii").read() != self.VERSION:
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)
            self._build(directory, images.build(top).tree("base"))
            with open(complete, "w", encoding="ascii") as file:
                file.write(self.VERSION)

    def _build(self, directory, base):
        work = os.path.join(directory, "work")
        big = os.path.join(work, "big")
        workloads.make_big_layer(big, SEED)
        tars = []
        for root in (base, big):
            tars.append(os.path.join(work, f"{len(tars)}.tar"))
            processes.run(["tar", "-C", root, "--sort=name", "--xattrs", "-cf", tars[-1], "."])
        writer = registry.Registry(os.path.join(work, "server"), self.storage, writable=True)
        converter = images.Converter(os.path.join(work, "containerd"))
        try:
            writer.start()
            converter.start()
            layout = os.path.join(work, "oci")
            images.make_image(layout, "big", tars)
            target = f"{writer.host}/{REPOSITORY}"
            converter.push(layout, "big", {f"{target}:esgz": images.ESTARGZ,
                                           f"{target}:zstdchunked": ["--zstdchunked"]})
            processes.run(["skopeo", "copy", "-q", "--dest-tls-verify=false",
                           f"oci:{layout}:big", f"docker://{target}:gzip"])
            processes.run(["umoci", "unpack", "--image", f"{layout}:big",
                           os.path.join(work, "unpacked")])
            os.rename(os.path.join(work, "unpacked", "rootfs"), self.tree)
        finally:
            converter.stop()
            writer.stop()
        shutil.rmtree(work)


class Ext4:
    """overlayfs over the unpacked tree: what a full pull would have made."""

    name = "overlayfs/ext4"

    def __init__(self, image, directory):
        self.image, self.dir, self.root = image, directory, os.path.join(directory, "overlay")

    def open(self, cold=True, exact=False):
        del exact
        empty = os.path.join(self.dir, "empty")
        os.makedirs(self.root, exist_ok=True)
        os.makedirs(empty, exist_ok=True)
        processes.run(["mount", "-t", "overlay", "overlay", "-o",
                       f"ro,lowerdir={self.image.tree}:{empty}", self.root])
        if cold:
            workloads.drop_caches()

    def close(self):
        processes.run(["umount", self.root])

    def fetched(self):
        return None

    def process(self):
        return None


class Varve:
    """A mount by the program under test, in the client's namespace, with a store of its own."""

    def __init__(self, program, face, form, host, net, directory):
        self.program, self.face, self.form = program, face, form
        self.reference = f"{host}/{REPOSITORY}:{form}"
        self.net, self.dir = net, directory
        self.name = f"varve, {face}" if form == "esgz" else f"varve, {face}, {FORMS[form]}"
        self.root = os.path.join(directory, f"mount-{face}")
        self.store = os.path.join(directory, f"store-{face}-{form}")
        self.server = None

    def open(self, cold=True, exact=False):
        os.makedirs(self.root, exist_ok=True)
        if cold:
            self._make_cold()
        argv = self.net.inside("client") + [
            self.program, "mount", "--quiet", "--plain-http", "--store", self.store,
            "--face", self.face] + (["--no-background", "--prefetch=off"] if exact else []) + [
            self.reference, self.root]
        workloads.drop_caches()
        self.server = processes.Server(argv, os.path.join(self.dir, f"varve-{self.face}.log"),
                                       ready=lambda: os.path.ismount(self.root))
        self.server.start()

    def prepare(self):
        """Layers without a table of contents have an index before anything is measured."""
        if self.form == "gzip":
            plain.mount(self.program, self.reference, self.store, self.root,
                        self.net.inside("client"))
            plain.unmount(self.program, self.root)
            plain.evict(self.store)

    def _make_cold(self):
        if self.form == "gzip":
            plain.evict(self.store)
        else:
            shutil.rmtree(self.store, ignore_errors=True)

    def close(self):
        self.server.process.send_signal(signal.SIGTERM)
        if self.server.process.wait(60) != 0:
            raise RuntimeError(f"varve ended badly: see {self.server.log}")

    def end(self):
        """After a failure: nothing is left running."""
        if self.server:
            self.server.stop()

    def fetched(self):
        status = json.loads(processes.run([self.program, "status", "--json", "--store", self.store]))
        return sum(layer["fetched_bytes"] for store in status["stores"]
                   for mount in store["mounts"] for layer in mount["layers"])

    def process(self):
        return workloads.private_and_cpu(self.server.process.pid)


def cold_data(subject, result):
    subject.open()
    path = os.path.join(subject.root, workloads.INCOMPRESSIBLE)
    result["sequential incompressible MB/s"] = workloads.sequential(path)
    path = os.path.join(subject.root, workloads.COMPRESSIBLE)
    result["sequential compressible MB/s"] = workloads.sequential(path)
    subject.close()

    subject.open(exact=True)
    times = workloads.random_reads(os.path.join(subject.root, workloads.INCOMPRESSIBLE),
                                   RANDOM_READS, SEED)
    for share in (50, 90, 99):
        result[f"random 4 KiB p{share} ms"] = workloads.percentile(times, share / 100) * 1e3
    if subject.fetched() is not None:
        result["random 4 KiB MB fetched"] = subject.fetched() / 1e6
    subject.close()

    subject.open()
    times = workloads.small_files(os.path.join(subject.root, workloads.SMALL))
    result["small files p50 ms"] = workloads.percentile(times, 0.5) * 1e3
    result["small files p99 ms"] = workloads.percentile(times, 0.99) * 1e3
    subject.close()


def walks(subject, result):
    for name, walk in (("find", workloads.find), ("ls -lR", workloads.list_long)):
        subject.open()
        result[f"{name} s"] = walk(subject.root)
        result[f"{name} again s"] = walk(subject.root)
        subject.close()


def everything(subject, result):
    subject.open()
    result["tar s"] = workloads.tar(subject.root)
    result["tar again s"] = workloads.tar(subject.root)
    result["hot small file us"] = workloads.hot_small_file(
        os.path.join(subject.root, workloads.SMALL, "00007"))
    if subject.process():
        result["CPU s, all read"] = subject.process()[1]
        time.sleep(3)
        result["private MiB, all read"] = subject.process()[0]
        result["MB fetched, all read"] = subject.fetched() / 1e6
    result["page cache per byte"] = workloads.cache_per_byte(
        os.path.join(subject.root, workloads.INCOMPRESSIBLE))
    subject.close()


def warm_pairs(subject, reference, result, pairs):
    """The page cache is dropped before each; varve and ext4 take turns."""
    ratios = {"warm sequential / ext4": [], "warm random 4 KiB / ext4": []}
    subject.open(cold=False)
    reference.open()
    for i in range(pairs):
        for name, measure in (
                ("warm sequential / ext4", workloads.sequential),
                ("warm random 4 KiB / ext4",
                 lambda path, n=i: 1 / statistics.mean(workloads.random_reads(path, 2000, n)))):
            values = []
            for one in (subject, reference):
                workloads.drop_caches()
                values.append(measure(os.path.join(one.root, workloads.INCOMPRESSIBLE)))
            ratios[name].append(values[0] / values[1])
    reference.close()
    subject.close()
    for name, values in ratios.items():
        result[name] = statistics.median(values)


def measure(subject, reference, pairs):
    result = {}
    cold_data(subject, result)
    walks(subject, result)
    everything(subject, result)
    if subject is not reference:
        warm_pairs(subject, reference, result, pairs)
    return result


def show(title, columns):
    rows = list(dict.fromkeys(row for result in columns.values() for row in result))
    widths = [max(len(name), 10) for name in columns]
    print(f"\n### {title}\n")
    print("| " + " | ".join(["what"] + list(columns)) + " |")
    print("|---|" + "---:|" * len(columns))
    for row in rows:
        cells = []
        for width, result in zip(widths, columns.values()):
            value = result.get(row)
            cells.append(("" if value is None else f"{value:.3g}" if value < 100
                          else f"{value:.0f}").rjust(width))
        print("| " + " | ".join([row] + cells) + " |")


def link_limit(net, host):
    """MB/s of one curl of the largest blob: what the link and the registry can do."""
    argv = net.inside("client") + ["curl", "-sf", "-H",
                                   "Accept: application/vnd.oci.image.manifest.v1+json",
                                   f"http://{host}/v2/{REPOSITORY}/manifests/esgz"]
    document = json.loads(processes.run(argv))
    layer = max(document["layers"], key=lambda entry: entry["size"])
    return float(processes.run(net.inside("client") + [
        "curl", "-sf", "-o", "/dev/null", "-w", "%{speed_download}",
        f"http://{host}/v2/{REPOSITORY}/blobs/{layer['digest']}"])) / 1e6


def run_link(title, net, options, image):
    work = os.path.join(options.directory, "work")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    columns = {}
    with network.registry_in(net, work, image.storage) as server:
        reference = Ext4(image, work)
        subjects = [Varve(options.program, face, form, server.host, net, work)
                    for form in options.forms for face in options.faces]
        for subject in subjects:
            subject.prepare()
        limit = link_limit(net, server.host)
        columns[reference.name] = measure(reference, reference, options.pairs)
        if shutil.which(stargz.PROGRAM):
            subjects.append(stargz.Stargz(f"{server.host}/{REPOSITORY}:esgz", net, work))
        elif "esgz" in options.forms:
            columns["stargz 0.12, recorded"] = RECORDED[title]
        for subject in subjects:
            try:
                columns[subject.name] = measure(subject, reference, options.pairs)
            finally:
                subject.end()
    show(f"{title} (curl of the largest blob: {limit:.0f} MB/s)", columns)
    return {"limit MB/s": limit, "columns": columns}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--delay-line", required=True)
    parser.add_argument("--top", required=True)
    parser.add_argument("--directory", required=True, help="on ext4")
    parser.add_argument("--faces", default="erofs,fuse", type=lambda text: text.split(","))
    parser.add_argument("--forms", default="esgz", type=lambda text: text.split(","),
                        help="of the image: " + ",".join(FORMS))
    parser.add_argument("--links", default="unshaped,shaped", type=lambda text: text.split(","))
    parser.add_argument("--pairs", default=5, type=int)
    options = parser.parse_args()

    image = Image(os.path.join(options.directory, "image"), options.top)
    links = network.links(options.links, options.delay_line, options.directory)
    print(f"kernel {platform.release()}, {os.cpu_count()} cores, seed {SEED}")
    results = {title: run_link(title, net, options, image) for title, net in links.items()}
    path = os.path.join(options.directory, "results.json")
    with open(path, "w", encoding="ascii") as file:
        json.dump({"kernel": platform.release(), "cores": os.cpu_count(), "links": results}, file,
                  indent=1)
    print(f"\nJSON: {path}")


main()
