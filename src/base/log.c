/* SPDX-License-Identifier: Apache-2.0 */
/* The process' log: one line, one write(2), whatever the text contains. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "utf8_internal.h"

/* PIPE_BUF is 4096: a line up to that size reaches a pipe in one piece. */
enum { LINE_SIZE = 4096, TEXT_SIZE = 2048, ESCAPE_SIZE = 4 };

static struct {
	atomic_int level;
	atomic_int fd;
	atomic_bool plain;
} setup = {LOG_LEVEL_INFO, STDERR_FILENO, true};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_setup(enum log_level level, int fd, bool plain)
{
	atomic_store(&setup.level, (int)level);
	atomic_store(&setup.fd, fd);
	atomic_store(&setup.plain, plain);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&setup.level, memory_order_relaxed);
}

/* "2026-01-31T23:59:59.123Z error: ", or without the time. */
static size_t put_head(char *line, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	size_t used = 0;
	int length;

	if (!atomic_load(&setup.plain)) {
		(void)clock_gettime(CLOCK_REALTIME, &now);
		(void)gmtime_r(&now.tv_sec, &utc);
		used = strftime(line, LINE_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
		length = snprintf(line + used, LINE_SIZE - used, ".%03ldZ ", now.tv_nsec / 1000000);
		used += (size_t)length;
	}
	length = snprintf(line + used, LINE_SIZE - used, "%s: ", level_names[level]);
	return used + (size_t)length;
}

/* How many bytes at text may be written as they are: 0 for what a terminal would act upon (C0, DEL
 * and C1 controls) and for what is not UTF-8. */
static size_t printable_sequence(const uint8_t *text, size_t size)
{
	size_t length = utf8_sequence(text, size);

	if (length == 1 && (text[0] < 0x20 || text[0] == 0x7f))
		return 0;
	if (length == 2 && text[0] == 0xc2 && text[1] < 0xa0)
		return 0;
	return length;
}

static size_t put_escape(char *out, uint8_t byte)
{
	static const char digits[] = "0123456789abcdef";

	out[0] = '\\';
	if (byte == '\n' || byte == '\t' || byte == '\r') {
		out[1] = byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r';
		return 2;
	}
	out[1] = 'x';
	out[2] = digits[byte >> 4];
	out[3] = digits[byte & 15];
	return 4;
}

/* Appends text at line[used], keeping room for the ellipsis and the newline; returns the new
 * length. */
static size_t put_text(char *line, size_t used, const uint8_t *text, size_t size, bool cut)
{
	const size_t room = LINE_SIZE - ESCAPE_SIZE - sizeof("...\n");

	while (size > 0 && used <= room) {
		size_t length = printable_sequence(text, size);

		if (length == 0) {
			used += put_escape(line + used, *text);
			length = 1;
		} else {
			memcpy(line + used, text, length);
			used += length;
		}
		text += length;
		size -= length;
	}
	if (cut || size > 0) {
		memcpy(line + used, "...", 3);
		used += 3;
	}
	line[used++] = '\n';
	return used;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	char line[LINE_SIZE];
	char text[TEXT_SIZE];
	size_t used, size;
	va_list ap;
	int length;

	if (!log_enabled(level))
		return;

	/* %m in fmt is the caller's errno: nothing may come between. */
	va_start(ap, fmt);
	length = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	size = length < 0 ? 0 : (size_t)length;
	used = put_head(line, level);
	used = put_text(line, used, (const uint8_t *)text,
		size < sizeof(text) ? size : sizeof(text) - 1, size >= sizeof(text));
	while (write(atomic_load(&setup.fd), line, used) < 0 && errno == EINTR)
		;
	errno = saved_errno;
}
