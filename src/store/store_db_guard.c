/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of LMDB, which reads from a map of its file: a page that the disk does not give ends the
 * use of the database, not the process. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mapping_guard.h"
#include "store_db_env_internal.h"

struct guarded {
	int (*call)(void *arg);
	void *arg;
	int code;
};

static void run(void *arg)
{
	struct guarded *guarded = arg;

	guarded->code = guarded->call(guarded->arg);
}

/* What LMDB was about to do is half done, and it may hold its locks for ever: its environment is
 * neither used nor closed after that. */
static void lose(struct db *db)
{
	if (atomic_exchange(&db->lost, true))
		return;
	log_error("database %s: its disk does not give a page of it: reads go on, but nothing is "
		  "stored or looked up there until this process starts again",
		db->path);
	db_mark_suspect(db);
}

int db_guard(struct db *db, int (*call)(void *arg), void *arg)
{
	struct guarded guarded = {.call = call, .arg = arg};

	if (atomic_load(&db->lost))
		return EIO;
	if (mapping_guard_run(run, &guarded))
		return guarded.code;
	lose(db);
	return EIO;
}

void db_mark_suspect(struct db *db)
{
	int fd = openat(db->dir_fd, DB_SUSPECT_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	/* Without the mark the next owner meets the damage again, as we did. */
	if (fd >= 0)
		(void)close(fd);
}

bool db_is_lost(const struct db *db)
{
	return atomic_load(&db->lost);
}
