# SPDX-License-Identifier: Apache-2.0
"""What a missing byte of a layer without a table of contents brings back: its span, and no more."""
import os

import pytest

from lab import torture, trees
from lab.layers import layer, push

LAZY = ("--plain-http", "--no-background", "--prefetch=off")


@pytest.fixture(name="lower", scope="session")
def lower_fixture(tmp_path_factory):
    """The lower layer of the torture image."""
    with open(torture.layers(str(tmp_path_factory.mktemp("tars")))[0], "rb") as file:
        return file.read()


def is_complete(mount):
    return all(one["complete"] for one in mount.status()["layers"])


@pytest.mark.parametrize("form", ["gzip", "pigz", "members", "frames", "tar"])
def test_a_file_of_an_evicted_layer_costs_exactly_one_span(lab, face, form, lower):
    server = lab.empty_registry()
    blob = layer(lower, form)
    image = push(server, "torture", [blob])
    proxy = lab.proxy(server.port)
    reference = image.reference.replace(server.host, proxy.host)
    program = lab.varve()
    program.mount(reference, "--plain-http", face).stop()
    program.evict()
    n_before = len(proxy.blobs())
    mount = program.mount(reference, *LAZY, face)
    assert len(proxy.blobs()) == n_before
    assert not is_complete(mount)
    tree = lab.images.tree("torture")
    path = mount.path("links/for-upper")
    assert trees.file_hash(path) == trees.file_hash(os.path.join(tree, "links/for-upper"))
    (unit,) = program.why(path)["units"]["list"]
    assert sum(request.sent for request in proxy.blobs()[n_before:]) == unit["blob_size"]
    # What comes out of the same span is here with it.
    assert trees.file_hash(mount.path("sizes/4096")) == \
        trees.file_hash(os.path.join(tree, "sizes/4096"))
    assert len(proxy.blobs()) == n_before + 1
