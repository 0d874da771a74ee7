/* SPDX-License-Identifier: Apache-2.0 */
/* A link of a given rate and delay between two network namespaces, for kernels without netem.
 *
 * usage: delay_line NETNS_A DEVICE_A NETNS_B DEVICE_B ONE_WAY_US MBIT_PER_S
 *
 * Makes one TUN device in each namespace and carries packets between them: each leaves at the rate
 * of the link and arrives the delay later. What does not fit into 50 ms of queue is dropped, as a
 * router does. Prints "ready" once both devices exist; their addresses are the caller's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
	PACKET_SIZE = 65536 + 64,
	QUEUE_SLOTS = 4096,
	FRAME_OVERHEAD = 38, /* Ethernet header, checksum, preamble and gap of each frame */
};

#define QUEUE_NS INT64_C(50000000)

struct packet {
	int64_t due_ns;
	size_t size;
	uint8_t *bytes; /* owned; PACKET_SIZE */
};

struct direction {
	int from;
	int to;
	int64_t delay_ns;
	double ns_per_byte;
	int64_t free_ns; /* when the link has sent what it was given */
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct packet queue[QUEUE_SLOTS]; /* guarded by lock, like the two counters */
	unsigned head;
	unsigned tail;
};

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_device(const char *netns, const char *name)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open(netns, O_RDONLY | O_CLOEXEC);
	int header_size = sizeof(struct virtio_net_hdr);
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	int fd;

	if (here < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		fail(netns);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("/dev/net/tun");
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	/* Segmentation offload keeps the number of system calls per byte small enough for 1 Gbit/s.
	 */
	if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0 ||
		ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) < 0)
		fail(name);
	if (setns(here, CLONE_NEWNET) < 0)
		fail("setns");
	(void)close(here);
	(void)close(there);
	return fd;
}

/* Bytes on the wire, with the headers of every segment that the packet would be cut into. */
static size_t wire_size(const uint8_t *bytes, size_t size)
{
	struct virtio_net_hdr header;
	size_t payload;
	size_t n_segments = 1;

	memcpy(&header, bytes, sizeof(header));
	size -= sizeof(header);
	if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE && header.gso_size > 0 &&
		size > header.hdr_len) {
		payload = size - header.hdr_len;
		n_segments = (payload + header.gso_size - 1) / header.gso_size;
		size = payload + n_segments * header.hdr_len;
	}
	return size + n_segments * FRAME_OVERHEAD;
}

/* Takes the packet's memory and gives back that of the slot it went to. */
static uint8_t *enqueue(struct direction *direction, uint8_t *bytes, size_t size)
{
	int64_t now = now_ns();
	int64_t start = direction->free_ns > now ? direction->free_ns : now;
	int64_t end = start + (int64_t)((double)wire_size(bytes, size) * direction->ns_per_byte);
	struct packet *slot;
	uint8_t *spare = bytes;

	(void)pthread_mutex_lock(&direction->lock);
	if (end - now <= QUEUE_NS && direction->head - direction->tail < QUEUE_SLOTS) {
		slot = &direction->queue[direction->head % QUEUE_SLOTS];
		spare = slot->bytes;
		*slot = (struct packet){end + direction->delay_ns, size, bytes};
		direction->free_ns = end;
		direction->head++;
		(void)pthread_cond_signal(&direction->filled);
	}
	(void)pthread_mutex_unlock(&direction->lock);
	return spare;
}

static void *receive(void *arg)
{
	struct direction *direction = arg;
	uint8_t *bytes = NULL;

	for (;;) {
		ssize_t size;

		if (!bytes)
			bytes = malloc(PACKET_SIZE);
		if (!bytes)
			fail("malloc");
		size = read(direction->from, bytes, PACKET_SIZE);
		if (size < 0 && errno != EINTR)
			fail("read");
		if (size > (ssize_t)sizeof(struct virtio_net_hdr))
			bytes = enqueue(direction, bytes, (size_t)size);
	}
	return NULL;
}

static void sleep_until(int64_t due_ns)
{
	struct timespec due = {due_ns / 1000000000, due_ns % 1000000000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		continue;
}

static void *deliver(void *arg)
{
	struct direction *direction = arg;

	(void)prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		struct packet packet;

		(void)pthread_mutex_lock(&direction->lock);
		while (direction->head == direction->tail)
			(void)pthread_cond_wait(&direction->filled, &direction->lock);
		packet = direction->queue[direction->tail % QUEUE_SLOTS];
		(void)pthread_mutex_unlock(&direction->lock);

		if (packet.due_ns > now_ns())
			sleep_until(packet.due_ns);
		/* EIO: the other device is still down. A lost packet is a link's right. */
		if (write(direction->to, packet.bytes, packet.size) < 0 && errno != EIO)
			perror("write");
		(void)pthread_mutex_lock(&direction->lock);
		direction->tail++;
		(void)pthread_mutex_unlock(&direction->lock);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct direction directions[2];
	pthread_t thread;
	int devices[2];
	double mbit;

	if (argc != 7) {
		(void)fprintf(stderr, "usage: delay_line NETNS_A DEVICE_A NETNS_B DEVICE_B "
				      "ONE_WAY_US MBIT_PER_S\n");
		return 2;
	}
	mbit = strtod(argv[6], NULL);
	devices[0] = open_device(argv[1], argv[2]);
	devices[1] = open_device(argv[3], argv[4]);
	for (int i = 0; i < 2; i++) {
		directions[i].from = devices[i];
		directions[i].to = devices[1 - i];
		directions[i].delay_ns = strtol(argv[5], NULL, 10) * 1000;
		directions[i].ns_per_byte = mbit > 0 ? 8000.0 / mbit : 0;
		(void)pthread_mutex_init(&directions[i].lock, NULL);
		(void)pthread_cond_init(&directions[i].filled, NULL);
		if (pthread_create(&thread, NULL, receive, &directions[i]) != 0 ||
			pthread_create(&thread, NULL, deliver, &directions[i]) != 0)
			fail("pthread_create");
	}
	(void)puts("ready");
	(void)fflush(stdout);
	(void)pthread_join(thread, NULL);
	return 0;
}
