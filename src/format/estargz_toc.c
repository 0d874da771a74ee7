/* SPDX-License-Identifier: Apache-2.0 */
/* From the compressed table of contents to its authenticated JSON. */
#include "format/estargz.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "chunk/codec.h"
#include "crfs_internal.h"
#include "format/tar.h"

/* The tar around the JSON: header, perhaps PAX headers, padding, end of archive. */
enum { MAX_TAR_OVERHEAD = 64 << 10 };

static const char toc_name[] = "stargz.index.json";

/* Where the JSON is in the archive. */
struct finding {
	bool found;
	uint64_t off;
	uint64_t size;
};

static int find_json(void *arg, const struct tar_entry *entry, struct error *err)
{
	struct finding *finding = arg;

	if (strcmp(entry->name, toc_name) != 0 || entry->type != '0')
		return error_set(err, ERROR_FORMAT,
			"the archive begins with something else than %s", toc_name);
	if (entry->size == 0 || entry->size > ESTARGZ_MAX_TOC_SIZE)
		return error_set(err, ERROR_FORMAT, "%s has %" PRIu64 " bytes; at most %d are read",
			toc_name, entry->size, (int)ESTARGZ_MAX_TOC_SIZE);
	*finding = (struct finding){.found = true, .off = entry->payload_off, .size = entry->size};
	return 1;
}

static int locate_json(const struct buffer *archive, struct finding *finding, struct error *err)
{
	CLEANUP(tar_reader_freep) struct tar_reader *reader = NULL;

	if (tar_reader_new(find_json, finding, &reader, err) < 0 ||
		tar_reader_feed(reader, archive->data, archive->size, err) < 0)
		return -1;
	if (!finding->found)
		return error_set(err, ERROR_FORMAT, "the archive is empty");
	if (!range_within(finding->off, finding->size, archive->size))
		return error_set(err, ERROR_FORMAT, "the archive ends inside %s", toc_name);
	return 0;
}

static int read_json(const void *member, size_t member_size,
	const struct estargz_toc_options *options, struct buffer *archive, struct finding *finding,
	struct error *err)
{
	if (codec_decode_all(CODEC_GZIP, member, member_size,
		    ESTARGZ_MAX_TOC_SIZE + MAX_TAR_OVERHEAD, archive, err) < 0)
		return -1;
	if (locate_json(archive, finding, err) < 0)
		return -1;
	if (options->toc_digest && digest_check(options->toc_digest, archive->data + finding->off,
					   (size_t)finding->size, err) < 0)
		return -1;
	if (buffer_reserve(archive, CRFS_JSON_PADDING) < 0)
		return error_set(err, ERROR_NO_MEMORY, "no memory to parse it");
	return 0;
}

static struct crfs_options crfs_of(const struct estargz_toc_options *options)
{
	return (struct crfs_options){
		.dialect = CRFS_STARGZ,
		.codec = CODEC_GZIP,
		.payload_end = options->payload_end,
		.allow_unverified = options->allow_unverified,
	};
}

static int parse_member(const void *member, size_t member_size,
	const struct estargz_toc_options *options, struct toc **out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer archive = {0};
	struct crfs_options crfs = crfs_of(options);
	struct finding finding = {0};

	if (read_json(member, member_size, options, &archive, &finding, err) < 0)
		return -1;
	return crfs_json_parse_padded(
		(const char *)archive.data + finding.off, (size_t)finding.size, &crfs, out, err);
}

int estargz_toc_parse(const void *member, size_t member_size,
	const struct estargz_toc_options *options, struct toc **out, struct error *err)
{
	if (!options->toc_digest && !options->allow_unverified)
		return error_set(err, ERROR_UNSUPPORTED,
			"no digest of the eStargz table of contents (annotation %s), and "
			"unverified content is not allowed",
			ESTARGZ_TOC_DIGEST_ANNOTATION);
	if (parse_member(member, member_size, options, out, err) < 0)
		return error_prefix(err, "eStargz table of contents");
	return 0;
}

int estargz_json_parse(const char *json, size_t json_size,
	const struct estargz_toc_options *options, struct toc **out, struct error *err)
{
	struct crfs_options crfs = crfs_of(options);

	if (json_size > ESTARGZ_MAX_TOC_SIZE)
		return error_set(err, ERROR_FORMAT,
			"table of contents of %zu bytes; at most %d are read", json_size,
			(int)ESTARGZ_MAX_TOC_SIZE);
	if (crfs_json_parse(json, json_size, &crfs, out, err) < 0)
		return error_prefix(err, "eStargz table of contents");
	return 0;
}
