# SPDX-License-Identifier: Apache-2.0
"""Layers without a table of contents, as a registry serves them, and what a mount of one does."""
import os
import shutil
import subprocess

from lab import processes, pushing

COMPRESSORS = {"gzip": ["gzip", "-6", "-n", "-c"], "zstd": ["zstd", "-q", "-3", "-c"]}
MEDIA_TYPES = {"gzip": pushing.LAYER, "zstd": pushing.ZSTD_LAYER}


class Layer:
    """One layer: the members that GNU tar makes of these arguments, compressed."""

    def __init__(self, arguments, work, form="gzip"):
        tar, blob = (os.path.join(work, name) for name in ("layer.tar", "layer.blob"))
        processes.run(["tar", "--sort=name", "-cf", tar, *arguments])
        self.form = form
        self.diff_id = "sha256:" + processes.run(["sha256sum", tar]).split()[0]
        with open(blob, "wb") as out:
            subprocess.run(COMPRESSORS[form] + [tar], stdout=out, check=True)
        self.size = os.path.getsize(tar)
        os.unlink(tar)
        with open(blob, "rb") as file:
            self.data = file.read()
        os.unlink(blob)
        self.digest = pushing.sha256(self.data)

    def push(self, server, name):
        descriptor = {"mediaType": MEDIA_TYPES[self.form], "digest": self.digest,
                      "size": len(self.data)}
        return pushing.push(server.host, name, [self], layers=[descriptor])


def mount(program, reference, store, root, prefix=(), options=()):
    """Until the mount is usable; nothing is fetched that nobody asked for."""
    os.makedirs(root, exist_ok=True)
    processes.run([*prefix, program, "mount", "--quiet", "--detach", "--plain-http",
                   "--no-background", "--prefetch=off", "--store", store, *options, reference, root])


def unmount(program, root):
    processes.run([program, "umount", root])


def evict(store):
    """As the store does it when the disk is full: only what indexes were built from is left."""
    layers = os.path.join(store, "layers")
    for name in os.listdir(layers):
        if not name.endswith(".spans"):
            os.unlink(os.path.join(layers, name))


def forget(store):
    shutil.rmtree(store, ignore_errors=True)
