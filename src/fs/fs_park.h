/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fs_internal.h"

/* See fs_park.c. */
enum parked_state { STARTING, DONE_EARLY, INTERRUPTED, PARKED, CLAIMED };
enum parked_list { UNLISTED, UNDER_WAY, QUEUED };

/* A read that may wait. */
struct parked_read {
	struct layer_read read;
	struct fs_session *session; /* borrowed */
	fuse_req_t request;         /* of whoever answers it */
	pid_t pid;                  /* the thread that reads; 0: not of our PID namespace */
	atomic_int state;           /* enum parked_state */
	atomic_uint refs;
	bool registered;            /* starting thread, then whoever answers */
	struct stored_range *range; /* owned; of a read that is DONE_EARLY. NULL: it failed */

	enum parked_list list;    /* guarded by the park's lock, and what follows */
	struct parked_read *next; /* in its list */
	struct parked_read *prev; /* of those under way */
	bool cancelled;
	bool watched;
	struct parked_read *watch_next;
	struct parked_read *watch_prev;
};

void parked_unref(struct parked_read *parked);

/* Answers EINTR, unless it is answered already. @in_callback: on behalf of libfuse's interrupt
 * function, under its lock. The caller's thread has a reference, or is that function. */
void parked_interrupt(struct parked_read *parked, bool in_callback);

/* fs_park_watch.c: looks from time to time whether the reader is dying. */
void parked_watch(struct parked_read *parked);
void parked_unwatch(struct parked_read *parked);

/* fs_reader.c: whether a signal will end this thread, so that nobody misses its read. True when
 * that cannot be told. */
bool reader_is_dying(pid_t pid);
/* The same from the text of /proc/PID/status. */
bool reader_status_is_dying(const char *status);
