/* SPDX-License-Identifier: Apache-2.0 */
/* Walks through a database that may be damaged, in a process that it may kill. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "store_db_internal.h"

enum { CHILD_SOUND = 0, CHILD_DAMAGED = 1, CHILD_FAILED = 2 };

/* Every byte of keys and values is touched; a tree that leads in circles ends at the number of
 * entries it claims. */
static int walk_table(MDB_txn *txn, MDB_dbi table)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_stat stat;
	uint64_t n = 0;
	unsigned sum = 0;
	int code = mdb_stat(txn, table, &stat);

	if (code == 0)
		code = mdb_cursor_open(txn, table, &cursor);
	if (code != 0)
		return code;
	while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (++n > stat.ms_entries)
			return MDB_CORRUPTED;
		for (size_t i = 0; i < value.mv_size; i++)
			sum += ((const volatile uint8_t *)value.mv_data)[i];
		for (size_t i = 0; i < key.mv_size; i++)
			sum += ((const volatile uint8_t *)key.mv_data)[i];
	}
	(void)sum;
	mdb_cursor_close(cursor);
	if (code != MDB_NOTFOUND)
		return code;
	return n == stat.ms_entries ? 0 : MDB_CORRUPTED;
}

static int walk(const char *path)
{
	MDB_env *env;
	MDB_txn *txn;
	int code = mdb_env_create(&env);

	if (code != 0)
		return code;
	code = mdb_env_set_maxdbs(env, N_DB_TABLES);
	if (code == 0)
		code = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0600);
	if (code == 0)
		code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	for (int i = 0; code == 0 && i < N_DB_TABLES; i++) {
		MDB_dbi table;

		code = mdb_dbi_open(txn, db_table_names[i], 0, &table);
		if (code == MDB_NOTFOUND)
			code = 0;
		else if (code == 0)
			code = walk_table(txn, table);
	}
	return code;
}

/* Nothing here returns to the code of the parent. A crash is an answer, not something to report:
 * the parent's handlers and core files are off. */
static _Noreturn void run_child(const char *path)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
	const struct rlimit no_core = {0, 0};
	int code;

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		(void)signal(fatal[i], SIG_DFL);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	code = walk(path);
	if (code > 0 && code != EINVAL && code != EIO)
		_exit(CHILD_FAILED);
	_exit(code == 0 || code == MDB_VERSION_MISMATCH ? CHILD_SOUND : CHILD_DAMAGED);
}

int db_check(const char *path, bool *sound, struct error *err)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return error_set_errno(err, errno, "start a process that checks %s", path);
	if (pid == 0)
		run_child(path);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno == EINTR)
			continue;
		/* Somebody in this process reaps every child: the answer is lost. */
		log_warning("database %s could not be checked after a crash: %s", path,
			strerror(errno));
		*sound = true;
		return 0;
	}

	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FAILED)
		log_warning("database %s could not be checked after a crash", path);
	*sound = WIFEXITED(status) && WEXITSTATUS(status) != CHILD_DAMAGED;
	return 0;
}
