/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the thread that waits for a read is about to end. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs_park.h"

static uint64_t mask_of(int signal_number)
{
	return UINT64_C(1) << (signal_number - 1);
}

/* Signals that do nothing, or only stop, unless they are caught. */
static uint64_t harmless_signals(void)
{
	static const int harmless[] = {
		SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	uint64_t mask = 0;

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		mask |= mask_of(harmless[i]);
	return mask;
}

/* A line like "SigPnd:\t0000000000000100". */
static bool find_mask(const char *status, const char *name, uint64_t *out)
{
	const char *line = strstr(status, name);
	char *end;

	if (!line)
		return false;
	line += strlen(name);
	*out = strtoull(line, &end, 16);
	return end != line;
}

bool reader_status_is_dying(const char *status)
{
	uint64_t own, shared, blocked, ignored, caught;

	if (!find_mask(status, "\nSigPnd:", &own) || !find_mask(status, "\nShdPnd:", &shared) ||
		!find_mask(status, "\nSigBlk:", &blocked) ||
		!find_mask(status, "\nSigIgn:", &ignored) ||
		!find_mask(status, "\nSigCgt:", &caught))
		return true;
	/* The kernel turns signals that end a process at once into a SIGKILL of each thread; those
	 * that dump core first are pending as they are. */
	return ((own | shared) & ~(blocked | ignored | caught | harmless_signals())) != 0;
}

bool reader_is_dying(pid_t pid)
{
	char path[32];
	char status[4096];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return true;
	n = read(fd, status, sizeof(status) - 1);
	(void)close(fd);
	if (n <= 0)
		return true;
	status[n] = '\0';
	return reader_status_is_dying(status);
}
