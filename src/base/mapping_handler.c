/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the SIGBUS of an unreadable page into zeros and a mark on its mapping, or into the end of
 * the call that read it. Everything here that the handler reaches is async-signal-safe. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mapping_guard.h"
#include "mapping_internal.h"

/* Global because a signal handler has no argument; written before the handler is installed. */
static struct sigaction previous;
static uintptr_t page_size;
static int install_result;

/* The system call itself: sanitizers wrap mmap(), and their bookkeeping is not made for handlers.
 */
static bool put_zeros(uintptr_t start, size_t size)
{
	long ret = syscall(
		SYS_mmap, start, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L);

	return (uintptr_t)ret == start;
}

/* Every page replaced can split a map in two more, and the kernel refuses to map at all beyond
 * vm.max_map_count (65530 by default): whoever loses a page after these gives up the whole mapping,
 * which needs one map. */
static bool replace_page(const siginfo_t *info)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	uintptr_t page = address & ~(page_size - 1);
	struct mapping_slot *slot = mapping_slot_find(address);
	uintptr_t start;
	size_t size;

	if (!slot)
		return false;
	/* Before the zeros are there, so that who reads them finds the mark. */
	atomic_store(&slot->failed, true);
	start = atomic_load(&slot->start);
	size = atomic_load(&slot->size);
	if (!mapping_slot_count_page(slot))
		return put_zeros(start, size) || put_zeros(page, page_size);
	return put_zeros(page, page_size) || put_zeros(start, size);
}

static void pass_on(int signum, siginfo_t *info, void *context)
{
	const struct sigaction default_action = {.sa_handler = SIG_DFL};
	bool sent = info->si_code <= 0; /* by kill() and the like, not by a fault */

	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(signum, info, context);
		return;
	}
	if (previous.sa_handler == SIG_IGN && sent)
		return;
	if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(signum);
		return;
	}
	/* A fault comes again as soon as the handler returns; what was sent has to be sent again,
	 * and waits until then. */
	(void)sigaction(signum, &default_action, NULL);
	if (sent)
		(void)raise(signum);
}

static void on_sigbus(int signum, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	/* si_addr is an address only when the kernel reports a fault. */
	if (info->si_code > 0 && replace_page(info)) {
		errno = saved_errno;
		return;
	}
	if (info->si_code == BUS_ADRERR)
		mapping_guard_leave();
	pass_on(signum, info, context);
	errno = saved_errno;
}

static void install(void)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};

	page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
	(void)sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, NULL, &previous) < 0 || sigaction(SIGBUS, &action, NULL) < 0)
		install_result = -errno;
}

int mapping_handler_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, install);
	return install_result;
}
