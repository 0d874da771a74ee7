/* SPDX-License-Identifier: Apache-2.0 */
#include "control/verify_job.h"

#include "support/fs_fixture.h"

static const struct fs_fixture_options no_mount = {.no_mount = true};

static struct json *run_to_the_end(struct fs_fixture *fixture, bool repair)
{
	struct verify_job *job;
	struct error err = {0};
	struct json *json;

	if (verify_job_start(fixture->store, repair, &job, &err) < 0)
		fail_msg("%s", err.message);
	wait_until(verify_job_ended(job));
	json = verify_job_report(job);
	verify_job_free(job);
	return json;
}

static int64_t number(const struct json *object, const char *name)
{
	int64_t value = -1;

	assert_true(json_i64(json_get(object, name), &value));
	return value;
}

/* A read that brings all units of /big here. */
struct waited_read {
	struct layer_read read;
	atomic_bool done;
};

static void on_read(struct layer_read *read, struct stored_range *range, const struct error *err)
{
	struct waited_read *waited = container_of(read, struct waited_read, read);

	assert_null(err);
	stored_range_free(range);
	atomic_store(&waited->done, true);
}

static uint64_t fetch_some(struct fs_fixture *fixture)
{
	struct erofs_extent extent;
	struct waited_read waited = {.done = false};
	uint64_t nid;
	bool found;

	assert_int_equal(erofs_lookup(fixture->tree->reader, erofs_root(fixture->tree->reader),
				 "big", 3, &found, &nid, NULL),
		0);
	assert_int_equal(erofs_extent(fixture->tree->reader, nid, &extent, NULL), 0);
	waited.read = (struct layer_read){
		.layer = fixture->layer,
		.off = extent.data_off,
		.size = 3 * FIXTURE_CHUNK_SIZE,
		.done = on_read,
	};
	layer_read_start(&waited.read);
	wait_until(atomic_load(&waited.done));
	return extent.data_off;
}

static void damage(struct fs_fixture *fixture, uint64_t off)
{
	const uint8_t junk[16] = {0xde, 0xad};
	int fd;

	assert_int_equal(layer_store_sync(layer_store_of(fixture->layer), NULL), 0);
	fd = openat(store_layers_fd(fixture->store),
		"0100000000000000000000000000000000000000000000000000000000000000.data", O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, junk, sizeof(junk), (off_t)off), sizeof(junk));
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
}

static void counts_what_is_right(void **state)
{
	struct fs_fixture fixture;
	struct json *json;

	(void)state;
	fs_fixture_open(&fixture, &no_mount);
	(void)fetch_some(&fixture);
	json = run_to_the_end(&fixture, false);
	assert_string_equal(json_string(json_get(json, "state")), "done");
	assert_int_equal(number(json, "checked_units"), 3);
	assert_int_equal(number(json, "checked_bytes"), 3 * FIXTURE_CHUNK_SIZE);
	assert_int_equal(number(json, "wrong_units"), 0);
	assert_int_equal(json_length(json_get(json, "findings")), 0);
	json_free(json);
	fs_fixture_close(&fixture);
}

static void names_what_is_wrong_and_repairs_only_when_asked(void **state)
{
	struct fs_fixture fixture;
	const struct json *finding;
	struct json *json;
	uint64_t off;

	(void)state;
	fs_fixture_open(&fixture, &no_mount);
	off = fetch_some(&fixture);
	damage(&fixture, off + FIXTURE_CHUNK_SIZE + 5000);

	json = run_to_the_end(&fixture, false);
	assert_int_equal(number(json, "wrong_units"), 1);
	assert_int_equal(number(json, "repaired_units"), 0);
	finding = json_at(json_get(json, "findings"), 0);
	assert_non_null(json_string(json_get(finding, "blob")));
	assert_non_null(strstr(json_string(json_get(finding, "what")), "digest"));
	assert_true(number(finding, "unit") >= 0);
	json_free(json);

	json = run_to_the_end(&fixture, true);
	assert_int_equal(number(json, "repaired_units"), 1);
	json_free(json);

	json = run_to_the_end(&fixture, false);
	assert_int_equal(number(json, "checked_units"), 2);
	assert_int_equal(number(json, "wrong_units"), 0);
	json_free(json);
	fs_fixture_close(&fixture);
}

static void a_job_may_be_given_up_at_any_time(void **state)
{
	struct fs_fixture fixture;
	struct verify_job *job;

	(void)state;
	fs_fixture_open(&fixture, &no_mount);
	(void)fetch_some(&fixture);
	assert_int_equal(verify_job_start(fixture.store, false, &job, NULL), 0);
	verify_job_free(job);
	verify_job_free(NULL);
	fs_fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_what_is_right),
		cmocka_unit_test(names_what_is_wrong_and_repairs_only_when_asked),
		cmocka_unit_test(a_job_may_be_given_up_at_any_time),
	};

	return cmocka_run_group_tests_name("verify_job", tests, NULL, NULL);
}
