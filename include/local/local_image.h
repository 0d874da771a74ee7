/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/loop.h"
#include "base/workers.h"
#include "chunk/image_source.h"
#include "oci/image_name.h"

/* Images in files: OCI layouts and archives of them, `docker save` archives, and the directory
 * where containerd keeps what it pulled. Everything in them is hostile; symbolic links are
 * followed, as shared blobs are made with them, but nothing that is not a regular file is opened.
 */

/* What such an image needs. */
struct local_image_options {
	const struct image_name *name; /* not in a registry; copied; its path is absolute */
	struct loop *loop;             /* the net loop: where the requests of the fetcher live */
	struct workers *workers;       /* these read */
};

/**
 * local_image_new() - the source of an image in files.
 *
 * Nothing is opened before something is asked. An archive that has changed since its table was read
 * is refused from then on; files of a directory are kept open from open_blob() on, so that
 * removing the directory does not hurt who has its image mounted.
 */
MUST_CHECK int local_image_new(
	const struct local_image_options *options, struct image_source **out, struct error *err);
