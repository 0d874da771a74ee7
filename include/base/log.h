/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/**
 * log_setup() - choose what is logged and where.
 * @level: the least important level that is still written.
 * @fd:    descriptor written to, one write(2) a line; borrowed. 2 at start.
 * @plain: false prefixes every line with a UTC time stamp (a log file); true leaves that to the
 *         terminal or the journal.
 *
 * Threads: before other threads start, or from one thread while others log.
 */
void log_setup(enum log_level level, int fd, bool plain);

/* Whether a line of this level would be written: guards expensive arguments. */
bool log_enabled(enum log_level level);

/* Writes one line; control characters in the text are escaped so that a hostile name cannot forge
 * a line. Any thread. Never fails visibly: a log that cannot be written is dropped. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                   \
	} while (0)
