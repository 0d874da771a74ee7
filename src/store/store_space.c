/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the disk takes what is put: quota, refusals, and how much is used. */
#include "store_space_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "store_cache_internal.h"
#include "store_internal.h"
#include "store_writer_internal.h"

static const uint64_t retry_ns = 5 * NS_PER_SECOND;
/* Indexes and the database grow without telling. */
static const uint64_t measure_ns = 60 * NS_PER_SECOND;
/* How far puts may run ahead of a measurement. */
static const uint64_t max_slack = 64 << 20;

/* Between looks without anybody who puts. */
static const uint64_t look_ns = 5 * NS_PER_SECOND;
/* Room that makes it worth to go on. */
static const uint64_t min_room = 4 << 20;

enum { MAX_DEPTH = 64, PROBE_SIZE = 64 << 10 };

static bool admits_within_quota(struct space *space, struct store *store, uint64_t size)
{
	uint64_t limit = atomic_load(&space->limit);
	uint64_t used = atomic_load(&space->used) + size;
	uint64_t slack = limit / 16 < max_slack ? limit / 16 : max_slack;

	if (limit == 0)
		return true;
	if (used > limit || clock_now_ns() - atomic_load(&space->measured_ns) > measure_ns)
		writer_check_space(store);
	return used <= limit + slack;
}

bool space_admits(struct store *store, uint64_t size)
{
	struct space *space = &store->space;
	uint64_t now = clock_now_ns();
	uint64_t retry;

	if (db_is_lost(store->db))
		return false;
	switch ((enum caching)atomic_load(&space->caching)) {
	case CACHING_READ_ONLY:
		return false;
	case CACHING_QUOTA:
		if (now - atomic_load(&space->measured_ns) > retry_ns)
			writer_check_space(store);
		return false;
	case CACHING_REFUSED:
		retry = atomic_load(&space->retry_ns);
		return now >= retry &&
		       atomic_compare_exchange_strong(&space->retry_ns, &retry, now + retry_ns);
	case CACHING_ON:
		break;
	}
	return admits_within_quota(space, store, size);
}

static bool is_refusal(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT || errnum == EROFS || errnum == EIO;
}

static void accepted(struct store *store)
{
	int caching = CACHING_REFUSED;

	if (atomic_load(&store->space.caching) == CACHING_REFUSED &&
		atomic_compare_exchange_strong(&store->space.caching, &caching, CACHING_ON))
		log_info("store %s: chunks are stored again", store->dir);
}

static void refused(struct store *store, int errnum)
{
	struct space *space = &store->space;
	int caching = CACHING_ON;

	atomic_store(&space->refused_errnum, errnum);
	atomic_store(&space->retry_ns, clock_now_ns() + retry_ns);
	atomic_store(&space->look_ns, clock_now_ns() + look_ns);
	if (atomic_compare_exchange_strong(&space->caching, &caching, CACHING_REFUSED))
		log_warning("store %s: %s: reads go on, but nothing is stored; tried again every "
			    "%d seconds",
			store->dir, strerror(errnum), (int)(retry_ns / NS_PER_SECOND));
	writer_wake(store);
}

bool space_learn(struct store *store, int errnum, uint64_t size)
{
	struct space *space = &store->space;

	if (errnum == 0) {
		atomic_fetch_add(&space->used, align_up(size, RANGE_ALIGN));
		if (!atomic_load(&space->commit_failed))
			accepted(store);
		return false;
	}
	if (!is_refusal(errnum))
		return false;
	refused(store, errnum);
	return true;
}

void space_learn_commit(struct store *store, const struct error *err)
{
	struct space *space = &store->space;

	if (err->kind == ERROR_NONE) {
		if (atomic_exchange(&space->commit_failed, false))
			accepted(store);
		return;
	}
	atomic_store(&space->commit_failed, true);
	refused(store, err->kind == ERROR_NO_SPACE    ? ENOSPC
		       : err->kind == ERROR_READ_ONLY ? EROFS
						      : EIO);
}

/* Takes fd. */
static int measure(int fd, dev_t device, unsigned depth, uint64_t *used)
{
	DIR *directory = fdopendir(fd);
	struct dirent *entry;

	if (!directory) {
		(void)close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(directory))) {
		struct stat status;
		int child;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		/* What vanishes meanwhile uses nothing. */
		if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
			status.st_dev != device)
			continue;
		*used += (uint64_t)status.st_blocks * 512;
		if (!S_ISDIR(status.st_mode) || depth == MAX_DEPTH)
			continue;
		child = openat(dirfd(directory), entry->d_name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0 && measure(child, device, depth + 1, used) < 0) {
			(void)closedir(directory);
			return -ENOMEM;
		}
	}
	(void)closedir(directory);
	return 0;
}

static int limit_of(struct store *store, uint64_t *limit, struct error *err)
{
	const struct space *space = &store->space;
	uint64_t percent_limit = 0;
	struct statvfs fs;

	if (space->quota_percent > 0) {
		if (fstatvfs(store->dir_fd, &fs) < 0)
			return error_set_errno(
				err, errno, "size of the file system of %s", store->dir);
		percent_limit = (uint64_t)fs.f_blocks * fs.f_frsize / 100 * space->quota_percent;
	}
	*limit = space->quota_bytes;
	if (percent_limit > 0 && (*limit == 0 || percent_limit < *limit))
		*limit = percent_limit;
	return 0;
}

int space_measure(struct store *store, uint64_t *used, uint64_t *limit, struct error *err)
{
	struct stat status;
	uint64_t total = atomic_load(&store->space.staged);
	int fd, ret;

	if (limit_of(store, limit, err) < 0)
		return -1;
	if (fstat(store->dir_fd, &status) < 0)
		return error_set_errno(err, errno, "stat %s", store->dir);
	fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "open %s", store->dir);
	ret = measure(fd, status.st_dev, 0, &total);
	if (ret < 0)
		return error_set_errno(err, -ret, "measure %s", store->dir);
	*used = total;
	return 0;
}

static void decide(struct store *store, uint64_t used, uint64_t limit)
{
	struct space *space = &store->space;
	bool full = limit > 0 && used > limit;
	int caching = full ? CACHING_ON : CACHING_QUOTA;

	atomic_store(&space->used, used);
	atomic_store(&space->limit, limit);
	atomic_store(&space->measured_ns, clock_now_ns());
	atomic_store(&space->look_ns, clock_now_ns() + measure_ns);
	if (!atomic_compare_exchange_strong(
		    &space->caching, &caching, full ? CACHING_QUOTA : CACHING_ON))
		return;
	if (full)
		log_warning("store %s: all of the quota of %" PRIu64 " bytes is used by what is "
			    "mounted: reads go on, but nothing more is stored",
			store->dir, limit);
	else
		log_info("store %s: below the quota, chunks are stored again", store->dir);
}

int space_check(struct store *store, uint64_t *freed, struct error *err)
{
	uint64_t used, limit;

	*freed = 0;
	if (space_measure(store, &used, &limit, err) < 0)
		return -1;
	if (limit > 0 && used > limit && evict_layers(store, used - limit, freed, err) < 0)
		return -1;
	decide(store, used > *freed ? used - *freed : 0, limit);
	return 0;
}

uint64_t space_next_look_ns(struct store *store)
{
	int caching = atomic_load(&store->space.caching);
	bool waits = caching == CACHING_REFUSED || caching == CACHING_QUOTA;

	return waits && !db_is_lost(store->db) ? atomic_load(&store->space.look_ns) : UINT64_MAX;
}

/* 0 or -errno: what a put would meet, all the way to the disk. */
static int probe(struct store *store)
{
	static const uint8_t data[PROBE_SIZE];
	CLEANUP(cleanup_fd) int fd = -1;
	struct statvfs fs;
	int ret;

	if (fstatvfs(store->dir_fd, &fs) < 0)
		return -errno;
	if ((uint64_t)fs.f_bavail * fs.f_frsize < min_room)
		return -ENOSPC;
	fd = openat(store->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = fd_pwrite_all(fd, data, sizeof(data), 0);
	if (ret == 0 && fdatasync(fd) < 0)
		ret = -errno;
	return ret;
}

static int put_version(struct db_txn *txn, void *arg)
{
	(void)arg;
	return db_meta_put(txn, "version", RECORD_VERSION);
}

static void look_at_disk(struct store *store)
{
	struct error err = {0};
	int ret = probe(store);

	if (ret < 0) {
		if (is_refusal(-ret))
			atomic_store(&store->space.refused_errnum, -ret);
		return;
	}
	/* A commit failed: one that changes nothing shows whether they work again. */
	if (atomic_load(&store->space.commit_failed) &&
		db_write(store->db, put_version, NULL, "see whether it can be written", &err) < 0)
		return;
	atomic_store(&store->space.commit_failed, false);
	accepted(store);
}

void space_look(struct store *store)
{
	struct error err = {0};
	uint64_t freed;

	if (atomic_load(&store->space.caching) == CACHING_QUOTA) {
		if (space_check(store, &freed, &err) < 0)
			log_warning("store %s: make room: %s", store->dir, err.message);
		atomic_store(&store->space.look_ns, clock_now_ns() + measure_ns);
		return;
	}
	look_at_disk(store);
	atomic_store(&store->space.look_ns, clock_now_ns() + look_ns);
}

bool store_caching(struct store *store, char *why, size_t why_size)
{
	struct space *space = &store->space;

	if (db_is_lost(store->db)) {
		(void)snprintf(why, why_size,
			"the disk does not give what was written to %s/" DB_NAME
			"; mount again when it is repaired",
			store->dir);
		return false;
	}
	switch ((enum caching)atomic_load(&space->caching)) {
	case CACHING_ON:
		return true;
	case CACHING_READ_ONLY:
		(void)snprintf(why, why_size, "%s is on a read-only file system", store->dir);
		break;
	case CACHING_QUOTA:
		(void)snprintf(why, why_size,
			"the quota of %" PRIu64 " bytes is used by what is mounted",
			atomic_load(&space->limit));
		break;
	case CACHING_REFUSED:
		(void)snprintf(why, why_size, "%s: %s", store->dir,
			strerror(atomic_load(&space->refused_errnum)));
		break;
	}
	return false;
}
