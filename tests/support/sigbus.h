/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "support/test.h"

#include <fcntl.h>
#include <signal.h>

#include "base/mapping.h"

/* cmocka installs a SIGBUS handler of its own around every test, over that of base/mapping.h,
 * which is installed once a process. A test that reads from a failing mapping calls this first;
 * so does, with the same effect, every earlier test of the program that opens a mapping. */
static inline void sigbus_claim(void)
{
	static struct sigaction ours;

	if (!ours.sa_sigaction) {
		CLEANUP(mapping_close) struct mapping any = {0};
		CLEANUP(cleanup_fd) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

		assert_int_equal(mapping_open(fd, &any, NULL), 0);
		assert_int_equal(sigaction(SIGBUS, NULL, &ours), 0);
	}
	assert_int_equal(sigaction(SIGBUS, &ours, NULL), 0);
}
