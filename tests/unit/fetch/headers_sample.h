/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fetch_fixture.h"

#include "format/span_headers.h"

enum { SPAN_SIZE = 100000 };

/* An archive, encoded, and an index of it by which only spans can be verified: small files, one of
 * five spans ("large"), directories that fill more than a span, and again files. */
struct sample {
	struct buffer archive;
	struct span_index *index; /* of headers; a test may make it lie */
	struct span_headers *headers;
	struct fixture_blob blob;
	size_t *entries; /* of each unit, by row */
};

void sample_make(struct sample *sample, enum codec codec);
void sample_close(struct sample *sample);

/* The same once more, as what the archive says. */
struct span_index *sample_read_index(const struct sample *sample, enum codec codec);

struct toc_entry *sample_find(const struct sample *sample, const char *name);
/* The row of the nth unit of a file. */
uint64_t sample_row(const struct sample *sample, const char *name, uint64_t n);
