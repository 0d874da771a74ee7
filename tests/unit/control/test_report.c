/* SPDX-License-Identifier: Apache-2.0 */
#include "control/report.h"

#include "support/fs_fixture.h"

#include "base/error_map.h"

/* A tree with its store, as a mount that is shown. */
struct report_fixture {
	struct fs_fixture fs;
	struct image image;
	struct report_mount mount;
	struct report_context context;
};

static void fixture_open(struct report_fixture *fixture, const char *face)
{
	const struct fs_fixture_options options = {.no_mount = true, .deadline_ms = 300};

	fs_fixture_open(&fixture->fs, &options);
	fixture->image = (struct image){
		.tree = fixture->fs.tree,
		.reference = "registry.example.com/team/app:1.2",
		.platform = {.os = "linux", .architecture = "amd64"},
		.n_layers = 1,
	};
	digest_from_sha256((const uint8_t[32]){0xab}, &fixture->image.manifest);
	fixture->mount = (struct report_mount){
		.dir = "/mnt/app",
		.face = face,
		.face_why = "",
		.upper = "",
		.log = "",
		.image = &fixture->image,
		.started_s = 1700000000,
	};
	fixture->context = (struct report_context){
		.store = fixture->fs.store,
		.mounts = &fixture->mount,
		.n_mounts = 1,
		.phase = "",
	};
}

static void fixture_close(struct report_fixture *fixture)
{
	fs_fixture_close(&fixture->fs);
}

/* A read of the file's data space, waited for; its error kind. */
struct waited_read {
	struct layer_read read;
	atomic_int kind; /* -1 until it is done */
};

static void on_read(struct layer_read *read, struct stored_range *range, const struct error *err)
{
	struct waited_read *waited = container_of(read, struct waited_read, read);

	stored_range_free(range);
	atomic_store(&waited->kind, err ? (int)err->kind : ERROR_NONE);
}

static int read_file(struct report_fixture *fixture, const char *path, uint64_t off, size_t size)
{
	const struct erofs_reader *reader = fixture->fs.tree->reader;
	uint64_t nid = erofs_root(reader);
	struct waited_read waited = {.kind = -1};
	struct erofs_extent extent;

	while (*path) {
		size_t length = strcspn(path, "/");
		bool found;

		assert_int_equal(erofs_lookup(reader, nid, path, length, &found, &nid, NULL), 0);
		assert_true(found);
		path += length + (path[length] == '/');
	}
	assert_int_equal(erofs_extent(reader, nid, &extent, NULL), 0);
	waited.read = (struct layer_read){
		.layer = fixture->fs.layer,
		.off = extent.data_off + off,
		.size = size,
		.done = on_read,
	};
	layer_read_start(&waited.read);
	wait_until(atomic_load(&waited.kind) >= 0);
	return atomic_load(&waited.kind);
}

static struct json *status(struct report_fixture *fixture)
{
	struct error err = {0};
	struct json *json;

	if (report_status(&fixture->context, &json, &err) < 0)
		fail_msg("%s", err.message);
	return json;
}

static struct json *why(struct report_fixture *fixture, const struct report_why_query *query)
{
	struct error err = {0};
	struct json *json;

	if (report_why(&fixture->context, query, &json, &err) < 0)
		fail_msg("%s", err.message);
	return json;
}

static struct json *why_path(struct report_fixture *fixture, const char *path)
{
	const struct report_why_query query = {.dir = "/mnt/app", .path = path, .max_units = 1000};

	return why(fixture, &query);
}

static int64_t number(const struct json *object, const char *name)
{
	int64_t value;

	if (!json_i64(json_get(object, name), &value))
		fail_msg("no number \"%s\"", name);
	return value;
}

static const char *text(const struct json *object, const char *name)
{
	const char *value = json_string(json_get(object, name));

	if (!value)
		fail_msg("no text \"%s\"", name);
	return value;
}

static bool flag(const struct json *object, const char *name)
{
	bool value = false;

	assert_true(json_bool(json_get(object, name), &value));
	return value;
}

static void status_counts_what_was_fetched(void **state)
{
	struct report_fixture fixture;
	const struct json *mount, *layer;
	struct json *json;

	(void)state;
	fixture_open(&fixture, "fuse");
	assert_int_equal(read_file(&fixture, "big", 150000, 1000), ERROR_NONE);
	json = status(&fixture);
	mount = json_at(json_get(json, "mounts"), 0);
	layer = json_at(json_get(mount, "layers"), 0);
	assert_string_equal(text(mount, "dir"), "/mnt/app");
	assert_string_equal(text(mount, "reference"), "registry.example.com/team/app:1.2");
	assert_string_equal(text(mount, "platform"), "linux/amd64");
	assert_int_equal(number(layer, "units_present"), 1);
	assert_int_equal(number(layer, "present"), FIXTURE_CHUNK_SIZE);
	assert_int_equal(number(layer, "fetched_bytes"), FIXTURE_CHUNK_SIZE);
	assert_int_equal(number(layer, "blob_size"), fixture.fs.blob_size);
	assert_false(flag(layer, "complete"));
	assert_string_equal(text(layer, "access"), "units");
	assert_string_equal(text(layer, "codec"), "none");
	assert_int_equal(number(layer, "spans"), 0);
	assert_true(number(json_get(json, "store"), "allocated") >= FIXTURE_CHUNK_SIZE);
	assert_true(flag(json_get(json, "store"), "caching"));
	assert_int_equal(json_length(json_get(json, "failures")), 0);
	json_free(json);
	fixture_close(&fixture);
}

static void status_of_a_store_alone_has_no_mounts(void **state)
{
	struct report_fixture fixture;
	struct json *json;

	(void)state;
	fixture_open(&fixture, "fuse");
	fixture.context.n_mounts = 0;
	json = status(&fixture);
	assert_int_equal(json_length(json_get(json, "mounts")), 0);
	assert_int_equal(json_length(json_get(json, "hosts")), 0);
	json_free(json);
	fixture_close(&fixture);
}

static void why_lists_the_units_of_a_file(void **state)
{
	struct report_fixture fixture;
	const struct json *units, *list;
	struct json *json;

	(void)state;
	fixture_open(&fixture, "fuse");
	assert_int_equal(read_file(&fixture, "big", 150000, 1000), ERROR_NONE);
	json = why_path(&fixture, "big");
	units = json_get(json, "units");
	list = json_get(units, "list");
	assert_string_equal(text(json_get(json, "file"), "path"), "/big");
	assert_string_equal(text(json_get(json, "file"), "type"), "file");
	assert_int_equal(number(json_get(json, "file"), "size"), FIXTURE_BIG_SIZE);
	assert_int_equal(number(units, "total"), FIXTURE_BIG_SIZE / FIXTURE_CHUNK_SIZE + 1);
	assert_int_equal(number(units, "present"), 1);
	assert_int_equal(number(units, "size"), FIXTURE_BIG_SIZE);
	assert_int_equal(number(units, "omitted"), 0);
	assert_false(flag(json_at(list, 0), "present"));
	assert_true(flag(json_at(list, 1), "present"));
	assert_int_equal(number(json_at(list, 1), "file_off"), FIXTURE_CHUNK_SIZE);
	assert_int_equal(number(json_at(list, 1), "blob_size"), FIXTURE_CHUNK_SIZE);
	assert_int_equal(number(json_get(json, "layer"), "number"), 1);
	json_free(json);
	fixture_close(&fixture);
}

static void why_lists_a_part_of_many_units(void **state)
{
	const struct report_why_query query = {
		.dir = "/mnt/app", .path = "big", .first_unit = 10, .max_units = 3};
	struct report_fixture fixture;
	const struct json *units;
	struct json *json;

	(void)state;
	fixture_open(&fixture, "fuse");
	json = why(&fixture, &query);
	units = json_get(json, "units");
	assert_int_equal(json_length(json_get(units, "list")), 3);
	assert_int_equal(
		number(json_at(json_get(units, "list"), 0), "file_off"), 10 * FIXTURE_CHUNK_SIZE);
	assert_int_equal(number(units, "omitted"), number(units, "total") - 3);
	json_free(json);
	fixture_close(&fixture);
}

static void why_finds_a_file_by_the_inode_of_either_face(void **state)
{
	static const char *const faces[] = {"fuse", "erofs"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct report_why_query query = {.dir = "/mnt/app", .path = "dir/attributes"};
		struct report_fixture fixture;
		uint64_t nid;
		struct json *json;

		fixture_open(&fixture, faces[i]);
		json = why(&fixture, &query);
		nid = (uint64_t)number(json_get(json, "file"), "nid");
		json_free(json);

		query.path = NULL;
		query.ino = i == 0 ? (uint64_t)FIXTURE_TREE_ID << 40 | nid : nid;
		json = why(&fixture, &query);
		assert_string_equal(text(json_get(json, "file"), "path"), "/dir/attributes");
		assert_string_equal(text(json_get(json, "file"), "mode"), "0644");
		json_free(json);
		fixture_close(&fixture);
	}
}

static void why_refuses_inodes_of_other_trees_and_unknown_names(void **state)
{
	static const struct report_why_query queries[] = {
		{.dir = "/mnt/app", .ino = (uint64_t)(FIXTURE_TREE_ID + 1) << 40 | 36},
		{.dir = "/mnt/app", .ino = (uint64_t)FIXTURE_TREE_ID << 40 | 0xffffffff},
		{.dir = "/mnt/other", .path = "dir"},
		{.dir = "/mnt/app", .path = "dir/absent"},
		{.dir = "/mnt/app", .path = ".."},
	};
	struct report_fixture fixture;

	(void)state;
	fixture_open(&fixture, "fuse");
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct error err = {0};
		struct json *json;
		int result = report_why(&fixture.context, &queries[i], &json, &err);

		/* ".." of the root is the root. */
		if (result == 0) {
			assert_string_equal(text(json_get(json, "file"), "path"), "/");
			json_free(json);
			continue;
		}
		assert_int_equal(err.kind, ERROR_NOT_FOUND);
	}
	fixture_close(&fixture);
}

static void why_has_no_units_for_what_is_no_file_with_bytes(void **state)
{
	static const struct {
		const char *path;
		const char *type;
	} rows[] = {
		{"", "directory"},
		{"dir", "directory"},
		{"dir/link", "symbolic link"},
		{"dir/fifo", "fifo"},
		{"dir/null", "character device"},
		{"empty", "file"},
	};
	struct report_fixture fixture;

	(void)state;
	fixture_open(&fixture, "fuse");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *json = why_path(&fixture, rows[i].path);

		assert_string_equal(text(json_get(json, "file"), "type"), rows[i].type);
		assert_null(json_get(json, "units"));
		json_free(json);
	}
	fixture_close(&fixture);
}

static void why_tells_where_a_link_leads(void **state)
{
	struct report_fixture fixture;
	struct json *json;

	(void)state;
	fixture_open(&fixture, "fuse");
	json = why_path(&fixture, "dir/link");
	assert_string_equal(text(json_get(json, "file"), "target"), "hello");
	json_free(json);
	fixture_close(&fixture);
}

static void a_failed_read_is_explained_with_its_file_and_counted_once_per_unit(void **state)
{
	struct report_fixture fixture;
	const struct json *failure;
	struct json *json;

	(void)state;
	fixture_open(&fixture, "fuse");
	atomic_store(&fixture.fs.source.forbids, true);
	assert_int_equal(read_file(&fixture, "dir/attributes", 0, 6), ERROR_UNAUTHORIZED);
	assert_int_equal(read_file(&fixture, "dir/attributes", 0, 6), ERROR_UNAUTHORIZED);
	assert_int_equal(read_file(&fixture, "big", 0, 6), ERROR_UNAUTHORIZED);

	json = status(&fixture);
	assert_int_equal(json_length(json_get(json, "failures")), 2);
	assert_int_equal(
		number(json_at(json_get(json_at(json_get(json, "mounts"), 0), "layers"), 0),
			"failed_reads"),
		3);
	json_free(json);

	json = why_path(&fixture, "dir/attributes");
	assert_int_equal(json_length(json_get(json, "failures")), 1);
	failure = json_at(json_get(json, "failures"), 0);
	assert_string_equal(text(failure, "path"), "/dir/attributes");
	assert_string_equal(text(failure, "kind"), "unauthorized");
	assert_int_equal(number(failure, "times"), 2);
	assert_true(strlen(text(failure, "advice")) > 0);
	json_free(json);
	fixture_close(&fixture);
}

static void the_cache_lists_layers_and_what_they_hold(void **state)
{
	struct report_fixture fixture;
	const struct json *layer;
	struct error err = {0};
	struct json *json;

	(void)state;
	fixture_open(&fixture, "fuse");
	assert_int_equal(read_file(&fixture, "big", 0, 1000), ERROR_NONE);
	assert_int_equal(layer_store_sync(layer_store_of(fixture.fs.layer), &err), 0);
	assert_int_equal(report_cache(&fixture.context, &json, &err), 0);
	assert_int_equal(json_length(json_get(json, "layers")), 1);
	layer = json_at(json_get(json, "layers"), 0);
	assert_true(flag(layer, "open"));
	assert_int_equal(number(layer, "units_present"), 1);
	assert_int_equal(number(layer, "present"), FIXTURE_CHUNK_SIZE);
	assert_int_equal(strlen(text(layer, "key")), 64);
	json_free(json);
	fixture_close(&fixture);
}

static void images_say_how_much_of_them_is_here_and_where_they_are(void **state)
{
	struct report_fixture fixture;
	struct store_image record = {.n_layers = 2};
	uint8_t layers[2][32] = {{1}, {2}};
	const struct json *image;
	struct error err = {0};
	struct json *json;

	(void)state;
	fixture_open(&fixture, "fuse");
	record.reference = fixture.image.reference;
	record.manifest = fixture.image.manifest;
	record.used_s = 1700000000;
	record.layers = layers;
	assert_int_equal(store_image_put(fixture.fs.store, &record, &err), 0);
	assert_int_equal(read_file(&fixture, "big", 0, 1000), ERROR_NONE);
	assert_int_equal(layer_store_sync(layer_store_of(fixture.fs.layer), &err), 0);
	assert_int_equal(report_images(&fixture.context, &json, &err), 0);
	assert_int_equal(json_length(json_get(json, "images")), 1);
	image = json_at(json_get(json, "images"), 0);
	assert_string_equal(text(image, "reference"), fixture.image.reference);
	assert_int_equal(number(image, "layers"), 2);
	assert_int_equal(number(image, "layers_known"), 1);
	assert_int_equal(number(image, "present"), FIXTURE_CHUNK_SIZE);
	assert_false(flag(image, "complete"));
	assert_string_equal(json_string(json_at(json_get(image, "mounted"), 0)), "/mnt/app");
	json_free(json);
	fixture_close(&fixture);
}

static void an_error_survives_the_way_through_json(void **state)
{
	(void)state;
	for (int kind = ERROR_NOT_FOUND; kind <= ERROR_INTERNAL; kind++) {
		struct error err, read;
		struct json *json;

		(void)error_set(&err, (enum error_kind)kind, "layer: \"x\"\n");
		json = report_error(&err);
		assert_true(report_error_read(json, &read));
		assert_int_equal(read.kind, kind);
		assert_string_equal(read.message, err.message);
		json_free(json);
	}
}

static void what_is_no_error_is_not_read_as_one(void **state)
{
	struct json *json = json_new_object();
	struct error err = {0};

	(void)state;
	assert_false(report_error_read(json, &err));
	assert_false(report_error_read(NULL, &err));
	json_set(json, "error", json_new_string("oops"));
	assert_false(report_error_read(json, &err));
	json_free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_counts_what_was_fetched),
		cmocka_unit_test(status_of_a_store_alone_has_no_mounts),
		cmocka_unit_test(why_lists_the_units_of_a_file),
		cmocka_unit_test(why_lists_a_part_of_many_units),
		cmocka_unit_test(why_finds_a_file_by_the_inode_of_either_face),
		cmocka_unit_test(why_refuses_inodes_of_other_trees_and_unknown_names),
		cmocka_unit_test(why_has_no_units_for_what_is_no_file_with_bytes),
		cmocka_unit_test(why_tells_where_a_link_leads),
		cmocka_unit_test(
			a_failed_read_is_explained_with_its_file_and_counted_once_per_unit),
		cmocka_unit_test(the_cache_lists_layers_and_what_they_hold),
		cmocka_unit_test(images_say_how_much_of_them_is_here_and_where_they_are),
		cmocka_unit_test(an_error_survives_the_way_through_json),
		cmocka_unit_test(what_is_no_error_is_not_read_as_one),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
