/* SPDX-License-Identifier: Apache-2.0 */
/* The report behind `varve why`: from a file to its units, never through the mount. */
#include "report_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "layer/tree.h"
#include "oci/image_name.h"

enum { MAX_FAILURES = 10 };

/* The file that is asked about. */
struct subject {
	const struct report_mount *mount;
	const struct tree *tree;
	struct erofs_attr attr;
	struct erofs_extent extent;
	struct layer *layer; /* NULL unless it has stored bytes */
	uint64_t first_row;
	uint64_t n_rows;
};

static const struct report_mount *find_mount(
	const struct report_context *context, const char *dir, struct error *err)
{
	for (size_t i = 0; i < context->n_mounts; i++) {
		if (strcmp(context->mounts[i].dir, dir) == 0)
			return &context->mounts[i];
	}
	(void)error_set(err, ERROR_NOT_FOUND, "this process has no usable mount on %s", dir);
	return NULL;
}

static int step(const struct tree *tree, const char *path, const char *name, size_t size,
	uint64_t *nid, struct error *err)
{
	uint64_t next;
	bool found;

	if (size == 0 || (size == 1 && name[0] == '.'))
		return 0;
	if (erofs_lookup(tree->reader, *nid, name, size, &found, &next, err) < 0)
		return error_prefix(err, "/%s", path);
	if (!found)
		return error_set(err, ERROR_NOT_FOUND, "the image has no /%s", path);
	*nid = next;
	return 0;
}

static int find_path(const struct tree *tree, const char *path, uint64_t *nid, struct error *err)
{
	const char *name = path;

	*nid = erofs_root(tree->reader);
	while (*name) {
		size_t size = strcspn(name, "/");

		if (step(tree, path, name, size, nid, err) < 0)
			return -1;
		name += size;
		name += *name == '/';
	}
	return 0;
}

/* On the FUSE face st_ino is tree << 40 | nid, and 1 is FUSE's own root; on the EROFS face it is
 * the nid. */
static int find_ino(
	const struct report_mount *mount, uint64_t ino, uint64_t *nid, struct error *err)
{
	const struct tree *tree = mount->image->tree;

	*nid = ino;
	if (strcmp(mount->face, "fuse") != 0)
		return 0;
	if (ino == 1) {
		*nid = erofs_root(tree->reader);
		return 0;
	}
	*nid = ino & ((UINT64_C(1) << 40) - 1);
	if (ino >> 40 != tree->id)
		return error_set(err, ERROR_NOT_FOUND,
			"inode %ju is of tree %ju, not of the tree mounted on %s", (uintmax_t)ino,
			(uintmax_t)(ino >> 40), mount->dir);
	return 0;
}

static int find_units(struct subject *subject, struct error *err)
{
	const struct tree *tree = subject->tree;

	if (!S_ISREG(subject->attr.mode) || subject->attr.size == 0)
		return 0;
	if (erofs_extent(tree->reader, subject->attr.nid, &subject->extent, err) < 0)
		return -1;
	if (subject->extent.hole)
		return 0;
	if (subject->extent.device >= tree->n_layers)
		return error_set(err, ERROR_INTERNAL, "layer %u of a tree of %zu",
			subject->extent.device, tree->n_layers);
	subject->layer = tree->layers[subject->extent.device];
	return unit_table_range(layer_index_of(subject->layer)->units, subject->extent.data_off,
		subject->attr.size, &subject->first_row, &subject->n_rows, err);
}

static int find_subject(const struct report_context *context, const struct report_why_query *query,
	struct subject *out, struct error *err)
{
	struct subject subject = {.mount = find_mount(context, query->dir, err)};
	uint64_t nid;
	int result;

	if (!subject.mount)
		return -1;
	subject.tree = subject.mount->image->tree;
	if (query->path)
		result = find_path(subject.tree, query->path, &nid, err);
	else
		result = find_ino(subject.mount, query->ino, &nid, err);
	if (result < 0 || erofs_getattr(subject.tree->reader, nid, &subject.attr, err) < 0 ||
		find_units(&subject, err) < 0)
		return -1;
	*out = subject;
	return 0;
}

static const char *type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symbolic link";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	case S_IFIFO:
		return "fifo";
	default:
		return "socket";
	}
}

static struct json *file_to_json(const struct subject *subject)
{
	struct json *json = json_new_object();
	char text[4096];

	if (erofs_path(subject->tree->reader, subject->attr.nid, text, NULL) == 0)
		set_text(json, "path", text);
	set_text(json, "type", type_name(subject->attr.mode));
	set_number(json, "size", subject->attr.size);
	set_number(json, "nid", subject->attr.nid);
	(void)snprintf(text, sizeof(text), "%04o", subject->attr.mode & 07777);
	set_text(json, "mode", text);
	if (S_ISLNK(subject->attr.mode) &&
		erofs_readlink(subject->tree->reader, subject->attr.nid, text, NULL) == 0)
		set_text(json, "target", text);
	return json;
}

static struct json *layer_to_json(const struct subject *subject)
{
	struct json *json = json_new_object();
	struct layer_stats stats;

	layer_stats(subject->layer, &stats);
	set_digest(json, "digest", &layer_descriptor(subject->layer)->digest);
	set_number(json, "number", subject->extent.device + UINT64_C(1));
	set_number(json, "of", subject->tree->n_layers);
	set_number(json, "data_off", subject->extent.data_off);
	set_number(json, "units", stats.store.n_units);
	set_number(json, "units_present", stats.store.n_present);
	set_bool(json, "complete", stats.store.complete);
	set_access(json, subject->layer);
	report_trust(subject->layer, json);
	set_number(json, "waiting", stats.fetch.n_waiting);
	return json;
}

static struct json *unit_to_json(
	const struct subject *subject, uint64_t row, const struct unit *unit, bool present)
{
	struct json *json = json_new_object();
	char digest[7 + 2 * 32 + 1] = "sha256:";

	hex_encode(unit->digest, 32, digest + 7);
	set_number(json, "unit", row);
	set_number(json, "file_off", unit->data_off - subject->extent.data_off);
	set_number(json, "size", unit->size);
	set_bool(json, "present", present);
	set_number(json, "blob_off", unit->blob_off);
	set_number(json, "blob_size", unit->blob_size);
	set_text(json, "codec", report_codec_name(unit->codec));
	set_text(json, "digest", unit->flags & (UNIT_UNVERIFIED | UNIT_IN_SPAN) ? "" : digest);
	set_bool(json, "in_span", unit->flags & UNIT_IN_SPAN);
	set_bool(json, "zeros", unit->flags & UNIT_ZEROS);
	return json;
}

static int units_to_json(const struct subject *subject, const struct report_why_query *query,
	struct json *json, struct error *err)
{
	struct json *list = json_new_array();
	uint64_t n_present = 0, present = 0, size = 0;
	uint64_t n_listed = 0;

	json_set(json, "list", list);
	for (uint64_t i = 0; i < subject->n_rows; i++) {
		uint64_t row = subject->first_row + i;
		bool here = layer_store_has(layer_store_of(subject->layer), row);
		struct unit unit;

		if (unit_table_get(layer_index_of(subject->layer)->units, row, &unit, err) < 0)
			return -1;
		size += unit.size;
		n_present += here;
		present += here ? unit.size : 0;
		if (i < query->first_unit || n_listed >= query->max_units)
			continue;
		json_append(list, unit_to_json(subject, row, &unit, here));
		n_listed++;
	}
	set_number(json, "total", subject->n_rows);
	set_number(json, "present", n_present);
	set_number(json, "size", size);
	set_number(json, "present_size", present);
	set_number(json, "omitted", subject->n_rows - n_listed);
	return 0;
}

static struct json *sources_to_json(
	const struct report_context *context, const struct subject *subject)
{
	struct image_name name;

	if (image_name_parse(subject->mount->image->reference, &name, NULL) < 0 ||
		name.place != IMAGE_IN_REGISTRY)
		return json_new_array();
	return report_hosts(context, name.reference.registry);
}

static struct json *failures_to_json(const struct subject *subject)
{
	const struct failure_filter filter = {
		.layer = subject->extent.device,
		.first_unit = subject->first_row,
		.n_units = subject->n_rows,
	};
	struct json *failures = json_new_array();

	report_failures(subject->mount, &filter, MAX_FAILURES, failures);
	return failures;
}

int report_why(const struct report_context *context, const struct report_why_query *query,
	struct json **out, struct error *err)
{
	CLEANUP(json_freep) struct json *json = NULL;
	struct subject subject;
	struct json *units;

	if (find_subject(context, query, &subject, err) < 0)
		return -1;
	json = json_new_object();
	set_text(json, "mount", subject.mount->dir);
	set_text(json, "reference", subject.mount->image->reference);
	set_text(json, "source", image_place_name(subject.mount->image->place));
	set_text(json, "face", subject.mount->face);
	set_text(json, "log", subject.mount->log);
	json_set(json, "file", file_to_json(&subject));
	if (subject.layer) {
		units = json_new_object();
		json_set(json, "units", units);
		if (units_to_json(&subject, query, units, err) < 0)
			return -1;
		json_set(json, "layer", layer_to_json(&subject));
		json_set(json, "hosts", sources_to_json(context, &subject));
		json_set(json, "failures", failures_to_json(&subject));
	}
	*out = TAKE_PTR(json);
	return 0;
}
