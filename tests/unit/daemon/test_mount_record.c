/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/mount_record.h"

#include "support/scratch.h"

#include <limits.h>

#include "base/fdio.h"
#include "base/log.h"
#include "daemon/run_directory.h"

/* The scratch directory is the run directory. */
static int make_run_dir(void **state)
{
	struct scratch *scratch;
	struct error err;

	assert_int_equal(scratch_setup(state), 0);
	scratch = *state;
	return run_directory_make(scratch->path, &err);
}

static const char *run_dir_of(void **state)
{
	const struct scratch *scratch = *state;

	return scratch->path;
}

static struct mount_record example(pid_t pid, const char *dir)
{
	return (struct mount_record){
		.pid = pid,
		.dir = dir,
		.reference = "example.com/a:1",
		.layer = "",
		.platform = "linux/amd64",
		.manifest = "",
		.face = "fuse",
		.store = "/var/lib/varve",
		.control = "/var/lib/varve/control.sock",
		.log = "",
		.upper = "",
		.major = 0,
		.minor = 77,
		.started_s = 1700000000,
	};
}

static void write_record(const char *run_dir, const struct mount_record *record, int *lock)
{
	struct error err = {0};

	if (mount_record_write(run_dir, record, lock, &err) < 0)
		fail_msg("%s", err.message);
}

static void write_text(const char *run_dir, const char *name, const char *text)
{
	struct error err = {0};
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/mounts/%s", run_dir, name);
	if (file_replace(AT_FDCWD, path, text, strlen(text), 0600, &err) < 0)
		fail_msg("%s", err.message);
}

static void read_records(const char *run_dir, struct mount_records *out)
{
	struct error err = {0};

	if (mount_records_read(run_dir, out, &err) < 0)
		fail_msg("%s", err.message);
}

static void reads_back_what_was_written_with_any_path(void **state)
{
	struct mount_record record = example(4711, "/mnt/with \"quotes\"\n and newline");
	struct mount_records records;
	int lock = -1;

	write_record(run_dir_of(state), &record, &lock);
	read_records(run_dir_of(state), &records);
	assert_int_equal(records.n_records, 1);
	assert_int_equal(records.records[0].pid, 4711);
	assert_string_equal(records.records[0].dir, record.dir);
	assert_string_equal(records.records[0].reference, record.reference);
	assert_string_equal(records.records[0].control, record.control);
	assert_int_equal(records.records[0].minor, 77);
	assert_int_equal(records.records[0].started_s, 1700000000);
	mount_records_clear(&records);
	(void)close(lock);
}

static void a_record_lives_as_long_as_its_lock_is_held(void **state)
{
	struct mount_record record = example(4711, "/mnt");
	struct mount_records records;
	int lock = -1;

	write_record(run_dir_of(state), &record, &lock);
	read_records(run_dir_of(state), &records);
	assert_true(records.records[0].alive);
	mount_records_clear(&records);

	(void)close(lock);
	read_records(run_dir_of(state), &records);
	assert_int_equal(records.n_records, 1);
	assert_false(records.records[0].alive);
	mount_records_clear(&records);
}

static void a_replaced_record_stays_locked(void **state)
{
	struct mount_record record = example(4711, "/mnt");
	struct mount_records records;
	int lock = -1;

	write_record(run_dir_of(state), &record, &lock);
	record.face = "erofs";
	write_record(run_dir_of(state), &record, &lock);
	read_records(run_dir_of(state), &records);
	assert_int_equal(records.n_records, 1);
	assert_string_equal(records.records[0].face, "erofs");
	assert_true(records.records[0].alive);
	mount_records_clear(&records);
	(void)close(lock);
}

static void a_removed_record_is_gone_and_removing_it_again_is_fine(void **state)
{
	struct mount_record record = example(4711, "/mnt");
	struct mount_records records;
	int lock = -1;

	write_record(run_dir_of(state), &record, &lock);
	mount_record_remove(run_dir_of(state), 4711);
	mount_record_remove(run_dir_of(state), 4711);
	read_records(run_dir_of(state), &records);
	assert_int_equal(records.n_records, 0);
	mount_records_clear(&records);
	(void)close(lock);
}

static void leaves_out_what_is_no_record(void **state)
{
	struct mount_record record = example(4711, "/mnt");
	struct mount_records records;
	int lock = -1;

	log_setup(LOG_LEVEL_ERROR, STDERR_FILENO, true);
	write_record(run_dir_of(state), &record, &lock);
	write_text(run_dir_of(state), "1.json", "{");
	write_text(run_dir_of(state), "2.json", "{\"pid\": 2}");
	write_text(run_dir_of(state), "3.json", "");
	write_text(run_dir_of(state), "x.json", "{}");
	write_text(run_dir_of(state), "4.new", "{}");
	read_records(run_dir_of(state), &records);
	assert_int_equal(records.n_records, 1);
	assert_int_equal(records.records[0].pid, 4711);
	mount_records_clear(&records);
	(void)close(lock);
}

static void a_run_directory_that_is_absent_has_no_records(void **state)
{
	struct mount_records records;

	(void)state;
	read_records("/nonexistent/varve", &records);
	assert_int_equal(records.n_records, 0);
	mount_records_clear(&records);
}

static void finds_the_living_one_of_two_records_with_one_device(void **state)
{
	struct mount_record dead = example(1, "/mnt/dead");
	struct mount_record alive = example(2, "/mnt/alive");
	struct mount_records records;
	int dead_lock = -1;
	int lock = -1;

	write_record(run_dir_of(state), &dead, &dead_lock);
	write_record(run_dir_of(state), &alive, &lock);
	(void)close(dead_lock);
	read_records(run_dir_of(state), &records);
	assert_string_equal(mount_records_with_device(&records, 0, 77)->dir, "/mnt/alive");
	assert_null(mount_records_with_device(&records, 0, 78));
	mount_records_clear(&records);
	(void)close(lock);
}

static void a_mount_that_is_not_made_yet_has_no_device(void **state)
{
	struct mount_record record = example(1, "/mnt");
	struct mount_records records;
	int lock = -1;

	record.minor = 0;
	write_record(run_dir_of(state), &record, &lock);
	read_records(run_dir_of(state), &records);
	assert_null(mount_records_with_device(&records, 0, 0));
	mount_records_clear(&records);
	(void)close(lock);
}

static void refuses_values_of_the_wrong_kind(void **state)
{
	static const char *const texts[] = {
		"[]",
		"{\"pid\": 0}",
		"{\"pid\": -1, \"major\": 0, \"minor\": 0, \"started_s\": 0}",
		"{\"pid\": 4294967297, \"major\": 0, \"minor\": 0, \"started_s\": 0}",
		"{\"pid\": 1, \"major\": 0, \"minor\": 0, \"started_s\": 0, \"dir\": 5}",
		"{\"pid\": 1, \"major\": \"0\", \"minor\": 0, \"started_s\": 0}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct json *document;
		struct mount_record record;
		struct error err = {0};

		assert_int_equal(json_parse(texts[i], strlen(texts[i]), &document, &err), 0);
		assert_int_equal(mount_record_parse(document, &record, &err), -1);
		assert_int_equal(err.kind, ERROR_FORMAT);
		json_free(document);
	}
}

#define IN_RUN_DIR(test) cmocka_unit_test_setup_teardown(test, make_run_dir, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_RUN_DIR(reads_back_what_was_written_with_any_path),
		IN_RUN_DIR(a_record_lives_as_long_as_its_lock_is_held),
		IN_RUN_DIR(a_replaced_record_stays_locked),
		IN_RUN_DIR(a_removed_record_is_gone_and_removing_it_again_is_fine),
		IN_RUN_DIR(leaves_out_what_is_no_record),
		cmocka_unit_test(a_run_directory_that_is_absent_has_no_records),
		IN_RUN_DIR(finds_the_living_one_of_two_records_with_one_device),
		IN_RUN_DIR(a_mount_that_is_not_made_yet_has_no_device),
		cmocka_unit_test(refuses_values_of_the_wrong_kind),
	};

	return cmocka_run_group_tests_name("mount_record", tests, NULL, NULL);
}
