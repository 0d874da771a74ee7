/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs in files as the fetcher reads them. */
#include "local_fixture.h"

#include "base/clock.h"
#include "format/oci_layout.h"

static struct source *open_blob(struct local_fixture *f, const struct descriptor *descriptor)
{
	CLEANUP(image_source_freep) struct image_source *image = open_image(f, "oci:%s/l");
	struct source *source;
	struct error err = {0};

	if (image->ops->open_blob(image, descriptor, &source, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(source->kind, "oci");
	return source;
}

static void blob_path(const struct descriptor *descriptor, char path[256])
{
	char blob[OCI_LAYOUT_BLOB_PATH_SIZE];

	(void)snprintf(path, 256, "l/%s", oci_layout_blob_path(&descriptor->digest, blob));
}

static void assert_reads(
	struct local_fixture *f, struct source *source, uint64_t off, uint64_t size)
{
	struct local_reading reading = {.n_done = 0};
	char origin[512];

	local_read(&reading, f, source, off, size);
	if (reading.err.kind != ERROR_NONE)
		fail_msg("%s", reading.err.message);
	assert_int_equal(reading.n_done, 1);
	assert_int_equal(reading.body.size, size);
	assert_memory_equal(reading.body.data, f->blob + off, size);
	(void)snprintf(origin, sizeof(origin), "oci:%s/l", f->scratch->path);
	assert_string_equal(reading.origin, origin);
	local_reading_clear(&reading);
}

static void assert_fails(
	struct local_fixture *f, struct source *source, enum error_kind kind, const char *says)
{
	struct local_reading reading = {.n_done = 0};

	local_read(&reading, f, source, 0, 100);
	if (reading.err.kind != kind || !strstr(reading.err.message, says))
		fail_msg("kind %d, or no \"%s\" in: %s", (int)reading.err.kind, says,
			reading.err.message);
	assert_int_equal(reading.n_done, 1);
	assert_int_equal(reading.body.size, 0);
	local_reading_clear(&reading);
}

static void ranges_come_whole_and_in_order(void **state)
{
	struct local_fixture *f = *state;
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA256, f->blob, BLOB_SIZE);
	struct source *source = open_blob(f, &blob);

	assert_reads(f, source, 0, BLOB_SIZE);
	assert_reads(f, source, 1, 1);
	assert_reads(f, source, BLOB_SIZE - 1, 1);
	assert_reads(f, source, 1234, 512 << 10);
	assert_reads(f, source, 4321, (512 << 10) + 1);
	free_source(f, source);
}

static void what_was_opened_stays_readable_when_it_is_removed(void **state)
{
	struct local_fixture *f = *state;
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA256, f->blob, BLOB_SIZE);
	struct source *source = open_blob(f, &blob);
	char path[256];

	blob_path(&blob, path);
	assert_int_equal(unlinkat(f->scratch->fd, path, 0), 0);
	assert_reads(f, source, 100, 1000);
	free_source(f, source);
}

static void a_blob_that_comes_later_is_found(void **state)
{
	struct local_fixture *f = *state;
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA256, f->blob, BLOB_SIZE);
	struct source *source;
	char path[256];

	blob_path(&blob, path);
	assert_int_equal(renameat(f->scratch->fd, path, f->scratch->fd, "aside"), 0);
	source = open_blob(f, &blob);
	assert_fails(f, source, ERROR_NOT_FOUND, path);
	assert_int_equal(renameat(f->scratch->fd, "aside", f->scratch->fd, path), 0);
	assert_reads(f, source, 0, 5000);
	free_source(f, source);
}

static void a_blob_that_lies_about_its_size_is_refused(void **state)
{
	struct local_fixture *f = *state;
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA256, f->blob, BLOB_SIZE);
	struct source *source;

	blob.size++;
	source = open_blob(f, &blob);
	assert_fails(f, source, ERROR_FORMAT, "the manifest says");
	free_source(f, source);
}

static void a_blob_that_is_cut_while_it_is_open_is_said_to_be(void **state)
{
	struct local_fixture *f = *state;
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA256, f->blob, BLOB_SIZE);
	struct source *source = open_blob(f, &blob);
	char path[256];
	int fd;

	blob_path(&blob, path);
	fd = openat(f->scratch->fd, path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 50), 0);
	close(fd);
	assert_fails(f, source, ERROR_FORMAT, "has fewer now");
	free_source(f, source);
}

static void a_reader_that_stops_hears_so(void **state)
{
	struct local_fixture *f = *state;
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA256, f->blob, BLOB_SIZE);
	struct source *source = open_blob(f, &blob);
	struct local_reading reading = {.abort_at = 1};

	local_read(&reading, f, source, 0, BLOB_SIZE);
	assert_int_equal(reading.err.kind, ERROR_CANCELLED);
	assert_int_equal(reading.n_done, 1);
	assert_true(reading.body.size < BLOB_SIZE);
	local_reading_clear(&reading);
	free_source(f, source);
}

static void nothing_comes_after_a_cancel(void **state)
{
	struct local_fixture *f = *state;
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA256, f->blob, BLOB_SIZE);
	/* In the middle, and with the last bytes. */
	const size_t places[] = {1, BLOB_SIZE};

	for (size_t i = 0; i < 2; i++) {
		struct source *source = open_blob(f, &blob);
		struct local_reading reading = {.cancel_at = places[i]};

		local_read(&reading, f, source, 0, BLOB_SIZE);
		/* A request may still be with a worker when its source is freed. */
		free_source(f, source);
		assert_int_equal(reading.n_done, 0);
		local_reading_clear(&reading);
	}
}

static void a_deadline_that_has_passed_ends_the_request(void **state)
{
	struct local_fixture *f = *state;
	struct descriptor blob = put_blob(f, "l", DIGEST_SHA256, f->blob, BLOB_SIZE);
	struct source *source = open_blob(f, &blob);
	struct local_reading reading = {.request.deadline_ns = 1};

	local_read(&reading, f, source, 0, BLOB_SIZE);
	assert_int_equal(reading.n_done, 1);
	assert_int_equal(reading.err.kind, ERROR_TIMEOUT);
	local_reading_clear(&reading);
	free_source(f, source);
}

#define SOURCE_TEST(name) cmocka_unit_test_setup_teardown(name, local_setup, local_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOURCE_TEST(ranges_come_whole_and_in_order),
		SOURCE_TEST(what_was_opened_stays_readable_when_it_is_removed),
		SOURCE_TEST(a_blob_that_comes_later_is_found),
		SOURCE_TEST(a_blob_that_lies_about_its_size_is_refused),
		SOURCE_TEST(a_blob_that_is_cut_while_it_is_open_is_said_to_be),
		SOURCE_TEST(a_reader_that_stops_hears_so),
		SOURCE_TEST(nothing_comes_after_a_cancel),
		SOURCE_TEST(a_deadline_that_has_passed_ends_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
