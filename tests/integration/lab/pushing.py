# SPDX-License-Identifier: Apache-2.0
"""Images of the tests' own making, put into a registry that takes them."""
import dataclasses
import hashlib
import http.client
import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(TOP, "tests", "support"))

import estargz  # noqa: E402  pylint: disable=wrong-import-position,unused-import
import soci  # noqa: E402  pylint: disable=wrong-import-position,unused-import
import zstd_chunked  # noqa: E402  pylint: disable=wrong-import-position,unused-import

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"


@dataclasses.dataclass
class Pushed:
    reference: str
    digest: str
    layers: list  # descriptors


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _request(host, method, path, body=None, kind="application/octet-stream"):
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request(method, path, body=body, headers={"Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 201, 202):
            raise RuntimeError(f"{method} {path}: {answer.status}")
        return answer.headers
    finally:
        connection.close()


def push_blob(host, repository, data):
    place = _request(host, "POST", f"/v2/{repository}/blobs/uploads/")["Location"]
    path = place[place.index("/v2/"):]
    _request(host, "PUT", f"{path}{'&' if '?' in path else '?'}digest={sha256(data)}", data)


def describe(blob):
    """The descriptor of a layer from estargz.build() or zstd_chunked.build()."""
    kind = ZSTD_LAYER if isinstance(blob, zstd_chunked.Blob) else LAYER
    return {"mediaType": kind, "digest": blob.digest, "size": len(blob.data),
            "annotations": dict(blob.annotations)}


def push(host, repository, blobs, tag="latest", layers=None, annotations=None):
    """An image of these layers, lowest first. layers: their descriptors, when they are to lie;
    annotations: of the manifest."""
    layers = layers or [describe(blob) for blob in blobs]
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers",
                                    "diff_ids": [blob.diff_id for blob in blobs]}}).encode()
    for blob in blobs:
        push_blob(host, repository, blob.data)
    push_blob(host, repository, config)
    document = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": sha256(config), "size": len(config)},
        "layers": layers, **({"annotations": annotations} if annotations else {})}).encode()
    _request(host, "PUT", f"/v2/{repository}/manifests/{tag}", document, MANIFEST)
    return Pushed(f"{host}/{repository}:{tag}", sha256(document), layers)


def push_external_tables(host, repository, blobs, tag="latest"):
    """The image beside TAG that has the tables of contents of these eStargz blobs."""
    layers = []
    for blob in blobs:
        push_blob(host, repository, blob.toc_blob)
        layers.append({"mediaType": LAYER, "digest": sha256(blob.toc_blob),
                       "size": len(blob.toc_blob),
                       "annotations": {estargz.EXTERNAL_LAYER_ANNOTATION: blob.digest}})
    return push(host, repository, [], tag=f"{tag}-esgztoc", layers=layers)


def push_document(host, repository, document, tag="latest", kind=MANIFEST):
    """A manifest of the test's own, whose blobs are there or not."""
    _request(host, "PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(document).encode(), kind)


def push_soci_index(host, repository, layers, image=None):
    """SOCI's index of these soci.Layers; returns its digest. image: the Pushed that it refers to,
    which makes it one of version 1, to be found by the tag that stands in for the referrers API."""
    subject = image and describe_manifest(host, repository, image, None)
    document = soci.index(layers, subject=subject)
    for data in [b"{}", *(layer.ztoc for layer in layers)]:
        push_blob(host, repository, data)
    digest = sha256(document)
    _request(host, "PUT", f"/v2/{repository}/manifests/{digest}", document, MANIFEST)
    if image:
        referrers = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": MANIFEST, "digest": digest, "size": len(document),
             "artifactType": soci.INDEX_V1}]}
        push_document(host, repository, referrers, tag=image.digest.replace(":", "-"), kind=INDEX)
    return digest


def describe_manifest(host, repository, image, platform):
    """The descriptor of a pushed image in an index."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("HEAD", f"/v2/{repository}/manifests/{image.digest}",
                           headers={"Accept": MANIFEST})
        size = int(connection.getresponse().headers["Content-Length"])
    finally:
        connection.close()
    return {"mediaType": MANIFEST, "digest": image.digest, "size": size,
            **({"platform": platform} if platform else {})}


def push_index(host, repository, manifests, tag="latest"):
    """An image index of these descriptors; returns its reference."""
    document = json.dumps({"schemaVersion": 2, "mediaType": INDEX,
                           "manifests": manifests}).encode()
    _request(host, "PUT", f"/v2/{repository}/manifests/{tag}", document, INDEX)
    return f"{host}/{repository}:{tag}"
