/* SPDX-License-Identifier: Apache-2.0 */
/* Records of served mounts: files that are locked by the process they are about. */
#include "daemon/mount_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fdio.h"
#include "base/log.h"

enum { RECORD_LIMIT = 64 << 10 };

/* The members that are strings. */
static const struct {
	const char *name;
	size_t off;
} texts[] = {
	{"dir", offsetof(struct mount_record, dir)},
	{"reference", offsetof(struct mount_record, reference)},
	{"layer", offsetof(struct mount_record, layer)},
	{"platform", offsetof(struct mount_record, platform)},
	{"manifest", offsetof(struct mount_record, manifest)},
	{"face", offsetof(struct mount_record, face)},
	{"store", offsetof(struct mount_record, store)},
	{"control", offsetof(struct mount_record, control)},
	{"log", offsetof(struct mount_record, log)},
	{"upper", offsetof(struct mount_record, upper)},
};

enum { N_TEXTS = sizeof(texts) / sizeof(texts[0]) };

static const char **text_of(struct mount_record *record, size_t i)
{
	return (const char **)(void *)((char *)record + texts[i].off);
}

static struct json *record_to_json(const struct mount_record *record)
{
	struct mount_record copy = *record;
	struct json *json = json_new_object();

	json_set(json, "pid", json_new_i64(record->pid));
	for (size_t i = 0; i < N_TEXTS; i++) {
		const char *text = *text_of(&copy, i);

		json_set(json, texts[i].name, json_new_string(text ? text : ""));
	}
	json_set(json, "major", json_new_i64(record->major));
	json_set(json, "minor", json_new_i64(record->minor));
	json_set(json, "started_s", json_new_i64(record->started_s));
	return json;
}

static int get_number(
	const struct json *document, const char *name, int64_t max, int64_t *out, struct error *err)
{
	if (json_i64(json_get(document, name), out) && *out >= 0 && *out <= max)
		return 0;
	return error_set(err, ERROR_FORMAT,
		"\"%s\" of a mount record is not a number from 0 to %jd", name, (intmax_t)max);
}

int mount_record_parse(struct json *document, struct mount_record *out, struct error *err)
{
	struct mount_record record = {0};
	int64_t pid, major, minor;

	if (get_number(document, "pid", INT32_MAX, &pid, err) < 0 ||
		get_number(document, "major", UINT32_MAX, &major, err) < 0 ||
		get_number(document, "minor", UINT32_MAX, &minor, err) < 0 ||
		get_number(document, "started_s", INT64_MAX, &record.started_s, err) < 0)
		return -1;
	if (pid == 0)
		return error_set(err, ERROR_FORMAT, "a mount record of process 0");
	for (size_t i = 0; i < N_TEXTS; i++) {
		const char *text = json_string(json_get(document, texts[i].name));

		if (!text)
			return error_set(err, ERROR_FORMAT,
				"\"%s\" of a mount record is not a text", texts[i].name);
		*text_of(&record, i) = text;
	}
	if (record.dir[0] != '/')
		return error_set(err, ERROR_FORMAT, "a mount record of \"%s\"", record.dir);
	record.pid = (pid_t)pid;
	record.major = (unsigned)major;
	record.minor = (unsigned)minor;
	record.document = document;
	*out = record;
	return 0;
}

static void record_path(const char *run_dir, pid_t pid, const char *suffix, char out[PATH_MAX])
{
	(void)snprintf(
		out, PATH_MAX, "%.*s/mounts/%jd%s", PATH_MAX - 48, run_dir, (intmax_t)pid, suffix);
}

int mount_record_write(
	const char *run_dir, const struct mount_record *record, int *lock, struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	CLEANUP(cleanup_fd) int fd = -1;
	struct json *json = record_to_json(record);
	char path[PATH_MAX];
	char name[PATH_MAX];
	int result = json_write(json, true, &text, err);

	json_free(json);
	if (result < 0)
		return -1;
	record_path(run_dir, record->pid, ".json", path);
	record_path(run_dir, record->pid, ".new", name);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set_errno(err, errno, "create %s", name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return error_set_errno(err, errno, "lock %s", name);
	result = fd_write_all(fd, text.data, text.size);
	if (result < 0)
		return error_set_errno(err, -result, "write %s", name);
	if (rename(name, path) < 0)
		return error_set_errno(err, errno, "rename %s", name);
	cleanup_fd(lock);
	*lock = TAKE_FD(fd);
	return 0;
}

void mount_record_remove(const char *run_dir, pid_t pid)
{
	char path[PATH_MAX];

	record_path(run_dir, pid, ".json", path);
	if (unlink(path) < 0 && errno != ENOENT)
		log_warning("%s stays: %s", path, strerror(errno));
}

/* 1 when somebody holds the lock. */
static int is_locked(int dir_fd, const char *name)
{
	CLEANUP(cleanup_fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int read_record(int dir_fd, const char *name, struct mount_record *out, struct error *err)
{
	CLEANUP(buffer_free) struct buffer text = {0};
	CLEANUP(json_freep) struct json *document = NULL;

	if (file_read(dir_fd, name, RECORD_LIMIT, &text, err) < 0)
		return -1;
	if (json_parse(text.data ? (const void *)text.data : "", text.size, &document, err) < 0 ||
		mount_record_parse(document, out, err) < 0)
		return error_prefix(err, "%s", name);
	document = NULL;
	out->alive = is_locked(dir_fd, name);
	return 0;
}

static int append(
	struct mount_records *records, const struct mount_record *record, struct error *err)
{
	struct mount_record *more =
		reallocarray(records->records, records->n_records + 1, sizeof(*more));

	if (!more)
		return error_set(err, ERROR_NO_MEMORY, "no memory for the records of mounts");
	records->records = more;
	more[records->n_records++] = *record;
	return 0;
}

static bool is_record_name(const char *name)
{
	size_t n_digits = strspn(name, "0123456789");

	return n_digits > 0 && strcmp(name + n_digits, ".json") == 0;
}

static int read_all(DIR *dir, struct mount_records *records, struct error *err)
{
	for (;;) {
		struct mount_record record;
		struct dirent *entry;
		struct error why = {0};

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno ? error_set_errno(err, errno, "read the run directory") : 0;
		if (!is_record_name(entry->d_name))
			continue;
		if (read_record(dirfd(dir), entry->d_name, &record, &why) < 0) {
			/* Its process ended between the two system calls. */
			if (why.kind != ERROR_NOT_FOUND)
				log_warning("mount record left out: %s", why.message);
			continue;
		}
		if (append(records, &record, err) < 0) {
			json_free(record.document);
			return -1;
		}
	}
}

int mount_records_read(const char *run_dir, struct mount_records *out, struct error *err)
{
	CLEANUP(mount_records_clear) struct mount_records records = {0};
	char path[PATH_MAX];
	DIR *dir;
	int result;

	(void)snprintf(path, sizeof(path), "%.*s/mounts", PATH_MAX - 8, run_dir);
	dir = opendir(path);
	if (!dir && errno != ENOENT)
		return error_set_errno(err, errno, "open %s", path);
	if (dir) {
		result = read_all(dir, &records, err);
		(void)closedir(dir);
		if (result < 0)
			return error_prefix(err, "%s", path);
	}
	*out = records;
	records = (struct mount_records){0};
	return 0;
}

void mount_records_clear(struct mount_records *records)
{
	for (size_t i = 0; i < records->n_records; i++)
		json_free(records->records[i].document);
	free(records->records);
	*records = (struct mount_records){0};
}

const struct mount_record *mount_records_with_device(
	const struct mount_records *records, unsigned major, unsigned minor)
{
	const struct mount_record *dead = NULL;

	if (major == 0 && minor == 0)
		return NULL;
	for (size_t i = 0; i < records->n_records; i++) {
		const struct mount_record *record = &records->records[i];

		if (record->major != major || record->minor != minor)
			continue;
		if (record->alive)
			return record;
		dead = record;
	}
	return dead;
}
