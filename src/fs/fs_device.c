/* SPDX-License-Identifier: Apache-2.0 */
/* How requests come from /dev/fuse and replies go there: libfuse's own way, but with the handshake
 * completed, and no request left without an answer because its reply could not be written. */
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "fs_internal.h"

enum { WATCH_INTERVAL_MS = 100 };

/* One thread at least comes here again: that which was told of the interrupt. */
static void look_after_readers(struct fs_session *session, int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	while (fs_park_is_watching(&session->park) && poll(&poll_fd, 1, WATCH_INTERVAL_MS) == 0)
		fs_park_look(&session->park);
}

static ssize_t device_read(int fd, void *data, size_t size, void *userdata)
{
	struct fs_session *session = userdata;
	ssize_t n;

	look_after_readers(session, fd);
	n = read(fd, data, size);
	if (n <= 0)
		return n;
	atomic_fetch_add_explicit(&session->n_requests, 1, memory_order_relaxed);
	/* Others are sent only once this one is answered. */
	if (!session->init.seen)
		(void)fs_init_parse(data, (size_t)n, &session->init);
	return n;
}

static void note_answering(struct fs_session *session)
{
	pthread_mutex_lock(&session->lock);
	session->answering = true;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

/* The request was aborted, or the mount is gone: nobody waits for this reply. */
static bool is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ENODEV || errnum == EPERM || errnum == ENOTCONN ||
	       errnum == ECONNABORTED;
}

static ssize_t write_with_patience(int fd, const struct iovec *iov, int n_iov)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	ssize_t n;

	/* The kernel copies a reply into memory of its own, which may be short for a moment. */
	for (int i = 0; i < 100; i++) {
		n = writev(fd, iov, n_iov);
		if (n >= 0 || (errno != EINTR && errno != ENOMEM && errno != EAGAIN))
			return n;
		if (errno != EINTR)
			(void)nanosleep(&pause, NULL);
	}
	return n;
}

static size_t iov_size(const struct iovec *iov, int n_iov)
{
	size_t size = 0;

	for (int i = 0; i < n_iov; i++)
		size += iov[i].iov_len;
	return size;
}

/* A reply that the kernel refuses would leave its reader waiting for ever. */
static void answer_eio(int fd, const struct iovec *reply, int errnum)
{
	const struct fuse_out_header *refused = reply->iov_base;
	struct fuse_out_header header = {
		.len = sizeof(header),
		.error = -EIO,
		.unique = refused->unique,
	};
	struct iovec iov = {.iov_base = &header, .iov_len = sizeof(header)};

	log_error("the kernel refuses a FUSE reply of %u bytes: error %d", refused->len, errnum);
	/* A notification has no request behind it. */
	if (header.unique != 0 && write_with_patience(fd, &iov, 1) < 0 && !is_gone(errno))
		log_error("a FUSE request stays without an answer: error %d", errno);
}

static ssize_t device_write(int fd, struct iovec *iov, int n_iov, void *userdata)
{
	struct fs_session *session = userdata;
	bool is_init = session->init.seen &&
		       fs_init_is_reply(&session->init, iov[0].iov_base, iov[0].iov_len);
	ssize_t n;

	atomic_fetch_add_explicit(&session->n_replies, 1, memory_order_relaxed);
	if (is_init && n_iov > 1)
		fs_init_patch(&session->init, iov[1].iov_base, iov[1].iov_len);
	n = write_with_patience(fd, iov, n_iov);
	if (n < 0) {
		if (!is_gone(errno))
			answer_eio(fd, iov, errno);
		return (ssize_t)iov_size(iov, n_iov);
	}
	if (is_init)
		note_answering(session);
	return n;
}

const struct fuse_custom_io *fs_device_io(void)
{
	static const struct fuse_custom_io io = {.read = device_read, .writev = device_write};

	return &io;
}

void fs_device_drop_interrupts(struct fs_session *session)
{
	struct {
		struct fuse_in_header header;
		struct fuse_forget_in forget;
	} request = {
		.header =
			{
				.len = sizeof(request),
				.opcode = FUSE_FORGET,
				.nodeid = FUSE_ROOT_ID,
			},
	};
	struct fuse_buf buffer = {.mem = &request, .size = sizeof(request)};
	uint64_t before;

	/* Forgetting has no reply: what is written answers an interrupt. */
	do {
		before = atomic_load(&session->n_replies);
		fuse_session_process_buf(session->fuse, &buffer);
	} while (atomic_load(&session->n_replies) != before);
}
